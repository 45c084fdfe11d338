//! The net change of a chunk of events, row by row of a table.
//!
//! Rows are told apart by their key. An event changes what is known of its row; at the end each row needs at most one
//! delete of what was there at the start, and one update or insert. A row that changes its key leaves the old key vacant,
//! so that another row may take it; deletes therefore stay in the list as rows of their own.
//!
//! The result holds when all deletes, then all updates (each against the rows as they were at the start), then all
//! inserts are carried out. Where events contradict each other (an insert of a row that is there), nothing is folded:
//! [`Fold::by_row`] is set and the events themselves have to be applied, one after the other, so that the server decides.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::key::{self, Class};
use super::shape::{Form, FormKind, Shape, ShapeId, Shapes, Slot};
use super::table::{ColumnId, Table};
use crate::pgq::fragment::Verb;
use crate::pgq::value_buffer::ValueBuffer;

/// What is to be done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    Update,
    Delete,
    /// Nothing: the row was inserted and deleted again, or has left this key.
    Nothing,
}

/// The net change of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    pub(super) change: Change,
    /// Whether `values` belong to this row alone and may be changed.
    owned: bool,
    pub(super) shape: ShapeId,
    /// The first value of an insert or update.
    pub(super) values: u32,
    /// The first value of the key that the row had at the start, for an update or delete.
    pub(super) origin: u32,
    key_start: u32,
    key_len: u32,
}

/// The changes of one table in a chunk.
#[expect(clippy::struct_excessive_bools, reason = "they are independent findings")]
#[derive(Debug, Default)]
pub(super) struct Fold {
    rows: Vec<Net>,
    /// The encoded keys of all rows.
    keys: Vec<u8>,
    /// The latest row of each key.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The key of the row of the event that is being taken in, as it is before the event.
    before: Vec<u8>,
    /// Its table has events in the chunk.
    pub(super) active: bool,
    /// The events have to be applied by themselves.
    pub(super) by_row: bool,
    /// A row was inserted where another one was deleted: deletes come first.
    pub(super) reinserted: bool,
    /// A row got another key: deletes come before updates, updates before inserts.
    pub(super) moved: bool,
    /// Updates and deletes of rows that were deleted just before.
    pub(super) missing: u64,
}

/// What the fold needs to know of its table.
pub(super) struct Rows<'a> {
    pub(super) table: &'a Table,
    pub(super) key: &'a [ColumnId],
    pub(super) classes: &'a [Class],
}

impl Fold {
    /// The rows with their changes, in the order of their first event.
    pub(super) fn rows(&self) -> &[Net] {
        &self.rows
    }

    /// The key that the row has now, as bytes in a useful order.
    pub(super) fn key(&self, row: &Net) -> &[u8] {
        key_of(&self.keys, row)
    }

    /// About how many bytes are in use.
    pub(super) fn size(&self) -> usize {
        self.rows.len() * (size_of::<Net>() + 2 * size_of::<u32>()) + self.keys.len()
    }

    /// Forgets everything. Memory beyond `keep` bytes is given back.
    pub(super) fn clear(&mut self, keep: usize) {
        if self.rows.capacity() * size_of::<Net>() > keep || self.keys.capacity() > keep {
            *self = Fold::default();
            return;
        }
        self.rows.clear();
        self.keys.clear();
        self.index.clear();
        (self.active, self.by_row, self.reinserted, self.moved, self.missing) = (false, false, false, false, 0);
    }

    /// Takes in an event.
    pub(super) fn add(&mut self, slot: Slot, values: &mut ValueBuffer, shapes: &mut Shapes, rows: &Rows<'_>) {
        if self.by_row {
            return;
        }
        let shape = shapes.get(slot.shape).clone();
        if shape.key_places.is_empty() || !self.read_key(slot, &shape, values, rows) {
            self.by_row = true;
            return;
        }
        let hash = self.hasher.hash_one(&self.before[..]);
        let (all, keys, before) = (&self.rows, &self.keys, &self.before);
        let known = self.index.find(hash, |id| key_of(keys, &all[*id as usize]) == &before[..]).copied();
        let id = match known {
            None => self.add_new(slot, &shape, hash),
            Some(id) => {
                self.add_known(id, slot, &shape, values, shapes, rows);
                id
            }
        };
        if shape.moves_key {
            self.move_key(id, slot, &shape, values, rows);
        }
    }

    /// Reads the key of the row that the event changes into `before`. False when it has no definite form.
    fn read_key(&mut self, slot: Slot, shape: &Shape, values: &ValueBuffer, rows: &Rows<'_>) -> bool {
        self.before.clear();
        let condition = slot.values + shape.width();
        rows.classes.iter().enumerate().all(|(i, class)| {
            let place = match shape.verb {
                Verb::Insert => slot.values + shape.key_places[i],
                Verb::Update | Verb::Delete => condition + position(i),
            };
            values.get(place).is_some_and(|value| key::encode(*class, value, &mut self.before))
        })
    }

