//! The structure of the tables on both sides: existence, key, columns, types.

use std::collections::BTreeSet;

use super::case::{Case, Names, Side, fq_name, on, shell_word};
use super::check::{self, Check};
use super::finding::{Findings, count};
use crate::error::{Result, Role};
use crate::londiste::{Difference, Note, Structures};
use crate::pg::FqName;
use crate::pg::name::quote_ident;

pub(super) const COLUMNS: &[&Check] = &[
    &check::TABLE_MISSING,
    &check::TABLE_KEY,
    &check::COLUMNS,
    &check::COLUMN_TYPES,
    &check::GENERATED_COLUMNS,
    &check::NOT_NULL,
];

/// Compares the subscribed tables by the rules of `subscriber check`.
pub(super) async fn columns(
    case: &Case<'_>,
    subscriber: &Side,
    structures: &Structures,
    tables: &[FqName],
) -> Result<Findings> {
    let mut found = Findings::default();
    let required = required_columns(subscriber, tables).await?;
    for table in tables {
        let compared = structures.compare(table);
        for difference in &compared.differences {
            tell_difference(case, subscriber, structures, difference, &mut found);
        }
        for note in &compared.notes {
            tell_note(note, &mut found);
        }
        not_null(structures, table, &required, &mut found);
    }
    let fact = format!("{} compared", count(tables.len(), "table"));
    for check in COLUMNS {
        found.rest_of_all(check, "both", &fact);
    }
    Ok(found)
}

fn tell_difference(
    case: &Case<'_>,
    subscriber: &Side,
    structures: &Structures,
    difference: &Difference,
    found: &mut Findings,
) {
    match difference {
        Difference::Missing(table, Role::Provider) => {
            let fix = case.command(format_args!("subscriber remove {}", shell_word(&table.to_string())));
            found.error(&check::TABLE_MISSING, table, "does not exist on the provider", fix);
        }
        Difference::Missing(table, Role::Subscriber) => {
            let name = shell_word(&table.quoted());
            let fix = format!("pg_dump -s -t {name} PROVIDER | psql \"{}\"", subscriber.db.target());
            found.error(&check::TABLE_MISSING, table, "does not exist on the subscriber", fix);
        }
        Difference::NoKey(table, role, _) => {
            let key: Vec<String> = structures.key(table).iter().map(|column| quote_ident(column)).collect();
            let columns = if key.is_empty() { "...".to_owned() } else { key.join(", ") };
            let fix = on(*role, format_args!("alter table {} add primary key ({columns});", table.quoted()));
            found.error(&check::TABLE_KEY, table, format_args!("has no key on the {role}"), fix);
        }
        Difference::KeyDiffers(table, column) => {
            let fact = format!("column {column} is in the key on one side only");
            let key: Vec<String> = structures.key(table).iter().map(|column| quote_ident(column)).collect();
            let fix = format!(
                "alter table {} add unique ({}); -- on columns that are not null",
                table.quoted(),
                key.join(", ")
            );
            found.error(&check::TABLE_KEY, table, fact, subscriber.sql(fix));
        }
        Difference::ColumnMissing(table, column) => {
            let theirs = structures.provider.get(table).and_then(|table| table.column(column));
            let type_name = theirs.map_or("...", |column| column.type_name.as_str());
            let fix = format!("alter table {} add column {} {type_name};", table.quoted(), quote_ident(column));
            found.error(
                &check::COLUMNS,
                table,
                format_args!("column {column} is not on the subscriber"),
                subscriber.sql(fix),
            );
        }
        Difference::Virtual(table, column) => {
            let fact = format!(
                "column {column} is virtual on the provider and plain on the subscriber: its values are not captured"
            );
            let fix = format!("alter table {} drop column {};", table.quoted(), quote_ident(column));
            found.error(&check::GENERATED_COLUMNS, table, fact, subscriber.sql(fix));
        }
    }
}

fn tell_note(note: &Note, found: &mut Findings) {
    match note {
        Note::Generated(table, column) => {
            let fact =
                format!("column {column} is generated on the subscriber only: the provider's values do not arrive");
            let fix = format!("alter table {} alter column {} drop expression;", table.quoted(), quote_ident(column));
            found.warning(&check::GENERATED_COLUMNS, table, fact, on(Role::Subscriber, fix));
        }
        Note::TypeDiffers { table, column, provider, subscriber } => {
            let fact = format!("column {column} is {provider} on the provider and {subscriber} on the subscriber");
            let fix = format!("alter table {} alter column {} type {provider};", table.quoted(), quote_ident(column));
            found.warning(&check::COLUMN_TYPES, table, fact, on(Role::Subscriber, fix));
        }
        // Other columns and another order do no harm by themselves.
        Note::Structure(..) => {}
    }
}

/// Columns that the subscriber wants a value for: those that the provider lets be null, and those that it does not have.
fn not_null(structures: &Structures, table: &FqName, required: &BTreeSet<(FqName, String)>, found: &mut Findings) {
    let (Some(theirs), Some(ours)) = (structures.provider.get(table), structures.subscriber.get(table)) else { return };
    for column in ours.columns.iter().filter(|column| column.not_null && !column.is_generated()) {
        let fact = match theirs.column(&column.name) {
            Some(other) if !other.not_null => {
                format!("column {} may be null on the provider, and not on the subscriber", column.name)
            }
            None if required.contains(&(table.clone(), column.name.clone())) => {
                format!(
                    "column {} of the subscriber is not on the provider, must not be null and has no default",
                    column.name
                )
            }
            Some(_) | None => continue,
        };
        let fix = format!("alter table {} alter column {} drop not null;", table.quoted(), quote_ident(&column.name));
        found.warning(&check::NOT_NULL, table, fact, on(Role::Subscriber, fix));
    }
}

/// The columns that are not null and have no value by themselves.
async fn required_columns(side: &Side, tables: &[FqName]) -> Result<BTreeSet<(FqName, String)>> {
    const REQUIRED: &str = "select n.nspname::text, c.relname::text, a.attname::text
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
       join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where a.attnotnull and not a.atthasdef and a.attidentity = ''";
    let rows = side.db.query("look for columns without a default", REQUIRED, &Names::of(tables).params()).await?;
    Ok(rows.iter().map(|row| (fq_name(row, 0), row.get(2))).collect())
}
