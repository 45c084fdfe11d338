//! Events made by hand.

use rlondiste::config::Apply;
use rlondiste::londiste::apply::{Filter, Settings};
use rlondiste::pg::FqName;
use rlondiste::pgq::EventId;
use rlondiste::pgq::event::Event;

use super::{SETTINGS, replay};

/// A query for these events: id, transaction, type, data, table.
pub(super) fn events(list: &[(i64, i64, &str, &str, &str)]) -> String {
    let rows: Vec<String> = list
        .iter()
        .map(|(id, txid, kind, data, table)| {
            let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
            format!("({id}::bigint, {txid}::bigint, {}, {}, nullif({}, ''))", text(kind), text(data), text(table))
        })
        .collect();
    format!("select * from (values {}) v(ev_id, ev_txid, ev_type, ev_data, ev_extra1)", rows.join(","))
}

const SET: Settings = Settings { small_chunk: 0, ..SETTINGS };
const ROW: Settings = Settings { apply: Apply::Row, ..SETTINGS };

#[test]
fn formats_may_be_mixed_in_one_queue() {
    for settings in [SET, ROW] {
        let (mut replay, subscriber) =
            replay(settings, "create table t (id int primary key, a text, j jsonb)", "public.t");
        let kind = r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]}"#;
        let applied = replay
            .apply(&events(&[
                (1, 1, "I", r"(id,a,j) values ('1',E'back\\slash',null)", "public.t"),
                (2, 1, "I:id", "id=2&a=with+blank%26&j=null", "public.t"),
                (
                    3,
                    1,
                    r#"{"op":"INSERT","table":["public","t"],"pkey":["id"]}"#,
                    r#"{"id":3,"a":"x","j":null}"#,
                    "public.t",
                ),
                (4, 1, "I", "(id,a) values ('4','gone')", "public.t"),
                (5, 1, kind, r#"{"id":2,"a":null,"j":"{\"k\": null}"}"#, "public.t"),
                (6, 1, "U", "a='it''s' where id='3'", "public.t"),
                (7, 1, "D:id", "id=4", "public.t"),
            ]))
            .unwrap();
        assert_eq!((applied.count, applied.ignored, applied.missing_rows), (7, 0, 0));
        let rows = subscriber
            .column("select row(id, coalesce(a, 'NULL'), coalesce(j::text, 'NULL'))::text from t order by id");
        assert_eq!(rows, [r#"(1,"back\\slash",NULL)"#, r#"(2,NULL,"{""k"": null}")"#, "(3,it's,NULL)"]);
    }
}

#[test]
fn events_of_other_tables_and_of_the_copy_are_ignored() {
    let (mut replay, subscriber) = replay(SET, "create table t (id int primary key)", "public.t");
    let snapshot = "10:20:15".parse().unwrap();
    replay.tables.insert(FqName::parse("public.t"), Filter::ApplyUnlessVisibleIn(snapshot));
    let insert = |id| format!("(id) values ('{id}')");
    let applied = replay
        .apply(&events(&[
            (1, 9, "I", &insert(1), "public.t"),
            (2, 15, "I", &insert(2), "public.t"),
            (3, 16, "I", &insert(3), "public.t"),
            (4, 20, "I", &insert(4), "public.t"),
            (5, 30, "I", &insert(5), "public.other"),
            (6, 9, "R", "", "public.t"),
        ]))
        .unwrap();
    assert_eq!((applied.count, applied.ignored), (6, 4));
    assert_eq!(subscriber.column("select id from t order by id"), ["2", "4"]);
}

#[test]
fn table_lists_and_unknown_events_are_handed_back() {
    let (mut replay, _subscriber) = replay(SET, "", "public.t");
    let applied = replay
        .apply(&events(&[
            (1, 1, "T", "public.a,Odd.Name", ""),
            (2, 1, "T", "", ""),
            (3, 1, "X", "what", "public.t"),
            (4, 1, "{", "what", "public.t"),
            (5, 1, "EXECUTE", "create table x ()", "script.sql"),
        ]))
        .unwrap();
    assert_eq!(applied.table_sets, [vec![FqName::parse("public.a"), FqName::parse("Odd.Name")], vec![]]);
    assert_eq!(applied.unknown.count(), 2);
    assert_eq!(applied.unknown.to_string(), "X (1 event), { (1 event); first event ids 3, 4");
    assert_eq!(applied.scripts.to_string(), "EXECUTE (event 5)");
    assert_eq!((applied.count, applied.ignored), (5, 1));
    // No list at all is not the empty list, which takes every table out of the set.
    let applied = replay.apply_events(vec![Event::new(EventId(6), 1, b"T", None, None)]).unwrap();
    assert_eq!((applied.table_sets.len(), applied.count, applied.ignored), (0, 1, 1));
}

#[test]
fn missing_rows_are_counted() {
    for settings in [SET, ROW] {
        let (mut replay, subscriber) = replay(settings, "create table t (id int primary key, a text)", "public.t");
        let applied = replay
            .apply(&events(&[
                (1, 1, "U", "a='x' where id='1'", "public.t"),
                (2, 1, "D", "id='2'", "public.t"),
                (3, 1, "I", "(id,a) values ('3','y')", "public.t"),
                (4, 1, "D", "id='3'", "public.t"),
                (5, 1, "U", "a='z' where id='3'", "public.t"),
            ]))
            .unwrap();
        assert_eq!(applied.missing_rows, 3, "{settings:?}");
        assert_eq!(subscriber.value("select count(*) from t"), "0");
    }
}

#[test]
fn generated_and_identity_columns_of_the_subscriber_are_respected() {
    for settings in [SET, ROW] {
        let (mut replay, subscriber) = replay(
            settings,
            "create table t (id int generated always as identity primary key, a int,
                 twice int generated always as (a * 2) stored, extra text default 'default')",
            "public.t",
        );
        let insert = |id: i64| format!("(id,a,twice) values ('{id}','{id}','0')");
        let inserts: Vec<String> = (1..=150).map(insert).collect();
        let mut list: Vec<_> = (1..).zip(&inserts).map(|(id, data)| (id, 1, "I", data.as_str(), "public.t")).collect();
        list.push((151, 1, "U", "a='7',twice='1' where id='1'", "public.t"));
        list.push((152, 1, "U", "twice='1' where id='2'", "public.t"));
        list.push((153, 1, "U:id", "id=3&a=8&twice=3", "public.t"));
        replay.apply(&events(&list)).unwrap();
        let rows = subscriber.column("select row(t.*)::text from t where id in (1, 2, 3, 150) order by id");
        assert_eq!(rows, ["(1,7,14,default)", "(2,2,4,default)", "(3,8,16,default)", "(150,150,300,default)"]);
    }
}

