//! Where replay stands, as the queue tells it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::range_walk::Passing;
use crate::error::Result;
use crate::pg::Db;
use crate::pgq::TickId;
use crate::pgq::consumer::{self, Consumer};

/// The pause between two looks at replay's position.
const POLL: Duration = Duration::from_millis(50);

/// A tick is forced after this time without one. Where events come, ticks come without that.
const NUDGE: Duration = Duration::from_millis(100);

/// Replay that takes longer is behind: the look is made later.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for replay without its help, which goes on with its own work.
pub(super) struct ReplayWatch<'a> {
    pub(super) provider: &'a Db,
    pub(super) consumer: &'a Consumer,
    /// Whether replay did not get there in time.
    pub(super) is_behind: AtomicBool,
}

impl Passing for ReplayWatch<'_> {
    async fn pass(&self) -> Result<Option<TickId>> {
        let first = consumer::newest_tick(self.provider, &self.consumer.queue).await?;
        // The tick after this one may have been begun before this call.
        let wanted = TickId(first.0 + 2);
        let is_there = |tick: TickId| tick >= wanted;
        let started = Instant::now();
        let mut nudged = started;
        while !self.consumer.position(self.provider).await?.is_some_and(is_there) {
            if started.elapsed() > PATIENCE {
                self.is_behind.store(true, Ordering::Relaxed);
                return Ok(None);
            }
            if nudged.elapsed() > NUDGE {
                nudged = Instant::now();
                if !is_there(consumer::newest_tick(self.provider, &self.consumer.queue).await?) {
                    consumer::force_tick(self.provider, &self.consumer.queue).await?;
                }
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(Some(wanted))
    }

    fn consumer(&self) -> &Consumer {
        self.consumer
    }
}
