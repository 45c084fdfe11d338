//! Statements of all kinds that write, made from what the catalog says of a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::catalog::{self, Catalog, Column, ForeignKey, Table, quote};
use super::values;
use crate::support::statements::Dice;
use crate::support::{Session, SqlError};

/// How many tables a TRUNCATE may empty: that many refer to each other.
const TRUNCATED: usize = 3;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Insert,
    InsertSelect,
    DoNothing,
    DoUpdate,
    Update,
    UpdateOfKey,
    Delete,
    Merge,
    Truncate,
    Copy,
    Prepared,
}

/// A statement that is ready to run.
#[derive(Debug)]
pub enum Statement {
    Sql(Kind, String),
    /// The query makes the values, as texts: for statements that take no subqueries.
    Rows {
        kind: Kind,
        query: String,
        table: String,
        columns: Vec<Column>,
        key: Vec<String>,
    },
}

impl Statement {
    pub fn kind(&self) -> Kind {
        match self {
            Statement::Sql(kind, _) | Statement::Rows { kind, .. } => *kind,
        }
    }

    /// What a report shows.
    pub fn text(&self) -> &str {
        match self {
            Statement::Sql(_, sql) => sql,
            Statement::Rows { query, .. } => query,
        }
    }

    pub fn run(&self, session: &Session) -> Result<(), SqlError> {
        match self {
            Statement::Sql(_, sql) => session.try_rows(sql).map(drop),
            Statement::Rows { kind, query, table, columns, key } => {
                let rows = session.try_rows(query)?;
                if *kind == Kind::Copy {
                    copy(session, table, columns, &rows)
                } else {
                    prepared(session, table, columns, key, &rows)
                }
            }
        }
    }
}

fn copy(session: &Session, table: &str, columns: &[Column], rows: &[Vec<String>]) -> Result<(), SqlError> {
    let mut lines = String::new();
    for row in rows {
        let fields = row.iter().map(|field| match field.as_str() {
            "NULL" => "\\N".to_owned(),
            text => text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r"),
        });
        let _ = writeln!(lines, "{}", fields.collect::<Vec<_>>().join("\t"));
    }
    session.try_copy_in(&format!("copy {table} ({}) from stdin", names(columns)), lines).map(drop)
}

/// Prepares a statement where the session has none of its kind, and executes it.
fn prepared(
    session: &Session,
    table: &str,
    columns: &[Column],
    key: &[String],
    rows: &[Vec<String>],
) -> Result<(), SqlError> {
    let Some(row) = rows.first() else { return Ok(()) };
    let names = names(columns);
    let types: Vec<&str> = columns.iter().map(|column| column.type_name.as_str()).collect();
    let numbers: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let sql = if key.is_empty() {
        format!("insert into {table} ({names}) values ({})", numbers.join(", "))
    } else {
        let all: Vec<String> = key.iter().zip(&numbers).map(|(name, number)| format!("{name} = {number}")).collect();
        format!("delete from {table} where {}", all.join(" and "))
    };
    let kind = if key.is_empty() { "insert" } else { "delete" };
    let name =
        format!("\"{kind} {}\"", format!("{table} {names}").replace('"', "").chars().take(50).collect::<String>());
    let known = session.try_rows("select '\"' || name || '\"', statement from pg_prepared_statements")?;
    let prepare = format!("prepare {name} ({}) as {sql}", types.join(", "));
    match known.iter().find(|known| known[0] == name) {
        Some(known) if known[1] == prepare => {}
        Some(_) => drop(session.try_rows(&format!("deallocate {name}; {prepare}"))?),
        None => drop(session.try_rows(&prepare)?),
    }
    let literal = |(field, type_name): (&String, &&str)| match field.as_str() {
        "NULL" => format!("null::{type_name}"),
        text => format!("{}::{type_name}", quote(text)),
    };
    let values: Vec<String> = row.iter().zip(&types).map(literal).collect();
    session.try_rows(&format!("execute {name} ({})", values.join(", "))).map(drop)
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The next statement; `None` where a table does not do with the kind that was drawn.
pub fn next(catalog: &Catalog, dice: &mut Dice) -> Option<Statement> {
    let number = place(dice, catalog.tables.len());
    let table = &catalog.tables[number];
    let rows = 1 + dice.below(4);
    match dice.below(200) {
        0..40 => insert(catalog, number, rows, dice),
        40..55 => insert_select(catalog, table, dice),
        55..70 => upsert(catalog, table, Kind::DoNothing, dice),
        70..95 => upsert(catalog, table, Kind::DoUpdate, dice),
        95..130 => update(catalog, table, dice),
        130..140 => update_of_key(catalog, table, dice),
        140..160 => Some(delete(table, dice)),
        160..170 => merge(catalog, table, dice),
        170..180 => copied(catalog, table, rows, dice),
        180..199 => executed(catalog, table, dice),
        _ => truncate(catalog, table, dice),
    }
}

fn place(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.below(count as u64)).unwrap()
}

