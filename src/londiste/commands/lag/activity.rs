//! What the sessions of the job are doing at this moment.

use super::cause::{Blocker, Cause};
use crate::error::Result;
use crate::londiste::state::tables::SubscribedTable;
use crate::pg::{Db, Role, Sql};

/// Sessions that are at work or wait in a transaction. The session that asks has the application of the job too, so its own is
/// left out; of the others that ask for a status nothing is known but what they ask.
const SESSIONS: &str = "
    select a.state, coalesce(a.wait_event_type, ''), coalesce(a.wait_event, ''), a.query,
           extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.query_start))::float8,
           (select l.relation::pg_catalog.regclass::text from pg_catalog.pg_locks l
             where l.pid = a.pid and not l.granted limit 1),
           b.pid, b.application_name, b.usename::text, b.state, b.since, b.query
      from pg_catalog.pg_stat_activity a
           left join lateral (
               select p.pid, s.application_name, s.usename, s.state, s.query,
                      pg_catalog.to_char(coalesce(s.xact_start, s.query_start), 'YYYY-MM-DD HH24:MI:SS') as since
                 from pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) p (pid)
                      left join pg_catalog.pg_stat_activity s on s.pid = p.pid
                limit 1) b on a.wait_event_type = 'Lock'
     where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
       and a.application_name = pg_catalog.current_setting('application_name')
       and a.state <> 'idle' and a.query not like '%pg_stat_activity%'";

/// What one look at the sessions of one side shows.
pub(super) async fn look(db: &Db, tables: &[SubscribedTable]) -> Result<Vec<Cause>> {
    let rows = db.query("look at the sessions of the job", SESSIONS, &[]).await?;
    let session = |row: &tokio_postgres::Row| Session {
        active: row.get::<_, Option<&str>>(0) == Some("active"),
        waits_for: (row.get(1), row.get(2)),
        query: row.get::<_, Option<String>>(3).unwrap_or_default(),
        seconds: row.get::<_, Option<f64>>(4).unwrap_or(0.0),
        relation: row.get(5),
        blocker: row.get::<_, Option<i32>>(6).map(|pid| Blocker {
            pid,
            application: row.get::<_, Option<String>>(7).unwrap_or_default(),
            user: row.get(8),
            idle: row.get::<_, Option<&str>>(9).is_some_and(|state| state.starts_with("idle")),
            is_autovacuum: row.get::<_, Option<&str>>(11).is_some_and(|query| query.starts_with("autovacuum:")),
            since: row.get(10),
            query: row.get(11),
        }),
    };
    Ok(rows.iter().filter_map(|row| cause(db.role(), session(row), tables)).collect())
}

/// How many sessions the job has, also idle ones, besides the one that asks.
pub(super) async fn sessions(db: &Db) -> Result<i64> {
    let sql = "select pg_catalog.count(*) from pg_catalog.pg_stat_activity a
                where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
                  and a.application_name = pg_catalog.current_setting('application_name')";
    Ok(db.query_one("count the sessions of the job", sql, &[]).await?.get(0))
}

struct Session {
    active: bool,
    /// The type of the event and the event; empty when the session waits for nothing.
    waits_for: (String, String),
    query: String,
    /// Since the transaction began.
    seconds: f64,
    /// The relation whose lock is waited for.
    relation: Option<String>,
    blocker: Option<Blocker>,
}

fn cause(side: Role, session: Session, tables: &[SubscribedTable]) -> Option<Cause> {
    let Session { active, waits_for: (kind, event), query, seconds, relation, blocker } = session;
    if !active {
        return None;
    }
    if let Some(blocker) = blocker {
        return Some(Cause::Lock { side, relation, seconds, blocker });
    }
    if side == Role::Provider {
        return Some(Cause::Reading { client_waits: event == "ClientWrite" });
    }
    if event == "SyncRep" {
        return Some(Cause::SynchronousStandby { seconds });
    }
    // Behind what has to be set back in the transaction.
    if query.ends_with("commit") {
        return Some(Cause::Commit { seconds });
    }
    let place = |table: &&SubscribedTable| query.find(Sql::from(&table.name).as_str());
    let table = tables.iter().filter(|table| place(table).is_some()).min_by_key(place);
    let disk = kind == "IO";
    Some(Cause::Applying { table: table.map(|table| table.name.clone()), disk, seconds })
}
