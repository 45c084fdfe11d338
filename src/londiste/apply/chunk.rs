//! A piece of a batch that is applied at once.

use std::sync::Arc;

use super::net_changes::{NetChanges, RowIdentity};
use super::shape::{ChunkEvent, ShapeId, ShapeList, StatementShape, TableId};
use super::target_table::TargetTable;
use crate::pgq::value_buffer::ValueBuffer;

/// Tables to empty, then events in their order, and the net changes that come of the events.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Events that empty tables, with the tables. They come before all other events of the chunk.
    pub(super) truncates: Vec<(i64, TableId)>,
    pub(super) events: Vec<ChunkEvent>,
    pub(super) values: ValueBuffer,
    /// By table.
    net_changes: Vec<NetChanges>,
    /// Tables that have events in the chunk.
    pub(super) active: Vec<TableId>,
    /// All tables, by their ids.
    pub(super) tables: Vec<Arc<TargetTable>>,
    /// All shapes, by their ids.
    pub(super) shapes: Vec<Arc<StatementShape>>,
    /// How many bytes `net_changes` take.
    net_changes_size: usize,
    /// The events of the batch that were read up to the end of the chunk.
    pub(super) read: u64,
}

impl Chunk {
    /// Whether there is nothing to apply.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.truncates.is_empty()
    }

    /// About how many bytes of memory the chunk takes, without tables and shapes.
    pub(super) fn size(&self) -> usize {
        self.values.size() + self.events.len() * size_of::<ChunkEvent>() + self.net_changes_size
    }

    /// The net changes of a table that has events in the chunk.
    pub(super) fn net_changes(&self, table: TableId) -> &NetChanges {
        &self.net_changes[table as usize]
    }

    pub(super) fn shape(&self, id: ShapeId) -> &StatementShape {
        &self.shapes[id as usize]
    }

    pub(super) fn table(&self, id: TableId) -> &TargetTable {
        &self.tables[id as usize]
    }

    /// Adds an event whose values were added to `values`. `rows` is `None` when there are no net changes of the table.
    pub(super) fn add(
        &mut self,
        event: ChunkEvent,
        table: TableId,
        shapes: &mut ShapeList,
        rows: Option<&RowIdentity<'_>>,
    ) {
        self.events.push(event);
        let index = table as usize;
        if self.net_changes.len() <= index {
            self.net_changes.resize_with(index + 1, NetChanges::default);
        }
        let changes = &mut self.net_changes[index];
        if !std::mem::replace(&mut changes.active, true) {
            self.active.push(table);
        }
        let before = changes.size();
        match rows {
            Some(rows) => changes.add(event, &mut self.values, shapes, rows),
            None => changes.by_row = true,
        }
        self.net_changes_size += changes.size() - before;
    }

    /// Lets the table's events be applied one by one.
    pub(super) fn give_up_net_changes(&mut self, table: TableId) {
        if let Some(changes) = self.net_changes.get_mut(table as usize) {
            changes.by_row = true;
        }
    }

    /// Empties the chunk, to be filled again. Memory beyond `keep` bytes of each part is given back.
    pub(super) fn clear(&mut self, keep: usize) {
        self.truncates.clear();
        self.events.clear();
        self.events.shrink_to(keep / size_of::<ChunkEvent>());
        self.values.clear(keep);
        self.net_changes.iter_mut().for_each(|changes| changes.clear(keep));
        self.active.clear();
        self.tables.clear();
        self.shapes.clear();
        self.net_changes_size = 0;
    }
}
