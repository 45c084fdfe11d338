//! `londiste.queue_consumer`: the consumer whose position the `ok` tables of a queue rest on.
//!
//! `londiste.completed` has consumers but not their queues. An ini file with another `job_name` or `pgq_consumer_id`
//! makes another consumer, which begins at the newest tick: tables that are `ok` would lose all events before this
//! tick.

use crate::error::Result;
use crate::pg::{Db, text};

/// The consumer of the queue; `None` when no rlondiste has replayed the queue on this subscriber.
pub(crate) async fn get(subscriber: &Db, queue: &str) -> Result<Option<String>> {
    let sql = "select consumer_id from londiste.queue_consumer where queue_name = $1";
    let row = subscriber.query_opt("look for the queue's consumer", sql, &[text(&queue)]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Stores the consumer of the queue.
pub(crate) async fn set(subscriber: &Db, queue: &str, consumer: &str) -> Result<()> {
    let sql = "insert into londiste.queue_consumer as c (queue_name, consumer_id) values ($1, $2)
               on conflict (queue_name) do update set consumer_id = excluded.consumer_id
               where c.consumer_id <> excluded.consumer_id";
    subscriber.execute("store the queue's consumer", sql, &[text(&queue), text(&consumer)]).await.map(drop)
}
