//! Changes that went by the triggers: maintenance finds out that they may have, says so, captures the table from now on, and has
//! subscribers copy it again.

use super::{events, maintain, provider, table_lists};
use crate::support::{Cluster, Database, QUEUE, Replication, Session, wait_until};

/// Maintains and expects that the tables (names separated by blanks) are copied again, for this reason.
#[track_caller]
fn assert_copied_again(r: &Replication, tables: &str, reason: &str, context: &str) {
    let before = table_lists(&r.provider).len();
    let (_, warnings) = maintain(&r.provider, QUEUE);
    let lists = table_lists(&r.provider).split_off(before);
    for table in tables.split(' ') {
        let warning = format!("WARNING: table public.{table} of queue \"{QUEUE}\" has to be copied again: ");
        assert!(warnings.iter().any(|w| w.starts_with(&warning) && w.contains(reason)), "{context}: {warnings:?}");
        let name = format!("public.{table}");
        let without = lists.iter().filter(|list| !list.split(',').any(|t| t == name)).count();
        assert_eq!(without, 1, "{context}: {lists:?}");
    }
    assert_eq!(lists.len(), tables.split(' ').count(), "{context}: {lists:?}");
    assert_settled(r, context);
}

/// Maintenance has nothing to do and nothing to say.
#[track_caller]
fn assert_settled(r: &Replication, context: &str) {
    let before = table_lists(&r.provider).len();
    assert_eq!(maintain(&r.provider, QUEUE), ("0".to_owned(), vec![]), "{context}");
    assert_eq!(table_lists(&r.provider).len(), before, "{context}");
}

/// What statements add to the events of tables.
#[track_caller]
fn written(r: &Replication, sql: &str) -> Vec<String> {
    let before = events(&r.provider).len();
    r.provider.sql(sql);
    events(&r.provider).split_off(before)
}

const TABLE: &str = "create table t (id int primary key, v text); create table other (id int primary key)";

/// A captured table is the one that was there when it was added, not whatever has its name.
#[test]
fn another_table_under_the_name_is_a_new_table() {
    let dropped = "was dropped and created again";
    let changes = [
        ("drop table t; create table t (id int primary key, v text)", dropped),
        ("alter table t rename to t_old; create table t (like t_old including all)", "is called public.t_old now"),
        (
            "create table fresh as table t; alter table fresh add primary key (id); drop table t; alter table fresh rename to t",
            dropped,
        ),
        (
            "create schema aside; alter table t set schema aside; create table t (like aside.t including all)",
            "is called aside.t now",
        ),
        // With columns, a key and a way of being written to of its own.
        ("drop table t; create table t (v text, id serial primary key)", dropped),
        ("drop table t; create table t (id int, v text)", dropped),
    ];
    for capture in ["statement", "row"] {
        for (change, reason) in changes {
            let r = provider(capture, TABLE, "other t");
            r.provider.sql(&format!("insert into t values (1, 'a'); {change}"));
            assert_eq!(written(&r, "insert into other values (1)").len(), 1, "{change}");
            if change.ends_with("(id int, v text)") {
                // It is captured without a key, and each round says that it has none.
                let (_, warnings) = maintain(&r.provider, QUEUE);
                for expected in [reason, "is captured without a key"] {
                    assert!(warnings.iter().any(|w| w.contains(expected)), "{change}: {warnings:?}");
                }
                assert_eq!(table_lists(&r.provider), ["public.other"]);
            } else {
                assert_copied_again(&r, "t", reason, change);
            }
            let new = written(&r, "insert into t (id, v) values (7, 'seven'); delete from t where id = 7");
            let columns = if change.contains("(v text, id") {
                "(v,id) values ('seven','7')"
            } else {
                "(id,v) values ('7','seven')"
            };
            let key = if change.ends_with("(id int, v text)") { "id='7' and v='seven'" } else { "id='7'" };
            assert_eq!(new, [format!("t I {columns}"), format!("t D {key}")], "{capture}, {change}");
            // What was the table is nobody's.
            for old in ["t_old", "aside.t"] {
                if reason.contains(old) {
                    assert_eq!(
                        written(&r, &format!("insert into {old} values (8, 'old')")),
                        [""; 0],
                        "{capture}, {change}"
                    );
                }
            }
        }
    }
}

