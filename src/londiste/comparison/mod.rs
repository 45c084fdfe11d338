//! `compare` and `repair`: find rows that differ between the two sides of a table, and make them equal.
//!
//! * [`sync_point`] waits for a moment at which both sides must have the same rows, and takes a snapshot of each.
//! * [`rows`] has the queries that read given rows of both tables, and the statements that make them equal.
//! * [`range_walk`] hashes ranges of keys ([`key_range`], [`fingerprint`]) on both sides, [`whole_rows`] the rows of a table that has no
//!   key. Without such a moment they look again at what differs ([`at_a_tick`]: rows that are written all the time): [`online`] does that for the commands, [`compare_online`] prints
//!   what is found ([`report`]), [`repair_online`] mends it. [`snapshot_walk`] goes through the snapshots of a sync point.
//! * [`compare`] runs a query on both sides, [`checksum`] compares every row, [`repair`] writes the statements that make the
//!   sides equal, and [`execute`] executes them. [`passes`] is the order of the tables for both ways to repair, [`refusals`] what
//!   happens to rows that the server refuses.
//!
//! [`verification`] does what [`online`] does all the time, beside replay.
//!
//! A table that cannot be compared is logged, and the next table is compared.

mod arguments;
mod at_a_tick;
mod checksum;
mod compare;
mod compare_online;
mod execute;
mod fingerprint;
mod key_range;
mod online;
mod passes;
mod progress;
mod range_walk;
mod refusals;
mod repair;
mod repair_online;
mod repaired;
mod report;
pub(super) mod rows;
mod sequences;
mod snapshot_walk;
mod subject;
mod sync_point;
mod table_size;
mod verification;
mod whole_rows;

pub(crate) use arguments::{Compare, Lag, Repair, Tables};
pub(super) use verification::{ReadAmount, Verification};

use super::context::Context;
use crate::error::Result;
use crate::job::Output;

/// Runs `compare`, with the locks and snapshots of [`sync_point`].
pub(super) async fn compare(wanted: &Compare, context: Context<'_>) -> Result<Output> {
    if wanted.online {
        compare_online::run(wanted, context).await
    } else if wanted.checksum {
        checksum::run(wanted, context).await
    } else {
        compare::run(&wanted.tables, context).await
    }
}

/// Runs `repair`, with the locks and snapshots of [`sync_point`] and [`execute`].
pub(super) async fn repair(wanted: &Repair, context: Context<'_>) -> Result<Output> {
    if wanted.online { repair_online::run(wanted, context).await } else { repair::run(wanted, context).await }
}
