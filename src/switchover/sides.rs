//! The sessions of a switchover.

use std::time::{Duration, Instant};

use super::way::Way;
use crate::config;
use crate::error::{Error, Result, Role};
use crate::job::Control;
use crate::londiste::{fence, find_schema, switchover};
use crate::pg::Db;
use crate::pg::install::Standing;
use crate::pgq::consumer::Consumer;
use crate::task::Abort;

/// A session on each side. A request to abort does not end them, since what was begun is still to be undone; it ends waits.
pub(super) struct Sides {
    pub(super) old: Db,
    pub(super) new: Db,
}

impl Sides {
    pub(super) async fn open(way: &Way, control: &Control) -> Result<Sides> {
        let abort = control.abort().for_clean_up();
        let old = open(&way.running, Role::Provider, &way.running.provider_db, &abort).await?;
        let new = open(&way.running, Role::Subscriber, &way.running.subscriber_db, &abort).await?;
        Ok(Sides { old, new })
    }

    /// Fails when one of the schemas has no fence.
    pub(super) async fn require_schemas(&self) -> Result<()> {
        for db in [&self.old, &self.new] {
            require_schema(db).await?;
        }
        Ok(())
    }

    /// What is stored, and the state of the fence, on the old side.
    pub(super) async fn standing(&self, way: &Way) -> Result<(Option<switchover::Stored>, fence::State)> {
        let (state, now) = fence::state(&self.old).await?;
        let state = if state.0 <= now { fence::State::OPEN } else { state };
        Ok((switchover::load(&self.old, &way.queue).await?, state))
    }

    /// Stores how far the switchover is, on the side that counts first.
    pub(super) async fn store(&self, way: &Way, stored: &switchover::Stored) -> Result<()> {
        switchover::store(&self.old, &way.queue, stored).await?;
        switchover::store(&self.new, &way.queue, stored).await
    }
}

pub(super) async fn open(config: &config::Londiste, role: Role, conninfo: &str, abort: &Abort) -> Result<Db> {
    let (job, check) = config.common.client();
    let name = format!("{job}-switchover");
    Db::open(role, conninfo, (name.as_str(), check), abort).await
}

/// Fails when the schema is not that of this release.
pub(super) async fn require_schema(db: &Db) -> Result<()> {
    if find_schema(db).await?.standing() == Some(Standing::Current) {
        return Ok(());
    }
    Err(Error::refused(
        format!("schema londiste of {} is not that of this release", db.target()),
        "Upgrade it: \"rlondiste INI provider install\", \"rlondiste INI subscriber install\".",
    ))
}

/// The consumer of a job.
pub(super) fn consumer(config: &config::Londiste) -> Consumer {
    Consumer { queue: config.pgq_queue_name.clone(), name: config.pgq_consumer_id.clone() }
}

/// Fails when the operator wants an end.
pub(super) fn proceed(control: &Control) -> Result<()> {
    if control.stopping() { Err(Error::Aborted) } else { Ok(()) }
}

/// Waits, at most until a stop is requested.
pub(super) async fn pause(control: &Control, time: Duration) -> Result<()> {
    control.sleep(time).await;
    proceed(control)
}

/// The time that each step takes, for the log.
pub(super) struct Course {
    last: Instant,
}

impl Course {
    pub(super) fn begin() -> Course {
        Course { last: Instant::now() }
    }

    /// Logs a step that has ended.
    pub(super) fn step(&mut self, nr: u8, text: impl std::fmt::Display) {
        tracing::info!("Step {nr} of 13: {text} ({} ms)", self.last.elapsed().as_millis());
        self.last = Instant::now();
    }
}
