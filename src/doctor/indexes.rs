//! Indexes, constraints and kinds of the tables: what replay needs of them, and what may refuse a change.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Names, Side, fq_name};
use super::check::{self, Check};
use super::finding::{Findings, count, names};
use crate::config::ApplyRole;
use crate::error::Result;
use crate::londiste::Structures;
use crate::pg::FqName;
use crate::pg::catalog::RelationKind;
use crate::pg::name::quote_ident;

/// An index over columns alone, without a condition.
struct Index {
    name: String,
    is_unique: bool,
    columns: Vec<String>,
}

async fn indexes(side: &Side, tables: &[FqName]) -> Result<BTreeMap<FqName, Vec<Index>>> {
    const INDEXES: &str = "select n.nspname::text, c.relname::text, x.relname::text, i.indisunique,
       array(select a.attname::text
               from pg_catalog.unnest((pg_catalog.string_to_array(i.indkey::text, ' ')::int2[])
                        [1:coalesce((pg_catalog.to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts::int)])
                    with ordinality k(attnum, nr)
                    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
              order by k.nr)
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
       join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisvalid and i.indpred is null and i.indexprs is null
       join pg_catalog.pg_class x on x.oid = i.indexrelid
 order by 1, 2, 3";
    let mut found: BTreeMap<FqName, Vec<Index>> = BTreeMap::new();
    for row in side.db.query("read the indexes of tables", INDEXES, &Names::of(tables).params()).await? {
        let index = Index { name: row.get(2), is_unique: row.get(3), columns: row.get(4) };
        found.entry(fq_name(&row, 0)).or_default().push(index);
    }
    Ok(found)
}

pub(super) const INDEXES: &[&Check] = &[&check::KEY_INDEX, &check::UNIQUE_INDEXES, &check::MISSING_INDEXES];

/// The indexes that replay finds rows by, and those that may refuse a change.
pub(super) async fn compare(
    provider: &Side,
    subscriber: &Side,
    structures: &Structures,
    tables: &[FqName],
) -> Result<Findings> {
    let (theirs, ours) = (indexes(provider, tables).await?, indexes(subscriber, tables).await?);
    let mut found = Findings::default();
    let none = Vec::new();
    let mut missing = Vec::new();
    // What is wrong with a table's key is a finding of its own.
    for table in tables.iter().filter(|table| structures.compare(table).differences.is_empty()) {
        let (theirs, ours) = (theirs.get(table).unwrap_or(&none), ours.get(table).unwrap_or(&none));
        let is_missing = |index: &&Index| !ours.iter().any(|other| other.columns == index.columns);
        missing.extend(theirs.iter().filter(is_missing).map(|index| index.name.clone()));
        let key = structures.key(table);
        // Before PostgreSQL 11 a partitioned table has no indexes of its own.
        let kind = structures.subscriber.get(table).map(|table| table.kind);
        let has_indexes = kind != Some(RelationKind::Partitioned) || subscriber.version >= 110_000;
        if has_indexes && !ours.iter().any(|index| index.columns.first().is_some_and(|first| key.contains(first))) {
            let columns: Vec<String> = key.iter().map(|column| quote_ident(column)).collect();
            let fact =
                format!("has no index on its key ({}): each update and delete reads the whole table", key.join(", "));
            let fix = format!("create index concurrently on {} ({});", table.quoted(), columns.join(", "));
            found.warning(&check::KEY_INDEX, table, fact, subscriber.sql(fix));
        }
        for index in ours.iter().filter(|index| index.is_unique && !is_implied(index, theirs)) {
            let fact =
                format!("index {} makes ({}) unique on the subscriber only", index.name, index.columns.join(", "));
            let quoted = FqName { schema: table.schema.clone(), name: index.name.clone() }.quoted();
            let fix = format!("drop index {quoted}; -- or alter table ... drop constraint");
            found.warning(&check::UNIQUE_INDEXES, table, fact, subscriber.sql(fix));
        }
    }
    if !missing.is_empty() {
        let fact = format!("{} of the provider not on the subscriber: {}", many(missing.len()), names(&missing));
        found.ok(&check::MISSING_INDEXES, "subscriber", fact);
    }
    let fact = format!("{} compared", count(tables.len(), "table"));
    for check in INDEXES {
        found.rest_of_all(check, "subscriber", &fact);
    }
    Ok(found)
}

fn many(indexes: usize) -> String {
    if indexes == 1 { "1 index".to_owned() } else { format!("{indexes} indexes") }
}

/// Whether rows that are unique by one of `others` are unique by the columns of this index too.
fn is_implied(index: &Index, others: &[Index]) -> bool {
    let columns: BTreeSet<&String> = index.columns.iter().collect();
    others
        .iter()
        .filter(|other| other.is_unique)
        .any(|other| other.columns.iter().all(|column| columns.contains(column)))
}

pub(super) const OUTSIDE: &[&Check] = &[&check::OUTSIDE_FOREIGN_KEYS];

/// Foreign keys of subscribed tables to tables whose rows do not arrive.
pub(super) async fn outside_foreign_keys(case: &Case<'_>, side: &Side, tables: &[FqName]) -> Result<Findings> {
    const KEYS: &str = "select n.nspname::text, c.relname::text, rn.nspname::text, r.relname::text, k.conname::text
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
       join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype = 'f'
       join pg_catalog.pg_class r on r.oid = k.confrelid and not r.relispartition
       join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
 order by 1, 2, 5";
    let (config, _) = case.replication()?;
    let mut found = Findings::default();
    let check = &check::OUTSIDE_FOREIGN_KEYS;
    if config.apply_role == ApplyRole::Origin {
        for row in side.db.query("read foreign keys", KEYS, &Names::of(tables).params()).await? {
            let (from, to) = (fq_name(&row, 0), fq_name(&row, 2));
            if tables.contains(&to) {
                continue;
            }
            let name: String = row.get(4);
            let fact = format!("foreign key {name} leads to {to}, which is not subscribed: a new row may be refused");
            let fix = format!("alter table {} drop constraint {};", from.quoted(), quote_ident(&name));
            found.warning(check, from, fact, side.sql(fix));
        }
    }
    found.rest_of_all(check, side.role, "all lead to subscribed tables");
    Ok(found)
}

pub(super) const KINDS: &[&Check] = &[&check::UNLOGGED, &check::KEY_COLLATION];

/// Tables that a crash empties, and keys by which different values are equal.
pub(super) async fn kinds(side: &Side, tables: &[FqName]) -> Result<Findings> {
    const UNLOGGED: &str = "select n.nspname::text, c.relname::text
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relpersistence = 'u'
 order by 1, 2";
    const COLLATIONS: &str = "select distinct n.nspname::text, c.relname::text, a.attname::text, o.collname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod)
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
       join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisunique
       join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey::int2[])
       join pg_catalog.pg_collation o on o.oid = a.attcollation and pg_catalog.to_jsonb(o) ->> 'collisdeterministic' = 'false'
 order by 1, 2, 3";
    let mut found = Findings::default();
    let wanted = Names::of(tables);
    for row in side.db.query("look for unlogged tables", UNLOGGED, &wanted.params()).await? {
        let table = fq_name(&row, 0);
        let fix = side.sql(format_args!("alter table {} set logged;", table.quoted()));
        let fact = "is unlogged: a crash of the server empties it, and a standby does not have it";
        found.warning(&check::UNLOGGED, format_args!("{} {table}", side.role), fact, fix);
    }
    found.rest_of_all(&check::UNLOGGED, side.role, "all tables are logged");
    for row in side.db.query("read the collations of keys", COLLATIONS, &wanted.params()).await? {
        let (table, [column, collation, type_name]) =
            (fq_name(&row, 0), [row.get::<_, String>(2), row.get(3), row.get(4)]);
        let fact = format!(
            "column {column} of its key has collation {collation}: different values are equal, and rows are mixed up"
        );
        let fix = format!(
            "alter table {} alter column {} type {type_name} collate pg_catalog.\"default\";",
            table.quoted(),
            quote_ident(&column)
        );
        found.warning(&check::KEY_COLLATION, format_args!("{} {table}", side.role), fact, side.sql(fix));
    }
    found.rest_of_all(&check::KEY_COLLATION, side.role, "all keys have deterministic collations");
    Ok(found)
}

