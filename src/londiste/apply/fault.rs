//! Errors of events: which event cannot be applied, and why.

use tokio_postgres::error::SqlState;

use super::chunk::Chunk;
use super::shape::{ChunkEvent, StatementShape};
use super::target_table::{ColumnId, TargetTable};
use crate::error::{ApplyFault, Error, FaultKind};
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName};
use crate::pgq::fragment::Verb;
use crate::pgq::printable::printable;

/// How many characters of a key's value a message shows.
const SHOWN: usize = 60;

/// What to do about data that no trigger writes.
pub(super) const MEND_UNREADABLE: &str =
    "Find out what wrote this event: the triggers of \"provider add\" and of PgQ write no such data.";

/// What to do when the table does not exist.
pub(super) fn mend_missing_table(name: &FqName) -> String {
    format!(
        "Bring table {} back with its rows, or create it as it is on the provider and run \"rlondiste INI subscriber \
         resync {name}\".",
        name.quoted()
    )
}

/// What to do when a column does not exist.
pub(super) fn mend_missing_column(name: &FqName, column: &str) -> String {
    format!(
        "Run on the subscriber, with the provider's type: alter table {} add column {} ...",
        name.quoted(),
        quote_ident(column)
    )
}

/// Why the statement of an event was not carried out.
pub(super) struct Refusal {
    pub(super) kind: FaultKind,
    /// What the server said.
    pub(super) source: Option<tokio_postgres::Error>,
    /// The column whose value is at fault, where it is known and the server does not name it.
    pub(super) column: Option<String>,
}

impl Refusal {
    /// The server has refused the statement.
    pub(super) fn by_server(source: tokio_postgres::Error, column: Option<String>) -> Refusal {
        Refusal { kind: FaultKind::Refused, source: Some(source), column }
    }
}

/// The error of an event of a chunk.
pub(super) fn fault(tx: &Db, chunk: &Chunk, event: &ChunkEvent, refusal: Refusal) -> Error {
    let Refusal { kind, source, column } = refusal;
    let shape = chunk.shape(event.shape);
    let table = chunk.table(shape.table);
    let mend = (kind == FaultKind::MissingRow)
        .then(|| format!("Compare and repair table {}, or set on_missing_row = ignore.", table.name));
    Error::Apply(Box::new(ApplyFault {
        kind,
        event: event.id,
        verb: shape.verb.letter(),
        table: table.name.to_string(),
        key: key_text(chunk, event, shape, table),
        column: source.as_ref().and_then(|e| e.as_db_error()?.column()).map(str::to_owned).or(column),
        target: tx.target().to_owned(),
        mend,
        hint: None,
        source,
    }))
}

/// The first column whose value is no text in UTF-8, when the server refuses a statement for such a value.
pub(super) fn damaged_column(
    chunk: &Chunk,
    event: &ChunkEvent,
    shape: &StatementShape,
    error: &tokio_postgres::Error,
) -> Option<String> {
    if error.code() != Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) {
        return None;
    }
    let is_damaged = |place: u32| {
        let value = chunk.values.get(event.values + place);
        value.is_some_and(|value| std::str::from_utf8(value).is_err())
    };
    let mut columns = (0..).zip(shape.columns.iter().chain(&shape.key));
    let (_, column) = columns.find(|(place, _)| is_damaged(*place))?;
    Some(chunk.table(shape.table).column(*column).name.clone())
}

/// The key for a person: `id=1, b=2`. Long values are cut.
fn key_text(chunk: &Chunk, event: &ChunkEvent, shape: &StatementShape, table: &TargetTable) -> String {
    let columns: Vec<_> = match (&shape.verb, &table.primary_key) {
        (Verb::Insert, Some(key)) => key.iter().filter_map(|c| Some((*c, shape.place(*c)?))).collect(),
        (Verb::Insert, None) => Vec::new(),
        _ => shape.key.iter().copied().zip(shape.width()..).collect(),
    };
    let part = |(column, place): (ColumnId, u32)| {
        let value = chunk.values.get(event.values + place).unwrap_or(b"null");
        format!("{}={}", table.column(column).name, printable(value, SHOWN))
    };
    columns.into_iter().map(part).collect::<Vec<_>>().join(", ")
}
