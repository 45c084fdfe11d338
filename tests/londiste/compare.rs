//! `compare`: what it says, when it refuses, and how little it stands in the way.

use std::thread;

use pretty_assertions::assert_eq;

use super::log_lines::{checked, log};
use crate::support::{Replication, wait_until};

/// Two tables with three rows each, in sync.
fn in_sync() -> Replication {
    let r = Replication::new()
        .with_schema("create table t (id int primary key, v text); create table u (id int primary key, v text)");
    r.provider.sql("insert into t values (1, 'a'), (2, 'b'), (3, 'c'); insert into u select * from t");
    let r = r.up();
    r.replay_until_in_sync();
    r
}

#[test]
fn equal_tables_are_counted_on_both_sides() {
    let r = in_sync();
    let lines = log(&[checked("public.t", 3, 3), checked("public.u", 3, 3)].concat());
    r.londiste.program(["compare"]).stdout("").stderr(lines).run();
    let lines = log(&checked("public.u", 3, 3));
    r.londiste.program(["compare", "u"]).stdout("").stderr(lines).run();
}

#[test]
fn a_table_that_differs_fails_the_command_and_not_the_next_table() {
    let r = in_sync();
    r.subscriber.sql("delete from t where id = 2");
    let lines = [
        checked("public.t", 3, 2),
        vec!["WARNING public.t: Results do not match!".to_owned()],
        checked("public.u", 3, 3),
    ]
    .concat();
    r.londiste.program(["compare"]).stdout("").stderr(log(&lines)).status(1).run();
}

#[test]
fn the_query_can_be_chosen() {
    let mut r = in_sync();
    r.londiste.configure("compare_sql", "select count(1), sum(hashtext(t::text)), max(v) from only _TABLE_ t");
    let hash = r.provider.value("select sum(hashtext(t::text)) from t");
    let sql = "select count(1), sum(hashtext(t::text)), max(v) from only \"public\".\"t\" t";
    let counting =
        |table: &str| ["Locking", "Syncing", "Counting"].map(|what| format!("INFO {what} public.{table}")).to_vec();
    let results = [
        format!("DEBUG srcdb: {sql}"),
        format!("INFO srcdb: res = 3, {hash}, c"),
        format!("DEBUG dstdb: {sql}"),
        format!("INFO dstdb: res = 3, {hash}, c"),
    ];
    let lines = [counting("t"), results.to_vec()].concat();
    r.londiste.program(["compare", "t", "-v"]).stdout("").stderr(log(&lines)).run();
    r.londiste.configure("compare_sql", "select count(nix) from _TABLE_");
    let place = r.provider.place();
    let refused = |table: &str| {
        let about = format!("table public.{table}, compare_sql: column \"nix\" does not exist (42703)");
        vec![format!("ERROR could not compare a table on provider ({place}), {about}")]
    };
    let lines = [counting("t"), refused("t"), counting("u"), refused("u")].concat();
    r.londiste.program(["compare"]).stdout("").stderr(log(&lines)).status(1).run();
}

#[test]
fn tables_that_cannot_be_compared_are_named() {
    let r = in_sync();
    // It would finish the copy, and report the tables that are dropped.
    r.londiste.stop();
    r.subscriber.sql("update londiste.subscriber_table set merge_state = 'in-copy' where table_name = 'public.t'");
    let lines = ["WARNING Table not subscribed: public.nix", "INFO Table public.t not synced yet, no point"];
    r.londiste.program(["compare", "nix", "t"]).stdout("").stderr(log(&lines)).run();
    r.subscriber.sql("update londiste.subscriber_table set merge_state = 'ok'");
    r.provider.sql("drop table t");
    r.subscriber.sql("drop table u");
    let lines = [
        "WARNING Table public.t does not exist on provider side",
        "WARNING Table public.u does not exist on subscriber side",
    ];
    for command in [&["compare"][..], &["compare", "--checksum"], &["repair"], &["repair", "--apply"]] {
        r.londiste.program(command).stdout("").stderr(log(&lines)).status(1).run();
    }
}

#[test]
fn a_consumer_that_is_not_registered_is_an_error() {
    let r = in_sync();
    r.londiste.stop();
    r.londiste.run("subscriber unregister");
    for command in ["compare", "repair"] {
        let line = format!(
            "ERROR No such consumer: queue db1-londiste-queue, consumer db1-londiste on provider ({})\n\
             HINT: Run \"subscriber register\", or start replay once.",
            r.provider.place()
        );
        r.londiste.program([command]).stdout("").stderr(log(&[line])).status(1).run();
    }
}

