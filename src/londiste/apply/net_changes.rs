//! What the events of a chunk do to the rows of a table, taken together.
//!
//! Rows are told apart by their key. Each event changes the net change of its row. At the end a row needs at most one
//! delete of what was there before the chunk, and one update or insert. A row that gets another key leaves its old key
//! vacant, so that another row may take it; therefore a delete, and the insert of another row under the same key, are two
//! net changes.
//!
//! The result is right when all deletes are carried out first, then all updates (each finds its row by the key that the
//! row had before the chunk), then all inserts. Where events contradict each other (an insert of a row that is there),
//! there are no net changes: [`NetChanges::by_row`] is set, the events are applied one after the other, and the server
//! decides.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::key::{self, KeyClass};
use super::shape::{ChunkEvent, ShapeId, ShapeKey, ShapeList, StatementShape, ValueSet};
use super::target_table::{ColumnId, TargetTable};
use crate::pgq::fragment::Verb;
use crate::pgq::value_buffer::ValueBuffer;

/// What is to be done to a row, taking all its events together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetAction {
    Insert,
    Update,
    Delete,
    /// Nothing: the row was inserted and deleted again, or has another key now.
    Nothing,
}

/// The net change of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct NetChange {
    pub(super) action: NetAction,
    /// Whether the values belong to this row alone, so that they may be changed in place.
    owned: bool,
    pub(super) shape: ShapeId,
    /// The index of the first value of an insert or update.
    pub(super) values: u32,
    /// Of an update or delete, the index of the first value of the key that the row had before the chunk.
    pub(super) origin: u32,
    /// Where in the encoded keys the row's present key is.
    key_start: u32,
    key_len: u32,
}

/// The net changes of one table in a chunk.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Default)]
pub(super) struct NetChanges {
    rows: Vec<NetChange>,
    /// The encoded keys of all rows.
    keys: Vec<u8>,
    /// The last net change of each key.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The encoded key of the row of the event that is being added, as the key is before the event.
    before: Vec<u8>,
    /// The table has events in the chunk.
    pub(super) active: bool,
    /// The events have to be applied one by one: there are no net changes.
    pub(super) by_row: bool,
    /// A row was inserted under a key that another row of the chunk had: deletes have to come before inserts.
    pub(super) reinserted: bool,
    /// A row got another key: deletes have to come before updates, updates before inserts.
    pub(super) moved: bool,
    /// How many updates and deletes are of rows that the chunk had deleted before.
    pub(super) missing: u64,
}

/// A table, and how its rows are told apart.
pub(super) struct RowIdentity<'a> {
    pub(super) table: &'a TargetTable,
    pub(super) key: &'a [ColumnId],
    pub(super) classes: &'a [KeyClass],
}

impl NetChanges {
    /// The net changes, in the order of their first events.
    pub(super) fn rows(&self) -> &[NetChange] {
        &self.rows
    }

    /// The key that the row has after the chunk, encoded as [`key`] says.
    pub(super) fn key(&self, row: &NetChange) -> &[u8] {
        key_of(&self.keys, row)
    }

    /// About how many bytes of memory are in use.
    pub(super) fn size(&self) -> usize {
        self.rows.len() * (size_of::<NetChange>() + 2 * size_of::<u32>()) + self.keys.len()
    }

    /// Forgets everything. Memory beyond `keep` bytes is given back.
    pub(super) fn clear(&mut self, keep: usize) {
        if self.rows.capacity() * size_of::<NetChange>() > keep || self.keys.capacity() > keep {
            *self = NetChanges::default();
            return;
        }
        self.rows.clear();
        self.keys.clear();
        self.index.clear();
        (self.active, self.by_row, self.reinserted, self.moved, self.missing) = (false, false, false, false, 0);
    }

