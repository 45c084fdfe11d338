//! Consumers that wait for events. They say so on [`CHANNEL`] when they have read everything, and get a tick as soon as there are
//! new events, without waiting for `ticker_max_lag`. Writers have no part in it.
//!
//! While events come, the sequences of queues whose consumers wait are read each [`SOON`], after [`LIVELY`] of silence each
//! [`LOOK`], and after [`WATCH`] only at each check of all queues. A sequence that has moved calls for a tick at once. The commit of a transaction that was open at
//! the last tick does not move it: so the server is asked too, after [`GAP`], and then in growing pauses.
//!
//! A tick meets the demand: each waiting consumer gets it, and asks again when it has read it. One that has died makes at most
//! one tick come early.

use std::time::{Duration, Instant};

/// The channel on which a consumer says that it waits; the payload is the name of the queue.
pub(super) const CHANNEL: &str = "rlondiste_wait";

/// The time between two looks at the event sequences.
const LOOK: Duration = Duration::from_millis(10);

/// The same while events come: half of it is what a change waits for its tick.
const SOON: Duration = Duration::from_millis(5);

/// How long after the last event the ticker looks each [`SOON`].
const LIVELY: Duration = Duration::from_secs(1);

/// The least time between two ticks on demand. Each tick is a row in `pgq.tick` until the queue has rotated past it, and a batch and a
/// commit of each consumer: where single changes come these are 50 a second at most.
const GAP: Duration = Duration::from_millis(20);

/// The same when the tick before had at least [`MANY`] events. Under a load that never ends, 50 batches a second cost the machines more
/// than the load leaves.
const BUSY_GAP: Duration = Duration::from_millis(50);
const MANY: i64 = 64;

/// How long after the last event the ticker looks so often.
const WATCH: Duration = Duration::from_secs(10);

/// The demand for ticks of one queue.
#[derive(Debug, Default)]
pub(super) struct Demand {
    is_waited_for: bool,
    /// Where the event sequence stood when it was read last.
    seen: Option<i64>,
    /// When the event sequence was seen to have moved.
    moved_at: Option<Instant>,
    /// When the last tick was made.
    met_at: Option<Instant>,
    /// Where the event sequence stood then.
    met_seq: Option<i64>,
    /// How long after the last tick the next one may come.
    gap: Duration,
    /// When to ask the server for a tick, and how long to wait if it has none to make.
    ask: Option<(Instant, Duration)>,
}

impl Demand {
    /// A consumer says that it waits.
    pub(super) fn arises(&mut self) {
        self.is_waited_for = true;
    }

    /// The event sequence stands at `seq`.
    pub(super) fn see(&mut self, seq: i64, now: Instant) {
        if self.seen.replace(seq).is_some_and(|seen| seen != seq) {
            self.moved_at = Some(now);
            let soonest = self.met_at.map_or(now, |at| now.max(at + self.gap));
            self.ask = Some((soonest, LOOK));
        }
    }

    /// A tick was made.
    pub(super) fn is_met(&mut self, now: Instant) {
        self.is_waited_for = false;
        self.met_at = Some(now);
        let is_busy = self.seen.zip(self.met_seq).is_some_and(|(seen, before)| seen - before >= MANY);
        self.met_seq = self.seen;
        self.gap = if is_busy { BUSY_GAP } else { GAP };
        self.ask = Some((now + self.gap, LOOK));
    }

    /// The server has made no tick for the waiting consumer. It is not asked again where nothing moves for longer than [`WATCH`].
    pub(super) fn is_refused(&mut self, now: Instant) {
        self.ask = self.ask.filter(|(_, pause)| *pause < WATCH).map(|(_, pause)| (now + pause, 2 * pause));
    }

    /// Whether to ask the server for a tick now.
    pub(super) fn asks(&self, now: Instant) -> bool {
        self.is_waited_for && self.ask.is_some_and(|(at, _)| at <= now)
    }

    /// The time until the next look; `None` when to look only at each check.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.moved_at.filter(|_| self.is_waited_for)?);
        (silence < WATCH).then_some(if silence < LIVELY { SOON } else { LOOK })
    }

    /// Whether to look at the event sequence.
    pub(super) fn is_watched(&self, now: Instant) -> bool {
        self.pause(now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn queue_is_watched_while_somebody_waits_and_events_come() {
        let start = Instant::now();
        let mut demand = Demand::default();
        demand.see(7, start);
        demand.arises();
        assert!(!demand.asks(start) && !demand.is_watched(start), "nothing has moved yet");
        demand.see(8, start);
        assert!(demand.asks(start) && demand.is_watched(start + WATCH.saturating_sub(LOOK)));
        assert_eq!(demand.pause(start + LIVELY.saturating_sub(SOON)), Some(SOON));
        assert_eq!(demand.pause(start + LIVELY), Some(LOOK));
        assert!(!demand.is_watched(start + WATCH));
        demand.see(8, start + WATCH);
        assert!(!demand.is_watched(start + WATCH));
        demand.is_met(start + WATCH);
        demand.see(9, start + WATCH);
        assert!(!demand.asks(start + WATCH) && !demand.is_watched(start + WATCH));
        demand.arises();
        assert!(demand.is_watched(start + WATCH));
        assert!(!demand.asks(start + WATCH) && demand.asks(start + WATCH + GAP), "not so soon after a tick");
    }

    #[test]
    fn server_is_asked_in_growing_pauses_until_the_sequence_moves() {
        let start = Instant::now();
        let mut demand = Demand::default();
        demand.see(1, start);
        demand.see(2, start);
        demand.is_met(start);
        demand.arises();
        let mut asked = Vec::new();
        for millis in (0..500).step_by(10) {
            let now = start + Duration::from_millis(millis);
            demand.see(if millis < 400 { 2 } else { 3 }, now);
            if demand.asks(now) {
                demand.is_refused(now);
                asked.push(millis);
            }
        }
        assert_eq!(asked, [20, 30, 50, 90, 170, 330, 400, 410, 430, 470]);
    }

    #[test]
    fn ticks_of_many_events_come_less_often() {
        let start = Instant::now();
        let second = start + GAP;
        for (events, gap) in [(MANY - 1, GAP), (MANY, BUSY_GAP)] {
            let mut demand = Demand::default();
            demand.see(1, start);
            demand.is_met(start);
            demand.see(1 + events, second);
            demand.is_met(second);
            demand.arises();
            demand.see(2 + events, second);
            assert!(!demand.asks(second + gap.saturating_sub(LOOK)) && demand.asks(second + gap), "{events} events");
        }
    }
}
