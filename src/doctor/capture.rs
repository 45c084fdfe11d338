//! What is written to the provider's tables, by their statistics: the cost of capture, and tables that are not captured.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Side, fq_name, shell_word};
use super::check::{self, Check};
use super::finding::{Findings, count, names};
use crate::error::Result;
use crate::londiste::provider_queue;
use crate::pg::FqName;
use crate::pg::catalog;

/// What the capture of one row takes of the provider's processor, in microseconds: about 80,000 instructions more than a write
/// without triggers, for a statement of one row (`docs/speed.md`), at the 3.2 instructions in a nanosecond
/// that the processors of servers do. Statements of many rows take a third of it.
const ROW_COST: f64 = 25.0;

/// Tables whose cost is a finding of its own.
const DEAREST: usize = 5;

/// The writes to a table, and to those that it is a partition of.
struct Written {
    name: FqName,
    /// The table and all that it is a partition of.
    family: BTreeSet<FqName>,
    rows: i64,
}

pub(super) const WRITES: &[&Check] = &[&check::WRITTEN_OUTSIDE, &check::CAPTURE_COST, &check::SIMILAR_NAMES];

/// What is written to the tables of the set, and to others.
pub(super) async fn writes(case: &Case<'_>, side: &Side, offered: &[FqName]) -> Result<Findings> {
    let mut found = Findings::default();
    let set: BTreeSet<&FqName> = offered.iter().collect();
    let all: BTreeSet<FqName> = catalog::tables(&side.db).await?.into_iter().map(|entry| entry.name).collect();
    let written = written(side).await?;
    let is_captured = |written: &Written| written.family.iter().any(|name| set.contains(name));
    // Several queues may share the tables of a database.
    let others = provider_queue::all_captured(&side.db).await?;
    let of_any_queue: BTreeSet<FqName> = others.iter().map(|(_, table)| FqName::parse(table)).collect();
    let is_captured_anywhere = |written: &Written| written.family.iter().any(|name| of_any_queue.contains(name));
    let outside: Vec<&FqName> =
        written.iter().filter(|w| !is_captured_anywhere(w) && all.contains(&w.name)).map(|w| &w.name).collect();
    if !outside.is_empty() {
        let words: Vec<String> = outside.iter().map(|name| shell_word(&name.to_string())).collect();
        let fact =
            format!("{} written to and not in the set of a queue: {}", count(outside.len(), "table"), names(&outside));
        let fix = case.command(format_args!("provider add {}", words.join(" ")));
        found.warning(&check::WRITTEN_OUTSIDE, side.role, fact, fix);
    }
    found.rest_of_all(&check::WRITTEN_OUTSIDE, side.role, "all tables that are written to are in the set of a queue");
    cost(side, written.iter().filter(|w| is_captured(w)), &mut found).await?;
    similar_names(&set, &all, &mut found);
    Ok(found)
}

async fn written(side: &Side) -> Result<Vec<Written>> {
    const WRITTEN: &str = "with recursive family(leaf, relation) as (
    select s.relid, s.relid from pg_catalog.pg_stat_user_tables s
     where s.n_tup_ins operator(pg_catalog.+) s.n_tup_upd operator(pg_catalog.+) s.n_tup_del operator(pg_catalog.>) 0
    union
    select f.leaf, i.inhparent
      from family f
           join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) f.relation and c.relispartition
           join pg_catalog.pg_inherits i on i.inhrelid operator(pg_catalog.=) c.oid
)
select ln.nspname::text, l.relname::text, n.nspname::text, c.relname::text, s.n_tup_ins + s.n_tup_upd + s.n_tup_del
  from family f
       join pg_catalog.pg_stat_user_tables s on s.relid = f.leaf
       join pg_catalog.pg_class l on l.oid = f.leaf
       join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace
       join pg_catalog.pg_class c on c.oid = f.relation
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 order by 1, 2";
    let mut tables: BTreeMap<FqName, Written> = BTreeMap::new();
    for row in side.db.query("read the statistics of tables", WRITTEN, &[]).await? {
        let name = fq_name(&row, 0);
        let table =
            tables.entry(name.clone()).or_insert_with(|| Written { name, family: BTreeSet::new(), rows: row.get(4) });
        table.family.insert(fq_name(&row, 2));
    }
    Ok(tables.into_values().collect())
}

