//! What a switchover to the subscriber would lose: what is not replicated. And sequences that would give a value twice.

use std::collections::BTreeSet;

use super::case::{Case, Names, Side, fq_name};
use super::check::{self, Check};
use super::finding::{Findings, count, names};
use super::tables::Tables;
use crate::error::{Result, Role};
use crate::londiste::sequences;
use crate::pg::catalog;
use crate::pg::{FqName, Sql, int8, sql};

/// Sequences whose values are read by one query.
const AT_ONCE: usize = 100;

/// A sequence that a column takes its values from.
struct OfColumn {
    sequence: FqName,
    table: FqName,
    column: String,
}

impl OfColumn {
    /// The statement that sets the sequence to the greatest value of the column.
    fn advance(&self, greatest: i64) -> String {
        format!("select setval({}, {greatest});", Sql::literal(&self.sequence.quoted()))
    }
}

pub(super) const SEQUENCES: &[&Check] = &[&check::SEQUENCE_BEHIND];

/// Sequences whose next value is in their column already: on the provider, and of those that are subscribed on the subscriber.
pub(super) async fn sequences_behind(
    case: &Case<'_>,
    provider: &Side,
    subscriber: &Side,
    tables: &Tables,
) -> Result<Findings> {
    let (_, job) = case.replication()?;
    let mut found = Findings::default();
    let check = &check::SEQUENCE_BEHIND;
    let mut behind_there = BTreeSet::new();
    for (of, greatest, value) in behind(provider, &tables.offered).await? {
        tell(provider, &of, greatest, value, &mut found);
        behind_there.insert(of.sequence);
    }
    let subscribed = sequences::list(&subscriber.db, &job.queue).await?;
    for (of, greatest, value) in behind(subscriber, &tables.common()).await? {
        // The subscriber gets the value of the provider, where it is told of already.
        if subscribed.contains(&of.sequence) && !behind_there.contains(&of.sequence) {
            tell(subscriber, &of, greatest, value, &mut found);
        }
    }
    found.rest_of_all(check, "both", "no sequence is behind its column");
    Ok(found)
}

fn tell(side: &Side, of: &OfColumn, greatest: i64, value: i64, found: &mut Findings) {
    let fact = format!("stands at {value}, and column {} of {} has {greatest} already", of.column, of.table);
    let fix = side.sql(of.advance(greatest));
    found.warning(&check::SEQUENCE_BEHIND, format_args!("{} {}", side.role, of.sequence), fact, fix);
}

/// The sequences that are behind, with the greatest value of the column and their own. Looks at columns that an index begins with:
/// reading the greatest value is cheap there. Takes ACCESS SHARE on the tables and sequences.
async fn behind(side: &Side, tables: &[FqName]) -> Result<Vec<(OfColumn, i64, i64)>> {
    // A sequence belongs to a column (serial, identity), or the column's default uses it.
    const OF_COLUMNS: &str = "with used(sequence, relation, attnum) as (
    select d.objid, d.refobjid, d.refobjsubid
      from pg_catalog.pg_depend d
     where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = d.classid
       and d.deptype in ('a', 'i') and d.refobjsubid > 0
    union
    select d.refobjid, f.adrelid, f.adnum
      from pg_catalog.pg_depend d
           join pg_catalog.pg_attrdef f on f.oid = d.objid
     where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
       and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
)
select sn.nspname::text, s.relname::text, n.nspname::text, c.relname::text, a.attname::text
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
       join used u on u.relation = c.oid
       join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = u.attnum and a.atttypid in (20, 21, 23)
       join pg_catalog.pg_class s on s.oid = u.sequence and s.relkind = 'S'
       join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
       join pg_catalog.pg_sequence q on q.seqrelid = s.oid and q.seqincrement > 0 and not q.seqcycle
 where exists (select from pg_catalog.pg_index i
                where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null)
   and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_schema_privilege(sn.oid, 'usage')
   and pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_sequence_privilege(s.oid, 'select')
   and not pg_catalog.row_security_active(c.oid)
 order by 1, 2";
    const ACTION: &str = "compare sequences with their columns";
    let rows = side.db.query(ACTION, OF_COLUMNS, &Names::of(tables).params()).await?;
    let of_row =
        |row: &tokio_postgres::Row| OfColumn { sequence: fq_name(row, 0), table: fq_name(row, 2), column: row.get(4) };
    let mut all: Vec<OfColumn> = rows.iter().map(of_row).collect();
    let mut found = Vec::new();
    while !all.is_empty() {
        let mut part: Vec<Option<OfColumn>> = all.drain(..all.len().min(AT_ONCE)).map(Some).collect();
        let queries = part.iter().flatten().enumerate().map(|(nr, of)| {
            sql!(
                "select {nr}::int8 as nr, (select max(t.{column})::int8 from {table} t) as greatest, last_value, is_called \
                   from {sequence}",
                nr = nr,
                column = Sql::ident(&of.column),
                table = &of.table,
                sequence = &of.sequence
            )
        });
        let sql = sql!(
            "select v.nr, v.greatest, v.last_value from ({queries}) v
              where v.greatest > v.last_value or v.greatest = v.last_value and not v.is_called order by 1",
            queries = Sql::join(queries, " union all ")
        );
        for row in side.db.query(ACTION, sql, &[]).await? {
            let of = usize::try_from(row.get::<_, i64>(0)).ok().and_then(|nr| part.get_mut(nr)?.take());
            found.extend(of.map(|of| (of, row.get(1), row.get(2))));
        }
    }
    Ok(found)
}

