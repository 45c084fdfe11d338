//! Which statement mends a table that is to be parked.

use crate::error::{ApplyFault, FaultKind, Result};
use crate::pg::catalog::{self, Column};
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName, text, text_array};

/// Stores in `fault.mend` the statement that lets the column take the event's value: renames or adds the column, gives it the
/// provider's type, or drops `not null`; where the column has that type already, what else to do; or the statements that create the partitions that the provider has and the subscriber lacks.
/// Changes nothing when the fault names no column, or when the provider does not have such partitions any more.
pub(in crate::londiste) async fn find(provider: &Db, subscriber: &Db, fault: &mut ApplyFault) -> Result<()> {
    let name = FqName::parse(&fault.table);
    if fault.is_partition_missing() {
        let statements = missing_partitions(provider, subscriber, &name).await?;
        if !statements.is_empty() {
            fault.mend = Some(format!("Run on the subscriber: {}", statements.join("; ")));
        }
        return Ok(());
    }
    let alter = format!("Run on the subscriber: alter table {}", name.quoted());
    let ((FaultKind::MissingColumn(column), _) | (FaultKind::Refused, Some(column))) = (&fault.kind, &fault.column)
    else {
        return Ok(());
    };
    let quoted = quote_ident(column);
    if fault.is_null_refused() {
        fault.mend = Some(format!("{alter} alter column {quoted} drop not null"));
        return Ok(());
    }
    let Some(theirs) = catalog::structure(provider, &name).await? else { return Ok(()) };
    let provided = theirs.column(column);
    if fault.kind == FaultKind::Refused {
        if let Some(Column { type_name, .. }) = provided {
            let ours = catalog::columns(subscriber, &name).await?;
            let has_it = ours.iter().any(|ours| ours.name == *column && ours.type_name == *type_name);
            fault.mend = Some(match (has_it, type_name.contains('.')) {
                (false, _) => format!("{alter} alter column {quoted} type {type_name}"),
                // Types of users are written with their schema.
                (true, true) => format!(
                    "Make type {type_name} the same on both sides: the labels of an enum, the checks of a domain."
                ),
                (true, false) => format!(
                    "Find out what wrote this event: the column has the provider's type, and the subscriber's server takes no such \
                     value. \"rlondiste INI subscriber skip-event {}\" leaves this event out.",
                    fault.event
                ),
            });
        }
        return Ok(());
    }
    fault.mend = Some(match provided {
        Some(provided) => {
            let ours = catalog::columns(subscriber, &name).await?;
            let make = make_column(&theirs.columns, &ours, provided);
            let is_new = renamed(&theirs.columns, &ours, provided).is_none();
            match if is_new { catalog::default_of(provider, &name, column).await? } else { None } {
                None => format!("{alter} {make}"),
                // No event has the values that the provider's rows got when the column was added there.
                Some(default) => format!(
                    "{alter} {make}{default}. Rows that were there before may differ: then run \"rlondiste INI repair --online \
                     --apply {name}\"",
                ),
            }
        }
        None => format!(
            "The provider does not have this column any more. Run \"rlondiste INI subscriber resync {name}\", which copies the table \
             again; or, if the column was renamed, give it this name on the subscriber until the table is parked for the new name."
        ),
    });
    Ok(())
}

/// The action of ALTER TABLE by which our table has the column `wanted` of theirs: renames what is likely the same column, else adds it.
pub(super) fn make_column(theirs: &[Column], ours: &[Column], wanted: &Column) -> String {
    let name = quote_ident(&wanted.name);
    renamed(theirs, ours, wanted).map_or_else(
        || format!("add column {name} {}", wanted.type_name),
        |old| format!("rename column {} to {name}", quote_ident(&old.name)),
    )
}

/// The column of ours that is most likely the `wanted` one of theirs under another name: it has the same type, the other side has no
/// column of its name, and it has the same number or is the only such column.
fn renamed<'a>(theirs: &[Column], ours: &'a [Column], wanted: &Column) -> Option<&'a Column> {
    let lacks = |columns: &[Column], name: &str| columns.iter().all(|column| column.name != name);
    let mut extra = ours.iter().filter(|c| lacks(theirs, &c.name) && c.type_name == wanted.type_name);
    if let Some(same) = extra.clone().find(|c| c.attnum == wanted.attnum) {
        return Some(same);
    }
    let is_only = theirs.iter().filter(|c| lacks(ours, &c.name) && c.type_name == wanted.type_name).count() == 1;
    let candidate = extra.next()?;
    (is_only && extra.next().is_none()).then_some(candidate)
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
