//! The tables whose changes are captured into a queue, from schema `londiste`; none where that schema is not installed.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::error::Result;
use crate::pg::{Db, Param, Sql, text};

/// The function that makes the capture of a table match its columns again; called as `f(queue, table)`.
pub(super) const MAINTAIN: &str = "londiste.provider_maintain";

/// The function that adapts the capture of a queue's tables to what is done to them; called as `f(queue)`, before [`MAINTAIN`].
pub(super) const ADAPT: &str = "londiste.provider_adapt";

/// The rows of a query on tables of schema `londiste`; none where it is not installed, or is dropped before the query reads it.
async fn rows(db: &Db, action: &'static str, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>> {
    if !is_installed(db).await? {
        return Ok(Vec::new());
    }
    match db.query(action, sql, params).await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) && !is_installed(db).await? => Ok(Vec::new()),
        found => found,
    }
}

/// Queue and name of each table to call [`MAINTAIN`] for; empty where that function is not installed.
pub(super) async fn to_maintain(db: &Db) -> Result<Vec<(String, String)>> {
    const ACTION: &str = "list the captured tables";
    const INSTALLED: &str = "select pg_catalog.to_regprocedure('londiste.provider_maintain(text, text)') is not null";
    const TABLES: &str = "select t.queue_name, t.table_name
       from londiste.provider_table t join pgq.queue q on q.queue_name = t.queue_name order by t.queue_name, t.table_name";
    if !db.query_one(ACTION, INSTALLED, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    Ok(rows(db, ACTION, TABLES, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The queues to call [`ADAPT`] for; empty where that function is not installed.
pub(super) async fn to_adapt(db: &Db) -> Result<Vec<String>> {
    const QUEUES: &str = "select distinct t.queue_name
       from londiste.provider_table t join pgq.queue q on q.queue_name = t.queue_name
      where pg_catalog.to_regprocedure('londiste.provider_adapt(text)') is not null order by 1";
    Ok(rows(db, "list the queues of captured tables", QUEUES, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// The queues with tables that were added within the last ten minutes and whose capture was not adapted yet.
pub(super) async fn young_queues(db: &Db) -> Result<Vec<String>> {
    const QUEUES: &str = "select distinct c.queue_name
       from londiste.capture c join pgq.queue q on q.queue_name = c.queue_name
      where c.capture = 'auto' and pg_catalog.to_jsonb(c) ->> 'adapted_at' is null
        and c.captured_since > pg_catalog.now() - interval '10 minutes' order by 1";
    Ok(rows(db, "look for tables that were added", QUEUES, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Whether schema `londiste` is installed.
pub(crate) async fn is_installed(db: &Db) -> Result<bool> {
    const INSTALLED: &str = "select pg_catalog.to_regclass('londiste.provider_table') is not null";
    Ok(db.query_one("look for schema londiste", INSTALLED, &[]).await?.get(0))
}

/// The queues that do not exist although tables are captured into them.
pub(crate) async fn lost_queues(db: &Db) -> Result<Vec<String>> {
    const LOST: &str = "select distinct t.queue_name from londiste.provider_table t
      where not exists (select from pgq.queue q where q.queue_name = t.queue_name) order by 1";
    Ok(rows(db, "look for queues of captured tables", LOST, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// The statement that takes a table out of a queue's set, with its triggers.
pub(crate) fn take_out(queue: &str, table: &str) -> String {
    format!("select londiste.provider_remove_table({}, {})", Sql::literal(queue), Sql::literal(table))
}

/// Whether any table is captured into a queue.
pub(super) async fn any_in(db: &Db, queue: &str) -> Result<bool> {
    const ANY: &str = "select from londiste.provider_table t where t.queue_name = $1 limit 1";
    Ok(!rows(db, "look for captured tables", ANY, &[text(&queue)]).await?.is_empty())
}

/// The captured tables of a queue that still have a trigger with a function of schema `londiste` or `pgq`.
pub(crate) async fn with_triggers(db: &Db, queue: &str) -> Result<Vec<String>> {
    const TABLES: &str = "select t.table_name
       from londiste.provider_table t
      where t.queue_name = $1
        and exists (select from pg_catalog.pg_trigger g
                      join pg_catalog.pg_class c on c.oid = g.tgrelid
                      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                      join pg_catalog.pg_proc p on p.oid = g.tgfoid
                     where n.nspname || '.' || c.relname = t.table_name
                       and p.pronamespace in (pg_catalog.to_regnamespace('londiste'), pg_catalog.to_regnamespace('pgq')))
      order by t.nr";
    Ok(rows(db, "look for tables of the queue", TABLES, &[text(&queue)]).await?.iter().map(|row| row.get(0)).collect())
}
