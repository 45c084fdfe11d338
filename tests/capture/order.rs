//! Events come in an order in which they can be repeated: what was set off comes after what set it off.

use super::{events, provider};
use crate::support::{Cluster, QUEUE};

#[test]
fn cascades_come_after_their_cause() {
    for capture in ["statement", "row"] {
        let schema = "create table a (id int primary key);
             create table b (id int primary key, a int references a on delete cascade on update cascade);
             create table c (id int primary key, b int references b on delete set null on update cascade)";
        let r = provider(capture, schema, "a b c");
        r.provider.sql(
            "insert into a values (1), (2); insert into b values (10, 1), (20, 2); insert into c values (100, 10)",
        );
        let before = events(&r.provider).len();
        r.provider.sql("update a set id = 3 where id = 1; update b set id = 11 where id = 10; delete from a");
        let expected = [
            "a U id='3' where id='1'",
            "b U a='3' where id='10'",
            "b U id='11' where id='10'",
            "c U b='11' where id='100'",
        ];
        let found = events(&r.provider).split_off(before);
        assert_eq!(found[..4], expected, "{capture}");
        let place = |event: &str| found.iter().position(|e| e == event).unwrap_or_else(|| panic!("{event}: {found:?}"));
        assert_eq!(found.len(), 9, "{found:?}");
        assert!(place("a D id='3'") < place("b D id='11'"), "{capture}: {found:?}");
        assert!(place("a D id='2'") < place("b D id='20'"), "{capture}: {found:?}");
        assert!(place("b D id='11'") < place("c U b=NULL where id='100'"), "{capture}: {found:?}");
    }
}

#[test]
fn triggers_and_functions_write_in_the_order_of_what_they_do() {
    for capture in ["statement", "row"] {
        let schema = "create table t (id int primary key, v text);
             create table early (id serial primary key, v text);
             create table late (id serial primary key, v text);
             create function before_t() returns trigger language plpgsql as $$
             begin insert into early (v) values (tg_op || new.id); return new; end $$;
             create function after_t() returns trigger language plpgsql as $$
             begin insert into late (v) values (tg_op || new.id); return null; end $$;
             create trigger b before insert or update on t for each row execute procedure before_t();
             create trigger aaa after insert on t for each row execute procedure after_t();
             create trigger zzz after update on t for each row execute procedure after_t();
             create function inner_f(n int) returns int language plpgsql as $$
             begin insert into late (v) values ('inner' || n); update t set v = 'inner' where id = n; return n; end $$;
             create function outer_f(n int) returns void language plpgsql as $$
             begin insert into t values (n, 'outer'); perform inner_f(n); delete from t where id = n; end $$";
        let r = provider(capture, schema, "t early late");
        r.provider.sql("insert into t values (1, 'x'); update t set v = 'y'; delete from t; select outer_f(2)");
        let expected = [
            "early I (id,v) values ('1','INSERT1')",
            "t I (id,v) values ('1','x')",
            "late I (id,v) values ('1','INSERT1')",
            "early I (id,v) values ('2','UPDATE1')",
            "t U v='y' where id='1'",
            "late I (id,v) values ('2','UPDATE1')",
            "t D id='1'",
            "early I (id,v) values ('3','INSERT2')",
            "t I (id,v) values ('2','outer')",
            "late I (id,v) values ('3','INSERT2')",
            "late I (id,v) values ('4','inner2')",
            "early I (id,v) values ('4','UPDATE2')",
            "t U v='inner' where id='2'",
            "late I (id,v) values ('5','UPDATE2')",
            "t D id='2'",
        ];
        assert_eq!(events(&r.provider), expected, "{capture}");
    }
}

