//! Waiting by polling. The pauses are short because a test should not idle, the limit is long because a loaded machine
//! is no failure: a limit that is reached in practice means that the thing never happens.

use std::fmt::Display;
use std::panic::Location;
use std::thread;
use std::time::{Duration, Instant};

/// The pause grows with the time that has passed: what takes long is not asked for often.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

const LIMIT: Duration = Duration::from_mins(3);

/// Calls `condition` until it is `Ok` and returns its value; panics with the last status after three minutes.
#[track_caller]
pub fn wait_until<T, S: Display>(description: &str, condition: impl FnMut() -> Result<T, S>) -> T {
    wait_within(LIMIT, description, condition)
}

/// As [`wait_until`], with another limit.
#[track_caller]
pub fn wait_within<T, S: Display>(
    limit: Duration,
    description: &str,
    mut condition: impl FnMut() -> Result<T, S>,
) -> T {
    let caller = Location::caller();
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(status) if start.elapsed() >= limit => {
                panic!("{caller}: waited {} s until {description}; last status: {status}", limit.as_secs())
            }
            Err(_) => thread::sleep((start.elapsed() / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)),
        }
    }
}
