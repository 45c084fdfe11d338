//! The COPY: drops indexes and constraints, copies the rows and creates indexes and constraints again, in one
//! transaction of the subscriber.

use crate::config;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::pg::catalog;
use crate::pg::{Db, FqName, Sql, Tx, sql, text};
use crate::pgq::snapshot::Snapshot;

use super::super::state::overlaps;
use super::super::state::tables::SubscribedTable;
use super::super::state::triggers;
use super::columns::{Columns, table_not_found};
use super::rebuild::{self, Follower};
use super::shared::Shared;
use super::throttle::Throttle;
use super::transfer::Transfer;
use super::utf8::Utf8Check;

/// With `row_security = off`, PostgreSQL raises an error where a policy would hide rows from this user: the copy would
/// lack them.
const ALL_ROWS: &str = "set local row_security = off";

/// Copies the table inside the subscriber's open transaction `tx`, and returns the provider snapshot that the rows
/// belong to.
///
/// Holds ACCESS EXCLUSIVE on the subscriber's table until the caller ends the transaction. Holds ACCESS SHARE on the
/// provider's table, and a provider snapshot, which holds vacuum back, until the last row is read.
pub(super) async fn copy_table(
    provider: &Db,
    tx: &Db,
    config: &config::Londiste,
    shared: &Shared,
    table: &SubscribedTable,
) -> Result<Snapshot> {
    let name = &table.name;
    let about = |e: Error| e.about(format!("table {name}"));
    prepare(tx, config).await?;
    triggers::put_aside(tx, name).await?;
    let target = Relation::of(tx, name).await?;
    if target.is_table {
        let lock = sql!("lock table only {table} in access exclusive mode", table = name);
        tx.batch("lock the table", lock).await.map_err(about)?;
    }
    failpoint!("copy::triggers_dropped");
    let dependents = catalog::dependent_objects(tx, name).await?;
    for dependent in dependents.iter().rev() {
        tracing::info!("Dropping {}", dependent.name);
        tx.with_users_path(tx.batch("drop an index or constraint", &dependent.drop_sql)).await.map_err(about)?;
    }
    failpoint!("copy::indexes_dropped");
    if table.skip_truncate {
        tracing::info!("{name}: skipping truncate");
    } else {
        refuse_to_empty(tx, config, name).await?;
        tracing::info!("{name}: truncating");
        let truncate = sql!("truncate {only}{table}", only = target.only(), table = name);
        tx.with_users_path(tx.batch("truncate", truncate)).await.map_err(about)?;
    }
    failpoint!("copy::truncated");
    // Only now: who has the subscriber's table locked must not make the provider's clients wait.
    let (snapshot_tx, snapshot) = begin_snapshot(provider, name).await?;
    failpoint!("copy::snapshot_taken");
    let columns = Columns::shared(&snapshot_tx, tx, name).await?;
    copy_rows(&snapshot_tx, tx, config, &shared.throttle, (table, &target), &columns).await?;
    failpoint!("copy::rows_copied");
    snapshot_tx.commit("end the copy's snapshot").await?;
    flush(provider).await.map_err(about)?;
    failpoint!("copy::flushed");
    let follower = Follower { config, table: name, stop: &shared.stop };
    rebuild::create(tx, &dependents, &follower).await.map_err(about)?;
    failpoint!("copy::indexes_created");
    Ok(snapshot)
}

/// Waits until the provider has on disk whatever the copy has read. Where commits are asynchronous (`synchronous_commit = off`), a
/// crash of the provider could take copied rows back, and give their transaction ids to other transactions, whose events the copy's
/// snapshot would hide.
async fn flush(provider: &Db) -> Result<()> {
    // A transaction that has written something and commits synchronously flushes everything before it.
    let sql = "select pg_catalog.pg_logical_emit_message(true, 'rlondiste', 'copied')";
    provider.query_one("wait until the copied rows are on the provider's disk", sql, &[]).await.map(drop)
}

/// Runs ANALYZE in a transaction of its own, so that the planner has statistics for the next batch. Holds SHARE UPDATE
/// EXCLUSIVE meanwhile, for which readers and writers do not wait.
pub(super) async fn analyze(subscriber: &Db, name: &FqName) -> Result<()> {
    let about = |e: Error| e.about(format!("table {name}"));
    let tx = subscriber.begin("analyze", "begin").await?;
    // Expressions of indexes may call functions of users.
    tx.with_users_path(tx.batch("analyze", sql!("analyze {table}", table = name))).await.map_err(about)?;
    tx.commit("analyze").await
}

