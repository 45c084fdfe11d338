//! `londiste.completed`: up to which tick a consumer's batches are applied on this subscriber.
//!
//! The row is written in the transaction that applies the batch, and the batch is finished on the provider afterwards:
//!
//! | the process ends after | what is visible | what happens next |
//! |---|---|---|
//! | 1 next_batch, on the provider | nothing | the provider serves the same batch, it is applied |
//! | 2 reading events | nothing | as 1 |
//! | 3 applying, storing the tick, on the subscriber | nothing, rolled back | as 1 |
//! | 4 commit on the subscriber | the batch, with its end tick here | the same batch comes: [`Standing::Done`], it is only finished |
//! | 5 finish_batch on the provider | the batch | the next batch starts at the tick stored here |

use crate::error::{Error, Result};
use crate::pg::{Db, int8, text};
use crate::pgq::{Batch, TickId};

/// What is to be done with a batch, given the tick stored on the subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It follows what is applied.
    Apply,
    /// It is applied already.
    Done,
    /// It neither follows nor ends at the stored tick: events would be lost or applied twice.
    Lost(TickId),
}

/// Decides it. No stored tick means that nothing was applied so far.
pub(crate) fn standing(stored: Option<TickId>, batch: &Batch) -> Standing {
    match stored {
        None => Standing::Apply,
        Some(tick) if tick == batch.prev_tick => Standing::Apply,
        Some(tick) if tick == batch.cur_tick => Standing::Done,
        Some(tick) => Standing::Lost(tick),
    }
}

/// The error of [`Standing::Lost`].
pub(crate) fn lost_position(batch: &Batch, stored: TickId, consumer: &str) -> Error {
    Error::refused(
        format!("Lost position: batch {}..{}, dst has {stored} (consumer {consumer})", batch.prev_tick, batch.cur_tick),
        "Stop replay, then run it once with --rewind to move the provider's consumer to the subscriber's position, or \
         with --reset to go on from the provider's position (tables may then need a resync).",
    )
}

/// The stored tick of a consumer.
pub(crate) async fn last_tick(subscriber: &Db, consumer: &str) -> Result<Option<TickId>> {
    let row = subscriber
        .query_one("read the last applied tick", "select londiste.get_last_tick($1)", &[text(&consumer)])
        .await?;
    Ok(row.get::<_, Option<i64>>(0).map(TickId))
}

/// Stores the tick of a consumer; `None` forgets it. Becomes visible with the transaction.
pub(crate) async fn set_last_tick(subscriber: &Db, consumer: &str, tick: Option<TickId>) -> Result<()> {
    subscriber
        .query(
            "store the last applied tick",
            "select londiste.set_last_tick($1, $2)",
            &[text(&consumer), int8(&tick.map(|t| t.0))],
        )
        .await?;
    Ok(())
}

/// Moves the tick of a consumer on, in the transaction that applies the batch. Returns false, and the transaction is to be
/// rolled back, when the tick is not `from` any more:
///
/// 1. A process is killed while its commit is under way on the server.
/// 2. The next process reads the old tick and begins to apply the same batch.
/// 3. The commit ends, and the batch is there.
///
/// What the next process has read is no lock; this update waits for the row and sees what has become of it.
pub(crate) async fn advance(tx: &Db, consumer: &str, from: Option<TickId>, to: TickId) -> Result<bool> {
    let action = "store the last applied tick";
    let changed = if let Some(from) = from {
        let sql = "update londiste.completed set last_tick_id = $2 where consumer_id = $1 and last_tick_id = $3";
        tx.execute(action, sql, &[text(&consumer), int8(&to.0), int8(&from.0)]).await?
    } else {
        let sql = "insert into londiste.completed (consumer_id, last_tick_id) values ($1, $2)
                   on conflict (consumer_id) do nothing";
        tx.execute(action, sql, &[text(&consumer), int8(&to.0)]).await?
    };
    if changed == 0 {
        tracing::warn!("the batch up to tick {to} was applied by a process that has ended since");
    }
    Ok(changed > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgq::BatchId;

    #[test]
    fn a_batch_is_applied_once() {
        let batch = Batch { id: BatchId(1), prev_tick: TickId(10), cur_tick: TickId(11) };
        for (stored, expected) in [
            (None, Standing::Apply),
            (Some(TickId(10)), Standing::Apply),
            (Some(TickId(11)), Standing::Done),
            (Some(TickId(9)), Standing::Lost(TickId(9))),
            (Some(TickId(12)), Standing::Lost(TickId(12))),
        ] {
            assert_eq!(standing(stored, &batch), expected, "{stored:?}");
        }
    }
}
