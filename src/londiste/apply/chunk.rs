//! A piece of a batch that is applied at once.

use std::sync::Arc;

use super::fold::{Fold, Rows};
use super::shape::{Shape, ShapeId, Shapes, Slot, TableId};
use super::table::Table;
use crate::pgq::value_buffer::ValueBuffer;

/// Tables to empty, then events in their order, and their net change.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Events that empty tables; they come before all others.
    pub(super) truncates: Vec<(i64, TableId)>,
    pub(super) slots: Vec<Slot>,
    pub(super) values: ValueBuffer,
    /// By table.
    folds: Vec<Fold>,
    /// Tables that have events here.
    pub(super) active: Vec<TableId>,
    /// All tables, by their ids.
    pub(super) tables: Vec<Arc<Table>>,
    /// All shapes, by their ids.
    pub(super) shapes: Vec<Arc<Shape>>,
    fold_size: usize,
}

impl Chunk {
    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.truncates.is_empty()
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.values.size() + self.slots.len() * size_of::<Slot>() + self.fold_size
    }

    /// The net change of a table that is active here.
    pub(super) fn fold(&self, table: TableId) -> &Fold {
        &self.folds[table as usize]
    }

    pub(super) fn shape(&self, id: ShapeId) -> &Shape {
        &self.shapes[id as usize]
    }

    pub(super) fn table(&self, id: TableId) -> &Table {
        &self.tables[id as usize]
    }

    /// Adds an event whose values were added to `values`. `rows` is `None` when the table's events cannot be folded.
    pub(super) fn add(&mut self, slot: Slot, table: TableId, shapes: &mut Shapes, rows: Option<&Rows<'_>>) {
        self.slots.push(slot);
        let index = table as usize;
        if self.folds.len() <= index {
            self.folds.resize_with(index + 1, Fold::default);
        }
        let fold = &mut self.folds[index];
        if !std::mem::replace(&mut fold.active, true) {
            self.active.push(table);
        }
        let before = fold.size();
        match rows {
            Some(rows) => fold.add(slot, &mut self.values, shapes, rows),
            None => fold.by_row = true,
        }
        self.fold_size += fold.size() - before;
    }

    /// The table's events have to be applied by themselves.
    pub(super) fn give_up_fold(&mut self, table: TableId) {
        if let Some(fold) = self.folds.get_mut(table as usize) {
            fold.by_row = true;
        }
    }

    /// Makes it ready to be filled again. Memory beyond `keep` bytes is given back.
    pub(super) fn clear(&mut self, keep: usize) {
        self.truncates.clear();
        self.slots.clear();
        self.slots.shrink_to(keep / size_of::<Slot>());
        self.values.clear(keep);
        self.folds.iter_mut().for_each(|fold| fold.clear(keep));
        self.active.clear();
        self.tables.clear();
        self.shapes.clear();
        self.fold_size = 0;
    }
}
