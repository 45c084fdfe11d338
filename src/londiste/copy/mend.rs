//! Which statement mends a table that is to be parked.

use crate::error::{ApplyFault, FaultKind, Result};
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName, text, text_array};

/// Stores in `fault.mend` the statement that lets the column take the event's value: adds the column, gives it the
/// provider's type, or drops `not null`; or the statements that create the partitions that the provider has and the subscriber lacks.
/// Changes nothing when the fault names no column, or when the provider does not have the column or such partitions any more.
pub(in crate::londiste) async fn find(provider: &Db, subscriber: &Db, fault: &mut ApplyFault) -> Result<()> {
    let name = FqName::parse(&fault.table);
    if fault.is_partition_missing() {
        let statements = missing_partitions(provider, subscriber, &name).await?;
        if !statements.is_empty() {
            fault.mend = Some(format!("Run on the subscriber: {}", statements.join("; ")));
        }
        return Ok(());
    }
    let table = name.quoted();
    let (column, verb) = match (&fault.kind, &fault.column) {
        (FaultKind::MissingColumn(column), _) => (column, "add column"),
        (FaultKind::Refused, Some(column)) if fault.is_null_refused() => {
            let column = quote_ident(column);
            fault.mend =
                Some(format!("Run on the subscriber: alter table {table} alter column {column} drop not null"));
            return Ok(());
        }
        (FaultKind::Refused, Some(column)) => (column, "alter column"),
        _ => return Ok(()),
    };
    let row = provider
        .query_opt(
            "read the type of a column",
            "select pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a
              where a.attrelid = pg_catalog.to_regclass($1) and a.attname = $2::text::name and a.attnum > 0",
            &[text(&table), text(column)],
        )
        .await?;
    // The type of a column that the provider has dropped since is not known.
    if let Some(row) = row {
        let (column, provided): (String, &str) = (quote_ident(column), row.get(0));
        let keyword = if verb == "add column" { "" } else { "type " };
        fault.mend = Some(format!("Run on the subscriber: alter table {table} {verb} {column} {keyword}{provided}"));
    }
    Ok(())
}

/// The statements that create those partitions of the provider's table whose names the subscriber does not know, parents first.
async fn missing_partitions(provider: &Db, subscriber: &Db, table: &FqName) -> Result<Vec<String>> {
    const PARTITIONS: &str = "with recursive tree as (
            select i.inhrelid, i.inhparent, 1 as depth from pg_catalog.pg_inherits i where i.inhparent = pg_catalog.to_regclass($1)
            union all
            select i.inhrelid, i.inhparent, t.depth + 1 from pg_catalog.pg_inherits i join tree t on i.inhparent = t.inhrelid)
        select pg_catalog.format('%I.%I', n.nspname, c.relname),
               pg_catalog.format('create table %I.%I partition of %I.%I %s', n.nspname, c.relname, pn.nspname, p.relname,
                                 pg_catalog.pg_get_expr(c.relpartbound, c.oid))
                   || coalesce(' partition by ' || pg_catalog.pg_get_partkeydef(c.oid), '')
          from tree t
               join pg_catalog.pg_class c on c.oid = t.inhrelid
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               join pg_catalog.pg_class p on p.oid = t.inhparent
               join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
         where c.relispartition
         order by t.depth, 1";
    let table = table.quoted();
    let rows = provider.query("read the partitions of a table", PARTITIONS, &[text(&table)]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let unknown = subscriber
        .query(
            "look for partitions",
            "select pg_catalog.to_regclass(u.name) is null from pg_catalog.unnest($1) with ordinality as u(name, nr) order by nr",
            &[text_array(&names)],
        )
        .await?;
    let missing = rows.iter().zip(unknown).filter(|(_, unknown)| unknown.get(0));
    Ok(missing.map(|(row, _)| row.get(1)).collect())
}
