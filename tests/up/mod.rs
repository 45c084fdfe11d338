//! What takes both programs: a ticker inside of replay, and the commands that set replication up as a whole and take it away.

mod moving;
mod refused;
mod ticker;

use std::fs;

use crate::support::{Cluster, Database, Output, Program};

/// Everything that the catalogs of a database say about its objects, rights and settings, one line for each thing; names in place of
/// numbers, so that an object which is dropped and made again counts as the same.
pub fn catalog(database: &Database) -> Vec<String> {
    const CATALOG: &str = "
        with ours(oid) as (select oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
        select concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl) from pg_namespace
         where oid in (select oid from ours)
        union all
        select concat_ws(' ', 'relation', c.oid::regclass, relkind, relowner::regrole, relacl, reloptions, relrowsecurity, relreplident)
          from pg_class c where relnamespace in (select oid from ours)
        union all
        select concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
                         pg_get_expr(adbin, adrelid), attoptions)
          from pg_attribute a join pg_class c on c.oid = attrelid left join pg_attrdef d on adrelid = attrelid and adnum = attnum
         where relnamespace in (select oid from ours) and attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm')
        union all
        select concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid) from pg_index
          join pg_class c on c.oid = indexrelid where relnamespace in (select oid from ours)
        union all
        select concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(k.oid), convalidated)
          from pg_constraint k where connamespace in (select oid from ours) and conrelid <> 0
        union all
        select concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), tgenabled) from pg_trigger t where not tgisinternal
        union all
        select concat_ws(' ', 'function', p.oid::regprocedure, proowner::regrole, md5(prosrc), proacl, proconfig)
          from pg_proc p where pronamespace in (select oid from ours)
        union all
        select concat_ws(' ', 'type', t.oid::regtype, typowner::regrole, typacl) from pg_type t
         where typnamespace in (select oid from ours)
        union all
        select 'event trigger ' || evtname from pg_event_trigger
        union all
        select 'extension ' || extname from pg_extension
        union all
        select 'language ' || lanname from pg_language
        union all
        select concat_ws(' ', 'default right', defaclrole::regrole, defaclobjtype, defaclacl) from pg_default_acl
        union all
        select concat_ws(' ', 'setting', setconfig) from pg_db_role_setting
         where setdatabase = (select oid from pg_database where datname = current_database())
        union all
        select concat_ws(' ', 'right on the database', datacl) from pg_database where datname = current_database()
        order by 1";
    database.column(CATALOG)
}

/// Runs `up -d`, which must succeed, and returns what it said.
#[track_caller]
pub fn end_of_up(program: Program) -> String {
    let output: Output = program.stdout("").run();
    assert!(output.stderr.contains("All tables are in sync"), "{}", output.stderr);
    output.stderr
}

/// The newest major version whose `pg_dump` the distribution has here.
pub fn newest_dump() -> u32 {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).max().unwrap_or(0)
}

/// Whether the schema of a server's databases can be dumped here; the reason for skipping is printed where it cannot.
pub fn can_dump(cluster: &Cluster) -> bool {
    let can = cluster.binaries().major() <= newest_dump();
    if !can {
        eprintln!("skipped: no pg_dump of PostgreSQL {}", cluster.binaries().major());
    }
    can
}
