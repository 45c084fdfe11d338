//! What keeps `up` from its work, and what it says of it. Nothing is changed then.

use std::fs;

use pretty_assertions::assert_eq;

use super::{can_dump, catalog, end_of_up, newest_dump};
use crate::support::{Cluster, Database, Program, Replication, Scratch, shop};

/// Runs `up` with these arguments, which must be refused with nothing changed; returns what it said.
#[track_caller]
fn refused(r: &Replication, arguments: &[&str]) -> String {
    let before = [&r.provider, &r.subscriber].map(catalog);
    let output = r.londiste.program(["up"].iter().chain(arguments)).status(2).stdout("").run();
    assert_eq!([&r.provider, &r.subscriber].map(catalog), before);
    assert!(output.stderr.contains("Replication cannot be set up; nothing was changed"), "{}", output.stderr);
    output.stderr
}

#[test]
fn target_without_the_tables_needs_the_schema() {
    let r = Replication::new();
    shop::open(&r.provider);
    let said = refused(&r, &[]);
    assert!(said.contains("Table public.customers missing from subscriber side"), "{said}");
    assert!(said.contains("The subscriber's database is empty: add --schema"), "{said}");
}

#[test]
fn target_with_a_table_that_differs_is_refused_until_the_table_is_excluded() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let r = Replication::new();
    r.provider.sql("create table a (id int primary key, v text); create table b (id int primary key, v text); insert into a values (1)");
    r.subscriber.sql("create table a (id int primary key, v text); create table b (id int primary key)");
    for arguments in [&["--schema"][..], &[]] {
        let said = refused(&r, arguments);
        assert!(said.contains("public.b: column v on provider not on subscriber"), "{said}");
    }
    let said = refused(&r, &["--schema", "-d"]);
    assert!(
        said.contains("The subscriber's database is not empty, and its tables are not those of the provider"),
        "{said}"
    );
    end_of_up(r.londiste.program(["up", "-d", "--schema", "--exclude", "b"]));
    assert_eq!(r.provider.column("select table_name from londiste.provider_table"), ["public.a"]);
    assert_eq!(r.subscriber.value("select count(*) from a"), "1");
    r.londiste.run("down");
}

#[test]
fn roles_that_the_target_does_not_have_are_named() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let r = Replication::new();
    let (owner, reader) = (format!("app_{}", std::process::id()), format!("reader_{}_2", std::process::id()));
    Cluster::provider().sql(&format!("create role {owner}; create role {reader}"));
    r.provider.sql(&format!(
        "create table t (id int primary key); alter table t owner to {owner}; grant select on t to {reader}; insert into t values (1)"
    ));
    let said = refused(&r, &["--schema"]);
    assert!(
        said.contains(&format!("does not have these roles, which own or may use something: {owner}, {reader}. ")),
        "{said}"
    );
    end_of_up(r.londiste.program(["up", "-d", "--schema", "--no-owner"]));
    assert_eq!(r.subscriber.value("select tableowner from pg_tables where tablename = 't'"), "postgres");
    assert_eq!(r.subscriber.value("select count(*) from t"), "1");
    r.londiste.run("down");
    r.provider.sql(&format!("drop owned by {owner}, {reader}"));
    Cluster::provider().sql(&format!("drop role {owner}; drop role {reader}"));
}

/// Of what comes after the tables, each statement that fails is left out and told.
#[test]
fn what_cannot_be_made_after_the_tables_is_told() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let mut r = Replication::new();
    let plain = format!("plain_{}", std::process::id());
    Cluster::subscriber().sql(&format!("create role {plain} login"));
    r.subscriber.sql(&format!(
        "grant all on schema public to {plain}; alter database {} owner to {plain}",
        r.subscriber.name()
    ));
    r.provider.sql(
        "create table t (id int primary key, v int unique); insert into t values (1, 1);
         create function look() returns event_trigger language plpgsql as 'begin end';
         create event trigger look on ddl_command_end execute procedure look()",
    );
    let conninfo = r.subscriber.conninfo_as(&plain);
    r.londiste.configure("subscriber_db", &conninfo);
    let said = r.londiste.program(["up", "-d", "--schema", "--no-owner"]).status(1).stdout("").run().stderr;
    // The syntax of the program that dumps may be newer than the server.
    let why =
        if r.subscriber.major() > 10 { "permission denied to create event trigger \"look\"" } else { "syntax error" };
    assert!(said.contains(&format!("WARNING Not made on subscriber: EVENT TRIGGER look: ERROR:  {why}")), "{said}");
    assert!(said.contains("All tables are in sync"), "{said}");
    assert_eq!(r.subscriber.value("select count(*) from pg_index where indrelid = 't'::regclass and indisunique"), "2");
    r.londiste.run("down");
    r.subscriber.sql(&format!("reassign owned by {plain} to postgres; drop owned by {plain}"));
    Cluster::subscriber().sql(&format!("alter database {} owner to postgres; drop role {plain}", r.subscriber.name()));
}