/// Both are captured: each name has another table now.
#[test]
fn tables_that_change_names_are_both_copied_again() {
    let r = provider(
        "statement",
        "create table a (id int primary key, v text); create table b (id int primary key, n int)",
        "a b",
    );
    r.provider.sql("alter table a rename to x; alter table b rename to a; alter table x rename to b");
    // What is written until somebody notices still says where it belongs.
    assert_eq!(written(&r, "insert into b values (1, 'was a')"), ["a I (id,v) values ('1','was a')"]);
    assert_copied_again(&r, "a b", "another table has its name", "swap");
    assert_eq!(
        written(&r, "insert into a values (2, 3); insert into b values (2, 'v')"),
        ["a I (id,n) values ('2','3')", "b I (id,v) values ('2','v')"]
    );
    let triggers = "select count(*) from pg_trigger where tgrelid in ('a'::regclass, 'b'::regclass)";
    assert_eq!(r.provider.value(triggers), "8");
}

/// It is in the set under its old name: its changes go on under that, and each round of maintenance says so.
#[test]
fn renamed_table_keeps_its_name_in_events() {
    for format in ["sql", "urlenc", "json"] {
        for capture in ["statement", "row"] {
            let r = Replication::new().with_schema(TABLE);
            r.install();
            r.provider.sql(&format!(
                "select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', '{format}', null);
                 alter table t rename to elsewhere; insert into elsewhere values (1, 'a');
                 alter table elsewhere add column more int; insert into elsewhere values (2, 'b', 3); truncate elsewhere"
            ));
            let (_, warnings) = maintain(&r.provider, QUEUE);
            assert_eq!(
                warnings,
                [format!(
                    "WARNING: table public.t of queue \"{QUEUE}\": the table is called public.elsewhere now; its changes go on \
                     under the old name"
                )]
            );
            r.provider.sql("insert into elsewhere values (3, 'c', 4); delete from elsewhere");
            let named = r.provider.rows(
                "select distinct ev_extra1, case when ev_type like '{%' then (ev_type::json -> 'table')::text else '' end
                 from pgq.event_1 where ev_type <> 'T'",
            );
            let in_type = if format == "json" { "[\"public\",\"t\"]" } else { "" };
            assert_eq!(named, [["public.t", in_type]], "{format}, {capture}");
            assert_eq!(r.provider.value("select count(*) from pgq.event_1"), "5", "{format}, {capture}");
            assert_eq!(maintain(&r.provider, QUEUE).1.len(), 1);
            assert_eq!(table_lists(&r.provider), Vec::<String>::new());
            r.provider.sql("alter table elsewhere rename to t");
            assert_settled(&r, "renamed back");
        }
    }
}

/// In the set, under whatever name, so it can be taken out of it.
#[test]
fn renamed_and_replaced_tables_can_be_removed() {
    for change in
        ["alter table t rename to t_old", "alter table t rename to t_old; create table t (id int primary key)"]
    {
        let r = provider("statement", TABLE, "t");
        r.provider.sql(change);
        r.provider.sql(&format!("select londiste.provider_remove_table('{QUEUE}', 'public.t')"));
        assert_eq!(
            r.provider.value("select count(*) from pg_trigger where tgrelid = 't_old'::regclass"),
            "0",
            "{change}"
        );
        assert_eq!(written(&r, "insert into t_old values (1)"), [""; 0], "{change}");
        let left = "select count(*) from pg_proc where proname ~ '^capture_[0-9]'";
        assert_eq!(r.provider.value(left), "0", "{change}");
    }
}

const PARTS: &str = "create table t (id int primary key, v text) partition by range (id);
    create table low partition of t for values from (0) to (100);
    create table high partition of t for values from (100) to (200)";

