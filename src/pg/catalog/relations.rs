//! Which relations a database has: tables, sequences, others.

use std::collections::BTreeMap;

use super::names::{Names, fq_name};
use crate::error::Result;
use crate::pg::{Db, FqName, sql};

/// Schemas whose objects are never replicated.
const NOT_REPLICATED: &str = "n.nspname !~ '^pg_' \
    and n.nspname not in ('information_schema', 'pgq', 'londiste', 'pgq_ext', 'pgq_node', 'txid')";

/// The kind of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A table with rows of its own.
    Table,
    /// A partitioned table.
    Partitioned,
    /// A sequence.
    Sequence,
    /// A relation that cannot be replicated; its kind with an article, for messages.
    Other(&'static str),
}

impl RelationKind {
    pub(super) fn of(relkind: i8) -> RelationKind {
        match u8::try_from(relkind).unwrap_or(b' ') {
            b'r' => RelationKind::Table,
            b'p' => RelationKind::Partitioned,
            b'S' => RelationKind::Sequence,
            b'v' => RelationKind::Other("a view"),
            b'm' => RelationKind::Other("a materialized view"),
            b'f' => RelationKind::Other("a foreign table"),
            b'i' | b'I' => RelationKind::Other("an index"),
            b'c' => RelationKind::Other("a composite type"),
            _ => RelationKind::Other("no table"),
        }
    }
}

/// A table that could be replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableEntry {
    /// Its name.
    pub(crate) name: FqName,
    /// Whether it is a partition of another table.
    pub(crate) is_partition: bool,
}

/// All tables of a database that could be replicated, ordered by name: neither temporary nor in a schema of the system.
pub(crate) async fn tables(db: &Db) -> Result<Vec<TableEntry>> {
    let sql = sql!(
        "select n.nspname::text, c.relname::text, c.relispartition \
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where c.relkind in ('r', 'p') and c.relpersistence <> 't' and {condition} order by 1, 2",
        condition = NOT_REPLICATED
    );
    let rows = db.query("list tables", sql, &[]).await?;
    Ok(rows.iter().map(|r| TableEntry { name: fq_name(r, 0), is_partition: r.get(2) }).collect())
}

/// All sequences of a database that could be replicated, ordered by name, as in [`tables`].
pub(crate) async fn sequences(db: &Db) -> Result<Vec<FqName>> {
    let sql = sql!(
        "select n.nspname::text, c.relname::text \
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where c.relkind = 'S' and c.relpersistence <> 't' and {condition} order by 1, 2",
        condition = NOT_REPLICATED
    );
    Ok(db.query("list sequences", sql, &[]).await?.iter().map(|r| fq_name(r, 0)).collect())
}

/// The foreign keys of a database between two tables: the one that refers and the one that is referred to.
pub(crate) async fn references(db: &Db) -> Result<Vec<(FqName, FqName)>> {
    let sql = "select cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text
                 from pg_catalog.pg_constraint k
                      join pg_catalog.pg_class c on c.oid = k.conrelid
                      join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
                      join pg_catalog.pg_class p on p.oid = k.confrelid
                      join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
                where k.contype = 'f' and k.conrelid <> k.confrelid
                order by k.oid";
    let rows = db.query("list foreign keys", sql, &[]).await?;
    Ok(rows.iter().map(|row| (fq_name(row, 0), fq_name(row, 2))).collect())
}

/// The sequences from which columns of these tables draw: those that belong to a column, and those that a default uses. Ordered by name.
pub(crate) async fn sequences_of_columns(db: &Db, tables: &[FqName]) -> Result<Vec<FqName>> {
    let sql = "with used(sequence, relation) as (
    select d.objid, d.refobjid
      from pg_catalog.pg_depend d
     where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = d.classid
       and d.deptype in ('a', 'i') and d.refobjsubid > 0
    union
    select d.refobjid, f.adrelid
      from pg_catalog.pg_depend d
           join pg_catalog.pg_attrdef f on f.oid = d.objid
     where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
       and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
)
select distinct sn.nspname::text, s.relname::text
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
       join used u on u.relation = c.oid
       join pg_catalog.pg_class s on s.oid = u.sequence and s.relkind = 'S'
       join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
 order by 1, 2";
    let rows = db.query("list the sequences of columns", sql, &Names::of(tables).params()).await?;
    Ok(rows.iter().map(|row| fq_name(row, 0)).collect())
}

/// The kind of each of the names that exist; the others are absent.
pub(crate) async fn relations(db: &Db, names: &[FqName]) -> Result<BTreeMap<FqName, RelationKind>> {
    let sql = "select n.nspname::text, c.relname::text, c.relkind \
               from unnest($1, $2) w(schema, name) \
               join pg_catalog.pg_namespace n on n.nspname = w.schema \
               join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name";
    let wanted = Names::of(names);
    let rows = db.query("look up names", sql, &wanted.params()).await?;
    Ok(rows.iter().map(|r| (fq_name(r, 0), RelationKind::of(r.get(2)))).collect())
}
