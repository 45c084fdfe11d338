//! Takes tables back to their beginning that a crash of the subscriber's server has emptied.

use super::super::state::emptied;
use super::super::state::tables::{self, Moved};
use crate::error::Result;
use crate::pg::Db;

/// Has the emptied tables of the queue copied again, with a WARNING for each. Whoever applies events calls it in each new
/// session, since a crash ends all sessions.
pub(in super::super) async fn copy_emptied_again(subscriber: &Db, queue: &str) -> Result<()> {
    let tx = subscriber.begin("begin a transaction", "begin").await?;
    for table in emptied::tables(&tx, queue).await? {
        if tables::take_back(&tx, queue, &table).await? == Moved::Moved {
            tracing::warn!("Table {table} is copied again: {}", emptied::REASON);
        }
    }
    emptied::set_mark(&tx, queue).await?;
    tx.commit("note that no crash has emptied tables").await
}