/// Which columns a row gives values to, and where from.
struct Plan<'a> {
    table: &'a Table,
    /// Parents' rows give the values of foreign keys.
    keys: Vec<&'a ForeignKey>,
    columns: Vec<&'a Column>,
}

/// Whether a row has to have a value for each column of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Given,
    /// The default may make it.
    Free,
}

impl<'a> Plan<'a> {
    fn draw(table: &'a Table, key: Key, dice: &mut Dice) -> Plan<'a> {
        let in_key = |name: &String| table.key.contains(name);
        let column = |name: &String| table.columns.iter().find(|column| column.name == *name);
        let (mut keys, mut taken, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for foreign_key in &table.foreign_keys {
            let free: Vec<&String> = foreign_key.columns.iter().filter(|name| !taken.contains(name)).collect();
            let made = |name: &&String| in_key(name) && column(name).is_some_and(|column| column.has_default);
            let can_be_null = free.iter().all(|name| column(name).is_none_or(|column| column.is_nullable));
            if free.is_empty() {
                continue;
            }
            if free.iter().any(made) {
                left_out.extend(free.into_iter().filter(|name| !in_key(name)));
            } else if can_be_null && dice.below(5) == 0 {
                left_out.extend(free);
            } else {
                taken.extend(free);
                keys.push(foreign_key);
            }
        }
        let mut columns = Vec::new();
        for column in &table.columns {
            let is_key = in_key(&column.name);
            let omitted = if taken.contains(&&column.name) || is_key && key == Key::Given {
                false
            } else if left_out.contains(&&column.name) {
                true
            } else if column.is_always || is_key && column.has_default {
                dice.below(8) > 0
            } else {
                column.has_default && dice.below(5) < 3
            };
            if !omitted {
                columns.push(column);
            }
        }
        Plan { table, keys, columns }
    }

    /// What an INSERT says between its columns and its rows.
    fn overriding(&self) -> &'static str {
        if self.columns.iter().any(|column| column.is_always) { "overriding system value" } else { "" }
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// A query of one row.
    fn row(&self, catalog: &Catalog, dice: &mut Dice, text: &str) -> String {
        let mut given: BTreeMap<&str, String> = BTreeMap::new();
        let mut from = "(select 1) one".to_owned();
        for (number, key) in self.keys.iter().enumerate() {
            let pairs = || key.columns.iter().zip(&key.parent_columns);
            let conditions: Vec<String> = pairs()
                .filter_map(|(column, parent)| given.get(column.as_str()).map(|value| format!("p.{parent} = {value}")))
                .collect();
            let conditions = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" and ") };
            let columns: Vec<String> =
                pairs().enumerate().map(|(n, (_, parent))| format!("p.{parent} as c{n}")).collect();
            let _ = write!(
                from,
                " left join lateral (select {} from {} p where {conditions} order by md5(p::text || '{}') limit 1) f{number} on true",
                columns.join(", "),
                key.parent,
                dice.below(1000)
            );
            for (n, column) in key.columns.iter().enumerate() {
                given.entry(column.as_str()).or_insert_with(|| format!("f{number}.c{n}"));
            }
        }
        let mut expressions = Vec::new();
        for column in &self.columns {
            let value = match given.get(column.name.as_str()) {
                // By its text: PostgreSQL does not check a domain again where an outer join gives null.
                Some(value) => format!("{value}::text::{}", column.type_name),
                None => literal(catalog, column, self.table.key.contains(&column.name), dice),
            };
            expressions.push(format!("({value}){text}"));
        }
        format!("select {} from {from}", expressions.join(", "))
    }

