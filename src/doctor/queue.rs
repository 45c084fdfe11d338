//! The queues of a database: ticks, rotation, sizes, consumers.

use std::time::Duration;

use super::case::{Case, Side, shell_word};
use super::check::{self, Check};
use super::finding::{Findings, names};
use crate::error::Result;
use crate::pg::{Db, Sql, int8, text};
use crate::pgq::install;
use crate::pgqadm::rotation::{self, Blocker, BlockerKind, Late};
use crate::pgqadm::warnings::{self, Behind};
use crate::pgqadm::{TickerSession, clock, rebase, tick_lock, ticker_sessions};

/// Seconds by which a tick may be later than twice the time that the queue allows, before it is a warning: with events that wait for it, and
/// without. And before it is an error.
const WAITED_FOR_TICK: f64 = 10.0;
const LATE_TICK: f64 = 30.0;
const MISSING_TICK: f64 = 300.0;

/// Seconds by which a consumer may be behind.
const SLOW: f64 = 300.0;

/// Seconds after which a consumer that is behind counts as gone.
const GONE: f64 = 600.0;

/// The same for the consumer of a copy, which stays at its tick until all rows are copied.
const GONE_COPY: f64 = 86_400.0;

/// Bytes above which a queue that takes most of its database is big.
const BIG_QUEUE: i64 = 1 << 30;

/// Dead rows above which a table of the schema should have been vacuumed, when they are also [`DEAD_SHARE`] times the live ones.
const DEAD_ROWS: i64 = 20_000;
const DEAD_SHARE: i64 = 4;

/// A queue that the ticker of its database ticks.
struct Queue {
    id: i32,
    name: String,
    /// Age of the newest tick, in seconds.
    lag: Option<f64>,
    idle_period: f64,
    max_lag: f64,
    /// Whether events wait for a tick; not known of a PgQ that does not count them.
    has_events: bool,
}

impl Queue {
    /// By how many seconds the next tick is later than it may be; negative where it is not.
    fn late(&self) -> Option<f64> {
        let (allowed, grace) = if self.has_events {
            (self.idle_period.min(self.max_lag), WAITED_FOR_TICK)
        } else {
            (self.idle_period, LATE_TICK)
        };
        Some(self.lag? - 2.0 * allowed - grace)
    }
}

async fn queues(case: &Case<'_>, db: &Db) -> Result<Vec<Queue>> {
    const QUEUES: &str = "select q.queue_id, q.queue_name, extract(epoch from pg_catalog.clock_timestamp() - n.tick_time)::float8,
       extract(epoch from q.queue_ticker_idle_period)::float8, extract(epoch from q.queue_ticker_max_lag)::float8,
       coalesce((select (pg_catalog.to_jsonb(i) ->> 'ev_new')::int8 > 0 from pgq.get_queue_info(q.queue_name) i), false)
  from pgq.queue q
       left join lateral (select t.tick_time from pgq.tick t where t.tick_queue = q.queue_id order by t.tick_id desc limit 1) n on true
 where ($1 is null or q.queue_name = $1) and not q.queue_external_ticker
   and not coalesce((pg_catalog.to_jsonb(q) ->> 'queue_ticker_paused')::bool, false)
 order by 2";
    let rows = db.query("read the newest ticks", QUEUES, &[text(&case.queue())]).await?;
    let queue = |row: &tokio_postgres::Row| Queue {
        id: row.get(0),
        name: row.get(1),
        lag: row.get(2),
        idle_period: row.get(3),
        max_lag: row.get(4),
        has_events: row.get(5),
    };
    Ok(rows.iter().map(queue).collect())
}

pub(super) const TICKS: &[&Check] = &[&check::TICK_AGE, &check::TICK_TIME, &check::TRANSACTION_COUNTER];

