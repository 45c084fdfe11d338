//! Debian's extension `pgq` 3.5 in the provider database: our ticker keeps it going, and tables replicate from it.

use std::path::Path;

use super::{Feed, log, skipped};
use crate::support::{Binaries, Cluster, Database, Job, Replication, Scratch, wait_until};

/// Whether the server has the extension; the reason for skipping is printed where it has not.
pub(super) fn is_installed() -> bool {
    // Not asked of pg_available_extensions: one file that the server cannot read there fails the whole view.
    let share = Cluster::provider().value("select setting from pg_config where name = 'SHAREDIR'");
    let found = Path::new(&share).join("extension/pgq.control").is_file();
    if !found {
        let major = Binaries::find().major();
        skipped(&format!("no extension pgq for PostgreSQL {major} (apt-get install postgresql-{major}-pgq3)"));
    }
    found
}

#[track_caller]
pub(super) fn create(database: &Database) {
    // Its roles are the cluster's: another test that creates them at the same moment makes one of the two fail.
    wait_until("the extension is created", || {
        database.try_rows("create extension if not exists pgq").map(drop).map_err(|error| error.to_string())
    });
    assert_eq!(database.value("select extversion from pg_extension where extname = 'pgq'"), "3.5");
}

/// The functions of schema `pgq`, with what they are made of.
#[track_caller]
fn functions(database: &Database) -> Vec<String> {
    database.column(
        "select p.oid::regprocedure::text || ' ' || md5(p.prosrc) from pg_proc p
         where p.pronamespace = 'pgq'::regnamespace order by 1",
    )
}

#[test]
fn ticker_ticks_rotates_and_retries_for_the_extension() {
    if !is_installed() {
        return;
    }
    // Transactions of other tests, in any database, would block rotation.
    let cluster = Cluster::builder().name("extension").start();
    let database = cluster.database();
    create(&database);
    let before = functions(&database);
    let scratch = Scratch::new();
    let ticker = Job::ticker(scratch.path(), "db1-ticker", database.conninfo()).set("maint_delay", "0.2");
    let said = [
        "INFO plpgsql is installed",
        "INFO txid_current_snapshot is installed",
        "INFO pgq is installed: extension pgq 3.5, which is used as it is",
    ];
    ticker.program(["install"]).stdout("").stderr(log(&said)).run();
    assert_eq!(functions(&database), before);
    let mut feed = Feed::of(&database);
    ticker.start();
    for _ in 0..4 {
        feed.rotate();
    }
    feed.read_everything();
    feed.wait_until_tidy();
    let log = ticker.log();
    // It may warn: the consumer is behind at times, and a rotation is always due.
    assert!(!log.contains("ERROR"), "{log}");
    println!("{log}");
}

#[test]
fn tables_replicate_from_a_provider_with_the_extension() {
    if !is_installed() {
        return;
    }
    // Of its own: event tables rotate when no transaction of the whole cluster is older.
    let cluster = Cluster::builder().name("extension").start();
    let r = Replication::between(&cluster, Cluster::subscriber()).with_shop();
    create(&r.provider);
    let before = functions(&r.provider);
    let version = env!("CARGO_PKG_VERSION");
    let reading = format!("INFO   Reading from rlondiste {version}");
    let said = [
        "INFO plpgsql is installed",
        "INFO txid_current_snapshot is installed",
        "INFO pgq is installed: extension pgq 3.5, which is used as it is",
        "INFO Installing londiste",
        &reading,
    ];
    r.londiste.program(["provider", "install"]).stdout("").stderr(log(&said)).run();
    assert_eq!(functions(&r.provider), before);
    r.install();
    r.start();
    r.add("--all");
    r.wait_until_ok();
    r.provider.sql(
        "insert into customers (name) select 'Customer ' || i from generate_series(1, 100) i;
         update products set price = price + 1; delete from order_lines where line = 2",
    );
    r.assert_in_sync();
    // Rotated, and read on.
    r.provider.sql("update pgq.queue set queue_rotation_period = '0'");
    let before = r.provider.value("select queue_switch_time from pgq.queue");
    wait_until("the extension's tables rotate", || {
        let now = r.provider.value("select queue_switch_time from pgq.queue");
        if now == before { Err(now) } else { Ok(()) }
    });
    r.provider.sql("update products set price = price * 2; insert into customers (name) values ('Last')");
    r.assert_in_sync();
    for job in [&r.ticker, &r.londiste] {
        let log = job.log();
        assert!(!log.contains("ERROR"), "{log}");
    }
}

/// What the query lists in the extension's schema, at least so many lines, it lists in ours too.
fn assert_ours_has_all(query: &str, at_least: usize) {
    if !is_installed() {
        return;
    }
    let (theirs, ours) = (Cluster::provider().database(), Cluster::provider().database());
    create(&theirs);
    let scratch = Scratch::new();
    Job::ticker(scratch.path(), "db1-ticker", ours.conninfo()).run("install");
    let (theirs, ours) = (theirs.column(query), ours.column(query));
    let missing: Vec<&String> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    assert!(theirs.len() >= at_least && missing.is_empty(), "{} lines; ours lack {missing:#?}", theirs.len());
}

#[test]
fn every_function_of_the_extension_is_there_with_its_arguments_and_result() {
    const FUNCTIONS: &str =
        "select format('%s(%s) -> %s', p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid))
         from pg_proc p where p.pronamespace = 'pgq'::regnamespace and p.proname !~ '^_' order by 1";
    assert_ours_has_all(FUNCTIONS, 50);
}

/// Code that was written for the extension inserts, joins and upserts by these.
#[test]
fn every_column_key_and_index_of_the_extension_is_there() {
    const PARTS: &str = "with relations as (
            select c.oid, c.relname from pg_class c where c.relnamespace = 'pgq'::regnamespace and c.relkind = 'r')
        select format('%s.%s %s%s', r.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                      case when a.attnotnull then ' not null' end)
        from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
        union all
        select format('%s: %s %s', r.relname, c.conname, pg_get_constraintdef(c.oid))
        from relations r join pg_constraint c on c.conrelid = r.oid where c.contype <> 'n'
        union all
        select pg_get_indexdef(i.indexrelid) from relations r join pg_index i on i.indrelid = r.oid
        order by 1";
    assert_ours_has_all(PARTS, 70);
}
