//! The sequences of a queue: `londiste.provider_seq` and `londiste.subscriber_seq`.

use crate::error::Result;
use crate::pg::{Db, FqName, Role, text};

/// The sequences of the queue on the side of the session, in the order in which they were added.
pub(crate) async fn list(db: &Db, queue: &str) -> Result<Vec<FqName>> {
    let sql = match db.role() {
        Role::Provider => "select s from londiste.provider_get_seq_list($1) s",
        Role::Subscriber => "select s from londiste.subscriber_get_seq_list($1) s",
    };
    let rows = db.query("list the sequences of the queue", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| FqName::parse(r.get(0))).collect())
}

/// Adds a sequence to the queue on the side of the session; does nothing when the sequence is there.
pub(crate) async fn add(tx: &Db, queue: &str, seq: &FqName) -> Result<()> {
    let (action, sql) = match tx.role() {
        Role::Provider => ("add a sequence to the queue", "select londiste.provider_add_seq($1, $2)"),
        Role::Subscriber => ("subscribe to a sequence", "select londiste.subscriber_add_seq($1, $2)"),
    };
    let done = tx.query(action, sql, &[text(&queue), text(&seq.to_string())]).await;
    done.map(drop).map_err(|e| e.about(seq))
}

/// Removes a sequence from the queue on the side of the session. Fails when the sequence is not there.
pub(crate) async fn remove(tx: &Db, queue: &str, seq: &FqName) -> Result<()> {
    let (action, sql) = match tx.role() {
        Role::Provider => ("remove a sequence from the queue", "select londiste.provider_remove_seq($1, $2)"),
        Role::Subscriber => ("unsubscribe from a sequence", "select londiste.subscriber_remove_seq($1, $2)"),
    };
    let done = tx.query(action, sql, &[text(&queue), text(&seq.to_string())]).await;
    done.map(drop).map_err(|e| e.about(seq))
}

/// A subscribed sequence.
pub(crate) struct Subscribed {
    pub(crate) name: FqName,
    /// Whether the sequence exists on the subscriber.
    pub(crate) exists: bool,
}

/// The subscribed sequences, in the order in which they were added.
pub(crate) async fn subscribed(subscriber: &Db, queue: &str) -> Result<Vec<Subscribed>> {
    let sql = "select s, pg_catalog.to_regclass(londiste.quote_fqname(s)) is not null
                 from londiste.subscriber_get_seq_list($1) s";
    let rows = subscriber.query("read the subscribed sequences", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| Subscribed { name: FqName::parse(row.get(0)), exists: row.get(1) }).collect())
}
