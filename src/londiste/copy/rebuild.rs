//! Creates indexes, constraints and rules again after a copy, and logs the progress of those that take long.

use std::convert::Infallible;
use std::future;
use std::time::Instant;

use super::progress;
use crate::config;
use crate::error::{Report, Result, Role};
use crate::pg::catalog::Dependent;
use crate::pg::{Db, FqName};
use crate::task::Abort;

/// How to log the progress of the statement that the copy's session is running.
pub(super) struct Follower<'a> {
    pub(super) config: &'a config::Londiste,
    /// The table.
    pub(super) table: &'a FqName,
    /// Ends the sessions.
    pub(super) stop: &'a Abort,
}

/// Creates the objects in this order, inside the copy's transaction.
pub(super) async fn create(tx: &Db, dependents: &[Dependent], follower: &Follower<'_>) -> Result<()> {
    for dependent in dependents {
        tracing::info!("Creating {}", dependent.name);
        tokio::select! {
            done = tx.with_users_path(tx.batch("create an index or constraint", &dependent.create_sql)) => done?,
            never = follower.tell(&dependent.name) => match never {},
        }
    }
    Ok(())
}

impl Follower<'_> {
    /// Logs the progress of creating `what` every `copy_progress_delay`; never when it is 0.
    async fn tell(&self, what: &str) -> Infallible {
        let (started, delay) = (Instant::now(), self.config.copy_progress_delay);
        if delay.is_zero() {
            return future::pending().await;
        }
        let mut db = None;
        loop {
            tokio::time::sleep(delay).await;
            let estimate = self.estimate(&mut db).await.unwrap_or_else(|error| {
                tracing::debug!("no progress to tell: {}", Report(&error));
                String::new()
            });
            tracing::info!("{}: creating {what} for {:.0} s{estimate}", self.table, started.elapsed().as_secs_f64());
        }
    }

    /// `, 40 %, 18 s left`, read in another session, since the copy's own is busy; empty when the server has no
    /// estimate.
    async fn estimate(&self, db: &mut Option<Db>) -> Result<String> {
        let open = if let Some(open) = db.take().filter(|db| !db.is_closed()) {
            open
        } else {
            let config = self.config;
            Db::open(Role::Subscriber, &config.subscriber_db, config.common.client(), self.stop).await?
        };
        let progress = progress::read(&open, None).await?.remove(self.table);
        *db = Some(open);
        Ok(progress.map(|p| p.estimate()).unwrap_or_default())
    }
}
