//! `repair --apply`: executes the fixes on the subscriber, in batches in the order of the key.
//!
//! 1. The walk reads its snapshots, while writers and replay go on. A row of the provider is missing on the subscriber.
//! 2. The row is deleted on the provider, and replay applies the delete, which finds no row.
//! 3. The row is inserted on the subscriber, and stays for good.
//!
//! Rule: each batch has a sync point of its own ([`SyncPoints::hold`]), at which the provider's table is locked against
//! writers and replay has applied every change. The rows of the batch are read again on both sides, and only those that
//! still differ are changed, before the lock is released.

use std::ops::ControlFlow;

use crate::config::ApplyRole;
use crate::error::{Error, Result};
use crate::pg::Db;

use super::super::context::Context;
use super::refusals::Refusals;
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
    refusals: Refusals,
    /// How many rows the subscriber refused.
    refused: u64,
}

impl<'a> Executor<'a> {
    pub(super) fn new(
        context: Context<'a>,
        points: &'a SyncPoints<'a>,
        table: &'a Subject,
        compared: &'a ComparedTable,
    ) -> Self {
        Executor {
            context,
            points,
            table,
            compared,
            keys: Vec::with_capacity(BATCH),
            done: Counts::default(),
            refusals: Refusals::new(false),
            refused: 0,
        }
    }

    /// How many rows were changed.
    pub(super) fn done(&self) -> Counts {
        self.done
    }

    /// How many rows the subscriber refused, and why.
    pub(super) fn refused(self) -> (u64, Option<Error>) {
        (self.refused, self.refusals.reason().filter(|_| self.refused > 0))
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

    /// Executes the collected batch, in parts where the subscriber refuses rows, and writes the executed statements into the file.
    pub(super) async fn flush(&mut self, file: &mut Statements) -> Result<Executed> {
        let keys = std::mem::take(&mut self.keys);
        let Executor { context, points, table, compared, done, refusals, .. } = self;
        let refused = refusals.apart_from(keys, BATCH, async |keys| {
            context.proceed()?;
            let lock = match points.hold(table).await? {
                Reached::Now(lock) => lock,
                Reached::NotThis => return Ok(ControlFlow::Break(Executed::NotThis)),
                Reached::Lagging => return Ok(ControlFlow::Break(Executed::Lagging)),
            };
            let changes = execute(*context, points.subscriber(), compared, &lock, keys).await;
            lock.rollback("release the table").await?;
            for change in &changes? {
                done.add(change);
                file.write(&change.sql(compared))?;
            }
            Ok(ControlFlow::Continue(()))
        });
        match refused.await? {
            ControlFlow::Break(end) => Ok(end),
            ControlFlow::Continue(refused) => {
                self.refused += refused.len() as u64;
                Ok(Executed::All)
            }
        }
    }
}

/// Reads the rows again on both sides and changes those that differ, in one transaction of the subscriber, where reading locks the
/// rows, for which it waits `lock_timeout` at most. Meanwhile SHARE is held on the provider's table.
async fn execute(
    context: Context<'_>,
    subscriber: &Db,
    compared: &ComparedTable,
    provider: &Db,
    keys: &[RowText],
) -> Result<Vec<RowFix>> {
    let tx = subscriber.begin("begin a transaction", "begin").await?;
    tx.limit_lock_wait(context.config.lock_timeout).await?;
    if context.config.apply_role == ApplyRole::Replica {
        tx.batch("switch off foreign keys and triggers", "set local session_replication_role = replica").await?;
    }
    let theirs = rows::read(provider, compared, &compared.provider, "", keys).await?;
    let ours = rows::read(&tx, compared, &compared.subscriber, " for update of t", keys).await?;
    let changes = rows::fixes(compared, keys, theirs, ours).changes;
    rows::mend(&tx, compared, &changes).await?;
    context.end(tx).await?;
    Ok(changes)
}