/// Also when they are enabled again before anybody looks, as a script does that loads much.
#[test]
fn triggers_that_were_disabled_for_a_while() {
    let changes = [
        "alter table t disable trigger all; insert into t values (1, 'lost')",
        "alter table t disable trigger user; insert into t values (1, 'lost'); alter table t enable trigger user",
        "begin; alter table t disable trigger all; insert into t values (1, 'lost'); alter table t enable trigger all; commit",
        "alter table t disable trigger \"QUEUE_logger_i\"; insert into t values (1, 'lost')",
        "alter table t enable replica trigger \"QUEUE_logger_i\"; insert into t values (1, 'lost')",
    ];
    for capture in ["statement", "row"] {
        for change in changes {
            if capture == "row" && change.contains("QUEUE") {
                continue; // It has one trigger for all.
            }
            let r = provider(capture, TABLE, "t other");
            assert_eq!(written(&r, &change.replace("QUEUE", QUEUE)), [""; 0], "{capture}, {change}");
            assert_copied_again(&r, "t", "triggers were dropped, disabled or changed", change);
            assert_eq!(
                written(&r, "insert into t values (2, 'b')"),
                ["t I (id,v) values ('2','b')"],
                "{capture}, {change}"
            );
        }
    }
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    for change in [
        "alter table low disable trigger all; insert into t values (1, 'lost')",
        "alter table low disable trigger all; insert into t values (1, 'lost'); alter table low enable trigger all",
        "alter table t disable trigger all; insert into t values (1, 'lost'); insert into low values (2, 'lost')",
        "alter table t detach partition low; insert into low values (1, 'lost');
         alter table t attach partition low for values from (0) to (100)",
    ] {
        let r = provider("statement", PARTS, "t");
        assert_eq!(written(&r, change), [""; 0], "{change}");
        assert_copied_again(&r, "t", "triggers were dropped, disabled or changed", change);
        assert_eq!(
            written(&r, "insert into t values (3, 'b'), (103, 'c'); insert into low values (4, 'd')"),
            ["t I (id,v) values ('3','b')", "t I (id,v) values ('103','c')", "t I (id,v) values ('4','d')"],
            "{change}"
        );
    }
}

/// What is no loss: what capture itself does, and DDL that leaves its triggers alone.
#[test]
fn table_that_only_changed_is_not_copied_again() {
    let r = provider("statement", TABLE, "t other");
    for change in [
        "alter table t add column n int",
        "alter table t drop column n",
        "create trigger zz after insert on t for each row execute procedure suppress_redundant_updates_trigger()",
        "alter table t disable trigger zz",
        "drop trigger zz on t",
        "create index on t (v)",
        "alter table t drop constraint t_pkey, add primary key (id)",
        "vacuum full t",
        "vacuum full pg_catalog.pg_trigger",
        "cluster t using t_pkey",
        "alter table t owner to pg_monitor; alter table t owner to postgres",
        "comment on trigger \"QUEUE_logger_i\" on t is 'x'",
        "alter table t rename to x; alter table x rename to t",
    ] {
        let session = r.provider.session();
        for statement in change.replace("QUEUE", QUEUE).split("; ") {
            session.sql(statement);
        }
        maintain(&r.provider, QUEUE);
        assert_settled(&r, change);
    }
    assert_eq!(table_lists(&r.provider), Vec::<String>::new());
}

