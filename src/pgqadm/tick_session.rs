//! The ticker's session: reads the queues and asks for their ticks.

use std::time::Duration;

use tokio_postgres::{Notification, SimpleQueryMessage, SimpleQueryRow};

use super::database_settings::DatabaseSettings;
use super::demand;
use super::tick_rule::{Rule, Ticked};
use crate::error::{Error, Result};
use crate::job::Control;
use crate::pg::{Db, Sql, int4, sql};
use crate::pgq::install::{Found, find};

/// Longest wait for a lock. A queue is locked while it is being dropped, until that transaction ends.
pub(super) const LOCK_TIMEOUT: &str = "set local lock_timeout = '200ms'";

/// The same in the statements of a ticker inside of replay, which is told by it.
pub(super) const INSIDE_REPLAY: &str = "set local lock_timeout = '200ms' /* inside replay */";

/// The channel on which `pgq.force_tick()` of rlondiste's own schema asks for a look at the queues.
const FORCE_CHANNEL: &str = "rlondiste_force_tick";

/// A session for the ticks of one database.
pub(super) struct Session {
    pub(super) db: Db,
    pub(super) schema: Found,
    /// [`LOCK_TIMEOUT`] or [`INSIDE_REPLAY`], with which each statement begins.
    limit: &'static str,
    has_paused: bool,
    /// Whether it listens; not behind a pooler, and not when it has ended.
    pub(super) listens: bool,
    /// Whether the schema makes ticks on demand, and [`Session::look`] is prepared.
    pub(super) on_demand: bool,
}

/// A queue as read from the database.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) rule: Rule,
    pub(super) event_seq: i64,
    /// The oid of the event sequence; 0 where it is gone, which the request for a tick tells.
    pub(super) sequence: u32,
    /// The server's clock when the queue was read: the time since 1970.
    pub(super) clock: Duration,
}

/// Why a tick is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// By the settings of the queue.
    Due,
    /// A consumer waits for events, and there are some.
    OnDemand,
}

impl Session {
    pub(super) async fn open(settings: &DatabaseSettings, control: &Control) -> Result<Session> {
        const PAUSED: &str = "select exists (select 1 from pg_catalog.pg_attribute a
    where a.attrelid = pg_catalog.to_regclass('pgq.queue') and a.attname = 'queue_ticker_paused')";
        const ON_DEMAND: &str = "select pg_catalog.to_regprocedure('pgq.tick_new_events(text)') is not null";
        const LOOK: &str = "prepare look (oid[]) as
    select coalesce(pg_catalog.pg_sequence_last_value(nullif(s.id, 0)), 0) from unnest($1) with ordinality as s(id, nr) order by s.nr";
        let db = settings.open(control).await?;
        let schema = find(&db).await?;
        let has_paused = db.query_one("look at pgq.queue", PAUSED, &[]).await?.get(0);
        // Behind a transaction pooler the server connection would go on listening for other clients; there, a forced
        // tick waits for the next check.
        let listens = !db.is_pooled();
        let mut on_demand = false;
        if listens {
            db.batch_alone("listen", sql!("listen {channel}", channel = FORCE_CHANNEL)).await?;
            on_demand = schema.is_own() && db.query_one("look into schema pgq", ON_DEMAND, &[]).await?.get(0);
        }
        if on_demand {
            db.batch_alone("listen", sql!("listen {channel}; {look}", channel = demand::CHANNEL, look = LOOK)).await?;
        }
        let limit = if settings.is_inside_replay() { INSIDE_REPLAY } else { LOCK_TIMEOUT };
        Ok(Session { db, schema, limit, has_paused, listens, on_demand })
    }

    /// The queues that are neither paused nor ticked from outside, with their sequences; all of them, or queue `id`.
    pub(super) async fn read_queues(&self, id: Option<i32>) -> Result<Vec<Row>> {
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
       extract(epoch from pg_catalog.clock_timestamp())::float8, coalesce(pg_catalog.to_regclass(q.queue_event_seq)::oid, 0)
from pgq.queue q
where not q.queue_external_ticker{paused}{one}
order by q.queue_name",
            limit = self.limit,
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

    pub(super) async fn queue_ids(&self) -> Result<Vec<i32>> {
        let sql = "select q.queue_id from pgq.queue q order by q.queue_name";
        Ok(self.db.query("read the queues", sql, &[]).await?.iter().map(|row| row.get(0)).collect())
    }

    pub(super) async fn has_queue(&self, id: i32) -> Result<bool> {
        let sql = "select 1 from pgq.queue q where q.queue_id = $1";
        Ok(self.db.query_opt("look for a queue", sql, &[int4(&id)]).await?.is_some())
    }

    /// The event sequences of the queues, in their order; empty for no queue, and where no ticks are made on demand.
    pub(super) async fn look(&self, rows: &[Row]) -> Result<Vec<i64>> {
        const ACTION: &str = "read the event sequences";
        if !self.on_demand || rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Sql::join(rows.iter().map(|row| Sql::from(row.sequence)), ", ");
        let sql = sql!("{limit}; execute look(array[{ids}]::oid[])", limit = self.limit, ids = ids);
        let messages = self.db.simple_query(ACTION, sql).await?;
        let value = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        };
        Ok(messages.iter().filter_map(value).collect())
    }

    /// Asks for a tick, in a transaction of its own. PgQ 3 and rlondiste's own schema make none that is not due by their own
    /// count, unless on demand. For any other schema than rlondiste's own it sends the notification of the tick.
    pub(super) async fn tick(&self, queue: &str, call: Call) -> Result<Ticked> {
        let name = Sql::literal(queue);
        let sql = if call == Call::OnDemand {
            sql!("{limit}; select pgq.tick_new_events({name})", limit = self.limit, name = name)
        } else if self.schema.is_own() {
            sql!("{limit}; select pgq.ticker({name})", limit = self.limit, name = name)
        } else {
            sql!(
                "{limit}; select t.id, case when t.id is not null \
                 then pg_catalog.pg_notify('rlondiste_tick', {name}) end from (select pgq.ticker({name}) as id offset 0) t",
                limit = self.limit,
                name = name
            )
        };
        let messages = self.db.simple_query("tick", sql).await.map_err(|e| e.about(format!("queue \"{queue}\"")))?;
        let is_made =
            |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(row) if row.get(0).is_some());
        Ok(if messages.iter().any(is_made) { Ticked::Made } else { Ticked::NotDue })
    }
}

/// Whether a notification asks for a check of all queues; any other one tells of a queue whose consumer waits.
pub(super) fn is_forced(notification: &Notification) -> bool {
    notification.channel() == FORCE_CHANNEL
}

impl Row {
    /// The error for a queue whose settings cannot be read. No command stores such settings, but an update of
    /// `pgq.queue` may.
    fn refusal(row: &SimpleQueryRow) -> Error {
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
    fn read(row: &SimpleQueryRow, decides: bool) -> Option<Row> {
        let seconds = |column: usize| Duration::try_from_secs_f64(row.get(column)?.parse().ok()?).ok();
        let max_lag = seconds(3)?;
        let idle_period = if decides { max_lag } else { seconds(4)? };
        Some(Row {
            id: row.get(0)?.parse().ok()?,
            name: row.get(1)?.to_owned(),
            rule: Rule { max_count: row.get(2)?.parse().ok()?, max_lag, idle_period },
            event_seq: row.get(5)?.parse().ok()?,
            clock: seconds(6)?,
            sequence: row.get(7)?.parse().ok()?,
        })
    }
}
