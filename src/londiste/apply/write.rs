//! Applies chunks.

use tokio::sync::{Mutex, mpsc};

use super::chunk::Chunk;
use super::plan::{self, Plan};
use super::shape::Slot;
use super::{Settings, row, set};
use crate::config::{Apply, ApplyRole, MissingRow};
use crate::error::{Error, Report, Result};
use crate::pg::Db;

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) missing_rows: u64,
    pub(super) row_by_row: u64,
}

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

    /// Applies chunks until there are no more, and gives them back empty.
    pub(super) async fn run(
        self,
        mut chunks: mpsc::Receiver<Chunk>,
        spent: mpsc::Sender<Chunk>,
        session: &Mutex<&Db>,
    ) -> Result<Written> {
        let mut written = Written::default();
        while let Some(mut chunk) = chunks.recv().await {
            let tx = session.lock().await;
            let Written { missing_rows, row_by_row } = self.apply(&tx, &chunk).await?;
            drop(tx);
            written.missing_rows += missing_rows;
            written.row_by_row += row_by_row;
            chunk.clear(self.memory);
            // The reader may have ended.
            let _ = spent.try_send(chunk);
        }
        Ok(written)
    }

    async fn apply(&self, tx: &Db, chunk: &Chunk) -> Result<Written> {
        if !chunk.truncates.is_empty() {
            row::truncate(tx, chunk).await?;
        }
        if self.settings.apply == Apply::Row || chunk.slots.len() <= self.settings.few {
            return row::apply(tx, chunk, self.settings.on_missing_row, |_| true).await;
        }
        let plan = plan::plan(chunk, self.settings.role == ApplyRole::Origin);
        let mut missing_rows = 0;
        if !plan.steps.is_empty() {
            match self.apply_sets(tx, chunk, &plan).await? {
                Some(missing) => missing_rows += missing,
                // In the order of the events, the same changes either succeed, or show which one is refused.
                None => return row::apply(tx, chunk, self.settings.on_missing_row, |_| true).await,
            }
        }
        let mut written = Written::default();
        if !plan.by_row.is_empty() {
            let by_row = |slot: &Slot| plan.by_row.contains(&chunk.shape(slot.shape).table);
            written = row::apply(tx, chunk, self.settings.on_missing_row, by_row).await?;
        }
        written.missing_rows += missing_rows;
        Ok(written)
    }

    /// Carries out the steps. `None` when one was refused: everything is as it was before them.
    async fn apply_sets(&self, tx: &Db, chunk: &Chunk, plan: &Plan) -> Result<Option<u64>> {
        const ACTION: &str = "set a savepoint";
        tx.batch(ACTION, "savepoint londiste_chunk").await?;
        let as_sets = chunk.active.iter().filter(|table| !plan.by_row.contains(table));
        let mut missing: u64 = as_sets.map(|table| chunk.fold(*table).missing).sum();
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