/// Fails when another queue writes to the table too: its rows would be gone.
async fn refuse_to_empty(tx: &Db, config: &config::Londiste, table: &FqName) -> Result<()> {
    let others = overlaps::other_queues(tx, &config.pgq_queue_name, std::slice::from_ref(table)).await?;
    let Some(other) = others.get(table) else { return Ok(()) };
    Err(Error::refused(
        overlaps::truncate_refusal(table, other),
        format!(
            "To merge the queues' rows, run \"rlondiste INI subscriber remove {table}\", delete the rows of this queue, if there \
             are any, and run \"rlondiste INI subscriber add {table} --skip-truncate\"."
        ),
    ))
}

async fn prepare(tx: &Db, config: &config::Londiste) -> Result<()> {
    // An index without a tablespace of its own was in the database's default one, and is created there whatever the
    // role's setting.
    let mut sql = sql!("set local default_tablespace = ''; {all_rows}", all_rows = ALL_ROWS);
    if let Some(memory) = &config.copy_maintenance_work_mem {
        sql.push(sql!("; set local maintenance_work_mem = {memory}", memory = Sql::literal(memory)));
    }
    tx.batch("prepare the copy", sql).await
}

/// Begins the provider's transaction in which the rows are read.
///
/// The lock comes before the snapshot. A snapshot that is taken first, before a TRUNCATE or an ALTER TABLE that writes the
/// table anew commits, shows an empty table afterwards, and the copy would lack all rows.
async fn begin_snapshot<'a>(provider: &'a Db, name: &FqName) -> Result<(Tx<'a>, Snapshot)> {
    let action = "take the copy's snapshot";
    let source = Relation::of(provider, name).await?;
    // None of these statements takes a snapshot.
    let begin = sql!(
        "begin isolation level repeatable read read only; {all_rows}; lock table {only}{table} in access share mode",
        all_rows = ALL_ROWS,
        only = source.only(),
        table = name
    );
    let tx = provider.begin(action, begin).await.map_err(|e| e.about(format!("table {name}")))?;
    let row = tx.query_one(action, "select txid_current_snapshot()::text", &[]).await?;
    let text: &str = row.get(0);
    let snapshot = text.parse().map_err(|_| provider.unexpected(action, format!("bad snapshot \"{text}\"")))?;
    Ok((tx, snapshot))
}

async fn copy_rows(
    provider: &Db,
    tx: &Db,
    config: &config::Londiste,
    throttle: &Throttle,
    (table, target): (&SubscribedTable, &Relation),
    columns: &Columns,
) -> Result<()> {
    let (name, list) = (&table.name, columns.list());
    tracing::info!("{name}: start copy");
    let source = Relation::of(provider, name).await?;
    let condition = config.copy_condition.get(&name.to_string());
    let rows = match condition {
        Some(condition) => {
            tracing::warn!("{name}: only rows where {condition} are copied; replay applies the changes of all rows");
            sql!(
                "(select {list} from {only}{table} where {condition})",
                list = &list,
                only = source.only(),
                table = name,
                condition = Sql::from_operator(condition)
            )
        }
        None if source.partitioned || columns.computed => {
            sql!("(select {list} from {only}{table})", list = &list, only = source.only(), table = name)
        }
        None => sql!("{table} ({list})", table = name, list = &list),
    };
    // COPY can store rows frozen in a table that was truncated in the same transaction. PostgreSQL refuses that for
    // partitioned tables.
    let freeze = !table.skip_truncate && !target.partitioned;
    let format = if columns.binary { "binary" } else { "text" };
    let transfer = Transfer {
        table: name,
        from: sql!("copy {rows} to stdout (format {format})", rows = rows, format = format),
        into: sql!(
            "copy {table} ({list}) from stdin (format {format}, freeze {freeze})",
            table = name,
            list = &list,
            format = format,
            freeze = freeze
        ),
        estimated_rows: source.estimated_rows,
        progress_delay: config.copy_progress_delay,
        throttle,
        check: Utf8Check::of(columns, name),
    };
    let done = provider.with_users_path(tx.with_users_path(Box::pin(transfer.run(provider, tx)))).await?;
    tracing::info!("{name}: copy finished: {} bytes, {} rows", done.bytes, done.rows);
    Ok(())
}

/// What the catalog says about a table.
struct Relation {
    partitioned: bool,
    /// Neither a partitioned nor a foreign table.
    is_table: bool,
    estimated_rows: u64,
}

impl Relation {
    async fn of(db: &Db, name: &FqName) -> Result<Relation> {
        let row = db
            .query_opt(
                "look for a table",
                "select relkind = 'p', relkind = 'r', greatest(reltuples, 0)::bigint
                   from pg_catalog.pg_class where oid = to_regclass($1)",
                &[text(&name.quoted())],
            )
            .await?;
        let row = row.ok_or_else(|| table_not_found(db, name))?;
        Ok(Relation {
            partitioned: row.get(0),
            is_table: row.get(1),
            estimated_rows: u64::try_from(row.get::<_, i64>(2)).unwrap_or(0),
        })
    }

    fn only(&self) -> &'static str {
        if self.partitioned { "" } else { "only " }
    }
}
