//! Given rows of a table are read on both sides, and those that differ are changed on the subscriber.

use std::collections::HashMap;

use futures_util::future::join_all;
use tokio_postgres::Row;

use crate::error::Result;
use crate::pg::{Db, Param, RawText, sql, text_array};

use super::compared_table::{ComparedTable, Side};
use super::copies;
use super::fix::{Compared, Pair, RowFix};
use super::row::{RowText, values};
use super::versioned::{Fixes, PIN, Versioned};

/// The rows of one side that have these keys, by key; of a table without a key those with these texts, without a lock. `lock` is the
/// end of the query. The settings of [`PIN`] hold until the end of the open transaction.
pub(crate) async fn read(
    tx: &Db,
    compared: &ComparedTable,
    side: &Side,
    lock: &'static str,
    keys: &[RowText],
) -> Result<HashMap<RowText, Versioned>> {
    if compared.key_len == 0 {
        return copies::by_text(tx, compared, side, keys).await;
    }
    tx.batch("read a table", PIN).await?;
    let columns = key_columns(compared, keys);
    let params: Vec<Param<'_>> = columns.iter().map(text_array).collect();
    let sql = sql!("{rows}{lock}", rows = side.rows_by_key_sql(&compared.columns), lock = lock);
    let rows =
        tx.query("read a table", &sql, &params).await.map_err(|e| e.about(format!("table {}", compared.name)))?;
    let entry = |row: &Row| {
        values(tx, row).map(|mut row| {
            let version = row.pop().flatten();
            (compared.normal_key(row.clone()), Versioned { row, version, copies: 1 })
        })
    };
    rows.iter().map(entry).collect()
}

/// The keys as [`Side::keyed_rows`] takes them.
pub(crate) fn key_columns<'a>(compared: &ComparedTable, keys: &'a [RowText]) -> Vec<Vec<Option<&'a RawText>>> {
    (0..compared.key_len).map(|i| keys.iter().map(|key| key[i].as_ref()).collect()).collect()
}

/// The changes that make the subscriber's rows of these keys equal to the provider's, in the order of `keys`.
pub(crate) fn fixes(
    compared: &ComparedTable,
    keys: &[RowText],
    mut theirs: HashMap<RowText, Versioned>,
    mut ours: HashMap<RowText, Versioned>,
) -> Fixes {
    if compared.key_len == 0 {
        return copies::fixes(keys, &theirs, &ours);
    }
    let mut fixes = Fixes { changes: Vec::new(), generated: 0 };
    for key in keys {
        let row = |rows: &mut HashMap<RowText, Versioned>| rows.remove(key).map(|versioned| versioned.row);
        let pair = match (row(&mut theirs), row(&mut ours)) {
            (Some(provider), Some(subscriber)) => Pair::Both { provider, subscriber },
            (Some(row), None) => Pair::Provider(row),
            (None, Some(row)) => Pair::Subscriber(row),
            (None, None) => continue,
        };
        match RowFix::of(pair, compared) {
            Compared::Differ(change) => fixes.changes.push(change),
            Compared::GeneratedDiffer => fixes.generated += 1,
            Compared::Equal => {}
        }
    }
    fixes
}

/// Makes the changes in a transaction of the subscriber.
pub(crate) async fn mend(tx: &Db, compared: &ComparedTable, changes: &[RowFix]) -> Result<()> {
    // Deletes go first: they free the unique values that other rows take.
    let order = |change: &&RowFix| match change {
        RowFix::Delete(_) | RowFix::DeleteCopies { .. } => 0,
        RowFix::Update { .. } => 1,
        RowFix::Insert(_) => 2,
    };
    let mut ordered: Vec<&RowFix> = changes.iter().collect();
    ordered.sort_by_key(order);
    // The statements are sent without waiting for the answer of the one before. Those behind one that fails fail too, and their answers
    // may be seen before: the first one in the order of the statements says why.
    let done = join_all(ordered.into_iter().map(async |change| {
        tx.batch("repair a row", change.sql(compared)).await.map_err(|e| e.about(describe(compared, change)))
    }));
    tx.with_users_path(async { done.await.into_iter().collect() }).await
}

/// The table, the kind of change and the key, or the row where there is none, for messages.
fn describe(compared: &ComparedTable, change: &RowFix) -> String {
    let verb = match change {
        RowFix::Insert(_) => "insert",
        RowFix::Update { .. } => "update",
        RowFix::Delete(_) | RowFix::DeleteCopies { .. } => "delete",
    };
    let (word, columns) = if compared.key_len == 0 { ("row", change.row().len()) } else { ("key", compared.key_len) };
    let key = compared.columns.iter().zip(change.row()).take(columns);
    let shown = |value: &Option<RawText>| value.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
    let key: Vec<String> = key.map(|(column, value)| format!("{column}={}", shown(value))).collect();
    format!("table {}, {verb} of {word} {}", compared.name, key.join(", "))
}
