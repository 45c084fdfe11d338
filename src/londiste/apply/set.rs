//! Carries out the steps of a plan: each row set by one statement.

use std::collections::BTreeSet;

use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio_postgres::types::Type;

use super::chunk::Chunk;
use super::copy_rows::{COPY_PIECE, copy};
use super::counts::{Cascades, MissingRows};
use super::net_changes::NetChange;
use super::param::ArrayParam;
use super::plan::{RowSet, SetColumns, Step};
use super::shape::{ShapeId, TableId};
use super::target_table::{ColumnId, ForeignKeyEnd, TargetColumn, TargetTable};
use crate::error::{Error, Result};
use crate::pg::{Db, Param, Sql, sql};
use crate::pgq::fragment::Verb;

/// Fewer rows than this are inserted by INSERT, unless values are big: COPY takes more round trips.
const COPY_FROM: usize = 100;

/// A step that the server did not carry out.
pub(super) struct FailedStep {
    pub(super) table: TableId,
    pub(super) error: Error,
}

/// Carries out the steps in their order. Adds to `missing` how many rows to update or delete were not found.
pub(super) async fn apply(
    tx: &Db,
    chunk: &Chunk,
    steps: &[Step],
    missing: &mut MissingRows,
    cascades: &mut Cascades,
) -> Result<(), FailedStep> {
    let statements: Vec<SetStatement<'_>> = steps
        .iter()
        .flat_map(|step| step.row_sets.iter().map(|set| SetStatement::new(chunk, step.table, step.verb, set)))
        .collect();
    // Each statement is sent while the server works on the one before. COPY takes several messages, and no other may come
    // between them.
    let is_copy = |statement: &SetStatement<'_>| statement.method == Method::Copy;
    for part in statements.chunk_by(|one, other| !is_copy(one) && !is_copy(other)) {
        let mut running = FuturesOrdered::new();
        let mut waiting = part.iter();
        running.extend(waiting.next().map(|statement| statement.run(tx, chunk).boxed()));
        for statement in part {
            running.extend(waiting.next().map(|statement| statement.run(tx, chunk).boxed()));
            let Some(result) = running.next().await else { break };
            let found = result.map_err(|error| FailedStep { table: statement.table, error })?;
            if let Some(verb) = statement.method.looked_up_by() {
                let not_found = (statement.set.rows.len() as u64).saturating_sub(found);
                missing.add(statement.table, statement.look_for_cascades(chunk, verb, [found, not_found], cascades));
            }
        }
    }
    Ok(())
}

/// A row set, and how it is applied.
struct SetStatement<'a> {
    table: TableId,
    set: &'a RowSet,
    method: Method,
}

/// How a row set is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Insert,
    Copy,
    Update,
    Delete,
}

impl Method {
    /// The verb of a statement that looks for rows that are there; `None` for one that adds rows.
    fn looked_up_by(self) -> Option<Verb> {
        match self {
            Method::Update => Some(Verb::Update),
            Method::Delete => Some(Verb::Delete),
            Method::Insert | Method::Copy => None,
        }
    }
}

