//! `repair`: the statements it writes, and what executing them does while the world goes on.

use std::fs;
use std::thread;

use pretty_assertions::assert_eq;

use super::log_lines::log;
use crate::support::{Replication, assert_same_rows, compare_tables, wait_until};

fn lines(table: &str, counts: &str) -> String {
    log(&[
        format!("INFO Locking public.{table}"),
        format!("INFO Syncing public.{table}"),
        format!("INFO Checking public.{table}"),
        format!("INFO finished public.{table}: {counts}"),
    ])
}

fn file(r: &Replication, name: &str) -> String {
    fs::read_to_string(r.scratch().path().join(name)).unwrap_or_else(|error| format!("{name}: {error}"))
}

fn customers() -> Replication {
    let r = Replication::new().with_schema(
        "create table customers (id int primary key, name text, email text, created timestamptz, active bool);
         create table twopk (c text, b int, a int, primary key (a, b));
         create table tags (tag text primary key, \"Weird Col\" text)",
    );
    r.provider.sql(
        r"insert into customers values (2, 'c2', 'c2@x', '2026-11-22 06:53:36.273325+00', true),
            (3, 'c3', null, '2026-11-22 06:53:36.273325+00', null), (10, E'two\nlines', 'x', null, false);
          insert into twopk values ('cc', 2, 10); insert into tags values ('a', 'new')",
    );
    let r = r.up();
    r.subscriber.sql(
        r#"update customers set name = E'it''s \\ bad', email = null, active = false where id = 2;
           delete from customers where id = 3; insert into customers values (5000, 'gone', null, null, null);
           update twopk set c = null; update tags set "Weird Col" = 'zz'"#,
    );
    r
}

#[test]
fn statements_are_written_in_the_order_of_the_key() {
    let r = customers();
    let run = |table: &str, counts: &str| {
        r.londiste.program(["repair", table]).stdout("").stderr(lines(table, counts)).run();
    };
    run("customers", "src: 3 rows, dst: 3 rows, missed: 1 inserts, 1 updates, 1 deletes");
    run("twopk", "src: 1 rows, dst: 1 rows, missed: 0 inserts, 1 updates, 0 deletes");
    run("tags", "src: 1 rows, dst: 1 rows, missed: 0 inserts, 1 updates, 0 deletes");
    assert_eq!(
        file(&r, "fix.public.customers.sql"),
        r"update only public.customers set name = 'c2', email = 'c2@x', active = 't' where id = '2' and name = E'it''s \\ bad' and email is null and active = 'f';
insert into public.customers (id, name, email, created, active) values ('3', 'c3', null, '2026-11-22 06:53:36.273325+00', null);
delete from only public.customers where id = '5000';
"
    );
    assert_eq!(
        file(&r, "fix.public.twopk.sql"),
        "update only public.twopk set c = 'cc' where a = '10' and b = '2' and c is null;\n"
    );
    assert_eq!(
        file(&r, "fix.public.tags.sql"),
        "update only public.tags set \"Weird Col\" = 'new' where tag = 'a' and \"Weird Col\" = 'zz';\n"
    );
    // Nothing was executed; the files do what they say.
    assert_eq!(r.subscriber.value("select count(*) from customers where id = 3"), "0");
    for name in ["fix.public.customers.sql", "fix.public.twopk.sql", "fix.public.tags.sql"] {
        r.subscriber.sql(&file(&r, name));
    }
    r.assert_in_sync();
    run("customers", "src: 3 rows, dst: 3 rows, missed: 0 inserts, 0 updates, 0 deletes");
    assert!(!r.scratch().path().join("fix.public.customers.sql").exists());
}

#[test]
fn files_go_where_they_are_wanted() {
    let r = customers();
    let dir = r.scratch().path().join("fixes");
    let arg = format!("--output-dir={}", dir.display());
    let output = r.londiste.program(["repair", "tags", "twopk", &arg]).status(1).run();
    for table in ["tags", "twopk"] {
        let path = dir.join(format!("fix.public.{table}.sql"));
        let line = format!("ERROR could not write the file of fixes \"{}\": No such file or directory", path.display());
        assert!(output.stderr.contains(&line), "{line}\n{}", output.stderr);
    }
    fs::create_dir(&dir).unwrap();
    r.londiste.program(["repair", &arg]).run();
    let mut names: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["fix.public.customers.sql", "fix.public.tags.sql", "fix.public.twopk.sql"]);
}

