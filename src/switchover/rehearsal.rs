//! `--rehearse`: everything of a switchover that keeps nobody out, with its times, and how long the real one would.

use std::time::{Duration, Instant};

use super::command::{Command, NOT_GOOD};
use super::sides::Sides;
use super::task::Ground;
use super::{arm, checks};
use crate::config;
use crate::error::Result;
use crate::job::{Control, Output};
use crate::londiste::way_back::{self};
use crate::londiste::{fence, sequences};
use crate::pg::Db;
use crate::pgq::consumer::make_tick;

/// Round trips of the switchover between closing and opening, beside those that are rehearsed.
const ROUND_TRIPS: u32 = 20;

/// Arms the tables and disarms those again that were not armed; makes a tick, and waits until replay has applied it; reads the
/// sequences; compares as `--verify` says.
pub(super) async fn run(command: &Command, config: &config::Londiste, control: &Control) -> Result<Output> {
    let ground = Ground::open(command.direction, config, control).await?;
    let (task, way, sides) = (ground.task(command, control), &ground.way, &ground.sides);
    if !checks::are_good(&task).await? {
        return Ok(Output::none().with_code(NOT_GOOD));
    }
    task.require_replay().await?;
    for db in [&sides.old, &sides.new] {
        let before = fence::armed(db).await?.len();
        let started = Instant::now();
        let number = arm::arm(db, task.fenced_queue(), control).await?;
        tracing::info!("Armed {number} tables of {} in {} ms", db.target(), started.elapsed().as_millis());
        if before == 0 {
            arm::disarm(db, control).await?;
        }
    }
    task.settle().await?;
    let gate = writers(&sides.old).await?;
    let trip = round_trip(sides).await?;
    let started = Instant::now();
    let last = make_tick(&sides.old, &way.running.pgq_queue_name).await?;
    task.wait_applied(last, Instant::now() + command.timeout).await?;
    tracing::info!("Replay has applied tick {last} after {} ms", started.elapsed().as_millis());
    task.verify(Instant::now() + command.timeout).await?;
    let read = sequences::subscribed(&sides.old, &sides.new, &way.running.pgq_queue_name).await?.len();
    tracing::info!("Read {read} sequences");
    // As when the side is closed for a time, and for good.
    for _ in 0..2 {
        fence::relations(&sides.old, task.fenced_queue()).await?;
    }
    let lacking = way_back::lacking_triggers(&sides.new, &task.set.tables).await?.len();
    tracing::info!("Triggers of {lacking} tables would be created again");
    let block = gate + started.elapsed() + trip * ROUND_TRIPS;
    tracing::info!(
        "Nobody could write for about {:.3} s, of which {:.3} s for the end of transactions that write now. Nothing was changed",
        block.as_secs_f64(),
        gate.as_secs_f64()
    );
    Ok(Output::none())
}

/// How long the gate would take: the age of the oldest transaction that writes, up to the time of a try.
async fn writers(old: &Db) -> Result<Duration> {
    let sql =
        "select coalesce(pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)), 0)::float8
                 from pg_catalog.pg_stat_activity a
                where a.datname = pg_catalog.current_database() and a.backend_xid is not null
                  and a.pid <> pg_catalog.pg_backend_pid()";
    let oldest: f64 = old.query_one("look who writes", sql, &[]).await?.get(0);
    Ok(Duration::from_secs_f64(oldest.clamp(0.0, 0.5)))
}

/// The mean time of a call on the two sides.
async fn round_trip(sides: &Sides) -> Result<Duration> {
    let started = Instant::now();
    for db in [&sides.old, &sides.new] {
        fence::state(db).await?;
    }
    Ok(started.elapsed() / 2)
}
