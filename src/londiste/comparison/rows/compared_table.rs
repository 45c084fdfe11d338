//! How the two tables are read: which columns, and in which order.
//!
//! Rows are paired by the text of their keys. What is printed and written stands in one order, whatever the collations of the
//! databases: that of the type where it is the same everywhere, else that of the bytes of the text.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::pg::catalog::equality::{self as operators, Equality as Operator};
use crate::pg::catalog::{self, Column, Identity, Table};
use crate::pg::{Db, FqName, RawText, Sql, sql, text_array};

use super::super::super::state::provider_queue;
use super::equality::Equality;
use super::row::RowText;
use super::shape::{Shape, shapes};
use super::subject::{Subject, source};

/// How values of a key's column are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Integer,
    /// Dates and timestamps: [`time_key`] orders their text, which has years of any length, `BC` and `infinity`.
    Time,
    /// The order of the bytes of the text.
    Text,
}

/// What makes two values of a column equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// What they stand for.
    Value,
    /// Their text.
    Text,
}

/// One of the two sides of a table.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// The table as `from` takes it.
    pub(crate) source: Sql,
    /// The key's columns.
    pub(crate) keys: Vec<Sql>,
    /// The values of the columns as text.
    pub(crate) values: Vec<Sql>,
    /// Expressions that have the same text on both sides for equal values of the columns.
    canonical: Vec<Sql>,
    /// Those of them by which columns with [`Equality::Shape`] are compared; rows have them behind their values.
    shaped: Vec<Sql>,
    /// The types of the key's columns.
    pub(crate) key_types: Vec<Sql>,
}

/// The columns that are compared, and how they are read and written.
#[derive(Clone, Debug)]
pub(crate) struct ComparedTable {
    pub(crate) name: FqName,
    /// The key's columns, then all other columns that both sides have and at most one of them generates, in the provider's
    /// order.
    pub(crate) columns: Vec<String>,
    /// Which of the columns the subscriber generates, so that they cannot be set.
    pub(crate) generated: Vec<bool>,
    /// `columns` as they are written in SQL: quoted only where needed.
    pub(crate) quoted: Vec<Sql>,
    /// The table as it is written in SQL.
    pub(crate) quoted_table: Sql,
    /// `only `, unless the subscriber's table is partitioned.
    pub(crate) only: &'static str,
    pub(crate) key_len: usize,
    /// Whether inserts need `overriding system value`: the subscriber has a column that is `generated always as
    /// identity`.
    pub(crate) overrides_identity: bool,
    pub(crate) provider: Side,
    pub(crate) subscriber: Side,
    orders: Vec<Order>,
    equalities: Vec<Equality>,
    /// How the subscriber compares values of the columns.
    operators: Vec<Operator>,
}

impl ComparedTable {
    pub(crate) async fn of(
        provider_db: &Db,
        subscriber_db: &Db,
        table: &Subject,
        queue: &str,
        by: By,
    ) -> Result<ComparedTable> {
        Self::with_key([provider_db, subscriber_db], table, queue, by, Key::Needed).await
    }

    /// As [`ComparedTable::of`], for any table: without a key that is unique on both sides, the key has no columns.
    pub(crate) async fn keyed_or_not(sides: [&Db; 2], table: &Subject, queue: &str, by: By) -> Result<ComparedTable> {
        Self::with_key(sides, table, queue, by, Key::WhereUnique).await
    }

