//! The operator's requests to a running process: finish, abort, reload.
//!
//! INT asks to finish the work at hand; TERM, or a second INT, to cancel the running statement and end at once; HUP to
//! read the ini file again. The signal task stays in its loop after the first signal, so that a later abort still works.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Error, Result};
use crate::task::Abort;

/// The requests of the operator, shared by all tasks of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    finish: CancellationToken,
    abort: Abort,
    abort_signal: Arc<OnceLock<u8>>,
    reload: watch::Receiver<u64>,
}

/// The task that turns signals into requests. Dropping ends the task; INT, TERM and HUP are ignored from then on.
#[derive(Debug)]
pub(crate) struct Signals {
    _task: AbortOnDropHandle<()>,
}

/// What a first INT means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Finish the work at hand: a job ends after its batch.
    Finishes,
    /// Abort: a command that runs once has no smaller piece of work to finish.
    Aborts,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The time is over.
    Elapsed,
    /// A stop was requested: finish or abort.
    Stop,
    /// The ini file is to be read again.
    Reload,
}

impl Control {
    /// Handles INT, TERM and HUP of this process until the [`Signals`] are dropped. Call once, inside the runtime.
    /// Fails with [`Error::System`].
    pub(crate) fn install(interrupt: Interrupt) -> Result<(Control, Signals)> {
        let failed = |source| Error::System { action: "handle signals", source };
        let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut term = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hup = signal(SignalKind::hangup()).map_err(failed)?;
        let (generation, reload) = watch::channel(0);
        let control = Control::new(reload);
        let requests = control.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = int.recv() => match interrupt {
                        Interrupt::Finishes if !requests.stopping() => requests.request_finish(),
                        Interrupt::Finishes | Interrupt::Aborts => requests.request_abort(SignalKind::interrupt()),
                    },
                    _ = term.recv() => requests.request_abort(SignalKind::terminate()),
                    _ = hup.recv() => generation.send_modify(|g| *g += 1),
                }
            }
        });
        Ok((control, Signals { _task: AbortOnDropHandle::new(task) }))
    }

    pub(super) fn new(reload: watch::Receiver<u64>) -> Control {
        let finish = CancellationToken::new();
        Control { abort: Abort::after(finish.clone()), finish, abort_signal: Arc::default(), reload }
    }

    pub(super) fn request_finish(&self) {
        self.finish.cancel();
    }

    pub(super) fn request_abort(&self, signal: SignalKind) {
        // The first signal counts.
        let _ = self.abort_signal.set(u8::try_from(signal.as_raw_value()).unwrap_or_default());
        self.abort.cancel();
        self.finish.cancel();
    }

    /// The number of the first signal that asked to abort.
    pub(crate) fn abort_signal(&self) -> Option<u8> {
        self.abort_signal.get().copied()
    }

    /// Whether a stop was requested: finish or abort.
    pub(crate) fn stopping(&self) -> bool {
        self.finish.is_cancelled()
    }

    /// The request to abort, at which running statements are cancelled, and the tasks of the process.
    pub(crate) fn abort(&self) -> &Abort {
        &self.abort
    }

    /// How many reloads have been requested. A loop compares the number with that of its last turn.
    pub(crate) fn reload_generation(&self) -> u64 {
        *self.reload.borrow()
    }

    /// Waits until the number of requested reloads is not `seen` any more; returns that number. Cancel-safe.
    pub(crate) async fn reloaded(&self, seen: u64) -> u64 {
        let mut reload = self.reload.clone();
        let generation = reload.wait_for(|generation| *generation != seen).await.ok().map(|generation| *generation);
        match generation {
            Some(generation) => generation,
            // The signal task has ended: there will be no further request.
            None => std::future::pending().await,
        }
    }

    /// Waits for the duration, or until a stop or a new reload is requested. A reload from before the call does not count.
    pub(crate) async fn sleep(&self, duration: Duration) -> Wake {
        let mut reload = self.reload.clone();
        reload.mark_unchanged();
        tokio::select! {
            () = tokio::time::sleep(duration) => Wake::Elapsed,
            () = self.finish.cancelled() => Wake::Stop,
            Ok(()) = reload.changed() => Wake::Reload,
        }
    }

    /// Waits until a stop is requested: finish or abort. Cancel-safe.
    pub(crate) async fn stopped(&self) {
        self.finish.cancelled().await;
    }
}
