//! What sessions of a server do now: transactions that stay open, vacuum against wraparound, waits for locks.

use tokio_postgres::Row;

use super::case::{Case, Side};
use super::check::{self, Check};
use super::finding::Findings;
use crate::error::{Result, Role};
use crate::pg::{Sql, int8, text};

/// Seconds for which a transaction may be open where no queue says less.
const LONG: i64 = 7200;

/// Seconds for which a prepared transaction may wait.
const LEFT_OVER: i64 = 600;

/// Seconds for which a session of the job may wait for a lock.
const BLOCKED: i64 = 10;

pub(super) const TRANSACTIONS: &[&Check] = &[&check::LONG_TRANSACTION, &check::PREPARED_TRANSACTION];

/// Transactions of all databases of the server: each keeps the event tables from being rotated, and rows from being vacuumed.
pub(super) async fn transactions(case: &Case<'_>, side: &Side) -> Result<Findings> {
    const SESSIONS: &str =
        "select a.pid, coalesce(a.usename, '?')::text, coalesce(a.application_name, ''), coalesce(a.state, '?'),
       extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8, coalesce(a.datname, '?')::text
  from pg_catalog.pg_stat_activity a
 where a.xact_start < pg_catalog.clock_timestamp() - $1 * interval '1 second' and a.application_name <> $2
   and (a.backend_xid is not null or pg_catalog.strpos(a.state, 'idle in transaction') = 1)
 order by a.xact_start limit 20";
    const PREPARED: &str = "select p.gid, p.database::text, p.owner::text,
       extract(epoch from pg_catalog.clock_timestamp() - p.prepared)::float8
  from pg_catalog.pg_prepared_xacts p
 where p.prepared < pg_catalog.clock_timestamp() - $1 * interval '1 second'
 order by p.prepared limit 20";
    const ACTION: &str = "look for open transactions";
    let mut found = Findings::default();
    let longest = rotation_period(case, side).await?.map_or(LONG, |period| period.min(LONG));
    // The copy of a big table is one long transaction of the job.
    let params = [int8(&longest), text(&case.common.job_name)];
    for row in side.db.query(ACTION, SESSIONS, &params).await? {
        let (pid, age): (i32, f64) = (row.get(0), row.get(4));
        let [user, application, state, database]: [String; 4] = [row.get(1), row.get(2), row.get(3), row.get(5)];
        let fact = format!(
            "user {user}, application \"{application}\", database {database}: {state}, its transaction is open for {age:.0} s"
        );
        let fix = side.sql(format_args!("select pg_terminate_backend({pid});"));
        found.warning(&check::LONG_TRANSACTION, format_args!("{} pid {pid}", side.role), fact, fix);
    }
    side.tell_hidden_sessions(&[&check::LONG_TRANSACTION], &mut found).await?;
    found.rest_of_all(&check::LONG_TRANSACTION, side.role, format_args!("none is open for more than {longest} s"));
    let longest = longest.min(LEFT_OVER);
    for row in side.db.query(ACTION, PREPARED, &[int8(&longest)]).await? {
        let [gid, database, owner]: [String; 3] = [row.get(0), row.get(1), row.get(2)];
        let fact =
            format!("prepared by {owner} in database {database}, {:.0} s ago, and still open", row.get::<_, f64>(3));
        let gid_sql = Sql::literal(&gid);
        let fix = side.sql(format_args!("rollback prepared {gid_sql}; -- in database {database}; or commit prepared"));
        found.warning(&check::PREPARED_TRANSACTION, format_args!("{} \"{gid}\"", side.role), fact, fix);
    }
    found.rest_of_all(&check::PREPARED_TRANSACTION, side.role, format_args!("none is older than {longest} s"));
    Ok(found)
}

