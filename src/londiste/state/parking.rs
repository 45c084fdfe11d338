//! Parked tables, in `londiste.table_position`: events of a parked table cannot be applied before an operator mends the
//! table; the events of all other tables are applied.
//!
//! Like a table that is copied, a parked table is `catching-up` and has a consumer of its own, at the tick where the
//! table stopped. So the queue keeps its events, and after the mend the table catches up and is handed over as after a
//! copy. A reason in `londiste.table_position` marks the table as parked.

use std::fmt;

use crate::error::{ApplyFault, Result};
use crate::pg::{Db, FqName, text};

/// Why a table is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    /// The event, and why it cannot be applied.
    pub(crate) reason: String,
    /// What the operator can do, as one sentence.
    pub(crate) mend: Option<String>,
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, "\nHINT: {mend}"))
    }
}

/// Stores why a table is parked; the time of the first reason stays. Does nothing when the table has no consumer.
pub(crate) async fn store(subscriber: &Db, queue: &str, table: &FqName, why: &ApplyFault) -> Result<()> {
    let sql = "update londiste.table_position
                  set parked_reason = $3, parked_time = coalesce(parked_time, pg_catalog.now()), parked_mend = $4
                where queue_name = $1 and table_name = $2";
    let (name, reason, mend) = (table.to_string(), why.reason(), why.hint());
    let params = [text(&queue), text(&name), text(&reason), text(&mend)];
    let done = subscriber.execute("store why a table is parked", sql, &params).await;
    done.map(drop).map_err(|e| e.about(format!("table {table}")))
}

/// Stores, and logs, that the table is not parked any more.
pub(crate) async fn clear(tx: &Db, queue: &str, table: &FqName) -> Result<()> {
    let sql = "update londiste.table_position set parked_reason = null, parked_time = null, parked_mend = null
                where queue_name = $1 and table_name = $2 and parked_reason is not null";
    let name = table.to_string();
    let params = [text(&queue), text(&name)];
    let changed = tx
        .execute("store that a table is not parked any more", sql, &params)
        .await
        .map_err(|e| e.about(format!("table {table}")))?;
    if changed > 0 {
        tracing::info!("Table {table} is not parked any more");
    }
    Ok(())
}
