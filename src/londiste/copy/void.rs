//! Takes tables back to their beginning whose copy has become void behind their state.

use super::super::state::tables::{self, Moved};
use super::super::state::{emptied, strange_snapshot};
use crate::error::Result;
use crate::pg::Db;

/// Has such tables of the queue copied again, with a WARNING for each. Whoever applies events calls it in each new session: a
/// crash of the subscriber, and a restore of the provider, end all sessions.
pub(in super::super) async fn copy_void_again(provider: &Db, subscriber: &Db, queue: &str) -> Result<()> {
    const ACTION: &str = "look for tables that have to be copied again";
    let tx = subscriber.begin(ACTION, "begin").await?;
    let emptied = emptied::tables(&tx, queue).await?.into_iter().map(|table| (table, emptied::REASON));
    let strange = strange_snapshot::tables(provider, &tx, queue).await?;
    let strange = strange.into_iter().map(|table| (table, strange_snapshot::REASON));
    let mut taken_back = Vec::new();
    for (table, reason) in emptied.chain(strange) {
        if tables::take_back(&tx, queue, &table).await? == Moved::Moved {
            taken_back.push((table, reason));
        }
    }
    emptied::set_mark(&tx, queue).await?;
    tx.commit(ACTION).await?;
    for (table, reason) in taken_back {
        tracing::warn!("Table {table} is copied again: {reason}");
    }
    Ok(())
}
