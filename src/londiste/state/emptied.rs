//! Unlogged tables of the subscriber whose rows a crash of its server has taken: `londiste.crash_mark`.
//!
//! Such a table is empty, and its state still says what it said before the crash.

use crate::error::Result;
use crate::pg::{Db, FqName, text};

/// Why such a table has to be copied again.
pub(crate) const REASON: &str = "it is unlogged, and a crash of the server has emptied it";

const ACTION: &str = "look for tables that a crash has emptied";

/// The tables, in the order in which they were added; none where the subscriber's schema cannot tell: that of Londiste 2.1, or
/// of an older rlondiste.
pub(crate) async fn tables(subscriber: &Db, queue: &str) -> Result<Vec<FqName>> {
    const KNOWN: &str = "select pg_catalog.to_regprocedure('londiste.subscriber_get_emptied_tables(text)') is not null";
    const EMPTIED: &str = "select e from londiste.subscriber_get_emptied_tables($1) e";
    if !subscriber.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = subscriber.query(ACTION, EMPTIED, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| FqName::parse(row.get(0))).collect())
}

/// Notes that the tables of the queue have their rows now. A crash takes the note back.
pub(crate) async fn set_mark(tx: &Db, queue: &str) -> Result<()> {
    let sql = "select londiste.subscriber_set_crash_mark($1)";
    tx.query("note that no crash has emptied tables", sql, &[text(&queue)]).await.map(drop)
}
