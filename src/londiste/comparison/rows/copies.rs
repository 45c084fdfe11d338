//! Rows of a table without a key: a row is told by all its columns, and its copies are counted.

use std::collections::HashMap;

use crate::error::Result;
use crate::pg::{Db, Sql, sql, text_array};

use super::compared_table::{ComparedTable, Side};
use super::fix::RowFix;
use super::row::{RowText, values};
use super::versioned::{Fixes, PIN, Versioned};

/// The rows of one side with these texts, by their text, which is a row of one value. Reads the whole table.
pub(super) async fn by_text(
    tx: &Db,
    compared: &ComparedTable,
    side: &Side,
    texts: &[RowText],
) -> Result<HashMap<RowText, Versioned>> {
    tx.batch("read a table", PIN).await?;
    let wanted: Vec<_> = texts.iter().map(|text| text[0].as_ref()).collect();
    let rows = tx
        .query("read a table", side.copies_by_text_sql(), &[text_array(&wanted)])
        .await
        .map_err(|e| e.about(format!("table {}", compared.name)))?;
    let entry = |row: &tokio_postgres::Row| {
        values(tx, row).map(|mut row| {
            let text = row.pop().into_iter().collect();
            let copies = row.pop().flatten().and_then(|count| count.as_str()?.parse().ok()).unwrap_or(0);
            let version = row.pop().flatten();
            (text, Versioned { row, version, copies })
        })
    };
    rows.iter().map(entry).collect()
}

/// The changes that make the subscriber have as many copies of each row as the provider.
pub(super) fn fixes(
    texts: &[RowText],
    theirs: &HashMap<RowText, Versioned>,
    ours: &HashMap<RowText, Versioned>,
) -> Fixes {
    let mut changes = Vec::new();
    for text in texts {
        let sides = [theirs.get(text), ours.get(text)];
        let [their, our] = sides.map(|side| side.map_or(0, |versioned| versioned.copies));
        match sides {
            [Some(versioned), _] if their > our => {
                changes.extend((our..their).map(|_| RowFix::Insert(versioned.row.clone())));
            }
            [_, Some(versioned)] if our > their => {
                changes.push(RowFix::DeleteCopies { row: versioned.row.clone(), copies: our - their });
            }
            _ => {}
        }
    }
    Fixes { changes, generated: 0 }
}

impl Side {
    /// The query for the values of rows with the given texts, which are an array as parameter, each with a hash of the versions of its
    /// copies, their number, and the text. Where the text of a value differs among the copies, it has one of them.
    fn copies_by_text_sql(&self) -> Sql {
        let numbers = 0..self.values.len();
        let named =
            self.values.iter().zip(numbers.clone()).map(|(value, n)| sql!("{value} as v{n}", value = value, n = n));
        sql!(
            "select {least}{version}, pg_catalog.count(*)::text, line \
             from (select {named}, {row} as line, {one} as version from {source} t offset 0) rows \
             where line = any ($1) group by line",
            least = Sql::join(numbers.map(|n| sql!("pg_catalog.min(v{n} collate \"C\"), ", n = n)), ""),
            version = Side::version_of_copies(),
            named = Sql::join(named, ", "),
            row = self.row_text(),
            one = Side::version(),
            source = &self.source
        )
    }

    /// What every change of a copy makes another, for rows that have their version as `version`.
    pub(crate) fn version_of_copies() -> Sql {
        Sql::from("pg_catalog.md5(pg_catalog.string_agg(version, ',' order by version collate \"C\"))")
    }
}
