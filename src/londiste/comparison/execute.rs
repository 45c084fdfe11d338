//! `repair --apply`: executes the fixes on the subscriber, in batches in the order of the key.
//!
//! 1. The walk reads its snapshots, while writers and replay go on. A row of the provider is missing on the subscriber.
//! 2. The row is deleted on the provider, and replay applies the delete, which finds no row.
//! 3. The row is inserted on the subscriber, and stays for good.
//!
//! Rule: each batch has a sync point of its own ([`SyncPoints::hold`]), at which the provider's table is locked against
//! writers and replay has applied every change. The rows of the batch are read again on both sides, and only those that
//! still differ are changed, before the lock is released.

use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::Db;

use super::super::context::Context;
use super::repaired::Statements;
use super::rows::{self, ComparedTable, Counts, RowFix, RowText, Subject};
use super::sync_point::{Reached, SyncPoints};

/// Rows of a batch. On the provider, writers of the table wait while a batch is executed.
const BATCH: usize = 1000;

/// How the execution ended.
pub(super) enum Executed {
    All,
    /// The provider's table could not be locked, or rows differ that no statement can change; the error is in the log.
    NotThis,
    /// Replay does not catch up; the error is in the log.
    Lagging,
}

/// The execution of the fixes of one table.
pub(super) struct Executor<'a> {
    context: Context<'a>,
    points: &'a SyncPoints<'a>,
    table: &'a Subject,
    compared: &'a ComparedTable,
    /// The keys of the batch that is being collected.
    keys: Vec<RowText>,
    done: Counts,
}

impl<'a> Executor<'a> {
    pub(super) fn new(
        context: Context<'a>,
        points: &'a SyncPoints<'a>,
        table: &'a Subject,
        compared: &'a ComparedTable,
    ) -> Self {
        Executor { context, points, table, compared, keys: Vec::with_capacity(BATCH), done: Counts::default() }
    }

    /// How many rows were changed.
    pub(super) fn done(&self) -> Counts {
        self.done
    }

    /// Adds the keys of rows that differ, and executes each full batch with [`Executor::flush`].
    pub(super) async fn push(&mut self, keys: &[RowText], file: &mut Statements) -> Result<Executed> {
        for key in keys {
            self.keys.push(key.clone());
            if self.keys.len() == BATCH {
                match self.flush(file).await? {
                    Executed::All => {}
                    not_applied => return Ok(not_applied),
                }
            }
        }
        Ok(Executed::All)
    }

    /// Executes the collected batch, and writes the executed statements into the file. Meanwhile holds SHARE on the
    /// provider's table and row locks on the subscriber, waited for at most `lock_timeout`.
    pub(super) async fn flush(&mut self, file: &mut Statements) -> Result<Executed> {
        if self.keys.is_empty() {
            return Ok(Executed::All);
        }
        let lock = match self.points.hold(self.table).await? {
            Reached::Now(lock) => lock,
            Reached::NotThis => return Ok(Executed::NotThis),
            Reached::Lagging => return Ok(Executed::Lagging),
        };
        let keys = std::mem::take(&mut self.keys);
        let changes = self.execute(&lock, &keys).await?;
        lock.rollback("release the table").await?;
        for change in &changes {
            self.done.add(change);
            file.write(&change.sql(self.compared))?;
        }
        Ok(Executed::All)
    }

    /// Reads the rows again on both sides and changes those that differ, in one transaction of the subscriber, where
    /// reading locks the rows.
    async fn execute(&self, provider: &Db, keys: &[RowText]) -> Result<Vec<RowFix>> {
        let tx = self.points.subscriber().begin("begin a transaction", "begin").await?;
        tx.limit_lock_wait(self.context.config.lock_timeout).await?;
        if self.context.config.apply_role == ApplyRole::Replica {
            tx.batch("switch off foreign keys and triggers", "set local session_replication_role = replica").await?;
        }
        let theirs = rows::read(provider, self.compared, &self.compared.provider, "", keys).await?;
        let ours = rows::read(&tx, self.compared, &self.compared.subscriber, " for update of t", keys).await?;
        let changes = rows::fixes(self.compared, keys, theirs, ours).changes;
        rows::mend(&tx, self.compared, &changes).await?;
        self.context.end(tx).await?;
        Ok(changes)
    }
}
