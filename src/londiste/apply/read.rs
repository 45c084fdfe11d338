//! Takes events apart and puts them into chunks.

use std::collections::HashMap;

use super::applied::{Applied, TableCounts};
use super::chunk::Chunk;
use super::destination::{Destination, Destinations, Lookup};
use super::event_type::EventType;
use super::fault::{MEND_UNREADABLE, mend_identity, mend_missing_column, mend_missing_table};
use super::net_changes::RowIdentity;
use super::settings::Filter;
use super::shape::{ChunkEvent, ShapeId, ShapeKey, TableId, ValueSet};
use super::table_cache::{TableCache, Unfit, WholeRowLayout, column_ids};
use super::target_table::ColumnId;
use crate::config::Apply;
use crate::error::{ApplyFault, Error, FaultKind, Result, SEE_ALL_ROWS};
use crate::pg::FqName;
use crate::pgq::event::Event;
use crate::pgq::fragment::{self, Verb};
use crate::pgq::unreadable::Unreadable;
use crate::pgq::value_buffer::{BIG, NameList};
use crate::pgq::{json, urlenc};

/// What became of an event.
pub(super) enum ReadOutcome {
    /// The event is in the chunk, or changes no row.
    Done,
    /// The event empties this table. Events before it have to be applied first; it is not in the chunk.
    Truncate(TableId),
    /// This table has to be read from the catalog first; then the event has to be read again.
    Load(FqName),
}

/// Reads the events of one batch.
pub(super) struct EventReader<'a> {
    pub(super) tables: &'a mut TableCache,
    destinations: Destinations<'a>,
    /// The last type of a JSON event.
    json_type: Option<JsonType>,
    /// The names in the event at hand.
    names: NameList,
    pub(super) chunk: Chunk,
    applied: Applied,
    /// The events of each table, by its id.
    counts: Vec<TableCounts>,
    apply: Apply,
    /// The subscriber, for messages.
    target: &'a str,
}

/// The type of JSON events, as text and taken apart.
struct JsonType {
    text: Vec<u8>,
    kind: json::Kind,
    /// The names of the key's columns, each followed by a zero byte: names in JSON may have commas.
    key: Vec<u8>,
}

/// How the data of an event are written.
enum DataFormat<'a> {
    Fragment,
    /// With the names of the key's columns, separated by commas.
    Urlenc(&'a [u8]),
    Json,
}

/// A change of a row, before its data are taken apart.
#[derive(Clone, Copy)]
struct RowEvent<'a> {
    event: &'a Event,
    verb: Verb,
    table: TableId,
}

impl RowEvent<'_> {
    fn data(&self) -> &[u8] {
        self.event.data().unwrap_or_default()
    }
}

