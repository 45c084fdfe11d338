//! What values of a type are made of, and an expression that has the same text for equal values on servers of two versions.
//!
//! Servers before PostgreSQL 12 write a float with 17 digits, later ones with the fewest that stand for it. Before PostgreSQL 16
//! a `"char"` is one byte, whatever the encoding, later ones write bytes above 127 in octal. Both are in arrays, rows, ranges and
//! domains, too. Rule: between such servers a value is taken apart down to its floats, which are compared bit by bit.

use std::collections::BTreeMap;

use super::equality::Equality;
use crate::error::Result;
use crate::pg::catalog::Column;
use crate::pg::{Db, Sql, sql, text_array};

/// What values of a type are made of, down to what the two servers write differently.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Both servers write it in the same way.
    Text,
    Float(Equality),
    /// `"char"`.
    Byte,
    /// The text is made of numbers, all of them `float8`, and marks between them.
    Numbers,
    Domain {
        base: Sql,
        of: Box<Shape>,
    },
    Array(Box<Shape>),
    Range(Box<Shape>),
    Row(Vec<(Sql, Shape)>),
}

/// The text of a number.
const NUMBER: &str = "(-?[0-9][0-9.]*(?:e[-+]?[0-9]+)?)";

impl Shape {
    fn differs(&self) -> bool {
        match self {
            Shape::Text => false,
            Shape::Float(_) | Shape::Byte | Shape::Numbers => true,
            Shape::Domain { of, .. } | Shape::Array(of) | Shape::Range(of) => of.differs(),
            Shape::Row(fields) => fields.iter().any(|(_, of)| of.differs()),
        }
    }

    /// An expression that is null where `value` is, and has the same text on both servers for equal values.
    pub(super) fn canonical(&self, value: &Sql) -> Sql {
        self.at(value, 0)
    }

    fn at(&self, value: &Sql, depth: usize) -> Sql {
        if !self.differs() {
            return value.clone();
        }
        let some = |text: Sql| {
            // A row of nulls is not null here.
            sql!("case when pg_catalog.num_nulls({value}) = 0 then {text} end", value = value, text = text)
        };
        match self {
            Shape::Text => value.clone(),
            Shape::Float(equality) => equality.canonical(value, value),
            Shape::Byte => sql!("({value})::pg_catalog.int4", value = value),
            Shape::Numbers => some(sql!(
                "pg_catalog.concat(pg_catalog.regexp_replace(({value})::pg_catalog.text, '{number}', '#', 'g'), \
                 array(select {float} from pg_catalog.regexp_matches(({value})::pg_catalog.text, '{number}', 'g') n(n{depth})))",
                value = value,
                number = NUMBER,
                depth = depth,
                float =
                    Equality::Float8.canonical(&sql!("n{depth}[1]::pg_catalog.float8", depth = depth), &Sql::from(""))
            )),
            Shape::Domain { base, of } => of.at(&sql!("(({value})::{base})", value = value, base = base), depth),
            // In the list of the query, unnest leaves the null elements of an array of rows null.
            Shape::Array(of) => some(sql!(
                "(select pg_catalog.concat(pg_catalog.array_dims({value}), pg_catalog.array_agg({element} order by e{depth}.n)) \
                 from (select pg_catalog.unnest({value}) as e, \
                              pg_catalog.generate_series(1, pg_catalog.cardinality({value})) as n) e{depth})",
                value = value,
                depth = depth,
                element = of.at(&sql!("e{depth}.e", depth = depth), depth + 1)
            )),
            Shape::Range(of) => {
                let facts = ["isempty", "lower_inc", "upper_inc", "lower_inf", "upper_inf"];
                let facts = facts.map(|fact| sql!("pg_catalog.{fact}({value})", fact = fact, value = value));
                let ends = ["lower", "upper"]
                    .map(|end| of.at(&sql!("pg_catalog.{end}({value})", end = end, value = value), depth));
                some(sql!("row({all})::pg_catalog.text", all = Sql::join(facts.into_iter().chain(ends), ", ")))
            }
            Shape::Row(fields) => {
                let fields =
                    fields.iter().map(|(name, of)| of.at(&sql!("({value}).{name}", value = value, name = name), depth));
                some(sql!("row({fields})::pg_catalog.text", fields = Sql::join(fields, ", ")))
            }
        }
    }
}

