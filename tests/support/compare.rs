//! Whether both sides hold the same rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Database;

/// How many rows of each kind a report shows.
const SHOWN: usize = 10;

/// The user tables of a database, quoted, without those of `pgq` and `londiste`; partitions count as their root.
pub fn compare_tables(database: &Database) -> Vec<String> {
    database.column(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_'
           and n.nspname not in ('pgq', 'londiste', 'information_schema')
         order by 1",
    )
}

/// Compares tables row by row, by the text of the provider's columns, and returns how many rows are equal, or what
/// differs. Names are SQL (quoted where needed).
pub fn compare<T: AsRef<str>>(provider: &Database, subscriber: &Database, tables: &[T]) -> Result<usize, String> {
    let mut count = 0;
    let mut report = String::new();
    for table in tables {
        let table = table.as_ref();
        let columns = columns(provider, table);
        let (left, right) = (rows(provider, table, &columns)?, rows(subscriber, table, &columns)?);
        count += left.len();
        report += &differences(table, left, right);
    }
    if report.is_empty() { Ok(count) } else { Err(report) }
}

/// Panics with what differs.
#[track_caller]
pub fn assert_same_rows<T: AsRef<str>>(provider: &Database, subscriber: &Database, tables: &[T]) {
    if let Err(report) = compare(provider, subscriber, tables) {
        panic!("provider and subscriber differ\n{report}");
    }
}

fn columns(database: &Database, table: &str) -> String {
    let table = table.replace('\'', "''");
    database.value(&format!(
        "select string_agg(format('%I', attname), ', ' order by attnum) from pg_attribute
         where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
    ))
}

fn rows(database: &Database, table: &str, columns: &str) -> Result<Vec<String>, String> {
    let rows = database.try_rows(&format!("select row({columns})::text collate \"C\" from {table} order by 1"));
    let rows = rows.map_err(|error| format!("could not read {table} of {}: {error}", database.conninfo()))?;
    Ok(rows.into_iter().map(|mut row| row.swap_remove(0)).collect())
}

fn differences(table: &str, provider: Vec<String>, subscriber: Vec<String>) -> String {
    let totals = format!("{table}: provider has {} rows, subscriber {}", provider.len(), subscriber.len());
    let mut surplus: BTreeMap<String, i64> = BTreeMap::new();
    for row in provider {
        *surplus.entry(row).or_default() += 1;
    }
    for row in subscriber {
        *surplus.entry(row).or_default() -= 1;
    }
    surplus.retain(|_, count| *count != 0);
    if surplus.is_empty() {
        return String::new();
    }
    let mut report = format!("{totals}\n");
    for (heading, sign) in [("only on the provider", 1), ("only on the subscriber", -1)] {
        let only: Vec<_> = surplus.iter().filter(|(_, count)| **count * sign > 0).collect();
        if only.is_empty() {
            continue;
        }
        let _ = writeln!(report, "  {heading}: {} different rows", only.len());
        for (row, count) in only.into_iter().take(SHOWN) {
            let times = if count.abs() > 1 { format!(" ({} times)", count.abs()) } else { String::new() };
            let _ = writeln!(report, "    {row}{times}");
        }
    }
    report
}
