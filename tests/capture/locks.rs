//! Capture makes nobody wait: writers of one table, and writers with those who look after the queue and its tables.

use std::thread;
use std::time::Duration;

use super::{events, provider};
use crate::support::{Cluster, Load, QUEUE, Replication, assert_same_rows, wait_until};

const WAITING: &str =
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";

#[test]
fn writers_of_one_table_do_not_wait_for_each_other() {
    for capture in ["statement", "row"] {
        let r = provider(capture, "create table t (id int primary key, v int)", "t");
        r.provider.sql("insert into t select n, 0 from generate_series(1, 8) n");
        for change in ["", "alter table t add column more text"] {
            r.provider.sql(change);
            let before = events(&r.provider).len();
            let writers = [r.provider.session(), r.provider.session()];
            for (n, writer) in writers.iter().enumerate() {
                writer.sql("set lock_timeout = '2s'; begin");
                writer.sql(&format!("insert into t (id, v) values ({}, 0)", 100 + n));
            }
            for _ in 0..3 {
                for (n, writer) in writers.iter().enumerate() {
                    writer.sql(&format!("insert into t (id, v) values ({}, 0) on conflict do nothing", 200 + n));
                    writer.sql(&format!("update t set v = v + 1 where id in ({}, {})", n + 1, n + 3));
                    writer.sql(&format!("delete from t where id = {}", 200 + n));
                }
                assert_eq!(r.provider.value(WAITING), "0");
            }
            assert_eq!(events(&r.provider).len(), before, "nothing is committed");
            for writer in &writers {
                writer.sql("commit");
            }
            assert_eq!(events(&r.provider).len(), before + 2 * (1 + 3 * 4), "{capture}, {change}");
            r.provider.sql("delete from t where id >= 100");
        }
    }
}

#[test]
fn an_open_write_holds_up_neither_the_queue_nor_other_tables() {
    let schema = "create table t (id int primary key); create table u (id int primary key);
                  create table other (id int primary key, t int references t)";
    let mut r = provider("statement", schema, "t u");
    r.londiste.configure("lock_timeout", "2");
    let writer = r.provider.session();
    writer.sql("set lock_timeout = '2s'; begin; insert into t values (1)");
    r.provider.sql("alter table u add column more text");
    r.londiste.run("provider refresh u");
    r.londiste.run("provider add other");
    let session = r.provider.session();
    session.sql("set lock_timeout = '2s'; update pgq.queue set queue_rotation_period = '0'");
    session.sql(&format!("select pgq.force_tick('{QUEUE}'); select pgq.ticker('{QUEUE}')"));
    assert_eq!(session.value(&format!("select pgq.maint_rotate_tables_step1('{QUEUE}')")), "1");
    session.sql("select pgq.maint_rotate_tables_step2()");
    assert_eq!(session.value(&format!("select londiste.provider_maintain('{QUEUE}')")), "0", "all is up to date");
    writer.sql("insert into t values (2); insert into u values (1, 'x'); insert into other values (1, 1); commit");
    let expected = [
        "t I (id) values ('1')",
        "t I (id) values ('2')",
        "u I (id,more) values ('1','x')",
        "other I (id,t) values ('1','1')",
    ];
    assert_eq!(events(&r.provider), expected);
}

/// As pgbench has it: everybody updates the few rows of one table after one of the many of another.
fn transfer(client: usize, n: usize) -> String {
    let (account, branch) = ((client * 7919 + n * 31) % 1000 + 1, (client + n) % 3 + 1);
    format!(
        "set lock_timeout = '2s';
         begin; update accounts set balance = balance + {n} where id = {account};
         update branches set balance = balance + {n} where id = {branch};
         insert into history (account, branch, delta) values ({account}, {branch}, {n});
         insert into spare (v) values ({n}); commit"
    )
}

#[test]
fn tables_are_added_and_refreshed_under_load() {
    let cluster = Cluster::builder().name("locks").start();
    let r = Replication::between(&cluster, Cluster::subscriber()).with_schema(
        "create table branches (id int primary key, balance int); create table accounts (id int primary key, balance int);
         create table history (id serial primary key, account int, branch int, delta int);
         create table spare (id serial primary key, v int)",
    );
    r.provider.sql(
        "insert into accounts select n, 0 from generate_series(1, 1000) n;
         insert into branches select n, 0 from generate_series(1, 3) n",
    );
    r.provider.log_statements();
    r.install();
    r.provider.sql("update pgq.queue set queue_rotation_period = '1 s'");
    r.start();
    let load = Load::start(&r.provider, 3, transfer);
    let tables = "accounts branches history";
    r.add(tables);
    r.wait_until_ok();
    for round in 0..4 {
        for table in tables.split(' ') {
            let change = format!("alter table {table} add column more_{round} int default {round}");
            r.subscriber.sql(&change);
            r.provider.sql(&change);
        }
        r.londiste.run(&format!("provider refresh {tables}"));
        r.londiste.run("provider add spare");
        r.londiste.run("provider remove spare");
        thread::sleep(Duration::from_millis(200));
    }
    let written = load.stop();
    assert!(written > 50, "only {written} transactions");
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &tables.split(' ').collect::<Vec<_>>());
    let log = cluster.log();
    for trouble in ["deadlock detected", "PANIC:"] {
        assert!(!log.contains(trouble), "{trouble}");
    }
    assert!(log.contains("londiste.provider_refresh_table"), "the log does not show what was run");
}

/// What updates are captured by changes from statement triggers to row triggers: triggers are dropped, and others created.
#[test]
fn triggers_that_are_replaced_cause_no_deadlock() {
    let r = provider("statement", "create table t (id int primary key, v int)", "t");
    r.provider.sql(
        "insert into t values (1, 0);
         alter function londiste.provider_maintain(text, text) set lock_timeout = '10s'",
    );
    let maintain = format!("select londiste.provider_maintain('{QUEUE}')");
    let rows =
        |n: u32| r.provider.sql(&format!("update pg_class set reltuples = {n}, relpages = 10 where relname = 't'"));
    let writer = r.provider.session();
    for (from, to, before, after) in [
        (30_000, 10, "update t set v = v + 1", "alter table t add column more_1 int"),
        (10, 30_000, "update t set v = v + 1", "alter table t add column more_2 int"),
        (30_000, 10, "select from t", "update t set v = v + 1"),
        (10, 30_000, "select from t", "update t set v = v + 1"),
    ] {
        rows(from);
        r.provider.sql(&maintain);
        rows(to);
        writer.sql(&format!("begin; {before}"));
        let maintenance = thread::spawn({
            let (session, maintain) = (r.provider.session(), maintain.clone());
            move || session.value(&maintain)
        });
        wait_until("maintenance waits for the writer", || {
            if r.provider.value(WAITING) == "1" { Ok(()) } else { Err("nobody waits".to_owned()) }
        });
        writer.sql(after);
        writer.sql("commit");
        assert_eq!(maintenance.join().unwrap(), "1", "{from} rows, then {to}");
    }
}