    /// Adds an event, whose values are in `values`.
    pub(super) fn add(
        &mut self,
        event: ChunkEvent,
        values: &mut ValueBuffer,
        shapes: &mut ShapeList,
        rows: &RowIdentity<'_>,
    ) {
        if self.by_row {
            return;
        }
        let shape = shapes.get(event.shape).clone();
        if shape.key_places.is_empty() || !self.read_key(event, &shape, values, rows) {
            self.by_row = true;
            return;
        }
        let hash = self.hasher.hash_one(&self.before[..]);
        let (all, keys, before) = (&self.rows, &self.keys, &self.before);
        let known = self.index.find(hash, |id| key_of(keys, &all[*id as usize]) == &before[..]).copied();
        let id = match known {
            None => self.add_new(event, &shape, hash),
            Some(id) => {
                self.add_known(id, event, &shape, values, shapes, rows);
                id
            }
        };
        if shape.moves_key {
            self.move_key(id, event, &shape, values, rows);
        }
    }

    /// Encodes the key of the row that the event changes into `before`. False when a value of the key cannot be encoded.
    fn read_key(
        &mut self,
        event: ChunkEvent,
        shape: &StatementShape,
        values: &ValueBuffer,
        rows: &RowIdentity<'_>,
    ) -> bool {
        self.before.clear();
        let condition = event.values + shape.width();
        rows.classes.iter().enumerate().all(|(i, class)| {
            let place = match shape.verb {
                Verb::Insert => event.values + shape.key_places[i],
                Verb::Update | Verb::Delete => condition + position(i),
            };
            values.get(place).is_some_and(|value| key::encode(*class, value, &mut self.before))
        })
    }

    /// Adds the first event of its key.
    fn add_new(&mut self, event: ChunkEvent, shape: &StatementShape, hash: u64) -> u32 {
        let action = match shape.verb {
            Verb::Insert => NetAction::Insert,
            Verb::Update => NetAction::Update,
            Verb::Delete => NetAction::Delete,
        };
        let (key_start, key_len) = (position(self.keys.len()), position(self.before.len()));
        self.keys.extend_from_slice(&self.before);
        let origin = event.values + shape.width();
        let row =
            NetChange { action, owned: false, shape: event.shape, values: event.values, origin, key_start, key_len };
        let id = position(self.rows.len());
        self.rows.push(row);
        self.point_to(id, hash);
        id
    }

    /// Makes a net change the last one of a key that has none.
    fn point_to(&mut self, id: u32, hash: u64) {
        let (rows, keys, hasher) = (&self.rows, &self.keys, &self.hasher);
        self.index.insert_unique(hash, id, |id| hasher.hash_one(key_of(keys, &rows[*id as usize])));
    }

    /// Makes a net change the last one of its key, in the place of another one.
    fn point_from_to(&mut self, old: u32, new: u32, hash: u64) {
        if let Some(latest) = self.index.find_mut(hash, |id| *id == old) {
            *latest = new;
        }
    }

    /// Adds one more event of a key.
    fn add_known(
        &mut self,
        id: u32,
        event: ChunkEvent,
        update: &StatementShape,
        values: &mut ValueBuffer,
        shapes: &mut ShapeList,
        rows: &RowIdentity<'_>,
    ) {
        let row = self.rows[id as usize];
        match (row.action, update.verb) {
            (NetAction::Insert | NetAction::Update, Verb::Insert) => self.by_row = true,
            (NetAction::Delete, Verb::Insert) => {
                self.reinserted = true;
                self.replace(
                    id,
                    NetChange { action: NetAction::Insert, shape: event.shape, values: event.values, ..row },
                );
            }
            (NetAction::Nothing, Verb::Insert) => {
                let new = NetChange {
                    action: NetAction::Insert,
                    owned: false,
                    shape: event.shape,
                    values: event.values,
                    ..row
                };
                self.rows[id as usize] = new;
            }
            (NetAction::Insert | NetAction::Update, Verb::Update) => {
                self.rows[id as usize] = merge(row, event, update, values, shapes, rows);
            }
            (NetAction::Insert, Verb::Delete) => self.rows[id as usize].action = NetAction::Nothing,
            (NetAction::Update, Verb::Delete) => self.rows[id as usize].action = NetAction::Delete,
            (NetAction::Delete | NetAction::Nothing, Verb::Update | Verb::Delete) => self.missing += 1,
        }
    }

    /// Adds a net change in the place of the last one of its key.
    fn replace(&mut self, id: u32, new: NetChange) {
        let hash = self.hasher.hash_one(self.key(&new));
        let new_id = position(self.rows.len());
        self.rows.push(NetChange { owned: false, ..new });
        self.point_from_to(id, new_id, hash);
    }

