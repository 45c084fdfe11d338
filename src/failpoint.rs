//! Places between two steps of a protocol, at which a test can end the process.
//!
//! Only a program built with the cargo feature `failpoints` has them: it reads the environment variable `FAILPOINTS` once,
//! at its start, and `FAILPOINTS='batch::committed=return'` makes it end by SIGKILL when it comes to that place. Of the actions
//! of crate `fail` also `off`, `sleep(MILLISECONDS)` and counts (`2*off->return`: at the third time) are of use here.
//! Without the feature, [`failpoint!`] is nothing and the variable is not read.
//!
//! A name is `room::step`. The room is what is being done; the step has just been done when the place is reached. Each name
//! stands at one place, and has its row in `tests/crash_table`, which says what such an end leaves behind.

/// Marks the place behind a step: `failpoint!("room::step")`.
#[cfg(feature = "failpoints")]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::failpoint::reached($name)
    };
}

/// Marks the place behind a step: `failpoint!("room::step")`. Nothing without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
macro_rules! failpoint {
    ($name:literal) => {};
}

pub(crate) use failpoint;

/// Reads `FAILPOINTS`. Panics when the variable cannot be understood, so that no test passes by a spelling mistake.
#[cfg(feature = "failpoints")]
pub(crate) fn read_environment() {
    // The places are forgotten when the scenario is dropped.
    std::mem::forget(fail::FailScenario::setup());
}

/// Does nothing: the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn read_environment() {}

/// Does what `FAILPOINTS` says for the place.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(name: &'static str) {
    fail::fail_point!(name, |_| end());
}

/// Ends the process as a crash does: no destructor runs, no connection is closed in order.
#[cfg(feature = "failpoints")]
fn end() {
    // Does not return.
    let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
}
