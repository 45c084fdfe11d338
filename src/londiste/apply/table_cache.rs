//! The target tables that the applier has met, and how the data of their events are taken apart.
//!
//! A table is read from the subscriber's catalog when its first event comes. In each later transaction it is compared
//! with the catalog before it is used; it is read again when it has changed.

use std::collections::HashMap;
use std::sync::Arc;

use super::key::KeyClass;
use super::shape::{ShapeId, ShapeKey, ShapeList, TableId, ValueSet};
use super::target_table::{self, ColumnId, TargetTable};
use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::{Db, FqName};
use crate::pgq::fragment::{Parsed, Template, Verb};
use crate::pgq::value_buffer::{NameList, ValueBuffer};

/// How many bytes all shapes may take. When they take more, the chunk ends and they are forgotten: a table with many
/// columns can have any number of shapes.
const MAX_SHAPES_SIZE: usize = 2 * 1024 * 1024;
/// How many layouts are kept for a table and verb. A fragment that fits none of them is parsed.
const MAX_LAYOUTS: usize = 16;

/// All tables that were met.
#[derive(Debug, Default)]
pub(super) struct TableCache {
    tables: Vec<CachedTable>,
    ids: HashMap<FqName, TableId>,
    pub(super) shapes: ShapeList,
    /// The table whose key was changed by [`TableCache::intern`] since the last [`TableCache::take_rekeyed`].
    rekeyed: Option<TableId>,
    /// Columns that events have and that are left out, because the provider generates them and the subscriber does not have
    /// them.
    left_out: HashMap<FqName, Vec<String>>,
    /// The number of the transaction: counts the calls of [`TableCache::start`].
    round: u64,
}

/// A table, and the layouts of its events.
#[derive(Debug)]
pub(super) struct CachedTable {
    pub(super) table: Arc<TargetTable>,
    /// The columns by which rows are told apart, ascending; `None` when there are no net changes of the table.
    pub(super) key: Option<Vec<ColumnId>>,
    /// How the values of `key` are compared.
    pub(super) classes: Vec<KeyClass>,
    /// By verb.
    fragment_layouts: [Vec<FragmentLayout>; 3],
    whole_row_layouts: Vec<WholeRowLayout>,
    /// The last transaction in which the table was the one of the catalog.
    checked: u64,
    /// The last transaction in which the table had an event.
    used: u64,
}

/// How fragments of one form are taken apart.
#[derive(Debug)]
struct FragmentLayout {
    template: Template,
    shape: ShapeId,
    /// Which of the condition's values comes at each place of the shape's key, when the fragment has another order.
    order: Option<Vec<u32>>,
}

/// How events that have the whole row are taken apart, when they have these names in this order.
#[derive(Clone, Debug)]
pub(super) struct WholeRowLayout {
    pub(super) verb: Verb,
    pub(super) names: NameList,
    /// The names of the key's columns, as the event type has them.
    pub(super) key: Vec<u8>,
    pub(super) shape: ShapeId,
    /// Where among the event's values those of the shape's key are.
    pub(super) key_places: Vec<u32>,
    /// How many values the event has.
    pub(super) count: u32,
}

/// Why the changes of an event cannot be written to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The table does not have this column.
    NoColumn(String),
    /// The event changes this column, which is `generated always as identity`.
    IdentityAlways(String),
}

impl TableCache {
    /// A new transaction begins: tables have to be compared with the catalog again.
    pub(super) fn start(&mut self) {
        self.round += 1;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        let left_out = std::mem::take(&mut self.left_out);
        *self = TableCache { round: self.round, left_out, ..TableCache::default() };
    }

    /// Sets the columns of each table that are left out where the subscriber does not have them. Forgets everything else.
    pub(super) fn leave_out(&mut self, columns: HashMap<FqName, Vec<String>>) {
        self.left_out = columns;
        self.clear();
    }

    /// What [`TableCache::leave_out`] has set.
    pub(super) fn left_out(&self) -> &HashMap<FqName, Vec<String>> {
        &self.left_out
    }

    /// The table, if it was compared with the catalog in this transaction. Notes that it is used.
    pub(super) fn find(&mut self, name: &FqName) -> Option<TableId> {
        let id = *self.ids.get(name)?;
        let cached = &mut self.tables[id as usize];
        cached.used = self.round;
        (cached.checked == self.round).then_some(id)
    }

    pub(super) fn get(&self, id: TableId) -> &CachedTable {
        &self.tables[id as usize]
    }

    /// A table, and the shapes of all tables.
    pub(super) fn split(&mut self, id: TableId) -> (&CachedTable, &mut ShapeList) {
        (&self.tables[id as usize], &mut self.shapes)
    }

    /// All tables, by their ids.
    pub(super) fn all(&self) -> Vec<Arc<TargetTable>> {
        self.tables.iter().map(|cached| cached.table.clone()).collect()
    }

