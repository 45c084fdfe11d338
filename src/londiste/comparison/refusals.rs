//! Rows that the server refuses to change: the others of their batch are changed, and what stays is told with the reason.

use std::ops::ControlFlow;

use tokio_postgres::error::SqlState;

use crate::error::{Error, Report, Result};
use crate::pg::FqName;
use crate::text::Lines;

use super::rows::RowText;

/// How many batches of a table may be refused before no further one is cut: where nearly all rows are refused, as by a rule that the
/// subscriber alone has, trying each of a million rows by itself would take hours.
const MOST: usize = 2000;

/// What the server refused in one table.
pub(super) struct Refusals {
    /// Whether a lock that was not had in time is a refusal too; else it ends the work on the table.
    locks: bool,
    /// The last reason; one of a foreign key if there was one.
    error: Option<Error>,
    batches: usize,
}

impl Refusals {
    pub(super) fn new(locks: bool) -> Refusals {
        Refusals { locks, error: None, batches: 0 }
    }

    /// Has the rows changed by `change`, `batch` at a time. A batch that the server refuses is cut in two until the row that it is about
    /// stands alone, and rows that were refused are tried again as long as others got through: these may be the ones that they refer to.
    /// Returns the rows that stay refused. Breaks off when `change` does; fails with errors that are about no row.
    pub(super) async fn apart_from<B>(
        &mut self,
        rows: Vec<RowText>,
        batch: usize,
        mut change: impl AsyncFnMut(&[RowText]) -> Result<ControlFlow<B>>,
    ) -> Result<ControlFlow<B, Vec<RowText>>> {
        let mut open = rows;
        loop {
            let mut refused = Vec::new();
            let mut batches: Vec<&[RowText]> = open.chunks(batch).rev().collect();
            while let Some(some) = batches.pop() {
                match change(some).await {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(end)) => return Ok(ControlFlow::Break(end)),
                    Err(error) if self.is_of_a_row(&error) => {
                        // One of a foreign key counts more: rows of other tables may get it out of the way.
                        if !self.error.as_ref().is_some_and(is_of_other_tables) {
                            self.error = Some(error);
                        }
                        self.batches += 1;
                        if some.len() > 1 && self.batches < MOST {
                            let (first, second) = some.split_at(some.len() / 2);
                            batches.extend([second, first]);
                        } else {
                            refused.extend_from_slice(some);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            if refused.is_empty() || refused.len() == open.len() || self.batches >= MOST {
                return Ok(ControlFlow::Continue(refused));
            }
            open = refused;
        }
    }

    fn is_of_a_row(&self, error: &Error) -> bool {
        let classes = ["22", "23", "40", "P0"];
        error.code().is_some_and(|code| {
            classes.iter().any(|class| code.code().starts_with(class))
                || (self.locks && *code == SqlState::LOCK_NOT_AVAILABLE)
        })
    }

    /// Why the rows that stay refused are.
    pub(super) fn reason(self) -> Option<Error> {
        self.error
    }
}

/// Whether rows of other tables may have stood in the way.
pub(super) fn is_of_other_tables(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::FOREIGN_KEY_VIOLATION | &SqlState::RESTRICT_VIOLATION))
}

/// Logs rows that stay refused.
pub(super) fn tell(table: &FqName, rows: u64, error: &Error) {
    let reason = Report(error).to_string();
    let advice = "Change on the subscriber what refuses them, then run repair again.";
    let hint = if reason.contains("\nHINT: ") { String::new() } else { format!("\nHINT: {advice}") };
    tracing::error!("{}", Lines(format!("{table}: {rows} rows could not be made equal: {reason}{hint}")));
}
