//! What became of a batch.

use crate::pg::FqName;
use crate::pgq::EventId;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Applied {
    /// Events read.
    pub count: u64,
    /// Those of them that were not for this subscriber.
    pub ignored: u64,
    /// Updates and deletes that found no row.
    pub missing_rows: u64,
    /// Events that were applied one by one.
    pub row_by_row: u64,
    /// The size of the biggest event, as it came.
    pub biggest: usize,
    /// The lists of the provider's tables that `T` events brought.
    pub table_sets: Vec<Vec<FqName>>,
    /// Events of an unknown type, with the type.
    pub unknown: Vec<(EventId, String)>,
}
