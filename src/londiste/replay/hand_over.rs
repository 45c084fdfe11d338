//! The step of a table's life that is replay's while a batch is open: `wanna-sync` to `do-sync`, and the wait for `ok`.

use super::super::state::changes::ChangeListener;
use super::super::state::table_state::{Actor, TableState};
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::main_loop::{Gate, Replay};
use super::sessions::Sessions;
use crate::error::Result;
use crate::pgq::Batch;

impl Replay {
    /// Takes over the tables whose copies have come to the open batch. Replay waits with the batch unapplied while a table
    /// stands at `do-sync`: the table's events up to the batch are the copy's, those from the batch on are replay's.
    pub(super) async fn hand_over(
        &mut self,
        sessions: &Sessions,
        batch: &Batch,
        tables: &[SubscribedTable],
        changes: &mut ChangeListener,
    ) -> Result<Gate> {
        let mut changed = false;
        for table in tables {
            let Some(to) = self.next_state(sessions, batch, table).await? else { continue };
            let queue = &self.job.queue;
            changed = true;
            if tables::transition(&sessions.subscriber, queue, table, to, Actor::Replay).await? == Moved::Moved {
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

    /// What becomes of a table now that the batch is open.
    async fn next_state(
        &self,
        sessions: &Sessions,
        batch: &Batch,
        table: &SubscribedTable,
    ) -> Result<Option<TableState>> {
        let end = batch.cur_tick;
        Ok(match table.state {
            // A batch of several ticks may begin before the copy's, so that its events would be applied twice. It is
            // applied without the table; the next one has one tick.
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

    /// There is no batch, so nothing can be handed over: a table that stands at `do-sync` nevertheless goes back.
    pub(super) async fn call_off(&mut self, sessions: &Sessions, tables: &[SubscribedTable]) -> Result<()> {
        for table in tables.iter().filter(|t| matches!(t.state, TableState::DoSync(_))) {
            tracing::warn!("Table {} waits for a tick that replay has passed", table.name);
            let to = TableState::CatchingUp;
            if tables::transition(&sessions.subscriber, &self.job.queue, table, to, Actor::Replay).await?
                == Moved::Moved
            {
                tracing::info!("Table {} status changed to '{to}'", table.name);
            }
            self.changes.announce();
        }
        Ok(())
    }
}