/// A statement fires the statement triggers of the table that it names: rows that come through a table above go by them.
#[test]
fn partition_alone_in_the_set_gets_what_comes_through_its_root() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No rows that move, and no primary keys on partitioned tables.
    }
    let write = "insert into t values (1, 'a'), (101, 'b'); update t set v = v || '!'; update t set id = 102 where id = 1;
                 update t set id = 2 where id = 102; delete from t where id < 100; insert into t values (3, 'c'); truncate t";
    let expected = [
        "low I (id,v) values ('1','a')",
        "low U v='a!' where id='1'",
        "low D id='1'",
        "low I (id,v) values ('2','a!')",
        "low D id='2'",
        "low I (id,v) values ('3','c')",
        "low R",
    ];
    for capture in ["statement", "row"] {
        let r = provider(capture, PARTS, "low");
        assert_eq!(written(&r, write), expected, "{capture}");
        assert_settled(&r, "nothing was lost");

        // Attached later.
        let r = provider(
            capture,
            "create table t (id int primary key, v text) partition by range (id);
             create table low (id int primary key, v text); create table high partition of t for values from (100) to (200)",
            "low",
        );
        r.provider
            .sql("alter table t attach partition low for values from (0) to (100); insert into t values (50, 'first')");
        if capture == "statement" {
            assert_copied_again(
                &r,
                "low",
                "did not fire for all changes: rows can be written through table public.t",
                "attach",
            );
        }
        r.provider.sql("delete from t");
        assert_eq!(written(&r, write), expected, "{capture}, attached");
    }
}

#[test]
fn inheritance_child_alone_in_the_set_gets_what_comes_through_its_parent() {
    let schema =
        "create table parent (id int primary key, v text); create table child (primary key (id)) inherits (parent);
                  create table late (id int primary key, v text)";
    let write = "insert into CHILD values (1, 'a'); update parent set v = v || '!'; delete from parent";
    let expected = ["I (id,v) values ('1','a')", "U v='a!' where id='1'", "D id='1'"];
    for capture in ["statement", "row"] {
        let r = provider(capture, schema, "child late");
        let named = |table: &str| expected.map(|event| format!("{table} {event}"));
        assert_eq!(written(&r, &write.replace("CHILD", "child")), named("child"), "{capture}");
        assert_settled(&r, "nothing was lost");
        if capture == "statement" && Cluster::provider().binaries().major() < 11 {
            continue; // The server lets no table with such triggers become a child.
        }
        r.provider
            .sql("alter table late inherit parent; insert into late values (1, 'a'); update parent set v = 'lost'");
        if capture == "statement" {
            assert_copied_again(&r, "late", "rows can be written through table public.parent", "inherit");
        }
        r.provider.sql("delete from late");
        assert_eq!(written(&r, &write.replace("CHILD", "late")), named("late"), "{capture}");
        r.provider.sql("alter table late no inherit parent");
        maintain(&r.provider, QUEUE);
        assert_settled(&r, "no child any more");
    }
}

/// Each change would become two events.
#[test]
fn partition_and_its_root_are_not_both_added() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    for (first, second) in [("low", "t"), ("t", "low")] {
        let r = provider("statement", PARTS, first);
        let error = r.provider.error(&format!("select londiste.provider_add_table('{QUEUE}', 'public.{second}')"));
        assert_eq!(error.code, "55000", "{error}");
        assert_eq!(
            error.message,
            format!("table public.{second} shares rows with table public.{first}, which is in the set of the queue")
        );
    }
}

/// Unlogged tables are empty after a crash.
#[test]
fn unlogged_table_is_copied_again_after_a_crash() {
    let cluster = Cluster::builder().name("unlogged").start();
    let r = Replication::between(&cluster, Cluster::subscriber());
    r.provider.sql("create unlogged table t (id int primary key, v text); create table other (id int primary key)");
    r.install();
    let added = r.londiste.run("provider add t other");
    assert!(
        added.stderr.contains(
            "WARNING table public.t is unlogged: a crash of the server empties it\nHINT: Subscribers copy it again after a crash."
        ),
        "{}",
        added.stderr
    );
    assert!(!added.stderr.contains("table public.other is unlogged"), "{}", added.stderr);
    r.provider.sql("insert into t values (1, 'a'); insert into other values (1)");
    assert_settled(&r, "before the crash");
    cluster.restart();
    assert_settled(&r, "after a restart");
    assert_eq!(r.provider.value("select count(*) from t"), "1");
    cluster.kill9();
    cluster.start();
    assert_eq!(r.provider.value("select count(*) from t"), "0");
    assert_copied_again(&r, "t", "it is unlogged, and a crash of the server has emptied it", "crash");
    r.provider.sql("alter table t set logged");
    maintain(&r.provider, QUEUE);
    r.provider.sql("alter table t set unlogged");
    maintain(&r.provider, QUEUE);
    assert_settled(&r, "unlogged again");
    cluster.kill9();
    cluster.start();
    assert_copied_again(&r, "t", "it is unlogged", "another crash");
}

