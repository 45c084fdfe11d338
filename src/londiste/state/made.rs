//! What `up` has made in a database, for `down`: `londiste.up_made`.

use crate::error::Result;
use crate::pg::{Db, text, text_array};

/// A kind of things that `up` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A schema, whichever queue it was made for.
    Schema,
    Queue,
    Consumer,
    /// A table in the set of the queue, or a subscribed one.
    Table,
    /// A sequence in the set of the queue, or a subscribed one.
    Sequence,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Schema => "schema",
            Kind::Queue => "queue",
            Kind::Consumer => "consumer",
            Kind::Table => "table",
            Kind::Sequence => "sequence",
        }
    }

    /// The queue that a row of this kind has: schemas are shared.
    fn queue(self, queue: &str) -> &str {
        if self == Kind::Schema { "" } else { queue }
    }
}

/// Notes that `up` makes these things. Noted before they are made, or in the same transaction: what was begun and not ended is
/// `up`'s too.
pub(crate) async fn note(db: &Db, queue: &str, kind: Kind, names: &[String]) -> Result<()> {
    const NOTE: &str = "insert into londiste.up_made (queue_name, kind, object_name)
select $1, $2, n from pg_catalog.unnest($3) n on conflict do nothing";
    if names.is_empty() {
        return Ok(());
    }
    let (queue, kind) = (kind.queue(queue), kind.word());
    let params = [text(&queue), text(&kind), text_array(&names)];
    db.execute("note what is made", NOTE, &params).await.map(drop)
}

/// The things of a kind that `up` has made; none where there is no such table.
pub(crate) async fn list(db: &Db, queue: &str, kind: Kind) -> Result<Vec<String>> {
    const ACTION: &str = "look what up has made";
    const KNOWN: &str = "select pg_catalog.to_regclass('londiste.up_made') is not null";
    const LIST: &str =
        "select object_name from londiste.up_made where queue_name = $1 and kind = $2 order by object_name";
    if !db.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let (queue, kind) = (kind.queue(queue), kind.word());
    let rows = db.query(ACTION, LIST, &[text(&queue), text(&kind)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Forgets what was made for a queue, schemas excepted.
pub(crate) async fn forget(db: &Db, queue: &str) -> Result<()> {
    const FORGET: &str = "delete from londiste.up_made where queue_name = $1";
    db.execute("forget what up has made", FORGET, &[text(&queue)]).await.map(drop)
}

/// Whether something of schema `londiste` is still in use in this database: a table, sequence or position of any queue.
pub(crate) async fn in_use(db: &Db) -> Result<bool> {
    const IN_USE: &str =
        "select exists (select from londiste.provider_table) or exists (select from londiste.provider_seq)
    or exists (select from londiste.subscriber_table) or exists (select from londiste.subscriber_seq)
    or exists (select from londiste.completed) or exists (select from londiste.subscriber_pending_fkeys)
    or exists (select from londiste.subscriber_pending_triggers)";
    Ok(db.query_one("look whether schema londiste is in use", IN_USE, &[]).await?.get(0))
}
