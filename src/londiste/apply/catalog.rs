//! The subscriber's tables as far as the applier has met them, and how their events are read.

use std::collections::HashMap;
use std::sync::Arc;

use super::key::Class;
use super::shape::{Form, FormKind, ShapeId, Shapes, TableId};
use super::table::{self, ColumnId, Table};
use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::{Db, FqName};
use crate::pgq::fragment::{Parsed, Template, Verb};
use crate::pgq::value_buffer::{NameList, ValueBuffer};

/// When shapes take more bytes than this, the chunk ends and they are forgotten: a table of many columns can have any
/// number of them.
const MAX_SHAPES_SIZE: usize = 2 * 1024 * 1024;
/// Templates that are tried for a table and verb before a fragment is taken apart by its names.
const MAX_TEMPLATES: usize = 16;

/// All tables met so far.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    tables: Vec<Known>,
    ids: HashMap<FqName, TableId>,
    pub(super) shapes: Shapes,
    /// The table whose key was found to be another one just now.
    rekeyed: Option<TableId>,
    /// Counts the calls of [`Catalog::start`].
    round: u64,
}

/// A table, and how to read its events.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) table: Arc<Table>,
    /// The columns by which rows are told apart, ascending; `None` when its events cannot be folded.
    pub(super) key: Option<Vec<ColumnId>>,
    pub(super) classes: Vec<Class>,
    readings: [Vec<Reading>; 3],
    full_rows: Vec<FullRow>,
    /// When it was last seen to be as it is in the database.
    checked: u64,
    /// When it was last used.
    used: u64,
}

/// How to read fragments of one form.
#[derive(Debug)]
struct Reading {
    template: Template,
    shape: ShapeId,
    /// Which of the condition's values comes at each place of the shape's key, when the order is another one.
    order: Option<Vec<u32>>,
}

/// How to read events that have the whole row, with these names in this order.
#[derive(Clone, Debug)]
pub(super) struct FullRow {
    pub(super) verb: Verb,
    pub(super) names: NameList,
    /// The key's columns, as the event type writes them.
    pub(super) key: Vec<u8>,
    pub(super) shape: ShapeId,
    /// Where among the values those of the shape's key are.
    pub(super) key_places: Vec<u32>,
    /// How many values the event has.
    pub(super) count: u32,
}

impl Catalog {
    /// A new transaction begins: what is known may not be true any more.
    pub(super) fn start(&mut self) {
        self.round += 1;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Catalog { round: self.round, ..Catalog::default() };
    }

    /// The table, if it is known and was checked in this transaction.
    pub(super) fn find(&mut self, name: &FqName) -> Option<TableId> {
        let id = *self.ids.get(name)?;
        let known = &mut self.tables[id as usize];
        known.used = self.round;
        (known.checked == self.round).then_some(id)
    }

    pub(super) fn get(&self, id: TableId) -> &Known {
        &self.tables[id as usize]
    }

    /// A table, and the shapes of all.
    pub(super) fn split(&mut self, id: TableId) -> (&Known, &mut Shapes) {
        (&self.tables[id as usize], &mut self.shapes)
    }

