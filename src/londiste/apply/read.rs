//! Takes events apart and puts them into chunks.

use std::collections::{HashMap, HashSet};

use super::applied::Applied;
use super::catalog::{Catalog, FullRow, column_ids};
use super::chunk::Chunk;
use super::event_type::EventType;
use super::fold::Rows;
use super::settings::Filter;
use super::shape::{Form, FormKind, ShapeId, Slot, TableId};
use super::table::{ColumnId, mend_missing_column, mend_missing_table};
use crate::error::{ApplyFault, Error, FaultKind, Result, SEE_ALL_ROWS};
use crate::pg::FqName;
use crate::pgq::event::Event;
use crate::pgq::fragment::{self, Verb};
use crate::pgq::unreadable::Unreadable;
use crate::pgq::value_buffer::{self, NameList};
use crate::pgq::{EventId, json, urlenc};

/// What became of an event.
pub(super) enum Read {
    /// It is in the chunk, or needs nothing to be done.
    Done,
    /// It empties a table, before which the chunk has to be applied; it was not taken in.
    Truncate(TableId),
    /// The table has to be loaded first; the event was not taken in.
    Load(FqName),
}

/// Reads the events of one batch.
pub(super) struct Reader<'a> {
    pub(super) catalog: &'a mut Catalog,
    filters: &'a HashMap<FqName, Filter>,
    /// What the names in the events stand for.
    targets: HashMap<Vec<u8>, Target<'a>>,
    /// Tables that a list of the provider's tables, earlier in the batch, does not have.
    removed: HashSet<FqName>,
    /// The name of the event before, and what it stands for.
    last: (Vec<u8>, Target<'a>),
    /// The type of the JSON event before, as text and taken apart.
    last_kind: Option<JsonKind>,
    /// The names in the event at hand.
    names: NameList,
    pub(super) chunk: Chunk,
    pub(super) applied: Applied,
    /// Whether to work out net changes.
    fold: bool,
    /// The subscriber, for messages.
    target: &'a str,
}

/// A type of JSON events.
struct JsonKind {
    text: Vec<u8>,
    kind: json::Kind,
    /// The key's columns, each followed by a zero byte: in JSON, names may have commas.
    key: Vec<u8>,
}

/// More names of tables in events than this are forgotten.
const MAX_NAMES: usize = 10_000;
/// Longer names, in bytes, are not remembered: a table's has at most twice 63.
const MAX_NAME: usize = 256;

#[derive(Clone, Copy)]
enum Target<'a> {
    Ignored,
    Table(TableId, &'a Filter),
}

