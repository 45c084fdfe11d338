//! What takes both programs: a ticker inside of replay, and the commands that set replication up as a whole and take it away.

mod moving;
mod refused;
mod ticker;

use crate::support::{Database, Output, Program};

/// Everything that the catalogs of a database say about its objects, rights and settings, one line for each thing; names in place of
/// numbers, so that an object which is dropped and made again counts as the same.
pub fn catalog(database: &Database) -> Vec<String> {
    const CATALOG: &str = "
        with ours(oid) as (select oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
        select 'schema ' || nspname || ' ' || nspowner::regrole || ' ' || coalesce(nspacl::text, '-') from pg_namespace
         where oid in (select oid from ours)
        union all
        select 'relation ' || c.oid::regclass || ' ' || relkind || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '-') || ' '
               || coalesce(reloptions::text, '-') || relrowsecurity || relreplident
          from pg_class c where relnamespace in (select oid from ours)
        union all
        select 'column ' || attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull
               || coalesce(pg_get_expr(adbin, adrelid), '-') || coalesce(attoptions::text, '-')
          from pg_attribute a join pg_class c on c.oid = attrelid left join pg_attrdef d on adrelid = attrelid and adnum = attnum
         where relnamespace in (select oid from ours) and attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm')
        union all
        select 'index ' || pg_get_indexdef(indexrelid) || indisvalid from pg_index
          join pg_class c on c.oid = indexrelid where relnamespace in (select oid from ours)
        union all
        select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(k.oid) || convalidated
          from pg_constraint k where connamespace in (select oid from ours) and conrelid <> 0
        union all
        select 'trigger ' || pg_get_triggerdef(t.oid) || tgenabled from pg_trigger t where not tgisinternal
        union all
        select 'function ' || p.oid::regprocedure || ' ' || proowner::regrole || ' ' || md5(prosrc) || coalesce(proacl::text, '-')
          from pg_proc p where pronamespace in (select oid from ours)
        union all
        select 'type ' || t.oid::regtype || ' ' || typowner::regrole from pg_type t where typnamespace in (select oid from ours)
        union all
        select 'event trigger ' || evtname from pg_event_trigger
        union all
        select 'extension ' || extname from pg_extension
        union all
        select 'language ' || lanname from pg_language
        union all
        select 'default right ' || defaclrole::regrole || defaclobjtype::text || defaclacl::text from pg_default_acl
        union all
        select 'setting ' || setconfig::text from pg_db_role_setting
         where setdatabase = (select oid from pg_database where datname = current_database())
        union all
        select 'right on the database ' || coalesce(datacl::text, '-') from pg_database where datname = current_database()
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
