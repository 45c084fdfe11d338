//! Looks from time to time whether the provider has had all tables in the queue's set without a break, and takes back those
//! that it had not: their changes were not all captured.
//!
//! `provider remove` does the same to the set and tells it by an event `T`, which replay may not have come to yet. So:
//!
//! 1. Replay finds a break, and remembers the provider's next transaction id, which is later than all that has made the break.
//! 2. Once replay stands at a tick that has seen a later transaction, it has come past every event `T` about the break, and
//!    the event has removed the table or taken it back.
//! 3. Replay reads again. A break that is still there was told by no event.

use std::collections::BTreeMap;

use super::super::state::sources::{self, Break};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::sessions::Sessions;
use crate::error::Result;
use crate::pg::{Db, FqName, int8, text};
use crate::pgq::TickId;

/// The breaks that were found, until it is known that no event tells them.
#[derive(Default)]
pub(super) struct CaptureWatch {
    found: Option<Found>,
}

struct Found {
    breaks: BTreeMap<FqName, Break>,
    next_txid: i64,
}

impl CaptureWatch {
    /// Forgets the breaks of the last session.
    pub(super) fn forget(&mut self) {
        self.found = None;
    }

    /// Whether a break waits for its event.
    pub(super) fn is_waiting(&self) -> bool {
        self.found.is_some()
    }

    /// One look. Stores the time of tables that have none yet: of those added with `--expect-sync`, and of those that an older
    /// rlondiste has copied. Returns whether the state of a table was changed.
    pub(super) async fn look(&mut self, sessions: &Sessions, queue: &str, tables: &[SubscribedTable]) -> Result<bool> {
        let Sessions { provider, subscriber, .. } = sessions;
        if let Some(found) = &self.found
            && newest_txid(provider, queue, sessions.position).await?.is_none_or(|seen| seen <= found.next_txid)
        {
            return Ok(false);
        }
        let offered = sources::offered(provider, queue).await?;
        let stored = sources::stored(subscriber, queue).await?;
        let unknown =
            |t: &&SubscribedTable| t.state != TableState::Missing && stored.get(&t.name).is_none_or(String::is_empty);
        let new: Vec<(&FqName, &str)> = tables
            .iter()
            .filter(unknown)
            .filter_map(|t| Some((&t.name, offered.get(&t.name)?.as_str())))
            .filter(|(name, since)| stored.get(name).is_none_or(|s| s != since))
            .collect();
        sources::store(subscriber, queue, &new).await?;

        let mut breaks = sources::breaks(&offered, &stored);
        // The copy of a table that waits for it stores the time anew.
        breaks.retain(|name, _| tables.iter().any(|t| t.name == *name && t.state != TableState::Missing));
        let earlier = self.found.take();
        if breaks.is_empty() {
            return Ok(false);
        }
        let Some(earlier) = earlier else {
            self.found = Some(Found { breaks, next_txid: next_txid(provider).await? });
            return Ok(false);
        };
        breaks.retain(|name, found| earlier.breaks.get(name) == Some(found));
        take_back(subscriber, queue, &breaks).await
    }
}

/// Has the tables copied again, as soon as they are in the set.
async fn take_back(subscriber: &Db, queue: &str, breaks: &BTreeMap<FqName, Break>) -> Result<bool> {
    const ACTION: &str = "take tables back";
    let tx = subscriber.begin(ACTION, "begin").await?;
    let mut taken = Vec::new();
    for (table, found) in breaks {
        if tables::take_back(&tx, queue, table).await? == Moved::Moved {
            taken.push((table, found));
        }
    }
    tx.commit(ACTION).await?;
    for (table, found) in &taken {
        let reason = found.reason(queue);
        tracing::warn!("Table {table} has to be copied again, changes were not captured: {reason}");
    }
    Ok(!taken.is_empty())
}

/// The id that the provider's next transaction will have at least.
async fn next_txid(provider: &Db) -> Result<i64> {
    let sql = "select pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())";
    Ok(provider.query_one("read the transaction counter", sql, &[]).await?.get(0))
}

/// The first transaction id that was still to come when the tick was made; `None` when the queue has no such tick any more.
async fn newest_txid(provider: &Db, queue: &str, tick: TickId) -> Result<Option<i64>> {
    let sql = "select pg_catalog.txid_snapshot_xmax(t.tick_snapshot)
                 from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                where q.queue_name = $1 and t.tick_id = $2";
    let row = provider.query_opt("read a tick", sql, &[text(&queue), int8(&tick.0)]).await?;
    Ok(row.map(|row| row.get(0)))
}
