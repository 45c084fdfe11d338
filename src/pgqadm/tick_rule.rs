//! When a queue needs a tick. Pure: the caller passes the time.
//!
//! With new events: when there are `ticker_max_count` of them, or `ticker_max_lag` has passed since the last tick, or
//! the last tick had `ticker_max_count` events. By the last rule the rest of a burst does not wait; it at most doubles
//! the ticks of the burst.
//!
//! Without new events: [`QUICK_IDLE_TICKS`] times each `ticker_max_lag`, since a transaction that was open at a tick
//! may have taken its numbers from the event sequence before, and its commit does not move the sequence; then each
//! `ticker_idle_period`.

use std::time::{Duration, Instant};

/// How many ticks without new events follow each other at `ticker_max_lag`.
const QUICK_IDLE_TICKS: u32 = 5;

/// The settings of a queue that rule its ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// `ticker_max_count`: new events that make a tick due.
    pub(super) max_count: u64,
    /// `ticker_max_lag`: the time that makes a tick due when there are new events.
    pub(super) max_lag: Duration,
    /// `ticker_idle_period`: the time that makes a tick due when there are none.
    pub(super) idle_period: Duration,
}

/// The state of a queue when a tick was made, or asked for, the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastTick {
    /// The event sequence, as read before the tick.
    pub(super) event_seq: i64,
    /// The time of the tick or request, by the clock of this process.
    pub(super) at: Instant,
    /// How many ticks in a row were made without a new event.
    pub(super) idle_ticks: u32,
    /// Whether the tick had `ticker_max_count` events or more.
    pub(super) full: bool,
}

/// Whether a queue whose event sequence stands at `event_seq` needs a tick. A queue without a last tick does.
pub(super) fn need_tick(rule: &Rule, last: Option<&LastTick>, event_seq: i64, now: Instant) -> bool {
    let Some(last) = last else { return true };
    let passed = now.saturating_duration_since(last.at);
    if event_seq == last.event_seq {
        let pause = if last.idle_ticks < QUICK_IDLE_TICKS { rule.max_lag } else { rule.idle_period };
        return passed >= pause;
    }
    // The distance, since a sequence may have been set back by hand or by a restore.
    last.full || event_seq.abs_diff(last.event_seq) >= rule.max_count || passed >= rule.max_lag
}

/// How long to wait before the next look at the queues: `loop_delay`, or less when a tick may be due earlier. So ticks come
/// each `ticker_max_lag`, and not each multiple of `loop_delay` above it.
pub(super) fn pause(loop_delay: Duration, dues: impl Iterator<Item = Instant>, now: Instant) -> Duration {
    dues.filter_map(|due| due.checked_duration_since(now)).fold(loop_delay, Duration::min)
}

/// The server's answer to a request for a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ticked {
    /// A tick was made.
    Made,
    /// None is due by the server's own count.
    NotDue,
}

impl LastTick {
    /// The state after the server was asked for a tick.
    pub(super) fn after(rule: &Rule, last: Option<LastTick>, event_seq: i64, ticked: Ticked, now: Instant) -> LastTick {
        let tick = LastTick { event_seq, at: now, idle_ticks: 0, full: false };
        match last {
            None => tick,
            Some(last) if last.event_seq == event_seq => {
                LastTick { idle_ticks: last.idle_ticks + u32::from(ticked == Ticked::Made), ..tick }
            }
            Some(last) if ticked == Ticked::Made => {
                LastTick { full: event_seq.abs_diff(last.event_seq) >= rule.max_count, ..tick }
            }
            // At the last tick the server read the sequence a little later than the ticker, so it counts fewer events. Ask
            // again at the next check.
            Some(last) => last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    const RULE: Rule = Rule { max_count: 500, max_lag: Duration::from_secs(3), idle_period: Duration::from_mins(1) };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn new_queue_needs_a_tick() {
        assert!(need_tick(&RULE, None, 0, Instant::now()));
    }

    #[test]
    fn idle_queue_ticks_five_times_quickly_and_then_slowly() {
        let start = Instant::now();
        let (mut last, mut ticks) = (None, Vec::new());
        for second in 0..200 {
            let now = start + seconds(second);
            if need_tick(&RULE, last.as_ref(), 7, now) {
                ticks.push(second);
                last = Some(LastTick::after(&RULE, last, 7, Ticked::Made, now));
            }
        }
        assert_eq!(ticks, [0, 3, 6, 9, 12, 15, 75, 135, 195]);
    }

    #[test]
    fn events_call_for_a_tick_by_number_or_age() {
        let start = Instant::now();
        let last = LastTick { event_seq: 100, at: start, idle_ticks: 9, full: false };
        for (event_seq, after, needed) in [
            (101, 0, false),
            (599, 2, false),
            (600, 0, true),
            (101, 3, true),
            (99, 0, false),
            (99, 3, true),
            (100, 3, false),
            (100, 60, true),
        ] {
            assert_eq!(
                need_tick(&RULE, Some(&last), event_seq, start + seconds(after)),
                needed,
                "{event_seq} after {after} s"
            );
        }
    }

    #[test]
    fn event_starts_the_quick_idle_ticks_again() {
        let start = Instant::now();
        let last = LastTick { event_seq: 100, at: start, idle_ticks: 9, full: false };
        let last = LastTick::after(&RULE, Some(last), 101, Ticked::Made, start + seconds(3));
        assert_eq!(last, LastTick { event_seq: 101, at: start + seconds(3), idle_ticks: 0, full: false });
    }

    #[test]
    fn rest_of_a_burst_gets_its_tick_at_once_and_events_after_it_wait() {
        let start = Instant::now();
        let (mut last, mut ticks) = (LastTick { event_seq: 0, at: start, idle_ticks: 0, full: false }, Vec::new());
        for (look, event_seq) in (1..).zip([499, 800, 830, 860, 860, 1331, 1331, 1340, 1350]) {
            let now = start + Duration::from_millis(100 * look);
            if need_tick(&RULE, Some(&last), event_seq, now) {
                ticks.push(event_seq);
                last = LastTick::after(&RULE, Some(last), event_seq, Ticked::Made, now);
            }
        }
        assert_eq!(ticks, [800, 830, 1331, 1340]);
    }

    #[test]
    fn next_look_is_when_a_tick_is_due_but_never_later_than_the_loops_delay() {
        let past = Instant::now();
        let now = past + seconds(1);
        let look = |dues: &[Instant]| pause(seconds(5), dues.iter().copied(), now);
        assert_eq!(look(&[]), seconds(5));
        assert_eq!(look(&[now + seconds(9), now + seconds(2), now + seconds(3)]), seconds(2));
        assert_eq!(look(&[now + seconds(9)]), seconds(5));
        // What was due and did not tick waits for an event.
        assert_eq!(look(&[past, now + seconds(4)]), seconds(4));
    }

    #[test]
    fn refused_tick_is_asked_for_again_at_once_with_events_and_later_without() {
        let start = Instant::now();
        let last = LastTick { event_seq: 100, at: start, idle_ticks: 2, full: false };
        assert_eq!(LastTick::after(&RULE, Some(last), 700, Ticked::NotDue, start + seconds(1)), last);
        assert_eq!(
            LastTick::after(&RULE, Some(last), 100, Ticked::NotDue, start + seconds(3)),
            LastTick { event_seq: 100, at: start + seconds(3), idle_ticks: 2, full: false }
        );
    }
}