    fn rows(&self, catalog: &Catalog, count: u64, dice: &mut Dice, text: &str) -> String {
        (0..count).map(|_| format!("({})", self.row(catalog, dice, text))).collect::<Vec<_>>().join(" union all ")
    }
}

/// A value of the column's type.
fn literal(catalog: &Catalog, column: &Column, is_key: bool, dice: &mut Dice) -> String {
    let is_null = column.is_nullable && !is_key && dice.below(6) == 0;
    let text = if is_null { None } else { values::value(&catalog.types, column.type_id, column.modifier, dice) };
    text.map_or_else(|| format!("null::{}", column.type_name), |text| format!("{}::{}", quote(&text), column.type_name))
}

/// ON CONFLICT DO NOTHING; with a target where not all constraints can be arbiters.
fn do_nothing(table: &Table) -> Option<String> {
    match (table.has_deferrable, table.key.as_slice()) {
        (true, []) => None,
        (true, key) => Some(format!("on conflict ({}) do nothing", key.join(", "))),
        (false, _) => Some("on conflict do nothing".to_owned()),
    }
}

/// Whether INSERT takes ON CONFLICT: not with rules, not into a view, not into a partitioned table of PostgreSQL 10.
fn takes_conflicts(catalog: &Catalog, table: &Table) -> bool {
    !table.has_rules
        && match table.kind {
            catalog::Kind::Plain | catalog::Kind::Partition => true,
            catalog::Kind::Partitioned => catalog.major >= 11,
            catalog::Kind::View => false,
        }
}

pub fn insert(catalog: &Catalog, number: usize, rows: u64, dice: &mut Dice) -> Option<Statement> {
    let table = &catalog.tables[number];
    if table.kind == catalog::Kind::View {
        return None;
    }
    let plan = Plan::draw(table, Key::Free, dice);
    if plan.columns.is_empty() {
        return Some(Statement::Sql(Kind::Insert, format!("insert into {} default values", table.name)));
    }
    let rows = plan.rows(catalog, rows, dice, "");
    let sql = format!("insert into {} ({}) {} {rows}", table.name, plan.names(), plan.overriding());
    Some(Statement::Sql(Kind::Insert, sql))
}

/// Rows of the table itself under other keys.
fn insert_select(catalog: &Catalog, table: &Table, dice: &mut Dice) -> Option<Statement> {
    if !takes_conflicts(catalog, table) {
        return None;
    }
    let is_parent = |name: &String| table.foreign_keys.iter().any(|key| key.columns.contains(name));
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for column in &table.columns {
        let in_key = table.key.contains(&column.name);
        if column.is_always || in_key && column.has_default {
            continue;
        }
        columns.push(column.name.as_str());
        values.push(if in_key && !is_parent(&column.name) {
            literal(catalog, column, true, dice)
        } else {
            format!("s.{}", column.name)
        });
    }
    if columns.is_empty() {
        return None;
    }
    let sql = format!(
        "insert into {table} ({}) select {} from {table} s order by md5(s::text || '{}') limit {} {}",
        columns.join(", "),
        values.join(", "),
        dice.below(1000),
        1 + dice.below(5),
        do_nothing(table)?,
        table = table.name
    );
    Some(Statement::Sql(Kind::InsertSelect, sql))
}

fn upsert(catalog: &Catalog, table: &Table, kind: Kind, dice: &mut Dice) -> Option<Statement> {
    if !takes_conflicts(catalog, table) || kind == Kind::DoUpdate && table.key.is_empty() {
        return None;
    }
    let plan = Plan::draw(table, if kind == Kind::DoUpdate { Key::Given } else { Key::Free }, dice);
    let set: Vec<String> = others(&plan).map(|name| format!("{name} = excluded.{name}")).collect();
    let action = if kind == Kind::DoNothing {
        do_nothing(table)?
    } else if set.is_empty() {
        return None;
    } else {
        format!("on conflict ({}) do update set {}", table.key.join(", "), set.join(", "))
    };
    if plan.columns.is_empty() {
        return None;
    }
    let count = 1 + dice.below(2);
    let rows = plan.rows(catalog, count, dice, "");
    let sql = format!("insert into {} ({}) {} {rows} {action}", table.name, plan.names(), plan.overriding());
    Some(Statement::Sql(kind, sql))
}

