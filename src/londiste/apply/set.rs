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
    let statements: Vec<SetStatement<'_>> =
        steps.iter().flat_map(|step| step.row_sets.iter().map(|set| SetStatement::new(chunk, step, set))).collect();
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
            if let Some((verb, rows)) = statement.looks_for() {
                let not_found = (rows.len() as u64).saturating_sub(found);
                let not_found = statement.look_for_cascades(chunk, verb, rows, [found, not_found], cascades);
                missing.add(statement.table, not_found);
            }
        }
    }
    Ok(())
}

/// A row set, and how it is applied.
struct SetStatement<'a> {
    table: TableId,
    set: &'a RowSet,
    /// What [`Method::Replace`] deletes.
    deleted: &'a [u32],
    method: Method,
}

/// How a row set is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Insert,
    Copy,
    Update,
    Delete,
    /// Deletes other rows first. The server checks foreign keys behind both.
    Replace,
}

impl<'a> SetStatement<'a> {
    fn new(chunk: &Chunk, step: &'a Step, set: &'a RowSet) -> SetStatement<'a> {
        let table = step.table;
        // COPY sends a big value in pieces.
        let is_big = |row: &u32| {
            let row = &chunk.net_changes(table).rows()[*row as usize];
            let mut places = row.values..row.values + chunk.shape(row.shape).width();
            places.any(|place| chunk.values.get(place).is_some_and(|value| value.len() > COPY_PIECE))
        };
        let method = match step.verb {
            Verb::Insert if !step.deleted.is_empty() => Method::Replace,
            Verb::Insert if set.rows.len() >= COPY_FROM || set.rows.iter().any(is_big) => Method::Copy,
            Verb::Insert => Method::Insert,
            Verb::Update => Method::Update,
            Verb::Delete => Method::Delete,
        };
        SetStatement { table, set, deleted: &step.deleted, method }
    }

    /// The rows that the statement looks for, and what it does to them; `None` when it only adds rows.
    fn looks_for(&self) -> Option<(Verb, &'a [u32])> {
        match self.method {
            Method::Update => Some((Verb::Update, &self.set.rows)),
            Method::Delete => Some((Verb::Delete, &self.set.rows)),
            Method::Replace => Some((Verb::Delete, self.deleted)),
            Method::Insert | Method::Copy => None,
        }
    }

    /// Takes note of what the rows that were found may cascade to. Returns how many of the other rows no cascade explains.
    fn look_for_cascades(
        &self,
        chunk: &Chunk,
        verb: Verb,
        rows: &[u32],
        [found, not_found]: [u64; 2],
        cascades: &mut Cascades,
    ) -> u64 {
        let (changes, table) = (chunk.net_changes(self.table), chunk.table(self.table));
        let mut shapes: Vec<ShapeId> = rows.iter().map(|row| changes.rows()[*row as usize].shape).collect();
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

    /// Runs the statement. Returns how many rows it changed, of those that it looks for if it does.
    async fn run(&self, tx: &Db, chunk: &Chunk) -> Result<u64> {
        let (changes, table) = (chunk.net_changes(self.table), chunk.table(self.table));
        let pick = |rows: &[u32]| rows.iter().map(|row| &changes.rows()[*row as usize]).collect();
        let rows: Vec<&NetChange> = pick(&self.set.rows);
        let written: &[ColumnId] = rows.first().map_or(&[], |row| &chunk.shape(row.shape).written);
        let result = match self.method {
            Method::Copy => copy(tx, chunk, table, written, &rows).await,
            Method::Insert => insert(tx, chunk, table, written, &rows).await,
            Method::Update => update(tx, chunk, table, &rows, self.set.columns).await,
            Method::Delete => delete(tx, chunk, table, &rows).await,
            Method::Replace => replace(tx, chunk, table, written, &pick(self.deleted), &rows).await,
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
    /// How many arrays belong to the rows of another relation of the statement.
    others: usize,
}

impl<'a> UnnestedRows<'a> {
    fn new(chunk: &'a Chunk, table: &'a TargetTable, rows: &'a [&'a NetChange]) -> UnnestedRows<'a> {
        UnnestedRows { chunk, table, rows, arrays: Vec::new(), others: 0 }
    }

    /// Begins another relation.
    fn begin(&mut self, rows: &'a [&'a NetChange]) {
        (self.rows, self.others) = (rows, self.arrays.len());
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
            .skip(self.others)
            .map(|(n, array)| sql!("pg_catalog.unnest((select ${n}::pg_catalog.{type})) as c{n}", n = n, type = array_name(&array.ty)));
        sql!("(select {columns}) u", columns = Sql::join(columns, ", "))
    }

    fn params(&self) -> Vec<Param<'_>> {
        self.arrays.iter().map(|array| (array as _, array.ty.clone())).collect()
    }

    async fn execute(&self, tx: &Db, action: &'static str, sql: Sql) -> Result<u64> {
        tx.execute(action, sql, &self.params()).await
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

/// Deletes rows and inserts others by one statement. Returns how many rows were there to delete.
async fn replace(
    tx: &Db,
    chunk: &Chunk,
    table: &TargetTable,
    written: &[ColumnId],
    deleted: &[&NetChange],
    rows: &[&NetChange],
) -> Result<u64> {
    let Some(first) = deleted.first() else { return insert(tx, chunk, table, written, rows).await };
    let mut params = UnnestedRows::new(chunk, table, deleted);
    let condition = condition(&mut params, &chunk.shape(first.shape).key);
    let delete = sql!(
        "delete from {table} as t using {rows} where {condition} returning 1",
        table = table.only(),
        rows = params.relation(),
        condition = condition
    );
    params.begin(rows);
    let list = Sql::join(written.iter().map(|column| params.written(*column)), ", ");
    // A row is inserted once all of "gone" was counted: unique values are free then.
    let sql = sql!(
        "with gone as ({delete}), new as (
             insert into {table} ({columns}){overriding}
             select {list} from {rows}, (select pg_catalog.count(*) from gone) g)
         select pg_catalog.count(*) from gone",
        delete = delete,
        table = &table.name,
        columns = table.column_list(written),
        overriding = table.overriding(),
        list = list,
        rows = params.relation()
    );
    let counts = tx.query("apply deletes and inserts", sql, &params.params()).await?;
    Ok(counts.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}
