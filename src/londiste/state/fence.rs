//! The fence of a switchover on one side: `londiste.fence_state` and the triggers around the tables. What the functions here do is
//! written at the head of the SQL functions of the same names.

use std::time::Duration;

use tokio_postgres::SimpleQueryMessage;

use crate::error::Result;
use crate::pg::autovacuum::IS_AUTOVACUUM;
use crate::pg::{Db, Sql, boolean, int8, sql, text};

/// Whether writers pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State(pub(crate) i64);

impl State {
    /// Writers pass.
    pub(crate) const OPEN: State = State(1);
    /// Nobody passes without the pass.
    pub(crate) const CLOSED: State = State(i64::MAX);
}

/// A table that the fence has to stand around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) oid: u32,
    /// Quoted, with its schema.
    pub(crate) name: String,
    pub(crate) is_armed: bool,
    /// Why the table cannot be armed.
    pub(crate) problem: Option<String>,
}

/// The tables of the queue with those through which their rows are written; without a queue all tables of users.
pub(crate) async fn relations(db: &Db, queue: Option<&str>) -> Result<Vec<Relation>> {
    let sql = "select r.relation, r.name, r.is_armed, r.problem from londiste.fence_relations($1) r";
    let rows = db.query("list the tables for the fence", sql, &[text(&queue)]).await?;
    let relation = |row: &tokio_postgres::Row| Relation {
        oid: row.get(0),
        name: row.get(1),
        is_armed: row.get(2),
        problem: row.get(3),
    };
    Ok(rows.iter().map(relation).collect())
}

/// The tables that have a trigger of the fence.
pub(crate) async fn armed(db: &Db) -> Result<Vec<Relation>> {
    let rows =
        db.query("list the armed tables", "select r.relation, r.name from londiste.fence_armed() r", &[]).await?;
    let relation =
        |row: &tokio_postgres::Row| Relation { oid: row.get(0), name: row.get(1), is_armed: true, problem: None };
    Ok(rows.iter().map(relation).collect())
}

/// Arms one table, in one message, whose transaction waits so long for the lock. Fails with SQLSTATE 55P03 when it is not granted.
pub(crate) async fn arm(db: &Db, relation: &Relation, wait: Duration) -> Result<()> {
    change(db, "arm a table", "fence_arm", relation, wait).await
}

/// Disarms one table, as [`arm`].
pub(crate) async fn disarm(db: &Db, relation: &Relation, wait: Duration) -> Result<()> {
    change(db, "disarm a table", "fence_disarm", relation, wait).await
}

async fn change(
    db: &Db,
    action: &'static str,
    function: &'static str,
    relation: &Relation,
    wait: Duration,
) -> Result<()> {
    let call = sql!("select londiste.{function}({oid})", function = function, oid = relation.oid);
    alone(db, action, wait, call).await.map(drop).map_err(|e| e.about(&relation.name))
}

/// Runs a statement as a transaction of one message: whatever becomes of this program, its locks end with the statement.
async fn alone(db: &Db, action: &'static str, wait: Duration, call: Sql) -> Result<Vec<SimpleQueryMessage>> {
    let sql = sql!(
        "set transaction isolation level read committed, read write; set local lock_timeout = {wait}; \
         set local statement_timeout = 0; set local synchronous_commit = on; {call}",
        wait = wait.as_millis(),
        call = call
    );
    // Not by `simple_query` of the session: behind a pooler it takes three messages.
    db.client().simple_query(sql.as_str()).await.map_err(|e| db.failed(action, e))
}

/// A transaction of another session whose lock on the table is in the way of a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    /// As the server names it: another one for each transaction of a session.
    pub(crate) transaction: String,
    pub(crate) is_autovacuum: bool,
}