    /// All tables, by their ids.
    pub(super) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.iter().map(|known| known.table.clone()).collect()
    }

    /// Checks the tables that were used together last, and the one that is `wanted`; reads them where they have changed.
    /// Those that the subscriber does not have are not found afterwards.
    pub(super) async fn check(&mut self, tx: &Db, wanted: Option<&FqName>, role: ApplyRole) -> Result<()> {
        // Batches without events lie in between.
        let last = self.tables.iter().map(|known| known.used).max();
        let recent = |known: &&Known| known.checked < self.round && Some(known.used) == last;
        let mut names: Vec<FqName> = self.tables.iter().filter(recent).map(|k| k.table.name.clone()).collect();
        names.extend(wanted.filter(|name| !names.contains(name)).cloned());
        let versions = if names.iter().all(|name| !self.ids.contains_key(name)) {
            HashMap::new()
        } else {
            table::versions(tx, &names.iter().collect::<Vec<_>>()).await?
        };
        let mut changed = Vec::new();
        for name in &names {
            let known = self.ids.get(name).map(|id| &mut self.tables[*id as usize]);
            match known {
                Some(known) if versions.get(name) == Some(&(known.table.oid, known.table.version)) => {
                    known.checked = self.round;
                }
                _ => changed.push(name),
            }
        }
        if !changed.is_empty() {
            for table in table::load(tx, &changed, role).await? {
                self.put(table);
            }
        }
        Ok(())
    }

    pub(super) fn put(&mut self, table: Table) {
        let name = table.name.clone();
        let key = table.by_row.is_none().then(|| default_key(&table)).flatten();
        let known = Known {
            classes: key.as_deref().map_or_else(Vec::new, |key| classes(&table, key)),
            key,
            table: Arc::new(table),
            readings: Default::default(),
            full_rows: Vec::new(),
            checked: self.round,
            used: self.round,
        };
        if let Some(id) = self.ids.get(&name) {
            self.shapes.forget_table(*id);
            self.tables[*id as usize] = known;
        } else {
            self.ids.insert(name, table_id(self.tables.len()));
            self.tables.push(known);
        }
    }

    /// Whether shapes take so much memory that they are to be forgotten.
    pub(super) fn is_crowded(&self) -> bool {
        self.shapes.size() > MAX_SHAPES_SIZE
    }

    /// Forgets all shapes. A chunk that refers to some must have its own list of them.
    pub(super) fn forget_shapes(&mut self) {
        self.shapes = Shapes::default();
        for known in &mut self.tables {
            known.readings = Default::default();
            known.full_rows.clear();
        }
    }

    /// How to read an event of a whole row, when one like it was there before.
    pub(super) fn full_row(&self, id: TableId, verb: Verb, names: &NameList, key: &[u8]) -> Option<&FullRow> {
        let known = &self.tables[id as usize];
        known.full_rows.iter().find(|row| row.verb == verb && row.names == *names && row.key == key)
    }

    /// Remembers how to read events of whole rows.
    pub(super) fn learn_full_row(&mut self, id: TableId, row: FullRow) {
        let known = &mut self.tables[id as usize];
        known.full_rows.truncate(MAX_TEMPLATES - 1);
        known.full_rows.push(row);
    }

    /// Reads a fragment by the templates known for the table. `None`, with `values` as they were, when none fits.
    pub(super) fn read(&mut self, id: TableId, verb: Verb, data: &[u8], values: &mut ValueBuffer) -> Option<ShapeId> {
        let readings = &mut self.tables[id as usize].readings[verb as usize];
        let at = readings.iter().position(|reading| reading.template.read(data, values))?;
        let reading = &readings[at];
        let shape = reading.shape;
        if let Some(order) = &reading.order {
            reorder(order, values);
        }
        if at > 0 {
            // Frequent ones drift to the front.
            readings.swap(at, at - 1);
        }
        Some(shape)
    }

    /// Finds the shape of a fragment that was taken apart, and remembers it for the next ones. `Err` is the name of a
    /// column that the table does not have.
    pub(super) fn learn(
        &mut self,
        id: TableId,
        verb: Verb,
        parsed: Parsed,
        values: &mut ValueBuffer,
    ) -> Result<ShapeId, String> {
        let table = self.tables[id as usize].table.clone();
        let columns = column_ids(&table, &parsed.columns)?;
        let condition = column_ids(&table, &parsed.key)?;
        let mut order: Vec<u32> = (0..table_id(condition.len())).collect();
        order.sort_by_key(|at| condition[*at as usize]);
        let key: Vec<ColumnId> = order.iter().map(|at| condition[*at as usize]).collect();
        let order = (!order.is_sorted()).then_some(order);
        if let Some(order) = &order {
            reorder(order, values);
        }
        let form = Form { table: id, verb, columns, key, kind: FormKind::Changes };
        let shape = self.intern(form);
        let readings = &mut self.tables[id as usize].readings[verb as usize];
        readings.truncate(MAX_TEMPLATES - 1);
        readings.push(Reading { template: parsed.template, shape, order });
        Ok(shape)
    }

    /// The shape of a form. When its condition is on other columns than the table's key, these become the key.
    pub(super) fn intern(&mut self, form: Form) -> ShapeId {
        let known = &self.tables[form.table as usize];
        if form.verb != Verb::Insert && known.key.as_ref().is_some_and(|key| *key != form.key) {
            self.change_key(form.table, &form.key);
        }
        let known = &self.tables[form.table as usize];
        self.shapes.intern(form, &known.table, known.key.as_deref())
    }

    /// The provider uses another key than was thought.
    fn change_key(&mut self, id: TableId, key: &[ColumnId]) {
        let known = &mut self.tables[id as usize];
        let usable = known.table.keys.iter().any(|k| k == key) && is_comparable(&known.table, key);
        tracing::debug!("events of table {} have another key than its primary key", known.table.name);
        known.key = usable.then(|| key.to_vec());
        known.classes = known.key.as_deref().map_or_else(Vec::new, |key| classes(&known.table, key));
        known.readings = Default::default();
        known.full_rows.clear();
        self.shapes.forget_table(id);
        self.rekeyed = Some(id);
    }

    /// The table whose key has changed since the last call: what was folded by the old one is of no use.
    pub(super) fn take_rekeyed(&mut self) -> Option<TableId> {
        self.rekeyed.take()
    }
}

/// The column of each name; `Err` is a name that there is not.
pub(super) fn column_ids(table: &Table, names: &[String]) -> Result<Vec<ColumnId>, String> {
    names.iter().map(|name| table.by_name.get(name).copied().ok_or_else(|| name.clone())).collect()
}

/// Puts the last values in another order.
fn reorder(order: &[u32], values: &mut ValueBuffer) {
    let first = values.len() - table_id(order.len());
    let cells: Vec<_> = order.iter().map(|at| values.cell(first + at)).collect();
    for (i, cell) in cells.into_iter().enumerate() {
        values.set_cell(first + table_id(i), cell);
    }
}

fn default_key(table: &Table) -> Option<Vec<ColumnId>> {
    let candidates = table.primary_key.iter().chain(&table.keys);
    candidates.into_iter().find(|key| is_comparable(table, key)).cloned()
}

fn is_comparable(table: &Table, key: &[ColumnId]) -> bool {
    key.iter().all(|column| table.column(*column).class != Class::Other)
}

fn classes(table: &Table, key: &[ColumnId]) -> Vec<Class> {
    key.iter().map(|column| table.column(*column).class).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "nobody has 4 billion tables or columns")]
fn table_id(len: usize) -> TableId {
    len as u32
}