/// The columns of a plan that an update may set.
fn others<'a>(plan: &'a Plan<'a>) -> impl Iterator<Item = &'a str> {
    plan.columns
        .iter()
        .filter(|column| !column.is_always && !plan.table.key.contains(&column.name))
        .map(|column| column.name.as_str())
}

/// A condition for some rows of a table.
fn some_rows(table: &Table, limit: u64, dice: &mut Dice) -> String {
    let key = match table.kind {
        catalog::Kind::View => table.columns[0].name.clone(),
        _ if table.key.is_empty() => "tableoid, ctid".to_owned(),
        _ => table.key.join(", "),
    };
    format!(
        "({key}) in (select {key} from {} s order by md5(s::text || '{}') limit {})",
        table.name,
        dice.below(1000),
        1 + dice.below(limit)
    )
}

/// An assignment from a parent's row, for the columns of a foreign key that pass the test.
fn from_parent(table: &Table, key: &ForeignKey, sets: impl Fn(&String) -> bool, dice: &mut Dice) -> Option<String> {
    let pairs = || key.columns.iter().zip(&key.parent_columns);
    let kept = pairs().filter(|(column, _)| !sets(column));
    let mut conditions: Vec<String> = kept.map(|(column, parent)| format!("p.{parent} = t.{column}")).collect();
    conditions.push("true".to_owned());
    let order = format!("where {} order by md5(p::text || '{}') limit 1", conditions.join(" and "), dice.below(1000));
    let type_name = |name: &String| table.columns.iter().find(|column| column.name == *name).map(|c| &c.type_name);
    let mut set = Vec::new();
    for (column, parent) in pairs().filter(|(column, _)| sets(column)) {
        // By its text: PostgreSQL does not check a domain again where a subquery gives null.
        let value = format!("(select p.{parent} from {} p {order})::text::{}", key.parent, type_name(column)?);
        set.push(format!("{column} = {value}"));
    }
    (!set.is_empty()).then(|| set.join(", "))
}

fn update(catalog: &Catalog, table: &Table, dice: &mut Dice) -> Option<Statement> {
    let in_key = |name: &String| table.key.contains(name);
    let of_parent = |name: &String| table.foreign_keys.iter().any(|key| key.columns.contains(name));
    let mut set = Vec::new();
    if !table.foreign_keys.is_empty() && dice.below(3) == 0 {
        let key = &table.foreign_keys[place(dice, table.foreign_keys.len())];
        set.extend(from_parent(table, key, |column| !in_key(column), dice));
    }
    let free: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| !column.is_always && !in_key(&column.name) && !of_parent(&column.name))
        .collect();
    // The key of a view is its first column.
    let first = usize::from(table.kind == catalog::Kind::View);
    if free.len() > first {
        for _ in 0..=dice.below(2) {
            let column = free[first + place(dice, free.len() - first)];
            if set.iter().all(|other: &String| !other.starts_with(&format!("{} =", column.name))) {
                set.push(format!("{} = {}", column.name, literal(catalog, column, false, dice)));
            }
        }
    }
    if set.is_empty() {
        return None;
    }
    let rows = some_rows(table, 6, dice);
    Some(Statement::Sql(Kind::Update, format!("update {} t set {} where {rows}", table.name, set.join(", "))))
}

fn update_of_key(catalog: &Catalog, table: &Table, dice: &mut Dice) -> Option<Statement> {
    if table.key.is_empty() {
        return None;
    }
    let name = &table.key[place(dice, table.key.len())];
    let column = table.columns.iter().find(|column| column.name == *name && !column.is_always)?;
    let set = match table.foreign_keys.iter().find(|key| key.columns.contains(name)) {
        Some(key) => from_parent(table, key, |column| key.columns.contains(column), dice)?,
        None => format!("{name} = {}", literal(catalog, column, true, dice)),
    };
    let rows = some_rows(table, 1, dice);
    Some(Statement::Sql(Kind::UpdateOfKey, format!("update {} t set {set} where {rows}", table.name)))
}

