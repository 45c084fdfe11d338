//! The work after a copy: the snapshot is dropped when no event to come is visible in it; then foreign keys are
//! restored.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::config;
use crate::error::{Report, Result};
use crate::failpoint::failpoint;
use crate::job::Control;
use crate::pg::{Db, FqName, int8, text};
use crate::pgq::{TickId, consumer};

use super::super::foreign_keys;
use super::super::state::foreign_keys as stored_fkeys;
use super::super::state::table_state::{Actor, TableState};
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::sessions::Sessions;

/// How often a tick is forced while a snapshot is to be dropped.
const FORCE_TICK_PAUSE: Duration = Duration::from_millis(500);

/// How often to look for foreign keys to restore: without a notification, and after a key could not be restored.
const FKEY_PAUSE: Duration = Duration::from_mins(1);

/// What was done last, and the task that restores foreign keys.
#[derive(Default)]
pub(super) struct Tidy {
    tick_forced_at: Option<Instant>,
    look_for_fkeys_at: Option<Instant>,
    /// How many tables are not `ok` or have a snapshot, so that their foreign keys stay dropped.
    unready: usize,
    /// At most one task, which ends when the set is dropped.
    restoring: JoinSet<Result<foreign_keys::Restored>>,
}

impl Tidy {
    /// Drops snapshots, and starts restoring foreign keys, when these are due. Never waits for locks on tables or long
    /// statements.
    pub(super) async fn turn(
        &mut self,
        config: &config::Londiste,
        sessions: &Sessions,
        tables: &[SubscribedTable],
        control: &Control,
    ) -> Result<()> {
        let dropped = self.drop_snapshots(config, sessions, tables).await?;
        let has_snapshot = |t: &SubscribedTable| t.snapshot.is_some() && !dropped.contains(&t.name);
        let unready = tables.iter().filter(|t| t.state != TableState::Ok || has_snapshot(t)).count();
        if unready < std::mem::replace(&mut self.unready, unready) {
            self.look_for_fkeys_at = None;
        }
        self.restore_fkeys(config, &sessions.subscriber, control).await
    }

    /// Replay at tick T gets only events with txid >= xmin(T). Once xmin(T) >= snapshot.xmax, none of these is visible
    /// in the copy's snapshot, which is dropped. Returns the tables whose snapshot was dropped.
    async fn drop_snapshots(
        &mut self,
        config: &config::Londiste,
        sessions: &Sessions,
        tables: &[SubscribedTable],
    ) -> Result<Vec<FqName>> {
        let queue = &config.pgq_queue_name;
        let mut dropped = Vec::new();
        let with_snapshot = |t: &&SubscribedTable| t.state == TableState::Ok && t.snapshot.is_some();
        if !tables.iter().any(|t| with_snapshot(&t)) {
            return Ok(dropped);
        }
        let Some(xmin) = tick_xmin(&sessions.provider, queue, sessions.position).await? else { return Ok(dropped) };
        let mut waiting = false;
        for table in tables.iter().filter(with_snapshot) {
            if table.snapshot.as_ref().is_some_and(|s| xmin < s.xmax()) {
                waiting = true;
                continue;
            }
            let (db, to) = (&sessions.subscriber, TableState::Ok);
            if tables::transition_with(db, queue, table, to, None, Actor::Replay).await? == Moved::Moved {
                failpoint!("hand_over::snapshot_dropped");
                dropped.push(table.name.clone());
            }
        }
        if waiting && self.tick_forced_at.is_none_or(|at| at.elapsed() >= FORCE_TICK_PAUSE) {
            self.tick_forced_at = Some(Instant::now());
            consumer::force_tick(&sessions.provider, queue).await?;
        }
        Ok(dropped)
    }

    /// Restores the pending foreign keys whose two tables are in sync, in a task with a session of its own: the check
    /// of a big table does not delay the batches.
    async fn restore_fkeys(&mut self, config: &config::Londiste, subscriber: &Db, control: &Control) -> Result<()> {
        match self.restoring.try_join_next() {
            None | Some(Ok(Ok(foreign_keys::Restored::All))) => {}
            // The keys that failed are tried again after the pause.
            Some(Ok(Ok(foreign_keys::Restored::SomeFailed))) => {
                self.look_for_fkeys_at = Some(Instant::now() + FKEY_PAUSE);
            }
            Some(Ok(Err(error))) => tracing::error!("could not restore foreign keys: {}", Report(&error)),
            Some(Err(error)) => tracing::error!("could not restore foreign keys: {error}"),
        }
        if !self.restoring.is_empty() || self.look_for_fkeys_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.look_for_fkeys_at = Some(Instant::now() + FKEY_PAUSE);
        let pending = stored_fkeys::restorable(subscriber, &config.pgq_queue_name).await?;
        if !pending.is_empty() {
            self.restoring.spawn(foreign_keys::restore(config.clone(), pending, control.abort().clone()));
        }
        Ok(())
    }

    /// Whether the next turn has something to do beside the snapshots.
    pub(super) fn is_due(&self) -> bool {
        !self.restoring.is_empty() || self.look_for_fkeys_at.is_none_or(|at| Instant::now() >= at)
    }

    /// Looks for foreign keys to restore at the next turn.
    pub(super) fn look_again(&mut self) {
        self.look_for_fkeys_at = None;
    }

    /// Ends the task; its transaction is rolled back and its foreign keys stay pending.
    pub(super) async fn stop(&mut self) {
        self.restoring.shutdown().await;
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
