//! The ticker: makes ticks in all queues of a database, on a connection of its own.
//!
//! One queue never holds up the others: an error of a queue (it is being dropped, it was restored into another cluster, the
//! user may not tick it) is logged, and the round goes on. Reading and ticking a queue waits at most [`LOCK_TIMEOUT`] for a
//! lock; a queue that was locked is left out for [`ASIDE`]. Each tick is a transaction of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;
use tracing::{debug, error, info, warn};

use super::clock::{self, Clock};
use super::database_settings::DatabaseSettings;
use super::fault::{is_local, is_lock_timeout};
use super::reminders::Reminders;
use super::tick_lock::{self, Wait};
use super::tick_rule::{LastTick, Rule, Ticked, need_tick, pause};
use crate::error::{Error, Report, Result};
use crate::failpoint::failpoint;
use crate::job::{Control, Stats, Work, Worked};
use crate::pg::{Db, Sql, int4, sql};
use crate::pgq::install::{Found, find};

/// Longest wait for a lock. A queue is locked while it is being dropped, until that transaction ends.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '200ms'";

/// How long a queue that was locked, or that could not be ticked, is left out.
const ASIDE: Duration = Duration::from_secs(5);

/// The channel on which `pgq.force_tick()` of rlondiste's own schema asks for a look at the queues.
const FORCE_CHANNEL: &str = "rlondiste_force_tick";

/// The ticker of one database.
pub(super) struct Ticker<'a> {
    settings: DatabaseSettings,
    control: &'a Control,
    session: Option<Session>,
    queues: HashMap<i32, Queue>,
    stats: Stats,
    stats_logged: Option<Instant>,
    reminders: Reminders,
    clock: Clock,
}

struct Session {
    db: Db,
    schema: Found,
    has_paused: bool,
    listens: bool,
}

/// What the ticker keeps of a queue between two checks.
#[derive(Default)]
struct Queue {
    last: Option<LastTick>,
    /// When `ticker_max_lag` after the last tick is over.
    due: Option<Instant>,
    /// Whether the queue fits the server's transaction counter, and when this was checked.
    counter: Option<(bool, Instant)>,
    /// Since when the queue is left out, because it was locked or could not be ticked.
    aside_at: Option<Instant>,
    /// Since when events wait for a tick that is not made.
    wait: Wait,
}

/// A queue as read from the database.
struct Row {
    id: i32,
    name: String,
    rule: Rule,
    event_seq: i64,
    /// The server's clock when the queue was read: the time since 1970.
    clock: Duration,
}

