//! What must hold before a switchover, and what is worth to know.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::command::{Command, NOT_GOOD, WARNED};
use super::sides::Sides;
use super::task::{Ground, Task};
use crate::config::{self, TickerMode};
use crate::error::Result;
use crate::job::pidfile::{self, Status};
use crate::job::{Control, Output};
use crate::londiste::sequences::Subscribed;
use crate::londiste::{
    self, Job, Structures, TableState, conditions, fence, provider_queue, sequence_gap, sequences, stored_foreign_keys,
    tables, verified,
};
use crate::pg::FqName;
use crate::pg::catalog;
use crate::pgqadm::ticker_sessions;
use crate::text::shown;

/// How many names a finding lists.
const NAMES: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Error,
}

/// A fact, and what mends it.
#[derive(Serialize)]
struct Finding {
    level: Level,
    fact: String,
    fix: Option<String>,
}

/// All facts.
#[derive(Default, Serialize)]
struct Findings {
    findings: Vec<Finding>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { level, fact, fix } in &self.findings {
            let level = match level {
                Level::Ok => "ok",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            writeln!(f, "{level:8} {}", shown(fact))?;
            if let Some(fix) = fix {
                writeln!(f, "         {}", shown(fix))?;
            }
        }
        Ok(())
    }
}

impl Findings {
    fn add(&mut self, level: Level, fact: impl Into<String>, fix: Option<&str>) {
        self.findings.push(Finding { level, fact: fact.into(), fix: fix.map(ToOwned::to_owned) });
    }

    fn ok(&mut self, fact: impl Into<String>) {
        self.add(Level::Ok, fact, None);
    }

    fn warning(&mut self, fact: impl Into<String>, fix: &str) {
        self.add(Level::Warning, fact, Some(fix));
    }

    fn error(&mut self, fact: impl Into<String>, fix: &str) {
        self.add(Level::Error, fact, Some(fix));
    }

    fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }
}

/// `--plan`: the checks, as data. Changes nothing.
pub(super) async fn plan(command: &Command, config: &config::Londiste, control: &Control) -> Result<Output> {
    let ground = Ground::open(command.direction, config, control).await?;
    let found = look(&ground.task(command, control)).await?;
    let code = match found.worst() {
        Level::Ok => 0,
        Level::Warning => WARNED,
        Level::Error => NOT_GOOD,
    };
    Ok(Output::of(&found).with_code(code))
}

/// Logs what is not good. Returns whether the switchover may begin.
pub(super) async fn are_good(task: &Task<'_>) -> Result<bool> {
    let found = look(task).await?;
    for Finding { level, fact, fix } in &found.findings {
        let fix = fix.as_deref().unwrap_or_default();
        match level {
            Level::Ok => tracing::debug!("{fact}"),
            Level::Warning => tracing::warn!("{fact}. {fix}"),
            Level::Error => tracing::error!("{fact}. {fix}"),
        }
    }
    Ok(found.worst() < Level::Error)
}

async fn look(task: &Task<'_>) -> Result<Findings> {
    let mut found = Findings::default();
    jobs(task, &mut found).await?;
    subscribed(task, &mut found).await?;
    rows(task, &mut found).await?;
    structures(task, &mut found).await?;
    outside(task, &mut found).await?;
    of_sequences(task, &mut found).await?;
    writers(task, &mut found).await?;
    fences(task, &mut found).await?;
    Ok(found)
}

/// The two jobs, their tickers and daemons.
async fn jobs(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    let (running, old) = (&task.way.running, &task.sides.old);
    if running.mirror_queue.is_some() {
        found
            .error("the ini file has a mirror_queue", "Its ticks cannot be those of another provider: remove the key.");
    }
    match londiste::position(running, old).await? {
        None => found.error(
            format!("consumer {} is not registered on queue {}", running.pgq_consumer_id, running.pgq_queue_name),
            "Start replay: rlondiste INI replay -d",
        ),
        Some(position) => {
            let seconds = if position.is_behind() { position.lag_seconds.unwrap_or(f64::MAX) } else { 0.0 };
            let lag = Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
            let fact = format!("replay is {:.1} s behind", lag.as_secs_f64());
            if lag > task.command.max_lag {
                let fix = "Wait until it has caught up, see that the ticker and replay run; or raise --max-lag.";
                found.error(format!("{fact}, more than --max-lag ({} s)", task.command.max_lag.as_secs_f64()), fix);
            } else {
                found.ok(fact);
            }
        }
    }
    let is_without = matches!(task.way.next.ticker, None | Some(TickerMode::Off));
    if is_without && ticker_sessions::find(&task.sides.new).await?.is_empty() {
        found.warning(
            format!("no ticker is seen on {}: replication would not go back", task.sides.new.target()),
            "Start a ticker there: rlondiste TICKER.INI ticker -d; or set ticker = auto, and replay makes the ticks.",
        );
    }
    let runs = |path| matches!(pidfile::status(path), Ok(Status::Running(_)));
    if !running.common.pidfile.as_deref().is_some_and(runs) {
        found.warning(
            "replay does not run on this machine by the pidfile of the ini file",
            "It is ended by the loss of its consumer, and the replay of the way back has to be started by hand.",
        );
    }
    Ok(())
}