/// Whether the queues get their ticks.
pub(super) async fn ticks(case: &Case<'_>, side: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    let db = &side.db;
    let is_own = install::find(db).await?.is_own();
    for queue in queues(case, db).await? {
        let object = format!("queue {}", queue.name);
        let start = case.ticker_command("ticker -d");
        match (queue.lag, queue.late()) {
            (Some(lag), Some(late)) if late > 0.0 => {
                let waited = Duration::from_secs_f64(lag);
                let blocked = if is_own { tick_lock::blocked(db, &queue.name, waited).await? } else { None };
                let waits = if queue.has_events { "events wait, and " } else { "" };
                let fact = blocked.map_or_else(
                    || format!("{waits}the newest tick is {lag:.0} s old: the ticker does not run"),
                    |blocked| blocked.text,
                );
                if late > MISSING_TICK {
                    found.error(&check::TICK_AGE, &object, fact, start);
                } else {
                    found.warning(&check::TICK_AGE, &object, fact, start);
                }
            }
            (Some(lag), _) => found.ok(&check::TICK_AGE, &object, format_args!("the newest tick is {lag:.0} s old")),
            (None, _) => found.error(&check::TICK_AGE, &object, "it has no tick: the ticker does not run", start),
        }
        match clock::future_tick(db, queue.id, &queue.name).await? {
            Some(warning) => {
                let fix = format!("timedatectl set-ntp true, on the machine of the {}", side.role);
                found.warning(&check::TICK_TIME, &object, warning.text, fix);
            }
            None => found.ok(&check::TICK_TIME, &object, "the newest tick is of the past"),
        }
        match rebase::counter_problem(db, queue.id).await? {
            Some(problem) => {
                let fix = case.ticker_command(format_args!("rebase {}", shell_word(&queue.name)));
                found.error(&check::TRANSACTION_COUNTER, &object, problem.refusal(&queue.name), fix);
            }
            None => found.ok(&check::TRANSACTION_COUNTER, &object, "its ticks are of this server's counter"),
        }
    }
    for check in TICKS {
        found.rest_of_all(check, side.role, "no queue is ticked here");
    }
    Ok(found)
}

pub(super) const TICKERS: &[&Check] = &[&check::TWO_TICKERS, &check::FOREIGN_TICKER];

/// Which tickers serve the database.
pub(super) async fn tickers(side: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    let sessions = ticker_sessions::find(&side.db).await?;
    let shown = |session: &TickerSession| format!("pid {} (\"{}\")", session.pid, session.application);
    let all: Vec<String> = sessions.iter().map(shown).collect();
    let foreign: Vec<String> = sessions.iter().filter(|session| !session.is_own).map(shown).collect();
    if let [_, second, ..] = &sessions[..] {
        let fact = format!("{} tickers serve database {}: {}", all.len(), side.database, names(&all));
        let fix = format!("stop all but one, such as that of {}", shown(second));
        found.warning(&check::TWO_TICKERS, side.role, fact, fix);
    } else {
        side.tell_hidden_sessions(TICKERS, &mut found).await?;
    }
    found.rest(&check::TWO_TICKERS, side.role, format_args!("sessions of tickers: {}", all.len()));
    found.rest(&check::FOREIGN_TICKER, side.role, if foreign.is_empty() { "none".to_owned() } else { names(&foreign) });
    Ok(found)
}

pub(super) const ROTATION: &[&Check] = &[&check::ROTATION];

/// Whether the event tables are rotated, and who blocks it.
pub(super) async fn rotation(case: &Case<'_>, side: &Side) -> Result<Findings> {
    let mut found = Findings::default();
    let mut due = rotation::due(&side.db).await?;
    due.retain(|queue| case.queue().is_none_or(|only| only == queue));
    for Late { queue, seconds, blockers, .. } in rotation::late(&side.db, &due).await? {
        let object = format!("queue {queue}");
        if blockers.is_empty() {
            let fact = format!("its rotation is {seconds:.0} s late, and nothing that this user can see blocks it");
            found.warning(&check::ROTATION, &object, fact, case.ticker_command("ticker -d"));
        }
        for blocker in blockers {
            let fact = format!("its rotation is {seconds:.0} s late, blocked by {}", blocker.text);
            found.warning(&check::ROTATION, &object, fact, unblock(case, side, &queue, &blocker));
        }
    }
    found.rest_of_all(&check::ROTATION, side.role, "no rotation is late");
    Ok(found)
}