impl<'a> Ticker<'a> {
    pub(super) fn new(settings: DatabaseSettings, control: &'a Control) -> Ticker<'a> {
        Ticker {
            settings,
            control,
            session: None,
            queues: HashMap::new(),
            stats: Stats::default(),
            stats_logged: None,
            reminders: Reminders::default(),
            clock: Clock::default(),
        }
    }

    /// Looks at all queues once and makes the ticks that are due.
    async fn check(&mut self, session: &Session) -> Result<()> {
        let rows = self.read_queues(session).await?;
        if let Some(back) = rows.first().and_then(|row| self.clock.read(row.clock, Instant::now())) {
            warn!("{}{}", self.settings.label, clock::warning(&session.db, back).text);
        }
        for row in rows {
            if self.control.stopping() {
                break;
            }
            let queue = self.queues.entry(row.id).or_default();
            let now = Instant::now();
            if queue.is_aside(now) || !need_tick(&row.rule, queue.last.as_ref(), row.event_seq, now) {
                continue;
            }
            let has_events = queue.last.is_some_and(|last| last.event_seq != row.event_seq);
            let ticked = self.tick(session, &row).await;
            if let Some(queue) = self.queues.get_mut(&row.id) {
                queue.due = queue.last.map(|last| last.at + row.rule.max_lag);
            }
            let made = matches!(ticked, Ok(Ticked::Made));
            if let Err(error) = ticked {
                self.set_aside(session, &row, error).await?;
            }
            if has_events && !made {
                self.watch_wait(session, &row).await?;
            } else if let Some(queue) = self.queues.get_mut(&row.id) {
                queue.wait.end();
            }
        }
        Ok(())
    }

    /// Warns of the sessions that keep a queue whose events wait from its tick.
    async fn watch_wait(&mut self, session: &Session, row: &Row) -> Result<()> {
        let now = Instant::now();
        let Some(queue) = self.queues.get_mut(&row.id) else { return Ok(()) };
        let Some(waited) = queue.wait.went_on(now).filter(|_| session.schema.is_own()) else { return Ok(()) };
        if let Some(warning) = tick_lock::blocked(&session.db, &row.name, waited).await?
            && self.reminders.due(&warning.about, now)
        {
            warn!("{}{}", self.settings.label, warning.text);
        }
        Ok(())
    }

    /// Asks the server for a tick of a queue whose counter is right.
    async fn tick(&mut self, session: &Session, row: &Row) -> Result<Ticked> {
        if !self.counter_is_right(session, row).await? {
            return Ok(Ticked::NotDue);
        }
        failpoint!("tick::due");
        let ticked = session.tick(&row.name).await?;
        failpoint!("tick::made");
        let queue = self.queues.entry(row.id).or_default();
        queue.last = Some(LastTick::after(&row.rule, queue.last, row.event_seq, ticked, Instant::now()));
        self.stats.add("ticks", u64::from(ticked == Ticked::Made));
        Ok(ticked)
    }

    /// Whether the queue's last tick and rotation lie in the past of this server's transaction counter. They do not after a
    /// restore into a cluster with a smaller counter: the snapshot of a new tick would be older than that of the last tick,
    /// and consumers would never get the new events. Checked when a queue is new to this session, and again after
    /// `queue_refresh_period` while false.
    async fn counter_is_right(&mut self, session: &Session, row: &Row) -> Result<bool> {
        let queue = self.queues.entry(row.id).or_default();
        let now = Instant::now();
        match queue.counter {
            Some((true, _)) => return Ok(true),
            Some((false, at)) if now.saturating_duration_since(at) < self.settings.refresh_period => {
                return Ok(false);
            }
            _ => (),
        }
        if queue.counter.is_none()
            && let Some(warning) = clock::future_tick(&session.db, row.id, &row.name).await?
            && self.reminders.due(&warning.about, now)
        {
            warn!("{}{}", self.settings.label, warning.text);
        }
        let problem = super::rebase::counter_problem(&session.db, row.id).await?;
        let queue = self.queues.entry(row.id).or_default();
        queue.counter = Some((problem.is_none(), now));
        let Some(problem) = problem else { return Ok(true) };
        if self.reminders.due(&format!("counter {}", row.id), now) {
            error!("{}{}", self.settings.label, Report(&problem.refusal(&row.name)));
        }
        Ok(false)
    }

    /// Leaves a queue out for [`ASIDE`] after an error that concerns only this queue; returns any other error.
    async fn set_aside(&mut self, session: &Session, row: &Row, error: Error) -> Result<()> {
        if !is_local(&error) || self.control.abort().is_cancelled() {
            return Err(error);
        }
        let now = Instant::now();
        if is_lock_timeout(&error) {
            debug!("Queue {} is locked", row.name);
            self.queues.entry(row.id).or_default().aside_at = Some(now);
        } else if session.has_queue(row.id).await? {
            if self.reminders.due(&format!("tick {} {error}", row.id), now) {
                error!("{}{}", self.settings.label, Report(&error));
            }
            // An error that lasts would otherwise come back at every check.
            self.queues.entry(row.id).or_default().aside_at = Some(now);
        } else {
            debug!("Queue {} has been dropped", row.name);
        }
        Ok(())
    }

    /// All queues that get ticks from this ticker and are not left out.
    async fn read_queues(&mut self, session: &Session) -> Result<Vec<Row>> {
        let now = Instant::now();
        if self.queues.values().all(|queue| !queue.is_aside(now)) {
            match session.read_queues(None).await {
                // One queue was dropped while it was read, or is locked.
                Err(error) if is_local(&error) => debug!("Reading the queues one by one: {}", Report(&error)),
                Err(error) => return Err(error),
                Ok(rows) => {
                    self.queues.retain(|id, _| rows.iter().any(|row| row.id == *id));
                    return Ok(rows);
                }
            }
        }
        let ids = session.queue_ids().await?;
        self.queues.retain(|id, _| ids.contains(id));
        let mut rows = Vec::new();
        for id in ids {
            if self.queues.get(&id).is_some_and(|queue| queue.is_aside(now)) {
                continue;
            }
            match session.read_queues(Some(id)).await {
                Ok(read) => rows.extend(read),
                Err(error) if is_local(&error) => {
                    if !is_lock_timeout(&error) && self.reminders.due(&format!("read {id} {error}"), now) {
                        error!("{}{}", self.settings.label, Report(&error));
                    }
                    self.queues.entry(id).or_default().aside_at = Some(now);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    /// Logs the number of ticks: at once, and then each `ticker_log_delay`.
    fn log_stats(&mut self) {
        let now = Instant::now();
        let delay = self.settings.log_delay;
        if self.stats_logged.is_none_or(|at| now.saturating_duration_since(at) >= delay) {
            self.stats_logged = Some(now);
            self.stats.add("ticks", 0);
            info!("{}{}", self.settings.label, self.stats.take());
        }
    }

    /// Waits `loop_delay` before the next check, or less: until a tick may be due, a tick is asked for by
    /// `pgq.force_tick()`, or a stop or reload is requested.
    async fn wait(&self, session: &mut Session) -> Result<()> {
        let dues = self.queues.values().filter_map(|queue| queue.due);
        let sleep = self.control.sleep(pause(self.settings.loop_delay, dues, Instant::now()));
        if !session.listens {
            sleep.await;
            return Ok(());
        }
        tokio::select! {
            _ = sleep => Ok(()),
            notification = session.db.notification() => {
                if notification.is_none() {
                    session.listens = false;
                }
                session.db.drain_notifications();
                Ok(())
            }
        }
    }

    /// The open session, or a new one where it is closed or older than `connection_lifetime`.
    async fn connect(&mut self) -> Result<Session> {
        if let Some(session) = self.session.take_if(|session| self.settings.may_keep(&session.db)) {
            return Ok(session);
        }
        self.session = None;
        self.clock.forget();
        Session::open(&self.settings, self.control).await
    }
}

impl Work for Ticker<'_> {
    async fn work(&mut self) -> Result<Worked> {
        let mut session = self.connect().await?;
        self.check(&session).await?;
        self.log_stats();
        self.wait(&mut session).await?;
        self.session = Some(session);
        // The pause is in `wait`, where a notification can end it.
        Ok(Worked::Again)
    }

    fn disconnect(&mut self) {
        self.session = None;
        // The next session may be one of another server.
        self.queues.clear();
        self.clock.forget();
    }

    fn reload(&mut self) -> Result<()> {
        self.settings = self.settings.reload()?;
        Ok(())
    }

    fn loop_delay(&self) -> Duration {
        self.settings.loop_delay
    }

    fn name(&self) -> &str {
        &self.settings.job_name
    }
}

impl Session {
    async fn open(settings: &DatabaseSettings, control: &Control) -> Result<Session> {
        const PAUSED: &str = "select exists (select 1 from pg_catalog.pg_attribute a
    where a.attrelid = pg_catalog.to_regclass('pgq.queue') and a.attname = 'queue_ticker_paused')";
        let db = settings.open(control).await?;
        let schema = find(&db).await?;
        let has_paused = db.query_one("look at pgq.queue", PAUSED, &[]).await?.get(0);
        // Behind a transaction pooler the server connection would go on listening for other clients; there, a forced
        // tick waits for the next check.
        let listens = !db.is_pooled();
        if listens {
            db.batch_alone("listen", sql!("listen {channel}", channel = FORCE_CHANNEL)).await?;
        }
        Ok(Session { db, schema, has_paused, listens })
    }

    /// The queues that are neither paused nor ticked from outside, with their sequences; all of them, or queue `id`.
    async fn read_queues(&self, id: Option<i32>) -> Result<Vec<Row>> {
        const ACTION: &str = "read the queues";
        let paused = if self.has_paused { " and not q.queue_ticker_paused" } else { "" };
        let decides = !matches!(self.schema, Found::Genuine21(_));
        let one = id.map_or_else(|| Sql::from(""), |id| sql!(" and q.queue_id = {id}", id = id));
        // One statement for all queues, since it runs at each check. A sequence that gave no value yet has NULL.
        let sql = sql!(
            "{limit};
select q.queue_id, q.queue_name, q.queue_ticker_max_count,
       extract(epoch from q.queue_ticker_max_lag)::float8, extract(epoch from q.queue_ticker_idle_period)::float8,
       coalesce(pg_catalog.pg_sequence_last_value(pg_catalog.to_regclass(q.queue_event_seq)), 0),
       extract(epoch from pg_catalog.clock_timestamp())::float8
from pgq.queue q
where not q.queue_external_ticker{paused}{one}
order by q.queue_name",
            limit = LOCK_TIMEOUT,
            paused = paused,
            one = one
        );
        let messages = self.db.simple_query(ACTION, sql).await?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| Row::read(row, decides).ok_or_else(|| Row::refusal(row))).collect()
    }

    async fn queue_ids(&self) -> Result<Vec<i32>> {
        let sql = "select q.queue_id from pgq.queue q order by q.queue_name";
        Ok(self.db.query("read the queues", sql, &[]).await?.iter().map(|row| row.get(0)).collect())
    }

    async fn has_queue(&self, id: i32) -> Result<bool> {
        let sql = "select 1 from pgq.queue q where q.queue_id = $1";
        Ok(self.db.query_opt("look for a queue", sql, &[int4(&id)]).await?.is_some())
    }

    /// Asks for a tick, in a transaction of its own. PgQ 3 and rlondiste's own schema make none that is not due by their own
    /// count. For any other schema than rlondiste's own it sends the notification of the tick.
    async fn tick(&self, queue: &str) -> Result<Ticked> {
        let name = Sql::literal(queue);
        let sql = if self.schema.is_own() {
            sql!("{limit}; select pgq.ticker({name})", limit = LOCK_TIMEOUT, name = name)
        } else {
            sql!(
                "{limit}; select t.id, case when t.id is not null \
                 then pg_catalog.pg_notify('rlondiste_tick', {name}) end from (select pgq.ticker({name}) as id offset 0) t",
                limit = LOCK_TIMEOUT,
                name = name
            )
        };
        let messages = self.db.simple_query("tick", sql).await.map_err(|e| e.about(format!("queue \"{queue}\"")))?;
        let is_made =
            |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(row) if row.get(0).is_some());
        Ok(if messages.iter().any(is_made) { Ticked::Made } else { Ticked::NotDue })
    }
}

impl Queue {
    fn is_aside(&self, now: Instant) -> bool {
        self.aside_at.is_some_and(|at| now.saturating_duration_since(at) < ASIDE)
    }
}

impl Row {
    /// The error for a queue whose settings cannot be read. No command stores such settings, but an update of
    /// `pgq.queue` may.
    fn refusal(row: &tokio_postgres::SimpleQueryRow) -> Error {
        let value = |column: usize| row.get(column).unwrap_or("null");
        Error::refused(
            format!(
                "queue \"{}\" gets no ticks with these settings: ticker_max_count = {}, ticker_max_lag = {} s, \
                 ticker_idle_period = {} s",
                value(1),
                value(2),
                value(3),
                value(4)
            ),
            "They must be finite and not negative. Set them with \"rlondiste ticker INI config QUEUE VAR=VAL\".",
        )
    }

    /// Reads a row. Where `pgq.ticker()` `decides` itself whether a tick is due, it is asked each `max_lag` also when the
    /// sequence stands still: it may know of events whose transaction was open at the last tick.
    fn read(row: &tokio_postgres::SimpleQueryRow, decides: bool) -> Option<Row> {
        let seconds = |column: usize| Duration::try_from_secs_f64(row.get(column)?.parse().ok()?).ok();
        let max_lag = seconds(3)?;
        let idle_period = if decides { max_lag } else { seconds(4)? };
        Some(Row {
            id: row.get(0)?.parse().ok()?,
            name: row.get(1)?.to_owned(),
            rule: Rule { max_count: row.get(2)?.parse().ok()?, max_lag, idle_period },
            event_seq: row.get(5)?.parse().ok()?,
            clock: seconds(6)?,
        })
    }
}
