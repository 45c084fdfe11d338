//! Tables that are not as a command expects them: each command says what is the matter, and one bad table never stops
//! the others.

use pretty_assertions::assert_eq;

use super::log_lines::{checked, log};
use crate::support::{Database, Replication, assert_same_rows, compare_tables};

#[track_caller]
fn expect<T: AsRef<str>>(r: &Replication, command: &str, stdout: &str, lines: &[T], status: i32) {
    r.londiste.program(command.split(' ')).stdout(stdout).stderr(log(lines)).status(status).run();
}

const STATES: &str = "Table                                           State\n\
                      public.bad                                         ok\n\
                      public.good                                        ok\n";

fn good_and_bad() -> Replication {
    let r = Replication::new()
        .with_schema("create table bad (id int primary key, v text); create table good (id int primary key, v text)")
        .up();
    r.provider.sql("insert into good values (1, 'a')");
    r.assert_in_sync();
    r
}

#[track_caller]
fn assert_good_goes_on(r: &Replication) {
    r.provider.sql("insert into good select max(id) + 1, 'more' from good");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["good"]);
}

#[test]
fn a_table_dropped_on_the_provider() {
    let r = good_and_bad();
    r.provider.sql("drop table bad");
    assert_good_goes_on(&r);
    expect(&r, "provider tables", "public.bad\npublic.good\n", &[""; 0], 0);
    expect(&r, "subscriber tables", STATES, &[""; 0], 0);
    let check = [
        "INFO Checking public.bad",
        "ERROR Table public.bad missing from provider side",
        "INFO Checking public.good",
        "ERROR Table public.bad is ok, but changes may be missing: there is no such table",
    ];
    expect(&r, "subscriber check", "", &check, 1);
    let missing = vec!["WARNING Table public.bad does not exist on provider side".to_owned()];
    expect(&r, "compare", "", &[missing, checked("public.good", 2, 2)].concat(), 1);
    let output = r.londiste.program(["provider", "refresh", "--all"]).stdout("").status(1).run();
    assert!(output.stderr.contains("INFO Refreshing public.bad\n"), "{}", output.stderr);
    assert!(
        output.stderr.contains("ERROR could not refresh the capture of a table on provider ("),
        "{}",
        output.stderr
    );
    assert!(output.stderr.ends_with("INFO Refreshing public.good\n"), "{}", output.stderr);
    assert_good_goes_on(&r);
    expect(&r, "subscriber fkeys", "", &[""; 0], 0);
    expect(&r, "provider remove bad", "", &["INFO Removing public.bad"], 0);
    r.londiste.wait_for_log("INFO Removing table public.bad from set\n");
    assert_good_goes_on(&r);
    let warning = "WARNING Table public.bad does not exist on provider";
    expect(&r, "provider add bad", "", &[warning], 1);
}

#[test]
fn a_table_dropped_on_the_subscriber() {
    let r = good_and_bad();
    r.subscriber.sql("drop table bad");
    assert_good_goes_on(&r);
    expect(&r, "subscriber tables", STATES, &[""; 0], 0);
    let check = [
        "INFO Checking public.bad",
        "ERROR Table public.bad missing from subscriber side",
        "INFO Checking public.good",
    ];
    expect(&r, "subscriber check", "", &check, 1);
    let missing = vec!["WARNING Table public.bad does not exist on subscriber side".to_owned()];
    expect(&r, "compare", "", &[missing, checked("public.good", 2, 2)].concat(), 1);
    expect(&r, "subscriber fkeys", "", &[""; 0], 0);
    expect(&r, "subscriber triggers", "", &[""; 0], 0);
    let none = "INFO No pending triggers found for public.bad.";
    expect(&r, "subscriber restore-triggers bad", "", &[none], 0);
    let absent = "WARNING Table public.bad of the provider does not exist on subscriber: create it there first";
    expect(&r, "subscriber add bad", "", &["INFO No tables found that match bad", absent], 0);
    expect(&r, "subscriber resync bad", "", &["INFO Resyncing public.bad"], 0);
    r.londiste.wait_for_log("Table not found: public.bad on subscriber (");
    assert_good_goes_on(&r);
    expect(&r, "subscriber remove bad", "", &["INFO Removing: public.bad"], 0);
    assert_good_goes_on(&r);
    let stdout = "Table: public.bad\n";
    expect(&r, "subscriber missing", stdout, &[""; 0], 0);
}

#[test]
fn a_column_added_on_one_side() {
    let r = good_and_bad();
    r.subscriber.sql("alter table bad add extra int default 7");
    r.provider.sql("insert into bad values (1, 'a')");
    assert_good_goes_on(&r);
    assert_eq!(r.subscriber.rows("select * from bad"), [["1", "a", "7"]]);
    let lines = [
        "INFO Checking public.bad",
        "WARNING table public.bad structure is not same (kv/kvv), trying to continue",
        "INFO Checking public.good",
    ];
    expect(&r, "subscriber check", "", &lines, 0);
    let lines = [checked("public.bad", 1, 1), checked("public.good", 2, 2)].concat();
    expect(&r, "compare", "", &lines, 0);
    r.londiste.program(["compare", "--checksum"]).stdout("").run();
    r.subscriber.sql("delete from bad");
    r.londiste.run("repair --apply bad");
    assert_eq!(r.subscriber.rows("select * from bad"), [["1", "a", "7"]]);
    r.subscriber.sql("alter table bad drop extra");
    r.provider.sql("alter table bad add extra int");
    let lines = [
        "INFO Checking public.bad",
        "WARNING table public.bad structure is not same (kvv/kv), trying to continue",
        "ERROR public.bad: column extra on provider not on subscriber",
        "INFO Checking public.good",
    ];
    expect(&r, "subscriber check", "", &lines, 1);
    assert_good_goes_on(&r);
}

