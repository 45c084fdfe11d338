//! `repair --online`: rows that [`super::range_walk`] has found to differ are read again from the provider and made equal on the
//! subscriber, without a lock on the provider.
//!
//! 1. A row is read on the provider, to be written to the subscriber.
//! 2. It is updated on the provider, and replay applies the update. Where the subscriber has no such row, nothing is changed.
//! 3. What was read in step 1 is written, and the update is lost.
//!
//! Rule: rows are written while the position of replay is locked, which a batch too locks at its begin. (The short way of small batches
//! locks it at the end, and is not taken where a change finds no row.) The provider is read after this lock is taken, and a row
//! is written only if it has the version there that it had at both looks. Replay has passed a tick between the two, so no event
//! of this row is behind the position: neither before the read nor in a batch that is being applied. Later events come after
//! the write. A row that the provider does not have is deleted: an event that inserts it, and one that deletes it again, may be
//! behind the position, and find no row in their way. On the subscriber too, a row must have the version of the looks, and is
//! left for later when replay has it locked.

use std::time::Duration;

use crate::config::ApplyRole;
use crate::error::{Error, Report, Result};
use crate::job::Output;
use crate::pg::Db;
use crate::pgq::TickId;
use crate::text::Lines;

use super::super::context::Context;
use super::super::state::completed;
use super::super::state::table_state::TableState;
use super::super::state::tables;
use super::arguments::Repair;
use super::online::Online;
use super::range_walk::{Looks, Settle};
use super::repair::generated_differ;
use super::repaired::{Repaired, RepairedTable, Statements};
use super::rows::{self, By, ComparedTable, Counts, Fixes, RowText, Subject};
use super::subject::subjects;

/// Rows that are made equal at a time: replay waits meanwhile.
const BATCH: usize = 250;

/// How long the provider may take for the rows of a batch, and how long a lock on the subscriber is waited for once replay waits.
const PATIENCE: Duration = Duration::from_secs(5);
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

/// Repairs the tables. Exit status 1 when a table could not be compared or a row could not be made equal, else 3 when a row could not be
/// verified.
pub(super) async fn run(wanted: &Repair, context: Context<'_>) -> Result<Output> {
    let Some(online) = Online::open(context, wanted.tables.lag, wanted.jobs).await? else {
        return Ok(Output::none().with_code(3));
    };
    let (provider, subscriber) = online.sessions();
    let mut repaired = Repaired::default();
    let (tables, mut failed) = subjects(&wanted.tables, context, provider, subscriber).await?;
    let mut unverified = 0;
    for table in tables {
        let name = &table.name;
        tracing::info!("Checking {name}");
        let repair = async {
            let compared =
                ComparedTable::keyed_or_not([provider, subscriber], &table, context.queue(), By::Value).await?;
            let mut mending = Mending {
                context,
                table: &table,
                compared: &compared,
                provider,
                subscriber,
                is_applied: wanted.apply,
                file: Statements::open(wanted, name)?,
                missed: Counts::default(),
                generated: 0,
                refused: None,
            };
            let totals = online.examine(&table, &compared, &mut mending).await?;
            let Mending { file, missed, generated, refused, .. } = mending;
            let rows = [totals.provider_rows, totals.subscriber_rows];
            let mut done = RepairedTable::finished(name, rows, missed, wanted.apply.then_some(missed), file)?;
            done.unverified = totals.unverified;
            Ok((done, generated, refused))
        };
        let Some((done, generated, refused)) = failed.take(repair.await, [provider, subscriber])? else { continue };
        let rows = done.unverified;
        repaired.tables.push(done);
        if generated > 0 {
            tracing::error!("{}", generated_differ(name, generated));
            failed.0 = true;
        }
        match refused {
            _ if rows == 0 => {}
            None => {
                unverified += rows;
                tracing::warn!("{name}: {rows} rows could not be verified: they changed each time they were looked at");
            }
            Some(error) => {
                tracing::error!(
                    "{}",
                    Lines(format!("{name}: {rows} rows could not be made equal: {}", Report(&error)))
                );
                failed.0 = true;
            }
        }
    }
    Ok(Output::of(&repaired).with_code(if failed.0 {
        1
    } else if unverified > 0 {
        3
    } else {
        0
    }))
}

/// Whether the server refused a row, or a lock was not had in time: the others may go through.
fn is_of_a_row(error: &Error) -> bool {
    let classes = ["22", "23", "40", "55P03", "P0"];
    error.code().is_some_and(|code| classes.iter().any(|class| code.code().starts_with(class)))
}