    /// The first event of its key.
    fn add_new(&mut self, slot: Slot, shape: &Shape, hash: u64) -> u32 {
        let change = match shape.verb {
            Verb::Insert => Change::Insert,
            Verb::Update => Change::Update,
            Verb::Delete => Change::Delete,
        };
        let (key_start, key_len) = (position(self.keys.len()), position(self.before.len()));
        self.keys.extend_from_slice(&self.before);
        let origin = slot.values + shape.width();
        let row = Net { change, owned: false, shape: slot.shape, values: slot.values, origin, key_start, key_len };
        let id = position(self.rows.len());
        self.rows.push(row);
        self.point_to(id, hash);
        id
    }

    /// Makes a row the latest one of a key that has none.
    fn point_to(&mut self, id: u32, hash: u64) {
        let (rows, keys, hasher) = (&self.rows, &self.keys, &self.hasher);
        self.index.insert_unique(hash, id, |id| hasher.hash_one(key_of(keys, &rows[*id as usize])));
    }

    /// Makes a row the latest one of the key that has been another row's.
    fn point_from_to(&mut self, old: u32, new: u32, hash: u64) {
        if let Some(latest) = self.index.find_mut(hash, |id| *id == old) {
            *latest = new;
        }
    }

    /// One more event of a key.
    fn add_known(
        &mut self,
        id: u32,
        slot: Slot,
        update: &Shape,
        values: &mut ValueBuffer,
        shapes: &mut Shapes,
        rows: &Rows<'_>,
    ) {
        let row = self.rows[id as usize];
        match (row.change, update.verb) {
            (Change::Insert | Change::Update, Verb::Insert) => self.by_row = true,
            (Change::Delete, Verb::Insert) => {
                self.reinserted = true;
                self.replace(id, Net { change: Change::Insert, shape: slot.shape, values: slot.values, ..row });
            }
            (Change::Nothing, Verb::Insert) => {
                let new = Net { change: Change::Insert, owned: false, shape: slot.shape, values: slot.values, ..row };
                self.rows[id as usize] = new;
            }
            (Change::Insert | Change::Update, Verb::Update) => {
                self.rows[id as usize] = merge(row, slot, update, values, shapes, rows);
            }
            (Change::Insert, Verb::Delete) => self.rows[id as usize].change = Change::Nothing,
            (Change::Update, Verb::Delete) => self.rows[id as usize].change = Change::Delete,
            (Change::Delete | Change::Nothing, Verb::Update | Verb::Delete) => self.missing += 1,
        }
    }

    /// Adds a row in the place of the latest one of its key.
    fn replace(&mut self, id: u32, new: Net) {
        let hash = self.hasher.hash_one(self.key(&new));
        let new_id = position(self.rows.len());
        self.rows.push(Net { owned: false, ..new });
        self.point_from_to(id, new_id, hash);
    }

    /// Gives the row of an update, which was just taken in, its new key.
    fn move_key(&mut self, id: u32, slot: Slot, update: &Shape, values: &ValueBuffer, rows: &Rows<'_>) {
        let row = self.rows[id as usize];
        if self.by_row || !matches!(row.change, Change::Insert | Change::Update) {
            return;
        }
        let start = self.keys.len();
        let complete = rows.classes.iter().zip(&update.key_places).all(|(class, place)| {
            values.get(slot.values + place).is_some_and(|value| key::encode(*class, value, &mut self.keys))
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
        self.replace(id, Net { change: Change::Nothing, ..row });
        let new = Net { key_start: position(start), key_len: position(self.keys.len() - start), ..row };
        self.rows[id as usize] = new;
        let hash = self.hasher.hash_one(self.key(&new));
        let (all, keys) = (&self.rows, &self.keys);
        let taken = self.index.find(hash, |other| key_of(keys, &all[*other as usize]) == &keys[start..]).copied();
        match taken {
            None => self.point_to(id, hash),
            Some(other) if matches!(self.rows[other as usize].change, Change::Insert | Change::Update) => {
                self.by_row = true;
            }
            Some(other) => self.point_from_to(other, id, hash),
        }
    }
}

/// Lays an update over what its row gets already.
fn merge(row: Net, slot: Slot, update: &Shape, values: &mut ValueBuffer, shapes: &mut Shapes, rows: &Rows<'_>) -> Net {
    if row.shape == slot.shape {
        return Net { values: slot.values, owned: false, ..row };
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
                // A column of the update alone: its value follows below.
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
            values.set_cell(row.values + to, values.cell(slot.values + from));
        }
    }
    row
}

/// The shape of `base` with the columns that only `update` has.
fn widen(base: &Shape, update: &Shape, shapes: &mut Shapes, rows: &Rows<'_>) -> ShapeId {
    // A full row's columns of the key are not set by it: they are left out.
    let mut columns = if base.verb == Verb::Insert { base.columns.clone() } else { base.written.clone() };
    let only_here = update.written.iter().filter(|column| !columns.contains(column)).copied();
    let only_here: Vec<ColumnId> = only_here.collect();
    columns.extend(only_here);
    let form = Form { table: base.table, verb: base.verb, columns, key: base.key.clone(), kind: FormKind::Changes };
    shapes.intern(form, rows.table, Some(rows.key))
}

fn key_of<'a>(keys: &'a [u8], row: &Net) -> &'a [u8] {
    &keys[row.key_start as usize..(row.key_start + row.key_len) as usize]
}

#[expect(clippy::cast_possible_truncation, reason = "a chunk is far smaller than 4 GB")]
fn position(len: usize) -> u32 {
    len as u32
}