const LAG_HINT: &str = "\nHINT: Wait until replay has caught up, or use --force to wait here without a limit (writers of the table \
                        wait too).";

#[test]
fn a_consumer_far_behind_is_not_waited_for() {
    let r = in_sync();
    r.londiste.stop();
    r.provider.sql(
        "update pgq.tick set tick_time = tick_time - interval '1 minute'
          where tick_id = (select sub_last_tick from pgq.subscription)",
    );
    let line = format!("ERROR Consumer lagging too much, cannot proceed{LAG_HINT}");
    for command in ["compare", "repair"] {
        r.londiste.program([command, "t"]).stdout("").stderr(log(&[&line])).status(1).run();
    }
    // The table was not locked.
    r.provider.sql("set statement_timeout = '20s'; insert into t values (4)");
}

#[test]
fn replay_is_waited_for_as_long_as_for_a_lock() {
    let mut r = in_sync();
    r.londiste.stop();
    r.londiste.configure("lock_timeout", "0.3");
    let line = format!("ERROR Consumer lagging too much, exiting{LAG_HINT}");
    let lines = log(&["INFO Locking public.t", "INFO Syncing public.t", &line]);
    r.londiste.program(["compare"]).stdout("").stderr(lines).status(1).run();
}

#[test]
fn force_waits_without_a_limit() {
    let mut r = in_sync();
    r.londiste.stop();
    r.londiste.configure("lock_timeout", "0.3");
    r.provider.sql(
        "insert into t values (4, 'd');
         update pgq.tick set tick_time = tick_time - interval '1 minute'
          where tick_id = (select sub_last_tick from pgq.subscription)",
    );
    // The subscriber knows its tick by the time that the tick had.
    r.subscriber.sql("delete from londiste.completed_tick");
    thread::scope(|scope| {
        let lines = log(&checked("public.t", 4, 4));
        let compare = scope.spawn(|| r.londiste.program(["compare", "t", "--force"]).stdout("").stderr(lines).run());
        wait_for_share_lock(&r);
        let before = r.provider.value("select max(tick_id) from pgq.tick");
        wait_until("ticks go by", || {
            let now = r.provider.value(&format!("select count(*) from pgq.tick where tick_id > {before}"));
            if now.parse::<u32>().unwrap() > 5 { Ok(()) } else { Err(now) }
        });
        assert!(!compare.is_finished());
        r.londiste.start();
    });
}

#[test]
fn a_table_that_is_written_anew_between_the_lock_and_the_first_look_is_compared_again() {
    for command in ["alter table t alter column id type bigint", "truncate t; insert into t values (7, 'x'), (8, 'y')"]
    {
        let r = in_sync();
        r.subscriber.sql("alter table t alter column id type bigint");
        r.londiste.stop();
        thread::scope(|scope| {
            let compare = scope.spawn(|| r.londiste.program(["compare", "t", "--force"]).stdout("").run());
            wait_for_share_lock(&r);
            let operator = scope.spawn(|| r.provider.sql(command));
            wait_until("the operator waits", || {
                let sql = "select count(*) from pg_locks where relation = 't'::regclass and not granted";
                let waiting = r.provider.value(sql);
                if waiting == "1" { Ok(()) } else { Err(waiting) }
            });
            r.londiste.start();
            operator.join().unwrap();
            let output = compare.join().unwrap();
            let rows = r.provider.value("select count(*) from t");
            for side in ["srcdb", "dstdb"] {
                assert!(output.stderr.contains(&format!("{side}: res = {rows}\n")), "{command}\n{}", output.stderr);
            }
        });
    }
}

fn wait_for_share_lock(r: &Replication) {
    wait_until("the table is locked", || {
        let sql = "select count(*) from pg_locks where relation = 't'::regclass and mode = 'ShareLock' and granted";
        if r.provider.value(sql) == "1" { Ok(()) } else { Err("not yet") }
    });
}

