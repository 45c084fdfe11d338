//! Applies events one after the other, each by a statement of its own, many statements in one message.

use futures_util::StreamExt;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::Type;

use super::chunk::Chunk;
use super::counts::WriteCounts;
use super::fault::{Refusal, damaged_column, fault};
use super::param::UntypedParam;
use super::shape::ChunkEvent;
use super::statement::{self, Statement};
use crate::config::MissingRow;
use crate::error::{FaultKind, Result};
use crate::pg::{Db, Param};
use crate::pgq::fragment::Verb;
use crate::pgq::value_buffer::BIG;

/// A message is sent when it has so many bytes: the round trip then costs little beside the statements.
pub(super) const MESSAGE_SIZE: usize = 64 * 1024;

/// Applies the events that `which` chooses.
pub(super) async fn apply(
    tx: &Db,
    chunk: &Chunk,
    on_missing: MissingRow,
    which: impl Fn(&ChunkEvent) -> bool,
    counts: &mut WriteCounts,
) -> Result<()> {
    let mut list = StatementList { tx, chunk, on_missing, text: Vec::new(), events: Vec::new(), starts: Vec::new() };
    for event in chunk.events.iter().filter(|event| which(event)) {
        counts.row_by_row += 1;
        if is_big(chunk, event) {
            list.send(counts).await?;
            list.run_with_parameters(event, counts).await?;
            continue;
        }
        list.add(event);
        if list.text.len() >= MESSAGE_SIZE {
            list.send(counts).await?;
        }
    }
    list.send(counts).await
}

/// Whether a value is so big that it should not be copied into a text.
pub(super) fn is_big(chunk: &Chunk, event: &ChunkEvent) -> bool {
    let mut places = event.values..event.values + chunk.shape(event.shape).width();
    places.any(|place| chunk.values.get(place).is_some_and(|value| value.len() >= BIG))
}

/// Statements that are sent in one message.
struct StatementList<'a> {
    tx: &'a Db,
    chunk: &'a Chunk,
    on_missing: MissingRow,
    text: Vec<u8>,
    /// The event of each statement.
    events: Vec<ChunkEvent>,
    /// Where in the text each statement begins.
    starts: Vec<usize>,
}

impl StatementList<'_> {
    fn add(&mut self, event: &ChunkEvent) {
        let start = self.text.len();
        if statement::write_with_literals(self.chunk, event, &mut self.text) == Statement::Written {
            self.text.extend_from_slice(b";\n");
            self.events.push(*event);
            self.starts.push(start);
        }
    }

    /// Runs the statements and empties the list.
    async fn send(&mut self, counts: &mut WriteCounts) -> Result<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        match std::str::from_utf8(&self.text) {
            Ok(text) => self.run(text, counts).await?,
            Err(_) => {
                for event in &self.events {
                    self.run_with_parameters(event, counts).await?;
                }
            }
        }
        self.text.clear();
        self.events.clear();
        self.starts.clear();
        Ok(())
    }

    /// Runs the text. The server answers each statement in turn and stops at the first that fails, so the number of
    /// answers tells which one that is.
    async fn run(&self, text: &str, counts: &mut WriteCounts) -> Result<()> {
        let mut done = 0;
        let event = |done: usize| &self.events[done.min(self.events.len() - 1)];
        let fail = |done: usize, error: tokio_postgres::Error| {
            let column = self.column_at(done, text, &error);
            fault(self.tx, self.chunk, event(done), Refusal::by_server(error, column))
        };
        let answers = self.tx.client().simple_query_raw(text).await;
        let mut answers = Box::pin(answers.map_err(|error| fail(0, error))?);
        while let Some(answer) = answers.next().await {
            if let SimpleQueryMessage::CommandComplete(rows) = answer.map_err(|error| fail(done, error))? {
                self.count(event(done), rows, counts)?;
                done += 1;
            }
        }
        Ok(())
    }

    /// Runs the statement of one event with its values as parameters: they are big, or are not UTF-8.
    async fn run_with_parameters(&self, event: &ChunkEvent, counts: &mut WriteCounts) -> Result<()> {
        let Some((text, places)) = statement::with_parameters(self.chunk, event) else { return Ok(()) };
        let values: Vec<UntypedParam<'_>> =
            places.iter().map(|place| UntypedParam(self.chunk.values.get(event.values + place))).collect();
        let params: Vec<Param<'_>> = values.iter().map(|value| (value as _, Type::UNKNOWN)).collect();
        let rows = self.tx.client().execute_typed(&text, &params).await;
        let rows = rows.map_err(|error| {
            let column = damaged_column(self.chunk, event, self.chunk.shape(event.shape), &error);
            fault(self.tx, self.chunk, event, Refusal::by_server(error, column))
        })?;
        self.count(event, rows, counts)
    }

    /// Looks at the number of rows that a statement has changed.
    fn count(&self, event: &ChunkEvent, rows: u64, counts: &mut WriteCounts) -> Result<()> {
        let shape = self.chunk.shape(event.shape);
        let table = self.chunk.table(shape.table);
        if rows > 0 {
            counts.cascades.add(table, shape.verb, shape);
            return Ok(());
        }
        if shape.verb == Verb::Insert || counts.cascades.explain(table, shape.verb, shape) {
            return Ok(());
        }
        counts.missing.add(shape.table, 1);
        match self.on_missing {
            MissingRow::Ignore => Ok(()),
            MissingRow::Stop => {
                let refusal = Refusal { kind: FaultKind::MissingRow, source: None, column: None };
                Err(fault(self.tx, self.chunk, event, refusal))
            }
        }
    }

    /// The column of the literal that the server points at in the text.
    fn column_at(&self, done: usize, text: &str, error: &tokio_postgres::Error) -> Option<String> {
        let Some(ErrorPosition::Original(position)) = error.as_db_error()?.position() else { return None };
        let at = text.char_indices().nth(usize::try_from(*position).ok()?.checked_sub(1)?)?.0;
        let at = at.checked_sub(*self.starts.get(done)?)?;
        let event = self.events.get(done)?;
        let shape = self.chunk.shape(event.shape);
        let starts = statement::literal_starts(self.chunk, event);
        let (_, place) = starts.into_iter().find(|(start, _)| *start == at)?;
        let mut columns = shape.columns.iter().chain(&shape.key);
        let column = columns.nth(usize::try_from(place).ok()?)?;
        Some(self.chunk.table(shape.table).column(*column).name.clone())
    }
}