impl<'a> SetStatement<'a> {
    fn new(chunk: &Chunk, table: TableId, verb: Verb, set: &'a RowSet) -> SetStatement<'a> {
        // COPY sends a big value in pieces.
        let is_big = |row: &u32| {
            let row = &chunk.net_changes(table).rows()[*row as usize];
            let mut places = row.values..row.values + chunk.shape(row.shape).width();
            places.any(|place| chunk.values.get(place).is_some_and(|value| value.len() > COPY_PIECE))
        };
        let method = match verb {
            Verb::Insert if set.rows.len() >= COPY_FROM || set.rows.iter().any(is_big) => Method::Copy,
            Verb::Insert => Method::Insert,
            Verb::Update => Method::Update,
            Verb::Delete => Method::Delete,
        };
        SetStatement { table, set, method }
    }

    /// Takes note of what the rows that were found may cascade to. Returns how many of the other rows no cascade explains.
    fn look_for_cascades(
        &self,
        chunk: &Chunk,
        verb: Verb,
        [found, not_found]: [u64; 2],
        cascades: &mut Cascades,
    ) -> u64 {
        let (changes, table) = (chunk.net_changes(self.table), chunk.table(self.table));
        let mut shapes: Vec<ShapeId> = self.set.rows.iter().map(|row| changes.rows()[*row as usize].shape).collect();
        shapes.sort_unstable();
        shapes.dedup();
        if found > 0 && table.foreign_keys.iter().any(|key| key.end == ForeignKeyEnd::Parent) {
            for shape in &shapes {
                cascades.add(table, verb, chunk.shape(*shape));
            }
        }
        let is_explained =
            not_found > 0 && shapes.iter().any(|shape| cascades.explain(table, verb, chunk.shape(*shape)));
        if is_explained { 0 } else { not_found }
    }

    /// Runs the statement. Returns how many rows it changed.
    async fn run(&self, tx: &Db, chunk: &Chunk) -> Result<u64> {
        let (changes, table) = (chunk.net_changes(self.table), chunk.table(self.table));
        let rows: Vec<&NetChange> = self.set.rows.iter().map(|row| &changes.rows()[*row as usize]).collect();
        let written: &[ColumnId] = rows.first().map_or(&[], |row| &chunk.shape(row.shape).written);
        let result = match self.method {
            Method::Copy => copy(tx, chunk, table, written, &rows).await,
            Method::Insert => insert(tx, chunk, table, written, &rows).await,
            Method::Update => update(tx, chunk, table, &rows, self.set.columns).await,
            Method::Delete => delete(tx, chunk, table, &rows).await,
        };
        result.map_err(|error| error.about(format!("table {}", table.name)))
    }
}

/// The parameters of a statement that gets the values of its rows in arrays, one array for a column.
struct UnnestedRows<'a> {
    chunk: &'a Chunk,
    table: &'a TargetTable,
    rows: &'a [&'a NetChange],
    arrays: Vec<ArrayParam<'a>>,
}