impl<'a> EventReader<'a> {
    pub(super) fn new(
        tables: &'a mut TableCache,
        filters: &'a HashMap<FqName, Filter>,
        apply: Apply,
        target: &'a str,
    ) -> EventReader<'a> {
        EventReader {
            tables,
            destinations: Destinations::new(filters),
            json_type: None,
            names: NameList::default(),
            chunk: Chunk::default(),
            applied: Applied::default(),
            counts: Vec::new(),
            apply,
            target,
        }
    }

    /// Reads an event. Data that are not understood are an error.
    pub(super) fn read(&mut self, event: &Event) -> Result<ReadOutcome> {
        self.applied.biggest = self.applied.biggest.max(event.row().len());
        let (verb, format) = match EventType::of(event.kind()) {
            EventType::Fragment(verb) => (verb, DataFormat::Fragment),
            EventType::Urlenc(verb, key) => (verb, DataFormat::Urlenc(key)),
            EventType::Json => match self.json_kind(event.kind()).map(|kind| kind.verb) {
                Some(Some(verb)) => (verb, DataFormat::Json),
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
        let (table, filter) = match self.destination(event)? {
            Lookup::Found(Destination::Table(table, filter)) => (table, filter),
            Lookup::Found(Destination::Ignored) => return Ok(self.ignore()),
            Lookup::NotLoaded(name) => return Ok(ReadOutcome::Load(name)),
        };
        if filter.hides(event.txid) {
            self.counts_of(table).in_copy += 1;
            return Ok(self.ignore());
        }
        self.applied.count += 1;
        self.counts_of(table).changes.add(verb);
        let first = self.chunk.values.len();
        let row = RowEvent { event, verb, table };
        let data = row.data();
        if let Some(at) = memchr::memchr(0, data) {
            return Err(self.unreadable(row, &Unreadable { at, expected: "no zero byte" }));
        }
        self.chunk.values.lend_from((data.len() >= BIG).then(|| event.row().clone()));
        let shape = match format {
            DataFormat::Fragment => self.fragment(row)?,
            DataFormat::Urlenc(key) => self.urlenc(row, key)?,
            DataFormat::Json => self.json(row)?,
        };
        self.chunk.values.lend_from(None);
        self.put(ChunkEvent { id: event.id.0, shape, values: first }, table);
        Ok(ReadOutcome::Done)
    }

    /// Whether the chunk has to be applied before the next event: it has `limit` bytes, or shapes take too much memory.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.chunk.size() >= limit || self.tables.is_crowded()
    }

    /// Takes the chunk out, with all that its events refer to.
    pub(super) fn take_chunk(&mut self) -> Chunk {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.tables = self.tables.all();
        chunk.shapes = self.tables.shapes.all().to_vec();
        if self.tables.is_crowded() {
            self.tables.forget_shapes();
        }
        chunk
    }

    /// What became of the events.
    pub(super) fn finish(mut self) -> Applied {
        for (id, counts) in (0..).zip(&self.counts).filter(|(_, counts)| **counts != TableCounts::default()) {
            self.applied.changes += counts.changes;
            self.applied.tables.insert(self.tables.get(id).table.name.clone(), *counts);
        }
        self.applied
    }

    /// How many events were read so far.
    pub(super) fn count(&self) -> u64 {
        self.applied.count
    }

    fn counts_of(&mut self, table: TableId) -> &mut TableCounts {
        let index = table as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, TableCounts::default());
        }
        &mut self.counts[index]
    }

    fn ignore(&mut self) -> ReadOutcome {
        self.applied.count += 1;
        self.applied.ignored += 1;
        ReadOutcome::Done
    }

    fn unknown(&mut self, event: &Event) -> ReadOutcome {
        self.applied.count += 1;
        self.applied.unknown.add(event.id, event.kind());
        ReadOutcome::Done
    }

    /// The list of the provider's tables. An empty text is the empty list; null is no list, and takes no table out of the set.
    fn table_list(&mut self, event: &Event) -> ReadOutcome {
        let Some(list) = event.data() else {
            tracing::warn!(
                "event {} of type T is left out: it has no list of tables (ev_data is null), and takes no table out \
                 of the set",
                event.id
            );
            return self.ignore();
        };
        self.applied.count += 1;
        let tables = FqName::parse_list(&String::from_utf8_lossy(list));
        self.destinations.leave_out_others(&tables);
        self.applied.table_sets.push(tables);
        ReadOutcome::Done
    }

    fn truncate(&mut self, event: &Event) -> Result<ReadOutcome> {
        match self.destination(event)? {
            Lookup::NotLoaded(name) => Ok(ReadOutcome::Load(name)),
            Lookup::Found(Destination::Table(table, filter)) if filter.hides(event.txid) => {
                self.counts_of(table).in_copy += 1;
                Ok(self.ignore())
            }
            Lookup::Found(Destination::Table(table, _)) => {
                self.applied.count += 1;
                self.counts_of(table).changes.truncates += 1;
                Ok(ReadOutcome::Truncate(table))
            }
            Lookup::Found(Destination::Ignored) => Ok(self.ignore()),
        }
    }

    /// Where the event goes. Only the type of a JSON event may have the table's name too.
    fn destination(&mut self, event: &Event) -> Result<Lookup<'a>> {
        let from_type;
        let name = match (event.extra1(), &self.json_type) {
            (Some(name), _) => name,
            (None, Some(known)) if event.kind().first() == Some(&b'{') => {
                from_type = format!("{}.{}", known.kind.table.0, known.kind.table.1);
                from_type.as_bytes()
            }
            (None, _) => {
                let message = "the event does not say to which table it belongs (ev_extra1 is empty)".to_owned();
                return Err(self.fault(event, "", FaultKind::Unreadable(message), None));
            }
        };
        let found = self.destinations.find(name, self.tables);
        if let Lookup::Found(Destination::Table(table, _)) = found
            && self.tables.get(table).table.row_security
        {
            // An update or delete of a row that a policy hides would do nothing, silently.
            let name = self.tables.get(table).table.name.to_string();
            return Err(self.fault(event, &name, FaultKind::RowSecurity, Some(SEE_ALL_ROWS.to_owned())));
        }
        Ok(found)
    }

    /// Puts the event into the chunk.
    fn put(&mut self, event: ChunkEvent, table: TableId) {
        if let Some(table) = self.tables.take_rekeyed() {
            self.chunk.give_up_net_changes(table);
        }
        let (cached, shapes) = self.tables.split(table);
        let rows = match (&cached.key, self.apply) {
            (Some(key), Apply::Set) => Some(RowIdentity { table: &cached.table, key, classes: &cached.classes }),
            _ => None,
        };
        self.chunk.add(event, table, shapes, rows.as_ref());
    }

    fn fragment(&mut self, row: RowEvent<'_>) -> Result<ShapeId> {
        let RowEvent { verb, table, .. } = row;
        let values = &mut self.chunk.values;
        if let Some(shape) = self.tables.read(table, verb, row.data(), values) {
            return Ok(shape);
        }
        let parsed = fragment::parse(verb, row.data(), values).map_err(|error| self.unreadable(row, &error))?;
        let values = &mut self.chunk.values;
        self.tables.learn(table, verb, parsed, values).map_err(|unfit| match unfit {
            Unfit::NoColumn(column) => self.missing_column(row, column),
            Unfit::IdentityAlways(column) => self.identity_always(row, column),
        })
    }

    fn urlenc(&mut self, row: RowEvent<'_>, key: &[u8]) -> Result<ShapeId> {
        urlenc::parse(row.data(), &mut self.chunk.values, &mut self.names)
            .map_err(|error| self.unreadable(row, &error))?;
        self.whole_row(row, key)
    }

    fn json(&mut self, row: RowEvent<'_>) -> Result<ShapeId> {
        json::parse(row.data(), &mut self.chunk.values, &mut self.names)
            .map_err(|error| self.unreadable(row, &error))?;
        // Taken out for the time of the call, so that it need not be copied.
        let key = self.json_type.as_mut().map(|known| std::mem::take(&mut known.key)).unwrap_or_default();
        let shape = self.whole_row(row, &key);
        if let Some(known) = &mut self.json_type {
            known.key = key;
        }
        shape
    }

    /// The shape of an event that has the whole row, whose values and names were just read. Brings the values into the
    /// order of the shape.
    fn whole_row(&mut self, row: RowEvent<'_>, key: &[u8]) -> Result<ShapeId> {
        let RowEvent { verb, table, .. } = row;
        if self.tables.whole_row_layout(table, verb, &self.names, key).is_none() {
            let layout = self.learn_whole_row(row, key)?;
            self.tables.add_whole_row_layout(table, layout);
        }
        let Some(layout) = self.tables.whole_row_layout(table, verb, &self.names, key) else {
            return Err(self.damaged(row, "its columns cannot be told apart"));
        };
        // The values of the condition follow those of the columns; a delete has only those of the condition.
        let values = &mut self.chunk.values;
        let first = values.len() - layout.count;
        match (verb, layout.key_places.as_slice()) {
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
        Ok(layout.shape)
    }

    /// Works out the layout of events with the present names. `key` has the names of the key's columns.
    fn learn_whole_row(&mut self, row: RowEvent<'_>, key: &[u8]) -> Result<WholeRowLayout> {
        let RowEvent { verb, table: id, .. } = row;
        let table = self.tables.get(id).table.clone();
        let Some(names) = self.names.to_list() else {
            return Err(self.damaged(row, "a column's name is not UTF-8"));
        };
        let missing = |column| self.missing_column(row, column);
        let columns = column_ids(&table, &names).map_err(missing)?;
        if columns.is_empty() {
            return Err(self.damaged(row, "it names no column"));
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
        if has_twice(&columns) || has_twice(&key_columns) {
            return Err(self.damaged(row, "it names a column twice"));
        }
        let place = |column: &ColumnId| (0..).zip(&columns).find(|(_, c)| *c == column).map(|(place, _)| place);
        let key_places: Vec<u32> = key_columns.iter().filter_map(place).collect();
        if verb != Verb::Insert && (key_columns.is_empty() || key_places.len() < key_columns.len()) {
            return Err(self.damaged(row, "it lacks the values of its key"));
        }
        let columns = if verb == Verb::Delete { Vec::new() } else { columns };
        let shape = ShapeKey { table: id, verb, columns, key: key_columns, value_set: ValueSet::WholeRow };
        let shape = self.tables.intern(shape);
        Ok(WholeRowLayout { verb, names: self.names.clone(), key: key.to_vec(), shape, key_places, count })
    }

    /// Takes the type of a JSON event apart, unless it is the one of the event before. `None` when no trigger writes it.
    fn json_kind(&mut self, text: &[u8]) -> Option<&json::Kind> {
        if self.json_type.as_ref().is_none_or(|known| known.text != text) {
            self.json_type = json::parse_kind(text).map(|kind| JsonType {
                text: text.to_vec(),
                key: kind.key.iter().flat_map(|name| [name.as_bytes(), &[0]]).flatten().copied().collect(),
                kind,
            });
        }
        self.json_type.as_ref().map(|known| &known.kind)
    }

    /// The error of an event whose table does not exist on the subscriber.
    pub(super) fn missing_table(&self, event: &Event, name: &FqName) -> Error {
        self.fault(event, &name.to_string(), FaultKind::MissingTable, Some(mend_missing_table(name)))
    }

    fn missing_column(&self, row: RowEvent<'_>, column: String) -> Error {
        let name = &self.tables.get(row.table).table.name;
        let mend = mend_missing_column(name, &column);
        self.fault(row.event, &name.to_string(), FaultKind::MissingColumn(column), Some(mend))
    }

    fn identity_always(&self, row: RowEvent<'_>, column: String) -> Error {
        let name = &self.tables.get(row.table).table.name;
        let mend = mend_identity(name, &column);
        self.fault(row.event, &name.to_string(), FaultKind::IdentityAlways(column), Some(mend))
    }

    /// The error of an event whose data cannot be parsed.
    fn unreadable(&self, row: RowEvent<'_>, error: &Unreadable) -> Error {
        self.damaged(row, &error.describe(row.data()))
    }

    /// The error of an event whose data can be parsed and are no change of a row.
    fn damaged(&self, row: RowEvent<'_>, why: &str) -> Error {
        let name = self.tables.get(row.table).table.name.to_string();
        let kind = FaultKind::Unreadable(why.to_owned());
        self.fault(row.event, &name, kind, Some(MEND_UNREADABLE.to_owned()))
    }

    fn fault(&self, event: &Event, table: &str, kind: FaultKind, mend: Option<String>) -> Error {
        Error::Apply(Box::new(ApplyFault {
            kind,
            event: event.id.0,
            verb: self.letter(event),
            table: table.to_owned(),
            key: String::new(),
            column: None,
            target: self.target.to_owned(),
            mend,
            hint: None,
            source: None,
        }))
    }

    /// What the event does, as a letter for messages.
    fn letter(&self, event: &Event) -> char {
        match (EventType::of(event.kind()), &self.json_type) {
            (EventType::Fragment(verb) | EventType::Urlenc(verb, _), _) => verb.letter(),
            (EventType::Json, Some(known)) => known.kind.verb.map_or('R', Verb::letter),
            (EventType::Truncate, _) => 'R',
            (EventType::Json | EventType::TableList | EventType::Script | EventType::Unknown, _) => '?',
        }
    }
}

fn has_twice(columns: &[ColumnId]) -> bool {
    let mut sorted = columns.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}