    async fn with_key(
        [provider_db, subscriber_db]: [&Db; 2],
        table: &Subject,
        queue: &str,
        by: By,
        key: Key,
    ) -> Result<ComparedTable> {
        let gone = || Error::missing(format!("{}: the table is gone", table.name), "");
        let theirs = catalog::structure(provider_db, &table.name).await?.ok_or_else(gone)?;
        let ours = catalog::structure(subscriber_db, &table.name).await?.ok_or_else(gone)?;
        let chosen = provider_queue::chosen_keys(provider_db, queue).await?.remove(&table.name);
        let pairs = pairs(&theirs, &ours, chosen.as_deref(), key).ok_or_else(|| {
            Error::mismatch(
                format!("{}: pkeys do not match", table.name),
                "Give the table the same primary key on both sides.",
            )
        })?;
        let key_len = pairs.iter().filter(|pair| pair.in_key).count();
        let columns: Vec<String> = pairs.iter().map(|pair| pair.theirs.name.clone()).collect();
        let orders: Vec<Order> = pairs[..key_len].iter().map(Pair::order).collect();
        let types: Vec<[&Column; 2]> = pairs.iter().map(|pair| [pair.theirs, pair.ours]).collect();
        let shapes = shapes([provider_db, subscriber_db], &types).await?;
        let equality = |(pair, shapes): (&Pair<'_>, &Option<_>)| match by {
            By::Value => Equality::of(pair.theirs, pair.ours, shapes.is_some()),
            By::Text => Equality::Text,
        };
        let equalities: Vec<Equality> = pairs.iter().zip(&shapes).map(equality).collect();
        let side = |kind, nr: usize| {
            let columns: Vec<Column> = types.iter().map(|pair| pair[nr].clone()).collect();
            let canonical = |((column, equality), shapes): ((&Column, &Equality), &Option<[Shape; 2]>)| {
                let value = sql!("t.{name}", name = Sql::ident(&column.name));
                match shapes {
                    Some(shapes) if *equality == Equality::Shape => shapes[nr].canonical(&value),
                    _ => equality.canonical(&value, &value_sql(column)),
                }
            };
            let canonical: Vec<Sql> = columns.iter().zip(&equalities).zip(&shapes).map(canonical).collect();
            let is_shaped = |(expression, equality): (&Sql, &Equality)| {
                (*equality == Equality::Shape).then(|| sql!("({expression})::text", expression = expression))
            };
            Side {
                source: source(&table.name, kind),
                keys: columns[..key_len].iter().map(|c| sql!("t.{name}", name = Sql::ident(&c.name))).collect(),
                values: columns.iter().map(value_sql).collect(),
                shaped: canonical.iter().zip(&equalities).filter_map(is_shaped).collect(),
                canonical,
                key_types: columns[..key_len].iter().map(|c| Sql::from_server(c.type_name.clone())).collect(),
            }
        };
        let generated = pairs.iter().map(|pair| pair.ours.is_generated()).collect();
        let oids: Vec<u32> = types.iter().map(|pair| pair[1].type_oid).collect();
        let operators = operators::of_columns(subscriber_db, &oids).await?;
        let (quoted_table, quoted) = quote(provider_db, &table.name, &columns).await?;
        Ok(ComparedTable {
            name: table.name.clone(),
            quoted,
            quoted_table,
            only: if table.on_subscriber == catalog::RelationKind::Partitioned { "" } else { "only " },
            overrides_identity: pairs.iter().any(|pair| pair.ours.identity == Some(Identity::Always)),
            provider: side(table.on_provider, 0),
            subscriber: side(table.on_subscriber, 1),
            columns,
            generated,
            key_len,
            orders,
            equalities,
            operators,
        })
    }