#[test]
fn a_table_that_loses_its_key() {
    let r = good_and_bad();
    r.provider.sql("insert into bad values (1, 'a')");
    r.assert_in_sync();
    r.subscriber.sql("alter table bad drop constraint bad_pkey");
    let lines = [
        "INFO Checking public.bad",
        "ERROR subscriber table public.bad has no primary key (vv)",
        "INFO Checking public.good",
    ];
    let output = r.londiste.program(["subscriber", "check"]).status(1).run();
    // The column stays "not null": no key all the same.
    assert_eq!(crate::support::mask_log_lines(&output.stderr), log(&lines));
    r.provider.sql("update bad set v = 'b'; insert into bad values (2, 'c')");
    assert_good_goes_on(&r);
    assert_same_rows(&r.provider, &r.subscriber, &["bad"]);
    let lines = [checked("public.bad", 2, 2), checked("public.good", 2, 2)].concat();
    expect(&r, "compare", "", &lines, 0);
    // Rows are told by all their columns.
    r.subscriber.sql("update bad set v = 'x' where id = 1");
    let output = r.londiste.program(["repair", "--apply"]).stdout("").run();
    let line = "INFO applied public.bad: 1 inserts, 0 updates, 1 deletes\n";
    assert!(output.stderr.contains(line), "{}", output.stderr);
    assert_same_rows(&r.provider, &r.subscriber, &["bad", "good"]);
}

/// Names that need care somewhere: in SQL, in a pattern, in a file name, in a line of output.
const NAMES: [&str; 12] = [
    "Mixed",
    "with space",
    "dot.ted",
    "quo\"te",
    "apos'trophe",
    "таблица",
    "semi;colon",
    "percent%s",
    "back\\slash",
    "select",
    "a/b",
    "sixty_three_bytes_long_name_that_fills_the_whole_identifier_xx63",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[track_caller]
fn for_all(database: &Database, sql: impl Fn(&str, &str) -> String) {
    for name in NAMES {
        database.sql(&sql(&quoted(name), &quoted(&format!("{} seq", &name[..name.len().min(40)]))));
    }
}

#[test]
fn odd_names_work_in_every_command() {
    let r = Replication::new();
    for database in [&r.provider, &r.subscriber] {
        for_all(database, |table, seq| {
            format!("create table {table} (\"Id\" int primary key, \"v'\" text); create sequence {seq}")
        });
    }
    for_all(&r.provider, |table, _| format!("insert into {table} values (1, 'a')"));
    r.install();
    r.start();
    let names: Vec<String> = NAMES.iter().map(|name| format!("public.{}", &name[..name.len().min(63)])).collect();
    let with = |words: &[&str]| r.londiste.program(words.iter().copied().chain(names.iter().map(String::as_str)));
    let lines = |verb: &str| names.iter().map(|name| format!("INFO {verb} {name}")).collect::<Vec<_>>();
    let list = names.join("\n") + "\n";
    with(&["provider", "add"]).stdout("").stderr(log(&lines("Adding"))).run();
    r.londiste.program(["provider", "tables"]).stdout(list.as_str()).stderr("").run();
    let added = log(&[lines("Checking"), lines("Adding")].concat());
    with(&["subscriber", "add"]).stdout("").stderr(added).run();
    r.wait_until_ok();
    for_all(&r.provider, |table, _| {
        format!(
            "insert into {table} values (2, 'b'), (3, 'c'); update {table} set \"v'\" = 'x' where \"Id\" = 1; delete from {table} where \"Id\" = 3"
        )
    });
    r.assert_in_sync();
    with(&["compare"]).stderr(log(&names.iter().flat_map(|name| checked(name, 2, 2)).collect::<Vec<_>>())).run();
    for_all(&r.subscriber, |table, _| format!("delete from {table} where \"Id\" = 2"));
    with(&["compare", "--checksum"]).status(1).run();
    with(&["repair", "--apply"]).stdout("").run();
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
    r.londiste.program(["subscriber", "check"]).stdout("").stderr(log(&lines("Checking"))).run();
    with(&["subscriber", "resync"]).stderr(log(&lines("Resyncing"))).run();
    r.wait_until_ok();
    with(&["subscriber", "wait-sync"]).stderr("").run();
    with(&["provider", "refresh"]).stderr(log(&lines("Refreshing"))).run();
    r.londiste.run("provider add-seq --all");
    r.londiste.run("subscriber add-seq --all");
    for_all(&r.provider, |_, seq| format!("select setval('{}', 42)", seq.replace('\'', "''")));
    r.assert_sequences_in_sync();
    with(&["subscriber", "remove"]).stderr(log(&lines("Removing:"))).run();
    let missing = format!("Table: {}\n", names.join("\nTable: "));
    r.londiste.program(["subscriber", "missing"]).stdout(missing).stderr("").run();
    with(&["provider", "remove"]).stderr(log(&lines("Removing"))).run();
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());
}