fn delete(table: &Table, dice: &mut Dice) -> Statement {
    let rows = some_rows(table, 4, dice);
    Statement::Sql(Kind::Delete, format!("delete from {} where {rows}", table.name))
}

fn merge(catalog: &Catalog, table: &Table, dice: &mut Dice) -> Option<Statement> {
    if catalog.major < 15 || table.key.is_empty() || !takes_conflicts(catalog, table) {
        return None;
    }
    let plan = Plan::draw(table, Key::Given, dice);
    let names = plan.names();
    let on: Vec<String> = table.key.iter().map(|name| format!("t.{name} = s.{name}")).collect();
    let set: Vec<String> = others(&plan).map(|name| format!("{name} = s.{name}")).collect();
    let matched = match dice.below(4) {
        0 => "delete".to_owned(),
        1 => "do nothing".to_owned(),
        _ if set.is_empty() => return None,
        _ => format!("update set {}", set.join(", ")),
    };
    let values: Vec<String> = plan.columns.iter().map(|column| format!("s.{}", column.name)).collect();
    let sql = format!(
        "merge into {} t using ({}) s ({names}) on {} when matched then {matched}
         when not matched then insert ({names}) {} values ({})",
        table.name,
        plan.rows(catalog, 1 + dice.below(2), dice, ""),
        on.join(" and "),
        plan.overriding(),
        values.join(", ")
    );
    Some(Statement::Sql(Kind::Merge, sql))
}

fn copied(catalog: &Catalog, table: &Table, rows: u64, dice: &mut Dice) -> Option<Statement> {
    let plan = Plan::draw(table, Key::Free, dice);
    if table.kind == catalog::Kind::View || plan.columns.is_empty() {
        return None;
    }
    let columns = plan.columns.iter().map(|column| (*column).clone()).collect();
    let query = plan.rows(catalog, rows, dice, "::text");
    Some(Statement::Rows { kind: Kind::Copy, query, table: table.name.clone(), columns, key: Vec::new() })
}

/// An INSERT, or a DELETE by the key.
fn executed(catalog: &Catalog, table: &Table, dice: &mut Dice) -> Option<Statement> {
    if table.kind == catalog::Kind::View {
        return None;
    }
    if dice.below(3) == 0 && !table.key.is_empty() {
        let column = |name: &String| table.columns.iter().find(|column| column.name == *name).cloned();
        let columns = table.key.iter().map(column).collect::<Option<Vec<Column>>>()?;
        let texts: Vec<String> = table.key.iter().map(|name| format!("s.{name}::text")).collect();
        let query = format!(
            "select {} from {} s order by md5(s::text || '{}') limit 1",
            texts.join(", "),
            table.name,
            dice.below(1000)
        );
        let key = table.key.clone();
        return Some(Statement::Rows { kind: Kind::Prepared, query, table: table.name.clone(), columns, key });
    }
    let plan = Plan::draw(table, Key::Free, dice);
    // PREPARE has no place for it.
    if plan.columns.is_empty() || !plan.overriding().is_empty() {
        return None;
    }
    let columns = plan.columns.iter().map(|column| (*column).clone()).collect();
    let query = plan.rows(catalog, 1, dice, "::text");
    Some(Statement::Rows { kind: Kind::Prepared, query, table: table.name.clone(), columns, key: Vec::new() })
}

/// Empties a table and those that refer to it, where these are few.
fn truncate(catalog: &Catalog, table: &Table, dice: &mut Dice) -> Option<Statement> {
    if table.kind == catalog::Kind::View {
        return None;
    }
    let mut emptied = vec![table.name.as_str()];
    let mut next = 0;
    while next < emptied.len() {
        let parent = emptied[next];
        next += 1;
        for child in &catalog.tables {
            let refers = child.foreign_keys.iter().any(|key| key.parent == parent);
            if refers && !emptied.contains(&child.name.as_str()) {
                emptied.push(&child.name);
            }
        }
    }
    let restart = if dice.below(3) == 0 { "restart identity" } else { "" };
    (emptied.len() <= TRUNCATED)
        .then(|| Statement::Sql(Kind::Truncate, format!("truncate {} {restart} cascade", table.name)))
}
