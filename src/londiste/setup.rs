//! What the commands of both sides share: their sessions, their transactions, and how they wait for table locks.
//!
//! Every change is one transaction per table or sequence, which `fake = 1` rolls back; so what a command was doing when
//! it stopped is there in full or not at all.

use std::time::{Duration, Instant};

use rand::RngExt;
use tokio_postgres::error::SqlState;

use crate::config;
use crate::error::{Error, Result};
use crate::job::{Control, Wake};
use crate::pg::{Db, FqName, Role, Tx, boolean, text};
use crate::text::Lines;

/// How long one try may stand in the lock queue. Everything that comes to the table after it waits behind it, so it is short.
const LOCK_TRY: Duration = Duration::from_millis(400);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);

/// How often a command that waits for a lock says so.
const WAIT_REPORT: Duration = Duration::from_secs(10);

/// A command at work: its settings and the operator's requests.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) config: &'a config::Londiste,
    control: &'a Control,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(config: &'a config::Londiste, control: &'a Control) -> Self {
        Setup { config, control }
    }

    /// The queue.
    pub(crate) fn queue(&self) -> &'a str {
        &self.config.pgq_queue_name
    }

    /// The consumer.
    pub(crate) fn consumer(&self) -> &'a str {
        &self.config.pgq_consumer_id
    }

    /// Opens a session on the provider.
    pub(crate) async fn provider(&self) -> Result<Db> {
        self.open(Role::Provider, &self.config.provider_db).await
    }

    /// Opens a session on the subscriber.
    pub(crate) async fn subscriber(&self) -> Result<Db> {
        self.open(Role::Subscriber, &self.config.subscriber_db).await
    }

    async fn open(&self, role: Role, conninfo: &str) -> Result<Db> {
        Db::open(role, conninfo, &self.config.common.job_name, self.control.abort()).await
    }

    /// Waits; a stop request ends the command.
    pub(crate) async fn pause(&self, duration: Duration) -> Result<()> {
        match self.control.sleep(duration).await {
            Wake::Elapsed | Wake::Reload => Ok(()),
            Wake::Stop => Err(Error::Aborted),
        }
    }

    /// Fails when a stop was requested. Called between two tables.
    pub(crate) fn proceed(&self) -> Result<()> {
        if self.control.stopping() { Err(Error::Aborted) } else { Ok(()) }
    }

    /// Does the work in one transaction.
    pub(crate) async fn change<T>(&self, db: &Db, work: impl AsyncFnOnce(&Db) -> Result<T>) -> Result<T> {
        let tx = db.begin("begin a transaction", "begin").await?;
        let done = work(&tx).await?;
        self.end(tx).await?;
        Ok(done)
    }

    /// Does the work, which locks the table, in one transaction.
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

    /// Does the work, which locks the table, in a transaction that is left open. The lock is taken in short tries with
    /// pauses, up to the ini's `lock_timeout` altogether: while a try waits, everybody else who wants the table waits
    /// behind it.
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
        loop {
            let left = self.config.lock_timeout.map(|limit| limit.saturating_sub(started.elapsed()));
            let wait = left.unwrap_or(LOCK_TRY).clamp(Duration::from_millis(1), LOCK_TRY);
            let begin = format!("begin; set local lock_timeout = '{}ms'", wait.as_millis());
            let tx = db.begin("begin a transaction", &begin).await?;
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
            self.pause(pause.mul_f64(rand::rng().random_range(0.5..1.0))).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Commits, or with `fake = 1` rolls back.
    pub(crate) async fn end(&self, tx: Tx<'_>) -> Result<()> {
        if self.config.fake { tx.rollback("roll back").await } else { tx.commit("commit").await }
    }
}

/// Why one table or sequence of many was not done. Logs it and lets the command go on, unless the session is gone or
/// the operator wants an end.
pub(crate) fn set_aside(db: &Db, error: Error) -> Result<()> {
    if matches!(error, Error::Aborted) || db.is_closed() {
        return Err(error);
    }
    tracing::error!("{}", Lines(without_origin(&crate::error::Report(&error).to_string())));
    Ok(())
}

/// Leaves out where in the schema's functions an error came from when they raised it themselves: it is a fact about the
/// table then, not a fault of the functions.
fn without_origin(report: &str) -> String {
    let raised = |line: &str| {
        line.strip_prefix("CONTEXT: ")
            .and_then(|c| c.split("; ").next())
            .is_some_and(|frame| frame.ends_with("at RAISE"))
    };
    report.lines().filter(|line| !raised(line)).collect::<Vec<_>>().join("\n")
}

/// Which lock a change takes on its table, and so who keeps it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableLock {
    /// `create trigger`, `lock ... in share mode`: writers keep it out, and it them.
    Writers,
    /// `drop trigger`: readers too.
    Everybody,
}

/// A session that keeps us out of a table.
struct Blocker {
    /// None for a prepared transaction.
    pid: Option<i32>,
    text: String,
}

/// Who holds a lock on the table that keeps us out, or waits for a strong one before us; the oldest first.
async fn blockers(db: &Db, table: &FqName, lock: TableLock) -> Result<Vec<Blocker>> {
    // Who writes to a partition by its own name locks only that.
    let sql = "with recursive tree(relation) as ( \
                   select pg_catalog.to_regclass($1)::oid \
                   union all \
                   select i.inhrelid from pg_catalog.pg_inherits i join tree on i.inhparent = tree.relation) \
               select l.pid, l.granted, string_agg(distinct l.mode, ', '), coalesce(a.application_name, ''), \
                      coalesce(a.usename::text, ''), coalesce(a.state, ''), \
                      coalesce(extract(epoch from clock_timestamp() - a.xact_start)::bigint, 0) \
               from pg_catalog.pg_locks l \
               left join pg_catalog.pg_stat_activity a on a.pid = l.pid \
               where l.relation in (select t.relation from tree t) \
                 and l.database = (select oid from pg_catalog.pg_database where datname = current_database()) \
                 and l.pid is distinct from pg_catalog.pg_backend_pid() \
                 and (l.granted and $2 or l.mode not in ('AccessShareLock', 'RowShareLock')) \
                 and (l.granted or l.mode like '%Exclusive%' and l.mode <> 'RowExclusiveLock') \
               group by 1, 2, 4, 5, 6, 7 order by 7 desc, 1";
    let everybody = lock == TableLock::Everybody;
    let rows = db.query("find out who holds a lock", sql, &[text(&table.quoted()), boolean(&everybody)]).await?;
    let blocker = |row: &tokio_postgres::Row| {
        let (pid, granted, mode): (Option<i32>, bool, String) = (row.get(0), row.get(1), row.get(2));
        let (application, user, state): (String, String, String) = (row.get(3), row.get(4), row.get(5));
        let seconds: i64 = row.get(6);
        let waits = if granted { "" } else { "waits for " };
        let text = match pid {
            Some(pid) => format!(
                "process {pid} (application \"{application}\", user \"{user}\", {state}, in a transaction for {seconds} s, \
                 {waits}{mode})"
            ),
            None => format!("a prepared transaction ({mode})"),
        };
        Blocker { pid, text }
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
    Error::refused(message, format!("{end} raise lock_timeout in the ini file."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_shown_only_of_errors_that_were_not_raised() {
        let raised =
            "need key column (42P16)\nCONTEXT: PL/pgSQL function f(text) line 1 at RAISE; PL/pgSQL function g()";
        assert_eq!(without_origin(raised), "need key column (42P16)");
        let fault = "division by zero (22012)\nCONTEXT: PL/pgSQL function f(text) line 1 at assignment";
        assert_eq!(without_origin(fault), fault);
    }
}
