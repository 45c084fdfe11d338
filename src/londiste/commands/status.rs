//! `subscriber status`: the lag of the subscriber, and the states of its tables.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

use super::super::context::{Context, Job};
use super::super::copy::{Progress, read_progress};
use super::super::state::conditions::{self, Problem};
use super::super::state::ledger::{self, Entry};
use super::super::state::parking::Parked;
use super::super::state::sequences::{self, Subscribed};
use super::super::state::table_state::TableState;
use super::super::state::tables::SubscribedTable;
use super::super::state::turned;
use super::super::state::verification::Verified;
use super::super::state::{completed, skips, tables};
use super::catch_up::Reached;
use super::lag::{self, LagCause};
use super::listing::as_text;
use super::pace::Pace;
use super::verified::{self, Verification};
use crate::config;
use crate::error::{Report, Result};
use crate::job::{self, LastError, Output, pidfile};
use crate::pg::{Db, FqName, text};
use crate::pgq::TickId;
use crate::pgq::consumer_lag::{self, ConsumerLag};
use crate::text::{one_line, shown};

/// What the command shows.
#[derive(Serialize)]
pub(super) struct Status {
    queue: String,
    consumer: String,
    provider: String,
    subscriber: String,
    /// Null when the schemas or the queue do not exist, or the consumer is not registered.
    position: Option<Position>,
    /// How fast events are written and applied; null where the provider does not count them.
    pace: Option<Pace>,
    /// Why the subscriber is behind.
    lag_causes: Vec<LagCause>,
    /// Last tick that is applied on the subscriber.
    applied_tick: Option<i64>,
    /// What is not there on the provider; else why position and registration do not fit; null when they do, or no table is
    /// `ok`.
    problem: Option<String>,
    /// The last error near the end of the job's log file; null when the file cannot be read.
    last_error: Option<LastError>,
    /// Events that `skip-event` was called for and replay has not come to yet.
    events_to_skip: Vec<i64>,
    tables: Vec<TableStatus>,
    /// All consumers of the queue.
    consumers: Vec<ConsumerStatus>,
    /// Sequences whose values the subscriber does not get.
    sequence_problems: Vec<SequenceProblem>,
    /// How far the tables together are verified; null where `verify_interval` is off.
    verification: Option<Verification>,
    /// The text tells the events of each table.
    #[serde(skip)]
    with_ledger: bool,
}

/// A consumer of the queue.
#[derive(Serialize)]
struct ConsumerStatus {
    consumer: String,
    /// Age of the tick up to which it has finished.
    lag_seconds: Option<f64>,
    /// Seconds since it last opened or finished a batch.
    last_seen_seconds: Option<f64>,
    /// Events that it has not finished; null when the provider's PgQ does not count them.
    pending_events: Option<i64>,
}

async fn consumers(provider: &Db, queue: &str) -> Result<Vec<ConsumerStatus>> {
    let of = |ConsumerLag { consumer, lag, last_seen, pending, .. }| ConsumerStatus {
        consumer,
        lag_seconds: lag,
        last_seen_seconds: last_seen,
        pending_events: pending,
    };
    Ok(consumer_lag::read(provider, Some(queue)).await?.into_iter().map(of).collect())
}

/// A sequence whose value the subscriber does not get.
#[derive(Serialize)]
struct SequenceProblem {
    #[serde(serialize_with = "as_text")]
    sequence: FqName,
    /// Why, and what mends it.
    problem: String,
}

/// The sequences whose values the subscriber does not get.
async fn sequence_problems(provider: &Db, subscriber: &Db, queue: &str) -> Result<Vec<SequenceProblem>> {
    let subscribed = sequences::subscribed(provider, subscriber, queue).await?;
    let problem = |Subscribed { name, value }| {
        let problem = value.err()?.describe(&name);
        Some(SequenceProblem { sequence: name, problem })
    };
    Ok(subscribed.into_iter().filter_map(problem).collect())
}

