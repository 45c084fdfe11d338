//! How a column is compared with a value: by the equality of the type's own operator class, wherever its operator
//! lives. A plain `=` is looked up in the path of the session, where it may be missing (a type of an extension in a schema
//! of its own), mean something else (`citext` becomes `text`), or be a namesake that somebody has put there.

use std::collections::HashMap;

use tokio_postgres::types::{ToSql, Type};

use crate::error::Result;
use crate::pg::{Db, Sql, sql};

/// The comparison of two values of a type.
#[derive(Clone, Debug)]
pub(crate) struct Equality {
    /// `operator(schema.name)`
    pub(crate) operator: Sql,
    /// What stands behind the column: empty, or a cast.
    pub(crate) column_cast: Sql,
    /// What stands behind the value; none where a literal needs no cast.
    pub(crate) value_cast: Option<Sql>,
}

const OF_PG_CATALOG: Sql = Sql::from_static("operator(pg_catalog.=)");

impl Equality {
    /// The equality of a built-in type, without a cast.
    pub(crate) fn built_in() -> Equality {
        Equality { operator: OF_PG_CATALOG, column_cast: Sql::from_static(""), value_cast: None }
    }

    /// For types without an equality: `json`, `point`, arrays of these. The texts that this server gives for both sides are
    /// compared.
    fn of_texts(cast: &Sql) -> Equality {
        Equality {
            operator: OF_PG_CATALOG,
            column_cast: Sql::from_static("::pg_catalog.text"),
            value_cast: Some(sql!("{cast}::pg_catalog.text", cast = cast)),
        }
    }
}

/// Whether values of this built-in type, or of a domain over it, are compared by `pg_catalog.=` as they are. What is not
/// among these is looked up.
pub(crate) fn is_built_in(base: u32) -> bool {
    const TYPES: [Type; 30] = [
        Type::BOOL,
        Type::BYTEA,
        Type::CHAR,
        Type::NAME,
        Type::INT8,
        Type::INT2,
        Type::INT4,
        Type::TEXT,
        Type::OID,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::MONEY,
        Type::MACADDR,
        Type::MACADDR8,
        Type::INET,
        Type::CIDR,
        Type::BPCHAR,
        Type::VARCHAR,
        Type::DATE,
        Type::TIME,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::INTERVAL,
        Type::TIMETZ,
        Type::BIT,
        Type::VARBIT,
        Type::NUMERIC,
        Type::UUID,
        Type::JSONB,
        Type::TS_VECTOR,
    ];
    TYPES.iter().any(|known| known.oid() == base)
}

// The parts of a type are the elements of an array, the columns of a composite type and the type under a domain: an array
// of json has an operator `=`, which fails when it is called. The operator class is the default one of the type, of a type
// that it can be taken for, or of the pseudotype that stands for its kind; btree (strategy 3) before hash (strategy 1).
const OPERATORS: &str = "
    with recursive part(root, oid) as (
        select t, t from pg_catalog.unnest($1) t
        union
        select p.root, x.oid
          from part p join pg_catalog.pg_type t on t.oid = p.oid
               cross join lateral (
                   select t.typelem where t.typelem <> 0 and t.typlen = -1
                   union all
                   select a.atttypid from pg_catalog.pg_attribute a
                    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
                   union all
                   select t.typbasetype where t.typtype = 'd') x(oid)),
    equality as (
        select t.oid, e.nspname, e.oprname
          from pg_catalog.pg_type t
               left join lateral (
                   select n.nspname::text, o.oprname::text
                     from pg_catalog.pg_opclass c
                          join pg_catalog.pg_am m on m.oid = c.opcmethod and m.amname in ('btree', 'hash')
                          join pg_catalog.pg_amop a on a.amopfamily = c.opcfamily and a.amoplefttype = c.opcintype
                                and a.amoprighttype = c.opcintype
                                and a.amopstrategy = case m.amname when 'btree' then 3 else 1 end
                          join pg_catalog.pg_operator o on o.oid = a.amopopr
                          join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
                          join pg_catalog.pg_type i on i.oid = c.opcintype
                    where c.opcdefault
                      and (c.opcintype = t.oid
                           or i.typname = case t.typtype when 'e' then 'anyenum' when 'r' then 'anyrange' when 'c' then 'record'
                                               when 'm' then 'anymultirange'
                                               else case when t.typelem <> 0 and t.typlen = -1 then 'anyarray' end end
                           or exists (select from pg_catalog.pg_cast k
                                       where k.castsource = t.oid and k.casttarget = c.opcintype
                                         and k.castmethod = 'b' and k.castcontext = 'i'))
                    order by c.opcintype = t.oid desc, m.amname, i.typispreferred desc
                    limit 1) e on true
         where t.typtype <> 'd' and t.oid in (select p.oid from part p))
    select t.oid, n.nspname::text, t.typname::text, e.nspname, e.oprname,
           not exists (select from part p join equality o on o.oid = p.oid
                        where p.root = t.oid and o.oprname is null)
      from pg_catalog.pg_type t
           join pg_catalog.pg_namespace n on n.oid = t.typnamespace
           join equality e on e.oid = t.oid
     where t.oid in (select p.root from part p)";

/// The equality of each of the types, which are no domains.
pub(crate) async fn look_up(tx: &Db, types: &[u32]) -> Result<HashMap<u32, Equality>> {
    if types.is_empty() {
        return Ok(HashMap::new());
    }
    let params = [(&types as &(dyn ToSql + Sync), Type::OID_ARRAY)];
    let rows = tx.query("read how columns are compared", OPERATORS, &params).await?;
    let equality = |row: &tokio_postgres::Row| {
        let cast = sql!("::{schema}.{name}", schema = Sql::ident(row.get(1)), name = Sql::ident(row.get(2)));
        let operator: (Option<&str>, Option<&str>) = (row.get(3), row.get(4));
        match (operator, row.get(5)) {
            ((Some(schema), Some(name)), true) => Equality {
                operator: sql!(
                    "operator({schema}.{name})",
                    schema = Sql::ident(schema),
                    name = Sql::from_server(name.to_owned())
                ),
                column_cast: cast.clone(),
                value_cast: Some(cast),
            },
            _ => Equality::of_texts(&cast),
        }
    };
    Ok(rows.iter().map(|row| (row.get(0), equality(row))).collect())
}

/// The equality of values of each column, by the oid of its type.
pub(crate) async fn of_columns(tx: &Db, types: &[u32]) -> Result<Vec<Equality>> {
    let params = [(&types as &(dyn ToSql + Sync), Type::OID_ARRAY)];
    let rows = tx.query("read what domains are made of", BASES, &params).await?;
    let bases: Vec<u32> = rows.iter().map(|row| row.get(0)).collect();
    let looked_up: Vec<u32> = bases.iter().copied().filter(|base| !is_built_in(*base)).collect();
    let equalities = look_up(tx, &looked_up).await?;
    Ok(bases.iter().map(|base| equalities.get(base).cloned().unwrap_or_else(Equality::built_in)).collect())
}

/// The types themselves, or what is under those that are domains.
const BASES: &str = "
    with recursive chain(nr, oid, is_domain, below) as (
        select u.nr, t.oid, t.typtype = 'd', t.typbasetype
          from pg_catalog.unnest($1) with ordinality u(oid, nr) join pg_catalog.pg_type t on t.oid = u.oid
        union all
        select c.nr, t.oid, t.typtype = 'd', t.typbasetype
          from chain c join pg_catalog.pg_type t on t.oid = c.below and c.is_domain)
    select c.oid from chain c where not c.is_domain order by c.nr";