fn unblock(case: &Case<'_>, side: &Side, queue: &str, blocker: &Blocker) -> String {
    match (blocker.kind, blocker.pid) {
        (BlockerKind::Session, Some(pid)) => side.sql(format_args!("select pg_terminate_backend({pid});")),
        (BlockerKind::Session, None) => side.sql("select * from pg_stat_activity;"),
        (BlockerKind::Prepared, _) => side.sql(format_args!("rollback prepared {};", Sql::literal(&blocker.name))),
        (BlockerKind::Consumer, _) => leave(case, queue, &blocker.name),
    }
}

/// Whether a consumer has the name of one that londiste makes for a copy.
fn is_of_copy(consumer: &str) -> bool {
    consumer.contains("_copy")
}

/// What helps with a consumer that does not come: to start the own one, to unregister another.
fn leave(case: &Case<'_>, queue: &str, consumer: &str) -> String {
    let is_job = case.londiste.is_some_and(|config| config.pgq_consumer_id == consumer);
    if is_job {
        return case.command("replay -d");
    }
    case.ticker_command(format_args!("unregister {} {}", shell_word(queue), shell_word(consumer)))
}

pub(super) const CONSUMERS: &[&Check] = &[&check::CONSUMER_LAG, &check::CONSUMER_DEAD];

/// The consumers that are behind. `copying` are those of copies that run: such a consumer stays where it is until its copy is done.
pub(super) async fn consumers(case: &Case<'_>, side: &Side, copying: &[String]) -> Result<Findings> {
    let mut found = Findings::default();
    for Behind { queue, consumer, lag, seen, .. } in warnings::consumers_behind(&side.db).await? {
        if case.queue().is_some_and(|only| only != queue) || copying.contains(&consumer) {
            continue;
        }
        let object = format!("consumer {consumer}");
        let seen_text = seen.map_or_else(|| "never seen".to_owned(), |seen| format!("last seen {seen:.0} s ago"));
        let fact = format!("is {lag:.0} s behind in queue {queue}, {seen_text}");
        let gone = if is_of_copy(&consumer) { GONE_COPY } else { GONE };
        if lag > gone && seen.is_none_or(|seen| seen > gone) {
            let fact = format!("{fact}: its events are kept, and the queue grows");
            found.warning(&check::CONSUMER_DEAD, object, fact, leave(case, &queue, &consumer));
        } else if lag > SLOW && !is_of_copy(&consumer) {
            let fix = case.ticker_command("status");
            found.warning(&check::CONSUMER_LAG, object, fact, fix);
        } else {
            found.ok(&check::CONSUMER_LAG, object, fact);
        }
    }
    found.rest_of_all(&check::CONSUMER_LAG, side.role, "no consumer that comes is behind");
    found.rest_of_all(&check::CONSUMER_DEAD, side.role, "no consumer stays away");
    Ok(found)
}

pub(super) const SIZES: &[&Check] = &[&check::QUEUE_SIZE, &check::QUEUE_BLOAT];

