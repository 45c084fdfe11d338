//! `repair --apply`, with a lock and without: rows that refer to each other, in tables and orders of any kind.

use pretty_assertions::assert_eq;

use crate::support::{Program, Replication, wait_until};

/// Tables whose order by name is that of no foreign key; table `tree` refers to itself.
const SCHEMA: &str = "
    create table parent (id int primary key);
    create table child (id int primary key references parent, v text);
    create table a_grandchild (id int primary key references child);
    create table z_grandchild (id int primary key references child on delete restrict);
    create table tree (id int primary key, above int references tree, v int);";

fn with_families() -> Replication {
    let r = Replication::new().with_schema(SCHEMA);
    r.provider.sql(
        "insert into parent select i from generate_series(1, 40) i;
         insert into child select i, 'v' from generate_series(1, 40) i;
         insert into a_grandchild select i from generate_series(1, 40) i;
         insert into z_grandchild select i from generate_series(1, 40) i;
         insert into tree select i, case when i < 30 then i + 1 end, i from generate_series(30, 1, -1) i;
         insert into tree select i, i - 1, i from generate_series(31, 40) i",
    );
    let r = r.up();
    wait_until("all foreign keys are back", || {
        let left = r.subscriber.column("select fkey_name from londiste.subscriber_pending_fkeys");
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    r
}

/// Both ways to repair.
fn ways(r: &Replication) -> [(&'static str, Program); 2] {
    let repair = |words: &[&str]| r.londiste.program(words.iter().copied());
    [
        ("with a lock", repair(&["repair", "--apply", "--json"])),
        ("online", repair(&["repair", "--online", "--apply", "--json"])),
    ]
}

#[test]
fn missing_and_extra_rows_that_refer_to_each_other_are_repaired_by_one_call() {
    let r = with_families();
    let spoil = "
        set session_replication_role = replica;
        delete from parent where id in (1, 7, 40); delete from child where id in (1, 7, 8, 40);
        delete from a_grandchild where id in (1, 8, 40); delete from z_grandchild where id in (7, 40);
        insert into parent select i from generate_series(-3, 0) i; insert into child select i, 'extra' from generate_series(-2, 0) i;
        insert into a_grandchild values (-1), (-2); insert into z_grandchild values (0), (-1);
        delete from tree where id % 3 <> 0;
        insert into tree values (50, 51, 0), (51, null, 0), (53, 52, 0), (52, null, 0)";
    for (way, repair) in ways(&r) {
        r.subscriber.sql(spoil);
        let output = repair.run();
        assert!(!output.stderr.contains("ERROR"), "{way}: {}", output.stderr);
        r.assert_in_sync();
        // What is told of a table is the sum of all its passes.
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let parent =
            document["tables"].as_array().unwrap().iter().find(|table| table["table"] == "public.parent").unwrap();
        let counts = serde_json::json!({"inserts": 3, "updates": 0, "deletes": 4});
        assert_eq!((&parent["found"], &parent["applied"]), (&counts, &counts), "{way}");
        assert_eq!(parent["refused"], 0);
        let file = std::fs::read_to_string(r.scratch().path().join("fix.public.parent.sql")).unwrap();
        assert_eq!(file.lines().count(), 7, "{way}: {file}");
    }
}

#[test]
fn one_refused_row_leaves_no_other_row_unrepaired() {
    let r = with_families();
    r.subscriber.sql("alter table parent add check (id <> 20) not valid");
    for (way, repair) in ways(&r) {
        r.subscriber.sql(
            "set session_replication_role = replica;
             delete from parent; delete from child; delete from a_grandchild; delete from z_grandchild;
             insert into parent values (-1); insert into child values (-1, 'a row that its parent has to wait for')",
        );
        let output = repair.status(1).run();
        let counts = "select (select count(*) from parent), (select count(*) from child), (select count(*) from a_grandchild), (select count(*) from z_grandchild)";
        assert_eq!(r.subscriber.rows(counts)[0], ["39", "39", "39", "39"], "{way}");
        for (table, code) in
            [("parent", "23514"), ("child", "23503"), ("a_grandchild", "23503"), ("z_grandchild", "23503")]
        {
            let line = output.stderr.lines().find(|line| line.contains(&format!("ERROR public.{table}: ")));
            let line = line.unwrap_or_else(|| panic!("{way}: {}", output.stderr));
            assert!(line.contains(": 1 rows could not be made equal: "), "{way}: {line}");
            assert!(line.contains(&format!("table public.{table}, insert of key id=20: ")), "{way}: {line}");
            assert!(line.contains(&format!("({code})")), "{way}: {line}");
        }
    }
}

/// With `fake = 1` nothing that a pass does helps the next one.
#[test]
fn fake_ends_though_a_foreign_key_refuses_rows() {
    let mut r = with_families();
    r.londiste.configure("fake", "1");
    r.subscriber
        .sql("set session_replication_role = replica; delete from parent where id = 1; delete from child where id = 1");
    for (way, repair) in ways(&r) {
        let output = repair.status(1).run();
        assert!(
            output.stderr.contains("ERROR public.child: 1 rows could not be made equal: "),
            "{way}: {}",
            output.stderr
        );
    }
    assert_eq!(r.subscriber.value("select count(*) from parent"), "39");
}
