//! `compare` of tables whose rows no key tells apart, and of tables that are more than one relation.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pretty_assertions::assert_eq;

use crate::support::Replication;

/// Tables that are captured by columns which several rows have in common.
fn in_sync() -> Replication {
    let r = Replication::new().with_schema(
        "create table log (a int not null, b text, n numeric); create table \"Odd Log\" (\"A\" int not null, b int)",
    );
    r.provider.sql(
        "insert into log select i % 300, nullif('b' || i % 7, 'b3'), i % 5 from generate_series(1, 6000) i;
         insert into \"Odd Log\" select i / 2, null from generate_series(1, 10) i",
    );
    r.install();
    r.start();
    r.londiste.run("provider add log --key a");
    r.londiste.program(["provider", "add", "public.Odd Log", "--key", "A"]).run();
    r.londiste.run("subscriber add --all");
    r.wait_until_ok();
    r
}

#[test]
fn rows_without_a_key_are_counted() {
    let r = in_sync();
    for command in ["--online", "--checksum"] {
        r.londiste.program(["compare", command]).stdout("").run();
    }
    // One copy less, one more, another value in one copy, and a null that becomes a text.
    r.subscriber.sql(
        "delete from log where ctid = (select ctid from log where a = 7 and b = 'b0' and n = 2 limit 1);
         insert into log values (999, null, 1.50), (999, null, 1.5);
         update log set n = 100 where ctid = (select ctid from log where a = 8 and b = 'b1' and n = 3 limit 1);
         update \"Odd Log\" set b = 0 where ctid = (select ctid from \"Odd Log\" where \"A\" = 4 limit 1)",
    );
    let count = |b: &str, a: u32, n: u32| {
        r.provider
            .value(&format!("select count(*) from log where a = {a} and b = '{b}' and n = {n}"))
            .parse::<u32>()
            .unwrap()
    };
    let (seven, eight) = (count("b0", 7, 2), count("b1", 8, 3));
    assert!(seven > 1 && eight > 1);
    let rows = [
        format!("public.log row (7,b0,2): {seven} on the provider, {} on the subscriber", seven - 1),
        format!("public.log row (8,b1,3): {eight} on the provider, {} on the subscriber", eight - 1),
        "public.log row (8,b1,100): 0 on the provider, 1 on the subscriber".to_owned(),
        "public.log row (999,,1.5): 0 on the provider, 2 on the subscriber".to_owned(),
        "public.Odd Log row (4,): 2 on the provider, 1 on the subscriber".to_owned(),
        "public.Odd Log row (4,0): 0 on the provider, 1 on the subscriber".to_owned(),
    ];
    let mut expected = rows.to_vec();
    expected.sort();
    for command in ["--online", "--checksum"] {
        let output = r.londiste.program(["compare", command]).status(1).run();
        let mut lines: Vec<&str> = output.stdout.lines().filter(|line| line.contains(" row ")).collect();
        lines.sort_unstable();
        assert_eq!(lines, expected, "{command}");
        for table in ["log", "Odd Log"] {
            let warning = format!("WARNING public.{table}: Results do not match!\n");
            assert!(output.stderr.contains(&warning), "{}", output.stderr);
        }
    }
    let output = r.londiste.program(["compare", "--online", "--json", "log"]).status(1).run();
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let table = &json["tables"][0];
    assert_eq!([&table["missing"], &table["extra"], &table["provider_rows"]], [2, 3, 6000]);
    assert_eq!(table["key"], serde_json::json!([]));
}

#[test]
fn rows_without_a_key_are_repaired() {
    let r = in_sync();
    let spoil = "delete from log where ctid in (select ctid from log where a = 7 and b = 'b0' and n = 2 limit 2);
         insert into log values (999, null, 1.50), (999, null, 1.5), (999, null, null);
         update log set n = 100 where ctid = (select ctid from log where a = 8 and b = 'b1' and n = 3 limit 1);
         update \"Odd Log\" set b = 0 where ctid = (select ctid from \"Odd Log\" where \"A\" = 4 limit 1)";
    for online in [&[][..], &["--online"]] {
        r.subscriber.sql(spoil);
        let args = [&["repair"][..], online].concat();
        let output = r.londiste.program(&args).run();
        let counts = "finished public.log: src: 6000 rows, dst: 6001 rows, missed: 3 inserts, 0 updates, 4 deletes\n";
        assert!(output.stderr.contains(counts), "{}", output.stderr);
        let file = |name: &str| fs::read_to_string(r.scratch().path().join(name)).unwrap();
        for name in ["fix.public.log.sql", "fix.public.Odd Log.sql"] {
            r.subscriber.sql(&file(name));
        }
        r.assert_in_sync();
        r.subscriber.sql(spoil);
        let output = r.londiste.program([&args[..], &["--apply"]].concat()).run();
        let counts = "applied public.log: 3 inserts, 0 updates, 4 deletes\n";
        assert!(output.stderr.contains(counts), "{}", output.stderr);
        r.assert_in_sync();
        r.londiste.program(["compare", "--online"]).stdout("").run();
    }
}

