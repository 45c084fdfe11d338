//! The loop of a daemon. The loop, not the job, sleeps, reloads, reconnects and reports.

use std::future::Future;
use std::time::{Duration, Instant};

use super::control::Control;
use super::log::critical;
use super::retry::{Faults, Say};
use crate::error::{Error, Report, Result};

/// What a turn of work came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worked {
    /// There may be more: start the next turn at once.
    Again,
    /// Nothing is left: sleep before the next turn.
    Idle,
}

/// A job that runs until it is stopped.
pub trait Work: Send {
    /// One turn. Opens the sessions that it does not have. A stop request must not wait for long: return early from
    /// inner waits when [`Control::finish`] fires, and with [`Error::Aborted`] when [`Control::abort`] does.
    fn work(&mut self) -> impl Future<Output = Result<Worked>> + Send;

    /// Drops all sessions; called after each error, since what was open in them is unknown then.
    fn disconnect(&mut self);

    /// Reads the ini file again. After an error the job must go on with what it had.
    fn reload(&mut self) -> Result<()>;

    /// How long to sleep when idle.
    fn loop_delay(&self) -> Duration;

    /// The job's name in messages.
    fn name(&self) -> &str;
}

/// Works until a stop is requested. Returns `Ok` when the work at hand was finished first, [`Error::Aborted`] when it
/// was cut short. All other errors are logged here, and the work goes on after a pause.
pub async fn run_loop(job: &mut impl Work, control: &Control) -> Result<()> {
    let mut generation = control.reload_generation();
    let mut faults = Faults::default();
    while !control.stopping() {
        let current = control.reload_generation();
        if current != generation {
            generation = current;
            reload(job);
        }
        match job.work().await {
            Ok(worked) => {
                faults.clear();
                if worked == Worked::Idle {
                    pause(control, generation, job.loop_delay()).await;
                }
            }
            // A cancelled statement or a closed connection is what an abort looks like from inside.
            Err(error) if control.abort().is_cancelled() || matches!(error, Error::Aborted) => {
                job.disconnect();
                return Err(Error::Aborted);
            }
            Err(error) => {
                job.disconnect();
                report(job.name(), &error, &mut faults);
                pause(control, generation, faults.wait(error.is_transient(), rand::random())).await;
            }
        }
    }
    job.disconnect();
    if control.abort().is_cancelled() { Err(Error::Aborted) } else { Ok(()) }
}

/// Sleeps, unless a reload was requested since the loop looked: that one would not wake the sleeper.
async fn pause(control: &Control, seen: u64, duration: Duration) {
    if control.reload_generation() == seen {
        control.sleep(duration).await;
    }
}

fn reload(job: &mut impl Work) {
    match job.reload() {
        Ok(()) => tracing::debug!("Job {} has read its ini file again", job.name()),
        Err(error) => tracing::error!("Job {} keeps its settings: {}", job.name(), Report(&error)),
    }
}

fn report(name: &str, error: &Error, faults: &mut Faults) {
    let text = Report(error).to_string();
    match faults.say(&text, Instant::now()) {
        Say::Now { unlogged: 0 } => critical(format_args!("Job {name} crashed: {text}")),
        Say::Now { unlogged } => {
            critical(format_args!(
                "Job {name} crashed: {text}\nDETAIL: The same happened {unlogged} times since the last line."
            ));
        }
        Say::Nothing => tracing::debug!("Job {name} crashed in the same way again"),
    }
}