#[test]
fn apply_makes_both_sides_equal() {
    let r = customers();
    let output = r.londiste.program(["repair", "--apply"]).stdout("").run();
    for line in [
        "INFO applied public.customers: 1 inserts, 1 updates, 1 deletes\n",
        "INFO applied public.twopk: 0 inserts, 1 updates, 0 deletes\n",
    ] {
        assert!(output.stderr.contains(line), "{}", output.stderr);
    }
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
    // The files tell what was done.
    assert!(file(&r, "fix.public.customers.sql").contains("delete from only public.customers where id = '5000';\n"));
    r.londiste.program(["repair", "--apply"]).run();
    assert!(!r.scratch().path().join("fix.public.customers.sql").exists());
}

#[test]
fn apply_goes_batch_by_batch() {
    let r = Replication::new().with_table("t", "id int primary key, v text");
    r.provider.sql("insert into t select i, 'v' from generate_series(1, 5000) i");
    let r = r.up();
    r.subscriber.sql("delete from t where id % 2 = 0; update t set v = 'x' where id % 10 = 1");
    let output = r.londiste.program(["repair", "--apply"]).run();
    // One lock for the walk, and one for each 1000 of the 3000 rows.
    assert_eq!(output.stderr.matches("INFO Locking public.t\n").count(), 4, "{}", output.stderr);
    assert!(
        output.stderr.ends_with("INFO applied public.t: 2500 inserts, 500 updates, 0 deletes\n"),
        "{}",
        output.stderr
    );
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
}

#[test]
fn a_row_that_goes_away_meanwhile_is_not_brought_back() {
    let r = Replication::new().with_table("t", "id int primary key, v text");
    r.provider.sql("insert into t values (1, 'a'), (7, 'b')");
    let r = r.up();
    r.subscriber.sql("delete from t");
    let gate = r.subscriber.session();
    gate.sql("begin; lock table t in access exclusive mode");
    thread::scope(|scope| {
        let repair = scope.spawn(|| r.londiste.program(["repair", "--apply"]).run());
        wait_until("repair waits for the table", || {
            let sql = "select count(*) from pg_locks where relation = 't'::regclass and not granted";
            let waiting = r.subscriber.value(sql);
            if waiting == "1" { Ok(()) } else { Err(waiting) }
        });
        r.provider.sql("set statement_timeout = '20s'; delete from t where id = 7");
        gate.sql("commit");
        let stderr = repair.join().unwrap().stderr;
        assert!(stderr.contains("src: 2 rows, dst: 0 rows, missed: 2 inserts,"), "{stderr}");
        assert!(stderr.ends_with("INFO applied public.t: 1 inserts, 0 updates, 0 deletes\n"), "{stderr}");
    });
    r.assert_in_sync();
}

#[test]
fn a_row_that_the_subscriber_refuses_is_named_and_the_other_rows_are_repaired() {
    let r = Replication::new()
        .with_schema("create table a (id int primary key, v int); create table b (id int primary key)");
    r.provider.sql("insert into a values (1, 1), (2, -1), (3, 3); insert into b values (1)");
    let r = r.up();
    r.subscriber.sql("delete from a; delete from b; alter table a add constraint positive check (v > 0)");
    let output = r.londiste.program(["repair", "--apply"]).status(1).run();
    let line = ", table public.a, insert of key id=2: new row for relation \"a\" violates check constraint \"positive\" (23514)\n";
    let begin = "ERROR public.a: 1 rows could not be made equal: could not repair a row on subscriber (";
    assert!(output.stderr.contains(begin), "{}", output.stderr);
    let hint = "HINT: Change on the subscriber what refuses them, then run repair again.\n";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
    assert!(output.stderr.contains(line), "{}", output.stderr);
    assert_eq!(r.subscriber.value("select count(*) from a"), "2");
    assert_eq!(r.subscriber.value("select count(*) from b"), "1");
}

