//! Applies chunks.

use tokio::sync::{Mutex, mpsc};

use super::chunk::Chunk;
use super::counts::{MissingRows, WriteCounts};
use super::plan::{self, Plan};
use super::set::Failed;
use super::settings::Settings;
use super::shape::{Slot, TableId};
use super::{row, set};
use crate::config::{ApplyRole, MissingRow};
use crate::error::{Error, Report, Result};
use crate::pg::Db;

/// The writing end.
pub(super) struct Writer<'a> {
    tx: &'a Db,
    settings: Settings,
    /// How much memory a spent chunk may keep.
    memory: usize,
    counts: WriteCounts,
    /// Whether constraints wait for the end of the transaction.
    deferred: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(tx: &'a Db, settings: Settings, memory: usize) -> Writer<'a> {
        Writer { tx, settings, memory, counts: WriteCounts::default(), deferred: false }
    }

    /// Applies chunks until there are no more, and gives them back empty.
    pub(super) async fn run(
        mut self,
        mut chunks: mpsc::Receiver<(Chunk, Plan)>,
        spent: mpsc::Sender<Chunk>,
        session: &Mutex<()>,
    ) -> Result<WriteCounts> {
        while let Some((mut chunk, plan)) = chunks.recv().await {
            let guard = session.lock().await;
            self.apply(&chunk, plan).await?;
            drop(guard);
            chunk.clear(self.memory);
            // The reader may have ended.
            let _ = spent.try_send(chunk);
        }
        Ok(self.counts)
    }

    async fn apply(&mut self, chunk: &Chunk, mut plan: Plan) -> Result<()> {
        if !chunk.truncates.is_empty() {
            row::truncate(self.tx, chunk).await?;
        }
        let mut refused = Vec::new();
        while !plan.steps.is_empty() {
            match self.apply_sets(chunk, &plan).await? {
                Outcome::Applied => break,
                // Row by row, in the order of the events, the same changes either succeed, or show what is refused.
                Outcome::Refused(table) if refused.len() < REFUSALS => {
                    refused.push(table);
                    plan = plan::plan(chunk, self.settings.role == ApplyRole::Origin, &refused);
                }
                Outcome::Refused(_) | Outcome::MissingRows => plan = Plan::by_row(chunk),
            }
        }
        if plan.by_row.is_empty() {
            return Ok(());
        }
        self.defer(chunk, &plan).await?;
        let by_row = |slot: &Slot| plan.by_row.contains(&chunk.shape(slot.shape).table);
        row::apply(self.tx, chunk, self.settings.on_missing_row, by_row, &mut self.counts).await
    }

    /// What one statement has changed on the provider, or several under `set constraints`, comes as events of single
    /// rows: between them a deferrable constraint may be broken. It holds at the end of the batch, as of any transaction.
    async fn defer(&mut self, chunk: &Chunk, plan: &Plan) -> Result<()> {
        if !self.deferred && plan.by_row.iter().any(|table| chunk.table(*table).deferrable) {
            self.tx.batch("defer constraints", "set constraints all deferred").await?;
            self.deferred = true;
        }
        Ok(())
    }

    /// Carries out the steps. When they are not carried out, everything is as it was before them.
    async fn apply_sets(&mut self, chunk: &Chunk, plan: &Plan) -> Result<Outcome> {
        const ACTION: &str = "set a savepoint";
        const UNDO: &str = "rollback to savepoint londiste_chunk; release savepoint londiste_chunk";
        self.tx.batch(ACTION, "savepoint londiste_chunk").await?;
        let mut missing = MissingRows::default();
        for table in chunk.active.iter().filter(|table| !plan.by_row.contains(table)) {
            missing.add(*table, chunk.fold(*table).missing);
        }
        match set::apply(self.tx, chunk, &plan.steps, &mut missing).await {
            Ok(()) if missing.total() > 0 && self.settings.on_missing_row == MissingRow::Stop => {
                self.tx.batch(ACTION, UNDO).await?;
                Ok(Outcome::MissingRows)
            }
            Ok(()) => {
                self.tx.batch(ACTION, "release savepoint londiste_chunk").await?;
                missing.tables().for_each(|(table, count)| self.counts.missing.add(table, count));
                Ok(Outcome::Applied)
            }
            Err(Failed { table, error }) if is_refusal(&error) => {
                tracing::debug!("events go row by row: {}", Report(&error));
                self.tx.batch(ACTION, UNDO).await?;
                Ok(Outcome::Refused(table))
            }
            Err(Failed { error, .. }) => Err(error),
        }
    }
}

/// What became of the steps of a plan.
enum Outcome {
    Applied,
    /// The server refused a change of this table; nothing was applied.
    Refused(TableId),
    /// Rows are missing and the configuration says to stop then; nothing was applied.
    MissingRows,
}

/// After so many refusals in a chunk all of it goes row by row.
const REFUSALS: usize = 2;

/// Whether the server refused the change itself, which another order of changes may avoid.
fn is_refusal(error: &Error) -> bool {
    // 57: cancelled, or the server ends.
    error.code().is_some_and(|code| !error.is_transient() && !code.code().starts_with("57"))
}
