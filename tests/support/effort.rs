//! How many of many cases of one kind a run tries.

use std::env;
use std::process;

/// The first case to try and the distance to the next one: each `share`-th case, from another one on each time. With
/// `NAME=all` in the environment, all cases.
pub fn cases(name: &str, share: usize) -> (usize, usize) {
    if env::var(name).is_ok_and(|effort| effort == "all") {
        return (0, 1);
    }
    (usize::try_from(process::id()).unwrap() % share, share)
}