#[test]
fn unique_values_that_move_between_rows_are_no_obstacle() {
    let r = Replication::new().with_table("t", "id int primary key, mail text unique");
    r.provider.sql("insert into t values (1, 'a'), (2, 'b')");
    let r = r.up();
    r.subscriber.sql("delete from t; insert into t values (3, 'a'), (4, 'b')");
    r.londiste.run("repair --apply");
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
}

#[test]
fn fake_rolls_the_repair_back() {
    let mut r = customers();
    r.londiste.configure("fake", "1");
    let output = r.londiste.run("repair --apply tags");
    assert!(
        output.stderr.ends_with("INFO applied public.tags: 0 inserts, 1 updates, 0 deletes\n"),
        "{}",
        output.stderr
    );
    assert_eq!(r.subscriber.value("select \"Weird Col\" from tags"), "zz");
}

#[test]
fn keys_that_differ_are_refused_and_the_other_tables_go_on() {
    let r = Replication::new();
    r.provider.sql("create table a (id int primary key, k int); create table b (id int primary key)");
    r.subscriber.sql("create table a (id int, k int primary key); create table b (id int primary key)");
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.londiste.program(["subscriber", "add", "--all", "--expect-sync", "--force"]).run();
    let error = "ERROR public.a: pkeys do not match\nHINT: Give the table the same primary key on both sides.";
    let counts = "src: 0 rows, dst: 0 rows, missed: 0 inserts, 0 updates, 0 deletes";
    let before = ["INFO Locking public.a", "INFO Syncing public.a", "INFO Checking public.a", error];
    let stderr = log(&before) + &lines("b", counts);
    r.londiste.program(["repair"]).stdout("").stderr(stderr).status(1).run();
}

