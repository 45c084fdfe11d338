//! How many rows the writing task did not find, and how many events it applied one by one.

use std::collections::HashMap;

use super::shape::TableId;

/// By table, how many updates and deletes found no row.
#[derive(Debug, Default)]
pub(super) struct MissingRows(HashMap<TableId, u64>);

impl MissingRows {
    pub(super) fn add(&mut self, table: TableId, count: u64) {
        if count > 0 {
            *self.0.entry(table).or_default() += count;
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (TableId, u64)> {
        self.0.iter().map(|(table, count)| (*table, *count))
    }
}

/// What the writing task counts in a batch.
#[derive(Debug, Default)]
pub(super) struct WriteCounts {
    pub(super) missing: MissingRows,
    /// Events that were applied one by one.
    pub(super) row_by_row: u64,
}
