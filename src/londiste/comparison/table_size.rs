//! How big a table is by what the server knows without reading it.

use crate::error::Result;
use crate::pg::{Db, FqName, text};

/// The rows of a table and its partitions by its statistics, 0 where it has none, and its bytes on disk.
pub(super) async fn table_size(db: &Db, table: &FqName) -> Result<[u64; 2]> {
    let sql = "with recursive tree(relation) as (
                   select pg_catalog.to_regclass($1)::oid
                   union all
                   select i.inhrelid from pg_catalog.pg_inherits i join tree on i.inhparent = tree.relation
                                     join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition)
               select coalesce(pg_catalog.sum(greatest(c.reltuples, 0)), 0)::bigint,
                      coalesce(pg_catalog.sum(pg_catalog.pg_table_size(c.oid)), 0)::bigint
                 from tree join pg_catalog.pg_class c on c.oid = tree.relation";
    let row = db.query_one("ask how big a table is", sql, &[text(&table.quoted())]).await?;
    Ok([0, 1].map(|nr| row.get::<_, i64>(nr).unsigned_abs()))
}
