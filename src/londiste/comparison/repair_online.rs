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

use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::config::ApplyRole;
use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::Db;
use crate::pgq::TickId;

use super::super::context::Context;
use super::super::state::completed;
use super::super::state::table_state::TableState;
use super::super::state::tables;
use super::arguments::Repair;
use super::online::Online;
use super::passes::Passes;
use super::range_walk::{Looks, Settle};
use super::refusals::Refusals;
use super::repair::generated_differ;
use super::repaired::{RepairedTable, Statements};
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
    let (tables, mut failed) = subjects(&wanted.tables, context, provider, subscriber).await?;
    let mut passes = Passes::begin(tables, wanted, context, subscriber).await?;
    let mut unverified = 0;
    while let Some(table) = passes.next() {
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
                file: Statements::open(wanted, name, passes.is_repeated())?,
                missed: Counts::default(),
                generated: 0,
                refusals: Refusals::new(true),
                refused: HashSet::new(),
            };
            let totals = online.examine(&table, &compared, &mut mending).await?;
            let Mending { file, missed, generated, refusals, refused, .. } = mending;
            let rows = [totals.provider_rows, totals.subscriber_rows];
            let mut done = RepairedTable::finished(name, rows, missed, wanted.apply.then_some(missed), file)?;
            // Refused rows are looked at again and again, so that they count as not verified too.
            done.refused = (refused.len() as u64).min(totals.unverified);
            done.unverified = totals.unverified - done.refused;
            Ok((done, generated, refusals.reason()))
        };
        let Some((done, generated, reason)) = failed.take(repair.await, [provider, subscriber])? else { continue };
        if generated > 0 {
            tracing::error!("{}", generated_differ(name, generated));
            failed.0 = true;
        }
        if done.unverified > 0 {
            unverified += done.unverified;
            tracing::warn!(
                "{name}: {} rows could not be verified: they changed each time they were looked at",
                done.unverified
            );
        }
        let reason = reason.filter(|_| done.refused > 0);
        passes.add(table, done, reason);
    }
    let (repaired, refused) = passes.end(subscriber).await?;
    Ok(Output::of(&repaired).with_code(if failed.0 || refused {
        1
    } else if unverified > 0 {
        3
    } else {
        0
    }))
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
    refusals: Refusals,
    /// The rows that were refused when they were tried last.
    refused: HashSet<RowText>,
}

impl Settle for Mending<'_> {
    /// Refused rows are looked at and tried again: what stands in their way may be one of those that come later.
    async fn settle(&mut self, mut rows: Looks, passed: TickId) -> Result<Looks> {
        let keys: Vec<RowText> = rows.keys().cloned().collect();
        let mut refusals = std::mem::replace(&mut self.refusals, Refusals::new(true));
        let mut settled = Vec::new();
        let ControlFlow::Continue(refused) = refusals
            .apart_from(keys, BATCH, async |keys| {
                self.context.proceed()?;
                settled.extend(self.make_equal(keys, &rows, passed).await?);
                Ok(ControlFlow::<Infallible>::Continue(()))
            })
            .await?;
        self.refusals = refusals;
        self.refused.extend(refused);
        for key in settled {
            self.refused.remove(&key);
            rows.remove(&key);
        }
        Ok(rows)
    }
}

impl Mending<'_> {
    /// Makes those of the rows with these keys equal that have the versions of the looks, and returns their keys.
    async fn make_equal(&mut self, keys: &[RowText], looks: &Looks, passed: TickId) -> Result<Vec<RowText>> {
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
            let rows = rows::read(&snapshot, self.compared, &self.compared.provider, "", keys).await?;
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
        let ours = rows::read(&subscriber, self.compared, &self.compared.subscriber, lock, keys).await?;
        let stays = |key: &RowText| {
            let now = [theirs.get(key), ours.get(key)].map(|row| row.map(|row| &row.version));
            looks.get(key).is_some_and(|seen| seen.each_ref().map(|s| s.as_ref().map(|s| &s.version)) == now)
        };
        let keys: Vec<RowText> = keys.iter().filter(|key| stays(key)).cloned().collect();
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