#[test]
fn rows_without_a_key_that_are_written_all_the_time_are_not_verified() {
    let mut r = in_sync();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let session = r.provider.session();
            let mut i = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                i += 1;
                session.sql(&format!("insert into log values ({}, 'new', {i})", i % 20));
            }
        });
        // What differs for good is found all the same.
        r.subscriber.sql("insert into log values (5000, 'extra', 0)");
        let output = r.londiste.program(["compare", "--online", "log"]).status(1).run();
        stop.store(true, Ordering::Relaxed);
        let row = "public.log row (5000,extra,0): 0 on the provider, 1 on the subscriber\n";
        assert!(output.stdout.contains(row), "{}", output.stdout);
        assert_eq!(output.stdout.matches(" row ").count(), 1, "{}", output.stdout);
    });
    r.subscriber.sql("delete from log where a = 5000");
    r.replay_until_in_sync();
    r.londiste.program(["compare", "--online"]).stdout("").run();
    // A row that replay does not bring is no difference, and no proof that there is none.
    r.londiste.stop();
    r.londiste.configure("lock_timeout", "0.3");
    r.provider.sql("insert into log values (6000, 'on its way', 0)");
    let stdout = "public.log: 1 rows could not be verified\n";
    r.londiste.program(["compare", "--online", "log"]).stdout(stdout).status(3).run();
}

#[test]
fn a_table_is_compared_with_its_partitions_and_without_its_children() {
    let r = Replication::new();
    let key = if r.provider.major() >= 11 { ", primary key (id)" } else { "" };
    let schema = format!(
        "create table \"Root\" (id int not null, v text{key}) partition by range (id);
         create table low partition of \"Root\" for values from (0) to (100);
         create table high partition of \"Root\" for values from (100) to (5000);
         create table parent (id int primary key, v text);
         create table child (primary key (id)) inherits (parent)"
    );
    r.provider.sql(&schema);
    r.subscriber.sql(&schema);
    r.provider.sql(
        "insert into \"Root\" select i, 'v' from generate_series(1, 3000) i; insert into parent select i, 'v' from generate_series(1, 9) i;
         insert into child values (100, 'c')",
    );
    let names = if key.is_empty() { vec!["public.parent"] } else { vec!["public.Root", "public.parent"] };
    r.install();
    r.start();
    for name in &names {
        r.londiste.program(["provider", "add", name]).run();
        r.londiste.program(["subscriber", "add", name]).run();
    }
    r.wait_until_ok();
    r.subscriber.sql("insert into child values (101, 'only here')");
    for command in ["--online", "--checksum"] {
        r.londiste.program(["compare", command]).stdout("").run();
    }
    r.subscriber.sql("update \"Root\" set v = 'w' where id in (50, 2500); delete from only parent where id = 4");
    let output = r.londiste.program(["compare", "--online"]).status(1).run();
    let mut expected = vec!["public.parent (id) = (4): missing"];
    if names.len() > 1 {
        expected.extend(["public.Root (id) = (50): changed", "public.Root (id) = (2500): changed"]);
    }
    expected.sort_unstable();
    let mut lines: Vec<&str> = output.stdout.lines().filter(|line| line.contains(" = (")).collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
    let output = r.londiste.program(["compare", "--checksum"]).status(1).run();
    let range = "public.parent (id) from (1) to (9): provider 9 rows, subscriber 8 rows, 1 differ\n";
    assert!(output.stdout.contains(range), "{}", output.stdout);
    if names.len() > 1 {
        assert_eq!(output.stdout.matches("public.Root (id) from (").count(), 2, "{}", output.stdout);
    }
}
