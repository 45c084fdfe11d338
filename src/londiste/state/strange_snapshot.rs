//! Snapshots of copies that the provider of today cannot have taken.
//!
//! 1. A table is copied, and keeps the copy's snapshot until replay's ticks have passed it.
//! 2. The provider's database is dumped, and restored into a cluster whose transaction counter is behind. Its queue is rebased.
//! 3. New events have small transaction ids, which the snapshot takes for transactions whose rows were copied.
//!
//! Replay would leave these events out, until the counter has passed the snapshot.

use super::tables;
use crate::error::Result;
use crate::pg::{Db, FqName};

/// Why such a table has to be copied again.
pub(crate) const REASON: &str =
    "the snapshot of its copy is ahead of the provider's transactions: the provider was restored into another cluster";

/// The tables of the queue with such a snapshot. Sees a restore only while the counter has not passed the snapshot.
pub(crate) async fn tables(provider: &Db, subscriber: &Db, queue: &str) -> Result<Vec<FqName>> {
    let mut tables = tables::load(subscriber, queue).await?;
    tables.retain(|table| table.snapshot.is_some());
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    // Read after the snapshots: the counter only grows.
    let sql = "select txid_snapshot_xmax(txid_current_snapshot())";
    let next: i64 = provider.query_one("read the transaction counter", sql, &[]).await?.get(0);
    tables.retain(|table| table.snapshot.as_ref().is_some_and(|snapshot| snapshot.xmax() > next));
    Ok(tables.into_iter().map(|table| table.name).collect())
}
