//! `--rehearse`: everything of a switchover that keeps nobody out, with its times, and how long the real one would.
//!
//! The time between closing and opening varies with the moment: with the batch that replay is at, and with what else the machines do.
//! So the steps of that time are rehearsed several times, and the median tells. What keeps writers out, or would stay, has a stand-in:
//!
//! * The gate: the age of the oldest transaction that writes. Where transactions come and go, one that is looked at by chance lasts as
//!   long again as it is old.
//! * A transaction that writes: another one of the same cost, whose work is taken back before its commit.
//! * A trigger that is created again: rolled back.

use std::time::{Duration, Instant};

use super::command::{Command, NOT_GOOD, WARNED};
use super::sides::{Sides, pause};
use super::task::{Ground, Task};
use super::{arm, checks};
use crate::config;
use crate::error::{Report, Result};
use crate::job::{Control, Output};
use crate::londiste::{fence, sequences, switchover, way_back};
use crate::pg::Db;
use crate::pgq::consumer::make_tick;
use crate::text::Lines;

/// So often the time without writes is rehearsed.
const TRIES: usize = 7;

/// Between two tries.
const APART: Duration = Duration::from_millis(200);

/// The longest that a try waits at the gate.
const LONGEST_GATE: Duration = Duration::from_millis(500);

/// How long replay's sessions take to end.
const SESSIONS_END: Duration = Duration::from_millis(5);

/// Transactions of the steps 3 to 12 that write, without those of the tick and of the triggers: the two closings, the two positions, how
/// far the switchover is, the consumer's end.
const OLD_WRITES: usize = 6;

/// On the new side: the tick, the consumer, how far the switchover is, the sequences, the opening.
const NEW_WRITES: usize = 5;

/// Calls of the steps 7 to 12 that only read: two of the consumer, the state of the fence, two of the sessions.
const NEW_READS: usize = 5;

/// Arms the tables and disarms those again that were not armed; rehearses the time without writes; compares as `--verify` says.
pub(super) async fn run(command: &Command, config: &config::Londiste, control: &Control) -> Result<Output> {
    let ground = Ground::open(command.direction, config, control).await?;
    let (task, sides) = (ground.task(command, control), &ground.sides);
    if !checks::are_good(&task).await? {
        return Ok(Output::none().with_code(NOT_GOOD));
    }
    task.require_replay().await?;
    let mut open_before = Vec::new();
    for db in [&sides.new, &sides.old] {
        if fence::armed(db).await?.is_empty() {
            open_before.push(db);
        }
    }
    let rehearsed = arm_and_rehearse(&task).await;
    let mut code = 0;
    for db in open_before {
        if let Err(error) = arm::disarm(db, control).await {
            tracing::warn!("tables of {} stay armed, and open: {}", db.target(), Lines(Report(&error).to_string()));
            code = WARNED;
        }
    }
    rehearsed?.tell();
    Ok(Output::none().with_code(code))
}

async fn arm_and_rehearse(task: &Task<'_>) -> Result<Rehearsed> {
    for db in [&task.sides.new, &task.sides.old] {
        let started = Instant::now();
        let number = arm::arm(db, task.fenced_queue(), task.control).await?;
        tracing::info!("Armed {number} tables of {} in {} ms", db.target(), started.elapsed().as_millis());
    }
    rehearse(task).await
}

/// The time without writes.
struct Rehearsed {
    /// The tries, the shortest first.
    tries: Vec<Duration>,
    /// The middle of what the gate took in them, which they contain.
    gate: Duration,
    /// What was measured once: the comparison and the triggers.
    once: Duration,
}

impl Rehearsed {
    fn tell(&self) {
        let of_try = |nr: usize| (self.tries.get(nr).copied().unwrap_or_default() + self.once).as_secs_f64();
        let (shortest, median, longest) = (of_try(0), of_try(TRIES / 2), of_try(TRIES - 1));
        tracing::info!(
            "Nobody could write for about {median:.3} s ({shortest:.3} to {longest:.3} s in {TRIES} tries), of which {:.3} s for the end of \
             transactions that write now. Nothing was changed",
            self.gate.as_secs_f64()
        );
    }
}

async fn rehearse(task: &Task<'_>) -> Result<Rehearsed> {
    let new = &task.sides.new;
    task.settle().await?;
    let started = Instant::now();
    let restored = way_back::rehearse_triggers(new, &task.set.tables).await?;
    if restored > 0 {
        tracing::info!("Triggers of {restored} tables would be created again, in {} ms", started.elapsed().as_millis());
    }
    task.time_verify(Instant::now() + task.command.timeout).await?;
    let once = started.elapsed();
    let (mut tries, mut gates) = (Vec::new(), Vec::new());
    for nr in 1..=TRIES {
        pause(task.control, APART).await?;
        let gate = writers(&task.sides.old).await?;
        let started = Instant::now();
        steps(task, restored).await?;
        let total = gate + started.elapsed();
        tracing::info!(
            "Try {nr} of {TRIES}: {:.3} s, of which {:.3} s at the gate",
            total.as_secs_f64(),
            gate.as_secs_f64()
        );
        tries.push(total);
        gates.push(gate);
    }
    tries.sort_unstable();
    gates.sort_unstable();
    Ok(Rehearsed { tries, gate: gates.get(TRIES / 2).copied().unwrap_or_default(), once })
}

/// What the steps 3 to 12 do, but for what [`Rehearsed::once`] has.
async fn steps(task: &Task<'_>, with_triggers: usize) -> Result<()> {
    let Task { way, sides: Sides { old, new }, .. } = task;
    let queue = &way.running.pgq_queue_name;
    fence::relations(old, task.fenced_queue()).await?;
    let last = make_tick(old, queue).await?;
    task.wait_applied(last, Instant::now() + task.command.timeout).await?;
    fence::relations(old, task.fenced_queue()).await?;
    for _ in 0..OLD_WRITES {
        switchover::rehearse_store(old, &way.queue).await?;
    }
    for _ in 0..NEW_READS {
        fence::state(new).await?;
    }
    tokio::time::sleep(SESSIONS_END).await;
    sequences::subscribed(old, new, queue).await?;
    way_back::lacking_triggers(new, &task.set.tables).await?;
    for _ in 0..NEW_WRITES + with_triggers {
        switchover::rehearse_store(new, &way.queue).await?;
    }
    Ok(())
}

/// How long the gate would take.
async fn writers(old: &Db) -> Result<Duration> {
    let sql =
        "select coalesce(pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)), 0)::float8
                 from pg_catalog.pg_stat_activity a
                where a.datname = pg_catalog.current_database() and a.backend_xid is not null
                  and a.pid <> pg_catalog.pg_backend_pid()";
    let oldest: f64 = old.query_one("look who writes", sql, &[]).await?.get(0);
    Ok(Duration::from_secs_f64(oldest.clamp(0.0, LONGEST_GATE.as_secs_f64())))
}