/// The position of the consumer on the provider.
#[derive(Serialize)]
pub(crate) struct Position {
    /// Age of the tick up to which batches are finished.
    pub(crate) lag_seconds: Option<f64>,
    /// Events after this tick; null when the provider's PgQ does not count them.
    pub(crate) pending_events: Option<i64>,
    /// Events per second that are written into the queue; null when the provider's PgQ does not count them.
    events_per_second: Option<f64>,
    /// Seconds since the consumer last opened or finished a batch.
    last_seen_seconds: Option<f64>,
    finished_tick: Option<i64>,
    newest_tick: Option<i64>,
    /// Age of the newest tick, which grows when the ticker does not run.
    ticker_lag_seconds: Option<f64>,
    /// As numbers of the event sequence; `None` when the provider's PgQ does not count events.
    #[serde(skip)]
    pub(super) reached: Option<Reached>,
}

impl Position {
    /// Whether there are ticks that the consumer has not finished. Without one, the age of its last tick is that of an idle queue.
    pub(crate) fn is_behind(&self) -> bool {
        self.newest_tick > self.finished_tick
    }

    /// Whether there are ticks or events that the consumer has not finished.
    pub(super) fn has_more(&self) -> bool {
        self.newest_tick > self.finished_tick || self.pending_events.is_some_and(|events| events > 0)
    }
}

/// A table with its state.
#[derive(Serialize)]
struct TableStatus {
    #[serde(serialize_with = "as_text")]
    table: FqName,
    state: TableState,
    /// How far the table's copy is; null when none writes rows or builds an index.
    progress: Option<Progress>,
    /// Why the table is parked; null when it is not.
    parked: Option<String>,
    /// What mends a parked table, if it is known.
    mend: Option<String>,
    /// Why its rows may not be the provider's, although no state says so.
    problem: Option<String>,
    /// Its events since the copy; null when none came.
    ledger: Option<Entry>,
    /// How far it is verified; null where `verify_interval` is off, and before the first look.
    verification: Option<Verified>,
}

impl TableStatus {
    fn of(
        table: SubscribedTable,
        problem: Option<Problem>,
        progress: Option<Progress>,
        ledger: Option<Entry>,
        verification: Option<Verified>,
    ) -> TableStatus {
        let (parked, mend) = table.parked.map_or((None, None), |Parked { reason, mend }| (Some(reason), mend));
        let problem = problem.map(|problem| problem.to_string());
        TableStatus { table: table.name, state: table.state, progress, parked, mend, problem, ledger, verification }
    }
}

/// The command. The text has the ledger only when it is asked for.
pub(super) async fn show(context: &Context<'_>, with_ledger: bool) -> Result<Output> {
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    let mut status = read(context.config, &provider, &subscriber, true).await?;
    status.with_ledger = with_ledger;
    Ok(Output::of(&status))
}

