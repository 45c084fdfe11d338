//! How long a job waits after an error, and how often it logs one. Pure: the caller passes the time and a random number.

use std::time::{Duration, Instant};

/// The shortest wait after a transient error.
const FIRST: Duration = Duration::from_secs(1);

/// The wait after any other error, and the longest wait: that of SkyTools.
const LONGEST: Duration = Duration::from_secs(20);

/// An error with the same text as the last one is logged once in this time.
const SILENCE: Duration = Duration::from_mins(1);

/// The errors of a job: how many came in a row, and the last one that was logged.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    in_a_row: u32,
    last: Option<Logged>,
}

#[derive(Debug)]
struct Logged {
    text: String,
    at: Instant,
    unlogged: u32,
}

/// What to do with the text of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// Log it.
    Now {
        /// How many errors with this text were not logged since the last time.
        unlogged: u32,
    },
    /// Do not log it: the same text was logged within the last minute.
    Nothing,
}

impl Faults {
    /// Notes a success: the next error starts with the shortest wait. The last logged error stays known, so that a job
    /// which fails at every other turn does not fill the log.
    pub(crate) fn clear(&mut self) {
        self.in_a_row = 0;
    }

    /// How long to wait after one more transient error: up to 2 s, 4 s, and so on to 20 s after errors in a row. `chance`, a
    /// random number from 0 to 1, takes away up to half, so that many jobs do not connect to a restarted server at the same
    /// moment.
    pub(crate) fn wait_after_transient(&mut self, chance: f64) -> Duration {
        let longest = FIRST.saturating_mul(2 << self.in_a_row.min(5)).min(LONGEST);
        self.in_a_row += 1;
        longest.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }

    /// How long to wait after an error that stays: 20 s.
    pub(crate) fn wait_after_lasting() -> Duration {
        LONGEST
    }

    /// Whether to log an error with this text now.
    pub(crate) fn say(&mut self, text: &str, now: Instant) -> Say {
        if let Some(last) = self.last.as_mut().filter(|last| last.text == text) {
            if now.saturating_duration_since(last.at) < SILENCE {
                last.unlogged += 1;
                return Say::Nothing;
            }
            last.at = now;
            return Say::Now { unlogged: std::mem::take(&mut last.unlogged) };
        }
        self.last = Some(Logged { text: text.to_owned(), at: now, unlogged: 0 });
        Say::Now { unlogged: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn waits_double_up_to_twenty_seconds() {
        let mut faults = Faults::default();
        let waits: Vec<u64> = (0..6).map(|_| faults.wait_after_transient(0.0).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 20, 20]);
        faults.clear();
        assert_eq!(faults.wait_after_transient(0.0), seconds(2));
    }

    #[test]
    fn chance_takes_away_up_to_half() {
        let mut faults = Faults::default();
        let waits: Vec<u64> = (0..6).map(|_| faults.wait_after_transient(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn error_that_stays_waits_longest_at_once() {
        assert_eq!(Faults::wait_after_lasting(), seconds(20));
    }

    #[test]
    fn same_text_is_said_once_a_minute_with_its_count() {
        let mut faults = Faults::default();
        let start = Instant::now();
        assert_eq!(faults.say("a", start), Say::Now { unlogged: 0 });
        assert_eq!(faults.say("a", start + seconds(20)), Say::Nothing);
        assert_eq!(faults.say("a", start + seconds(40)), Say::Nothing);
        assert_eq!(faults.say("a", start + seconds(61)), Say::Now { unlogged: 2 });
        assert_eq!(faults.say("a", start + seconds(62)), Say::Nothing);
        assert_eq!(faults.say("b", start + seconds(63)), Say::Now { unlogged: 0 });
        assert_eq!(faults.say("a", start + seconds(64)), Say::Now { unlogged: 0 });
    }
}