#[test]
fn unique_values_may_change_places() {
    let schema = "create table t (id int primary key, u text unique); insert into t select g, 'u' || g from generate_series(1, 5) g";
    for settings in [SET, ROW] {
        let (mut replay, subscriber) = replay(settings, schema, "public.t");
        replay
            .apply(&events(&[
                // A swap, which no single statement can do.
                (1, 1, "U", "u='tmp' where id='1'", "public.t"),
                (2, 1, "U", "u='u1' where id='2'", "public.t"),
                (3, 1, "U", "u='u2' where id='1'", "public.t"),
                // A value that a delete gives up.
                (4, 1, "D", "id='3'", "public.t"),
                (5, 1, "I", "(id,u) values ('6','u3')", "public.t"),
                // A swap of keys.
                (6, 1, "U", "id='-1' where id='4'", "public.t"),
                (7, 1, "U", "id='4' where id='5'", "public.t"),
                (8, 1, "U", "id='5' where id='-1'", "public.t"),
            ]))
            .unwrap();
        let rows = subscriber.column("select row(t.*)::text from t order by id");
        assert_eq!(rows, ["(1,u2)", "(2,u1)", "(4,u5)", "(5,u4)", "(6,u3)"]);
    }
}

#[test]
fn triggers_see_each_event_in_its_order() {
    let schema = "create table t (id int primary key, a int); create table log (nr serial, what text);
        create function log() returns trigger language plpgsql as $$ begin
            insert into log (what) values (tg_op || ' ' || coalesce(new.a, old.a)); return null; end $$;
        create trigger log after insert or update or delete on t for each row execute procedure log()";
    let (mut replay, subscriber) = replay(SET, schema, "public.t");
    replay
        .apply(&events(&[
            (1, 1, "I", "(id,a) values ('1','1')", "public.t"),
            (2, 1, "U", "a='2' where id='1'", "public.t"),
            (3, 1, "D", "id='1'", "public.t"),
        ]))
        .unwrap();
    assert_eq!(subscriber.column("select what from log order by nr"), ["INSERT 1", "UPDATE 2", "DELETE 2"]);
}

