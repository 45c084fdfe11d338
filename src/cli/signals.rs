//! `-s`, `-k`, `-r`: signals to a running job. They need no command and run none. As in SkyTools, a job that does not
//! run is a warning and no failure: scripts stop jobs that may not run.

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

/// Sends the signal to the job of the ini file, and does not wait until the job has acted on it. For replication, INT and
/// TERM end a running `copy` first.
pub(super) fn send(program: Program, file: &File, which: Signal, options: &Options) -> Result<()> {
    let pidfile = config::pidfile(file, section(program, file))?;
    // Only to standard error: the job's user might not have access to a log file that the sender of the signal creates.
    Log::on_stderr(verbosity(options))?;
    let Some(pidfile) = &pidfile else {
        tracing::warn!("No pidfile in config, nothing todo");
        return Ok(());
    };
    if program == Program::Londiste && which != Signal::SIGHUP {
        let copy = with_suffix(pidfile, ".copy");
        if status(&copy)? != Status::Missing {
            tracing::info!("Signaling running COPY first");
            // Always TERM, since finishing a copy could take hours.
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
