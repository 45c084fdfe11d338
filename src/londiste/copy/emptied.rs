//! Takes tables back to their beginning that a crash of the subscriber's server has emptied.

use super::super::state::emptied;
use super::super::state::tables::{self, Moved};
use crate::error::Result;
use crate::pg::Db;

/// Has the emptied tables of the queue copied again, with a WARNING for each. Whoever applies events calls it in each new
/// session, since a crash ends all sessions.
pub(in super::super) async fn copy_emptied_again(subscriber: &Db, queue: &str) -> Result<()> {
    const ACTION: &str = "note that no crash has emptied tables";
    let tx = subscriber.begin(ACTION, "begin").await?;
    let mut taken_back = Vec::new();
    for table in emptied::tables(&tx, queue).await? {
        if tables::take_back(&tx, queue, &table).await? == Moved::Moved {
            taken_back.push(table);
        }
    }
    emptied::set_mark(&tx, queue).await?;
    tx.commit(ACTION).await?;
    for table in taken_back {
        tracing::warn!("Table {table} is copied again: {}", emptied::REASON);
    }
    Ok(())
}