/// The states of the tables, and foreign keys that wait.
async fn subscribed(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    let (queue, Sides { old, new }) = (&task.way.running.pgq_queue_name, task.sides);
    let all = tables::load(new, queue).await?;
    if all.is_empty() {
        found.error(format!("no table of queue {queue} is subscribed"), "rlondiste INI subscriber add --all");
    }
    let bad: Vec<String> =
        all.iter().filter(|t| t.state != TableState::Ok || t.is_parked()).map(ToString::to_string).collect();
    if bad.is_empty() {
        found.ok(format!("all {} tables are ok", all.len()));
    } else {
        found.error(format!("not all tables are ok: {}", some(&bad)), "rlondiste INI subscriber wait-sync");
    }
    let have: BTreeSet<FqName> = all.into_iter().map(|table| table.name).collect();
    let missing: Vec<FqName> =
        provider_queue::tables(old, queue).await?.into_iter().filter(|name| !have.contains(name)).collect();
    if !missing.is_empty() {
        let fix = "rlondiste INI subscriber add --all, or provider remove";
        found.error(format!("captured and not subscribed: {}", some(&missing)), fix);
    }
    let pending = stored_foreign_keys::pending_of(new, &task.set.tables).await?;
    if !pending.is_empty() {
        let names: Vec<&String> = pending.iter().map(|fkey| &fkey.name).collect();
        let fix = "See why with \"rlondiste INI subscriber fkeys pending\".";
        found.error(format!("foreign keys are not restored yet: {}", some(&names)), fix);
    }
    Ok(())
}

/// Whether tables that are ok may lack changes, or are known to differ: whoever writes on the new side goes on with its rows.
async fn rows(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    let (running, Sides { old, new }) = (&task.way.running, task.sides);
    let consumer = Job::of(running).main_consumer();
    if let Some(objection) = conditions::position_objection(old, new, &consumer).await? {
        found.error(format!("tables are ok, but {objection}"), "rlondiste INI doctor");
    }
    let mut problems = conditions::table_problems(old, new, &consumer.queue).await?;
    let mut looks = verified::read(running, new, true).await?;
    for table in &task.set.tables {
        if let Some(problem) = problems.remove(table) {
            found.error(
                format!("{table} is ok, but changes may be missing: {problem}"),
                "What mends it: rlondiste INI doctor",
            );
        }
        if let Some(differs) = looks.remove(table).and_then(|look| verified::condition(table, &look)) {
            found.error(
                format!("{table}: {}", differs.fact),
                "rlondiste INI repair --online --apply, and wait for the next look, which verify_interval sets",
            );
        }
    }
    Ok(())
}

async fn structures(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    let Sides { old, new } = task.sides;
    let both = Structures::read(old, new, &task.way.running.pgq_queue_name, &task.set.tables).await?;
    for table in &task.set.tables {
        let compared = both.compare(table);
        for difference in compared.differences {
            found.error(difference.to_string(), "Make the structures equal: rlondiste INI subscriber check");
        }
        for note in compared.notes {
            found.warning(note.to_string(), "See that this is meant: rlondiste INI subscriber check");
        }
    }
    Ok(())
}

/// Tables that are not replicated.
async fn outside(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    let entries = catalog::tables(&task.sides.old).await?;
    let outside: Vec<&FqName> = entries
        .iter()
        .filter(|entry| !entry.is_partition && !task.set.tables.contains(&entry.name))
        .map(|entry| &entry.name)
        .collect();
    if !outside.is_empty() {
        found.warning(
            format!("{} tables are not replicated: {}", outside.len(), some(&outside)),
            "Their rows stay on the old side. They are closed too, unless --fence set is given.",
        );
    }
    Ok(())
}

