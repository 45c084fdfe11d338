//! Limits how often a warning about a state that lasts is logged.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The same warning is logged once in this time.
const PERIOD: Duration = Duration::from_mins(10);

/// When each warning was logged last.
#[derive(Debug, Default)]
pub(super) struct Reminders(HashMap<String, Instant>);

impl Reminders {
    /// Whether to log the warning `key` now; if so, it counts as logged.
    pub(super) fn due(&mut self, key: &str, now: Instant) -> bool {
        // Dropping old entries bounds the map by the number of warnings of one PERIOD.
        self.0.retain(|_, at| now.saturating_duration_since(*at) < PERIOD);
        if self.0.contains_key(key) {
            return false;
        }
        self.0.insert(key.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_given_once_in_a_period() {
        let mut reminders = Reminders::default();
        let start = Instant::now();
        assert!(reminders.due("a", start));
        assert!(!reminders.due("a", start + PERIOD / 2));
        assert!(reminders.due("b", start + PERIOD / 2));
        assert!(reminders.due("a", start + PERIOD));
        assert!(!reminders.due("b", start + PERIOD));
    }
}
