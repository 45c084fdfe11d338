//! The writing task: applies chunks.

use tokio::sync::{Mutex, mpsc};

use super::chunk::Chunk;
use super::counts::{MissingRows, WriteCounts};
use super::open_batch::OpenBatch;
use super::plan::{self, Plan, Refusals};
use super::set::FailedStep;
use super::settings::Settings;
use super::shape::{ChunkEvent, TableId};
use super::truncate::truncate;
use super::{row, set};
use crate::config::MissingRow;
use crate::error::{Error, Reaction, Report, Result};
use crate::pg::Db;

/// The writing task.
pub(super) struct ChunkWriter<'a> {
    session: &'a Mutex<&'a Db>,
    settings: Settings,
    open: &'a OpenBatch,
    counts: WriteCounts,
    constraints: Constraints,
}

/// When deferrable constraints are checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Constraints {
    /// As they were declared.
    AsDeclared,
    /// When the transaction commits.
    Deferred,
}

impl<'a> ChunkWriter<'a> {
    pub(super) fn new(session: &'a Mutex<&'a Db>, settings: Settings, open: &'a OpenBatch) -> ChunkWriter<'a> {
        ChunkWriter { session, settings, open, counts: WriteCounts::default(), constraints: Constraints::AsDeclared }
    }

    /// Applies chunks until no more come, tells how far that is, and gives each back empty.
    pub(super) async fn run(
        mut self,
        mut chunks: mpsc::Receiver<(Chunk, Plan)>,
        emptied: mpsc::Sender<Chunk>,
    ) -> Result<WriteCounts> {
        while let Some((mut chunk, plan)) = chunks.recv().await {
            let tx = self.session.lock().await;
            tx.with_users_path(self.apply(&tx, &chunk, plan)).await?;
            drop(tx);
            self.open.reach(chunk.read);
            chunk.clear(self.settings.chunk_size());
            // The reading task may have ended.
            let _ = emptied.try_send(chunk);
        }
        Ok(self.counts)
    }

    async fn apply(&mut self, tx: &Db, chunk: &Chunk, mut plan: Plan) -> Result<()> {
        if !chunk.truncates.is_empty() {
            truncate(tx, chunk).await?;
        }
        let mut refusals = Refusals::default();
        while !plan.steps.is_empty() {
            match self.apply_steps(tx, chunk, &plan).await? {
                Outcome::Applied => break,
                // In other steps, or one by one in the order of the events, the same changes either succeed or show which one
                // is refused.
                Outcome::Refused(table, error) if refusals.add(chunk, table, &error) => {
                    plan = plan::plan(chunk, self.settings.role, &refusals);
                }
                Outcome::Refused(..) | Outcome::MissingRows => plan = Plan::by_row(chunk),
            }
        }
        if plan.by_row.is_empty() {
            return Ok(());
        }
        self.defer(tx, chunk, &plan).await?;
        let by_row = |event: &ChunkEvent| plan.by_row.contains(&chunk.shape(event.shape).table);
        row::apply(tx, chunk, self.settings.on_missing_row, by_row, &mut self.counts).await
    }

    /// Lets deferrable constraints of tables whose events go one by one be checked when the transaction commits. On the
    /// provider, one statement changes many rows, and a transaction may have deferred constraints; between the events of
    /// single rows such a constraint may not hold.
    async fn defer(&mut self, tx: &Db, chunk: &Chunk, plan: &Plan) -> Result<()> {
        let is_deferrable = plan.by_row.iter().any(|table| chunk.table(*table).deferrable);
        if is_deferrable && self.constraints == Constraints::AsDeclared {
            tx.batch("defer constraints", "set constraints all deferred").await?;
            self.constraints = Constraints::Deferred;
        }
        Ok(())
    }

    /// Carries out the steps under a savepoint. Unless the outcome is [`Outcome::Applied`], nothing was changed.
    async fn apply_steps(&mut self, tx: &Db, chunk: &Chunk, plan: &Plan) -> Result<Outcome> {
        const ACTION: &str = "set a savepoint";
        const UNDO: &str = "rollback to savepoint londiste_chunk; release savepoint londiste_chunk";
        tx.batch(ACTION, "savepoint londiste_chunk").await?;
        let mut missing = MissingRows::default();
        for table in chunk.active.iter().filter(|table| !plan.by_row.contains(table)) {
            missing.add(*table, chunk.net_changes(*table).missing);
        }
        match set::apply(tx, chunk, &plan.steps, &mut missing, &mut self.counts.cascades).await {
            Ok(()) if missing.total() > 0 && self.settings.on_missing_row == MissingRow::Stop => {
                tx.batch(ACTION, UNDO).await?;
                Ok(Outcome::MissingRows)
            }
            Ok(()) => {
                tx.batch(ACTION, "release savepoint londiste_chunk").await?;
                missing.tables().for_each(|(table, count)| self.counts.missing.add(table, count));
                Ok(Outcome::Applied)
            }
            Err(FailedStep { table, error }) if is_refusal(&error) => {
                tracing::debug!("the steps are planned anew: {}", Report(&error));
                tx.batch(ACTION, UNDO).await?;
                Ok(Outcome::Refused(table, error))
            }
            Err(FailedStep { error, .. }) => Err(error),
        }
    }
}

/// What became of the steps of a plan.
enum Outcome {
    Applied,
    /// The server refused a change of this table.
    Refused(TableId, Error),
    /// Rows to update or delete were not found, and the settings say to stop then.
    MissingRows,
}

/// Whether the server refused a change, which it may not refuse in another order of changes, or in which one event is at fault.
fn is_refusal(error: &Error) -> bool {
    error.code().is_some()
        && match error.reaction() {
            Reaction::Park | Reaction::StopOrSkip | Reaction::Stop => true,
            Reaction::TryAgain | Reaction::SmallerBatch => false,
        }
}