/// Reads the status from both sides, one query after the other. With `shows_queries` it has statements of the sessions that hold
/// replay up, and keys of rows that differ.
pub(super) async fn read(
    config: &config::Londiste,
    provider: &Db,
    subscriber: &Db,
    shows_queries: bool,
) -> Result<Status> {
    let (queue, consumer) = (&config.pgq_queue_name, &config.pgq_consumer_id);
    let applied = completed::last_tick(subscriber, consumer).await?;
    let tables = tables::load(subscriber, queue).await?;
    let gone = match conditions::gone(provider, queue).await? {
        None => turned::objection(provider, subscriber, queue).await?,
        gone => gone,
    };
    let problem = match &gone {
        Some(gone) => Some(one_line(&Report(gone).to_string())),
        None if tables.iter().any(|t| t.state == TableState::Ok) => {
            conditions::position_objection(provider, subscriber, &Job::of(config).main_consumer()).await?
        }
        None => None,
    };
    let (position, mut problems, sequence_problems, consumers) = if gone.is_some() {
        (None, HashMap::new(), Vec::new(), Vec::new())
    } else {
        (
            position(config, provider).await?,
            conditions::table_problems(provider, subscriber, queue).await?,
            sequence_problems(provider, subscriber, queue).await?,
            consumers(provider, queue).await?,
        )
    };
    let mut ledger = ledger::read(subscriber, queue).await?;
    let last_error = config.common.logfile.as_deref().and_then(job::last_error);
    let lag_causes = if position.is_some() {
        let known = lag::Known {
            tables: &tables,
            applied: applied.map(|TickId(tick)| tick),
            error: last_error.as_ref().filter(|error| error.stands).map(|error| error.message.as_str()),
            runs_here: config.common.pidfile.as_deref().is_some_and(pidfile::is_running),
            shows_queries,
        };
        lag::causes(&Job::of(config), provider, subscriber, &known).await?
    } else {
        Vec::new()
    };
    let mut pace = match position.as_ref().and_then(|position| position.reached) {
        Some(reached) => Some(Pace::read(provider, subscriber, &Job::of(config), reached).await?),
        None => None,
    };
    if let Some(pace) = pace.as_mut()
        && last_error.as_ref().is_some_and(|error| error.stands)
    {
        // The rates of the time before the error say nothing.
        pace.seconds_to_catch_up = None;
    }
    let mut copies = read_progress(subscriber, Some(provider)).await?;
    let mut verified = verified::read(config, subscriber, shows_queries).await?;
    let verification = config.verify_interval.map(|interval| Verification::of(interval, &tables, &verified));
    let table = |table: SubscribedTable| {
        let (problem, copy) = (problems.remove(&table.name), copies.remove(&table.name));
        let entry = ledger.remove(&table.name);
        let verified = verified.remove(&table.name);
        TableStatus::of(table, problem, copy, entry, verified)
    };
    Ok(Status {
        queue: queue.clone(),
        consumer: consumer.clone(),
        provider: provider.target().to_owned(),
        subscriber: subscriber.target().to_owned(),
        position,
        pace,
        lag_causes,
        applied_tick: applied.map(|TickId(tick)| tick),
        problem,
        last_error,
        events_to_skip: skips::ordered(subscriber, consumer).await?,
        tables: tables.into_iter().map(table).collect(),
        consumers,
        sequence_problems,
        verification,
        with_ledger: false,
    })
}

