//! How far the consumers of queues are behind, for those who look on. Uses only what PgQ 2.1 and 3 both have; columns that
//! only PgQ 3 has are read through `to_jsonb(row)`.

use tokio_postgres::Row;

use crate::error::Result;
use crate::pg::{Db, text};

/// A consumer of a queue. Times are in seconds.
#[derive(Debug)]
pub(crate) struct ConsumerLag {
    pub(crate) queue: String,
    pub(crate) consumer: String,
    /// Age of the tick up to which it has finished.
    pub(crate) lag: Option<f64>,
    /// Time since it last opened or finished a batch.
    pub(crate) last_seen: Option<f64>,
    /// Events that it has not finished, by the event sequence; `None` where PgQ does not count them.
    pub(crate) pending: Option<i64>,
}

/// The consumers of a queue, or of all queues, by name.
pub(crate) async fn read(db: &Db, queue: Option<&str>) -> Result<Vec<ConsumerLag>> {
    const SQL: &str = "select c.queue_name, c.consumer_name, extract(epoch from c.lag)::float8,
       extract(epoch from c.last_seen)::float8, greatest((pg_catalog.to_jsonb(c) ->> 'pending_events')::int8, 0)
from pgq.get_consumer_info() c
where $1::text is null or c.queue_name = $1
order by c.queue_name, c.consumer_name";
    let rows = db.query("read the state of the consumers", SQL, &[text(&queue)]).await?;
    let of = |row: &Row| ConsumerLag {
        queue: row.get(0),
        consumer: row.get(1),
        lag: row.get(2),
        last_seen: row.get(3),
        pending: row.get(4),
    };
    Ok(rows.iter().map(of).collect())
}
