//! Behind the point of no return: the old side is closed for good, the new side opens, replication turns round. Each step can be
//! repeated.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::process::Command;

use super::gate::{self, Closed};
use super::sides::{Course, Sides, consumer, pause};
use super::task::{Task, moved};
use super::{arm, hook};
use crate::config;
use crate::error::{Error, Report, Result};
use crate::failpoint::failpoint;
use crate::job::Control;
use crate::job::pidfile::{self, Status};
use crate::londiste::fence::{self, Closing, State};
use crate::londiste::switchover::{self, Phase, Stored};
use crate::londiste::{sequence_gap, sequences, way_back};
use crate::pg::{Db, text};
use crate::text::Lines;

/// How long a daemon has to end after it was asked to; then it is told to cancel its work.
const DAEMON_END: Duration = Duration::from_secs(10);

/// Time between two looks at something that ends.
const POLL: Duration = Duration::from_millis(5);

/// Whether everything went well behind the point of no return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Good,
    WithWarnings,
}

/// Steps 10 to 13. `closed` is `None` when an earlier call was ended behind the point of no return.
pub(super) async fn run(task: &Task<'_>, stored: &Stored, closed: Option<Closed>) -> Result<Taken> {
    let Task { way, sides, control, .. } = *task;
    let Sides { old, new } = sides;
    let mut course = Course::begin();
    if closed.is_none() {
        // The state that an earlier call has set may not be on the disk.
        let (message, queue) = (moved(new), Some(""));
        let deadline = Instant::now() + task.command.timeout;
        gate::close(old, deadline, control, async || {
            let hint = "Connect to the new database.";
            Ok(Closing { queue, from: State::CLOSED, to: State::CLOSED, message: &message, hint })
        })
        .await?;
    }
    let (state, _) = fence::state(new).await?;
    // Writers may have drawn values on the new side since it is open.
    if state == State::CLOSED {
        sides.store(way, &Stored { phase: Phase::Final, ..*stored }).await?;
        if let Some(pidfile) = &way.running.common.pidfile {
            // Its end is waited for later. One that gets no signal ends by the loss of its consumer.
            let _ = pidfile::signal(pidfile, Signal::SIGINT);
        }
        consumer(&way.running).unregister(old).await?;
        end_sessions(task).await?;
        course.step(10, format_args!("replay of consumer {} has ended", way.running.pgq_consumer_id));
        failpoint!("switchover::unregistered");
        let set = set_sequences(task).await?;
        let restored = way_back::restore_triggers(new, &task.set.tables).await?;
        let gap = match task.command.seq_gap {
            0 => String::new(),
            gap => format!(" with a gap of {gap} values"),
        };
        course.step(11, format_args!("{set} sequences are set{gap}, triggers of {restored} tables are there again"));
        failpoint!("switchover::sequences_set");
        fence::open(new, State::CLOSED).await?;
        course.step(12, format_args!("{} is open", new.target()));
        let seconds = match &closed {
            Some(closed) => Some(closed.since.elapsed().as_secs_f64()),
            None => switchover::seconds_fenced(old, &way.queue).await?,
        };
        if let Some(seconds) = seconds {
            tracing::info!("Nobody could write for {seconds:.3} s");
        }
    }
    failpoint!("switchover::opened");
    tracing::info!("Writers are on {} now", new.target());
    sides.store(way, &Stored { phase: Phase::Open, ..*stored }).await?;
    let mut taken = Taken::Good;
    let mut warn = |text: String| {
        tracing::warn!("{text}");
        taken = Taken::WithWarnings;
    };
    if let Err(why) = hook::run("on-open", task.command.hooks.on_open.as_deref(), way).await {
        warn(why);
    }
    stop(&way.running, control).await?;
    let aside = way_back::put_triggers_aside(&way.next, control, &task.set.tables).await?;
    failpoint!("switchover::turned");
    if let Err(why) = start(&way.next).await {
        warn(why);
    }
    if let Err(error) = arm::disarm(new, control).await {
        warn(format!("tables of {} stay armed, and open: {}", new.target(), Lines(Report(&error).to_string())));
    }
    failpoint!("switchover::started");
    sides.store(way, &Stored { phase: Phase::Done, ..*stored }).await?;
    course.step(13, format_args!("replication turns round, triggers of {aside} tables are put aside"));
    let blocked = closed
        .as_ref()
        .map(|closed| format!(". Writers in a transaction held the gate for {} ms", closed.waited.as_millis()));
    tracing::info!(
        "The {} is done. {} stays closed, and follows {}{}",
        way.direction.word(),
        old.target(),
        new.target(),
        blocked.unwrap_or_default()
    );
    Ok(taken)
}

