//! `subscriber status`: how far the subscriber is behind, and how its tables are.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::setup::Setup;
use super::skip;
use super::subscriber::{as_text, subscribed};
use crate::error::Result;
use crate::job::{self, LastError, Output};
use crate::pg::{Db, FqName, text};

/// What the command shows.
#[derive(Serialize)]
struct Status {
    queue: String,
    consumer: String,
    provider: String,
    subscriber: String,
    /// Null when the queue does not exist or the consumer is not registered.
    position: Option<Position>,
    /// Last tick that is applied on the subscriber.
    applied_tick: Option<i64>,
    /// The last error in the end of the job's log file, if that can be read here.
    last_error: Option<LastError>,
    /// Events that `skip-event` was called for and replay has not come to yet.
    events_to_skip: Vec<i64>,
    tables: Vec<TableStatus>,
}

/// Where the consumer stands on the provider.
#[derive(Serialize)]
struct Position {
    /// Age of the last tick that is finished.
    lag_seconds: Option<f64>,
    /// Events after it; null where the provider's PgQ does not count them.
    pending_events: Option<i64>,
    /// Events per second that come in; null where the provider's PgQ does not count them.
    events_per_second: Option<f64>,
    /// Time since the consumer was last here.
    last_seen_seconds: Option<f64>,
    finished_tick: Option<i64>,
    newest_tick: Option<i64>,
    /// Age of the newest tick: a ticker that runs keeps it small.
    ticker_lag_seconds: Option<f64>,
}

/// A table with its state.
#[derive(Serialize)]
struct TableStatus {
    #[serde(serialize_with = "as_text")]
    table: FqName,
    state: Option<String>,
    /// Why it is parked, if it is.
    parked: Option<String>,
    /// What to do about it.
    mend: Option<String>,
}

/// Shows the status.
pub(crate) async fn show(setup: &Setup<'_>) -> Result<Output> {
    let (provider, subscriber) = (setup.provider().await?, setup.subscriber().await?);
    let sql = "select londiste.get_last_tick($1)";
    let applied = subscriber.query_one("read the last tick", sql, &[text(&setup.consumer())]).await?;
    let mut parked = parked(&subscriber, setup.queue()).await?;
    let tables = subscribed(&subscriber, setup.queue()).await?;
    let with_reason = |s: super::subscriber::Subscribed| {
        let (reason, mend) = parked.remove(&s.table).map_or((None, None), |p| (Some(p.reason), p.mend));
        TableStatus { table: s.table, state: s.state, parked: reason, mend }
    };
    Ok(Output::of(&Status {
        queue: setup.queue().to_owned(),
        consumer: setup.consumer().to_owned(),
        provider: provider.target().to_owned(),
        subscriber: subscriber.target().to_owned(),
        position: position(setup, &provider).await?,
        applied_tick: applied.get(0),
        last_error: setup.config.common.logfile.as_deref().and_then(job::last_error),
        events_to_skip: skip::ordered(&subscriber, setup.consumer()).await?,
        tables: tables.into_iter().map(with_reason).collect(),
    }))
}

/// Why a table is parked, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) reason: String,
    pub(crate) mend: Option<String>,
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, "\nHINT: {mend}"))
    }
}

/// The parked tables of the queue. A schema of 2.1 knows none.
pub(crate) async fn parked(db: &Db, queue: &str) -> Result<BTreeMap<FqName, Parked>> {
    let known =
        db.query_one("look for parked tables", "select to_regclass('londiste.table_position') is not null", &[]);
    if !known.await?.get::<_, bool>(0) {
        return Ok(BTreeMap::new());
    }
    // An older schema has no statement that helps.
    let sql = "select table_name, parked_reason, to_jsonb(p) ->> 'parked_mend' from londiste.table_position p \
               where queue_name = $1 and parked_reason is not null";
    let rows = db.query("look for parked tables", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| (FqName::parse(r.get(0)), Parked { reason: r.get(1), mend: r.get(2) })).collect())
}

/// All from the provider's tables: the functions fail for a consumer that is not registered in 2.1. What only PgQ 3 has is
/// read through `to_jsonb(row)`.
async fn position(setup: &Setup<'_>, db: &Db) -> Result<Option<Position>> {
    let sql = "select extract(epoch from now() - last.tick_time)::float8, \
                      extract(epoch from now() - s.sub_active)::float8, \
                      s.sub_last_tick, newest.tick_id, extract(epoch from now() - newest.tick_time)::float8 \
               from pgq.queue q \
               join pgq.subscription s on s.sub_queue = q.queue_id \
               join pgq.consumer c on c.co_id = s.sub_consumer and c.co_name = $2 \
               left join pgq.tick last on last.tick_queue = q.queue_id and last.tick_id = s.sub_last_tick \
               left join lateral ( \
                   select t.tick_id, t.tick_time from pgq.tick t where t.tick_queue = q.queue_id \
                   order by t.tick_id desc limit 1 \
               ) newest on true \
               where q.queue_name = $1";
    let params = [text(&setup.config.pgq_queue_name), text(&setup.config.pgq_consumer_id)];
    let Some(row) = db.query_opt("read the consumer's position", sql, &params).await? else { return Ok(None) };
    let sql = "select (to_jsonb(c) ->> 'pending_events')::bigint, \
                      (select (to_jsonb(q) ->> 'ev_per_sec')::float8 from pgq.get_queue_info($1) q) \
               from pgq.get_consumer_info($1, $2) c";
    let counted = db.query_opt("read the consumer's lag", sql, &params).await?;
    Ok(Some(Position {
        lag_seconds: row.get(0),
        last_seen_seconds: row.get(1),
        finished_tick: row.get(2),
        newest_tick: row.get(3),
        ticker_lag_seconds: row.get(4),
        pending_events: counted.as_ref().and_then(|r| r.get(0)),
        events_per_second: counted.as_ref().and_then(|r| r.get(1)),
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
        writeln!(f, "Applied:     tick {}", or_dash(self.applied_tick))?;
        if let Some(LastError { time, message }) = &self.last_error {
            writeln!(f, "Last error:  {time} {message}")?;
        }
        if !self.events_to_skip.is_empty() {
            let list: Vec<String> = self.events_to_skip.iter().map(i64::to_string).collect();
            writeln!(f, "To skip:     event {}", list.join(", "))?;
        }
        let ok = self.tables.iter().filter(|t| matches!(t.state.as_deref(), Some("ok" | "?"))).count();
        writeln!(f, "Tables:      {ok} of {} ok", self.tables.len())?;
        writeln!(f, "\n{:<30}   {:>20}", "Table", "State")?;
        for table in &self.tables {
            let state = table.state.as_deref().unwrap_or("-");
            let parked = table.parked.as_ref().map(|reason| format!("   parked: {reason}")).unwrap_or_default();
            writeln!(f, "{:<30}   {state:>20}{parked}", table.table.to_string())?;
            if let Some(mend) = &table.mend {
                writeln!(f, "    HINT: {mend}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s"));
        writeln!(f, "Lag:         {}, {} events", seconds(self.lag_seconds), or_dash(self.pending_events))?;
        if let Some(rate) = self.events_per_second {
            writeln!(f, "Rate:        {rate:.1} events/s come in")?;
        }
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