pub(super) const LOST: &[&Check] =
    &[&check::SWITCHOVER_TABLES, &check::SWITCHOVER_SEQUENCES, &check::SWITCHOVER_OBJECTS];

/// The tables, sequences and other objects of the provider that are not replicated.
pub(super) async fn lost(case: &Case<'_>, provider: &Side, subscriber: &Side, tables: &Tables) -> Result<Findings> {
    let (_, job) = case.replication()?;
    let mut found = Findings::default();
    let common: BTreeSet<FqName> = tables.common().into_iter().collect();
    let entries = catalog::tables(&provider.db).await?;
    // The rows of a partition come with its root.
    let outside: Vec<&FqName> =
        entries.iter().filter(|e| !e.is_partition && !common.contains(&e.name)).map(|e| &e.name).collect();
    let fact = match outside.len() {
        0 => "all tables are replicated".to_owned(),
        number => format!("{} not replicated: {}", count(number, "table"), names(&outside)),
    };
    found.ok(&check::SWITCHOVER_TABLES, Role::Provider, fact);
    let subscribed: BTreeSet<FqName> = sequences::list(&subscriber.db, &job.queue).await?.into_iter().collect();
    let mut all = catalog::sequences(&provider.db).await?;
    all.retain(|sequence| !subscribed.contains(sequence));
    let fact = match all.len() {
        0 => "the values of all sequences are replicated".to_owned(),
        number => format!("the values of {} not replicated: {}", count(number, "sequence"), names(&all)),
    };
    found.ok(&check::SWITCHOVER_SEQUENCES, Role::Provider, fact);
    objects(provider, &mut found).await?;
    Ok(found)
}

/// Objects that are counted up to a bound, because the server reads each that it counts.
async fn objects(provider: &Side, found: &mut Findings) -> Result<()> {
    const BOUND: i64 = 100_000;
    const OBJECTS: &str =
        "select (select pg_catalog.count(*) from (select from pg_catalog.pg_largeobject_metadata limit $1) l),
       (select pg_catalog.count(*) from pg_catalog.pg_class c where c.relkind = 'm' and c.oid >= 16384),
       (select pg_catalog.count(*) from pg_catalog.pg_class c where c.relkind = 'f' and c.oid >= 16384),
       (select pg_catalog.count(*) from pg_catalog.pg_class c
         where c.relpersistence = 'u' and c.relkind in ('r', 'p') and c.relnamespace not in (
             select n.oid from pg_catalog.pg_namespace n where n.nspname in ('pgq', 'londiste')))";
    let row = provider.db.query_one("count what is not replicated", OBJECTS, &[int8(&BOUND)]).await?;
    let counted: Vec<String> = ["large object", "materialized view", "foreign table", "unlogged table"]
        .into_iter()
        .enumerate()
        .filter(|(column, _)| row.get::<_, i64>(*column) > 0)
        .map(|(column, noun)| count(usize::try_from(row.get::<_, i64>(column)).unwrap_or(usize::MAX), noun))
        .collect();
    let fact = match counted.len() {
        0 => "no large objects, materialized views, foreign or unlogged tables".to_owned(),
        _ => format!("not replicated: {}", counted.join(", ")),
    };
    found.ok(&check::SWITCHOVER_OBJECTS, Role::Provider, fact);
    Ok(())
}
