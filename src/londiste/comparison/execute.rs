//! `repair --apply`: executes the fixes on the subscriber, in batches in the order of the key.
//!
//! 1. The walk reads its snapshots, while writers and replay go on. A row of the provider is missing on the subscriber.
//! 2. The row is deleted on the provider, and replay applies the delete, which finds no row.
//! 3. The row is inserted on the subscriber, and stays for good.
//!
//! Rule: each batch has a sync point of its own ([`SyncPoints::hold`]), at which the provider's table is locked against
//! writers and replay has applied every change. The rows of the batch are read again on both sides, and only those that
//! still differ are changed, before the lock is released.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio_postgres::Row;

use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::{Db, Param, RawText, sql, text_array};

use super::super::context::Context;
use super::compared_table::{ComparedTable, Side};
use super::fix::{Counts, FixFile, RowFix};
use super::row::{RowText, values};
use super::subject::Subject;
use super::sync_point::{PIN, Reached, SyncPoints};
use super::walk::Pair;

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

    /// Adds a row that differs to the batch, and executes the batch with [`Executor::flush`] when it is full.
    pub(super) async fn push(&mut self, change: &RowFix, file: &mut FixFile) -> Result<Executed> {
        self.keys.push(change.row()[..self.compared.key_len].to_vec());
        if self.keys.len() < BATCH { Ok(Executed::All) } else { self.flush(file).await }
    }

    /// Executes the collected batch, and writes the executed statements into the file. Meanwhile holds SHARE on the
    /// provider's table and row locks on the subscriber, waited for at most `lock_timeout`.
    pub(super) async fn flush(&mut self, file: &mut FixFile) -> Result<Executed> {
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
        let mut theirs = self.rows(provider, &self.compared.provider, "", keys).await?;
        let mut ours = self.rows(&tx, &self.compared.subscriber, " for update of t", keys).await?;
        let changes: Vec<RowFix> = keys
            .iter()
            .filter_map(|key| match (theirs.remove(key), ours.remove(key)) {
                (Some(provider), Some(subscriber)) => {
                    RowFix::of(Pair::Both { provider, subscriber }, self.compared).fix()
                }
                (Some(row), None) => Some(RowFix::Insert(row)),
                (None, Some(row)) => Some(RowFix::Delete(row)),
                (None, None) => None,
            })
            .collect();
        // Deletes go first: they free the unique values that other rows take.
        let order = |change: &&RowFix| match change {
            RowFix::Delete(_) => 0,
            RowFix::Update { .. } => 1,
            RowFix::Insert(_) => 2,
        };
        let mut ordered: Vec<&RowFix> = changes.iter().collect();
        ordered.sort_by_key(order);
        // The statements are sent without waiting for the answer of the one before.
        tx.with_users_path(try_join_all(ordered.into_iter().map(async |change| {
            tx.batch("repair a row", change.sql(self.compared)).await.map_err(|e| e.about(self.describe(change)))
        })))
        .await?;
        self.context.end(tx).await?;
        Ok(changes)
    }

    /// The rows of one side that have these keys, by key. `lock` is the end of the query.
    async fn rows(
        &self,
        db: &Db,
        side: &Side,
        lock: &'static str,
        keys: &[RowText],
    ) -> Result<HashMap<RowText, RowText>> {
        let key_len = self.compared.key_len;
        db.batch("read a table", PIN).await?;
        let columns: Vec<Vec<Option<&RawText>>> =
            (0..key_len).map(|i| keys.iter().map(|key| key[i].as_ref()).collect()).collect();
        let params: Vec<Param<'_>> = columns.iter().map(text_array).collect();
        let sql = sql!("{rows}{lock}", rows = side.rows_by_key_sql(&self.compared.columns), lock = lock);
        let rows =
            db.query("read a table", &sql, &params).await.map_err(|e| e.about(format!("table {}", self.table.name)))?;
        let entry = |row: &Row| values(db, row).map(|values| (values[..key_len].to_vec(), values));
        rows.iter().map(entry).collect()
    }

    /// The table, the kind of change and the key, for messages.
    fn describe(&self, change: &RowFix) -> String {
        let verb = match change {
            RowFix::Insert(_) => "insert",
            RowFix::Update { .. } => "update",
            RowFix::Delete(_) => "delete",
        };
        let key = self.compared.columns.iter().zip(change.row()).take(self.compared.key_len);
        let shown = |value: &Option<RawText>| value.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
        let key: Vec<String> = key.map(|(column, value)| format!("{column}={}", shown(value))).collect();
        format!("table {}, {verb} of key {}", self.table.name, key.join(", "))
    }
}
