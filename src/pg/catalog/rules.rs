//! Rules that run beside a change of a table.

use tokio_postgres::Row;

use super::names::{Names, fq_name};
use crate::error::Result;
use crate::pg::{Db, FqName};

/// A rule of the kind `do also`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The table.
    pub(crate) table: FqName,
    /// Its name.
    pub(crate) name: String,
    /// `pg_rewrite.ev_enabled`: `O`, `D`, `R` or `A`.
    pub(crate) enabled: char,
}

/// The `do also` rules of the tables, ordered by table and name.
pub(crate) async fn rules(db: &Db, tables: &[FqName]) -> Result<Vec<Rule>> {
    let sql = "select n.nspname::text, c.relname::text, r.rulename::text, r.ev_enabled \
               from unnest($1, $2) w(schema, name) \
               join pg_catalog.pg_namespace n on n.nspname = w.schema \
               join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name \
               join pg_catalog.pg_rewrite r on r.ev_class = c.oid and not r.is_instead \
               order by 1, 2, 3";
    let wanted = Names::of(tables);
    let rows = db.query("read rules", sql, &wanted.params()).await?;
    let rule = |r: &Row| Rule {
        table: fq_name(r, 0),
        name: r.get(2),
        enabled: u8::try_from(r.get::<_, i8>(3)).map_or('O', char::from),
    };
    Ok(rows.iter().map(rule).collect())
}
