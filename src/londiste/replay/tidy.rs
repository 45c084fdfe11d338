//! What is left to do after a copy: the snapshot goes when no event can be in it any more, then the foreign keys come
//! back.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::config;
use crate::error::{Report, Result};
use crate::job::Control;
use crate::pg::{Db, int8, text};
use crate::pgq::{TickId, consumer};

use super::super::table_state::TableState;
use super::super::tables::{self, Actor, SubscribedTable};
use super::{Sessions, foreign_keys};

/// How often a tick is forced while a snapshot is to go.
const FORCE_TICK_PAUSE: Duration = Duration::from_millis(500);

/// How often to look for foreign keys to restore when there is no news, and after one could not be restored.
const FKEY_PAUSE: Duration = Duration::from_mins(1);

/// The state of the tidying.
#[derive(Default)]
pub(super) struct Tidy {
    tick_forced_at: Option<Instant>,
    look_for_fkeys_at: Option<Instant>,
    /// How many tables keep their foreign keys away.
    unready: usize,
    restoring: Option<JoinHandle<Result<foreign_keys::Restored>>>,
}

impl Tidy {
    /// Does what is due; never waits for locks or long statements.
    pub(super) async fn turn(
        &mut self,
        config: &config::Londiste,
        sessions: &Sessions,
        tables: &mut [SubscribedTable],
        control: &Control,
    ) -> Result<()> {
        self.drop_snapshots(config, sessions, tables).await?;
        let unready = tables.iter().filter(|t| t.state != TableState::Ok || t.snapshot.is_some()).count();
        if unready < std::mem::replace(&mut self.unready, unready) {
            self.look_for_fkeys_at = None;
        }
        self.restore_fkeys(config, &sessions.subscriber, control).await
    }

    /// An event that replay has still to see belongs to a transaction that the tick at its position does not show, so
    /// its id is at least that tick's xmin. When this is past all that the copy's snapshot shows, the snapshot filters
    /// nothing.
    async fn drop_snapshots(
        &mut self,
        config: &config::Londiste,
        sessions: &Sessions,
        tables: &mut [SubscribedTable],
    ) -> Result<()> {
        let queue = &config.pgq_queue_name;
        let with_snapshot = |t: &&mut SubscribedTable| t.state == TableState::Ok && t.snapshot.is_some();
        if !tables.iter_mut().any(|t| with_snapshot(&t)) {
            return Ok(());
        }
        let Some(xmin) = tick_xmin(&sessions.provider, queue, sessions.position).await? else { return Ok(()) };
        let mut waiting = false;
        for table in tables.iter_mut().filter(with_snapshot) {
            if table.snapshot.as_ref().is_some_and(|s| xmin < s.xmax()) {
                waiting = true;
                continue;
            }
            let subscriber = &sessions.subscriber;
            tables::store_state(subscriber, queue, &table.name, TableState::Ok, None, Actor::Replay).await?;
            table.snapshot = None;
        }
        if waiting && self.tick_forced_at.is_none_or(|at| at.elapsed() >= FORCE_TICK_PAUSE) {
            self.tick_forced_at = Some(Instant::now());
            consumer::force_tick(&sessions.provider, queue).await?;
        }
        Ok(())
    }

    /// Restores the pending foreign keys whose two tables are in sync, in a task with a session of its own, so that
    /// the check of a big table does not hold up the batches.
    async fn restore_fkeys(&mut self, config: &config::Londiste, subscriber: &Db, control: &Control) -> Result<()> {
        if self.restoring.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(task) = self.restoring.take()
        {
            match task.await {
                Ok(Ok(foreign_keys::Restored::All)) => {}
                // They are tried again after the pause.
                Ok(Ok(foreign_keys::Restored::SomeFailed)) => {
                    self.look_for_fkeys_at = Some(Instant::now() + FKEY_PAUSE);
                }
                Ok(Err(error)) => tracing::error!("could not restore foreign keys: {}", Report(&error)),
                Err(error) => tracing::error!("could not restore foreign keys: {error}"),
            }
        }
        if self.restoring.is_some() || self.look_for_fkeys_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.look_for_fkeys_at = Some(Instant::now() + FKEY_PAUSE);
        let pending = foreign_keys::restorable(subscriber, &config.pgq_queue_name).await?;
        if !pending.is_empty() {
            self.restoring =
                Some(control.abort().spawn(foreign_keys::restore(config.clone(), pending, control.abort().clone())));
        }
        Ok(())
    }

    /// Looks for foreign keys to restore at the next turn.
    pub(super) fn look_again(&mut self) {
        self.look_for_fkeys_at = None;
    }

    /// Gives up the task; its transaction is rolled back and the foreign keys stay pending.
    pub(super) fn stop(&mut self) {
        if let Some(task) = self.restoring.take() {
            task.abort();
        }
    }
}

async fn tick_xmin(provider: &Db, queue: &str, tick: TickId) -> Result<Option<i64>> {
    let row = provider
        .query_opt(
            "read a tick",
            "select txid_snapshot_xmin(t.tick_snapshot) from pgq.tick t, pgq.queue q
              where t.tick_queue = q.queue_id and q.queue_name = $1 and t.tick_id = $2",
            &[text(&queue), int8(&tick.0)],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}