/// Sequences that are read and set, and those that columns use and are not.
async fn of_sequences(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    let Sides { old, new } = task.sides;
    let subscribed = sequences::subscribed(old, new, &task.way.running.pgq_queue_name).await?;
    for sequence in &subscribed {
        if let Err(objection) = &sequence.value {
            found.error(objection.describe(&sequence.name), "rlondiste INI subscriber seqs");
        }
    }
    gaps(task, &subscribed, found).await?;
    let have: BTreeSet<&FqName> = subscribed.iter().map(|sequence| &sequence.name).collect();
    let used = catalog::sequences_of_columns(old, &task.set.tables).await?;
    let lost: Vec<&FqName> = used.iter().filter(|name| !have.contains(name)).collect();
    if lost.is_empty() {
        found.ok(format!("{} sequences are replicated", have.len()));
    } else {
        found.error(
            format!("columns of the tables draw from sequences that are not replicated: {}", some(&lost)),
            "rlondiste INI provider add-seq NAME, and subscriber add-seq NAME",
        );
    }
    Ok(())
}

/// Sequences that have no room for `--seq-gap`.
async fn gaps(task: &Task<'_>, subscribed: &[Subscribed], found: &mut Findings) -> Result<()> {
    let (gap, Sides { old, new }) = (task.command.seq_gap, task.sides);
    let values = subscribed.iter().filter_map(|sequence| Some((sequence.name.clone(), *sequence.value.as_ref().ok()?)));
    for ahead in sequence_gap::ahead(old, new, values.collect(), gap).await? {
        if !ahead.has_room {
            found.error(
                sequence_gap::no_room(&ahead.name, gap),
                "Give a smaller --seq-gap; or make its bounds wider on both sides: alter sequence ... as bigint maxvalue ...",
            );
        }
    }
    Ok(())
}

/// Who writes on the old side now.
async fn writers(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    const ACTION: &str = "look who writes";
    let old = &task.sides.old;
    let sql =
        "select x.gid from pg_catalog.pg_prepared_xacts x where x.database = pg_catalog.current_database() order by 1";
    let prepared: Vec<String> = old.query(ACTION, sql, &[]).await?.iter().map(|row| row.get(0)).collect();
    if !prepared.is_empty() {
        found.warning(
            format!("prepared transactions hold the gate, if they have written: {}", some(&prepared)),
            "commit prepared 'GID', or rollback prepared 'GID'",
        );
    }
    let sql = "select pg_catalog.count(*),
                      coalesce(pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)), 0)::float8
                 from pg_catalog.pg_stat_activity a
                where a.datname = pg_catalog.current_database() and a.backend_xid is not null
                  and a.pid <> pg_catalog.pg_backend_pid()";
    let row = old.query_one(ACTION, sql, &[]).await?;
    let (number, longest): (i64, f64) = (row.get(0), row.get(1));
    let fact = format!("{number} transactions write on the old side at this moment, the oldest for {longest:.1} s");
    if longest > 1.0 {
        found.warning(
            fact,
            "The fence waits for the end of a transaction that has written: keep them short, or --timeout long.",
        );
    } else {
        found.ok(fact);
    }
    Ok(())
}

/// Tables that cannot be armed.
async fn fences(task: &Task<'_>, found: &mut Findings) -> Result<()> {
    for db in [&task.sides.old, &task.sides.new] {
        let replicated = fence::relations(db, Some(&task.way.running.pgq_queue_name)).await?;
        let relations = fence::relations(db, task.fenced_queue()).await?;
        for relation in &relations {
            let Some(why) = &relation.problem else { continue };
            let fact = format!("{} on {} cannot be closed: {why}", relation.name, db.target());
            let fix = "See that nobody writes there, grant the role, or use --fence set.";
            if replicated.contains(relation) { found.error(fact, fix) } else { found.warning(fact, fix) }
        }
        let closable = relations.iter().filter(|relation| relation.problem.is_none()).count();
        found.ok(format!("{closable} tables of {} can be closed", db.target()));
    }
    Ok(())
}

/// The first of the names, and how many there are more.
fn some<T: ToString>(names: &[T]) -> String {
    let mut text: Vec<String> = names.iter().take(NAMES).map(ToString::to_string).collect();
    if names.len() > NAMES {
        text.push(format!("and {} more", names.len() - NAMES));
    }
    text.join(", ")
}