/// Rows that logical replication brings fire only row triggers, and only those that fire always.
#[test]
fn what_logical_replication_writes_is_captured() {
    if Cluster::provider().binaries().major() < 11 {
        return; // Its subscriptions do not replicate TRUNCATE.
    }
    let upstream = Cluster::builder().name("upstream").conf("wal_level = logical").start();
    let cluster = Cluster::builder().name("between").start();
    for capture in ["statement", "row"] {
        let source = upstream.database();
        source.sql(&format!("{TABLE}; create publication p for all tables; insert into t values (1, 'old')"));
        let r = Replication::between(&cluster, Cluster::subscriber());
        r.provider.sql(TABLE);
        r.install();
        let add = |table: &str| {
            r.provider.sql(&format!(
                "select londiste.provider_add_table_as('{QUEUE}', 'public.{table}', '{capture}', 'sql', null)"
            ));
        };
        let subscription = format!("s_{}", source.name());
        add("other");
        r.provider.sql(&format!("create subscription {subscription} connection '{}' publication p", source.conninfo()));
        add("t");
        let arrived = |count: u32| {
            wait_until("the rows have arrived", || match r.provider.value("select count(*) from t") {
                found if found == count.to_string() => Ok(()),
                found => Err(found),
            });
        };
        arrived(1);
        source.sql("insert into t values (2, 'b'); update t set v = 'c'; delete from t where id = 1; insert into t values (3, 'd')");
        arrived(2);
        wait_until("the last of it", || match events(&r.provider).last() {
            Some(last) if last == "t I (id,v) values ('3','d')" => Ok(()),
            other => Err(format!("{other:?}")),
        });
        // The copy at the beginning may have been before the table was added.
        let mut found = events(&r.provider);
        found.retain(|e| e != "t I (id,v) values ('1','old')");
        let mut expected = vec![
            "t I (id,v) values ('2','b')",
            "t U v='c' where id='1'",
            "t U v='c' where id='2'",
            "t D id='1'",
            "t I (id,v) values ('3','d')",
        ];
        assert_eq!(found, expected, "{capture}");

        // The other one was captured before the subscription was made.
        source.sql("insert into other values (1)");
        let (_, warnings) = maintain(&r.provider, QUEUE);
        assert!(
            warnings
                .iter()
                .any(|w| w.contains("public.other") && w.contains("logical replication writes to table public.other")),
            "{warnings:?}"
        );
        assert_eq!(table_lists(&r.provider), ["public.t"]);
        assert_settled(&r, "captured always");
        source.sql("insert into other values (2); truncate t");
        wait_until("the TRUNCATE", || match events(&r.provider).last() {
            Some(last) if last == "t R" => Ok(()),
            other => Err(format!("{other:?}")),
        });
        expected.extend(["other I (id) values ('2')", "t R"]);
        let mut found = events(&r.provider);
        found.retain(|e| e != "t I (id,v) values ('1','old')" && e != "other I (id) values ('1')");
        assert_eq!(found, expected, "{capture}");

        r.provider.sql(&format!("drop subscription {subscription}"));
        maintain(&r.provider, QUEUE);
        assert_settled(&r, "without a subscription");
        let enabled = "select distinct tgenabled from pg_trigger where tgrelid in ('t'::regclass, 'other'::regclass)";
        assert_eq!(r.provider.column(enabled), ["O"], "{capture}");
        assert_eq!(table_lists(&r.provider), ["public.t"]);
    }
}