/// Ends the sessions of the running job on the new side, and waits until they are gone:
///
/// 1. Replay reads the values of sequences on the old side.
/// 2. The sequences of the new side are set to values that were read later, and the new side is opened.
/// 3. Replay sets the values of step 1: the new side draws values that rows have already.
///
/// Its consumer is not registered any more, so it gets no other batch.
async fn end_sessions(task: &Task<'_>) -> Result<()> {
    let sql = "select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
                where a.datname = pg_catalog.current_database() and a.usename = current_user
                  and a.application_name = $1 and a.pid <> pg_catalog.pg_backend_pid()";
    let new = &task.sides.new;
    let name: String = task.way.running.common.job_name.chars().take(63).collect();
    let limit = Instant::now() + DAEMON_END;
    while !new.query("end the sessions of replay", sql, &[text(&name)]).await?.is_empty() {
        if Instant::now() > limit {
            return Err(Error::blocked(
                format!("the sessions of {name} on {} did not end", new.target()),
                "Stop replay, and repeat the command.",
            ));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Sets the sequences of the new side to the values of the old side, and `--seq-gap` ahead of them. Returns how many.
async fn set_sequences(task: &Task<'_>) -> Result<usize> {
    let (Sides { old, new }, gap) = (task.sides, task.command.seq_gap);
    let mut values = Vec::new();
    for sequence in sequences::subscribed(old, new, &task.way.running.pgq_queue_name).await? {
        match sequence.value {
            Ok(value) => values.push((sequence.name, value)),
            Err(objection) => tracing::warn!("{}", objection.describe(&sequence.name)),
        }
    }
    let mut ahead = Vec::new();
    for sequence in sequence_gap::ahead(old, new, values, gap).await? {
        if !sequence.has_room {
            tracing::warn!("{}: it is set without a gap", sequence_gap::no_room(&sequence.name, gap));
        }
        ahead.push((sequence.name, sequence.value));
    }
    way_back::set_sequences(new, &ahead).await?;
    Ok(ahead.len())
}

/// Ends the daemon of a job, where its pidfile names one.
pub(super) async fn stop(job: &config::Londiste, control: &Control) -> Result<()> {
    let Some(path) = &job.common.pidfile else { return Ok(()) };
    let started = Instant::now();
    let mut signal = Signal::SIGINT;
    while let Status::Running(_) = pidfile::status(path)? {
        if started.elapsed() > DAEMON_END {
            signal = Signal::SIGTERM;
        }
        pidfile::signal(path, signal)?;
        if started.elapsed() > 2 * DAEMON_END {
            return Err(Error::blocked(
                format!("the process of {} does not end", path.display()),
                "End it, and repeat the command.",
            ));
        }
        pause(control, 20 * POLL).await?;
    }
    Ok(())
}

/// Starts the daemon of a job, unless it runs. Fails with a line that tells what the operator has to do.
pub(super) async fn start(job: &config::Londiste) -> Result<(), String> {
    let by_hand = || format!("start replay: rlondiste {} replay -d", job.path.display());
    let Some(path) = &job.common.pidfile else { return Err(format!("the ini file has no pidfile: {}", by_hand())) };
    if matches!(pidfile::status(path), Ok(Status::Running(_))) {
        return Ok(());
    }
    let failed = |what: String| format!("{what}: {}", by_hand());
    let program = own_program().map_err(|error| failed(error.to_string()))?;
    let status = daemon(&program, &job.path).status().await.map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(format!("replay did not start ({status})"))) }
}

/// The file of this program; that of a newer release where an upgrade has replaced it meanwhile.
fn own_program() -> std::io::Result<PathBuf> {
    const REPLACED: &str = " (deleted)";
    let path = std::env::current_exe()?;
    let newer = path.to_str().and_then(|path| path.strip_suffix(REPLACED)).map(PathBuf::from);
    Ok(newer.filter(|newer| newer.exists() && !path.exists()).unwrap_or(path))
}

fn daemon(program: &Path, ini: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(ini).args(["replay", "-d"]).stdin(Stdio::null());
    command
}

/// Opens and disarms a side.
pub(super) async fn free(db: &Db, task: &Task<'_>) -> Result<()> {
    let (state, _) = fence::state(db).await?;
    fence::open(db, state).await?;
    arm::disarm(db, task.control).await.map(drop)
}
