//! What the operator asks of a running process: finish, abort, reload.
//!
//! INT asks to finish what is at hand; TERM, or a second INT, to cancel the running statement and end at once; HUP to
//! read the ini file again. The signal task stays in its loop after the first signal, so that a harsher one still works.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// The requests of the operator, shared by all tasks of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    finish: CancellationToken,
    abort: CancellationToken,
    reload: watch::Receiver<u64>,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time is over.
    Elapsed,
    /// A stop was requested: finish or abort.
    Stop,
    /// The ini file is to be read again.
    Reload,
}

impl Control {
    /// Takes over INT, TERM and HUP of this process. Call once, inside the runtime.
    pub fn install() -> Result<Control> {
        let failed = |source| Error::System { action: "handle signals", source };
        let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut term = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hup = signal(SignalKind::hangup()).map_err(failed)?;
        let (generation, reload) = watch::channel(0);
        let control = Control { finish: CancellationToken::new(), abort: CancellationToken::new(), reload };
        let (finish, abort) = (control.finish.clone(), control.abort.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = int.recv() => if finish.is_cancelled() { abort.cancel() } else { finish.cancel() },
                    _ = term.recv() => { abort.cancel(); finish.cancel() }
                    _ = hup.recv() => generation.send_modify(|g| *g += 1),
                }
            }
        });
        Ok(control)
    }

    /// Whether a stop was requested.
    pub fn stopping(&self) -> bool {
        self.finish.is_cancelled()
    }

    /// Fires when the work at hand shall be finished and nothing new be started. Abort fires this one too.
    pub fn finish(&self) -> &CancellationToken {
        &self.finish
    }

    /// Fires when the running statement shall be cancelled.
    pub fn abort(&self) -> &CancellationToken {
        &self.abort
    }

    /// How often a reload has been requested. A loop compares it with what it saw at the last turn.
    pub fn reload_generation(&self) -> u64 {
        *self.reload.borrow()
    }

    /// Waits, but not longer than until a stop or a reload is requested.
    pub async fn sleep(&self, duration: Duration) -> Wake {
        let mut reload = self.reload.clone();
        reload.mark_unchanged();
        tokio::select! {
            () = tokio::time::sleep(duration) => Wake::Elapsed,
            () = self.finish.cancelled() => Wake::Stop,
            Ok(()) = reload.changed() => Wake::Reload,
        }
    }

    /// Waits for a stop request of either kind.
    pub async fn stopped(&self) {
        self.finish.cancelled().await;
    }
}