#[test]
fn a_dead_ticker_is_told() {
    let r = in_sync();
    r.ticker.stop();
    let line = "CRITICAL Job db1-londiste crashed: Ticker seems dead: queue db1-londiste-queue got no tick in 10 s\n\
                HINT: Start it with \"rlondiste TICKER-INI ticker -d\", or look into its log.";
    let lines = log(&["INFO Locking public.t", "INFO Syncing public.t", line]);
    r.londiste.program(["compare"]).stdout("").stderr(lines).status(1).run();
    r.provider.sql("set statement_timeout = '20s'; insert into t values (4)");
}

#[test]
fn a_table_that_cannot_be_locked_does_not_stop_the_next() {
    let mut r = in_sync();
    r.londiste.configure("lock_timeout", "0.3");
    let writer = r.provider.session();
    writer.sql("begin; update t set v = 'x' where id = 1");
    let pid = writer.backend_pid();
    let output = r.londiste.program(["compare"]).stdout("").status(1).run();
    let held = format!("within 0.3 s: held by process {pid} (");
    assert!(output.stderr.contains("ERROR could not lock public.t on provider ("), "{}", output.stderr);
    assert!(output.stderr.contains(&held), "{}", output.stderr);
    assert!(output.stderr.ends_with("INFO dstdb: res = 3\n"), "{}", output.stderr);
}

#[test]
fn the_lock_is_gone_before_the_tables_are_read() {
    let mut r = in_sync();
    r.londiste.configure("compare_sql", "select count(1), pg_advisory_xact_lock(7) is null from only _TABLE_");
    let gate = r.provider.session();
    gate.sql("select pg_advisory_lock(7)");
    thread::scope(|scope| {
        let compare = scope.spawn(|| r.londiste.program(["compare", "t"]).stdout("").run());
        wait_until("the query waits at the gate", || {
            let waiting = r.provider.value("select count(*) from pg_locks where locktype = 'advisory' and not granted");
            if waiting == "1" { Ok(()) } else { Err(waiting) }
        });
        r.provider.sql("set statement_timeout = '20s'; insert into t values (4, 'd')");
        r.replay_until_in_sync();
        gate.sql("select pg_advisory_unlock(7)");
        // Both sides are read as of the moment of the lock.
        let output = compare.join().unwrap();
        assert!(output.stderr.contains("srcdb: res = 3, f\n"), "{}", output.stderr);
        assert!(output.stderr.contains("dstdb: res = 3, f\n"), "{}", output.stderr);
    });
}

#[test]
fn checksums_find_the_ranges_that_differ() {
    let r = Replication::new().with_schema(
        "create table big (id bigint primary key, v text);
         create table pair (a text, b date, v bool, primary key (a, b))",
    );
    r.provider.sql(
        "insert into big select i, 'v' || i from generate_series(-999, 5000) i;
         insert into pair values ('x', '2026-01-01', true), ('y', '0044-03-15 BC', null), ('y', 'infinity', false)",
    );
    let r = r.up();
    let res = |rows: u32, sum: &str| format!("INFO srcdb: res = {rows}, {sum}");
    let output = r.londiste.program(["compare", "--checksum"]).stdout("").run();
    assert_eq!(output.stderr.matches("res = 6000, ").count(), 2, "{}", output.stderr);
    assert_eq!(output.stderr.matches("res = 3, ").count(), 2, "{}", output.stderr);
    r.subscriber.sql(
        "update big set v = '' where id in (-5, -3, 5000); delete from big where id between 10 and 1500;
         update pair set v = true where b = '0044-03-15 BC'; insert into pair values ('z', '2026-01-02', null)",
    );
    let stdout = "public.big (id) from (-999) to (0): provider 1000 rows, subscriber 1000 rows, 2 differ\n\
                  public.big (id) from (1) to (1000): provider 1000 rows, subscriber 9 rows, 991 differ\n\
                  public.big (id) from (1001) to (2000): provider 1000 rows, subscriber 500 rows, 500 differ\n\
                  public.big (id) from (4001) to (5000): provider 1000 rows, subscriber 1000 rows, 1 differ\n\
                  public.pair (a, b) from (x, 2026-01-01) to (z, 2026-01-02): provider 3 rows, subscriber 4 rows, 2 differ\n";
    let output = r.londiste.program(["compare", "--checksum"]).stdout(stdout).status(1).run();
    for table in ["big", "pair"] {
        let warning = format!("WARNING public.{table}: Results do not match!\n");
        assert!(output.stderr.contains(&warning), "{}", output.stderr);
    }
    let output = r.londiste.program(["compare", "--checksum", "--json", "pair"]).status(1).run();
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let expected = serde_json::json!({"schema_version": 1, "sequences": [], "tables": [{
        "table": "public.pair", "key": ["a", "b"], "provider_rows": 3, "subscriber_rows": 4, "differing_rows": 2,
        "ranges": [{"from": ["x", "2026-01-01"], "to": ["z", "2026-01-02"],
                    "provider_rows": 3, "subscriber_rows": 4, "differing_rows": 2}],
    }]});
    assert_eq!(json, expected);
    assert!(!output.stderr.contains(&res(3, "0000000000000000")), "{}", output.stderr);
}

