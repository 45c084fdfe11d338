//! Applies events one after the other, as statements, many in one message.

use futures_util::StreamExt;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::{ErrorPosition, SqlState};
use tokio_postgres::types::Type;

use super::chunk::Chunk;
use super::counts::{MissingRows, WriteCounts};
use super::param::Untyped;
use super::shape::{Shape, Slot};
use super::table::{ColumnId, End, Table};
use crate::config::MissingRow;
use crate::error::{ApplyFault, Error, FaultKind, Result};
use crate::pg::{Db, Param};
use crate::pgq::fragment::Verb;
use crate::pgq::printable::printable;
use crate::pgq::value_buffer::BIG;

/// A message is sent when its text has this size: one round trip then is of no account.
const GROUP_SIZE: usize = 64 * 1024;

/// Applies the events `which` accepts.
pub(super) async fn apply(
    tx: &Db,
    chunk: &Chunk,
    on_missing: MissingRow,
    which: impl Fn(&Slot) -> bool,
    counts: &mut WriteCounts,
) -> Result<()> {
    let mut group = Group { tx, chunk, on_missing, text: Vec::new(), slots: Vec::new(), starts: Vec::new() };
    for slot in chunk.slots.iter().filter(|slot| which(slot)) {
        counts.row_by_row += 1;
        if group.is_big(slot) {
            group.send(&mut counts.missing).await?;
            group.run_bytes(slot, &mut counts.missing).await?;
            continue;
        }
        group.add(slot);
        if group.text.len() >= GROUP_SIZE {
            group.send(&mut counts.missing).await?;
        }
    }
    group.send(&mut counts.missing).await
}

/// Statements to be sent at once.
struct Group<'a> {
    tx: &'a Db,
    chunk: &'a Chunk,
    on_missing: MissingRow,
    text: Vec<u8>,
    /// The event of each statement.
    slots: Vec<Slot>,
    /// Where in the text each statement begins.
    starts: Vec<usize>,
}

