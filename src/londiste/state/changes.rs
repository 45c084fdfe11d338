//! Wakes the tasks of one process when one of them has changed the state of a table.
//!
//! 1. A copy reads `wanna-sync`.
//! 2. Replay writes `do-sync` and announces the change.
//! 3. The copy begins to wait, and misses the announcement.
//!
//! Rule: take a [`ChangeListener`] *before* reading the state. It remembers every announcement since it was taken, so the
//! wait ends at once. Another process may change a state without an announcement here, so states are also read again
//! after [`LONGEST_WAIT`].

use std::time::Duration;

use tokio::sync::watch;

/// How long a wait for a change lasts when nothing is announced.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Announces changes of table states to the tasks of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct StateChanges(watch::Sender<()>);

/// Waits for announcements.
#[derive(Debug)]
pub(crate) struct ChangeListener(watch::Receiver<()>);

impl StateChanges {
    /// A new channel with no listener.
    pub(crate) fn new() -> StateChanges {
        StateChanges(watch::Sender::new(()))
    }

    /// Tells all listeners that the state of a table has changed.
    pub(crate) fn announce(&self) {
        self.0.send_replace(());
    }

    /// A listener for every announcement from now on.
    pub(crate) fn listener(&self) -> ChangeListener {
        ChangeListener(self.0.subscribe())
    }
}

impl ChangeListener {
    /// Returns when a change was announced since the last return, or after [`LONGEST_WAIT`]. Cancel-safe.
    pub(crate) async fn changed_or_timeout(&mut self) {
        let _ = tokio::time::timeout(LONGEST_WAIT, self.changed()).await;
    }

    /// Returns when a change was announced since the last return. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // All senders are gone: nothing will be announced any more.
            std::future::pending::<()>().await;
        }
    }
}