    /// Gives the row of an update, which was added just before, its new key.
    fn move_key(
        &mut self,
        id: u32,
        event: ChunkEvent,
        update: &StatementShape,
        values: &ValueBuffer,
        rows: &RowIdentity<'_>,
    ) {
        let row = self.rows[id as usize];
        if self.by_row || !matches!(row.action, NetAction::Insert | NetAction::Update) {
            return;
        }
        let start = self.keys.len();
        let complete = rows.classes.iter().zip(&update.key_places).all(|(class, place)| {
            values.get(event.values + place).is_some_and(|value| key::encode(*class, value, &mut self.keys))
        });
        if !complete {
            self.by_row = true;
            return;
        }
        if self.keys[start..] == self.before {
            self.keys.truncate(start);
            return;
        }
        self.moved = true;
        // The old key is vacant from now on.
        self.replace(id, NetChange { action: NetAction::Nothing, ..row });
        let new = NetChange { key_start: position(start), key_len: position(self.keys.len() - start), ..row };
        self.rows[id as usize] = new;
        let hash = self.hasher.hash_one(self.key(&new));
        let (all, keys) = (&self.rows, &self.keys);
        let taken = self.index.find(hash, |other| key_of(keys, &all[*other as usize]) == &keys[start..]).copied();
        match taken {
            None => self.point_to(id, hash),
            Some(other) if matches!(self.rows[other as usize].action, NetAction::Insert | NetAction::Update) => {
                self.by_row = true;
            }
            Some(other) => self.point_from_to(other, id, hash),
        }
    }
}

/// The net change of a row that has one, and is updated then.
fn merge(
    row: NetChange,
    event: ChunkEvent,
    update: &StatementShape,
    values: &mut ValueBuffer,
    shapes: &mut ShapeList,
    rows: &RowIdentity<'_>,
) -> NetChange {
    if row.shape == event.shape {
        return NetChange { values: event.values, owned: false, ..row };
    }
    let mut row = row;
    let base = shapes.get(row.shape).clone();
    let fits = update.written.iter().all(|column| base.written.binary_search(column).is_ok());
    if !fits || !row.owned {
        let from = row.values;
        row.shape = if fits { row.shape } else { widen(&base, update, shapes, rows) };
        row.values = values.len();
        row.owned = true;
        let wide = shapes.get(row.shape).clone();
        for column in &wide.columns {
            match base.place(*column) {
                Some(place) => values.push_cell(values.cell(from + place)),
                // The column is set by the update only, below.
                None => values.push_null(),
            }
        }
        for i in 0..position(wide.key.len()) {
            values.push_cell(values.cell(row.origin + i));
        }
    }
    let target = shapes.get(row.shape);
    for column in &update.written {
        if let (Some(to), Some(from)) = (target.place(*column), update.place(*column)) {
            values.set_cell(row.values + to, values.cell(event.values + from));
        }
    }
    row
}

/// The shape of `base` with the columns that only `update` sets.
fn widen(base: &StatementShape, update: &StatementShape, shapes: &mut ShapeList, rows: &RowIdentity<'_>) -> ShapeId {
    // An update with the whole row has columns that it does not set.
    let mut columns = if base.verb == Verb::Insert { base.columns.clone() } else { base.written.clone() };
    let only_here = update.written.iter().filter(|column| !columns.contains(column)).copied();
    let only_here: Vec<ColumnId> = only_here.collect();
    columns.extend(only_here);
    let key = ShapeKey {
        table: base.table,
        verb: base.verb,
        columns,
        key: base.key.clone(),
        value_set: ValueSet::ChangedColumns,
    };
    shapes.intern(key, rows.table, Some(rows.key))
}

fn key_of<'a>(keys: &'a [u8], row: &NetChange) -> &'a [u8] {
    &keys[row.key_start as usize..(row.key_start + row.key_len) as usize]
}

#[expect(clippy::cast_possible_truncation, reason = "a chunk is far smaller than 4 GB")]
fn position(len: usize) -> u32 {
    len as u32
}