    /// Compares the tables of the last transaction that had events, and the table `wanted`, with the catalog, and reads
    /// those that have changed. [`TableCache::find`] finds them afterwards, unless the subscriber does not have them.
    pub(super) async fn check(&mut self, tx: &Db, wanted: Option<&FqName>, role: ApplyRole) -> Result<()> {
        let last = self.tables.iter().map(|cached| cached.used).max();
        let recent = |cached: &&CachedTable| cached.checked < self.round && Some(cached.used) == last;
        let mut names: Vec<FqName> = self.tables.iter().filter(recent).map(|c| c.table.name.clone()).collect();
        names.extend(wanted.filter(|name| !names.contains(name)).cloned());
        let versions = if names.iter().all(|name| !self.ids.contains_key(name)) {
            HashMap::new()
        } else {
            target_table::versions(tx, &names.iter().collect::<Vec<_>>()).await?
        };
        let mut changed = Vec::new();
        for name in &names {
            let cached = self.ids.get(name).map(|id| &mut self.tables[*id as usize]);
            match cached {
                Some(cached) if versions.get(name) == Some(&(cached.table.oid, cached.table.version)) => {
                    cached.checked = self.round;
                }
                _ => changed.push(name),
            }
        }
        if !changed.is_empty() {
            for table in target_table::load(tx, &changed, role).await? {
                self.put(table);
            }
        }
        Ok(())
    }

    /// Takes the tables as compared with the catalog, for a transaction that is given up unless [`TableCache::is_unchanged`].
    pub(super) fn trust(&mut self) {
        self.tables.iter_mut().for_each(|cached| cached.checked = self.round);
    }

    /// Whether the tables that had events in this transaction are those of the catalog, as [`TableCache::check`] compares them.
    pub(super) async fn is_unchanged(&self, tx: &Db) -> Result<bool> {
        let used: Vec<&TargetTable> =
            self.tables.iter().filter(|cached| cached.used == self.round).map(|cached| &*cached.table).collect();
        if used.is_empty() {
            return Ok(true);
        }
        let now = target_table::versions(tx, &used.iter().map(|table| &table.name).collect::<Vec<_>>()).await?;
        Ok(used.iter().all(|table| now.get(&table.name) == Some(&(table.oid, table.version))))
    }

    /// Whether the tables that had events in this transaction still have the structure by which the events were applied.
    pub(super) async fn is_current(&self, tx: &Db) -> Result<bool> {
        let used: Vec<&TargetTable> = self
            .tables
            .iter()
            .filter(|cached| cached.used == self.round && cached.checked == self.round)
            .map(|cached| &*cached.table)
            .collect();
        if used.is_empty() {
            return Ok(true);
        }
        let now = target_table::versions(tx, &used.iter().map(|table| &table.name).collect::<Vec<_>>()).await?;
        Ok(used.iter().all(|table| {
            now.get(&table.name)
                .is_some_and(|(oid, version)| *oid == table.oid && version.structure == table.version.structure)
        }))
    }

    /// Adds a table as the catalog has it now, or puts it in the place of the one with its name.
    pub(super) fn put(&mut self, mut table: TargetTable) {
        let name = table.name.clone();
        for column in self.left_out.get(&name).into_iter().flatten() {
            table.leave_out(column);
        }
        let key = table.by_row.is_none().then(|| default_key(&table)).flatten();
        let cached = CachedTable {
            classes: key.as_deref().map_or_else(Vec::new, |key| classes(&table, key)),
            key,
            table: Arc::new(table),
            fragment_layouts: Default::default(),
            whole_row_layouts: Vec::new(),
            checked: self.round,
            used: self.round,
        };
        if let Some(id) = self.ids.get(&name) {
            self.shapes.forget_table(*id);
            self.tables[*id as usize] = cached;
        } else {
            self.ids.insert(name, table_id(self.tables.len()));
            self.tables.push(cached);
        }
    }

    /// Whether shapes take so much memory that they are to be forgotten.
    pub(super) fn is_crowded(&self) -> bool {
        self.shapes.size() > MAX_SHAPES_SIZE
    }

    /// Forgets all shapes and layouts. A chunk that refers to shapes must have its own list of them by then.
    pub(super) fn forget_shapes(&mut self) {
        self.shapes = ShapeList::default();
        for cached in &mut self.tables {
            cached.forget_layouts();
        }
    }

    /// The layout of an event that has the whole row, if it is known.
    pub(super) fn whole_row_layout(
        &self,
        id: TableId,
        verb: Verb,
        names: &NameList,
        key: &[u8],
    ) -> Option<&WholeRowLayout> {
        let layouts = &self.tables[id as usize].whole_row_layouts;
        layouts.iter().find(|layout| layout.verb == verb && layout.names == *names && layout.key == key)
    }

