//! The loop of a daemon. The loop, not the job, sleeps between turns, reloads the ini file, ends sessions after errors
//! and logs errors.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use super::control::Control;
use super::health::Health;
use super::log::critical;
use super::retry::{Faults, Say};
use super::service;
use crate::error::{Error, Report, Result};
use crate::text::Lines;

/// What follows a turn of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    /// There may be more work: start the next turn at once.
    Again,
    /// No work is left: sleep before the next turn.
    Idle,
}

/// A job that runs until it is stopped.
pub(crate) trait Work: Send {
    /// Does one turn; opens sessions where needed. Must return soon after a stop is requested: from inner waits when
    /// [`Control::stopped`] returns, and with [`Error::Aborted`] when [`Control::abort`] fires.
    fn work(&mut self) -> impl Future<Output = Result<Worked>> + Send;

    /// Drops all sessions; called after each error, which may have left a transaction open, and at the end.
    fn disconnect(&mut self);

    /// Reads the ini file again. After an error the job must go on with its old settings.
    fn reload(&mut self) -> Result<()>;

    /// How long to sleep when idle.
    fn loop_delay(&self) -> Duration;

    /// The job's name in messages.
    fn name(&self) -> &str;
}

/// Works until a stop is requested. Returns `Ok` when the work at hand was finished, [`Error::Aborted`] when it was
/// aborted. All other errors are logged here, and the work goes on after a pause. `health` is told how each turn ends.
pub(crate) async fn run_loop(job: &mut impl Work, control: &Control, health: &Health) -> Result<()> {
    let pulse = health.pulse();
    let mut generation = control.reload_generation();
    let mut faults = Faults::default();
    while !control.stopping() {
        let current = control.reload_generation();
        if current != generation {
            generation = current;
            reload(job);
        }
        match beating(job.work(), health).await {
            Ok(worked) => {
                faults.clear();
                pulse.turned(None);
                service::good_round(health);
                if worked == Worked::Idle {
                    pause(control, generation, job.loop_delay()).await;
                }
            }
            // After an abort, any error may be that of a cancelled statement or a closed connection.
            Err(error) if control.abort().is_cancelled() || matches!(error, Error::Aborted) => {
                job.disconnect();
                // Opening a session gives Error::Aborted also after a request to finish.
                let finishes = control.stopping() && !control.abort().is_cancelled();
                return if finishes { Ok(()) } else { Err(Error::Aborted) };
            }
            Err(error) => {
                job.disconnect();
                pulse.turned(Some(Report(&error).message()));
                report(job.name(), &error, &mut faults);
                let wait = if error.is_transient() {
                    faults.wait_after_transient(rand::random())
                } else {
                    Faults::wait_after_lasting()
                };
                pause(control, generation, wait).await;
            }
        }
    }
    job.disconnect();
    if control.abort().is_cancelled() { Err(Error::Aborted) } else { Ok(()) }
}

/// Does the work, which may take longer than the service manager waits for a sign of life.
async fn beating<T>(work: impl Future<Output = T>, health: &Health) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(service::beat()) => service::alive(health),
        }
    }
}

/// Sleeps, unless a reload was requested since the loop read `seen`: [`Control::sleep`] does not wake for that one.
async fn pause(control: &Control, seen: u64, duration: Duration) {
    if control.reload_generation() == seen {
        control.sleep(duration).await;
    }
}

fn reload(job: &mut impl Work) {
    match service::reloading(|| job.reload()) {
        Ok(()) => tracing::debug!("Job {} has read its ini file again", job.name()),
        Err(error) => tracing::error!("Job {} keeps its settings: {}", job.name(), Report(&error)),
    }
}

