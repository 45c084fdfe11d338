//! The ticker's maintenance brings capture up to date.

use std::thread;

use super::{events, provider};
use crate::support::{Cluster, QUEUE, Replication, wait_until};

/// How many of a table's capture functions know a column.
fn knowing(r: &Replication, column: &str) -> String {
    r.provider
        .value(&format!("select count(*) from pg_proc where proname ~ '^capture_[0-9]+_' and prosrc like '%{column}%'"))
}

#[test]
fn functions_are_made_anew_after_ddl() {
    let r = provider("statement", "create table t (id int primary key, v text)", "t");
    let maintain = format!("select londiste.provider_maintain('{QUEUE}')");
    assert_eq!(r.provider.value(&maintain), "0");
    r.provider.sql("alter table t add column more int; insert into t values (1, 'a', 2)");
    assert_eq!(knowing(&r, "more"), "0");
    // A table in use is left for the next round, and nobody waits for it.
    let writer = r.provider.session();
    writer.sql("begin; insert into t values (2, 'b', 3)");
    r.provider.sql(&format!("set statement_timeout = '20s'; {maintain}"));
    writer.sql("commit");
    r.provider.sql(&maintain);
    assert_ne!(knowing(&r, "more"), "0");
    r.provider.sql("insert into t values (3, 'c', 4)");
    let expected = [
        "t I (id,v,more) values ('1','a','2')",
        "t I (id,v,more) values ('2','b','3')",
        "t I (id,v,more) values ('3','c','4')",
    ];
    assert_eq!(events(&r.provider), expected);
    assert_eq!(r.provider.value(&maintain), "0");
}

/// `provider remove` ends while maintenance of the same table waits for its locks, or right before it looks.
#[test]
fn table_that_is_removed_meanwhile_is_left_alone() {
    let r = provider("statement", "create table t (id int primary key, v text)", "t");
    r.provider.sql("alter table t add column more int");
    let operator = r.provider.session();
    operator.sql(&format!("begin; select londiste.provider_remove_table('{QUEUE}', 'public.t')"));
    let maintenance = r.provider.session();
    let pid = maintenance.backend_pid();
    let maintained = thread::spawn(move || {
        maintenance.try_rows(&format!("select londiste.capture_generate('{QUEUE}', 'public.t')"))
    });
    wait_until("maintenance waits", || {
        let event =
            r.provider.value(&format!("select coalesce(wait_event_type, '') from pg_stat_activity where pid = {pid}"));
        if event == "Lock" { Ok(()) } else { Err(event) }
    });
    operator.sql("commit");
    assert_eq!(maintained.join().unwrap(), Ok(vec![vec!["0".to_owned()]]));
    let generate = format!("select londiste.capture_generate('{QUEUE}', 'public.t')");
    assert_eq!(r.provider.value(&generate), "0");
    assert_eq!(r.provider.value("select count(*) from pg_trigger where tgrelid = 't'::regclass"), "0");
    assert_eq!(r.provider.value("select count(*) from pg_proc where proname ~ '^capture_[0-9]+_'"), "0");
}

/// What is done to a partition is captured from the moment at which it is one, and no longer.
#[test]
fn partitions_come_and_go() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let schema = "create table t (id int primary key, v int) partition by range (id);
                  create table low partition of t for values from (0) to (100);
                  create table other (v int, gone int, id int primary key); alter table other drop column gone";
    for capture in ["statement", "row"] {
        let r = provider(capture, schema, "t");
        let rows = "insert into t values (1), (101), (301); insert into high values (102);
                    update t set v = id + 1 where id > 100; delete from high where id = 102; delete from t where id = 301;
                    update t set id = 302 where id = 1";
        let expected = [
            "t I (id,v) values ('1',NULL)",
            "t I (id,v) values ('101',NULL)",
            "t I (id,v) values ('301',NULL)",
            "t I (id,v) values ('102',NULL)",
            "t U v='102' where id='101'",
            "t U v='103' where id='102'",
            "t U v='302' where id='301'",
            "t D id='102'",
            "t D id='301'",
            "t D id='1'",
            "t I (id,v) values ('302',NULL)",
        ];
        // One is made and has a partition of its own, one is attached with its columns in another order.
        r.provider.sql(
            "create table high partition of t for values from (100) to (200) partition by range (id);
             create table higher partition of high for values from (100) to (150);
             alter table t attach partition other for values from (300) to (400)",
        );
        r.provider.sql(rows);
        assert_eq!(events(&r.provider), expected, "{capture}");

        // Maintenance adds what a TRUNCATE of the partition needs.
        let maintain = format!("select londiste.provider_maintain('{QUEUE}')");
        assert_eq!(r.provider.value(&maintain), "1");
        assert_eq!(r.provider.value(&maintain), "0");
        r.provider.sql("truncate other");
        assert_eq!(events(&r.provider)[expected.len()..], ["t D id='302'"], "{capture}");
        r.provider.sql("insert into t values (303)");

        let start = events(&r.provider).len();
        r.provider.sql(
            "alter table t detach partition other; insert into other (id) values (304); update other set v = 0;
             delete from other where id = 304; truncate other; drop table low; alter table t detach partition high;
             insert into higher values (105); truncate high",
        );
        assert_eq!(events(&r.provider)[start..], [""; 0], "{capture}");
        assert_eq!(r.provider.value(&maintain), "1");
        assert_eq!(r.provider.value(&maintain), "0");
        let left = "select string_agg(distinct tgrelid::regclass::text, ' ') from pg_trigger
                    where tgfoid::regproc::text like 'londiste.capture%'";
        assert_eq!(r.provider.value(left), "t", "{capture}");

        r.provider
            .sql("alter table t attach partition other for values from (300) to (400); insert into t values (305)");
        assert_eq!(events(&r.provider)[start..], ["t I (id,v) values ('305',NULL)"], "{capture}");
        r.provider
            .sql(&format!("select londiste.provider_remove_table('{QUEUE}', 'public.t'); insert into t values (306)"));
        assert_eq!(events(&r.provider).len(), start + 1);
        assert_eq!(r.provider.value(&format!("select coalesce(({left}), '')")), "", "{capture}");
    }
}