    /// Keeps a layout for the next events.
    pub(super) fn add_whole_row_layout(&mut self, id: TableId, layout: WholeRowLayout) {
        let layouts = &mut self.tables[id as usize].whole_row_layouts;
        layouts.truncate(MAX_LAYOUTS - 1);
        layouts.push(layout);
    }

    /// Takes a fragment apart by a layout that is known: adds its values, in the order of the shape. `None`, with `values`
    /// as they were, when no layout fits.
    pub(super) fn read(&mut self, id: TableId, verb: Verb, data: &[u8], values: &mut ValueBuffer) -> Option<ShapeId> {
        let layouts = &mut self.tables[id as usize].fragment_layouts[verb as usize];
        let at = layouts.iter().position(|layout| layout.template.read(data, values))?;
        let layout = &layouts[at];
        let shape = layout.shape;
        if let Some(order) = &layout.order {
            reorder(order, values);
        }
        if at > 0 {
            // So the layouts of the most frequent fragments come first.
            layouts.swap(at, at - 1);
        }
        Some(shape)
    }

    /// The shape of a fragment that was parsed. Brings its values into the order of the shape, and keeps the layout for
    /// the next fragments.
    pub(super) fn learn(
        &mut self,
        id: TableId,
        verb: Verb,
        parsed: Parsed,
        values: &mut ValueBuffer,
    ) -> Result<ShapeId, Unfit> {
        let table = self.tables[id as usize].table.clone();
        let columns = column_ids(&table, &parsed.columns).map_err(Unfit::NoColumn)?;
        let condition = column_ids(&table, &parsed.key).map_err(Unfit::NoColumn)?;
        let fixed = columns.iter().map(|column| table.column(*column)).find(|column| column.identity_always);
        if let (Verb::Update, Some(column)) = (verb, fixed) {
            return Err(Unfit::IdentityAlways(column.name.clone()));
        }
        let mut order: Vec<u32> = (0..table_id(condition.len())).collect();
        order.sort_by_key(|at| condition[*at as usize]);
        let key: Vec<ColumnId> = order.iter().map(|at| condition[*at as usize]).collect();
        let order = (!order.is_sorted()).then_some(order);
        if let Some(order) = &order {
            reorder(order, values);
        }
        let shape = self.intern(ShapeKey { table: id, verb, columns, key, value_set: ValueSet::ChangedColumns });
        let layouts = &mut self.tables[id as usize].fragment_layouts[verb as usize];
        layouts.truncate(MAX_LAYOUTS - 1);
        layouts.push(FragmentLayout { template: parsed.template, shape, order });
        Ok(shape)
    }

    /// The id of a shape. When its condition is on other columns than the table's key, these become the table's key:
    /// the provider uses another one.
    pub(super) fn intern(&mut self, key: ShapeKey) -> ShapeId {
        let cached = &self.tables[key.table as usize];
        if key.verb != Verb::Insert && cached.key.as_ref().is_some_and(|row_key| *row_key != key.key) {
            self.change_key(key.table, &key.key);
        }
        let cached = &self.tables[key.table as usize];
        self.shapes.intern(key, &cached.table, cached.key.as_deref())
    }

    fn change_key(&mut self, id: TableId, key: &[ColumnId]) {
        let cached = &mut self.tables[id as usize];
        let usable = cached.table.keys.iter().any(|k| k == key) && is_comparable(&cached.table, key);
        tracing::debug!("events of table {} have another key than its primary key", cached.table.name);
        cached.key = usable.then(|| key.to_vec());
        cached.classes = cached.key.as_deref().map_or_else(Vec::new, |key| classes(&cached.table, key));
        cached.forget_layouts();
        self.shapes.forget_table(id);
        self.rekeyed = Some(id);
    }

    /// The table whose key has changed since the last call. Net changes by the old key are of no use.
    pub(super) fn take_rekeyed(&mut self) -> Option<TableId> {
        self.rekeyed.take()
    }
}

impl CachedTable {
    fn forget_layouts(&mut self) {
        self.fragment_layouts = Default::default();
        self.whole_row_layouts.clear();
    }
}

/// The column of each name; `Err` is a name that the table does not have.
pub(super) fn column_ids(table: &TargetTable, names: &[String]) -> Result<Vec<ColumnId>, String> {
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

/// The first key whose values can be compared as bytes: the primary key if possible.
fn default_key(table: &TargetTable) -> Option<Vec<ColumnId>> {
    let candidates = table.primary_key.iter().chain(&table.keys);
    candidates.into_iter().find(|key| is_comparable(table, key)).cloned()
}

fn is_comparable(table: &TargetTable, key: &[ColumnId]) -> bool {
    key.iter().all(|column| table.column(*column).class != KeyClass::Other)
}

fn classes(table: &TargetTable, key: &[ColumnId]) -> Vec<KeyClass> {
    key.iter().map(|column| table.column(*column).class).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "nobody has 4 billion tables or columns")]
fn table_id(len: usize) -> TableId {
    len as u32
}
