//! What the service manager is told (systemd's `sd_notify`), where it has started the process with `NOTIFY_SOCKET`: that the first round
//! of work was good, that the ini file is read again, that the process ends, and, as a watchdog, that rounds go on being good.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::health::Health;

/// How often the text of the state is sent at most.
const PAUSE: Duration = Duration::from_secs(1);

static IS_READY: AtomicBool = AtomicBool::new(false);

static STATUS_SENT: Mutex<Option<Instant>> = Mutex::new(None);

/// How often [`alive`] has to be called: half of the time after which the service manager gives the process up, else a long time.
pub(super) fn beat() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_hours(1), |limit| (limit / 2).max(Duration::from_millis(1)))
}

/// The process works: says so where the last rounds of all its loops were good.
pub(super) fn alive(health: &Health) {
    if health.failure().is_none() && IS_READY.load(Ordering::Relaxed) {
        tell(&[NotifyState::Watchdog]);
    }
}

/// A round was good. The first one says that the process has started.
pub(super) fn good_round(health: &Health) {
    if !IS_READY.swap(true, Ordering::Relaxed) {
        tell(&[NotifyState::Ready]);
    }
    alive(health);
}

/// The ini file is about to be read again, by `reload`.
pub(super) fn reloading<T>(reload: impl FnOnce() -> T) -> T {
    if let Ok(time) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, time]);
    }
    let result = reload();
    tell(&[NotifyState::Ready]);
    result
}

/// The process ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// What the process is doing, for `systemctl status`. Sent once a second at most.
pub(crate) fn status(text: impl FnOnce() -> String) {
    let mut sent = STATUS_SENT.lock().unwrap_or_else(PoisonError::into_inner);
    if is_managed() && sent.is_none_or(|sent| sent.elapsed() >= PAUSE) {
        *sent = Some(Instant::now());
        tell(&[NotifyState::Status(&text())]);
    }
}

fn is_managed() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// A service manager that cannot be told changes nothing for the work.
fn tell(states: &[NotifyState<'_>]) {
    if is_managed() {
        let _ = sd_notify::notify(states);
    }
}