/// Whether the last event of a row is the value that it has, when one statement writes two tables and a trigger of the
/// one writes a row of the other that the statement has written too.
fn last_event_is_last_value(capture: &str, statement: &str) -> bool {
    let tables = "create table a (id int primary key); create table b (id int primary key, v text);
         insert into b values (1, 'old');
         create function f() returns trigger language plpgsql as
             $$ begin update b set v = v || ' trigger' where id = 1; return null; end $$;
         create trigger zzz after insert on a for each row execute procedure f()";
    let r = if capture == "classic" {
        // What the original puts on a table: one row trigger for everything.
        let r = provider("row", "create table unused (id int primary key)", "unused");
        r.provider.sql(tables);
        for table in ["a", "b"] {
            r.provider.sql(&format!(
                "create trigger \"{QUEUE}_logger\" after insert or update or delete on {table}
                 for each row execute procedure pgq.sqltriga('{QUEUE}')"
            ));
        }
        r
    } else {
        provider(capture, tables, "a b")
    };
    r.provider.sql(statement);
    assert_eq!(r.provider.value("select v from b"), "new trigger");
    let changes: Vec<_> = events(&r.provider).into_iter().filter(|e| e.starts_with("b ")).collect();
    let last = changes.iter().position(|e| e == "b U v='new trigger' where id='1'");
    assert!(last.is_some() && changes.len() == 2, "{changes:?}");
    last == Some(1)
}

/// All AFTER triggers of a statement fire at its end: those of rows in the order in which the rows were written, whatever
/// their tables, then those of the statement. docs/differences.md says so.
#[test]
fn a_statement_that_writes_two_tables_is_in_order_as_far_as_its_triggers_are() {
    let first_b = "with x as (update b set v = 'new' returning id) insert into a select id from x";
    let first_a = "with x as (insert into a values (1) returning id) update b set v = 'new' from x where x.id = b.id";
    let found: Vec<_> = ["classic", "row", "statement"]
        .iter()
        .map(|capture| (*capture, [first_b, first_a].map(|statement| last_event_is_last_value(capture, statement))))
        .collect();
    assert_eq!(found, [("classic", [true, false]), ("row", [true, false]), ("statement", [false, false])]);
}

/// The server's transition tables of such a MERGE may not hold the rows that it updates.
#[test]
fn merge_into_a_partitioned_table_updates_what_it_updates() {
    if Cluster::provider().binaries().major() < 15 {
        return; // No MERGE.
    }
    let schema = "create table t (id int, region text, v int, primary key (id, region)) partition by list (region);
         create table t_a partition of t for values in ('a'); create table t_b partition of t default";
    let r = provider("statement", schema, "t");
    r.provider.sql(
        "insert into t values (2, 'a', 1), (3, 'a', 1);
         merge into t using (values (1), (2), (3)) n(id) on t.id = n.id and region = 'a'
         when matched then update set v = t.v + 1 when not matched then insert values (n.id, 'a', 7)",
    );
    let mut merged = events(&r.provider).split_off(2);
    merged.sort();
    let expected = [
        "t I (id,region,v) values ('1','a','7')",
        "t U v='2' where id='2' and region='a'",
        "t U v='2' where id='3' and region='a'",
    ];
    assert_eq!(merged, expected);
}

#[test]
fn row_that_moves_to_another_partition_is_captured_once() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No rows that move, and no primary keys on partitioned tables.
    }
    for user_trigger in [None, Some("insert"), Some("update"), Some("delete")] {
        let schema = "create table t (id int primary key, v int) partition by range (id);
             create table low partition of t for values from (0) to (100);
             create table high partition of t for values from (100) to (200);
             create function nothing() returns trigger language plpgsql as $$ begin return null; end $$;";
        let trigger = user_trigger.map_or(String::new(), |operation| {
            format!("create trigger aaa after {operation} on t for each row execute procedure nothing()")
        });
        let r = provider("statement", &format!("{schema}{trigger}"), "t");
        r.provider.sql("insert into t values (1, 1), (101, 101); update t set id = 198 - id, v = v + 1 where id < 100");
        let moved = events(&r.provider).split_off(2).join("; ");
        let as_one = "t U id='197',v='2' where id='1'";
        let as_two = "t D id='1'; t I (id,v) values ('197','2')";
        assert!(moved == as_one || moved == as_two, "{user_trigger:?}: {moved}");
    }
}
