//! Triggers of users.

use tokio_postgres::Row;

use super::names::{Names, fq_name};
use crate::error::Result;
use crate::pg::{Db, FqName};

/// A trigger of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The table.
    pub table: FqName,
    /// Its name.
    pub name: String,
    /// Whether it fires after the change and is not initially deferred.
    pub after: bool,
    /// Whether it fires for each row.
    pub each_row: bool,
    /// `pg_trigger.tgenabled`: `O`, `D`, `R` or `A`.
    pub enabled: char,
    /// The function that it calls.
    pub function: FqName,
}

/// The triggers on the tables, ordered by table and name, without those that PostgreSQL made for constraints.
pub async fn triggers(db: &Db, tables: &[FqName]) -> Result<Vec<Trigger>> {
    // tgtype: 1 = for each row, 2 = before, 64 = instead of.
    let sql = "select n.nspname::text, c.relname::text, t.tgname::text, \
                   t.tgtype & 66 = 0 and not t.tginitdeferred, t.tgtype & 1 = 1, t.tgenabled, \
                   fn.nspname::text, f.proname::text \
               from unnest($1, $2) w(schema, name) \
               join pg_catalog.pg_namespace n on n.nspname = w.schema \
               join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name \
               join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal \
               join pg_catalog.pg_proc f on f.oid = t.tgfoid \
               join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace \
               order by 1, 2, 3";
    let wanted = Names::of(tables);
    let rows = db.query("read triggers", sql, &wanted.params()).await?;
    let trigger = |r: &Row| Trigger {
        table: fq_name(r, 0),
        name: r.get(2),
        after: r.get(3),
        each_row: r.get(4),
        enabled: u8::try_from(r.get::<_, i8>(5)).map_or('O', char::from),
        function: fq_name(r, 6),
    };
    Ok(rows.iter().map(trigger).collect())
}
