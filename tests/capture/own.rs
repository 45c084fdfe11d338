//! Capture's triggers are known by the functions that they call, whatever they are called themselves.

use super::{events, maintain, provider};
use crate::support::{Database, QUEUE, Replication};

/// Adds a table to a queue, which is created when it is not there.
fn add(provider: &Database, queue: &str, table: &str, capture: &str) {
    provider.sql(&format!(
        "select pgq.create_queue('{queue}');
         select londiste.provider_add_table_as('{queue}', '{table}', '{capture}', 'sql', null)"
    ));
}

/// What a queue got, as `type data`.
fn got(provider: &Database, queue: &str) -> Vec<String> {
    let table = provider.value(&format!("select queue_data_pfx from pgq.queue where queue_name = '{queue}'"));
    provider.column(&format!("select concat_ws(' ', ev_type, nullif(ev_data, '')) from {table} order by ev_id"))
}

/// The triggers of table `t` that call a capture function of a queue.
fn triggers(provider: &Database, queue: &str) -> Vec<String> {
    provider.column(&format!(
        "select t.tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid
         join londiste.capture_relation r on p.proname ~ format('^capture_%s_.$', r.nr)
         where t.tgrelid = 't'::regclass and r.queue_name = '{queue}' order by 1"
    ))
}

const WRITE: &str =
    "insert into t values (1, 'a'), (2, 'b'); update t set v = 'c' where id = 1; delete from t; truncate t";
const WRITTEN: [&str; 6] =
    ["I (id,v) values ('1','a')", "I (id,v) values ('2','b')", "U v='c' where id='1'", "D id='2'", "D id='1'", "R"];

/// The order of deleted rows is the table's.
fn sorted(mut events: Vec<String>) -> Vec<String> {
    if events.len() == WRITTEN.len() {
        events[3..5].sort_unstable_by(|a, b| b.cmp(a));
    }
    events
}

#[test]
fn queues_with_names_that_are_alike_capture_one_table_each_for_itself() {
    let long = "a".repeat(52);
    let (one, other) = (format!("{long}_one"), format!("{long}_other"));
    let accents = "é".repeat(43) + "x";
    assert_eq!(accents.len(), 87);
    let pairs =
        [("Shop", "shop"), ("shop.main", "shop_main"), (one.as_str(), other.as_str()), (accents.as_str(), "plain")];
    for capture in ["statement", "row"] {
        let r = provider(
            capture,
            "create table t (id int primary key, v text); create table unused (id int primary key)",
            "unused",
        );
        for (first, second) in pairs {
            for queue in [first, second] {
                add(&r.provider, queue, "public.t", capture);
            }
            r.provider.sql(WRITE);
            for queue in [first, second] {
                assert_eq!(sorted(got(&r.provider, queue)), WRITTEN, "{capture}, {queue}");
                assert_eq!(maintain(&r.provider, queue), ("0".to_owned(), vec![]), "{capture}, {queue}");
                let name = r.provider.value(&format!(
                    "select trigger_name from londiste.provider_table where queue_name = '{queue}' and table_name = 'public.t'"
                ));
                let (row, statement) = (name.clone(), format!("{name}_t"));
                let named = triggers(&r.provider, queue);
                assert!(named.contains(if capture == "row" { &row } else { &statement }), "{name}: {named:?}");
            }
            r.provider.sql(&format!("select londiste.provider_remove_table('{second}', 'public.t')"));
            r.provider.sql(WRITE);
            assert_eq!(got(&r.provider, first).len(), 2 * WRITTEN.len(), "{capture}, {first} after {second} has left");
            assert_eq!(got(&r.provider, second).len(), WRITTEN.len(), "{capture}, {second} has left");
            r.provider.sql(&format!("select londiste.provider_remove_table('{first}', 'public.t')"));
            let left = "select tgname from pg_trigger where tgrelid = 't'::regclass";
            assert_eq!(r.provider.column(left), Vec::<String>::new(), "{capture}, {first}");
        }
    }
}

/// The name that the original gives, wherever it is free: `provider_table.trigger_name` says it.
#[test]
fn names_are_the_classic_ones_where_they_are_free() {
    let r = provider("row", "create table t (id int primary key, v text); create table u (id int primary key)", "t u");
    add(&r.provider, "My.Queue", "public.t", "row");
    let names = r.provider.rows("select table_name, trigger_name from londiste.provider_table order by nr");
    let classic = format!("{QUEUE}_logger");
    let expected = [("public.t", classic.as_str()), ("public.u", &classic), ("public.t", "my_queue_logger")];
    assert_eq!(names, expected.map(|(table, name)| [table, name]));
}

/// As a release left it that knew triggers by name: those of the first queue are gone, the second's have their names.
#[test]
fn triggers_that_another_queue_took_are_made_again() {
    for refresh in [false, true] {
        let r = provider("statement", "create table t (id int primary key, v text)", "t");
        add(&r.provider, "second", "public.t", "statement");
        for name in triggers(&r.provider, QUEUE) {
            r.provider.sql(&format!("drop trigger \"{name}\" on t"));
        }
        for name in triggers(&r.provider, "second") {
            let taken = name.replace("second", QUEUE);
            r.provider.sql(&format!("alter trigger \"{name}\" on t rename to \"{taken}\""));
        }
        r.provider.sql(&format!(
            "update londiste.provider_table set trigger_name = '{QUEUE}_logger' where queue_name = 'second'"
        ));
        assert_eq!(triggers(&r.provider, QUEUE), Vec::<String>::new());
        if refresh {
            r.londiste.run("provider refresh t");
        } else {
            let (done, warnings) = maintain(&r.provider, QUEUE);
            assert_eq!(done, "1");
            assert!(warnings.iter().any(|w| w.contains("public.t")), "{warnings:?}");
        }
        maintain(&r.provider, "second");
        let before = [QUEUE, "second"].map(|queue| got(&r.provider, queue).len());
        r.provider.sql(WRITE);
        for (queue, before) in [QUEUE, "second"].iter().zip(before) {
            assert_eq!(sorted(got(&r.provider, queue).split_off(before)), WRITTEN, "{queue}, refresh {refresh}");
            assert_eq!(maintain(&r.provider, queue), ("0".to_owned(), vec![]), "{queue}");
        }
    }
}

