//! Installing: by an owner without other rights, again, and with every file of the directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rlondiste::pgq::schema;

use super::{OWNER, empty_database, installed, session_as, try_install};
use crate::support::Cluster;

#[test]
fn every_file_of_the_directory_is_installed_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/pgq");
    let mut on_disk = BTreeSet::new();
    for dir in ["", "functions/", "triggers/"] {
        for entry in fs::read_dir(root.join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|e| e == "sql") {
                on_disk.insert(format!("{dir}{name}"));
            }
        }
    }
    let listed: BTreeSet<_> = schema::FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, on_disk);
    assert_eq!(listed.len(), schema::FILES.len(), "a file is listed twice");
    assert_eq!(schema::FILES[0].0, "upgrade.sql");
    assert_eq!(schema::FILES.last().unwrap().0, "grants.sql");
}

#[test]
fn every_function_is_in_the_file_of_its_name_and_explains_itself() {
    let (_database, session) = installed();
    let rows = session.rows("select proname, prosrc from pg_proc where pronamespace = 'pgq'::regnamespace");
    for row in &rows {
        let file = format!("/pgq.{}.sql", row[0]);
        assert!(schema::FILES.iter().any(|(name, _)| name.ends_with(&file)), "no file {file}");
        assert!(row[1].contains(&format!("-- Function: pgq.{}(", row[0])), "{} has no header", row[0]);
    }
    assert!(rows.len() > 80, "{}", rows.len());
}

#[test]
fn install_is_repeatable_and_changes_nothing() {
    const SHAPE: &str = "select c.oid::regclass::text || ' ' || coalesce(c.reloptions::text, '') || coalesce(c.relacl::text, '')
            || coalesce((select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ',' order by a.attnum)
                         from pg_attribute a where a.attrelid = c.oid and a.attnum > 0), '')
        from pg_class c where c.relnamespace = 'pgq'::regnamespace
        union all
        select p.oid::regprocedure::text || md5(p.prosrc) || coalesce(p.proacl::text, '') from pg_proc p
        where p.pronamespace = 'pgq'::regnamespace order by 1";
    let (_database, session) = installed();
    session.sql("select pgq.create_queue('q')");
    let before = session.column(SHAPE);
    try_install(&session).unwrap();
    assert_eq!(session.column(SHAPE), before);
}

#[test]
fn all_of_one_version() {
    let (_database, session) = installed();
    assert_eq!(session.value("select pgq.version()"), "3.5");
    assert_eq!(session.value("select pgq.rlondiste_version()"), env!("CARGO_PKG_VERSION"));
    let upgrade = schema::FILES.iter().find(|(name, _)| *name == "upgrade.sql").unwrap().1;
    assert!(upgrade.contains(&format!("c_version   constant text := '{}'", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn refuses_a_schema_that_is_not_ours() {
    let database = empty_database();
    let session = session_as(&database, OWNER);
    session.sql("create schema pgq; create table pgq.something (a int)");
    let error = try_install(&session).unwrap_err();
    assert_eq!(error.code, "55000");
    assert_eq!(error.message, "upgrade.sql: schema pgq is there, and is not one that can be upgraded");
    assert!(!error.hint.is_empty());
    assert_eq!(session.column("select relname from pg_class where relnamespace = 'pgq'::regnamespace"), ["something"]);
}

#[test]
fn refuses_a_schema_of_a_newer_rlondiste() {
    let (_database, session) = installed();
    session
        .sql("create or replace function pgq.rlondiste_version() returns text as $$ select '99.0.1' $$ language sql");
    let error = try_install(&session).unwrap_err();
    assert_eq!(error.code, "55000");
    assert_eq!(
        error.message,
        "upgrade.sql: schema pgq was installed by rlondiste 99.0.1, which is newer than this one"
    );
}

#[test]
fn refuses_a_schema_of_another_owner() {
    let database = empty_database();
    database.sql("create schema pgq; create table pgq.queue (a int)");
    let error = try_install(&session_as(&database, OWNER)).unwrap_err();
    assert_eq!(error.code, "42501");
    assert_eq!(error.message, format!("upgrade.sql: schema pgq cannot be changed by {OWNER}"));
    assert_eq!(error.hint, "Install as the owner of the schema.");
}

#[test]
fn schema_that_was_created_empty_is_filled() {
    let database = empty_database();
    database.sql(&format!("create schema pgq authorization {OWNER}"));
    try_install(&session_as(&database, OWNER)).unwrap();
}

/// Roles belong to the cluster, so this takes one of its own.
#[test]
fn without_the_right_to_create_roles_the_schema_is_open_as_in_version_2() {
    let cluster = Cluster::builder().name("noroles").start();
    let database = cluster.database();
    database.sql(&format!(
        "create role {OWNER}; create role somebody; alter database {} owner to {OWNER};
         grant create on schema public to {OWNER}",
        database.name()
    ));
    let session = session_as(&database, OWNER);
    try_install(&session).unwrap();
    assert_eq!(database.value("select count(*) from pg_roles where rolname like 'pgq%'"), "0");
    session.sql("select pgq.create_queue('q')");

    let anybody = session_as(&database, "somebody");
    assert_eq!(anybody.value("select pgq.insert_event('q', 'type', 'data')"), "1");
    assert_eq!(anybody.value("select pgq.register_consumer('q', 'c')"), "1");
    anybody.sql("select pgq.force_tick('q'); select pgq.next_batch('q', 'c'); select count(*) from pgq.event_1");
    for admin in ["create_queue('r')", "drop_queue('q')", "ticker()", "ticker('q')", "maint_rotate_tables_step1('q')"] {
        assert_eq!(anybody.error(&format!("select pgq.{admin}")).code, "42501", "{admin}");
    }

    // The roles come later: the next install uses them, and the schema stays open for those who rely on it.
    database.sql("create role pgq_admin; grant pgq_admin to somebody");
    try_install(&session).unwrap();
    anybody.sql("select pgq.ticker()");
    assert_eq!(anybody.value("select pgq.insert_event('q', 'type', 'data')"), "1003");
}
