//! Which statement mends a table that is to be parked.

use crate::error::{ApplyFault, FaultKind, Result};
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName, text};

/// Stores in `fault.mend` the statement that lets the column take the event's value: adds the column, gives it the
/// provider's type, or drops `not null`. Changes nothing when the fault names no column, or when the provider does not
/// have the column any more.
pub(in crate::londiste) async fn find(provider: &Db, fault: &mut ApplyFault) -> Result<()> {
    let name = FqName::parse(&fault.table);
    let table = name.quoted();
    let (column, verb) = match (&fault.kind, &fault.column) {
        (FaultKind::MissingColumn(column), _) => (column, "add column"),
        (FaultKind::Refused, Some(column)) if fault.is_null_refused() => {
            let column = quote_ident(column);
            fault.mend =
                Some(format!("Run on the subscriber: alter table {table} alter column {column} drop not null"));
            return Ok(());
        }
        (FaultKind::Refused, Some(column)) => (column, "alter column"),
        _ => return Ok(()),
    };
    let row = provider
        .query_opt(
            "read the type of a column",
            "select pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a
              where a.attrelid = pg_catalog.to_regclass($1) and a.attname = $2::text::name and a.attnum > 0",
            &[text(&table), text(column)],
        )
        .await?;
    // The type of a column that the provider has dropped since is not known.
    if let Some(row) = row {
        let (column, provided): (String, &str) = (quote_ident(column), row.get(0));
        let keyword = if verb == "add column" { "" } else { "type " };
        fault.mend = Some(format!("Run on the subscriber: alter table {table} {verb} {column} {keyword}{provided}"));
    }
    Ok(())
}
