//! Which columns the values of an event belong to.
//!
//! Many events of a table have values for the same columns. What follows from the columns is worked out once and is a
//! shape; an event of a chunk is then only the id of a shape and the index of its first value.

use std::collections::HashMap;
use std::sync::Arc;

use super::target_table::{ColumnId, TargetTable};
use crate::pgq::fragment::Verb;

/// The index of a table in the [`TableCache`](super::table_cache::TableCache).
pub(super) type TableId = u32;
/// The index of a shape in its [`ShapeList`].
pub(super) type ShapeId = u32;

/// An event that is in a chunk: a change of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkEvent {
    /// `ev_id`
    pub(super) id: i64,
    pub(super) shape: ShapeId,
    /// The index of the event's first value in the chunk's values.
    pub(super) values: u32,
}

/// What the values of an event mean.
///
/// First come the values of `columns`. In an update and a delete, those of the condition follow, in the order of `key`.
/// A value's place is its index among all these.
#[derive(Debug)]
pub(super) struct StatementShape {
    pub(super) table: TableId,
    pub(super) verb: Verb,
    /// The columns of the first values, in their order.
    pub(super) columns: Vec<ColumnId>,
    /// The columns that a statement sets, ascending: `columns` without those that the subscriber computes itself.
    pub(super) written: Vec<ColumnId>,
    /// The columns of the condition, ascending.
    pub(super) key: Vec<ColumnId>,
    /// The places of the key that the row has after the event, by column of the table's key. Empty when there is no net
    /// change: an insert without a column of the key, or a condition on other columns than the table's key.
    pub(super) key_places: Vec<u32>,
    /// The event is an update that sets a column of its condition.
    pub(super) moves_key: bool,
    /// The same number for all shapes of one table and verb that write the same columns.
    pub(super) group: u32,
    /// The place of each column's value, by column; [`NOWHERE`] for a column that is not in `columns`.
    places: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl StatementShape {
    /// The place of a column's new value.
    pub(super) fn place(&self, column: ColumnId) -> Option<u32> {
        self.places.get(usize::from(column)).copied().filter(|place| *place != NOWHERE)
    }

    /// How many values come before those of the condition.
    pub(super) fn width(&self) -> u32 {
        count(self.columns.len())
    }

    /// About how many bytes of memory the shape takes, with what finds it in a list.
    fn size(&self) -> usize {
        let columns = 2 * self.columns.len() + 2 * self.written.len() + 2 * self.key.len();
        size_of::<StatementShape>()
            + 2 * size_of::<ShapeKey>()
            + size_of::<ColumnId>() * columns
            + size_of::<u32>() * (self.places.len() + self.key_places.len())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a table has at most 1600 columns")]
fn count(len: usize) -> u32 {
    len as u32
}

/// What decides the shape of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ShapeKey {
    pub(super) table: TableId,
    pub(super) verb: Verb,
    pub(super) columns: Vec<ColumnId>,
    pub(super) key: Vec<ColumnId>,
    pub(super) value_set: ValueSet,
}

/// Whether an event has values for all columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ValueSet {
    /// An update has the columns that it sets.
    ChangedColumns,
    /// An update has all columns of the row, those of the key among them, whatever it has changed. The key has not.
    WholeRow,
}

/// The shapes that were met so far.
#[derive(Debug, Default)]
pub(super) struct ShapeList {
    list: Vec<Arc<StatementShape>>,
    ids: HashMap<ShapeKey, ShapeId>,
    groups: HashMap<(TableId, Verb, Vec<ColumnId>), u32>,
    size: usize,
}

impl ShapeList {
    pub(super) fn get(&self, id: ShapeId) -> &Arc<StatementShape> {
        &self.list[id as usize]
    }

    /// All shapes, by their ids.
    pub(super) fn all(&self) -> &[Arc<StatementShape>] {
        &self.list
    }

    /// About how many bytes of memory all shapes take.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The id of the shape, which is made if it is not in the list. `row_key` is the key by which the table's rows are
    /// told apart, if there is one.
    pub(super) fn intern(&mut self, key: ShapeKey, table: &TargetTable, row_key: Option<&[ColumnId]>) -> ShapeId {
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = count(self.list.len());
        let shape = self.build(key.clone(), table, row_key);
        self.size += shape.size();
        self.list.push(Arc::new(shape));
        self.ids.insert(key, id);
        id
    }

    /// Lets the next events of a table have new shapes, because its key is another one now. Ids stay valid.
    pub(super) fn forget_table(&mut self, table: TableId) {
        self.ids.retain(|key, _| key.table != table);
    }

    fn build(&mut self, key: ShapeKey, table: &TargetTable, row_key: Option<&[ColumnId]>) -> StatementShape {
        let ShapeKey { table: table_id, verb, columns, key, value_set } = key;
        let mut places = vec![NOWHERE; table.columns.len()];
        for (place, column) in columns.iter().enumerate() {
            places[usize::from(*column)] = count(place);
        }
        let mut written: Vec<ColumnId> = columns.iter().copied().filter(|c| !table.column(*c).generated).collect();
        if value_set == ValueSet::WholeRow && verb == Verb::Update {
            // An identity column that is always generated cannot be set, and has not changed.
            written.retain(|c| !key.contains(c) && !table.column(*c).identity_always);
        }
        written.sort_unstable();
        let next_group = count(self.groups.len());
        let group = *self.groups.entry((table_id, verb, written.clone())).or_insert(next_group);
        let condition = |column: &ColumnId| key.iter().position(|c| c == column).map(|at| count(columns.len() + at));
        let set = |column: &ColumnId| Some(places[usize::from(*column)]).filter(|place| *place != NOWHERE);
        let key_places = row_key.and_then(|row_key| match verb {
            Verb::Insert => row_key.iter().map(set).collect::<Option<Vec<u32>>>(),
            Verb::Update | Verb::Delete if key != row_key => None,
            Verb::Update => row_key.iter().map(|c| set(c).or_else(|| condition(c))).collect(),
            Verb::Delete => row_key.iter().map(condition).collect(),
        });
        let is_change = value_set == ValueSet::ChangedColumns && verb == Verb::Update;
        StatementShape {
            moves_key: is_change && key.iter().any(|c| columns.contains(c)),
            key_places: key_places.unwrap_or_default(),
            table: table_id,
            verb,
            columns,
            written,
            key,
            group,
            places,
        }
    }
}