impl Group<'_> {
    /// Whether the statement has so much text that its values are better sent as they are.
    fn is_big(&self, slot: &Slot) -> bool {
        let shape = self.chunk.shape(slot.shape);
        let mut places = slot.values..slot.values + shape.width();
        places.any(|place| self.chunk.values.get(place).is_some_and(|value| value.len() >= BIG))
    }

    fn add(&mut self, slot: &Slot) {
        let shape = self.chunk.shape(slot.shape);
        let start = self.text.len();
        if statement(self.chunk, slot, shape, &mut self.text) {
            self.text.extend_from_slice(b";\n");
            self.slots.push(*slot);
            self.starts.push(start);
        }
    }

    /// Runs the statements and forgets them.
    async fn send(&mut self, missing: &mut MissingRows) -> Result<()> {
        if self.slots.is_empty() {
            return Ok(());
        }
        match std::str::from_utf8(&self.text) {
            Ok(text) => self.run(text, missing).await?,
            Err(_) => {
                for slot in &self.slots {
                    self.run_bytes(slot, missing).await?;
                }
            }
        }
        self.text.clear();
        self.slots.clear();
        self.starts.clear();
        Ok(())
    }

    /// Runs the text, which has one statement per slot.
    async fn run(&self, text: &str, missing: &mut MissingRows) -> Result<()> {
        // The server answers statement by statement and stops at the one that fails: so the number of answers tells
        // which.
        let mut done = 0;
        let slot = |done: usize| &self.slots[done.min(self.slots.len() - 1)];
        let fail = |done: usize, error: tokio_postgres::Error| {
            let column = self.column_at(done, text, &error);
            fault(self.tx, self.chunk, slot(done), FaultKind::Refused, Some(error), column)
        };
        let answers = self.tx.client().simple_query_raw(text).await;
        let mut answers = Box::pin(answers.map_err(|error| fail(0, error))?);
        while let Some(answer) = answers.next().await {
            if let SimpleQueryMessage::CommandComplete(rows) = answer.map_err(|error| fail(done, error))? {
                self.count(slot(done), rows, missing)?;
                done += 1;
            }
        }
        Ok(())
    }

    /// Runs the statement of an event with its values as bytes: its text is not UTF-8, or big.
    async fn run_bytes(&self, slot: &Slot, missing: &mut MissingRows) -> Result<()> {
        let shape = self.chunk.shape(slot.shape);
        let Some((text, places)) = parameterized(self.chunk, slot, shape) else { return Ok(()) };
        let values: Vec<Untyped<'_>> =
            places.iter().map(|place| Untyped(self.chunk.values.get(slot.values + place))).collect();
        let params: Vec<Param<'_>> = values.iter().map(|value| (value as _, Type::UNKNOWN)).collect();
        let rows = self.tx.client().execute_typed(&text, &params).await;
        let rows = rows.map_err(|error| {
            let column = damaged_column(self.chunk, slot, shape, &error);
            fault(self.tx, self.chunk, slot, FaultKind::Refused, Some(error), column)
        })?;
        self.count(slot, rows, missing)
    }

    /// Looks at the number of rows that a statement has changed.
    fn count(&self, slot: &Slot, rows: u64, missing: &mut MissingRows) -> Result<()> {
        let shape = self.chunk.shape(slot.shape);
        if rows > 0 || shape.verb == Verb::Insert {
            return Ok(());
        }
        missing.add(shape.table, 1);
        match self.on_missing {
            MissingRow::Ignore => Ok(()),
            MissingRow::Stop => Err(fault(self.tx, self.chunk, slot, FaultKind::MissingRow, None, None)),
        }
    }

    /// The column whose literal the server has pointed at in the text.
    fn column_at(&self, done: usize, text: &str, error: &tokio_postgres::Error) -> Option<String> {
        let Some(ErrorPosition::Original(position)) = error.as_db_error()?.position() else { return None };
        let at = text.char_indices().nth(usize::try_from(*position).ok()?.checked_sub(1)?)?.0;
        let at = at.checked_sub(*self.starts.get(done)?)?;
        let slot = self.slots.get(done)?;
        let shape = self.chunk.shape(slot.shape);
        let table = self.chunk.table(shape.table);
        let (mut statement, mut places) = (Vec::new(), Vec::new());
        write_statement(self.chunk, slot, shape, &mut statement, |place, text| {
            places.push((text.len(), place));
            literal(self.chunk.values.get(slot.values + place), text);
        });
        let (_, place) = places.into_iter().find(|(start, _)| *start == at)?;
        let mut columns = shape.columns.iter().chain(&shape.key);
        Some(table.column(*columns.nth(usize::try_from(place).ok()?)?).name.clone())
    }
}

/// The first column whose value is no text in UTF-8, when that is what the server refuses.
fn damaged_column(chunk: &Chunk, slot: &Slot, shape: &Shape, error: &tokio_postgres::Error) -> Option<String> {
    if error.code() != Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) {
        return None;
    }
    let is_damaged = |place: u32| {
        let value = chunk.values.get(slot.values + place);
        value.is_some_and(|value| std::str::from_utf8(value).is_err())
    };
    let mut columns = (0..).zip(shape.columns.iter().chain(&shape.key));
    let (_, column) = columns.find(|(place, _)| is_damaged(*place))?;
    Some(chunk.table(shape.table).column(*column).name.clone())
}

/// Adds the event's statement to `text`; false when there is nothing to do.
fn statement(chunk: &Chunk, slot: &Slot, shape: &Shape, text: &mut Vec<u8>) -> bool {
    write_statement(chunk, slot, shape, text, |place, text| literal(chunk.values.get(slot.values + place), text))
}

