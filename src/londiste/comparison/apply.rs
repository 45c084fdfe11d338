//! `repair --apply`: executes the fixes on the subscriber, in batches in the order of the key.
//!
//! While the walk reads its snapshots, writers and replay go on, so what it finds may be out of date: a row that was
//! missing may have been deleted on the provider meanwhile, and would come back for good. Hence a batch is brought to a
//! moment of its own, in which the provider's table is locked against writers and replay has passed all that was
//! written; its rows are read again on both sides, and only what still differs is changed, before the lock is released.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio_postgres::Row;

use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::{Db, Param, text_array};

use super::super::setup::Setup;
use super::Subject;
use super::fix::{Change, Counts, FixFile};
use super::shape::{Shape, Side};
use super::sync_point::{PIN, Reached, SyncPoints};
use super::walk::{Pair, Values, values};

/// Rows of a batch. Writers of the table wait for as long as a batch takes.
const BATCH: usize = 1000;

/// How the execution went.
pub(super) enum Applied {
    All,
    /// The table could not be locked; it has been logged.
    NotThis,
    /// Replay does not catch up; it has been logged.
    Lagging,
}

/// The execution of the fixes of one table.
pub(super) struct Apply<'a> {
    setup: Setup<'a>,
    points: &'a SyncPoints<'a>,
    table: &'a Subject,
    shape: &'a Shape,
    /// The keys of the rows to look at again.
    keys: Vec<Values>,
    done: Counts,
}

impl<'a> Apply<'a> {
    pub(super) fn new(setup: Setup<'a>, points: &'a SyncPoints<'a>, table: &'a Subject, shape: &'a Shape) -> Self {
        Apply { setup, points, table, shape, keys: Vec::with_capacity(BATCH), done: Counts::default() }
    }

    /// What was changed.
    pub(super) fn done(&self) -> Counts {
        self.done
    }

    /// Takes note of a row that differs, and executes the batch when it is full. The statements that were executed go
    /// into the file.
    pub(super) async fn push(&mut self, change: &Change, file: &mut FixFile) -> Result<Applied> {
        self.keys.push(change.row()[..self.shape.key_len].to_vec());
        if self.keys.len() < BATCH { Ok(Applied::All) } else { self.flush(file).await }
    }

    /// Executes what is left.
    pub(super) async fn flush(&mut self, file: &mut FixFile) -> Result<Applied> {
        if self.keys.is_empty() {
            return Ok(Applied::All);
        }
        let lock = match self.points.hold(self.table).await? {
            Reached::Now(lock) => lock,
            Reached::NotThis => return Ok(Applied::NotThis),
            Reached::Lagging => return Ok(Applied::Lagging),
        };
        let keys = std::mem::take(&mut self.keys);
        let changes = self.execute(&lock, &keys).await?;
        lock.rollback("release the table").await?;
        for change in &changes {
            self.done.add(change);
            file.write(&change.sql(self.shape))?;
        }
        Ok(Applied::All)
    }

    /// One transaction on the subscriber. The rows are locked there, so nobody else changes them in between.
    async fn execute(&self, provider: &Db, keys: &[Values]) -> Result<Vec<Change>> {
        let tx = self.points.subscriber().begin("begin a transaction", "begin").await?;
        tx.limit_lock_wait(self.setup.config.lock_timeout).await?;
        if self.setup.config.apply_role == ApplyRole::Replica {
            tx.batch("switch off foreign keys and triggers", "set local session_replication_role = replica").await?;
        }
        let mut theirs = self.rows(provider, &self.shape.provider, "", keys).await?;
        let mut ours = self.rows(&tx, &self.shape.subscriber, " for update of t", keys).await?;
        let changes: Vec<Change> = keys
            .iter()
            .filter_map(|key| match (theirs.remove(key), ours.remove(key)) {
                (Some(provider), Some(subscriber)) => Change::of(Pair::Both { provider, subscriber }),
                (Some(row), None) => Some(Change::Insert(row)),
                (None, Some(row)) => Some(Change::Delete(row)),
                (None, None) => None,
            })
            .collect();
        // Deletes go first: they free the unique values that other rows take.
        let order = |change: &&Change| match change {
            Change::Delete(_) => 0,
            Change::Update { .. } => 1,
            Change::Insert(_) => 2,
        };
        let mut ordered: Vec<&Change> = changes.iter().collect();
        ordered.sort_by_key(order);
        // They are sent without waiting for each other's answer.
        try_join_all(ordered.into_iter().map(async |change| {
            tx.batch("repair a row", &change.sql(self.shape)).await.map_err(|e| e.about(self.describe(change)))
        }))
        .await?;
        self.setup.end(tx).await?;
        Ok(changes)
    }

    /// The rows of one side that have these keys.
    async fn rows(&self, db: &Db, side: &Side, lock: &str, keys: &[Values]) -> Result<HashMap<Values, Values>> {
        let key_len = self.shape.key_len;
        db.batch("read a table", PIN).await?;
        let columns: Vec<Vec<Option<&str>>> =
            (0..key_len).map(|i| keys.iter().map(|key| key[i].as_deref()).collect()).collect();
        let params: Vec<Param<'_>> = columns.iter().map(text_array).collect();
        let sql = format!("{}{lock}", side.rows_by_key_sql(&self.shape.columns));
        let rows =
            db.query("read a table", &sql, &params).await.map_err(|e| e.about(format!("table {}", self.table.name)))?;
        let entry = |row: &Row| values(db, row).map(|values| (values[..key_len].to_vec(), values));
        rows.iter().map(entry).collect()
    }

    /// The row for messages, by its key.
    fn describe(&self, change: &Change) -> String {
        let verb = match change {
            Change::Insert(_) => "insert",
            Change::Update { .. } => "update",
            Change::Delete(_) => "delete",
        };
        let key = self.shape.columns.iter().zip(change.row()).take(self.shape.key_len);
        let key: Vec<String> =
            key.map(|(column, value)| format!("{column}={}", value.as_deref().unwrap_or("NULL"))).collect();
        format!("table {}, {verb} of key {}", self.table.name, key.join(", "))
    }
}
