//! Which columns the values of an event belong to.
//!
//! Events of one table come in few shapes. A shape is worked out once; afterwards an event is a shape and the index of
//! its first value.

use std::collections::HashMap;
use std::sync::Arc;

use super::table::{ColumnId, Table};
use crate::pgq::fragment::Verb;

/// The index of a table in the applier's list.
pub(super) type TableId = u32;
/// The index of a shape in [`Shapes`].
pub(super) type ShapeId = u32;

/// An event: what happened, to which columns, and where its values begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) event: i64,
    pub(super) shape: ShapeId,
    pub(super) values: u32,
}

/// What the values of an event mean.
///
/// In an update and a delete, the values of the condition follow those of the columns.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) table: TableId,
    pub(super) verb: Verb,
    /// The columns of the values, in their order.
    pub(super) columns: Vec<ColumnId>,
    /// The columns that a statement sets, ascending.
    pub(super) written: Vec<ColumnId>,
    /// The columns of the condition.
    pub(super) key: Vec<ColumnId>,
    /// Where among all values the key is that the row has afterwards. Empty when a fold is not possible: an insert
    /// without a key column, or a condition on other columns than the table's key.
    pub(super) key_places: Vec<u32>,
    /// An update that sets a column of its key.
    pub(super) moves_key: bool,
    /// The same for shapes of one table and verb that write the same columns.
    pub(super) group: u32,
    /// Place of each column's value, by column; [`NOWHERE`] for the others.
    places: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl Shape {
    /// Where among the event's values the column's is.
    pub(super) fn place(&self, column: ColumnId) -> Option<u32> {
        self.places.get(usize::from(column)).copied().filter(|place| *place != NOWHERE)
    }

    /// How many values belong to columns.
    pub(super) fn width(&self) -> u32 {
        count(self.columns.len())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a table has at most 1600 columns")]
fn count(len: usize) -> u32 {
    len as u32
}

/// What a shape is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    pub(super) table: TableId,
    pub(super) verb: Verb,
    pub(super) columns: Vec<ColumnId>,
    pub(super) key: Vec<ColumnId>,
    pub(super) kind: FormKind,
}

/// How complete the values of a form are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FormKind {
    /// Only columns that are to be set.
    Changes,
    /// All columns of the row, those of the key among them.
    FullRow,
}

/// All shapes seen so far.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    list: Vec<Arc<Shape>>,
    ids: HashMap<Form, ShapeId>,
    groups: HashMap<(TableId, Verb, Vec<ColumnId>), u32>,
    /// About how many bytes all this takes.
    size: usize,
}

impl Shapes {
    pub(super) fn get(&self, id: ShapeId) -> &Arc<Shape> {
        &self.list[id as usize]
    }

    /// About how many bytes all shapes take.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// All shapes, by their ids.
    pub(super) fn all(&self) -> &[Arc<Shape>] {
        &self.list
    }

    /// The shape of a form. `row_key` is the table's key, by which its rows are told apart.
    pub(super) fn intern(&mut self, form: Form, table: &Table, row_key: Option<&[ColumnId]>) -> ShapeId {
        if let Some(id) = self.ids.get(&form) {
            return *id;
        }
        let id = count(self.list.len());
        let shape = self.build(form.clone(), table, row_key);
        // A shape's lists are in the shape, in its form, and in its group.
        let lists =
            4 * shape.columns.len() + 3 * shape.written.len() + 2 * shape.key.len() + 2 * shape.key_places.len();
        self.size += size_of::<Shape>() + 2 * size_of::<Form>() + 2 * lists + size_of::<u32>() * shape.places.len();
        self.list.push(Arc::new(shape));
        self.ids.insert(form, id);
        id
    }

    /// Forgets how events of a table are read, because its key is another one now. Known ids stay valid.
    pub(super) fn forget_table(&mut self, table: TableId) {
        self.ids.retain(|form, _| form.table != table);
    }

    fn build(&mut self, form: Form, table: &Table, row_key: Option<&[ColumnId]>) -> Shape {
        let Form { table: table_id, verb, columns, key, kind } = form;
        let mut places = vec![NOWHERE; table.columns.len()];
        for (place, column) in columns.iter().enumerate() {
            places[usize::from(*column)] = count(place);
        }
        let mut written: Vec<ColumnId> = columns.iter().copied().filter(|c| !table.column(*c).generated).collect();
        if kind == FormKind::FullRow && verb == Verb::Update {
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
        Shape {
            moves_key: kind == FormKind::Changes && verb == Verb::Update && key.iter().any(|c| columns.contains(c)),
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