#[test]
fn the_role_replica_switches_triggers_and_foreign_keys_off() {
    let schema = "create table p (id int primary key); create table t (id int primary key, p_id int references p);
        create function stop() returns trigger language plpgsql as $$ begin raise 'fired'; end $$;
        create trigger stop before insert on t for each row execute procedure stop()";
    let settings = Settings { role: rlondiste::config::ApplyRole::Replica, ..SET };
    let (mut replay, subscriber) = replay(settings, schema, "public.t");
    replay.apply(&events(&[(1, 1, "I", "(id,p_id) values ('1','1')", "public.t")])).unwrap();
    assert_eq!(subscriber.value("select count(*) from t"), "1");
}

#[test]
fn a_changed_table_is_looked_at_again() {
    for prepares in [true, false] {
        let (mut replay, subscriber) = replay(SET, "create table t (id int primary key, a int)", "public.t");
        replay.prepares = prepares;
        let insert = |id: i64| events(&[(id, 1, "I", &format!("(id,a) values ('{id}','1')"), "public.t")]);
        replay.apply(&insert(1)).unwrap();
        subscriber.sql("alter table t add column c int generated always as (id * 10) stored");
        subscriber.sql("create function two() returns trigger language plpgsql as 'begin new.a = 2; return new; end'");
        subscriber.sql("create trigger two before insert on t for each row execute procedure two()");
        // Between batches with events of the table there are others.
        replay.apply(&format!("{} where ev_id < 0", insert(0))).unwrap();
        replay.apply(&insert(2)).unwrap();
        subscriber.sql("alter table t rename to old; create table t (a text, id bigint primary key)");
        replay.apply(&insert(3)).unwrap();
        assert_eq!(subscriber.column("select row(o.*)::text from old o order by id"), ["(1,1,10)", "(2,2,20)"]);
        assert_eq!(subscriber.column("select row(t.*)::text from t"), ["(1,3)"]);
    }
}

#[test]
fn the_provider_may_use_another_key() {
    let schema = "create table t (id serial primary key, code text not null unique, a int)";
    for settings in [SET, ROW] {
        let (mut replay, subscriber) = replay(settings, schema, "public.t");
        replay
            .apply(&events(&[
                (1, 1, "I", "(code,a) values ('x','1')", "public.t"),
                (2, 1, "U", "a='2' where code='x'", "public.t"),
                (3, 1, "I", "(code,a) values ('y','1')", "public.t"),
            ]))
            .unwrap();
        replay
            .apply(&events(&[
                (4, 1, "U", "a='3' where code='x'", "public.t"),
                (5, 1, "D", "code='y'", "public.t"),
                (6, 1, "I", "(code,a) values ('y','4')", "public.t"),
            ]))
            .unwrap();
        assert_eq!(subscriber.column("select row(code, a)::text from t order by code"), ["(x,3)", "(y,4)"]);
    }
}