/// The event's statement with parameters, and the place of each parameter among the event's values; `None` when there is
/// nothing to do.
fn parameterized(chunk: &Chunk, slot: &Slot, shape: &Shape) -> Option<(String, Vec<u32>)> {
    let mut places = Vec::new();
    let mut text = Vec::new();
    let needed = write_statement(chunk, slot, shape, &mut text, |place, text| {
        places.push(place);
        text.extend_from_slice(format!("${}", places.len()).as_bytes());
    });
    needed.then(|| (String::from_utf8_lossy(&text).into_owned(), places))
}

fn head(verb: Verb, table: &Table, text: &mut Vec<u8>) {
    let head = match verb {
        Verb::Insert => format!("insert into {} ", table.name.quoted()),
        Verb::Update => format!("update {} set ", table.only()),
        Verb::Delete => format!("delete from {} where ", table.only()),
    };
    text.extend_from_slice(head.as_bytes());
}

/// Writes a statement, its values by `value`, which gets their places. False when there is nothing to do.
fn write_statement(
    chunk: &Chunk,
    slot: &Slot,
    shape: &Shape,
    text: &mut Vec<u8>,
    mut value: impl FnMut(u32, &mut Vec<u8>),
) -> bool {
    let table = chunk.table(shape.table);
    let written: Vec<(&str, u32)> = shape
        .written
        .iter()
        .filter_map(|column| Some((table.column(*column).quoted.as_str(), shape.place(*column)?)))
        .collect();
    if written.is_empty() && shape.verb == Verb::Update {
        return false;
    }
    head(shape.verb, table, text);
    if shape.verb == Verb::Insert {
        if written.is_empty() {
            text.extend_from_slice(b"default values");
            return true;
        }
        text.push(b'(');
        separate(&written, b",", text, |(name, _), text| text.extend_from_slice(name.as_bytes()));
        text.push(b')');
        text.extend_from_slice(table.overriding().as_bytes());
        text.extend_from_slice(b" values (");
        separate(&written, b",", text, |(_, place), text| value(*place, text));
        text.push(b')');
        return true;
    }
    separate(&written, b",", text, |(name, place), text| {
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        value(*place, text);
    });
    if shape.verb == Verb::Update {
        text.extend_from_slice(b" where ");
    }
    let condition: Vec<(&str, u32)> =
        shape.key.iter().map(|column| table.column(*column).quoted.as_str()).zip(shape.width()..).collect();
    separate(&condition, b" and ", text, |(name, place), text| {
        text.extend_from_slice(name.as_bytes());
        // A table that has lost its key is captured with all columns for one.
        if chunk.values.get(slot.values + place).is_none() {
            text.extend_from_slice(b" is null");
            return;
        }
        text.push(b'=');
        value(*place, text);
    });
    true
}

fn separate<T>(items: &[T], separator: &[u8], text: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            text.extend_from_slice(separator);
        }
        write(item, text);
    }
}

/// Writes a value as a literal that means the same whatever `standard_conforming_strings` is.
fn literal(value: Option<&[u8]>, text: &mut Vec<u8>) {
    let Some(value) = value else {
        text.extend_from_slice(b"null");
        return;
    };
    let escaped = memchr::memchr(b'\\', value).is_some();
    text.extend_from_slice(if escaped { b"E'" } else { b"'" });
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'\'', b'\\', rest) {
        text.extend_from_slice(&rest[..=at]);
        text.push(rest[at]);
        rest = &rest[at + 1..];
    }
    text.extend_from_slice(rest);
    text.push(b'\'');
}

/// The error of an event.
///
/// `column` is the one that is known to be at fault, if the server does not name it.
fn fault(
    tx: &Db,
    chunk: &Chunk,
    slot: &Slot,
    kind: FaultKind,
    source: Option<tokio_postgres::Error>,
    column: Option<String>,
) -> Error {
    let shape = chunk.shape(slot.shape);
    let table = chunk.table(shape.table);
    let mend = (kind == FaultKind::MissingRow)
        .then(|| format!("Compare and repair table {}, or set on_missing_row = ignore.", table.name));
    Error::Apply(Box::new(ApplyFault {
        kind,
        event: slot.event,
        verb: shape.verb.letter(),
        table: table.name.to_string(),
        key: key_text(chunk, slot, shape, table),
        column: source.as_ref().and_then(|e| e.as_db_error()?.column()).map(str::to_owned).or(column),
        target: tx.target().to_owned(),
        mend,
        source,
    }))
}