/// A copy of the whole database is the same tables, under other oids.
#[test]
fn restored_database_goes_on_without_a_copy() {
    let r = provider("statement", &format!("{TABLE}; create table broken (id int primary key)"), "t other broken");
    r.provider.sql("insert into t values (1, 'a')");
    let copy = Database::existing(Cluster::provider(), &format!("{}_copy", r.provider.name()));
    let postgres = Session::connect(&Cluster::provider().conninfo("postgres")).unwrap();
    wait_until("nobody is connected", || {
        postgres.try_rows(&format!("create database {} template {}", copy.name(), r.provider.name())).map(|_| ())
    });
    copy.sql("drop trigger if exists zz on t; alter table broken disable trigger all; insert into t values (2, 'b')");
    let (_, warnings) = maintain(&copy, QUEUE);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("public.broken") && warnings[0].contains("not all there and enabled"), "{warnings:?}");
    assert_eq!(maintain(&copy, QUEUE), ("0".to_owned(), vec![]));
    assert_eq!(table_lists(&copy), ["public.t,public.other"]);
    copy.sql("update t set v = 'c'; insert into broken values (1)");
    let expected = [
        "t I (id,v) values ('1','a')",
        "t I (id,v) values ('2','b')",
        "t U v='c' where id='1'",
        "t U v='c' where id='2'",
        "broken I (id) values ('1')",
    ];
    assert_eq!(events(&copy), expected);
    assert_settled(&r, "the original");
}

/// What the original tools put on a table: one row trigger, and nothing of ours.
fn classic() -> Replication {
    let r = provider(
        "statement",
        "create table t (id int primary key, v text); create table other (id int primary key)",
        "other",
    );
    r.provider.sql(&format!(
        "insert into londiste.provider_table (queue_name, table_name, trigger_name) values ('{QUEUE}', 'public.t', '{QUEUE}_logger');
         create trigger \"{QUEUE}_logger\" after insert or update or delete on t
             for each row execute procedure pgq.logtriga('{QUEUE}', 'kv')"
    ));
    r
}

#[test]
fn tables_of_the_original_tools_are_looked_after_too() {
    for (change, reason) in [
        ("alter table t disable trigger all", "its capture trigger was disabled"),
        ("drop trigger \"QUEUE_logger\" on t", "it has no capture trigger"),
        ("drop table t; create table t (id int primary key, v text)", "it has no capture trigger"),
    ] {
        let r = classic();
        assert_eq!(written(&r, "insert into t values (1, 'a')").len(), 1);
        assert_settled(&r, "as it was");
        r.provider.sql(&change.replace("QUEUE", QUEUE));
        assert_copied_again(&r, "t", reason, change);
        assert_eq!(written(&r, "insert into t values (2, 'b')").len(), 1, "{change}");
        r.provider.sql(&format!("select londiste.provider_remove_table('{QUEUE}', 'public.t')"));
        assert_eq!(r.provider.value("select count(*) from pg_trigger where tgrelid = 't'::regclass"), "0", "{change}");
    }
    // Whoever has put a function of his own there knows what he does.
    let r = classic();
    r.provider.sql(&format!(
        "create function mine() returns trigger language plpgsql as $$ begin return null; end $$;
         drop trigger \"{QUEUE}_logger\" on t;
         create trigger \"{QUEUE}_logger\" after insert on t for each row execute procedure mine()"
    ));
    assert_settled(&r, "a function of the user's");
}

/// The warnings stand in the ticker's log.
#[test]
fn ticker_logs_what_has_to_be_copied_again() {
    let r = provider("statement", TABLE, "t other");
    r.ticker.start();
    r.provider.sql("alter table t rename to t_old; create table t (like t_old including all)");
    r.ticker.wait_for_log(&format!(
        "WARNING table public.t of queue \"{QUEUE}\" has to be copied again: another table has its name; the one that was captured is \
         called public.t_old now\nHINT: It is captured anew, and subscribers copy it by themselves.\n"
    ));
    r.ticker.wait_for_log(&format!("INFO Refreshed the capture of public.t in queue {QUEUE}\n"));
}
