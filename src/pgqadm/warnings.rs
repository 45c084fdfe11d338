//! Warnings of maintenance: consumers that fall behind, queues that grow.

use super::captured_tables;
use crate::error::Result;
use crate::pg::{Db, int8};

/// A warning about a state that may last.
#[derive(Debug)]
pub(super) struct Warning {
    /// The key of the state, which is the same for each warning about it.
    pub(super) about: String,
    /// The warning, on one line.
    pub(super) text: String,
}

/// A warning for each consumer that is behind by more than the queue's rotation period: from there on the event tables
/// grow. A consumer is behind since the first tick that it has not finished; a consumer that has finished the newest
/// tick is not behind, however old that tick is.
pub(super) async fn slow_consumers(db: &Db) -> Result<Vec<Warning>> {
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
where now() - n.tick_time > q.queue_rotation_period
order by 3 desc";
    let rows = db.query("look for slow consumers", SQL, &[]).await?;
    let describe = |row: &tokio_postgres::Row| {
        let (queue, consumer): (String, String) = (row.get(0), row.get(1));
        let (lag, seen, period, size): (f64, Option<f64>, f64, i64) = (row.get(2), row.get(3), row.get(4), row.get(5));
        let seen = seen.map_or_else(|| "never seen".to_owned(), |seen| format!("last seen {seen:.0} s ago"));
        Warning {
            about: format!("consumer {queue} {consumer}"),
            text: format!(
                "Consumer {consumer} of queue {queue} is {lag:.0} s behind, more than the rotation period of {period:.0} s; \
                 {seen}. Its events are kept until it comes, and the queue takes {size} bytes; start it, or unregister it"
            ),
        }
    };
    Ok(rows.iter().map(describe).collect())
}

/// A warning for each queue whose event tables, with their indexes and TOAST, take more than `limit` bytes.
pub(super) async fn big_queues(db: &Db, limit: u64) -> Result<Vec<Warning>> {
    const SQL: &str = "select q.queue_name, sum(pg_catalog.pg_total_relation_size(i.inhrelid))::int8
from pgq.queue q
join pg_catalog.pg_inherits i on i.inhparent = pg_catalog.to_regclass(q.queue_data_pfx)
group by q.queue_name
having sum(pg_catalog.pg_total_relation_size(i.inhrelid)) > $1::int8
order by 2 desc";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db.query("look for big queues", SQL, &[int8(&limit)]).await?;
    let describe = |row: &tokio_postgres::Row| {
        let (queue, size): (String, i64) = (row.get(0), row.get(1));
        Warning {
            about: format!("size {queue}"),
            text: format!("Queue {queue} takes {size} bytes, more than queue_size_warn ({limit} bytes)"),
        }
    };
    Ok(rows.iter().map(describe).collect())
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
