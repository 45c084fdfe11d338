//! How many rows the writing task did not find, and how many events it applied one by one.

use std::collections::{HashMap, HashSet};

use super::shape::{StatementShape, TableId};
use super::target_table::{CascadeEvent, ForeignKeyEnd, TargetTable};
use crate::pgq::fragment::Verb;

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

/// Which tables had rows deleted, or updated in columns that foreign keys lead to, since the batch began.
///
/// A delete that finds no row is expected where an `on delete cascade` of the subscriber leads from such a table: the row went
/// with its parent. An update is expected to find no row where an `on update cascade` leads from such a table to a column of
/// the key that the update looks for: the row has the new key already. Which rows a cascade has reached the server does not
/// tell, so this goes by tables: a delete of a row that was never there is not noticed in such a batch, and changes nothing.
#[derive(Debug, Default)]
pub(super) struct Cascades(HashSet<(u32, CascadeEvent)>);

impl Cascades {
    /// Takes note of a statement that found rows; `verb` is the statement's.
    pub(super) fn add(&mut self, table: &TargetTable, verb: Verb, shape: &StatementShape) {
        let mut led_to = table.foreign_keys.iter().filter(|key| key.end == ForeignKeyEnd::Parent);
        let event = match verb {
            Verb::Delete if led_to.next().is_some() => CascadeEvent::Delete,
            Verb::Update if led_to.any(|key| key.columns.iter().any(|column| shape.written.contains(column))) => {
                CascadeEvent::Update
            }
            Verb::Insert | Verb::Delete | Verb::Update => return,
        };
        self.0.insert((table.oid, event));
    }

    /// Whether such a statement may find no row because of a cascade.
    pub(super) fn explain(&self, table: &TargetTable, verb: Verb, shape: &StatementShape) -> bool {
        let may =
            |on| table.cascades.iter().filter(move |cascade| cascade.on == on && self.0.contains(&(cascade.from, on)));
        match verb {
            Verb::Insert => false,
            Verb::Delete => may(CascadeEvent::Delete).next().is_some(),
            Verb::Update => {
                may(CascadeEvent::Update).any(|c| c.columns.iter().any(|column| shape.key.contains(column)))
            }
        }
    }
}

/// What the writing task counts in a batch.
#[derive(Debug, Default)]
pub(super) struct WriteCounts {
    pub(super) missing: MissingRows,
    pub(super) cascades: Cascades,
    /// Events that were applied one by one.
    pub(super) row_by_row: u64,
}
