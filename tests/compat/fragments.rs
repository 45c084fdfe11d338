//! Every fragment that a trigger writes is understood: names and values with anything in them, from the C triggers of
//! PgQ 3.5 and of PgQ 2.1 (whose code is in the same library), from our own of these names, and from our capture.

use super::extension::{create, is_installed};
use crate::apply::{Replay, SETTINGS};
use crate::support::{Cluster, Database, QUEUE, Replication, assert_same_rows};

/// Names that need quotes, and some that do not; values with everything that has a meaning in SQL.
const TABLE: &str = r#"
    create table t ("Key One" text, k2 text, "quo""te" text, "select" text, "user" text, name text, "values" text, "is" text,
        "é" text, "a,b" text, "=''--" text, "new
line" text, e text, "E" text, n text, "_1$" text, "1st" text, "system_user" text, data bytea, primary key ("Key One", k2))"#;

const WRITES: &str = r#"
    insert into t ("Key One", k2) select k, k from unnest(array['', ' ', 'null', '''', '\', E'\\''\\\\', E'a\nb\r\t', '"x"', '$$', '--', 'é😀',
        'E', 'is null', ' and b=''1''', ';', E'\x01\x7f']) k;
    update t set name = k2, "quo""te" = "Key One", "select" = k2 || '''', "user" = '\' || k2, "is" = 'x', "é" = k2, "a,b" = '',
        "=''--" = k2, e = 'e', "E" = E'\\x', n = 'null', data = '\x005c27', "new
line" = E'\n', "_1$" = '$1', "1st" = '1', "system_user" = 'u', "values" = 'v';
    update t set name = null, "select" = null, data = null where k2 > 'a';
    update t set n = n;
    delete from t where k2 in ('', '\', E'a\nb\r\t', ';')"#;

/// A change of the key, which the C triggers refuse.
const MOVES: &str = r#"update t set k2 = k2 || '''\' where "Key One" <> 'E'"#;

/// Applies what is in the queue since the last call.
#[track_caller]
fn replicate(provider: &Database, subscriber: &Database, replay: &mut Replay, place: &str) {
    let events = "select * from pgq.event_1 where ev_id > coalesce((select max(ev_id) from public.done), 0)";
    let applied = replay.apply(events).unwrap_or_else(|error| panic!("{place}: {}", rlondiste::Report(&error)));
    assert!(applied.count >= 40, "{place}: {} events", applied.count);
    assert_eq!((applied.ignored, applied.missing_rows), (0, 0), "{place}");
    provider.sql("insert into done select max(ev_id) from pgq.event_1");
    assert_same_rows(provider, subscriber, &["t"]);
}

#[test]
fn fragments_of_the_c_triggers_are_understood() {
    if !is_installed() {
        return;
    }
    let (provider, subscriber) = (Cluster::provider().database(), Cluster::subscriber().database());
    create(&provider);
    provider.sql(
        "create function pgq.logtriga() returns trigger language c as '$libdir/pgq_triggers', 'pgq_logtriga';
         select pgq.create_queue('q'); create table done (ev_id bigint)",
    );
    for database in [&provider, &subscriber] {
        database.sql(TABLE);
    }
    let mut replay = Replay::new(&provider, &subscriber, SETTINGS, "public.t");
    for call in
        ["sqltriga('q')", "logtriga('q', 'kkvvvvvvvvvvvvvvvvv')", "logtriga('q', 'kkvvvvvvvvvvvvvvvvv', 'public.t')"]
    {
        provider.sql(&format!(
            "create trigger logger after insert or update or delete on t for each row execute procedure pgq.{call}"
        ));
        provider.sql(WRITES);
        provider.sql("delete from t");
        replicate(&provider, &subscriber, &mut replay, call);
        provider.sql(WRITES);
        replicate(&provider, &subscriber, &mut replay, call);
        provider.sql("drop trigger logger on t; delete from t");
        subscriber.sql("delete from t");
    }
}

#[test]
fn fragments_of_our_triggers_and_capture_are_understood() {
    let r = Replication::new();
    r.install();
    r.provider.sql("create table done (ev_id bigint)");
    for database in [&r.provider, &r.subscriber] {
        database.sql(TABLE);
    }
    let mut replay = Replay::new(&r.provider, &r.subscriber, SETTINGS, "public.t");
    let add = |capture: &str| {
        format!("select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', 'sql', null)")
    };
    let trigger = |call: String| {
        format!("create trigger logger after insert or update or delete on t for each row execute procedure pgq.{call}")
    };
    for begin in [
        trigger(format!("sqltriga('{QUEUE}')")),
        trigger(format!("logtriga('{QUEUE}', 'kkvvvvvvvvvvvvvvvvv', 'public.t')")),
        add("statement"),
        add("row"),
    ] {
        r.provider.sql(&begin);
        for writes in [WRITES.to_owned(), format!("{MOVES}; delete from t; {WRITES}")] {
            r.provider.sql(&writes);
            replicate(&r.provider, &r.subscriber, &mut replay, &begin);
        }
        let end = if begin.starts_with("select") {
            format!("select londiste.provider_remove_table('{QUEUE}', 'public.t')")
        } else {
            "drop trigger logger on t".to_owned()
        };
        r.provider.sql(&format!("{end}; delete from t; insert into done select max(ev_id) from pgq.event_1"));
        r.subscriber.sql("delete from t");
    }
}

/// A table that has lost its key is captured with all columns for one, null among them.
#[test]
fn conditions_on_null_are_understood() {
    for capture in ["statement", "row"] {
        let r = Replication::new();
        r.install();
        let table = "create table t (id int primary key, a text, \"B b\" text)";
        for database in [&r.provider, &r.subscriber] {
            database.sql(table);
        }
        r.provider.sql(&format!(
            "create table done (ev_id bigint);
             select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', 'sql', null);
             alter table t drop constraint t_pkey; alter table t alter column id drop not null"
        ));
        r.subscriber.sql("alter table t drop constraint t_pkey; alter table t alter column id drop not null");
        let mut replay = Replay::new(&r.provider, &r.subscriber, SETTINGS, "public.t");
        r.provider.sql(
            "insert into t select nullif(g % 10, 0), nullif('a' || g, 'a3'), case when g % 2 = 0 then 'b' end from generate_series(1, 40) g;
             update t set a = a || '!' where id > 5; update t set \"B b\" = null where id = 2; delete from t where id is null",
        );
        let nulls = r.provider.value("select count(*) from pgq.event_1 where ev_data like '% is null%'");
        assert!(nulls.parse::<u32>().unwrap() > 10, "{nulls}");
        replicate(&r.provider, &r.subscriber, &mut replay, capture);
    }
}