#[test]
fn odd_names_and_identities_are_repaired() {
    let schema = r#"create schema "Odd"; create table "Odd"."Mi xed.Dot" ("Id" int generated always as identity primary key, "select" text);
        create table "it's ""one""" ("ключ" text primary key, v int); create table "a/b" (id uuid primary key)"#;
    let r = Replication::new().with_schema(schema);
    r.provider.sql(
        r#"insert into "Odd"."Mi xed.Dot" ("select") values ('a'), ('b'); insert into "it's ""one""" values ('я', 1), ('б', 2);
           insert into "a/b" values ('5a8e9b1c-0000-4000-8000-000000000001')"#,
    );
    let r = r.up();
    r.subscriber
        .sql(r#"delete from "Odd"."Mi xed.Dot"; update "it's ""one""" set v = 3 where v = 1; delete from "a/b""#);
    r.londiste.run("repair");
    let statements = "insert into \"Odd\".\"Mi xed.Dot\" (\"Id\", \"select\") overriding system value values ('1', 'a');\n\
                      insert into \"Odd\".\"Mi xed.Dot\" (\"Id\", \"select\") overriding system value values ('2', 'b');\n";
    assert_eq!(file(&r, "fix.Odd.Mi xed.Dot.sql"), statements);
    let statement = "update only public.\"it's \"\"one\"\"\" set v = '1' where \"ключ\" = 'я' and v = '3';\n";
    assert_eq!(file(&r, "fix.public.it's \"one\".sql"), statement);
    let statement = "insert into public.\"a/b\" (id) values ('5a8e9b1c-0000-4000-8000-000000000001');\n";
    assert_eq!(file(&r, "fix.public.a%2Fb.sql"), statement);
    r.londiste.run("repair --apply");
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
}

#[test]
fn a_walk_along_an_index_sorts_nothing() {
    let r = Replication::new().with_table("t", "id int primary key, v text");
    // Rows in no order: the index is not the cheaper way.
    r.provider.sql("insert into t select i, repeat('x', 80) from generate_series(1, 50000) i order by hashint4(i)");
    for database in [&r.provider, &r.subscriber] {
        database.sql(&format!("alter database {} set work_mem = '2MB'", database.name()));
    }
    let r = r.up();
    let temp_files = |database: &crate::support::Database| {
        let name = database.name();
        database.value(&format!("select temp_files from pg_stat_database where datname = '{name}'"))
    };
    let before = (temp_files(&r.provider), temp_files(&r.subscriber));
    r.londiste.run("repair");
    r.londiste.run("compare --checksum");
    let after = || Ok::<_, String>((temp_files(&r.provider), temp_files(&r.subscriber)));
    assert_eq!(wait_until("statistics are there", after), before);
}

#[test]
fn values_of_types_without_an_equality_are_repaired() {
    let r = Replication::new().with_schema(
        "create schema ext; create type ext.pair as (a json, b int); create type ext.mood as enum ('sad', 'glad');
         create domain ext.doc as json; create domain ext.feeling as ext.mood;
         create table t (id int primary key, j json, x xml, p point, ps polygon, js json[], c ext.pair, d ext.doc, m ext.feeling,
                         r int4range, n numeric[])",
    );
    r.provider.sql(
        r#"insert into t select i, '{"a":  1}', '<a/>', '(1,2)', '((0,0),(1,1))', array['1', '{}']::json[], '("{}",1)', '[1]', 'sad',
                                '[1,5)', '{1.50}' from generate_series(1, 3) i"#,
    );
    let r = r.up();
    let spoil = r#"update t set j = '{"a": 1}', x = '<b/>', p = '(2,2)', ps = '((0,0),(2,2))', js = array['2']::json[],
                                c = '("[]",1)', d = '[2]', m = 'glad', r = 'empty', n = '{2}' where id = 2;
                   update t set j = null, x = null, p = null, js = null, c = null, d = null, m = null where id = 3"#;
    for online in [&[][..], &["--online"]] {
        r.subscriber.sql(spoil);
        r.londiste.program([&["repair"][..], online].concat()).run();
        // The file does the same wherever it is executed.
        let statements = file(&r, "fix.public.t.sql");
        assert_eq!(statements.lines().count(), 2, "{statements}");
        r.subscriber.sql(&format!("set search_path = public; {statements}"));
        assert_same_rows(&r.provider, &r.subscriber, &["t"]);
        r.subscriber.sql(spoil);
        r.londiste.program([&["repair", "--apply"][..], online].concat()).run();
        assert_same_rows(&r.provider, &r.subscriber, &["t"]);
    }
}

#[test]
fn a_dry_run_prints_the_statements_and_writes_no_file() {
    let r = customers();
    let statements = r"-- public.customers: 1 inserts, 1 updates, 1 deletes
update only public.customers set name = 'c2', email = 'c2@x', active = 't' where id = '2' and name = E'it''s \\ bad' and email is null and active = 'f';
insert into public.customers (id, name, email, created, active) values ('3', 'c3', null, '2026-11-22 06:53:36.273325+00', null);
delete from only public.customers where id = '5000';
";
    for online in [&[][..], &["--online"]] {
        let args = [&["repair", "--dry-run", "customers"][..], online].concat();
        let mut lines: Vec<String> = r.londiste.program(&args).run().stdout.lines().map(str::to_owned).collect();
        let mut expected: Vec<&str> = statements.lines().collect();
        lines.sort();
        expected.sort_unstable();
        assert_eq!(lines, expected);
        assert!(!r.scratch().path().join("fix.public.customers.sql").exists());
        assert_eq!(r.subscriber.value("select count(*) from customers where id in (3, 5000)"), "1");
        let output = r.londiste.program([&args[..], &["--json"]].concat()).run();
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let table = &json["tables"][0];
        assert_eq!(table["found"], serde_json::json!({"inserts": 1, "updates": 1, "deletes": 1}));
        assert_eq!(table["applied"], serde_json::json!({"inserts": 0, "updates": 0, "deletes": 0}));
        assert_eq!(table["statements"].as_array().unwrap().len(), 3);
    }
    let output = r.londiste.program(["repair", "--apply", "--json", "customers"]).run();
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["tables"][0]["applied"], serde_json::json!({"inserts": 1, "updates": 1, "deletes": 1}));
    assert_eq!(json["tables"][0]["file"], "fix.public.customers.sql");
    let output = r.londiste.program(["repair", "--dry-run", "--apply"]).status(2).run();
    assert!(output.stderr.contains("--dry-run"), "{}", output.stderr);
    assert_eq!(r.londiste.program(["repair", "--dry-run", "customers"]).run().stdout, "");
}