/// How the data of an event are written.
enum Format<'a> {
    Fragment,
    /// The key's columns, separated by commas.
    Urlenc(&'a [u8]),
    Json,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        catalog: &'a mut Catalog,
        filters: &'a HashMap<FqName, Filter>,
        fold: bool,
        target: &'a str,
    ) -> Reader<'a> {
        Reader {
            catalog,
            filters,
            targets: HashMap::new(),
            removed: HashSet::new(),
            last: (Vec::new(), Target::Ignored),
            last_kind: None,
            names: NameList::default(),
            chunk: Chunk::default(),
            applied: Applied::default(),
            fold,
            target,
        }
    }

    /// Takes in an event.
    pub(super) fn read(&mut self, event: &Event) -> Result<Read> {
        self.applied.biggest = self.applied.biggest.max(event.row().len());
        let (verb, format) = match EventType::of(event.kind()) {
            EventType::Fragment(verb) => (verb, Format::Fragment),
            EventType::Urlenc(verb, key) => (verb, Format::Urlenc(key)),
            EventType::Json => match self.json_kind(event.kind()).map(|kind| kind.verb) {
                Some(Some(verb)) => (verb, Format::Json),
                Some(None) => return self.truncate(event),
                None => return Ok(self.unknown(event)),
            },
            EventType::Truncate => return self.truncate(event),
            EventType::TableList => return Ok(self.table_list(event)),
            EventType::Script => {
                self.applied.scripts.add(event.id, event.kind());
                return Ok(self.ignore());
            }
            EventType::Unknown => return Ok(self.unknown(event)),
        };
        let (id, filter) = match self.target(event)? {
            Ok(Target::Table(id, filter)) => (id, filter),
            Ok(Target::Ignored) => return Ok(self.ignore()),
            Err(load) => return Ok(Read::Load(load)),
        };
        if filter.hides(event.txid) {
            return Ok(self.ignore());
        }
        self.applied.count += 1;
        let first = self.chunk.values.len();
        let data = event.data().unwrap_or_default();
        if let Some(at) = memchr::memchr(0, data) {
            return Err(self.unreadable(event, verb, id, &Unreadable { at, expected: "no zero byte" }));
        }
        self.chunk.values.lend_from((data.len() >= value_buffer::BIG).then(|| event.row().clone()));
        let shape = match format {
            Format::Fragment => self.fragment(event, id, verb, data)?,
            Format::Urlenc(key) => self.urlenc(event, id, verb, key, data)?,
            Format::Json => self.json(event, id, verb, data)?,
        };
        self.chunk.values.lend_from(None);
        self.put(Slot { event: event.id.0, shape, values: first }, id);
        Ok(Read::Done)
    }

    /// Whether the chunk has to be applied before the next event: because of its size in bytes, or because of the memory
    /// that shapes take.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.chunk.size() >= limit || self.catalog.is_crowded()
    }

    /// The chunk, with all that its events refer to. Leaves an empty one.
    pub(super) fn take_chunk(&mut self) -> Chunk {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.tables = self.catalog.all();
        chunk.shapes = self.catalog.shapes.all().to_vec();
        if self.catalog.is_crowded() {
            self.catalog.forget_shapes();
        }
        chunk
    }

    fn ignore(&mut self) -> Read {
        self.applied.count += 1;
        self.applied.ignored += 1;
        Read::Done
    }

    fn unknown(&mut self, event: &Event) -> Read {
        self.applied.count += 1;
        self.applied.unknown.add(event.id, event.kind());
        Read::Done
    }

    fn table_list(&mut self, event: &Event) -> Read {
        self.applied.count += 1;
        let list = String::from_utf8_lossy(event.data().unwrap_or_default()).into_owned();
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let tables: Vec<FqName> = names.map(FqName::parse).collect();
        // A table that is not in the list leaves the set or is copied again: its later events are of rows that were not
        // captured in between.
        self.removed.extend(self.filters.keys().filter(|name| !tables.contains(name)).cloned());
        self.targets.clear();
        self.last = (Vec::new(), Target::Ignored);
        self.applied.table_sets.push(tables);
        Read::Done
    }

    fn truncate(&mut self, event: &Event) -> Result<Read> {
        match self.target(event)? {
            Err(load) => Ok(Read::Load(load)),
            Ok(Target::Table(id, filter)) if !filter.hides(event.txid) => {
                self.applied.count += 1;
                Ok(Read::Truncate(id))
            }
            Ok(_) => Ok(self.ignore()),
        }
    }

    /// What the table named in the event is; `Err` when it has to be loaded first.
    fn target(&mut self, event: &Event) -> Result<Result<Target<'a>, FqName>> {
        let from_kind;
        let name = match (event.extra1(), &self.last_kind) {
            (Some(name), _) => name,
            (None, Some(known)) if event.kind().first() == Some(&b'{') => {
                from_kind = format!("{}.{}", known.kind.table.0, known.kind.table.1);
                from_kind.as_bytes()
            }
            (None, _) => {
                let message = "the event does not say to which table it belongs (ev_extra1 is empty)".to_owned();
                return Err(self.fault(event.id, '?', "", FaultKind::Unreadable(message)));
            }
        };
        if self.last.0 == name {
            return Ok(Ok(self.last.1));
        }
        let target = match self.targets.get(name) {
            Some(target) => *target,
            None => match self.resolve(name) {
                Ok(Target::Table(id, _)) if self.catalog.get(id).table.row_security => {
                    return Err(self.hidden_rows(event, id));
                }
                Ok(target) => {
                    self.remember(name, target);
                    target
                }
                Err(load) => return Ok(Err(load)),
            },
        };
        self.last.0.clear();
        self.last.0.extend_from_slice(name);
        self.last.1 = target;
        Ok(Ok(target))
    }

    /// What a name stands for, for the next events with it. Names that no table of the subscriber can have do not pile up.
    fn remember(&mut self, name: &[u8], target: Target<'a>) {
        if self.targets.len() >= MAX_NAMES {
            self.targets.clear();
        }
        if name.len() <= MAX_NAME {
            self.targets.insert(name.to_vec(), target);
        }
    }

    /// How many names of tables are remembered.
    #[cfg(test)]
    pub(super) fn known_names(&self) -> usize {
        self.targets.len()
    }

    fn resolve(&mut self, name: &[u8]) -> Result<Target<'a>, FqName> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(Target::Ignored) };
        let name = FqName::parse(name);
        let Some(filter) = self.filters.get(&name).filter(|_| !self.removed.contains(&name)) else {
            return Ok(Target::Ignored);
        };
        match self.catalog.find(&name) {
            Some(id) => Ok(Target::Table(id, filter)),
            None => Err(name),
        }
    }

    /// Puts the event into the chunk.
    fn put(&mut self, slot: Slot, id: TableId) {
        if let Some(table) = self.catalog.take_rekeyed() {
            self.chunk.give_up_fold(table);
        }
        let (known, shapes) = self.catalog.split(id);
        let rows = match &known.key {
            Some(key) if self.fold => Some(Rows { table: &known.table, key, classes: &known.classes }),
            _ => None,
        };
        self.chunk.add(slot, id, shapes, rows.as_ref());
    }

    fn fragment(&mut self, event: &Event, id: TableId, verb: Verb, data: &[u8]) -> Result<ShapeId> {
        let values = &mut self.chunk.values;
        if let Some(shape) = self.catalog.read(id, verb, data, values) {
            return Ok(shape);
        }
        let parsed = fragment::parse(verb, data, values).map_err(|error| self.unreadable(event, verb, id, &error))?;
        let values = &mut self.chunk.values;
        self.catalog.learn(id, verb, parsed, values).map_err(|column| self.missing_column(event.id, verb, id, column))
    }

    fn urlenc(&mut self, event: &Event, id: TableId, verb: Verb, key: &[u8], data: &[u8]) -> Result<ShapeId> {
        urlenc::parse(data, &mut self.chunk.values, &mut self.names)
            .map_err(|error| self.unreadable(event, verb, id, &error))?;
        self.full_row(event, id, verb, key)
    }

    fn json(&mut self, event: &Event, id: TableId, verb: Verb, data: &[u8]) -> Result<ShapeId> {
        json::parse(data, &mut self.chunk.values, &mut self.names)
            .map_err(|error| self.unreadable(event, verb, id, &error))?;
        // Lent for the time of the call, so that it need not be copied.
        let key = self.last_kind.as_mut().map(|kind| std::mem::take(&mut kind.key)).unwrap_or_default();
        let shape = self.full_row(event, id, verb, &key);
        if let Some(kind) = &mut self.last_kind {
            kind.key = key;
        }
        shape
    }

    /// An event that has the whole row, whose values and names were just read.
    fn full_row(&mut self, event: &Event, id: TableId, verb: Verb, key: &[u8]) -> Result<ShapeId> {
        let known = self.catalog.full_row(id, verb, &self.names, key).is_some();
        if !known {
            let row = self.learn_full_row(event, id, verb, key)?;
            self.catalog.learn_full_row(id, row);
        }
        let Some(row) = self.catalog.full_row(id, verb, &self.names, key) else {
            return Err(self.damaged(event.id, verb, id, "its columns cannot be told apart"));
        };
        // The values of the condition follow those of the columns; a delete needs no others.
        let values = &mut self.chunk.values;
        let first = values.len() - row.count;
        match (verb, row.key_places.as_slice()) {
            (Verb::Insert, _) => {}
            (Verb::Update, places) => {
                for place in places {
                    values.push_cell(values.cell(first + place));
                }
            }
            (Verb::Delete, places) => {
                let cells: Vec<_> = places.iter().map(|place| values.cell(first + place)).collect();
                values.truncate(first);
                for cell in cells {
                    values.push_cell(cell);
                }
            }
        }
        Ok(row.shape)
    }

    /// Works out how to read events with these names.
    fn learn_full_row(&mut self, event: &Event, id: TableId, verb: Verb, key: &[u8]) -> Result<FullRow> {
        let table = self.catalog.get(id).table.clone();
        let Some(names) = self.names.to_list() else {
            return Err(self.damaged(event.id, verb, id, "a column's name is not UTF-8"));
        };
        let missing = |column| self.missing_column(event.id, verb, id, column);
        let columns = column_ids(&table, &names).map_err(missing)?;
        if columns.is_empty() {
            return Err(self.damaged(event.id, verb, id, "it names no column"));
        }
        if has_twice(&columns) {
            return Err(self.damaged(event.id, verb, id, "it names a column twice"));
        }
        let count = u32::try_from(columns.len()).unwrap_or(0);
        let mut key_columns = Vec::new();
        if verb != Verb::Insert {
            let list = String::from_utf8_lossy(key).into_owned();
            let separator = if list.ends_with('\0') { '\0' } else { ',' };
            let list: Vec<String> = list.split(separator).filter(|name| !name.is_empty()).map(str::to_owned).collect();
            key_columns = column_ids(&table, &list).map_err(missing)?;
            key_columns.sort_unstable();
        }
        let place = |column: &ColumnId| (0..).zip(&columns).find(|(_, c)| *c == column).map(|(place, _)| place);
        let key_places: Vec<u32> = key_columns.iter().filter_map(place).collect();
        if has_twice(&key_columns) {
            return Err(self.damaged(event.id, verb, id, "it names a column of its key twice"));
        }
        if verb != Verb::Insert && (key_columns.is_empty() || key_places.len() < key_columns.len()) {
            return Err(self.damaged(event.id, verb, id, "it lacks the values of its key"));
        }
        let columns = if verb == Verb::Delete { Vec::new() } else { columns };
        let shape = self.catalog.intern(Form { table: id, verb, columns, key: key_columns, kind: FormKind::FullRow });
        Ok(FullRow { verb, names: self.names.clone(), key: key.to_vec(), shape, key_places, count })
    }

    /// Reads a JSON event type, unless it is the one of the event before. `None` when it is not one of a trigger's.
    fn json_kind(&mut self, kind: &[u8]) -> Option<&json::Kind> {
        if self.last_kind.as_ref().is_none_or(|known| known.text != kind) {
            self.last_kind = json::parse_kind(kind).map(|parsed| JsonKind {
                text: kind.to_vec(),
                key: parsed.key.iter().flat_map(|name| [name.as_bytes(), &[0]]).flatten().copied().collect(),
                kind: parsed,
            });
        }
        self.last_kind.as_ref().map(|known| &known.kind)
    }

    /// The table does not exist on the subscriber.
    pub(super) fn missing_table(&self, event: &Event, name: &FqName) -> Error {
        let (verb, table) = (letter_of(event), name.to_string());
        self.fault_with(event.id, verb, &table, FaultKind::MissingTable, Some(mend_missing_table(name)))
    }

    /// An update or delete of a row that a policy hides would do nothing, silently.
    fn hidden_rows(&self, event: &Event, id: TableId) -> Error {
        let (verb, table) = (letter_of(event), self.catalog.get(id).table.name.to_string());
        self.fault_with(event.id, verb, &table, FaultKind::RowSecurity, Some(SEE_ALL_ROWS.to_owned()))
    }

    fn missing_column(&self, event: EventId, verb: Verb, id: TableId, column: String) -> Error {
        let name = &self.catalog.get(id).table.name;
        let mend = mend_missing_column(name, &column);
        self.fault_with(event, verb.letter(), &name.to_string(), FaultKind::MissingColumn(column), Some(mend))
    }

    /// The event's data cannot be parsed.
    fn unreadable(&self, event: &Event, verb: Verb, id: TableId, error: &Unreadable) -> Error {
        self.damaged(event.id, verb, id, &error.describe(event.data().unwrap_or_default()))
    }

    /// The event's data are no change of a row.
    fn damaged(&self, event: EventId, verb: Verb, id: TableId, why: &str) -> Error {
        let name = self.catalog.get(id).table.name.to_string();
        let kind = FaultKind::Unreadable(why.to_owned());
        self.fault_with(event, verb.letter(), &name, kind, Some(MEND_UNREADABLE.to_owned()))
    }

    fn fault(&self, event: EventId, verb: char, table: &str, kind: FaultKind) -> Error {
        self.fault_with(event, verb, table, kind, None)
    }

    fn fault_with(&self, event: EventId, verb: char, table: &str, kind: FaultKind, mend: Option<String>) -> Error {
        Error::Apply(Box::new(ApplyFault {
            kind,
            event: event.0,
            verb,
            table: table.to_owned(),
            key: String::new(),
            column: None,
            target: self.target.to_owned(),
            mend,
            source: None,
        }))
    }
}

/// What to do about data that no trigger writes.
const MEND_UNREADABLE: &str =
    "Find out what wrote this event: the triggers of \"provider add\" and of PgQ write no such data.";

fn has_twice(columns: &[ColumnId]) -> bool {
    let mut sorted = columns.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// The first letter of an event's type, for messages.
fn letter_of(event: &Event) -> char {
    event.kind().first().copied().filter(u8::is_ascii_uppercase).map_or('?', char::from)
}