    /// The numbers of the columns in which two rows differ.
    pub(super) fn differing<'a>(&'a self, a: &'a RowText, b: &'a RowText) -> impl Iterator<Item = usize> + 'a {
        let shaped = move |i: usize| {
            let before = self.equalities[..i].iter().filter(|equality| **equality == Equality::Shape).count();
            self.columns.len() + before
        };
        let equal = move |i: usize| match (self.equalities[i], a.get(shaped(i)), b.get(shaped(i))) {
            (Equality::Shape, Some(a), Some(b)) => a == b,
            (equality, ..) => equality.holds(a[i].as_ref(), b[i].as_ref()),
        };
        (0..self.columns.len()).filter(move |i| !equal(*i))
    }

    /// The key of a row with the texts that equal values have in common.
    pub(crate) fn normal_key(&self, key: RowText) -> RowText {
        let normal = |(value, equality): (Option<_>, &Equality)| value.map(|value| equality.normal(value));
        key.into_iter().take(self.key_len).zip(&self.equalities).map(normal).collect()
    }

    /// That a column has a value, as the subscriber tells equal values.
    pub(super) fn condition(&self, column: usize, value: Option<&RawText>) -> Sql {
        let name = &self.quoted[column];
        let Operator { operator, column_cast, value_cast } = &self.operators[column];
        match (value, value_cast) {
            (None, _) => sql!("{name} is null", name = name),
            (Some(value), None) => sql!("{name} = {value}", name = name, value = value.literal()),
            (Some(value), Some(cast)) => sql!(
                "{name}{column_cast} {operator} {value}{cast}",
                name = name,
                column_cast = column_cast,
                operator = operator,
                value = value.literal(),
                cast = cast
            ),
        }
    }

    /// Compares two rows by their keys.
    pub(crate) fn order(&self, a: &RowText, b: &RowText) -> Ordering {
        let keys = a.iter().zip(b).zip(&self.orders);
        keys.map(|((a, b), order)| order.compare(a.as_ref(), b.as_ref()))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Side {
    fn row_values(&self) -> Sql {
        Sql::join(self.values.iter().chain(&self.shaped).cloned(), ", ")
    }

    /// The text of a row, the same for equal rows.
    pub(crate) fn row_text(&self) -> Sql {
        sql!("row({row})::text", row = Sql::join(self.canonical.iter().cloned(), ", "))
    }

    /// What every change of a row makes another.
    pub(crate) fn version() -> Sql {
        Sql::from("pg_catalog.concat(t.xmin, ' ', t.tableoid::oid, ' ', t.ctid)")
    }

    /// The query for the rows of given keys, each with its version. Its parameters are those of [`Side::keyed_rows`].
    pub(crate) fn rows_by_key_sql(&self, columns: &[String]) -> Sql {
        sql!(
            "select {values}, {version} {from}",
            values = self.row_values(),
            version = Side::version(),
            from = self.keyed_rows(columns)
        )
    }

    /// The rows of given keys, as `from` takes them: one array of text for each column of the key is a parameter.
    pub(crate) fn keyed_rows(&self, columns: &[String]) -> Sql {
        let numbers = 1..=self.keys.len();
        let name = |n: usize| sql!("k{n}", n = n);
        let on = columns.iter().zip(numbers.clone()).zip(&self.key_types).map(|((column, n), type_name)| {
            let column = Sql::ident(column);
            sql!("t.{column} = wanted.{name}::{type}", column = column, name = name(n), type = type_name)
        });
        sql!(
            "from rows from ({arrays}) wanted({names}) join {source} t on {on}",
            // With a qualified name, unnest takes one array only.
            arrays = Sql::join(numbers.clone().map(|n| sql!("pg_catalog.unnest(${n})", n = n)), ", "),
            names = Sql::join(numbers.map(name), ", "),
            source = &self.source,
            on = Sql::join(on, " and ")
        )
    }
}

impl Order {
    fn compare(self, a: Option<&RawText>, b: Option<&RawText>) -> Ordering {
        // Nulls come last, as in "order by".
        let (Some(a), Some(b)) = (a, b) else { return b.is_some().cmp(&a.is_some()) };
        match self {
            Order::Integer => integer(a).cmp(&integer(b)),
            Order::Time => a.as_str().map(time_key).cmp(&b.as_str().map(time_key)),
            Order::Text => a.cmp(b),
        }
    }
}

fn integer(text: &RawText) -> Option<i64> {
    text.as_str()?.parse().ok()
}

/// A value that sorts as the date or timestamp `text` in `datestyle = ISO` does: the year, then the rest of the text.
fn time_key(text: &str) -> (i64, &str) {
    match text {
        "infinity" => return (i64::MAX, ""),
        "-infinity" => return (i64::MIN, ""),
        _ => {}
    }
    let (year, rest) = text.split_once('-').unwrap_or((text, ""));
    let year: i64 = year.parse().unwrap_or_default();
    match rest.strip_suffix(" BC") {
        Some(rest) => (-year, rest),
        None => (year, rest),
    }
}

/// A column of both sides.
struct Pair<'a> {
    theirs: &'a Column,
    ours: &'a Column,
    in_key: bool,
}

impl Pair<'_> {
    fn order(&self) -> Order {
        let is_integer = |column: &Column| matches!(column.type_oid, INT2 | INT4 | INT8 | OID);
        let is_time = |column: &Column| matches!(column.type_oid, DATE | TIMESTAMP | TIMESTAMPTZ);
        if is_integer(self.theirs) && is_integer(self.ours) {
            Order::Integer
        } else if is_time(self.theirs) && self.theirs.type_oid == self.ours.type_oid {
            Order::Time
        } else {
            Order::Text
        }
    }
}

/// What is asked of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Needed,
    /// Without a key that is unique on both sides, the table is compared without one.
    WhereUnique,
}