/// As if an older rlondiste had made the capture functions of all tables of these databases, and the schema.
fn made_by_an_older_generator(capture: &str) -> Replication {
    let r =
        provider(capture, "create table t (id int primary key, v text); create table u (id int primary key)", "t u");
    r.provider.sql(&format!(
        "do $$ begin
             execute replace(pg_get_functiondef('londiste.capture_function'::regproc), 'Generated by', 'Made long ago by');
         end $$;
         select londiste.provider_maintain('{QUEUE}');
         create or replace function londiste.rlondiste_version() returns text language sql as $$ select '0.0.9'::text $$"
    ));
    assert_eq!(knowing(&r, "Generated by"), "0");
    assert_ne!(knowing(&r, "Made long ago by"), "0");
    r
}

#[test]
fn an_upgrade_of_the_schema_makes_functions_anew() {
    for capture in ["statement", "row"] {
        let r = made_by_an_older_generator(capture);
        let writer = r.provider.session();
        writer.sql("begin; set local lock_timeout = '2s'; insert into t values (1, 'old'); insert into u values (1)");
        let output = r.londiste.run("provider install");
        for line in
            ["INFO Upgrading londiste from rlondiste 0.0.9\n", "INFO Refreshed the capture of public.t in queue"]
        {
            assert!(output.stderr.contains(line), "{}", output.stderr);
        }
        assert_eq!(knowing(&r, "Made long ago by"), "0");
        assert_ne!(knowing(&r, "Generated by"), "0");
        writer.sql("update t set v = 'new'; delete from u; commit");
        let expected =
            ["t I (id,v) values ('1','old')", "u I (id) values ('1')", "t U v='new' where id='1'", "u D id='1'"];
        assert_eq!(events(&r.provider), expected, "{capture}");
        let again = r.londiste.run("provider install");
        assert!(!again.stderr.contains("Refreshed"), "{}", again.stderr);
    }
}

/// An upgrade leaves out what is locked; a table that an older program is still adding to comes later.
#[test]
fn the_ticker_makes_functions_anew() {
    let r = made_by_an_older_generator("statement");
    r.provider.sql(
        "do $$ begin
             execute replace(pg_get_functiondef('londiste.capture_function'::regproc), 'Made long ago by', 'Generated by');
         end $$",
    );
    r.ticker.start();
    for table in ["t", "u"] {
        r.ticker.wait_for_log(&format!("INFO Refreshed the capture of public.{table} in queue {QUEUE}\n"));
    }
    assert_eq!(knowing(&r, "Made long ago by"), "0");
}

/// Small tables are captured row by row. One whose size swings around the limit keeps its triggers.
#[test]
fn a_size_that_swings_makes_nothing_anew() {
    let r = provider("statement", "create table t (id int primary key, v text)", "t");
    let maintain_at = |rows: i64, pages: u32| {
        r.provider.sql(&format!("update pg_class set reltuples = {rows}, relpages = {pages} where relname = 't'"));
        let done = r.provider.value(&format!("select londiste.provider_maintain('{QUEUE}')"));
        let level = r.provider.value(
            "select case tgtype & 1 when 1 then 'row' else 'statement' end from pg_trigger
             where tgrelid = 't'::regclass and tgname like '%_u'",
        );
        format!("{done} {level}")
    };
    for (rows, pages, expected) in [
        (9_900, 50, "1 row"),
        (10_100, 51, "0 row"),
        (9_900, 50, "0 row"),
        (19_000, 100, "0 row"),
        // Nobody knows yet how many rows a table has that was just truncated.
        (0, 0, "0 row"),
        (21_000, 110, "1 statement"),
        (19_000, 100, "0 statement"),
        (10_100, 51, "0 statement"),
        (0, 0, "0 statement"),
        (9_900, 50, "1 row"),
    ] {
        assert_eq!(maintain_at(rows, pages), expected, "{rows} rows in {pages} pages");
    }
}
