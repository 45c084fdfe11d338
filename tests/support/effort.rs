//! How many of many cases of one kind a run tries.

use std::env;
use std::process;
use std::time::{Duration, Instant};

/// The first case to try and the distance to the next one: each `share`-th case, from another one on each time. With
/// `NAME=all` in the environment, all cases.
pub fn cases(name: &str, share: usize) -> (usize, usize) {
    if env::var(name).is_ok_and(|effort| effort == "all") {
        return (0, 1);
    }
    (usize::try_from(process::id()).unwrap() % share, share)
}

/// The number in a variable of the environment, if there is one.
pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

/// Calls `check` with the seeds to try: the one in the environment's `NAME_SEED`; or the fixed ones, and then new ones for `NAME_SECONDS`.
pub fn seeds(name: &str, fixed: impl IntoIterator<Item = u64>, mut check: impl FnMut(u64)) {
    if let Some(seed) = number(&format!("{name}_SEED")) {
        return check(seed);
    }
    fixed.into_iter().for_each(&mut check);
    let Some(seconds) = number(&format!("{name}_SECONDS")) else { return };
    let started = Instant::now();
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let mut seed = u64::try_from(nanos % 1_000_000_000_007).unwrap();
    while started.elapsed() < Duration::from_secs(seconds) {
        seed += 1;
        check(seed);
    }
}
