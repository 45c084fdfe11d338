//! The statement of a single event.

use super::chunk::Chunk;
use super::shape::{ChunkEvent, StatementShape};
use super::target_table::{TargetColumn, TargetTable};
use crate::pg::catalog::equality::Equality;
use crate::pg::sql;
use crate::pgq::fragment::Verb;

/// Whether an event needs a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    Written,
    /// The event is an update that sets only columns which the subscriber computes itself.
    NotNeeded,
}

/// Writes the event's statement with its values as literals.
pub(super) fn write_with_literals(chunk: &Chunk, event: &ChunkEvent, text: &mut Vec<u8>) -> Statement {
    write(chunk, event, text, |place, text| write_literal(chunk.values.get(event.values + place), text))
}

/// The event's statement with parameters, and the place of each parameter among the event's values.
pub(super) fn with_parameters(chunk: &Chunk, event: &ChunkEvent) -> Option<(String, Vec<u32>)> {
    let mut places = Vec::new();
    let mut text = Vec::new();
    let statement = write(chunk, event, &mut text, |place, text| {
        places.push(place);
        text.extend_from_slice(format!("${}", places.len()).as_bytes());
    });
    (statement == Statement::Written).then(|| (String::from_utf8_lossy(&text).into_owned(), places))
}

/// Where in the statement of [`write_with_literals`] each value begins, with the value's place.
pub(super) fn literal_starts(chunk: &Chunk, event: &ChunkEvent) -> Vec<(usize, u32)> {
    let (mut text, mut starts) = (Vec::new(), Vec::new());
    write(chunk, event, &mut text, |place, text| {
        starts.push((text.len(), place));
        write_literal(chunk.values.get(event.values + place), text);
    });
    starts
}

/// Writes a statement. `value` writes a value, of which it gets the place.
fn write(chunk: &Chunk, event: &ChunkEvent, text: &mut Vec<u8>, mut value: impl FnMut(u32, &mut Vec<u8>)) -> Statement {
    let shape = chunk.shape(event.shape);
    let table = chunk.table(shape.table);
    let written: Vec<(&str, u32)> = shape
        .written
        .iter()
        .filter_map(|column| Some((table.column(*column).quoted.as_str(), shape.place(*column)?)))
        .collect();
    if written.is_empty() && shape.verb == Verb::Update {
        return Statement::NotNeeded;
    }
    write_head(shape.verb, table, text);
    if shape.verb == Verb::Insert {
        if written.is_empty() {
            text.extend_from_slice(b"default values");
            return Statement::Written;
        }
        text.push(b'(');
        separate(&written, b",", text, |(name, _), text| text.extend_from_slice(name.as_bytes()));
        text.push(b')');
        text.extend_from_slice(table.overriding().as_bytes());
        text.extend_from_slice(b" values (");
        separate(&written, b",", text, |(_, place), text| value(*place, text));
        text.push(b')');
        return Statement::Written;
    }
    separate(&written, b",", text, |(name, place), text| {
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        value(*place, text);
    });
    if shape.verb == Verb::Update {
        text.extend_from_slice(b" where ");
    }
    write_condition(chunk, event, shape, text, value);
    Statement::Written
}

fn write_head(verb: Verb, table: &TargetTable, text: &mut Vec<u8>) {
    let head = match verb {
        Verb::Insert => sql!("insert into {table} ", table = &table.name),
        Verb::Update => sql!("update {table} set ", table = table.only()),
        Verb::Delete => sql!("delete from {table} where ", table = table.only()),
    };
    text.extend_from_slice(head.as_str().as_bytes());
}

/// Writes the condition that finds the row. A table that has no key is captured with all columns for one, which may be
/// null.
fn write_condition(
    chunk: &Chunk,
    event: &ChunkEvent,
    shape: &StatementShape,
    text: &mut Vec<u8>,
    mut value: impl FnMut(u32, &mut Vec<u8>),
) {
    let table = chunk.table(shape.table);
    let columns: Vec<(&TargetColumn, u32)> =
        shape.key.iter().map(|column| table.column(*column)).zip(shape.width()..).collect();
    separate(&columns, b" and ", text, |(column, place), text| {
        text.extend_from_slice(column.quoted.as_str().as_bytes());
        if chunk.values.get(event.values + place).is_none() {
            text.extend_from_slice(b" is null");
            return;
        }
        let Equality { operator, column_cast, value_cast } = &column.equality;
        for part in [column_cast.as_str(), " ", operator.as_str(), " "] {
            text.extend_from_slice(part.as_bytes());
        }
        value(*place, text);
        text.extend_from_slice(value_cast.as_ref().map_or(b"", |cast| cast.as_str().as_bytes()));
    });
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
fn write_literal(value: Option<&[u8]>, text: &mut Vec<u8>) {
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
