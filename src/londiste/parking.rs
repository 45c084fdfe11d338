//! Parked tables: their structure is at fault, so their events cannot be applied before somebody mends them. The other
//! tables go on.
//!
//! Like a copy, a parked table has a consumer of its own at the tick where it stopped and stands at `catching-up`; so
//! the queue keeps its events, and after the mend it catches up and is handed over as after a copy. What marks it as
//! parked is the reason in `londiste.table_position`.

use crate::error::{ApplyFault, FaultKind, Result};
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName, text};

/// Works out with the help of the provider's catalog which statement would help, and puts it into the fault.
pub(super) async fn find_mend(provider: &Db, fault: &mut ApplyFault) -> Result<()> {
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
    // A column that the provider has dropped since may have any type.
    if let Some(row) = row {
        let (column, provided): (String, &str) = (quote_ident(column), row.get(0));
        let keyword = if verb == "add column" { "" } else { "type " };
        fault.mend = Some(format!("Run on the subscriber: alter table {table} {verb} {column} {keyword}{provided}"));
    }
    Ok(())
}

/// Stores why the table is parked, and the consumer by which it goes on.
pub(super) async fn store(
    subscriber: &Db,
    queue: &str,
    table: &FqName,
    consumer: &str,
    why: &ApplyFault,
) -> Result<()> {
    subscriber
        .execute(
            "store why a table is parked",
            "insert into londiste.table_position
                    (queue_name, table_name, consumer_id, parked_reason, parked_time, parked_mend)
             values ($1, $2, $3, $4, now(), $5)
             on conflict (queue_name, table_name)
             do update set consumer_id = excluded.consumer_id, parked_reason = excluded.parked_reason,
                           parked_time = coalesce(table_position.parked_time, now()),
                           parked_mend = excluded.parked_mend",
            &[text(&queue), text(&table.to_string()), text(&consumer), text(&why.reason()), text(&why.mend)],
        )
        .await
        .map_err(|e| e.about(format!("table {table}")))?;
    Ok(())
}

/// The table's events can be applied again. Becomes visible with the transaction.
pub(super) async fn clear(tx: &Db, queue: &str, table: &FqName) -> Result<()> {
    let changed = tx
        .execute(
            "store that a table is not parked any more",
            "update londiste.table_position set parked_reason = null, parked_time = null, parked_mend = null
              where queue_name = $1 and table_name = $2 and parked_reason is not null",
            &[text(&queue), text(&table.to_string())],
        )
        .await
        .map_err(|e| e.about(format!("table {table}")))?;
    if changed > 0 {
        tracing::info!("Table {table} is not parked any more");
    }
    Ok(())
}