/// How big the queues are, and how fast they grow.
pub(super) async fn sizes(case: &Case<'_>, side: &Side) -> Result<Findings> {
    const RATES: &str =
        "select q.queue_name, (pg_catalog.to_jsonb(q) ->> 'ev_per_sec')::float8 from pgq.get_queue_info() q";
    const DATABASE: &str = "select pg_catalog.pg_database_size(pg_catalog.current_database())";
    const DEAD: &str = "select s.relname::text, s.n_live_tup, s.n_dead_tup from pg_catalog.pg_stat_all_tables s
 where s.schemaname = 'pgq' and s.n_dead_tup > $1::int8 and s.n_dead_tup > $2::int8 * s.n_live_tup order by 1";
    const ACTION: &str = "read the sizes of the queues";
    let mut found = Findings::default();
    let database: i64 = side.db.query_one(ACTION, DATABASE, &[]).await?.get(0);
    let rates = side.db.query(ACTION, RATES, &[]).await?;
    let rate_of = |queue: &str| rates.iter().find(|row| row.get::<_, &str>(0) == queue)?.get::<_, Option<f64>>(1);
    for (queue, size) in warnings::queue_sizes(&side.db).await? {
        if case.queue().is_some_and(|only| only != queue) {
            continue;
        }
        let rate = rate_of(&queue).map_or_else(String::new, |rate| format!(", {rate:.1} events/s come in"));
        let fact = format!("its event tables take {size} bytes{rate}");
        let is_big = match case.queue_size_warn {
            Some(limit) => i64::try_from(limit).is_ok_and(|limit| size > limit),
            None => size > BIG_QUEUE && size > database / 2,
        };
        if is_big {
            found.warning(&check::QUEUE_SIZE, format_args!("queue {queue}"), fact, case.ticker_command("status"));
        } else {
            found.ok(&check::QUEUE_SIZE, format_args!("queue {queue}"), fact);
        }
    }
    found.rest_of_all(&check::QUEUE_SIZE, side.role, "there are no queues");
    let limits = [int8(&DEAD_ROWS), int8(&DEAD_SHARE)];
    for row in side.db.query("look for dead rows", DEAD, &limits).await? {
        let table: String = row.get(0);
        let fact = format!("has {} dead rows and {} live ones", row.get::<_, i64>(2), row.get::<_, i64>(1));
        let fix = side.sql(format_args!("vacuum pgq.{};", Sql::ident(&table)));
        found.warning(&check::QUEUE_BLOAT, format_args!("pgq.{table}"), fact, fix);
    }
    found.rest_of_all(&check::QUEUE_BLOAT, side.role, "no table of schema pgq has many dead rows");
    Ok(found)
}

pub(super) const FAILED: &[&Check] = &[&check::FAILED_EVENTS];

/// The events that consumers have given up.
pub(super) async fn failed(case: &Case<'_>, side: &Side) -> Result<Findings> {
    const ACTION: &str = "count the failed events";
    const MAY_COUNT: &str = "select pg_catalog.has_function_privilege(p.oid, 'execute')
  from pg_catalog.pg_proc p
 where p.oid = pg_catalog.to_regprocedure('pgq.failed_event_count(text, text)')";
    const COUNTS: &str = "select q.queue_name, c.co_name, f.count
  from pgq.subscription s
       join pgq.queue q on q.queue_id = s.sub_queue
       join pgq.consumer c on c.co_id = s.sub_consumer
       cross join lateral pgq.failed_event_count(q.queue_name, c.co_name) f(count)
 where ($1 is null or q.queue_name = $1) and f.count > 0
 order by 1, 2";
    let mut found = Findings::default();
    let may_count = side.db.query(ACTION, MAY_COUNT, &[]).await?.first().map(|row| row.get::<_, bool>(0));
    if may_count == Some(false) {
        let fix = side.queue_grant(case).await?;
        found.unknown(&check::FAILED_EVENTS, side.role, format_args!("{} may not count them", side.user), fix);
    }
    if may_count == Some(true) {
        for row in side.db.query(ACTION, COUNTS, &[text(&case.queue())]).await? {
            let [queue, consumer]: [String; 2] = [row.get(0), row.get(1)];
            let fact = format!("has given up {} events of queue {queue}", row.get::<_, i32>(2));
            let fix = case.ticker_command(format_args!("failed {} {}", shell_word(&queue), shell_word(&consumer)));
            found.warning(&check::FAILED_EVENTS, format_args!("consumer {consumer}"), fact, fix);
        }
    }
    found.rest_of_all(&check::FAILED_EVENTS, side.role, "no consumer has given up an event");
    Ok(found)
}
