//! Rows of a provider whose database has encoding SQL_ASCII, on the way to a subscriber with another encoding: every value must be
//! UTF-8. The subscriber would refuse a row that is not, by the number of its line alone.

use crate::error::{Error, Result};
use crate::pg::Db;
use crate::pg::FqName;
use crate::pgq::printable::printable;

use super::columns::Columns;

/// How many characters of a value a message shows.
const SHOWN: usize = 60;

/// Looks at the rows of a COPY in text format.
pub(super) struct Utf8Check<'a> {
    columns: &'a Columns,
    table: &'a FqName,
}

impl<'a> Utf8Check<'a> {
    /// `None` where every row is UTF-8, or where the subscriber takes any.
    pub(super) fn of(columns: &'a Columns, table: &'a FqName) -> Option<Utf8Check<'a>> {
        columns.unchecked_text.then_some(Utf8Check { columns, table })
    }

    /// Fails when a value of the row is not UTF-8. The error names the row's key, the column and the value.
    pub(super) fn row(&self, provider: &Db, row: &[u8]) -> Result<()> {
        if std::str::from_utf8(row).is_ok() {
            return Ok(());
        }
        let values: Vec<&[u8]> = row.strip_suffix(b"\n").unwrap_or(row).split(|byte| *byte == b'\t').collect();
        let shown = |column: usize| {
            let value = values.get(column).map_or(String::new(), |value| printable(value, SHOWN));
            format!("{}={value}", self.columns.names.get(column).map_or("", String::as_str))
        };
        let key: Vec<String> = self.columns.key.iter().map(|column| shown(*column)).collect();
        let bad = values.iter().position(|value| std::str::from_utf8(value).is_err()).unwrap_or(0);
        Err(Error::mismatch(
            format!(
                "{}: a value on provider ({}) is not UTF-8, key {}, column {}",
                self.table,
                provider.target(),
                key.join(", "),
                shown(bad)
            ),
            "The subscriber's database takes no other bytes. Correct the value on the provider, or give the subscriber a database with \
             encoding SQL_ASCII.",
        ))
    }
}