pub(super) const EXTENSIONS: &[&Check] = &[&check::EXTENSIONS];

/// The extensions whose types the tables use.
pub(super) async fn extensions(provider: &Side, subscriber: &Side, tables: &[FqName]) -> Result<Findings> {
    const USED: &str = "select distinct e.extname::text, e.extversion
  from unnest($1, $2) w(schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
       join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       join pg_catalog.pg_type t on t.oid = a.atttypid
       join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.deptype = 'e'
            and d.objid in (t.oid, t.typelem, t.typbasetype)
       join pg_catalog.pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
 order by 1";
    const INSTALLED: &str = "select e.extname::text, e.extversion from pg_catalog.pg_extension e";
    const ACTION: &str = "read the extensions";
    let mut found = Findings::default();
    let ours = subscriber.db.query(ACTION, INSTALLED, &[]).await?;
    for row in provider.db.query(ACTION, USED, &Names::of(tables).params()).await? {
        let [name, version]: [String; 2] = [row.get(0), row.get(1)];
        if let Some(row) = ours.iter().find(|row| row.get::<_, &str>(0) == name) {
            let fact = format!("the provider has version {version}, the subscriber {}", row.get::<_, &str>(1));
            found.ok(&check::EXTENSIONS, name, fact);
        } else {
            let fix = subscriber.sql(format_args!("create extension {};", quote_ident(&name)));
            found.warning(&check::EXTENSIONS, &name, "tables use its types, and the subscriber does not have it", fix);
        }
    }
    found.rest_of_all(&check::EXTENSIONS, "both", "the tables use no types of extensions");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_key_of_more_columns_follows_from_one_of_less() {
        let index = |columns: &[&str], is_unique| Index {
            name: String::new(),
            is_unique,
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
        };
        let ours = index(&["a", "b"], true);
        for (theirs, expected) in [
            (vec![], false),
            (vec![index(&["b"], true)], true),
            (vec![index(&["b"], false)], false),
            (vec![index(&["b", "c"], true)], false),
            (vec![index(&["c"], true), index(&["b", "a"], true)], true),
        ] {
            assert_eq!(is_implied(&ours, &theirs), expected);
        }
    }
}
