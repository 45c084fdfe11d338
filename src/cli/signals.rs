//! `-s`, `-k`, `-r`: signals to a running job. They need no command and run none. As in SkyTools, a job that does not
//! run is a warning and no failure: scripts stop jobs that may not run.

use std::thread;
use std::time::{Duration, Instant};

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

/// How long the end of a job is waited for, and how often it is looked for. Who stops a job and starts it again finds the pidfile free;
/// a job that finishes a long batch goes on to do so.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// Sends the signal to the job of the ini file. Waits for the end of a job that is to end, for [`PATIENCE`] at most. For replication, INT
/// and TERM end a running `copy` first.
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
    let found = signal(pidfile, which)?;
    let started = Instant::now();
    while which != Signal::SIGHUP && matches!(found, Status::Running(_)) && started.elapsed() < PATIENCE {
        if status(pidfile)? != found {
            break;
        }
        thread::sleep(POLL);
    }
    report(found);
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
