//! What replay has done since the process began, for those who ask from outside.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::apply::{Applied, Changes};
use crate::job::Stats;

/// What replay has done since the process began. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Done>>);

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) batches: u64,
    /// The events of the batches that were applied.
    pub(crate) events: u64,
    pub(crate) changes: Changes,
    pub(crate) missing_rows: u64,
    /// The time that the batches took.
    pub(crate) time: Duration,
}

impl Tally {
    /// Adds a finished batch; `applied` is `None` for one that had been applied before.
    pub(super) fn add(&self, applied: Option<&Applied>, time: Duration) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.batches += 1;
        done.time += time;
        if let Some(applied) = applied {
            done.events += applied.count;
            done.changes += applied.changes;
            done.missing_rows += applied.missing_rows;
        }
    }

    pub(crate) fn done(&self) -> Done {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