/// Whatever was done to the triggers: afterwards the table has exactly those that it should have.
#[test]
fn maintenance_sees_that_a_table_does_not_have_exactly_its_triggers() {
    let changes = [
        "drop trigger \"QUEUE_logger_u\" on t",
        "alter table t disable trigger \"QUEUE_logger_i\"",
        "alter table t disable trigger all",
        "alter table t enable replica trigger \"QUEUE_logger_d\"",
        "alter trigger \"QUEUE_logger_t\" on t rename to other",
        "create trigger again after insert on t for each statement execute procedure londiste.capture_1_t()",
        "drop function londiste.capture_1_u() cascade",
        "drop trigger \"QUEUE_logger_u\" on t;
         create trigger \"QUEUE_logger_u\" after update of v on t for each row execute procedure londiste.capture_1_u()",
    ];
    let r = provider("statement", "create table t (id int primary key, v text)", "t");
    let expected = triggers(&r.provider, QUEUE);
    for change in changes {
        r.provider.sql(&change.replace("QUEUE", QUEUE));
        let (done, warnings) = maintain(&r.provider, QUEUE);
        assert_eq!(done, "1", "{change}");
        assert!(warnings.iter().any(|w| w.contains("table public.t")), "{change}: {warnings:?}");
        assert_eq!(triggers(&r.provider, QUEUE), expected, "{change}");
        let enabled = "select distinct tgenabled from pg_trigger where tgrelid = 't'::regclass";
        assert_eq!(r.provider.column(enabled), ["O"], "{change}");
        let before = events(&r.provider).len();
        r.provider.sql(WRITE);
        let written: Vec<_> = WRITTEN.iter().map(|e| format!("t {e}")).collect();
        assert_eq!(sorted(events(&r.provider).split_off(before)), written, "{change}");
        assert_eq!(maintain(&r.provider, QUEUE), ("0".to_owned(), vec![]), "{change}");
    }
}

const USER_TRIGGERS: [&str; 8] = [
    "QUEUE_logger",
    "QUEUE_logger_i",
    "0_QUEUE_logger_u",
    "x_logger",
    "x_logger_d",
    "X_LOGGER_t",
    "_londiste_x",
    "a_logger",
];

/// A trigger of the user's with a name like ours stays, works, and is not taken for capture's.
#[test]
fn triggers_of_users_with_such_names_are_left_alone_on_the_provider() {
    for capture in ["statement", "row"] {
        let r = Replication::new();
        r.provider.sql(
            "create table t (id int primary key, v text); create table seen (nr serial primary key, name text);
             create function see() returns trigger language plpgsql as
             $$ begin insert into seen (name) values (tg_name || ' ' || tg_op); return null; end $$",
        );
        for name in USER_TRIGGERS {
            r.provider.sql(&format!(
                "create trigger \"{}\" after insert or delete on t for each row execute procedure see()",
                name.replace("QUEUE", QUEUE)
            ));
        }
        r.install();
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', 'sql', null);
             insert into t values (1, 'a')"
        ));
        assert_eq!(r.provider.value("select count(*) from seen"), USER_TRIGGERS.len().to_string(), "{capture}");
        assert_eq!(events(&r.provider), ["t I (id,v) values ('1','a')"], "{capture}");
        assert_eq!(maintain(&r.provider, QUEUE), ("0".to_owned(), vec![]));
        r.provider.sql(&format!("select londiste.provider_remove_table('{QUEUE}', 'public.t'); delete from t"));
        assert_eq!(r.provider.value("select count(*) from seen"), (2 * USER_TRIGGERS.len()).to_string(), "{capture}");
        assert_eq!(events(&r.provider).len(), 1, "{capture}");
        assert_eq!(
            r.provider.value("select count(*) from pg_trigger where tgrelid = 't'::regclass"),
            USER_TRIGGERS.len().to_string()
        );
    }
}

/// What such a trigger writes comes after what set it off: a child row after its parent.
#[test]
fn what_such_a_trigger_writes_comes_after_its_cause() {
    for name in ["x_logger", "x_logger_i", "_londiste_x"] {
        let schema = format!(
            "create table parent (id int primary key);
             create table child (id int primary key references parent);
             create function f() returns trigger language plpgsql as
                 $$ begin insert into child values (new.id); return null; end $$;
             create trigger {name} after insert on parent for each row execute procedure f()"
        );
        for capture in ["statement", "row"] {
            let r = provider(capture, &schema, "parent child");
            r.provider.sql("insert into parent values (1)");
            assert_eq!(
                events(&r.provider),
                ["parent I (id) values ('1')", "child I (id) values ('1')"],
                "{capture}, {name}"
            );
        }
    }
}