/// The shapes of the columns of both sides; `None` where the two servers write all values of the types in the same way.
pub(super) async fn shapes(
    [provider, subscriber]: [&Db; 2],
    columns: &[[&Column; 2]],
) -> Result<Vec<Option<[Shape; 2]>>> {
    let (theirs, ours) = (manner(provider).await?, manner(subscriber).await?);
    if theirs == ours {
        return Ok(columns.iter().map(|_| None).collect());
    }
    let oids = |nr: usize| -> Vec<u32> { columns.iter().map(|pair| pair[nr].type_oid).collect() };
    let (theirs, ours) = (types(provider, &oids(0)).await?, types(subscriber, &oids(1)).await?);
    let shape = |[a, b]: &[&Column; 2]| {
        let shapes = [theirs.shape(a.type_oid), ours.shape(b.type_oid)];
        // Where one side has no float, both are compared by their text.
        shapes.iter().all(Shape::differs).then_some(shapes)
    };
    Ok(columns.iter().map(shape).collect())
}

/// Whether the server writes a float with the fewest digits, and a `"char"` above 127 in octal.
async fn manner(db: &Db) -> Result<[bool; 2]> {
    let sql = "select pg_catalog.current_setting('server_version_num')::int4";
    let version: i32 = db.query_one("ask for the server's version", sql, &[]).await?.get(0);
    Ok([version >= 120_000, version >= 160_000])
}

/// The types of one server that columns are made of.
struct Types(BTreeMap<u32, Type>);

struct Type {
    /// `f` for a type whose text is made of floats, `a` for an array, else as `pg_type.typtype`.
    kind: i8,
    /// The types that values are made of, and their names: those of the fields of a row, else those of the types.
    parts: Vec<u32>,
    names: Vec<String>,
}

impl Types {
    fn shape(&self, oid: u32) -> Shape {
        const CHAR: u32 = 18;
        if let Some(float) = Equality::of_float(oid) {
            return Shape::Float(float);
        }
        let Some(found) = self.0.get(&oid) else { return Shape::Text };
        let part = || Box::new(found.parts.first().map_or(Shape::Text, |part| self.shape(*part)));
        match u8::try_from(found.kind).unwrap_or_default() {
            _ if oid == CHAR => Shape::Byte,
            b'f' => Shape::Numbers,
            b'a' => Shape::Array(part()),
            b'r' => Shape::Range(part()),
            b'd' => match found.names.first() {
                Some(base) => Shape::Domain { base: Sql::from_server(base.clone()), of: part() },
                None => Shape::Text,
            },
            b'c' => Shape::Row(
                found.names.iter().zip(&found.parts).map(|(name, of)| (Sql::ident(name), self.shape(*of))).collect(),
            ),
            _ => Shape::Text,
        }
    }
}

async fn types(db: &Db, oids: &[u32]) -> Result<Types> {
    let oids: Vec<String> = oids.iter().map(u32::to_string).collect();
    let rows = db.query("read what types are made of", TYPES, &[text_array(&oids)]).await?;
    let entry =
        |row: &tokio_postgres::Row| (row.get(0), Type { kind: row.get(1), parts: row.get(2), names: row.get(3) });
    Ok(Types(rows.iter().map(entry).collect()))
}

/// The types, and all that their values are made of. Geometric types and those of extension cube are made of `float8` alone.
const TYPES: &str = "
with recursive parts(oid, part, name, nr) as (
    select t.oid, t.typbasetype, pg_catalog.format_type(t.typbasetype, null), 1
      from pg_catalog.pg_type t where t.typtype = 'd'
    union all
    select e.typarray, e.oid, e.typname::text, 1 from pg_catalog.pg_type e where e.typarray <> 0
    union all
    select r.rngtypid, r.rngsubtype, '', 1 from pg_catalog.pg_range r
    union all
    select t.oid, a.atttypid, a.attname::text, a.attnum
      from pg_catalog.pg_type t join pg_catalog.pg_attribute a on a.attrelid = t.typrelid
     where t.typtype = 'c' and a.attnum > 0 and not a.attisdropped
), wanted(oid) as (
    select u.oid::oid from pg_catalog.unnest($1) u(oid)
    union
    select p.part from wanted w join parts p on p.oid = w.oid
)
select t.oid,
       case when t.typname in ('point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle')
                 and t.typnamespace = 'pg_catalog'::regnamespace or t.typname = 'cube' and t.typtype = 'b' then 'f'
            when exists (select from pg_catalog.pg_type e where e.typarray = t.oid) then 'a'
            else t.typtype end::\"char\",
       array(select p.part from parts p where p.oid = t.oid order by p.nr),
       array(select p.name from parts p where p.oid = t.oid order by p.nr)
  from wanted w join pg_catalog.pg_type t on t.oid = w.oid";
