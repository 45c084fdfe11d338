//! `compare` and `repair`: whether tables hold the same rows on both sides, and what would make them equal.
//!
//! * [`sync_point`] finds a moment at which both sides must be equal.
//! * [`compared_table`] knows how the two tables are read in one order, [`walk`] reads both and pairs their rows by key.
//! * [`compare`] runs a query on both sides, [`checksum`] compares every row, [`repair`] writes the statements of [`fix`],
//!   and [`execute`] executes them.
//!
//! A table that cannot be compared is reported and does not keep the others from being compared.

mod arguments;
mod checksum;
mod compare;
mod compared_table;
mod execute;
mod fix;
mod repair;
mod row;
mod subject;
mod sync_point;
mod walk;

pub(crate) use arguments::{Compare, Lag, Repair, Tables};

use super::context::Context;
use crate::error::Result;
use crate::job::Output;

/// Runs `compare`.
pub(super) async fn compare(wanted: &Compare, context: Context<'_>) -> Result<Output> {
    if wanted.checksum {
        checksum::run(&wanted.tables, context).await
    } else {
        compare::run(&wanted.tables, context).await
    }
}

/// Runs `repair`.
pub(super) async fn repair(wanted: &Repair, context: Context<'_>) -> Result<Output> {
    repair::run(wanted, context).await
}
