//! A row that is compared.

use tokio_postgres::Row;

use crate::error::Result;
use crate::pg::{Db, RawText};

/// The values of a row as text: key columns first.
pub(crate) type RowText = Vec<Option<RawText>>;

/// The values of the row.
pub(crate) fn values(db: &Db, row: &Row) -> Result<RowText> {
    let value = |i| row.try_get(i).map_err(|e| db.failed("read a table as text", e));
    (0..row.len()).map(value).collect()
}
