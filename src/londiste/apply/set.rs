//! Applies the net change of a table by few statements.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use memchr::{memchr, memchr3};
use tokio_postgres::CopyInSink;
use tokio_postgres::types::Type;

use super::chunk::Chunk;
use super::counts::MissingRows;
use super::fold::Net;
use super::param::Array;
use super::plan::{Group, Step};
use super::shape::TableId;
use super::table::{ColumnId, Table};
use crate::error::{Error, Result};
use crate::pg::{Db, Param, Sql};
use crate::pgq::fragment::Verb;

/// Fewer rows than this are inserted by one statement, unless they are big: COPY needs more round trips.
const COPY_FROM: usize = 100;
/// How much COPY data is sent at once.
const COPY_PIECE: usize = 128 * 1024;

/// A step that the server did not carry out.
pub(super) struct Failed {
    pub(super) table: TableId,
    pub(super) error: Error,
}

/// Carries out the steps in their order. Adds the rows that were to be updated or deleted and were not there.
pub(super) async fn apply(tx: &Db, chunk: &Chunk, steps: &[Step], missing: &mut MissingRows) -> Result<(), Failed> {
    let statements: Vec<Statement<'_>> = steps
        .iter()
        .flat_map(|step| step.groups.iter().map(|group| Statement::new(chunk, step.table, step.verb, group)))
        .collect();
    // A statement is sent while the server works on the one before. COPY takes several messages: nothing may come
    // between them.
    for part in statements.chunk_by(|one, other| !one.copy && !other.copy) {
        let mut running = FuturesOrdered::new();
        let mut waiting = part.iter();
        running.extend(waiting.next().map(|statement| statement.run(tx, chunk).boxed()));
        for statement in part {
            running.extend(waiting.next().map(|statement| statement.run(tx, chunk).boxed()));
            let Some(result) = running.next().await else { break };
            let found = result.map_err(|error| Failed { table: statement.table, error })?;
            if statement.verb != Verb::Insert {
                missing.add(statement.table, (statement.group.rows.len() as u64).saturating_sub(found));
            }
        }
    }
    Ok(())
}

/// What one statement is to do.
struct Statement<'a> {
    table: TableId,
    verb: Verb,
    group: &'a Group,
    /// It is a COPY.
    copy: bool,
}

impl<'a> Statement<'a> {
    fn new(chunk: &Chunk, table: TableId, verb: Verb, group: &'a Group) -> Statement<'a> {
        // COPY sends a big value in pieces.
        let is_big = |row: &u32| {
            let row = &chunk.fold(table).rows()[*row as usize];
            let mut places = row.values..row.values + chunk.shape(row.shape).width();
            places.any(|place| chunk.values.get(place).is_some_and(|value| value.len() > COPY_PIECE))
        };
        let copy = verb == Verb::Insert && (group.rows.len() >= COPY_FROM || group.rows.iter().any(is_big));
        Statement { table, verb, group, copy }
    }

    /// Runs it. Returns how many rows it found.
    async fn run(&self, tx: &Db, chunk: &Chunk) -> Result<u64> {
        let (fold, table) = (chunk.fold(self.table), chunk.table(self.table));
        let rows: Vec<&Net> = self.group.rows.iter().map(|row| &fold.rows()[*row as usize]).collect();
        let result = match self.verb {
            Verb::Insert if self.copy => copy(tx, chunk, table, &rows).await,
            Verb::Insert => insert(tx, chunk, table, &rows).await,
            Verb::Update => update(tx, chunk, table, &rows, self.group.mixed).await,
            Verb::Delete => delete(tx, chunk, table, &rows).await,
        };
        result.map_err(|error| error.about(format!("table {}", table.name)))
    }
}

/// The parameters of a statement whose rows come from arrays.
struct Unnested<'a> {
    chunk: &'a Chunk,
    table: &'a Table,
    rows: &'a [&'a Net],
    arrays: Vec<Array<'a>>,
}