/// The shortest rotation period of the queues, in seconds; `None` on a side without queues.
async fn rotation_period(case: &Case<'_>, side: &Side) -> Result<Option<i64>> {
    const ACTION: &str = "read the rotation periods";
    const KNOWN: &str = "select pg_catalog.to_regclass('pgq.queue') is not null";
    const PERIOD: &str =
        "select pg_catalog.ceil(extract(epoch from min(q.queue_rotation_period)))::int8 from pgq.queue q
 where $1 is null or q.queue_name = $1";
    if side.role == Role::Subscriber || !side.db.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let period: Option<i64> = side.db.query_one(ACTION, PERIOD, &[text(&case.queue())]).await?.get(0);
    Ok(period.map(|period| period.max(1)))
}

pub(super) const WAITS: &[&Check] = &[&check::WRAPAROUND_VACUUM, &check::BLOCKED_SESSION];

/// Who keeps the job, or a command, from a lock.
pub(super) async fn waits(case: &Case<'_>, side: &Side) -> Result<Findings> {
    const VACUUMS: &str = "select a.pid, coalesce(v.relid::pg_catalog.regclass::text, a.query),
       coalesce(extract(epoch from pg_catalog.clock_timestamp() - a.query_start), 0)::float8
  from pg_catalog.pg_stat_activity a
       left join pg_catalog.pg_stat_progress_vacuum v on v.pid = a.pid
 where a.datname = pg_catalog.current_database() and pg_catalog.strpos(a.query, 'autovacuum: ') = 1
   and pg_catalog.strpos(a.query, '(to prevent wraparound)') > 0
 order by 1";
    const BLOCKED_SESSIONS: &str =
        "select a.pid, extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::float8,
       b.pid, coalesce(b.usename, '?')::text, coalesce(b.application_name, '')
  from pg_catalog.pg_stat_activity a
       cross join lateral pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) u(pid)
       left join pg_catalog.pg_stat_activity b on b.pid = u.pid
 where a.datname = pg_catalog.current_database() and a.application_name = $1 and a.wait_event_type = 'Lock'
   and a.query_start < pg_catalog.clock_timestamp() - $2 * interval '1 second'
 order by 1, 3";
    let mut found = Findings::default();
    for row in side.db.query("look for vacuums", VACUUMS, &[]).await? {
        let (pid, table, age): (i32, String, f64) = (row.get(0), row.get(1), row.get(2));
        let fact = format!(
            "autovacuum pid {pid} works against wraparound since {age:.0} s: provider add and refresh wait for it"
        );
        let fix = side.sql("select * from pg_stat_progress_vacuum; -- let it end");
        found.warning(&check::WRAPAROUND_VACUUM, format_args!("{} {table}", side.role), fact, fix);
    }
    side.tell_hidden_sessions(&[&check::WRAPAROUND_VACUUM], &mut found).await?;
    found.rest_of_all(&check::WRAPAROUND_VACUUM, side.role, "none runs");
    let params = [text(&case.common.job_name), int8(&BLOCKED)];
    for row in side.db.query("look for waits", BLOCKED_SESSIONS, &params).await? {
        let (fact, fix) = blocked(side, &row);
        found.warning(&check::BLOCKED_SESSION, format_args!("{} pid {}", side.role, row.get::<_, i32>(0)), fact, fix);
    }
    found.rest_of_all(&check::BLOCKED_SESSION, side.role, "no session of the job waits for a lock");
    Ok(found)
}

fn blocked(side: &Side, row: &Row) -> (String, String) {
    let waited: f64 = row.get(1);
    let [user, application]: [String; 2] = [row.get(3), row.get(4)];
    match row.get::<_, Option<i32>>(2) {
        Some(pid) => (
            format!(
                "waits for a lock for {waited:.0} s, which pid {pid} holds (user {user}, application \"{application}\")"
            ),
            side.sql(format_args!("select pg_terminate_backend({pid});")),
        ),
        None => (
            format!("waits for a lock for {waited:.0} s, which a prepared transaction holds"),
            side.sql("select * from pg_prepared_xacts;"),
        ),
    }
}