/// The position of the consumer; `None` when it is not registered. PgQ 2.1's functions fail for a consumer that is not
/// registered, so they are called with what the tables have. Columns that only PgQ 3 has are read through `to_jsonb(row)`.
pub(crate) async fn position(config: &config::Londiste, db: &Db) -> Result<Option<Position>> {
    let sql = "select extract(epoch from now() - last.tick_time)::float8, \
                      extract(epoch from now() - s.sub_active)::float8, \
                      s.sub_last_tick, newest.tick_id, extract(epoch from now() - newest.tick_time)::float8, \
                      (to_jsonb(counted) ->> 'pending_events')::bigint, (to_jsonb(info) ->> 'ev_per_sec')::float8, \
                      (to_jsonb(last) ->> 'tick_event_seq')::bigint, (to_jsonb(newest) ->> 'tick_event_seq')::bigint \
               from pgq.queue q \
               join pgq.subscription s on s.sub_queue = q.queue_id \
               join pgq.consumer c on c.co_id = s.sub_consumer and c.co_name = $2 \
               left join pgq.tick last on last.tick_queue = q.queue_id and last.tick_id = s.sub_last_tick \
               left join lateral ( \
                   select t.* from pgq.tick t where t.tick_queue = q.queue_id order by t.tick_id desc limit 1 \
               ) newest on true \
               left join lateral pgq.get_consumer_info(q.queue_name, c.co_name) counted on true \
               left join lateral pgq.get_queue_info(q.queue_name) info on true \
               where q.queue_name = $1";
    let params = [text(&config.pgq_queue_name), text(&config.pgq_consumer_id)];
    let Some(row) = db.query_opt("read the consumer's position", sql, &params).await? else { return Ok(None) };
    let pending_events: Option<i64> = row.get(5);
    let reached = |finished: i64, ticked: i64| Some(Reached { written: finished + pending_events?, ticked, finished });
    Ok(Some(Position {
        lag_seconds: row.get(0),
        last_seen_seconds: row.get(1),
        finished_tick: row.get(2),
        newest_tick: row.get(3),
        ticker_lag_seconds: row.get(4),
        pending_events,
        events_per_second: row.get(6),
        reached: Option::zip(row.get(7), row.get(8)).and_then(|(finished, ticked)| reached(finished, ticked)),
    }))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Queue:       {}", self.queue)?;
        writeln!(f, "Consumer:    {}", self.consumer)?;
        writeln!(f, "Provider:    {}", self.provider)?;
        writeln!(f, "Subscriber:  {}", self.subscriber)?;
        match &self.position {
            None => writeln!(f, "Lag:         - (consumer is not registered on the queue)")?,
            Some(position) => position.fmt(f)?,
        }
        if let Some(Pace { written_per_second: written, applied_per_second: applied, seconds_to_catch_up }) = self.pace
        {
            let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
            writeln!(f, "Rate:        {} events/s come in, {} are applied", rate(written), rate(applied))?;
            if let Some(seconds) = seconds_to_catch_up.filter(|seconds| *seconds > 0.0) {
                writeln!(f, "Up to date:  in about {seconds:.0} s at this rate")?;
            }
        }
        for cause in &self.lag_causes {
            write!(f, "Behind:      {cause}")?;
        }
        writeln!(f, "Applied:     tick {}", or_dash(self.applied_tick))?;
        if let Some(problem) = &self.problem {
            writeln!(f, "Problem:     {problem}")?;
        }
        if let Some(LastError { time, message, .. }) = &self.last_error {
            writeln!(f, "Last error:  {time} {message}")?;
        }
        if !self.events_to_skip.is_empty() {
            let list: Vec<String> = self.events_to_skip.iter().map(i64::to_string).collect();
            writeln!(f, "To skip:     event {}", list.join(", "))?;
        }
        let ok = self.tables.iter().filter(|t| matches!(t.state, TableState::Ok)).count();
        writeln!(f, "Tables:      {ok} of {} ok", self.tables.len())?;
        if let Some(verification) = &self.verification {
            writeln!(f, "Verified:    {verification}")?;
        }
        writeln!(f, "\n{:<30}   {:>20}", "Table", "State")?;
        for table in &self.tables {
            let state = table.state.to_string();
            let parked = table.parked.as_ref().map(|reason| format!("   parked: {reason}")).unwrap_or_default();
            writeln!(f, "{:<30}   {state:>20}{parked}", shown(&table.table))?;
            if let Some(mend) = &table.mend {
                writeln!(f, "    HINT: {}", shown(mend))?;
            }
            if self.with_ledger {
                match &table.ledger {
                    Some(entry) => writeln!(f, "    {entry}")?,
                    None => writeln!(f, "    no event came")?,
                }
            }
            if let Some(problem) = &table.problem {
                writeln!(f, "    Changes may be missing: {problem}")?;
            }
            if let Some(verified) = &table.verification {
                verified::write(f, &table.table, verified, self.with_ledger)?;
            }
        }
        for SequenceProblem { problem, .. } in &self.sequence_problems {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s"));
        writeln!(f, "Lag:         {}, {} events", seconds(self.lag_seconds), or_dash(self.pending_events))?;
        writeln!(f, "Last seen:   {} ago", seconds(self.last_seen_seconds))?;
        writeln!(
            f,
            "Ticks:       finished {}, newest {} ({} ago)",
            or_dash(self.finished_tick),
            or_dash(self.newest_tick),
            seconds(self.ticker_lag_seconds)
        )
    }
}

fn or_dash<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}