/// Rows a second since the statistics were reset, times the cost of a row.
#[expect(clippy::cast_precision_loss, reason = "figures that are far from 2^53")]
async fn cost(side: &Side, written: impl Iterator<Item = &Written>, found: &mut Findings) -> Result<()> {
    const SINCE: &str = "select greatest(extract(epoch from pg_catalog.now()
           - coalesce(d.stats_reset, pg_catalog.pg_postmaster_start_time())), 1)::float8,
       d.stats_reset is not null
  from pg_catalog.pg_stat_database d where d.datname = pg_catalog.current_database()";
    let row = side.db.query_one("read since when there are statistics", SINCE, &[]).await?;
    let (seconds, is_reset): (f64, bool) = (row.get(0), row.get(1));
    let since = if is_reset { "statistics were reset" } else { "the server was started" };
    let mut rates: Vec<(&FqName, f64)> = written.map(|w| (&w.name, w.rows as f64 / seconds)).collect();
    rates.sort_by(|a, b| b.1.total_cmp(&a.1));
    let total: f64 = rates.iter().map(|(_, rate)| rate).sum();
    let shown =
        |rate: f64| format!("{rate:.1} rows/s since {since}: about {:.1} ms of processor time a second", cost_of(rate));
    found.ok(&check::CAPTURE_COST, side.role, shown(total));
    for (name, rate) in rates.into_iter().take(DEAREST) {
        found.ok(&check::CAPTURE_COST, name, shown(rate));
    }
    Ok(())
}

/// Milliseconds of processor time a second, for so many rows a second.
fn cost_of(rows: f64) -> f64 {
    rows * ROW_COST / 1000.0
}

/// Tables of one schema whose names differ only by case, of which one is in the set and another is not: an unquoted name in SQL may
/// mean the wrong one.
fn similar_names(set: &BTreeSet<&FqName>, all: &BTreeSet<FqName>, found: &mut Findings) {
    let mut groups: BTreeMap<(&str, String), Vec<&FqName>> = BTreeMap::new();
    for name in all {
        groups.entry((&name.schema, name.name.to_lowercase())).or_default().push(name);
    }
    let mut same_elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
    for name in set {
        *same_elsewhere.entry(&name.name).or_default() += 1;
    }
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let (inside, outside): (Vec<&FqName>, Vec<&FqName>) = group.into_iter().partition(|name| set.contains(name));
        if let ([first, ..], [_, ..]) = (&inside[..], &outside[..]) {
            let fact = format!("{} is in the set, and {} is not", names(&inside), names(&outside));
            let fix = format!("on provider: drop or rename {}, or add it to the set", names(&outside));
            found.warning(&check::SIMILAR_NAMES, first, fact, fix);
        }
    }
    let repeated = same_elsewhere.values().filter(|number| **number > 1).count();
    let fact = format!("none; {} of the set in several schemas", count(repeated, "name"));
    found.rest_of_all(&check::SIMILAR_NAMES, "provider", fact);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousand_rows_a_second_take_a_fortieth_of_a_processor() {
        assert!((cost_of(1000.0) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn names_that_differ_by_case_are_told_when_one_is_outside() {
        let all: BTreeSet<FqName> = ["orders", "Orders", "a", "A", "b"].map(FqName::parse).into();
        let bad = |set: &[&str]| {
            let set: Vec<FqName> = set.iter().map(|name| FqName::parse(name)).collect();
            let mut found = Findings::default();
            similar_names(&set.iter().collect(), &all, &mut found);
            format!("{found:?}").matches("Warning").count()
        };
        assert_eq!((bad(&["orders", "Orders", "b"]), bad(&["orders", "b"]), bad(&["a", "orders"])), (0, 1, 2));
    }
}