#[test]
fn schema_that_fails_half_way_leaves_nothing() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let r = Replication::new();
    // A type of the subscriber stands in the way of one of the provider's, when a table is made already.
    r.provider
        .sql("create table a (id int primary key); create type mood as enum ('ok'); create view z as select 1 as one");
    r.subscriber.sql("create type mood as enum ('bad')");
    let before = catalog(&r.subscriber);
    let output = r.londiste.program(["up", "--schema"]).status(1).output();
    assert!(
        output
            .stderr
            .contains("the schema could not be made on subscriber: TYPE mood: ERROR:  type \"mood\" already exists"),
        "{}",
        output.stderr
    );
    assert_eq!(catalog(&r.subscriber), before);
}

#[test]
fn programs_older_than_the_provider_are_refused() {
    let r = Replication::new();
    r.provider.sql("create table t (id int primary key)");
    let scratch = Scratch::new();
    let program = |name: &str| {
        let path = scratch.write(name, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    program("pg_dump");
    program("psql");
    let plan = r.londiste.program(["up", "--schema", "--plan"]).env("PATH", scratch.path());
    if r.provider.major() > newest_dump() {
        let said = plan.status(2).stdout("").run().stderr;
        assert!(said.contains("the newest pg_dump here ("), "{said}");
    } else {
        // The newest one is taken, not the first one in PATH.
        plan.run();
    }
}

#[test]
fn server_that_cannot_be_reached_is_told() {
    let mut r = Replication::new();
    r.londiste.configure("subscriber_db", "host=/nonexistent dbname=x");
    let output = r.londiste.program(["up"]).status(2).stdout("").run();
    assert!(
        output.stderr.contains("ERROR connection: subscriber: could not connect to subscriber"),
        "{}",
        output.stderr
    );
}

#[test]
fn ini_file_is_never_overwritten() {
    let scratch = Scratch::new();
    let up = |queue: &str, provider: &str| {
        Program::new(["up", "--provider", provider, "--subscriber", "host=/nonexistent dbname=b", "--queue", queue])
            .dir(scratch.path())
            .output()
    };
    assert_eq!(up("q", "host=/nonexistent dbname=a").status, 2);
    let written = fs::read_to_string(scratch.path().join("q.ini")).unwrap();
    assert!(written.contains("provider_db = host=/nonexistent dbname=a\n"), "{written}");
    // The same again is taken as it is; another one is refused.
    assert_eq!(up("q", "host=/nonexistent dbname=a").status, 2);
    let other = up("q", "host=/nonexistent dbname=other");
    assert_eq!(other.status, 1);
    assert!(
        other.stderr.contains("q.ini exists, and is not what \"up\" would write for these connection strings"),
        "{}",
        other.stderr
    );
    assert_eq!(fs::read_to_string(scratch.path().join("q.ini")).unwrap(), written);
    assert_eq!(up("../q", "dbname=a").status, 1);
    let wrong = Program::new(["x.ini", "up", "--provider", "a", "--subscriber", "b"]).dir(scratch.path()).output();
    assert_eq!(wrong.status, 2);
    assert!(wrong.stderr.contains("--provider and --subscriber stand in place of INI"), "{}", wrong.stderr);
}

/// A queue that up has made goes away only with what depends on it.
#[test]
fn schema_that_a_user_s_object_needs_stays() {
    let r = Replication::new().with_table("t", "id int primary key");
    end_of_up(r.londiste.program(["up", "-d"]));
    r.provider.sql("create view queues as select queue_name from pgq.queue");
    let said = r.londiste.program(["down"]).status(1).run().stderr;
    assert!(said.contains("Schema pgq stays on provider: rule _RETURN on view public.queues depends on it"), "{said}");
    let left = |database: &Database| {
        database.column("select nspname from pg_namespace where nspname in ('pgq', 'londiste') order by 1")
    };
    // The notes of what up has made are in schema londiste.
    assert_eq!((left(&r.provider), left(&r.subscriber)), (vec!["londiste".to_owned(), "pgq".to_owned()], vec![]));
    r.provider.sql("drop view queues");
    r.londiste.run("down");
    assert!(left(&r.provider).is_empty());
}

#[test]
fn connection_strings_that_are_exchanged_are_refused() {
    let r = Replication::new();
    r.subscriber.sql("create table t (id int primary key)");
    for arguments in [[].as_slice(), &["--schema"], &["--schema", "--plan"]] {
        let said = refused(&r, arguments);
        assert!(said.contains("are the two connection strings exchanged?"), "{said}");
    }
}

/// The setting is a user's, for other programs.
#[test]
fn schema_is_copied_to_a_database_that_is_read_only_by_default() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let r = Replication::new();
    r.provider.sql("create table t (id int primary key); insert into t values (1)");
    let name = r.subscriber.name();
    r.subscriber.sql(&format!("alter database {name} set default_transaction_read_only = on"));
    end_of_up(r.londiste.program(["up", "--schema", "-d"]));
    assert_eq!(r.subscriber.column("select id from t"), ["1"]);
    r.subscriber.sql(&format!("begin read write; alter database {name} reset default_transaction_read_only; commit"));
    r.londiste.run("down");
}
