//! `londiste.switchover`: how far the switchover of a queue is. The states of the two fences decide what may be done; this row tells
//! which of them are the switchover's own.

use std::fmt;

use super::fence::State;
use crate::error::Result;
use crate::pg::{Db, Sql, boolean, int8, sql, text};

/// How far a switchover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Writers pass on the old side.
    Prepared,
    /// The old side is closed for a time.
    Fenced,
    /// The old side is closed for good: there is no way back but to go on.
    Final,
    /// The new side is open.
    Open,
    /// Nothing is left to do.
    Done,
    /// The way back was given up: the old side stays closed, and nothing replicates any more.
    Finished,
    /// It was given up, and the old side is open.
    Undone,
}

impl Phase {
    const ALL: [Phase; 7] =
        [Phase::Prepared, Phase::Fenced, Phase::Final, Phase::Open, Phase::Done, Phase::Finished, Phase::Undone];

    /// Whether no command has to go on or to be undone.
    pub(crate) fn is_at_rest(self) -> bool {
        matches!(self, Phase::Done | Phase::Finished | Phase::Undone)
    }

    fn word(self) -> &'static str {
        match self {
            Phase::Prepared => "prepared",
            Phase::Fenced => "fenced",
            Phase::Final => "final",
            Phase::Open => "open",
            Phase::Done => "done",
            Phase::Finished => "finished",
            Phase::Undone => "undone",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// From the subscriber of the queue's job to its provider.
    pub(crate) is_back: bool,
    pub(crate) phase: Phase,
    /// The state that was given to the fence of the old side.
    pub(crate) until: State,
    /// The state of the fence of the new side before.
    pub(crate) new_was: State,
}

/// The switchover of the queue; `None` when there was none.
pub(crate) async fn load(db: &Db, queue: &str) -> Result<Option<Stored>> {
    const ACTION: &str = "read how far the switchover is";
    let sql = "select s.is_back, s.phase, s.fence_until, s.new_was from londiste.switchover s where s.queue_name = $1";
    let Some(row) = db.query_opt(ACTION, sql, &[text(&queue)]).await? else { return Ok(None) };
    let word: String = row.get(1);
    let phase = Phase::ALL.into_iter().find(|phase| phase.word() == word);
    let phase = phase.ok_or_else(|| db.unexpected(ACTION, format!("\"{word}\" is no phase")))?;
    Ok(Some(Stored { is_back: row.get(0), phase, until: State(row.get(2)), new_was: State(row.get(3)) }))
}

/// Whether there was a switchover of the queue whose way back is not given up. Also of a database without such a table.
pub(crate) async fn is_known(db: &Db, queue: &str) -> Result<bool> {
    const ACTION: &str = "look for a switchover";
    let sql = "select pg_catalog.to_regclass('londiste.switchover') is not null";
    Ok(db.query_one(ACTION, sql, &[]).await?.get::<_, bool>(0)
        && load(db, queue).await?.is_some_and(|stored| stored.phase != Phase::Finished))
}

/// For how many seconds writers of the old side have been kept out, by its row.
pub(crate) async fn seconds_fenced(db: &Db, queue: &str) -> Result<Option<f64>> {
    let sql = "select extract(epoch from pg_catalog.clock_timestamp() - s.fenced_at)::float8
                 from londiste.switchover s where s.queue_name = $1";
    let row = db.query_opt("read since when writers are kept out", sql, &[text(&queue)]).await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Stores the switchover of the queue.
pub(crate) async fn store(db: &Db, queue: &str, stored: &Stored) -> Result<()> {
    let sql = "select londiste.set_switchover($1, $2, $3, $4, $5)";
    let (phase, until, new_was) = (stored.phase.word(), stored.until.0, stored.new_was.0);
    let params = [text(&queue), boolean(&stored.is_back), text(&phase), int8(&until), int8(&new_was)];
    db.query("store how far the switchover is", sql, &params).await.map(drop)
}

/// A transaction that costs as much as [`store`] and leaves nothing. What it has written is rolled back before its commit, which waits
/// for the disk all the same. The row of the queue is locked for a moment.
pub(crate) async fn rehearse_store(db: &Db, queue: &str) -> Result<()> {
    const ACTION: &str = "rehearse a transaction";
    let sql = sql!(
        "savepoint before; select londiste.set_switchover({queue}, false, 'prepared', 1, 1); rollback to savepoint before",
        queue = Sql::literal(queue)
    );
    let tx = db.begin(ACTION, "begin").await?;
    tx.batch(ACTION, sql).await?;
    tx.commit(ACTION).await
}

/// Deletes the row of the queue.
pub(crate) async fn forget(db: &Db, queue: &str) -> Result<()> {
    let sql = "select londiste.set_switchover($1, false, null, 1, 1)";
    db.query("forget the switchover", sql, &[text(&queue)]).await.map(drop)
}
