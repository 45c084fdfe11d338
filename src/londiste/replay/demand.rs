//! When replay says that it waits for events, so that the ticker makes a tick as soon as there are some.
//!
//! It says so once after each batch. A transaction that is still open moves the event sequence too: its tick brings no events. So
//! after an empty batch replay says it later, the more empty ones follow each other, but within `loop_delay`.

use std::time::{Duration, Instant};

/// How long after the first of some empty batches.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// Doubles [`FIRST_PAUSE`] at most so often.
const MOST_DOUBLINGS: u32 = 12;

#[derive(Debug)]
pub(super) struct Demand {
    /// When to say it; `None` once it is said.
    due: Option<Instant>,
    /// Empty batches since the last one with events.
    empty: u32,
}

impl Demand {
    /// Of a new session.
    pub(super) fn new(now: Instant) -> Demand {
        Demand { due: Some(now), empty: 0 }
    }

    /// A batch is finished.
    pub(super) fn batch(&mut self, has_events: bool, now: Instant) {
        if has_events {
            *self = Demand::new(now);
        } else {
            self.due = Some(now + FIRST_PAUSE * 2_u32.pow(self.empty.min(MOST_DOUBLINGS)));
            self.empty += 1;
        }
    }

    /// Whether to say it now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// It is said.
    pub(super) fn said(&mut self) {
        self.due = None;
    }

    /// How long to wait for a tick: until it is to be said, but no longer than `loop_delay`.
    pub(super) fn pause(&self, loop_delay: Duration, now: Instant) -> Duration {
        self.due.map_or(loop_delay, |due| due.saturating_duration_since(now).min(loop_delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_once_after_a_batch_and_later_after_empty_ones() {
        let now = Instant::now();
        let delay = Duration::from_secs(1);
        let mut demand = Demand::new(now);
        assert!(demand.is_due(now));
        demand.said();
        assert!(!demand.is_due(now + delay));
        assert_eq!(demand.pause(delay, now), delay);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            demand.batch(false, now);
            pauses.push(demand.pause(delay, now).as_millis());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320]);
        demand.batch(true, now);
        assert!(demand.is_due(now));
        assert_eq!(demand.pause(delay, now), Duration::ZERO);
        demand.batch(false, now);
        assert!(!demand.is_due(now) && demand.is_due(now + FIRST_PAUSE));
    }
}