fn report(name: &str, error: &Error, faults: &mut Faults) {
    let text = Report(error).to_string();
    match faults.say(&text, Instant::now()) {
        Say::Now { unlogged: 0 } => critical(format_args!("Job {name} crashed: {}", Lines(&text))),
        Say::Now { unlogged } => {
            let text = format!("{text}\nDETAIL: The same happened {unlogged} times since the last line.");
            critical(format_args!("Job {name} crashed: {}", Lines(text)));
        }
        Say::Nothing => tracing::debug!("Job {name} crashed in the same way again"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use pretty_assertions::assert_eq;
    use tokio::signal::unix::SignalKind;
    use tokio::sync::watch;

    use super::*;

    /// A job that does what it is told and writes down what happens to it.
    struct Script {
        turns: VecDeque<Turn>,
        seen: Vec<&'static str>,
        control: Control,
        generation: watch::Sender<u64>,
        reload_fails: bool,
    }

    #[derive(Clone, Copy)]
    enum Turn {
        Again,
        Idle,
        Fails,
        Aborts,
        AsksToStop,
        AsksToAbort,
        AsksToReload,
    }

    impl Script {
        fn new(turns: &[Turn]) -> Script {
            let (generation, reload) = watch::channel(0);
            let turns = turns.iter().copied().collect();
            Script { turns, seen: Vec::new(), control: Control::new(reload), generation, reload_fails: false }
        }

        fn fault() -> Error {
            Error::refused("it does not work", "")
        }

        async fn run(&mut self) -> Result<()> {
            let control = self.control.clone();
            run_loop(self, &control, &Health::default()).await
        }
    }

    impl Work for Script {
        async fn work(&mut self) -> Result<Worked> {
            self.seen.push("work");
            tokio::task::yield_now().await;
            match self.turns.pop_front() {
                Some(Turn::Again) => Ok(Worked::Again),
                Some(Turn::Idle) => Ok(Worked::Idle),
                Some(Turn::Fails) => Err(Script::fault()),
                Some(Turn::Aborts) => Err(Error::Aborted),
                Some(Turn::AsksToReload) => {
                    self.generation.send_modify(|generation| *generation += 1);
                    Ok(Worked::Idle)
                }
                Some(Turn::AsksToAbort) => {
                    self.control.request_abort(SignalKind::terminate());
                    Err(Script::fault())
                }
                Some(Turn::AsksToStop) | None => {
                    self.control.request_finish();
                    Ok(Worked::Idle)
                }
            }
        }

        fn disconnect(&mut self) {
            self.seen.push("disconnect");
        }

        fn reload(&mut self) -> Result<()> {
            self.seen.push("reload");
            if self.reload_fails { Err(Script::fault()) } else { Ok(()) }
        }

        fn loop_delay(&self) -> Duration {
            // Longer than any test may take; only a request ends it.
            if self.turns.is_empty() { Duration::ZERO } else { Duration::from_mins(10) }
        }

        fn name(&self) -> &'static str {
            "script"
        }
    }

    #[tokio::test]
    async fn work_goes_on_until_a_stop_is_requested() -> anyhow::Result<()> {
        let mut job = Script::new(&[Turn::Again, Turn::Again, Turn::AsksToStop, Turn::Again]);
        job.run().await?;
        assert_eq!(job.seen, ["work", "work", "work", "disconnect"]);
        Ok(())
    }

    #[tokio::test]
    async fn idle_job_and_pausing_job_wake_for_a_stop() -> anyhow::Result<()> {
        for turn in [Turn::Idle, Turn::Fails] {
            let mut job = Script::new(&[turn, Turn::Again]);
            let control = job.control.clone();
            let stopper = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                control.request_finish();
            });
            let start = Instant::now();
            job.run().await?;
            stopper.await?;
            assert!(start.elapsed() < Duration::from_secs(10));
            assert_eq!(job.turns.len(), 1);
        }
        Ok(())
    }

    #[tokio::test]
    async fn reload_comes_before_the_next_turn_and_may_fail() -> anyhow::Result<()> {
        for reload_fails in [false, true] {
            let mut job = Script::new(&[Turn::AsksToReload, Turn::AsksToStop]);
            job.reload_fails = reload_fails;
            job.run().await?;
            assert_eq!(job.seen, ["work", "reload", "work", "disconnect"]);
        }
        Ok(())
    }

    #[tokio::test]
    async fn error_closes_the_sessions_before_the_next_turn() -> anyhow::Result<()> {
        let mut job = Script::new(&[Turn::Fails, Turn::AsksToStop]);
        // A reload wakes the pause.
        let generation = job.generation.clone();
        let waker = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            generation.send_modify(|generation| *generation += 1);
        });
        job.run().await?;
        waker.await?;
        assert_eq!(job.seen, ["work", "disconnect", "reload", "work", "disconnect"]);
        Ok(())
    }

    #[tokio::test]
    async fn abort_ends_at_once_whatever_the_work_says() {
        for turn in [Turn::Aborts, Turn::AsksToAbort] {
            let mut job = Script::new(&[turn, Turn::Again]);
            assert!(matches!(job.run().await, Err(Error::Aborted)));
            assert_eq!(job.seen, ["work", "disconnect"]);
        }
    }
}
