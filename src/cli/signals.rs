//! `-s`, `-k`, `-r`: signals to a running job. They need no command and run none. That nothing runs is a warning, not a
//! failure: set-up scripts stop what may not be there.

use nix::sys::signal::Signal;

use super::options::Options;
use super::process::{section, verbosity};
use super::program::Program;
use crate::config::{self, File};
use crate::error::Result;
use crate::job::log::Log;
use crate::job::pidfile::{Status, signal, status, with_suffix};

/// The signal that the options ask for.
pub(super) fn requested(options: &Options) -> Option<Signal> {
    match (options.stop, options.kill, options.reload) {
        (true, ..) => Some(Signal::SIGINT),
        (_, true, _) => Some(Signal::SIGTERM),
        (.., true) => Some(Signal::SIGHUP),
        _ => None,
    }
}

/// Sends it to the job of the ini file and does not wait for what follows.
pub(super) fn send(program: Program, file: &File, which: Signal, options: &Options) -> Result<()> {
    let pidfile = config::pidfile(file, section(program, file))?;
    // Only on standard error: a log file made by whoever sends the signal might be closed to the job itself.
    Log::on_stderr(verbosity(options))?;
    let Some(pidfile) = &pidfile else {
        tracing::warn!("No pidfile in config, nothing todo");
        return Ok(());
    };
    if program == Program::Londiste && which != Signal::SIGHUP {
        let copy = with_suffix(pidfile, ".copy");
        if status(&copy)? != Status::Missing {
            tracing::info!("Signaling running COPY first");
            // TERM in any case: to finish a copy could take hours.
            report(signal(&copy, Signal::SIGTERM)?);
        }
    }
    report(signal(pidfile, which)?);
    Ok(())
}

fn report(status: Status) {
    match status {
        Status::Missing => tracing::warn!("No pidfile, process not running"),
        Status::Stale => tracing::warn!("pidfile exist, but process not running"),
        Status::NotHeld(pid) => tracing::warn!(
            "pidfile exist, but process {pid} does not hold it: nothing is signaled. If this is a job of another program, \
             such as londiste.py, end it with that"
        ),
        Status::Running(_) => {}
    }
}
