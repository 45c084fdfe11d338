//! Applies chunks.

use tokio::sync::{Mutex, mpsc};

use super::chunk::Chunk;
use super::plan::{self, Plan};
use super::{Settings, row, set};
use crate::config::{Apply, ApplyRole, MissingRow};
use crate::error::{Error, Report, Result};
use crate::pg::Db;

/// A chunk of at most so many events is applied row by row: that is one round trip.
const FEW: usize = 16;

/// The writing end.
pub(super) struct Writer {
    settings: Settings,
    /// How much memory a spent chunk may keep.
    memory: usize,
}

impl Writer {
    pub(super) fn new(settings: Settings, memory: usize) -> Writer {
        Writer { settings, memory }
    }

    /// Applies chunks until there are no more, and gives them back empty. Returns how many rows were missing.
    pub(super) async fn run(
        self,
        mut chunks: mpsc::Receiver<Chunk>,
        spent: mpsc::Sender<Chunk>,
        session: &Mutex<&Db>,
    ) -> Result<u64> {
        let mut missing = 0;
        while let Some(mut chunk) = chunks.recv().await {
            let tx = session.lock().await;
            missing += self.apply(&tx, &chunk).await?;
            drop(tx);
            chunk.clear(self.memory);
            // The reader may have ended.
            let _ = spent.try_send(chunk);
        }
        Ok(missing)
    }

    async fn apply(&self, tx: &Db, chunk: &Chunk) -> Result<u64> {
        if !chunk.truncates.is_empty() {
            row::truncate(tx, chunk).await?;
        }
        if self.settings.apply == Apply::Row || chunk.slots.len() <= FEW {
            return row::apply(tx, chunk, self.settings.on_missing_row, |_| true).await;
        }
        let plan = plan::plan(chunk, self.settings.role == ApplyRole::Origin);
        let mut missing = 0;
        if !plan.steps.is_empty() {
            match self.apply_sets(tx, chunk, &plan).await? {
                Some(found_missing) => missing += found_missing,
                // In the order of the events, the same changes either succeed, or show which one is refused.
                None => return row::apply(tx, chunk, self.settings.on_missing_row, |_| true).await,
            }
        }
        if !plan.by_row.is_empty() {
            let by_row = |slot: &super::shape::Slot| plan.by_row.contains(&chunk.shape(slot.shape).table);
            missing += row::apply(tx, chunk, self.settings.on_missing_row, by_row).await?;
        }
        Ok(missing)
    }

    /// Carries out the steps. `None` when one was refused: everything is as it was before them.
    async fn apply_sets(&self, tx: &Db, chunk: &Chunk, plan: &Plan) -> Result<Option<u64>> {
        const ACTION: &str = "set a savepoint";
        tx.batch(ACTION, "savepoint londiste_chunk").await?;
        let mut missing: u64 = plan
            .steps
            .iter()
            .map(|step| step.table)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .map(|table| chunk.fold(table).missing)
            .sum();
        for step in &plan.steps {
            match set::apply(tx, chunk, step).await {
                Ok(count) => missing += count,
                Err(error) if is_refusal(&error) => {
                    tracing::debug!("events go row by row: {}", Report(&error));
                    tx.batch(ACTION, "rollback to savepoint londiste_chunk; release savepoint londiste_chunk").await?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        if missing > 0 && self.settings.on_missing_row == MissingRow::Stop {
            tx.batch(ACTION, "rollback to savepoint londiste_chunk; release savepoint londiste_chunk").await?;
            return Ok(None);
        }
        tx.batch(ACTION, "release savepoint londiste_chunk").await?;
        Ok(Some(missing))
    }
}

/// Whether the server refused the change itself, which another order of changes may avoid.
fn is_refusal(error: &Error) -> bool {
    // 57: cancelled, or the server ends.
    error.code().is_some_and(|code| !error.is_transient() && !code.code().starts_with("57"))
}