/// Makes the rows of one table equal.
struct Mending<'a> {
    context: Context<'a>,
    table: &'a Subject,
    compared: &'a ComparedTable,
    provider: &'a Db,
    subscriber: &'a Db,
    /// Whether the statements are executed.
    is_applied: bool,
    file: Statements,
    /// The rows that differ, all of which were changed if `is_applied`.
    missed: Counts,
    /// Rows that differ only in columns that the subscriber generates.
    generated: u64,
    /// Why rows could not be made equal; the last error.
    refused: Option<Error>,
}

impl Settle for Mending<'_> {
    /// Rows that another one stands in the way of are tried again: it may be one of those that come later.
    async fn settle(&mut self, mut rows: Looks, passed: TickId) -> Result<Looks> {
        let mut again = Looks::new();
        let mut keys: Vec<RowText> = rows.keys().cloned().collect();
        let mut batch = BATCH;
        while !keys.is_empty() {
            self.context.proceed()?;
            let rest = keys.split_off(keys.len().min(batch));
            let mut some: Looks = keys.drain(..).filter_map(|key| rows.remove_entry(&key)).collect();
            match self.make_equal(&some, passed).await {
                Ok(settled) => some.retain(|key, _| !settled.contains(key)),
                Err(error) if is_of_a_row(&error) => {
                    // One row after the other, so that one stands for itself alone.
                    if some.len() > 1 {
                        batch = 1;
                        keys = some.keys().cloned().collect();
                        rows.append(&mut some);
                    }
                    self.refused = Some(error);
                }
                Err(error) => return Err(error),
            }
            again.append(&mut some);
            keys.extend(rest);
        }
        Ok(again)
    }
}

impl Mending<'_> {
    /// Makes those rows equal that have the versions of the looks, and returns their keys.
    async fn make_equal(&mut self, rows: &Looks, passed: TickId) -> Result<Vec<RowText>> {
        let keys: Vec<RowText> = rows.keys().cloned().collect();
        let subscriber = self.subscriber.begin("begin a transaction", "begin").await?;
        subscriber.limit_lock_wait(self.context.config.lock_timeout).await?;
        if self.context.config.apply_role == ApplyRole::Replica {
            subscriber
                .batch("switch off foreign keys and triggers", "set local session_replication_role = replica")
                .await?;
        }
        let mut lock = "";
        if self.is_applied {
            lock = " for update of t skip locked";
            let position = completed::hold(&subscriber, self.context.consumer()).await?;
            let table = tables::load_one(&subscriber, self.context.queue(), &self.table.name).await?;
            if position.is_none_or(|tick| tick < passed) || table.is_none_or(|table| table.state != TableState::Ok) {
                return Ok(Vec::new());
            }
            subscriber.limit_lock_wait(Some(LOCK_PATIENCE)).await?;
        }
        let theirs = tokio::time::timeout(PATIENCE, async {
            let snapshot =
                self.provider.begin("take a snapshot", "begin isolation level repeatable read read only").await?;
            snapshot.limit_lock_wait(Some(PATIENCE)).await?;
            let rows = rows::read(&snapshot, self.compared, &self.compared.provider, "", &keys).await?;
            snapshot.rollback("end the snapshot").await?;
            Ok(rows)
        });
        let theirs = theirs.await.unwrap_or_else(|_| {
            Err(Error::blocked(
                format!(
                    "table {}: {} rows were not read in {} s on provider ({}), while replay waited for them",
                    self.compared.name,
                    keys.len(),
                    PATIENCE.as_secs(),
                    self.provider.target()
                ),
                "Look for what keeps the provider busy, then run repair again.",
            ))
        })?;
        let ours = rows::read(&subscriber, self.compared, &self.compared.subscriber, lock, &keys).await?;
        let stays = |key: &RowText| {
            let now = [theirs.get(key), ours.get(key)].map(|row| row.map(|row| &row.version));
            rows.get(key).is_some_and(|seen| seen.each_ref().map(|s| s.as_ref().map(|s| &s.version)) == now)
        };
        let keys: Vec<RowText> = keys.into_iter().filter(stays).collect();
        let Fixes { changes, generated } = rows::fixes(self.compared, &keys, theirs, ours);
        self.generated += generated;
        if self.is_applied {
            rows::mend(&subscriber, self.compared, &changes).await?;
            self.context.end(subscriber).await?;
        } else {
            subscriber.rollback("end the transaction").await?;
        }
        for change in &changes {
            self.missed.add(change);
            self.file.write(&change.sql(self.compared))?;
        }
        Ok(keys)
    }
}