/// How many characters of a key's value a message shows.
const SHOWN: usize = 60;

/// The key for a person: `id=1, b=2`, with long values cut.
fn key_text(chunk: &Chunk, slot: &Slot, shape: &Shape, table: &Table) -> String {
    let columns: Vec<_> = match (&shape.verb, &table.primary_key) {
        (Verb::Insert, Some(key)) => key.iter().filter_map(|c| Some((*c, shape.place(*c)?))).collect(),
        (Verb::Insert, None) => Vec::new(),
        _ => shape.key.iter().copied().zip(shape.width()..).collect(),
    };
    let part = |(column, place): (ColumnId, u32)| {
        let value = chunk.values.get(slot.values + place).unwrap_or(b"null");
        format!("{}={}", table.column(column).name, printable(value, SHOWN))
    };
    columns.into_iter().map(part).collect::<Vec<_>>().join(", ")
}

/// Empties the tables of `truncates`: those that others refer to by deletes, since the server does not truncate a table
/// unless all that refer to it are truncated with it, even if they are empty.
pub(super) async fn truncate(tx: &Db, chunk: &Chunk) -> Result<()> {
    let mut deleted: Vec<(i64, &Table)> =
        chunk.truncates.iter().map(|(event, id)| (*event, chunk.table(*id))).collect();
    deleted.sort_by_key(|(event, table)| (table.oid, *event));
    deleted.dedup_by_key(|(_, table)| table.oid);
    let truncated = take_truncated(&mut deleted);
    // No table of these refers to one that is truncated, but the reverse may be.
    if let Some((event, table)) = truncated.first() {
        let names: Vec<String> = truncated.iter().map(|(_, table)| table.only()).collect();
        empty(tx, *event, table, &format!("truncate {}", names.join(", "))).await?;
    }
    // Children first: a table has more tables below it than each of those.
    let below = |table: &Table| deleted.iter().filter(|(_, other)| other.ancestors.contains(&table.oid)).count();
    let mut ordered = deleted.clone();
    ordered.sort_by_key(|(_, table)| below(table));
    for (event, table) in ordered {
        empty(tx, event, table, &format!("delete from {}", table.only())).await?;
    }
    Ok(())
}

/// Takes out the tables that can be truncated together.
fn take_truncated<'a>(tables: &mut Vec<(i64, &'a Table)>) -> Vec<(i64, &'a Table)> {
    let mut together = std::mem::take(tables);
    loop {
        let oids: Vec<u32> = together.iter().map(|(_, table)| table.oid).collect();
        let whole =
            |table: &Table| table.foreign_keys.iter().all(|key| key.end != End::Parent || oids.contains(&key.from));
        let (fit, others): (Vec<_>, Vec<_>) = together.into_iter().partition(|(_, table)| whole(table));
        together = fit;
        if others.is_empty() {
            return together;
        }
        tables.extend(others);
    }
}

async fn empty(tx: &Db, event: i64, table: &Table, sql: &str) -> Result<()> {
    tx.client().batch_execute(sql).await.map_err(|error| {
        let referred_to = error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION);
        let mend = "Empty the table that refers to it too, drop its foreign key, or set apply_role = replica, which does \
                    not check foreign keys.";
        Error::Apply(Box::new(ApplyFault {
            kind: FaultKind::Refused,
            event,
            verb: 'R',
            table: table.name.to_string(),
            key: String::new(),
            column: None,
            target: tx.target().to_owned(),
            mend: referred_to.then(|| mend.to_owned()),
            source: Some(error),
        }))
    })
}
