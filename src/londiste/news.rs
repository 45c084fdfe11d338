//! Wakes the tasks of one replay process when one of them has changed the state of a table.
//!
//! The race: copy reads `wanna-sync`, replay writes `do-sync` and announces, copy starts to wait and sleeps through it.
//! The rule: take a [`Listener`] *before* reading the state. It remembers what was announced since, so that the wait
//! ends at once. States are also read again after a time, since another process may change them without a word.

use std::time::Duration;

use tokio::sync::watch;

/// How long a state may go unread although nothing was announced.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);

/// The announcing end; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct News(watch::Sender<()>);

/// The waiting end.
#[derive(Debug)]
pub(crate) struct Listener(watch::Receiver<()>);

impl News {
    /// A new circle of tasks.
    pub(crate) fn new() -> News {
        News(watch::Sender::new(()))
    }

    /// Tells all listeners that a state has changed.
    pub(crate) fn announce(&self) {
        self.0.send_replace(());
    }

    /// Hears everything that is announced from now on.
    pub(crate) fn listener(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Default for News {
    fn default() -> News {
        News::new()
    }
}

impl Listener {
    /// Returns when something has been announced since the last return, or after a second. Cancel-safe.
    pub(crate) async fn heard(&mut self) {
        let _ = tokio::time::timeout(LONGEST_SILENCE, self.changed()).await;
    }

    /// Returns when something has been announced since the last return. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // All announcers are gone: nothing will ever come.
            std::future::pending::<()>().await;
        }
    }
}