impl<'a> Unnested<'a> {
    fn new(chunk: &'a Chunk, table: &'a Table, rows: &'a [&'a Net]) -> Unnested<'a> {
        Unnested { chunk, table, rows, arrays: Vec::new() }
    }

    /// Adds a column of new values. Returns the expression for it.
    fn written(&mut self, column: ColumnId) -> String {
        let chunk = self.chunk;
        let values = self.rows.iter().map(move |row| {
            let place = chunk.shape(row.shape).place(column);
            place.and_then(|place| chunk.values.get(row.values + place))
        });
        self.add(column, values)
    }

    /// Adds the column at place `i` of the key that rows had. Returns the expression for it.
    fn origin(&mut self, i: u32, column: ColumnId) -> String {
        let chunk = self.chunk;
        let values = self.rows.iter().map(move |row| chunk.values.get(row.origin + i));
        self.add(column, values)
    }

    /// Adds whether each row sets a column. Returns the expression for it.
    fn sets(&mut self, column: ColumnId) -> String {
        let sets = self.rows.iter().map(|row| self.chunk.shape(row.shape).written.binary_search(&column).is_ok());
        self.arrays.push(Array::booleans(self.rows.len(), sets));
        format!("u.c{}", self.arrays.len())
    }

    fn add(&mut self, column: ColumnId, values: impl Iterator<Item = Option<&'a [u8]>> + Clone) -> String {
        let column = self.table.column(column);
        let array = Array::of(column.integer, self.rows.len(), values);
        let cast = if array.ty == Type::TEXT_ARRAY { format!("::{}", column.cast) } else { String::new() };
        self.arrays.push(array);
        format!("u.c{}{cast}", self.arrays.len())
    }

    /// The relation `u`, one row for each element of the arrays.
    ///
    /// A parameter inside a subquery hides from the planner how many there are: it then takes them for few and looks
    /// each up by the index, instead of reading the whole table for a hash join.
    fn relation(&self) -> String {
        let mut sql = "(select ".to_owned();
        for (i, array) in self.arrays.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let n = i + 1;
            let _ = write!(sql, "{comma}unnest((select ${n}::{})) as c{n}", array_name(&array.ty));
        }
        sql.push_str(") u");
        sql
    }

    async fn execute(&self, tx: &Db, action: &'static str, sql: String) -> Result<u64> {
        let params: Vec<Param<'_>> = self.arrays.iter().map(|array| (array as _, array.ty.clone())).collect();
        tx.execute(action, Sql::from_server(sql), &params).await
    }
}

fn array_name(ty: &Type) -> &'static str {
    match *ty {
        Type::INT2_ARRAY => "int2[]",
        Type::INT4_ARRAY => "int4[]",
        Type::INT8_ARRAY => "int8[]",
        Type::BOOL_ARRAY => "bool[]",
        _ => "text[]",
    }
}

fn written<'a>(chunk: &'a Chunk, rows: &[&Net]) -> &'a [ColumnId] {
    rows.first().map_or(&[], |row| &chunk.shape(row.shape).written)
}

/// `t.a = u.c1 and ...` for the key's columns.
fn condition(params: &mut Unnested<'_>, key: &[ColumnId]) -> String {
    let terms: Vec<String> = (0..)
        .zip(key)
        .map(|(i, column)| format!("t.{} = {}", params.table.column(*column).quoted, params.origin(i, *column)))
        .collect();
    terms.join(" and ")
}

async fn update(tx: &Db, chunk: &Chunk, table: &Table, rows: &[&Net], mixed: bool) -> Result<u64> {
    let Some(first) = rows.first() else { return Ok(0) };
    let mut params = Unnested::new(chunk, table, rows);
    let condition = condition(&mut params, &chunk.shape(first.shape).key);
    let mut list = Vec::new();
    if mixed {
        let columns: BTreeSet<ColumnId> =
            rows.iter().flat_map(|row| &chunk.shape(row.shape).written).copied().collect();
        for column in columns {
            let quoted = &table.column(column).quoted;
            let (set, value) = (params.sets(column), params.written(column));
            list.push(format!("{quoted} = case when {set} then {value} else t.{quoted} end"));
        }
    } else {
        for column in written(chunk, rows) {
            list.push(format!("{} = {}", table.column(*column).quoted, params.written(*column)));
        }
    }
    let sql =
        format!("update {} as t set {} from {} where {condition}", table.only(), list.join(", "), params.relation());
    params.execute(tx, "apply updates", sql).await
}