impl<'a> UnnestedRows<'a> {
    fn new(chunk: &'a Chunk, table: &'a TargetTable, rows: &'a [&'a NetChange]) -> UnnestedRows<'a> {
        UnnestedRows { chunk, table, rows, arrays: Vec::new() }
    }

    /// Adds a column of new values. Returns the expression for it.
    fn written(&mut self, column: ColumnId) -> Sql {
        let chunk = self.chunk;
        let values = self.rows.iter().map(move |row| {
            let place = chunk.shape(row.shape).place(column);
            place.and_then(|place| chunk.values.get(row.values + place))
        });
        self.add(column, &sql!("::{type}", type = &self.table.column(column).cast), values)
    }

    /// Adds the column at place `i` of the key that the rows had. Returns the expression for it.
    fn origin(&mut self, i: u32, column: ColumnId) -> Sql {
        let chunk = self.chunk;
        let values = self.rows.iter().map(move |row| chunk.values.get(row.origin + i));
        let TargetColumn { cast, equality, .. } = self.table.column(column);
        let cast = equality.value_cast.clone().unwrap_or_else(|| sql!("::{type}", type = cast));
        self.add(column, &cast, values)
    }

    /// Adds whether each row sets a column. Returns the expression for it.
    fn sets(&mut self, column: ColumnId) -> Sql {
        let sets = self.rows.iter().map(|row| self.chunk.shape(row.shape).written.binary_search(&column).is_ok());
        self.arrays.push(ArrayParam::booleans(self.rows.len(), sets));
        sql!("u.c{n}", n = self.arrays.len())
    }

    /// Adds values. `cast` stands behind their expression, unless the parameter has the type itself.
    fn add(&mut self, column: ColumnId, cast: &Sql, values: impl Iterator<Item = Option<&'a [u8]>> + Clone) -> Sql {
        let array = ArrayParam::of(self.table.column(column).integer, self.rows.len(), values);
        let is_text = array.ty == Type::TEXT_ARRAY;
        self.arrays.push(array);
        let n = self.arrays.len();
        if is_text { sql!("u.c{n}{cast}", n = n, cast = cast) } else { sql!("u.c{n}", n = n) }
    }

    /// The relation `u`, one row for each element of the arrays.
    ///
    /// A parameter in a subquery hides from the planner how many elements there are. It then takes them for few and looks
    /// each up by the index, instead of reading the whole table for a hash join.
    fn relation(&self) -> Sql {
        let columns = (1..=self.arrays.len())
            .zip(&self.arrays)
            .map(|(n, array)| sql!("pg_catalog.unnest((select ${n}::pg_catalog.{type})) as c{n}", n = n, type = array_name(&array.ty)));
        sql!("(select {columns}) u", columns = Sql::join(columns, ", "))
    }

    async fn execute(&self, tx: &Db, action: &'static str, sql: Sql) -> Result<u64> {
        let params: Vec<Param<'_>> = self.arrays.iter().map(|array| (array as _, array.ty.clone())).collect();
        tx.execute(action, sql, &params).await
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

/// The condition that finds a row by the key that it had.
fn condition(params: &mut UnnestedRows<'_>, key: &[ColumnId]) -> Sql {
    let terms = (0..).zip(key).map(|(i, column)| {
        let TargetColumn { quoted, equality, .. } = params.table.column(*column);
        sql!(
            "t.{column}{cast} {equals} {value}",
            column = quoted,
            cast = &equality.column_cast,
            equals = &equality.operator,
            value = params.origin(i, *column)
        )
    });
    Sql::join(terms, " and ")
}

async fn update(
    tx: &Db,
    chunk: &Chunk,
    table: &TargetTable,
    rows: &[&NetChange],
    set_columns: SetColumns,
) -> Result<u64> {
    let Some(first) = rows.first() else { return Ok(0) };
    let first = chunk.shape(first.shape);
    let mut params = UnnestedRows::new(chunk, table, rows);
    let condition = condition(&mut params, &first.key);
    let mut list = Vec::new();
    match set_columns {
        SetColumns::Same => {
            for column in &first.written {
                let quoted = &table.column(*column).quoted;
                list.push(sql!("{column} = {value}", column = quoted, value = params.written(*column)));
            }
        }
        SetColumns::Different => {
            let columns: BTreeSet<ColumnId> =
                rows.iter().flat_map(|row| &chunk.shape(row.shape).written).copied().collect();
            for column in columns {
                let quoted = &table.column(column).quoted;
                let (set, value) = (params.sets(column), params.written(column));
                list.push(sql!(
                    "{column} = case when {set} then {value} else t.{column} end",
                    column = quoted,
                    set = set,
                    value = value
                ));
            }
        }
    }
    let sql = sql!(
        "update {table} as t set {list} from {rows} where {condition}",
        table = table.only(),
        list = Sql::join(list, ", "),
        rows = params.relation(),
        condition = condition
    );
    params.execute(tx, "apply updates", sql).await
}

async fn delete(tx: &Db, chunk: &Chunk, table: &TargetTable, rows: &[&NetChange]) -> Result<u64> {
    let Some(first) = rows.first() else { return Ok(0) };
    let mut params = UnnestedRows::new(chunk, table, rows);
    let condition = condition(&mut params, &chunk.shape(first.shape).key);
    let sql = sql!(
        "delete from {table} as t using {rows} where {condition}",
        table = table.only(),
        rows = params.relation(),
        condition = condition
    );
    params.execute(tx, "apply deletes", sql).await
}

async fn insert(tx: &Db, chunk: &Chunk, table: &TargetTable, written: &[ColumnId], rows: &[&NetChange]) -> Result<u64> {
    let mut params = UnnestedRows::new(chunk, table, rows);
    let list = Sql::join(written.iter().map(|column| params.written(*column)), ", ");
    let sql = sql!(
        "insert into {table} ({columns}){overriding} select {list} from {rows}",
        table = &table.name,
        columns = table.column_list(written),
        overriding = table.overriding(),
        list = list,
        rows = params.relation()
    );
    params.execute(tx, "apply inserts", sql).await
}