#[test]
fn partitioned_tables_are_compared_with_their_partitions() {
    if Replication::new().provider.major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let r = Replication::new();
    r.provider.sql(
        "create table root (id int primary key, v text) partition by range (id);
         create table low partition of root for values from (0) to (100);
         create table high partition of root for values from (100) to (200);
         insert into root select i, 'v' from generate_series(1, 150) i",
    );
    r.subscriber.sql("create table root (id int primary key, v text)");
    let r = r.up();
    r.londiste.program(["compare"]).stderr(log(&checked("public.root", 150, 150))).run();
    r.londiste.program(["compare", "--checksum"]).stdout("").run();
    r.subscriber.sql("delete from root where id = 120");
    let lines = [checked("public.root", 150, 149), vec!["WARNING public.root: Results do not match!".to_owned()]];
    r.londiste.program(["compare"]).stderr(log(&lines.concat())).status(1).run();
    let range = "public.root (id) from (1) to (150): provider 150 rows, subscriber 149 rows, 1 differ\n";
    r.londiste.program(["compare", "--checksum"]).stdout(range).status(1).run();
    r.londiste.run("repair --apply");
    r.assert_in_sync();
}

#[test]
fn values_are_equal_whatever_their_text() {
    let r = Replication::new().with_table("t", "id int primary key, n numeric, f float8, g float4, c text");
    r.provider.sql(
        "insert into t values (1, 1.50, '-0', '-0', 'a'), (2, 'NaN', 'NaN', 'NaN', null), (3, 100, 0.1, 0.1, ''),
                              (4, 0.00, 'Infinity', '-Infinity', 'b')",
    );
    let r = r.up();
    let text = "update t set n = 1.5, f = 0, g = 0 where id = 1; update t set n = 0 where id = 4";
    r.subscriber.sql(text);
    r.londiste.program(["compare", "--checksum"]).stdout("").run();
    let fix = r.londiste.program(["repair"]).run();
    assert!(fix.stderr.contains("missed: 0 inserts, 0 updates, 0 deletes"), "{}", fix.stderr);
    let range = "public.t (id) from (1) to (4): provider 4 rows, subscriber 4 rows, 2 differ\n";
    r.londiste.program(["compare", "--checksum", "--exact"]).stdout(range).status(1).run();
    let range = "public.t (id) from (1) to (4): provider 4 rows, subscriber 4 rows, 1 differ\n";
    for (spoil, mend) in [
        ("n = 10 where id = 3", "n = 100 where id = 3"),
        ("n = 0.01 where id = 4", "n = 0 where id = 4"),
        ("f = 0.1::float4 where id = 3", "f = 0.1 where id = 3"),
        ("f = 'Infinity' where id = 2", "f = 'NaN' where id = 2"),
        ("g = 'Infinity' where id = 4", "g = '-Infinity' where id = 4"),
        ("g = null where id = 1", "g = 0 where id = 1"),
        ("c = null where id = 3", "c = '' where id = 3"),
    ] {
        r.subscriber.sql(&format!("update t set {spoil}"));
        r.londiste.program(["compare", "--checksum"]).stdout(range).status(1).run();
        let fix = r.londiste.program(["repair"]).run();
        assert!(fix.stderr.contains("missed: 0 inserts, 1 updates, 0 deletes"), "{spoil}: {}", fix.stderr);
        r.subscriber.sql(&format!("update t set {mend}"));
    }
    r.subscriber.sql("update t set n = 10 where id = 3");
    r.londiste.run("repair --apply");
    r.londiste.program(["compare", "--checksum"]).stdout("").run();
}
