//! Takes tables over from their copies while a batch is open: `wanna-sync` to `do-sync`, then the wait for `ok`.

use std::time::{Duration, Instant};

use super::super::state::changes::ChangeListener;
use super::super::state::completed;
use super::super::state::table_state::{Actor, TableState};
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::main_loop::{Gate, Replay};
use super::sessions::Sessions;
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::pg::Db;
use crate::pgq::{Batch, consumer};

/// How often a tick is forced while a table waits for one.
const TICK_PAUSE: Duration = Duration::from_millis(500);

impl Replay {
    /// Takes over the tables whose copies have come to the open batch. While a table is at `do-sync`, replay leaves the
    /// batch unapplied and waits, at most a second for each call: the table's events before the batch are applied by
    /// the copy, those from the batch on by replay. Holds no locks while waiting. Takes over no table where the batch does not fit the
    /// position on the subscriber.
    pub(super) async fn hand_over(
        &mut self,
        sessions: &Sessions,
        batch: &Batch,
        tables: &[SubscribedTable],
        changes: &mut ChangeListener,
    ) -> Result<Gate> {
        let waits = |t: &SubscribedTable| matches!(t.state, TableState::WannaSync(_) | TableState::DoSync(_));
        if tables.iter().any(waits) && !self.fits_position(&sessions.subscriber, batch).await? {
            return Ok(Gate::Open);
        }
        let mut changed = false;
        for table in tables {
            let Some(to) = self.next_state(sessions, batch, table).await? else { continue };
            let queue = &self.job.queue;
            changed = true;
            if tables::transition(&sessions.subscriber, queue, table, to, Actor::Replay).await? == Moved::Moved {
                failpoint!("hand_over::do_sync");
                tracing::info!("Table {} status changed to '{to}'", table.name);
            }
        }
        if changed {
            self.changes.announce();
            return Ok(Gate::Shut);
        }
        if !tables.iter().any(|t| matches!(t.state, TableState::DoSync(_))) {
            return Ok(Gate::Open);
        }
        tokio::select! {
            () = changes.changed_or_timeout() => {}
            () = self.control.stopped() => {}
        }
        Ok(Gate::Shut)
    }

    /// Whether the batch begins or ends at the position on the subscriber. Replay stops at a batch that does not, when it is to apply it,
    /// and `--rewind` leads replay back to the position: a table that was taken over at the batch's end would then get the events in
    /// between a second time.
    async fn fits_position(&self, subscriber: &Db, batch: &Batch) -> Result<bool> {
        let stored = completed::last_tick(subscriber, &self.consumer.name).await?;
        Ok(stored.is_none_or(|tick| tick == batch.prev_tick || tick == batch.cur_tick))
    }

    /// The state that the open batch gives the table; `None` when the state stays.
    async fn next_state(
        &self,
        sessions: &Sessions,
        batch: &Batch,
        table: &SubscribedTable,
    ) -> Result<Option<TableState>> {
        let end = batch.cur_tick;
        Ok(match table.state {
            // A batch of several ticks may begin before the copy's batch, so that events would be applied twice. Replay
            // applies it without the table; the next batch has one tick.
            TableState::WannaSync(reached) if reached <= end => {
                let single = self.consumer.is_single_tick(&sessions.provider, batch).await?;
                single.then_some(TableState::DoSync(end))
            }
            TableState::DoSync(at) if at != end => {
                tracing::warn!("Table {} waits for tick {at}, but the batch ends at tick {end}", table.name);
                Some(TableState::CatchingUp)
            }
            // The other tables do not wait until the copy's next try.
            TableState::DoSync(_) if self.copies.failed_lately(&table.name) => Some(TableState::CatchingUp),
            _ => None,
        })
    }

    /// For a turn without a batch, in which no table can be taken over. For a table that waits at a tick which replay
    /// has passed, forces another tick, since an idle queue may not get one by itself; a table at `do-sync` goes back
    /// to `catching-up`.
    pub(super) async fn without_batch(&mut self, sessions: &Sessions, tables: &[SubscribedTable]) -> Result<()> {
        let waits = |t: &SubscribedTable| matches!(t.state, TableState::WannaSync(end) if end <= sessions.position);
        if tables.iter().any(waits) && self.tick_asked_at.is_none_or(|at| at.elapsed() >= TICK_PAUSE) {
            self.tick_asked_at = Some(Instant::now());
            consumer::force_tick(&sessions.provider, &self.job.queue).await?;
        }
        for table in tables.iter().filter(|t| matches!(t.state, TableState::DoSync(_))) {
            tracing::warn!("Table {} waits for a tick that replay has passed", table.name);
            let (db, to) = (&sessions.subscriber, TableState::CatchingUp);
            if tables::transition(db, &self.job.queue, table, to, Actor::Replay).await? == Moved::Moved {
                tracing::info!("Table {} status changed to '{to}'", table.name);
            }
            self.changes.announce();
        }
        Ok(())
    }
}
