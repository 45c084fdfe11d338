//! Whether the loops of a process turn, for those who ask from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the last rounds of all loops of this process ended. Cheap to clone; clones share the loops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<Loops>>);

#[derive(Debug, Default)]
struct Loops {
    /// The number of the next loop.
    next: u64,
    /// Of each loop, why its last round failed; `None` after a good round, and before the end of the first one.
    failures: BTreeMap<u64, Option<String>>,
}

/// The side of one loop, which says how its rounds end. Dropped, the loop does not count any more.
#[derive(Debug)]
pub(super) struct Pulse {
    health: Health,
    number: u64,
}

impl Health {
    /// A new loop, which counts as good until its first round fails.
    pub(super) fn pulse(&self) -> Pulse {
        let mut loops = self.loops();
        let number = loops.next;
        loops.next += 1;
        loops.failures.insert(number, None);
        Pulse { health: self.clone(), number }
    }

    /// Why the last round of a loop failed, on one line; `None` when the last rounds of all loops were good.
    pub(crate) fn failure(&self) -> Option<String> {
        self.loops().failures.values().flatten().next().cloned()
    }

    fn loops(&self) -> MutexGuard<'_, Loops> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    /// A round ended: with `failure` on one line, or well.
    pub(super) fn turned(&self, failure: Option<String>) {
        self.health.loops().failures.insert(self.number, failure);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.health.loops().failures.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loop_counts_until_it_ends() {
        let health = Health::default();
        let (first, second) = (health.pulse(), health.pulse());
        assert_eq!(health.failure(), None);
        second.turned(Some("it broke".to_owned()));
        first.turned(None);
        assert_eq!(health.failure().as_deref(), Some("it broke"));
        second.turned(None);
        assert_eq!(health.failure(), None);
        second.turned(Some("it broke".to_owned()));
        drop(second);
        assert_eq!(health.failure(), None);
    }
}
