//! What the provider's tables tell of the queue and of the consumer.

use super::cause::{BIG_BATCH, Cause, Writer};
use crate::error::Result;
use crate::pg::{Db, Sql, int8, sql, text};

/// A ticker is given so many seconds more than the settings of the queue ask for.
const TICKER_GRACE: f64 = 5.0;

/// A transaction that has written events is named when it is open for longer than so many seconds.
const LONG_TRANSACTION: f64 = 5.0;

/// The queue and the consumer on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queue {
    pub(super) newest_tick: i64,
    /// Age of the newest tick.
    tick_age: f64,
    /// `ticker_max_lag` and `ticker_idle_period`.
    max_lag: f64,
    idle_period: f64,
    paused: bool,
    /// Events since the newest tick; `None` where the provider's PgQ does not count them.
    untaken: Option<i64>,
    /// Seconds since the consumer last opened or finished a batch.
    pub(super) last_seen: Option<f64>,
    /// The open batch.
    batch: Option<i64>,
}

impl Queue {
    /// Reads the queue; `None` when the consumer is not registered. Columns that only PgQ 3 has are read through the row as JSON.
    pub(super) async fn read(provider: &Db, queue: &str, consumer: &str) -> Result<Option<Queue>> {
        let sql = "select newest.tick_id, extract(epoch from pg_catalog.now() - newest.tick_time)::float8,
                          extract(epoch from q.queue_ticker_max_lag)::float8,
                          extract(epoch from q.queue_ticker_idle_period)::float8,
                          coalesce((to_jsonb(q) ->> 'queue_ticker_paused')::bool, false),
                          (select (to_jsonb(i) ->> 'ev_new')::bigint from pgq.get_queue_info($1) i),
                          extract(epoch from pg_catalog.now() - s.sub_active)::float8, s.sub_batch
                     from pgq.queue q
                          join pgq.subscription s on s.sub_queue = q.queue_id
                          join pgq.consumer c on c.co_id = s.sub_consumer and c.co_name = $2
                          cross join lateral (
                              select t.tick_id, t.tick_time from pgq.tick t
                               where t.tick_queue = q.queue_id order by t.tick_id desc limit 1) newest
                    where q.queue_name = $1";
        let row = provider.query_opt("read the state of the queue", sql, &[text(&queue), text(&consumer)]).await?;
        Ok(row.map(|row| Queue {
            newest_tick: row.get(0),
            tick_age: row.get(1),
            max_lag: row.get(2),
            idle_period: row.get(3),
            paused: row.get(4),
            untaken: row.get(5),
            last_seen: row.get(6),
            batch: row.get(7),
        }))
    }

    /// Whether ticks stay away: events wait for longer than the queue allows, or even the ticks of an idle queue are late.
    pub(super) fn ticks_missing(&self) -> Option<Cause> {
        let waits = self.untaken.is_some_and(|events| events > 0);
        let limit = if waits { self.max_lag.min(self.idle_period) } else { self.idle_period };
        (self.tick_age > limit + TICKER_GRACE).then_some(Cause::TickerDown {
            age: self.tick_age,
            paused: self.paused,
            limit,
        })
    }

    /// Whether the open batch is a big one. Its events are counted: the event sequence does not tell how many a long transaction
    /// has written. `None` also when the batch was finished meanwhile.
    pub(super) async fn big_batch(&self, provider: &Db) -> Result<Option<Cause>> {
        const ACTION: &str = "count the events of the batch";
        let Some(batch) = self.batch else { return Ok(None) };
        let count = async {
            let sql = "select pgq.batch_event_sql($1)";
            let events: String = provider.query_one(ACTION, sql, &[int8(&batch)]).await?.get(0);
            let sql = sql!(
                "select pg_catalog.count(*) from (select from ({events}) e limit {most}) e",
                events = Sql::from_server(events),
                most = BIG_BATCH
            );
            provider.query_one(ACTION, sql, &[]).await
        };
        match count.await {
            Ok(row) if row.get::<_, i64>(0) >= BIG_BATCH => Ok(Some(Cause::BigBatch { seconds: self.last_seen })),
            Ok(_) => Ok(None),
            Err(error) if error.code().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The oldest open transaction that has written into the queue. It holds the lock of a writer on one of the event tables.
pub(super) async fn open_writer(provider: &Db, queue: &str) -> Result<Option<Writer>> {
    let sql = "select l.pid, coalesce(a.application_name, ''),
                      extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8, a.query
                 from pgq.queue q
                      join pg_catalog.pg_inherits i on i.inhparent = pg_catalog.to_regclass(q.queue_data_pfx)
                      join pg_catalog.pg_locks l on l.relation = i.inhrelid and l.mode = 'RowExclusiveLock' and l.granted
                           and l.database = (select d.oid from pg_catalog.pg_database d
                                              where d.datname = pg_catalog.current_database())
                      left join pg_catalog.pg_stat_activity a on a.pid = l.pid
                where q.queue_name = $1 and (l.pid is null or a.xact_start < pg_catalog.clock_timestamp() - $2 * interval '1 second')
                order by a.xact_start nulls last
                limit 1";
    let age = (&LONG_TRANSACTION as _, tokio_postgres::types::Type::FLOAT8);
    let row =
        provider.query_opt("look for open transactions that have written events", sql, &[text(&queue), age]).await?;
    Ok(row.map(|row| Writer { pid: row.get(0), application: row.get(1), seconds: row.get(2), query: row.get(3) }))
}
