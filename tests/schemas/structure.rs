//! Whether two databases have the same objects.

use std::collections::BTreeSet;

use super::catalog::SCHEMAS;
use crate::support::{Cluster, Database, Scratch, client, client_reads};

/// One line for each object of the user and each property of it that replication could harm.
fn definitions(database: &Database) -> BTreeSet<String> {
    let generated = if database.major() >= 12 { "a.attgenerated" } else { "''" };
    let inherited = "coalesce((select string_agg(i.inhparent::regclass::text, ',' order by i.inhseqno) from pg_inherits i where i.inhrelid = c.id), '')";
    let lines = database.column(&format!(
        "set search_path = pg_catalog;
         with c as (select c.*, c.oid as id, c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where {SCHEMAS})
         select format('relation %s %s %s %s %s %s %s %s %s %s', name, c.relkind, c.relpersistence, relrowsecurity, relforcerowsecurity,
                       relreplident, reloptions, relacl, {inherited}, pg_get_expr(relpartbound, id)) from c where relkind not in ('i', 'I')
         union all select format('column %s %s %s %s %s %s %s %s %s', name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                       a.attidentity, {generated}, a.attcollation, a.attacl, pg_get_expr(d.adbin, d.adrelid))
             from c join pg_attribute a on a.attrelid = c.id left join pg_attrdef d on d.adrelid = c.id and d.adnum = a.attnum
             where a.attnum > 0 and not a.attisdropped
         union all select format('constraint %s %s %s %s %s', name, k.conname, k.contype, k.convalidated, pg_get_constraintdef(k.oid))
             from c join pg_constraint k on k.conrelid = c.id
             -- Of a key to a partitioned table there is one for each partition, of which VALIDATE CONSTRAINT takes no note.
             where k.contype <> 'f' or coalesce(to_jsonb(k) ->> 'conparentid', '0') = '0' or c.relispartition
         union all select format('index %s %s %s', name, i.indisvalid, pg_get_indexdef(i.indexrelid)) from c join pg_index i on i.indrelid = c.id
         union all select format('trigger %s %s %s', name, t.tgenabled, pg_get_triggerdef(t.oid))
             from c join pg_trigger t on t.tgrelid = c.id where not t.tgisinternal
         union all select format('rule %s %s %s', name, r.ev_enabled, pg_get_ruledef(r.oid)) from c join pg_rewrite r on r.ev_class = c.id
         union all select format('policy %s %s %s %s %s', name, p.polname, p.polcmd, pg_get_expr(p.polqual, p.polrelid),
                       pg_get_expr(p.polwithcheck, p.polrelid)) from c join pg_policy p on p.polrelid = c.id
         union all select format('sequence %s %s %s %s %s %s %s', name, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin,
                       s.seqcycle) from c join pg_sequence s on s.seqrelid = c.id
         union all select format('function %s %s', p.oid::regprocedure, p.prosrc) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where {SCHEMAS} and not exists (select from pg_depend e where e.objid = p.oid and e.deptype = 'e')
         union all select format('type %s %s %s %s', t.oid::regtype, t.typtype,
                       (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid = t.oid),
                       (select string_agg(pg_get_constraintdef(oid), ',' order by conname) from pg_constraint where contypid = t.oid))
             from pg_type t join pg_namespace n on n.oid = t.typnamespace where {SCHEMAS}
         union all select 'schema ' || n.nspname || ' ' || coalesce(n.nspacl::text, '') from pg_namespace n where {SCHEMAS}
         union all select 'extension ' || extname || ' ' || extnamespace::regnamespace from pg_extension
         union all select 'event trigger ' || evtname from pg_event_trigger"
    ));
    lines.into_iter().collect()
}

/// Compares all objects of the user, by the catalog and, where this machine's `pg_dump` reads the servers, by `pg_dump -s`.
#[track_caller]
pub fn assert_same_structure(clusters: [&Cluster; 2], databases: [&Database; 2], scratch: &Scratch) {
    let [left, right] = databases.map(definitions);
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
        a.difference(b).take(20).map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat()
    };
    assert!(left.len() > 50, "only {} objects", left.len());
    assert!(
        left == right,
        "the structures differ\nonly on the provider:\n{}only on the subscriber:\n{}",
        only(&left, &right),
        only(&right, &left)
    );
    if !client_reads(clusters[0].binaries()) {
        println!("pg_dump -s left out: it is older than the server");
        return;
    }
    let dumps: Vec<Vec<String>> = ["provider", "subscriber"]
        .iter()
        .zip(clusters)
        .zip(databases)
        .map(|((side, cluster), database)| {
            let file = scratch.path().join(format!("{side}.sql"));
            client(cluster, "pg_dump", database, &["-s", "-N", "pgq", "-N", "londiste", "-f", file.to_str().unwrap()]);
            let text = std::fs::read_to_string(file).unwrap();
            // The dump ends with a random key.
            text.lines()
                .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
                .map(str::to_owned)
                .collect()
        })
        .collect();
    let differing = dumps[0].iter().zip(&dumps[1]).find(|(a, b)| a != b);
    assert!(
        dumps[0].len() == dumps[1].len() && differing.is_none(),
        "pg_dump -s differs: {} and {} lines, first {differing:?}",
        dumps[0].len(),
        dumps[1].len()
    );
}
