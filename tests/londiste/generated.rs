//! Columns that one side generates, or numbers by itself, and the other side does not.

use crate::support::{Cluster, QUEUE, Replication, assert_same_rows};

/// Generated columns came with PostgreSQL 12.
fn has_generated() -> bool {
    [Cluster::provider(), Cluster::subscriber()].iter().all(|cluster| cluster.binaries().major() >= 12)
}

fn has_virtual() -> bool {
    [Cluster::provider(), Cluster::subscriber()].iter().all(|cluster| cluster.binaries().major() >= 18)
}

/// The provider generates `g` and `n`, the subscriber has plain columns; both generate `both`; the subscriber has no `gone`.
const TABLES: [&str; 2] = [
    "create type mood as enum ('good', 'bad');
     create table t (id int primary key, a int, g text generated always as ('it''s & % ' || a::text) stored, v text,
         n numeric generated always as (a / 2.0) stored, both_ int generated always as (a * 2) stored,
         gone int generated always as (a * 3) stored);
     create table e (like t including all, m mood)",
    "create type mood as enum ('good', 'bad');
     create table t (id int primary key, a int, g text, v text, n numeric,
         both_ int generated always as (a * 2) stored);
     create table e (like t including all, m mood)",
];

const COMPARED: &str = "select array_agg(row(id, a, g, v, n, both_)::text order by id) from";

fn assert_equal(r: &Replication, context: &str) {
    r.replay_until_in_sync();
    for table in ["t", "e"] {
        let rows = |db: &crate::support::Database| db.value(&format!("{COMPARED} {table}"));
        assert_eq!(rows(&r.subscriber), rows(&r.provider), "{context}: {table}");
    }
}

/// Every way of writing rows.
const WRITES: [&str; 8] = [
    "insert into TABLE (id, a, v) select n, n, 'new' from generate_series(11, 20) n",
    "insert into TABLE (id, a) values (21, null)",
    "update TABLE set a = 100 where id = 12",
    "update TABLE set a = a + 1, v = 'many' where id between 1 and 15",
    "update TABLE set id = 112, a = 7 where id = 13",
    "update TABLE set v = 'only v' where id in (4, 5)",
    "delete from TABLE where id in (2, 14)",
    "insert into TABLE (id, a) values (2, 3) on conflict (id) do nothing; update TABLE set a = null where id = 3",
];

#[test]
fn value_that_the_provider_generates_goes_into_a_plain_column() {
    if !has_generated() {
        return;
    }
    for (capture, format, apply) in [
        ("statement", "sql", "set"),
        ("row", "sql", "row"),
        ("row", "urlenc", "set"),
        ("statement", "urlenc", "row"),
        ("statement", "json", "set"),
        ("row", "json", "row"),
    ] {
        let context = format!("{capture}, {format}, {apply}");
        let mut r = Replication::new();
        r.provider.sql(TABLES[0]);
        r.subscriber.sql(TABLES[1]);
        for (key, value) in [("capture", capture), ("event_format", format), ("apply", apply)] {
            r.londiste.configure(key, value);
        }
        for table in ["t", "e"] {
            r.provider.sql(&format!("insert into {table} (id, a, v) select n, n, 'old' from generate_series(1, 10) n"));
        }
        let r = r.up();
        assert_equal(&r, &format!("{context}, copy"));
        let write = |context: &str| {
            for table in ["t", "e"] {
                for sql in WRITES {
                    r.provider.sql(&sql.replace("TABLE", table));
                }
            }
            assert_equal(&r, context);
        };
        write(&context);
        // Before maintenance comes, events are made another way.
        r.provider
            .sql("delete from t where id > 10; delete from e where id > 10; insert into t (id, a) values (99, 1)");
        r.subscriber.sql("alter table t add column late int; alter table e add column late int");
        r.provider.sql("alter table t add column late int; alter table e add column late int");
        write(&format!("{context}, after DDL"));
        let check = r.londiste.program(["subscriber", "check"]).run();
        assert!(!check.stderr.contains("generated"), "{}", check.stderr);
        r.londiste.program(["compare"]).run();
        r.londiste.program(["compare", "--checksum"]).run();
    }
}

/// The subscriber computes its own value: said when the table is added and by `check`; `compare` finds rows that differ.
#[test]
fn column_that_only_the_subscriber_generates_is_told_of() {
    if !has_generated() {
        return;
    }
    let r = Replication::new();
    r.provider.sql("create table t (id int primary key, a int, g int); insert into t values (1, 1, 2), (2, 2, 5)");
    r.subscriber.sql("create table t (id int primary key, a int, g int generated always as (a * 2) stored)");
    r.install();
    r.start();
    let warning = "WARNING table public.t: column g is generated on subscriber and not on provider: the provider's values do \
                   not arrive";
    r.londiste.run("provider add t");
    let add = r.londiste.program(["subscriber", "add", "t"]).run();
    assert!(add.stderr.contains(warning), "{}", add.stderr);
    r.wait_until_ok();
    r.provider.sql("insert into t values (3, 3, 6); update t set g = 7 where id = 1");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select g from t order by id"), ["2", "4", "6"]);
    let check = r.londiste.program(["subscriber", "check"]).run();
    assert!(check.stderr.contains(warning), "{}", check.stderr);
    let compare = r.londiste.program(["compare", "--checksum"]).status(1).run();
    assert!(compare.stderr.contains("Results do not match"), "{}", compare.stderr);
    assert!(compare.stdout.contains("2 differ"), "{}", compare.stdout);
    // What the subscriber computes cannot be set, so nothing is written for it.
    let dir = r.scratch().path().to_str().unwrap().to_owned();
    let repair = r.londiste.program(["repair", "--apply", "--output-dir", &dir]).status(1).run();
    assert!(repair.stderr.contains("2 rows differ in columns that the subscriber generates"), "{}", repair.stderr);
    r.provider.sql("update t set g = a * 2");
    r.replay_until_in_sync();
    r.londiste.program(["compare"]).run();
    r.londiste.program(["compare", "--checksum"]).run();
    r.londiste.program(["repair", "--apply", "--output-dir", &dir]).run();
}

