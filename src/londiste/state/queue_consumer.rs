//! `londiste.queue_consumer`: the consumer whose position the `ok` tables of a queue rest on.
//!
//! `londiste.completed` has consumers but not their queues. An ini file with another `job_name` or `pgq_consumer_id`
//! makes another consumer, which begins at the newest tick: tables that are `ok` would lose all events before this
//! tick.

use tokio_postgres::error::SqlState;

use super::completed;
use crate::error::Result;
use crate::pg::{Db, text};
use crate::pgq::consumer::{self, Consumer};

/// The consumer of the queue; `None` when no rlondiste has replayed the queue on this subscriber. Works on a schema of 2.1, which
/// does not have the table, only outside of a transaction: the statement fails there.
pub(crate) async fn get(subscriber: &Db, queue: &str) -> Result<Option<String>> {
    let sql = "select consumer_id from londiste.queue_consumer where queue_name = $1";
    match subscriber.query_opt("look for the queue's consumer", sql, &[text(&queue)]).await {
        Ok(row) => Ok(row.map(|row| row.get(0))),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores the consumer of the queue.
pub(crate) async fn set(subscriber: &Db, queue: &str, consumer: &str) -> Result<()> {
    let sql = "insert into londiste.queue_consumer as c (queue_name, consumer_id) values ($1, $2)
               on conflict (queue_name) do update set consumer_id = excluded.consumer_id
               where c.consumer_id <> excluded.consumer_id";
    subscriber.execute("store the queue's consumer", sql, &[text(&queue), text(&consumer)]).await.map(drop)
}

/// The queues that are replayed here, each with its consumer.
pub(crate) async fn all(subscriber: &Db) -> Result<Vec<(String, String)>> {
    let sql = "select queue_name, consumer_id from londiste.queue_consumer order by 1";
    let rows = subscriber.query("look for the consumers of queues", sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Forgets the consumer of the queue.
pub(crate) async fn forget(subscriber: &Db, queue: &str) -> Result<()> {
    let sql = "delete from londiste.queue_consumer where queue_name = $1";
    subscriber.execute("forget the queue's consumer", sql, &[text(&queue)]).await.map(drop)
}

/// Another consumer than this one, whose position the `ok` tables of the queue rest on; `None` when there is no such consumer.
/// To be asked when this one has no position.
pub(crate) async fn other(provider: &Db, subscriber: &Db, consumer: &Consumer) -> Result<Option<String>> {
    if let Some(name) = get(subscriber, &consumer.queue).await? {
        return Ok((name != consumer.name).then_some(name));
    }
    // SkyTools stores no consumer of the queue: look for one with a position here that is registered on the queue.
    let positions = completed::consumers(subscriber, &consumer.name).await?;
    consumer::registered_among(provider, &consumer.queue, &positions).await
}
