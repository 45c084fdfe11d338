//! Warnings about a state that lasts: said at once, then again only after a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The same warning is given once in this time.
const PERIOD: Duration = Duration::from_mins(10);

/// When each warning was given last.
#[derive(Debug, Default)]
pub(super) struct Reminders(HashMap<String, Instant>);

impl Reminders {
    /// Whether to give the warning that `key` stands for now; it counts as given then.
    pub(super) fn due(&mut self, key: &str, now: Instant) -> bool {
        // Forgetting the old ones keeps the map as small as the number of things that are wrong.
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
