//! Foreign keys.

use tokio_postgres::Row;

use super::names::{Names, fq_name};
use crate::error::Result;
use crate::pg::{Db, FqName};

/// A foreign key, from either of its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The table that has it.
    pub from: FqName,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that it references.
    pub to: FqName,
    /// The columns referenced.
    pub to_columns: Vec<String>,
    /// Whether it can be deferred.
    pub deferrable: bool,
}

/// The foreign keys from and to any of the tables, by table and name. Those that partitions inherit are left out: they
/// come and go with the one of the partitioned table.
pub async fn foreign_keys(db: &Db, tables: &[FqName]) -> Result<Vec<ForeignKey>> {
    let sql = "with wanted as ( \
                   select c.oid from unnest($1, $2) w(schema, name) \
                   join pg_catalog.pg_namespace n on n.nspname = w.schema \
                   join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name) \
               select fn.nspname::text, f.relname::text, tn.nspname::text, t.relname::text, k.conname::text, k.condeferrable, \
                   array(select a.attname::text from unnest(k.conkey) with ordinality x(attnum, n) \
                         join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.attnum order by x.n), \
                   array(select a.attname::text from unnest(k.confkey) with ordinality x(attnum, n) \
                         join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.attnum order by x.n) \
               from pg_catalog.pg_constraint k \
               join pg_catalog.pg_class f on f.oid = k.conrelid \
               join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace \
               join pg_catalog.pg_class t on t.oid = k.confrelid \
               join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace \
               where k.contype = 'f' and coalesce((pg_catalog.to_jsonb(k) ->> 'conparentid')::oid, 0) = 0 \
                 and (k.conrelid in (select oid from wanted) or k.confrelid in (select oid from wanted)) \
               order by 1, 2, 5";
    let wanted = Names::of(tables);
    let rows = db.query("read foreign keys", sql, &wanted.params()).await?;
    let foreign_key = |r: &Row| ForeignKey {
        from: fq_name(r, 0),
        to: fq_name(r, 2),
        name: r.get(4),
        deferrable: r.get(5),
        columns: r.get(6),
        to_columns: r.get(7),
    };
    Ok(rows.iter().map(foreign_key).collect())
}
