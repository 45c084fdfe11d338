//! How commands wait for a table's lock: in short tries, with log lines that name the sessions which hold the lock.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio_postgres::error::SqlState;

use super::context::Context;
use crate::error::{Error, Result};
use crate::pg::autovacuum::{IS_AUTOVACUUM, LONG_TRY};
use crate::pg::{Db, FqName, Tx, boolean, sql, text};

/// How long one try may stand in the table's lock queue. Statements of other sessions that come later wait behind it.
const LOCK_TRY: Duration = Duration::from_millis(400);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);

/// How often a command that waits for a lock logs the wait.
const WAIT_REPORT: Duration = Duration::from_secs(10);

impl Context<'_> {
    /// [`Context::lock_table`], then [`Context::end`]: commits, or with `fake = 1` rolls back.
    pub(crate) async fn change_table<T>(
        &self,
        db: &Db,
        table: &FqName,
        lock: TableLock,
        work: impl AsyncFn(&Db) -> Result<T>,
    ) -> Result<T> {
        let (tx, done) = self.lock_table(db, table, lock, work).await?;
        self.end(tx).await?;
        Ok(done)
    }

    /// Runs `work`, which locks the table, and returns the transaction open: the locks last until the caller ends it.
    ///
    /// A try waits at most [`LOCK_TRY`], because statements of other sessions on the table queue up behind a try that
    /// waits; one for each autovacuum in the way waits for [`LONG_TRY`]. A try whose lock is not granted is rolled back, and `work` runs again after a pause, for `lock_timeout`
    /// altogether; then fails with `Error::blocked`, which names the sessions that hold the lock. Any other error of
    /// `work` is returned at once.
    pub(crate) async fn lock_table<'d, T>(
        &self,
        db: &'d Db,
        table: &FqName,
        lock: TableLock,
        work: impl AsyncFn(&Db) -> Result<T>,
    ) -> Result<(Tx<'d>, T)> {
        let started = Instant::now();
        let mut reported = None;
        let mut pause = Duration::from_millis(100);
        let mut longest = LOCK_TRY;
        let mut asked = BTreeSet::new();
        loop {
            let left = self.config.lock_timeout.map(|limit| limit.saturating_sub(started.elapsed()));
            let wait = left.unwrap_or(longest).clamp(Duration::from_millis(1), longest);
            let begin = sql!("begin; set local lock_timeout = {millis}", millis = wait.as_millis());
            let tx = db.begin("begin a transaction", begin).await?;
            match work(&tx).await {
                Ok(done) => return Ok((tx, done)),
                Err(error) if error.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) => return Err(error),
                Err(_) => tx.rollback("roll back").await?,
            }
            let blockers = blockers(db, table, lock).await?;
            if let Some(limit) = self.config.lock_timeout.filter(|limit| started.elapsed() >= *limit) {
                return Err(lock_not_granted(db, table, limit, &blockers));
            }
            if reported.is_none_or(|at: Instant| at.elapsed() >= WAIT_REPORT) {
                tracing::info!("Waiting for a lock on {table} on {}, held by {}", db.role(), describe(&blockers));
                reported = Some(Instant::now());
            }
            let vacuums = blockers.iter().filter(|blocker| blocker.is_autovacuum);
            longest = if vacuums.filter(|blocker| asked.insert(blocker.pid)).count() > 0 { LONG_TRY } else { LOCK_TRY };
            self.pause(pause.mul_f64(rand::rng().random_range(0.5..1.0))).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The lock that a change takes on its table. Decides which locks of other sessions are reported as being in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableLock {
    /// Of `create trigger` or `lock ... in share mode`: conflicts with the locks of writers.
    Writers,
    /// Of `drop trigger`: conflicts with the locks of readers too.
    Everybody,
}

/// A session that holds, or waits for, a lock which conflicts with the wanted one.
struct Blocker {
    /// `None` for a prepared transaction.
    pid: Option<i32>,
    text: String,
    is_autovacuum: bool,
}

/// The sessions whose locks on the table, held or waited for, conflict with `lock`; the oldest transaction first.
async fn blockers(db: &Db, table: &FqName, lock: TableLock) -> Result<Vec<Blocker>> {
    // A session that writes to a partition by its own name locks the partition and not the root.
    let sql = sql!(
        "with recursive tree(relation) as ( \
                   select pg_catalog.to_regclass($1)::oid \
                   union all \
                   select i.inhrelid from pg_catalog.pg_inherits i join tree on i.inhparent = tree.relation) \
               select l.pid, l.granted, string_agg(distinct l.mode, ', '), coalesce(a.application_name, ''), \
                      coalesce(a.usename::text, ''), coalesce(a.state, ''), \
                      coalesce(extract(epoch from clock_timestamp() - a.xact_start)::bigint, 0), {is_autovacuum} \
               from pg_catalog.pg_locks l \
               left join pg_catalog.pg_stat_activity a on a.pid = l.pid \
               where l.relation in (select t.relation from tree t) \
                 and l.database = (select oid from pg_catalog.pg_database where datname = current_database()) \
                 and l.pid is distinct from pg_catalog.pg_backend_pid() \
                 and (l.granted and $2 or l.mode not in ('AccessShareLock', 'RowShareLock')) \
                 and (l.granted or l.mode like '%Exclusive%' and l.mode <> 'RowExclusiveLock') \
               group by 1, 2, 4, 5, 6, 7, 8 order by 7 desc, 1",
        is_autovacuum = IS_AUTOVACUUM
    );
    let everybody = lock == TableLock::Everybody;
    let rows = db.query("find out who holds a lock", sql, &[text(&table.quoted()), boolean(&everybody)]).await?;
    let blocker = |row: &tokio_postgres::Row| {
        let (pid, granted, mode): (Option<i32>, bool, String) = (row.get(0), row.get(1), row.get(2));
        let (application, user, state): (String, String, String) = (row.get(3), row.get(4), row.get(5));
        let seconds: i64 = row.get(6);
        let is_autovacuum = row.get(7);
        let waits = if granted { "" } else { "waits for " };
        let text = match pid {
            Some(pid) if is_autovacuum => format!("process {pid} (an autovacuum, {waits}{mode})"),
            Some(pid) => format!(
                "process {pid} (application \"{application}\", user \"{user}\", {state}, in a transaction for {seconds} s, \
                 {waits}{mode})"
            ),
            None => format!("a prepared transaction ({mode})"),
        };
        Blocker { pid, text, is_autovacuum }
    };
    Ok(rows.iter().map(blocker).collect())
}

fn describe(blockers: &[Blocker]) -> String {
    if blockers.is_empty() {
        return "a session that has ended meanwhile".to_owned();
    }
    blockers.iter().map(|b| b.text.as_str()).collect::<Vec<_>>().join(", ")
}

fn lock_not_granted(db: &Db, table: &FqName, limit: Duration, blockers: &[Blocker]) -> Error {
    let message = format!(
        "could not lock {table} on {} ({}) within {} s: held by {}",
        db.role(),
        db.target(),
        limit.as_secs_f64(),
        describe(blockers)
    );
    let end = match blockers.first() {
        Some(Blocker { pid: Some(pid), .. }) => {
            format!("Wait for the end of that transaction, or end it with \"select pg_terminate_backend({pid})\"; or")
        }
        Some(Blocker { pid: None, .. }) => "Commit or roll back what pg_prepared_xacts shows; or".to_owned(),
        None => "Repeat the command; or".to_owned(),
    };
    Error::blocked(message, format!("{end} raise lock_timeout in the ini file."))
}
