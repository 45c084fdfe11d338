//! Finds rotations that are due and were not done, and the sessions and consumers that block them.

use std::collections::HashMap;

use serde::Serialize;
use tokio_postgres::Row;

use super::warnings::Warning;
use crate::error::Result;
use crate::pg::{Db, int8, text, text_array};

const ACTION: &str = "look at the rotation of event tables";

/// The queues whose rotation is due now.
pub(crate) async fn due(db: &Db) -> Result<Vec<String>> {
    const SQL: &str = "select q.queue_name from pgq.queue q
where now() - q.queue_switch_time > q.queue_rotation_period
order by q.queue_name";
    Ok(db.query(ACTION, SQL, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// `queue_switch_step1` of each queue, which every rotation changes.
pub(super) async fn turns(db: &Db) -> Result<HashMap<String, String>> {
    const SQL: &str = "select q.queue_name, q.queue_switch_step1::text from pgq.queue q";
    Ok(db.query(ACTION, SQL, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A queue whose rotation did not happen.
struct Overdue {
    queue: String,
    seconds: f64,
    period: f64,
    /// `queue_switch_step2`: a transaction that began after the last rotation had committed; `None` until maintenance
    /// sets it.
    switch: Option<i64>,
    /// Whether a transaction from before `switch` may still be open.
    open_transaction: bool,
    data_pfx: String,
    next_table: i32,
}

/// A queue whose rotation is late, with what blocks it.
#[derive(Debug, Serialize)]
pub(crate) struct Late {
    #[serde(skip)]
    pub(crate) queue: String,
    /// How late the rotation is, in seconds.
    #[serde(rename = "late")]
    pub(crate) seconds: f64,
    /// The size of the event tables with their indexes and TOAST, in bytes.
    #[serde(skip)]
    size: i64,
    /// Empty when none is found that this user can see.
    pub(crate) blockers: Vec<Blocker>,
}

/// A warning for each of the `due` queues whose rotation is [`late`].
pub(super) async fn blocked(db: &Db, due: &[String]) -> Result<Vec<Warning>> {
    Ok(late(db, due).await?.iter().map(Late::warning).collect())
}

impl Late {
    fn warning(&self) -> Warning {
        let ids: Vec<_> = self.blockers.iter().map(Blocker::id).collect();
        Warning { about: format!("rotation {} {}", self.queue, ids.join(" ")), text: self.describe() }
    }

    /// How late it is, and who blocks it.
    pub(super) fn describe(&self) -> String {
        let texts: Vec<_> = self.blockers.iter().map(|blocker| blocker.text.as_str()).collect();
        let who = if texts.is_empty() { "something that this user cannot see".to_owned() } else { texts.join("; ") };
        format!(
            "Rotation of queue {} is {:.0} s late, its event tables grow. It is blocked by {who}. The queue takes {} bytes",
            self.queue, self.seconds, self.size
        )
    }
}

/// Those of the `due` queues whose rotation is late by more than a tenth of its period, with their blockers. Ordinary work
/// may delay a rotation by less.
pub(crate) async fn late(db: &Db, due: &[String]) -> Result<Vec<Late>> {
    const SQL: &str = "select q.queue_name,
       extract(epoch from now() - q.queue_switch_time - q.queue_rotation_period)::float8, q.queue_switch_step2,
       coalesce(q.queue_switch_step2 >= txid_snapshot_xmin(txid_current_snapshot()), true),
       q.queue_data_pfx, (q.queue_cur_table + 1) % q.queue_ntables,
       extract(epoch from q.queue_rotation_period)::float8,
       (select coalesce(sum(pg_catalog.pg_total_relation_size(i.inhrelid)), 0)::int8
          from pg_catalog.pg_inherits i where i.inhparent = pg_catalog.to_regclass(q.queue_data_pfx))
from pgq.queue q
where q.queue_name = any ($1) and now() - q.queue_switch_time > 1.1 * q.queue_rotation_period
order by q.queue_name";
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for row in db.query(ACTION, SQL, &[text_array(&due)]).await? {
        let overdue = Overdue {
            queue: row.get(0),
            seconds: row.get(1),
            switch: row.get(2),
            open_transaction: row.get(3),
            data_pfx: row.get(4),
            next_table: row.get(5),
            period: row.get(6),
        };
        let Some(blockers) = blockers(db, &overdue).await? else { continue };
        // The blocker may be gone meanwhile; then the next round rotates.
        if blockers.is_empty() && overdue.seconds < overdue.period {
            continue;
        }
        found.push(Late { queue: overdue.queue, seconds: overdue.seconds, size: row.get(7), blockers });
    }
    Ok(found)
}

/// A session, prepared transaction or consumer that blocks a rotation.
#[derive(Debug, Serialize)]
pub(crate) struct Blocker {
    pub(crate) kind: BlockerKind,
    /// The application of a session, the name of a prepared transaction or consumer.
    pub(crate) name: String,
    /// The process of a session.
    pub(crate) pid: Option<i32>,
    /// Seconds since the transaction began, or since the tick at which a consumer stands.
    pub(crate) age: Option<f64>,
    /// The description for the warning.
    #[serde(skip)]
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlockerKind {
    Session,
    Prepared,
    Consumer,
}

impl BlockerKind {
    /// The word in the label of a metric.
    pub(super) fn word(self) -> &'static str {
        match self {
            BlockerKind::Session => "session",
            BlockerKind::Prepared => "prepared",
            BlockerKind::Consumer => "consumer",
        }
    }
}

impl Blocker {
    /// Its number or name, which stays the same while the ages in the text change.
    fn id(&self) -> String {
        self.pid.map_or_else(|| self.name.clone(), |pid| pid.to_string())
    }
}

/// `None` where nothing is wrong: a queue without new events gets a tick each `ticker_idle_period`, which may be longer than the
/// rotation period, and a consumer that has finished the newest tick needs another one to pass the last rotation.
async fn blockers(db: &Db, overdue: &Overdue) -> Result<Option<Vec<Blocker>>> {
    if overdue.open_transaction {
        return transactions(db, overdue.switch).await.map(Some);
    }
    match consumers(db, overdue).await? {
        Consumers::Behind(found) => Ok(Some(found)),
        Consumers::WaitForTick => Ok(None),
        Consumers::Past => lock_holders(db, overdue).await.map(Some),
    }
}

/// Transactions that may have begun before the last rotation was visible: they may still write into the table to be
/// emptied.
async fn transactions(db: &Db, switch: Option<i64>) -> Result<Vec<Blocker>> {
    const SESSIONS: &str = "select a.pid, coalesce(a.usename, '?')::text, coalesce(a.application_name, ''),
       extract(epoch from clock_timestamp() - a.xact_start)::float8,
       to_char(a.query_start, 'YYYY-MM-DD HH24:MI:SS')
from pg_catalog.pg_stat_activity a
where a.backend_xid is not null and a.pid <> pg_catalog.pg_backend_pid()
  and ($1::int8 is null or txid_snapshot_xmax(txid_current_snapshot()) - age(a.backend_xid) <= $1)
order by age(a.backend_xid) desc
limit 3";
    const PREPARED: &str = "select p.gid, extract(epoch from clock_timestamp() - p.prepared)::float8
from pg_catalog.pg_prepared_xacts p
where $1::int8 is null or txid_snapshot_xmax(txid_current_snapshot()) - age(p.transaction) <= $1
order by p.prepared
limit 3";
    let mut found: Vec<Blocker> = db.query(ACTION, SESSIONS, &[int8(&switch)]).await?.iter().map(session).collect();
    for row in db.query(ACTION, PREPARED, &[int8(&switch)]).await? {
        let (gid, age): (String, f64) = (row.get(0), row.get(1));
        let text = format!("prepared transaction \"{gid}\", {age:.0} s old");
        found.push(Blocker { kind: BlockerKind::Prepared, name: gid, pid: None, age: Some(age), text });
    }
    Ok(found)
}

/// Where the consumers of a queue stand before its next rotation.
enum Consumers {
    /// These may still need events of the table to be emptied, and have ticks before them.
    Behind(Vec<Blocker>),
    /// All that have not passed the last rotation have finished the newest tick.
    WaitForTick,
    /// All have passed the last rotation.
    Past,
}

async fn consumers(db: &Db, overdue: &Overdue) -> Result<Consumers> {
    const SQL: &str = "select c.co_name, extract(epoch from now() - t.tick_time)::float8,
       extract(epoch from now() - s.sub_active)::float8,
       exists (select from pgq.tick n where n.tick_queue = s.sub_queue and n.tick_id > s.sub_last_tick) as is_behind
from pgq.subscription s
join pgq.queue q on q.queue_id = s.sub_queue
join pgq.consumer c on c.co_id = s.sub_consumer
left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
where q.queue_name = $1 and s.sub_last_tick is not null and coalesce(txid_snapshot_xmin(t.tick_snapshot), 0) <= $2
order by is_behind desc, t.tick_time
limit 3";
    let rows = db.query(ACTION, SQL, &[text(&overdue.queue), int8(&overdue.switch)]).await?;
    let describe = |row: &Row| {
        let (name, lag, seen): (String, Option<f64>, f64) = (row.get(0), row.get(1), row.get(2));
        let behind = lag.map_or_else(|| "at a tick that is gone".to_owned(), |lag| format!("{lag:.0} s behind"));
        let text = format!("consumer {name}, {behind}, last seen {seen:.0} s ago");
        Blocker { kind: BlockerKind::Consumer, name, pid: None, age: lag, text }
    };
    let behind: Vec<Blocker> = rows.iter().filter(|row| row.get(3)).map(describe).collect();
    Ok(match (behind.is_empty(), rows.is_empty()) {
        (false, _) => Consumers::Behind(behind),
        (true, false) => Consumers::WaitForTick,
        (true, true) => Consumers::Past,
    })
}

/// Sessions that have a lock on the table to be emptied.
async fn lock_holders(db: &Db, overdue: &Overdue) -> Result<Vec<Blocker>> {
    // A session may have several locks on the table.
    const SQL: &str = "select a.pid, coalesce(a.usename, '?')::text, coalesce(a.application_name, ''),
       extract(epoch from clock_timestamp() - a.xact_start)::float8,
       to_char(a.query_start, 'YYYY-MM-DD HH24:MI:SS')
from pg_catalog.pg_stat_activity a
where a.pid <> pg_catalog.pg_backend_pid() and a.pid in (
    select l.pid from pg_catalog.pg_locks l
    where l.granted and l.locktype = 'relation' and l.relation = pg_catalog.to_regclass($1)
)
order by a.xact_start
limit 3";
    let table = format!("{}_{}", overdue.data_pfx, overdue.next_table);
    Ok(db.query(ACTION, SQL, &[text(&table)]).await?.iter().map(session).collect())
}

/// Describes a session, without the text of its query, which may hold data.
fn session(row: &Row) -> Blocker {
    let (pid, user, application): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
    let (age, query_start): (Option<f64>, Option<String>) = (row.get(3), row.get(4));
    let open = age.map_or_else(|| "of unknown age".to_owned(), |age| format!("open for {age:.0} s"));
    let query = query_start.map_or_else(String::new, |start| format!(", last query started {start}"));
    let text = format!("pid {pid} (user {user}, application \"{application}\"): transaction {open}{query}");
    Blocker { kind: BlockerKind::Session, name: application, pid: Some(pid), age, text }
}
