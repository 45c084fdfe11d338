//! What replay has done since the process began, for those who ask from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::apply::{Applied, Changes, OpenBatch};
use crate::job::Stats;

/// What replay has done since the process began. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    done: Arc<Mutex<Done>>,
    open: OpenBatch,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) batches: u64,
    /// The events of the batches that were applied.
    events: u64,
    /// The greatest number of events that was told, with those of an open batch.
    told: u64,
    pub(crate) changes: Changes,
    pub(crate) missing_rows: u64,
    /// The time that the batches took.
    pub(crate) time: Duration,
}

impl Tally {
    /// Adds a finished batch; `applied` is `None` for one that had been applied before.
    pub(super) fn add(&self, applied: Option<&Applied>, time: Duration) {
        let mut done = self.lock();
        done.batches += 1;
        done.time += time;
        if let Some(applied) = applied {
            done.events += applied.count;
            done.changes += applied.changes;
            done.missing_rows += applied.missing_rows;
        }
    }

    pub(crate) fn done(&self) -> Done {
        *self.lock()
    }

    /// The events of the batches that were applied, and those of the open batch that the subscriber has executed. Never goes
    /// down: events of a batch that was given up are not counted again.
    pub(crate) fn events(&self) -> u64 {
        let mut done = self.lock();
        done.told = done.told.max(done.events + self.open.events());
        done.told
    }

    /// How far the open batch is.
    pub(crate) fn open_batch(&self) -> OpenBatch {
        self.open.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log line of a batch, with the numbers in SkyTools' order; `None` for a batch that had been applied before.
pub(super) fn stats(applied: Option<&Applied>, duration: Duration) -> Stats {
    let mut stats = Stats::default();
    stats.add("count", applied.map_or(0, |a| a.count));
    if let Some(applied) = applied {
        stats.add("ignored", applied.ignored);
    }
    stats.set_duration("duration", duration);
    let unknown = applied.map_or(0, |a| a.unknown.count());
    for (name, number) in [("failed-events", unknown), ("missing-rows", applied.map_or(0, |a| a.missing_rows))] {
        if number > 0 {
            stats.add(name, number);
        }
    }
    stats
}