async fn delete(tx: &Db, chunk: &Chunk, table: &Table, rows: &[&Net]) -> Result<u64> {
    let Some(first) = rows.first() else { return Ok(0) };
    let mut params = Unnested::new(chunk, table, rows);
    let condition = condition(&mut params, &chunk.shape(first.shape).key);
    let sql = format!("delete from {} as t using {} where {condition}", table.only(), params.relation());
    params.execute(tx, "apply deletes", sql).await
}

fn column_list(table: &Table, columns: &[ColumnId]) -> String {
    columns.iter().map(|column| table.column(*column).quoted.as_str()).collect::<Vec<_>>().join(", ")
}

async fn insert(tx: &Db, chunk: &Chunk, table: &Table, rows: &[&Net]) -> Result<u64> {
    let columns = written(chunk, rows);
    let mut params = Unnested::new(chunk, table, rows);
    let list: Vec<String> = columns.iter().map(|column| params.written(*column)).collect();
    let sql = format!(
        "insert into {} ({}){} select {} from {}",
        table.name.quoted(),
        column_list(table, columns),
        table.overriding(),
        list.join(", "),
        params.relation()
    );
    params.execute(tx, "apply inserts", sql).await
}

async fn copy(tx: &Db, chunk: &Chunk, table: &Table, rows: &[&Net]) -> Result<u64> {
    let columns = written(chunk, rows);
    let sql = format!("copy {} ({}) from stdin", table.name.quoted(), column_list(table, columns));
    let mut copy = Copy { tx, sink: Box::pin(tx.copy_in(COPY, Sql::from_server(sql)).await?), piece: BytesMut::new() };
    copy.make_room();
    for row in rows {
        let shape = chunk.shape(row.shape);
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                copy.piece.extend_from_slice(b"\t");
            }
            let value = shape.place(*column).and_then(|place| chunk.values.get(row.values + place));
            match value {
                Some(value) if value.len() > COPY_PIECE => copy.send_big(value).await?,
                value => copy_value(value, &mut copy.piece),
            }
        }
        copy.piece.extend_from_slice(b"\n");
        if copy.piece.len() >= COPY_PIECE {
            copy.send().await?;
        }
    }
    copy.finish().await
}

const COPY: &str = "apply inserts";

/// Data on their way to the server.
struct Copy<'a> {
    tx: &'a Db,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    piece: BytesMut,
}

impl Copy<'_> {
    fn make_room(&mut self) {
        self.piece.reserve(COPY_PIECE + COPY_PIECE / 8);
    }

    async fn send(&mut self) -> Result<()> {
        let piece = self.piece.split().freeze();
        self.sink.send(piece).await.map_err(|e| self.tx.failed(COPY, e))?;
        self.make_room();
        Ok(())
    }

    /// Sends a value in pieces.
    async fn send_big(&mut self, value: &[u8]) -> Result<()> {
        for part in value.chunks(COPY_PIECE) {
            copy_value(Some(part), &mut self.piece);
            if self.piece.len() >= COPY_PIECE {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Returns how many rows the server took.
    async fn finish(mut self) -> Result<u64> {
        if !self.piece.is_empty() {
            self.send().await?;
        }
        self.sink.as_mut().finish().await.map_err(|e| self.tx.failed(COPY, e))
    }
}

/// Writes a value in COPY's text format.
fn copy_value(value: Option<&[u8]>, out: &mut BytesMut) {
    let Some(value) = value else {
        out.extend_from_slice(b"\\N");
        return;
    };
    if memchr3(b'\\', b'\n', b'\t', value).is_none() && memchr(b'\r', value).is_none() {
        out.extend_from_slice(value);
        return;
    }
    for byte in value {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(&[*byte]),
        }
    }
}