/// Who holds a lock on the table that `create trigger` (`drop trigger` with `readers`) waits for. A prepared transaction has pid 0.
pub(crate) async fn lock_holders(db: &Db, relation: &Relation, readers: bool) -> Result<Vec<Holder>> {
    let sql = sql!(
        "select coalesce(l.pid, 0), l.virtualtransaction, {is_autovacuum}
                 from pg_catalog.pg_locks l
                      left join pg_catalog.pg_stat_activity a on a.pid = l.pid
                where l.relation::int8 = $1 and l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()
                  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
                  and ($2 or l.mode not in ('AccessShareLock', 'RowShareLock'))
                order by 1",
        is_autovacuum = IS_AUTOVACUUM
    );
    let oid = i64::from(relation.oid);
    let params = [int8(&oid), boolean(&readers)];
    let rows = db.query("find out who holds a lock", sql, &params).await?;
    Ok(rows.iter().map(|row| Holder { pid: row.get(0), transaction: row.get(1), is_autovacuum: row.get(2) }).collect())
}

/// What [`close`] is to do.
pub(crate) struct Closing<'a> {
    /// The tables that must be armed, as for [`relations`].
    pub(crate) queue: Option<&'a str>,
    /// The state that the caller has left.
    pub(crate) from: State,
    pub(crate) to: State,
    /// What writers are told.
    pub(crate) message: &'a str,
    pub(crate) hint: &'a str,
}

/// Closes the fence, or makes it final, in one message that waits so long for the writers. Returns how long it has waited.
///
/// SQLSTATE 55P03: writers did not end in time. 55006: a partitioned table is being changed. 42704: a table is not armed. 55000: the
/// state is not `from`, or past. The state may be the new one after an error, too.
pub(crate) async fn close(db: &Db, closing: &Closing<'_>, wait: Duration) -> Result<Duration> {
    const ACTION: &str = "close the fence";
    let queue = closing.queue.map_or_else(|| Sql::from("null"), Sql::literal);
    let call = sql!(
        "select londiste.fence_close({queue}, {from}, {to}, {message}, {hint})",
        queue = queue,
        from = closing.from.0,
        to = closing.to.0,
        message = Sql::literal(closing.message),
        hint = Sql::literal(closing.hint)
    );
    let answers = alone(db, ACTION, wait, call).await?;
    let waited = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    waited.map(Duration::from_micros).ok_or_else(|| db.unexpected(ACTION, "the server returned no row"))
}

/// Opens the fence if its state is `from`. Returns whether it is open.
pub(crate) async fn open(db: &Db, from: State) -> Result<bool> {
    const ACTION: &str = "open the fence";
    let call = sql!("select londiste.fence_open({from})", from = from.0);
    let answers = alone(db, ACTION, Duration::ZERO, call).await?;
    let is_open = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0).map(|value| value == "t"),
        _ => None,
    });
    is_open.ok_or_else(|| db.unexpected(ACTION, "the server returned no row"))
}

/// The state, and the server's time in the same unit. A state that has passed counts as open.
pub(crate) async fn state(db: &Db) -> Result<(State, i64)> {
    let sql = "select s.last_value, londiste.fence_clock() from londiste.fence_state s";
    let row = db.query_one("read the state of the fence", sql, &[]).await?;
    Ok((State(row.get(0)), row.get(1)))
}

/// Whether a switchover has closed the database for good. Also of a schema that has no fence.
pub(crate) async fn is_closed_for_good(db: &Db) -> Result<bool> {
    const ACTION: &str = "look whether the database is closed";
    const KNOWN: &str = "select pg_catalog.to_regclass('londiste.fence_state') is not null";
    if !db.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Ok(false);
    }
    let sql = "select s.last_value = $1 from londiste.fence_state s";
    Ok(db.query_one(ACTION, sql, &[int8(&State::CLOSED.0)]).await?.get(0))
}

/// Who has written to an armed table in a transaction that has not ended.
pub(crate) async fn holders(db: &Db) -> Result<Vec<String>> {
    let sql = "select h.description, h.gid from londiste.fence_holders() h";
    let rows = db.query("look for writers at the fence", sql, &[]).await?;
    let text = |row: &tokio_postgres::Row| match row.get::<_, Option<String>>(1) {
        Some(gid) => format!("{} \"{gid}\"", row.get::<_, String>(0)),
        None => row.get(0),
    };
    Ok(rows.iter().map(text).collect())
}
