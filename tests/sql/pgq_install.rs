//! Installing: by an owner without other rights, again, and with every file of the directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use rlondiste::pgq::schema;

use super::{OWNER, create_roles, empty_database, installed, session_as, try_install};
use crate::support::{Cluster, wait_until};

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

/// The second installer waits for the first one and then finds nothing to do, also when neither found a schema.
#[test]
fn two_installers_follow_each_other() {
    let database = empty_database();
    for _ in 0..2 {
        let first = session_as(&database, OWNER);
        first.sql("begin; set local client_min_messages = warning; set local check_function_bodies = off");
        for (_, sql) in schema::FILES {
            first.sql(sql);
        }
        let second = session_as(&database, OWNER);
        let pid = second.backend_pid();
        thread::scope(|scope| {
            let second = scope.spawn(move || try_install(&second));
            wait_until("the second installer waits", || {
                let waits = format!("select wait_event_type from pg_stat_activity where pid = {pid}");
                match database.value(&waits).as_str() {
                    "Lock" => Ok(()),
                    other => Err(other.to_owned()),
                }
            });
            first.sql("commit");
            second.join().unwrap().unwrap_or_else(|error| panic!("{error}"));
        });
    }
    assert_eq!(database.value("select pgq.create_queue('q')"), "1");
}

#[test]
fn roles_without_rights_cannot_keep_an_installer_waiting() {
    create_roles(&["pgq_test_nobody"]);
    let (database, session) = installed();
    let nobody = session_as(&database, "pgq_test_nobody");
    nobody.sql("begin; select * from pgq.queue, pgq.tick; select pg_advisory_lock(491261095524)");
    // Nor can those that consume, write and retry in a transaction that stays open.
    // In transactions of their own: a tick may show its own transaction, or not.
    session.sql("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    session.sql("select pgq.insert_event('q', 'type', 'data'), pgq.force_tick('q')");
    session.sql("select pgq.ticker('q')");
    session.sql("select pgq.next_batch('q', 'c')");
    let client = session_as(&database, OWNER);
    client.sql(
        "begin; select pgq.insert_event('q', 'type', 'data'), pgq.event_retry(1, 1, 0), pgq.event_failed(1, 1, 'bad');
         select pgq.finish_batch(1); select pgq.register_consumer('q', 'other')",
    );
    session.sql("set lock_timeout = '3s'");
    try_install(&session).unwrap();
}

/// Roles belong to the cluster, so this takes one of its own.
#[test]
fn without_the_right_to_create_roles_the_schema_belongs_to_its_owner_alone() {
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
    session.sql("select pgq.create_queue('q'), pgq.register_consumer('q', 'mine')");

    let anybody = session_as(&database, "somebody");
    let refused = || {
        for closed in [
            "insert_event('q', 'type', 'data')",
            "register_consumer('q', 'c')",
            "unregister_consumer('q', 'mine')",
            "next_batch('q', 'mine')",
            "force_tick('q')",
            "create_queue('r')",
            "drop_queue('q')",
            "ticker()",
            "ticker('q')",
            "maint_rotate_tables_step1('q')",
        ] {
            assert_eq!(anybody.error(&format!("select pgq.{closed}")).code, "42501", "{closed}");
        }
        assert_eq!(anybody.error("select * from pgq.event_1").code, "42501");
        anybody.sql("select * from pgq.get_queue_info(); select * from pgq.get_consumer_info()");
    };
    refused();
    try_install(&session).unwrap();
    refused();
    assert_eq!(session.value("select pgq.insert_event('q', 'type', 'data')"), "1");

    // The roles come later: the next install uses them.
    database.sql("create role pgq_admin; grant pgq_admin to somebody");
    try_install(&session).unwrap();
    anybody.sql("select pgq.ticker(); select pgq.register_consumer('q', 'c'); select count(*) from pgq.event_1");
    assert_eq!(anybody.value("select pgq.insert_event('q', 'type', 'data')"), "2");
}
