//! How far the open batch is, for those who look on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many events of the batch that is being applied the subscriber has executed, with those before them that are not for it.
/// Nothing of it is committed before the end of the batch. Clones share the number.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenBatch(Arc<AtomicU64>);

impl OpenBatch {
    /// 0 when no batch is open, and while the first chunk of one is applied.
    pub(crate) fn events(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn reach(&self, events: u64) {
        self.0.store(events, Ordering::Relaxed);
    }

    /// No batch is open any more.
    pub(super) fn close(&self) {
        self.reach(0);
    }
}
