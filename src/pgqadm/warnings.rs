//! Warnings of maintenance: consumers that fall behind, queues that grow.

use super::captured_tables;
use crate::error::Result;
use crate::pg::Db;

/// A warning about a state that may last.
#[derive(Debug)]
pub(crate) struct Warning {
    /// The key of the state, which is the same for each warning about it.
    pub(super) about: String,
    /// The warning, on one line.
    pub(crate) text: String,
}

/// A consumer that has not finished the newest tick of its queue. Times are in seconds.
pub(crate) struct Behind {
    pub(crate) queue: String,
    pub(crate) consumer: String,
    /// The age of the first tick that it has not finished: a consumer is not behind for the age of a tick that it has finished.
    pub(crate) lag: f64,
    /// Since it last opened or finished a batch.
    pub(crate) seen: Option<f64>,
    /// The rotation period of the queue.
    pub(crate) period: f64,
    /// The size of the event tables, in bytes.
    pub(crate) size: i64,
}

/// The consumers that are behind, the worst first.
pub(crate) async fn consumers_behind(db: &Db) -> Result<Vec<Behind>> {
    const SQL: &str = "select q.queue_name, c.co_name, extract(epoch from now() - n.tick_time)::float8,
       extract(epoch from now() - s.sub_active)::float8, extract(epoch from q.queue_rotation_period)::float8,
       (select coalesce(sum(pg_catalog.pg_total_relation_size(i.inhrelid)), 0)::int8
          from pg_catalog.pg_inherits i where i.inhparent = pg_catalog.to_regclass(q.queue_data_pfx))
from pgq.subscription s
join pgq.queue q on q.queue_id = s.sub_queue
join pgq.consumer c on c.co_id = s.sub_consumer
cross join lateral (
    select t.tick_time from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id > s.sub_last_tick order by t.tick_id limit 1
) n
order by 3 desc";
    let rows = db.query("look for slow consumers", SQL, &[]).await?;
    let behind = |row: &tokio_postgres::Row| Behind {
        queue: row.get(0),
        consumer: row.get(1),
        lag: row.get(2),
        seen: row.get(3),
        period: row.get(4),
        size: row.get(5),
    };
    Ok(rows.iter().map(behind).collect())
}

/// A warning for each consumer that is behind by more than the queue's rotation period: from there on the event tables
/// grow.
pub(super) async fn slow_consumers(db: &Db) -> Result<Vec<Warning>> {
    let describe = |Behind { queue, consumer, lag, seen, period, size }: Behind| {
        let seen = seen.map_or_else(|| "never seen".to_owned(), |seen| format!("last seen {seen:.0} s ago"));
        Warning {
            about: format!("consumer {queue} {consumer}"),
            text: format!(
                "Consumer {consumer} of queue {queue} is {lag:.0} s behind, more than the rotation period of {period:.0} s; \
                 {seen}. Its events are kept until it comes, and the queue takes {size} bytes; start it, or unregister it"
            ),
        }
    };
    Ok(consumers_behind(db).await?.into_iter().filter(|behind| behind.lag > behind.period).map(describe).collect())
}

/// Each queue with the size of its event tables with their indexes and TOAST, in bytes; the biggest first.
pub(crate) async fn queue_sizes(db: &Db) -> Result<Vec<(String, i64)>> {
    const SQL: &str = "select q.queue_name, sum(pg_catalog.pg_total_relation_size(i.inhrelid))::int8
from pgq.queue q
join pg_catalog.pg_inherits i on i.inhparent = pg_catalog.to_regclass(q.queue_data_pfx)
group by q.queue_name
order by 2 desc";
    Ok(db.query("look for big queues", SQL, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A warning for each queue whose event tables, with their indexes and TOAST, take more than `limit` bytes.
pub(super) async fn big_queues(db: &Db, limit: u64) -> Result<Vec<Warning>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let describe = |(queue, size): (String, i64)| Warning {
        about: format!("size {queue}"),
        text: format!("Queue {queue} takes {size} bytes, more than queue_size_warn ({limit} bytes)"),
    };
    Ok(queue_sizes(db).await?.into_iter().filter(|(_, size)| *size > limit).map(describe).collect())
}

/// A warning for each queue that does not exist although triggers write to it: each write to their tables fails.
pub(super) async fn lost_queues(db: &Db) -> Result<Vec<Warning>> {
    let mut found = Vec::new();
    for queue in captured_tables::lost_queues(db).await? {
        let tables = captured_tables::with_triggers(db, &queue).await?;
        let Some(first) = tables.first() else { continue };
        let statement = captured_tables::take_out(&queue, first);
        found.push(Warning {
            about: format!("lost queue {queue}"),
            text: format!(
                "Queue {queue} does not exist, but {} tables are captured into it, and each write to them fails: {}. Create the \
                 queue again (\"rlondiste TICKER-INI create {queue}\"), or take each table out of the set: {statement}",
                tables.len(),
                tables.join(", ")
            ),
        });
    }
    Ok(found)
}

/// A warning that schema `londiste` is not there any more, with `captured` tables in the round before.
pub(super) fn lost_capture(captured: usize) -> Warning {
    Warning {
        about: "lost capture".to_owned(),
        text: format!(
            "schema londiste is gone: changes of {captured} tables are not captured any more. Install it with \"rlondiste INI \
             provider install\" and add the tables with \"rlondiste INI provider add\"; subscribers copy them again"
        ),
    }
}