/// The columns that both sides have, the key's first; `None` when there is no common key.
fn pairs<'a>(theirs: &'a Table, ours: &'a Table, chosen: Option<&[String]>, wanted: Key) -> Option<Vec<Pair<'a>>> {
    let mut key: Vec<&str> = match chosen {
        Some(chosen) => chosen.iter().map(String::as_str).collect(),
        None => theirs.key().iter().map(|c| c.name.as_str()).collect(),
    };
    let is_keyless = |table: &Table| table.key().is_empty();
    let is_unique = |table: &Table| !is_keyless(table) && table.key().iter().all(|c| key.contains(&c.name.as_str()));
    let may_repeat = match chosen {
        Some(_) => !(is_unique(theirs) && is_unique(ours)),
        None => is_keyless(theirs) || is_keyless(ours),
    };
    if wanted == Key::WhereUnique && may_repeat {
        key.clear();
        return Some(columns_of_both(theirs, ours, &key));
    }
    let same = ours.key().len() == key.len() && ours.key().iter().all(|c| key.contains(&c.name.as_str()));
    if key.is_empty() || chosen.is_none() && !same {
        return None;
    }
    let pair = |name: &str, in_key| Some(Pair { theirs: theirs.column(name)?, ours: ours.column(name)?, in_key });
    let mut pairs = key.iter().map(|name| pair(name, true)).collect::<Option<Vec<_>>>()?;
    pairs.extend(columns_of_both(theirs, ours, &key));
    Some(pairs)
}

/// The columns that both sides have, without those of the key.
fn columns_of_both<'a>(theirs: &'a Table, ours: &'a Table, key: &[&str]) -> Vec<Pair<'a>> {
    let others = theirs.columns.iter().filter(|c| !key.contains(&c.name.as_str()));
    let pairs = others.filter_map(|theirs| Some(Pair { theirs, ours: ours.column(&theirs.name)?, in_key: false }));
    // What both sides generate is not replicated.
    pairs.filter(|pair| !(pair.theirs.is_generated() && pair.ours.is_generated())).collect()
}

const BOOL: u32 = 16;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const XML: u32 = 142;

/// The value as COPY writes it; a cast makes `true` where the type's own output is `t`, and leaves the encoding in an XML
/// declaration, which says what the text was written in when it came to the server.
fn value_sql(column: &Column) -> Sql {
    let name = Sql::ident(&column.name);
    match column.type_oid {
        BOOL => sql!("pg_catalog.left(t.{name}::text, 1)", name = name),
        XML => sql!("pg_catalog.textin(pg_catalog.xml_out(t.{name}))", name = name),
        _ => sql!("t.{name}::text", name = name),
    }
}

/// Table and columns as the provider quotes them.
async fn quote(provider: &Db, table: &FqName, columns: &[String]) -> Result<(Sql, Vec<Sql>)> {
    let mut names = vec![table.schema.clone(), table.name.clone()];
    names.extend(columns.iter().cloned());
    let sql =
        "select pg_catalog.quote_ident(name) from pg_catalog.unnest($1) with ordinality as u(name, nr) order by nr";
    let rows = provider.query("quote names", sql, &[text_array(&names)]).await?;
    let mut quoted: Vec<Sql> = rows.iter().map(|row| Sql::from_server(row.get(0))).collect();
    let columns = quoted.split_off(2);
    Ok((Sql::join(quoted, "."), columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_the_server_orders_them() {
        let times =
            ["-infinity", "0044-03-15 BC", "0044-03-16 BC", "0001-01-01 BC", "0001-01-01", "9999-12-31", "10000-01-01"];
        let stamps = ["2026-01-01 00:00:00+00", "2026-01-01 00:00:00.5+00", "2026-01-01 00:00:01+00", "infinity"];
        for (order, values) in [
            (Order::Integer, &["-10", "-9", "0", "9", "10"][..]),
            (Order::Time, &times[..]),
            (Order::Time, &stamps[..]),
            (Order::Text, &["", "10", "9", "A", "a", "a ", "aa", "é"][..]),
        ] {
            let values: Vec<RawText> = values.iter().map(|value| RawText::from(*value)).collect();
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    assert_eq!(order.compare(Some(a), Some(b)), i.cmp(&j), "{a} {b}");
                }
                assert_eq!(order.compare(Some(a), None), Ordering::Less);
            }
        }
        assert_eq!(Order::Text.compare(None, None), Ordering::Equal);
    }
}