/// `drop expression` on one side, later, and what was said at the beginning does not hold any more.
#[test]
fn column_that_is_generated_no_longer() {
    if [Cluster::provider(), Cluster::subscriber()].iter().any(|cluster| cluster.binaries().major() < 13) {
        return;
    }
    let r = Replication::new()
        .with_schema("create table t (id int primary key, a int, g int generated always as (a * 2) stored)");
    r.provider.sql("insert into t (id, a) values (1, 1)");
    let r = r.up();
    r.subscriber.sql("alter table t alter g drop expression");
    r.provider.sql("insert into t (id, a) values (2, 2); update t set a = 5 where id = 1");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
    r.provider.sql(
        "alter table t alter g drop expression; update t set g = 100 where id = 2; insert into t values (3, 3, 3)",
    );
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
    r.provider.sql(&format!("select londiste.provider_maintain('{QUEUE}')"));
    r.provider.sql("update t set g = g + 1; insert into t values (4, 4, 4)");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
    assert!(!r.londiste.log().contains("copying it again"), "{}", r.londiste.log());
}

#[test]
fn column_that_only_the_provider_generates_no_longer() {
    if [Cluster::provider(), Cluster::subscriber()].iter().any(|cluster| cluster.binaries().major() < 13) {
        return;
    }
    let r = Replication::new()
        .with_schema("create table t (id int primary key, a int, g int generated always as (a * 2) stored)")
        .up();
    r.provider.sql("alter table t alter g drop expression; insert into t values (3, 3, 3)");
    r.replay_until_in_sync();
    let check = r.londiste.program(["subscriber", "check"]).run();
    assert!(check.stderr.contains("column g is generated on subscriber and not on provider"), "{}", check.stderr);
    r.londiste.program(["compare", "--checksum"]).status(1).run();
}

/// A virtual column has no value in a trigger: such a table is not added, and says why.
#[test]
fn virtual_column_of_the_provider_has_no_value_for_a_plain_one() {
    if !has_virtual() {
        return;
    }
    let r = Replication::new();
    r.provider.sql("create table t (id int primary key, a int, g int generated always as (a * 2) virtual)");
    r.subscriber.sql("create table t (id int primary key, a int, g int)");
    r.install();
    r.start();
    r.londiste.run("provider add t");
    let add = r.londiste.program(["subscriber", "add", "t"]).status(1).run();
    let error = "ERROR public.t: column g is virtual on provider: its values cannot be captured";
    assert!(add.stderr.contains(error), "{}", add.stderr);
    // Generated there too, it needs none.
    r.subscriber.sql("alter table t drop g, add g int generated always as (a * 2) virtual");
    r.londiste.run("subscriber add t");
    r.provider.sql("insert into t (id, a) values (1, 1), (2, 2); update t set a = 7 where id = 1");
    r.wait_until_ok();
    r.assert_in_sync();
    r.londiste.program(["compare"]).run();
    // Plain on the provider, virtual on the subscriber.
    r.provider.sql("alter table t drop g, add g int; update t set g = 1");
    r.replay_until_in_sync();
    let check = r.londiste.program(["subscriber", "check"]).run();
    assert!(check.stderr.contains("column g is generated on subscriber and not on provider"), "{}", check.stderr);
    r.londiste.program(["compare", "--checksum"]).status(1).run();
}

/// An identity column on one side only, of either kind: the provider's numbers arrive.
#[test]
fn identity_on_one_side() {
    let kinds = ["", "generated always as identity", "generated by default as identity", "default 42"];
    let r = Replication::new();
    let mut tables = Vec::new();
    for (i, ours) in kinds.iter().enumerate() {
        for (j, theirs) in kinds.iter().enumerate() {
            let name = format!("t{i}{j}");
            let columns = |kind: &str, default: usize| {
                format!("create table {name} (id int {kind} primary key, v text, d int default {default})")
            };
            r.provider.sql(&columns(theirs, j));
            r.subscriber.sql(&columns(ours, i));
            r.provider.sql(&format!(
                "insert into {name} (id, v) {} select n, 'old' from generate_series(1, 5) n",
                if *theirs == kinds[1] { "overriding system value" } else { "" }
            ));
            tables.push(name);
        }
    }
    let r = r.up();
    for name in &tables {
        r.provider.sql(&format!(
            "insert into {name} (id, v) overriding system value values (7, 'new'), (8, 'new');
             update {name} set v = 'changed' where id in (1, 7); update {name} set d = null where id = 4; update {name} set d = default where id in (2, 4);
             delete from {name} where id = 3"
        ));
    }
    r.assert_in_sync();
    for (name, theirs) in tables.iter().zip(kinds.iter().cycle()) {
        // An identity column starts at 1, where rows are that were written without it.
        let id = if *theirs == kinds[1] { "default" } else { "id + 100" };
        let restart =
            if *theirs == kinds[1] { format!("alter table {name} alter id restart 100;") } else { String::new() };
        r.provider.sql(&format!("{restart} update {name} set id = {id} where id > 6"));
    }
    r.assert_in_sync();
    assert!(!r.londiste.log().contains("parked"), "{}", r.londiste.log());
}
