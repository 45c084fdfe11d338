//! Constraints, rules and partitions of the subscriber's tables, each applied as sets, row by row, and with all events of
//! a transaction in chunks of their own.

use rlondiste::config::Apply;
use rlondiste::londiste::apply::Settings;

use super::events::events;
use super::{SETTINGS, replay};

const WAYS: [Settings; 3] = [
    Settings { small_chunk: 0, ..SETTINGS },
    Settings { small_chunk: 0, memory: 8, ..SETTINGS },
    Settings { apply: Apply::Row, ..SETTINGS },
];

/// Applies events (type, data, table) in each way, and compares what a query gives afterwards.
#[track_caller]
fn expect(schema: &str, tables: &str, list: &[(&str, &str, &str)], sql: &str, rows: &[&str]) {
    let list: Vec<_> = (1..).zip(list).map(|(id, (kind, data, table))| (id, 1, *kind, *data, *table)).collect();
    for settings in WAYS {
        let (mut replay, subscriber) = replay(settings, schema, tables);
        let applied = replay.apply(&events(&list)).unwrap_or_else(|error| panic!("{settings:?}: {error:?}"));
        assert_eq!((applied.missing_rows, applied.count), (0, list.len() as u64), "{settings:?}");
        assert_eq!(subscriber.column(sql), rows, "{settings:?}");
    }
}

#[test]
fn a_deferrable_foreign_key_allows_children_first() {
    for when in ["immediate", "deferred"] {
        expect(
            &format!(
                "create table p (id int primary key);
         create table c (id int primary key, p int references p deferrable initially {when});
         insert into p values (1); insert into c values (1, 1)"
            ),
            "public.p public.c",
            &[
                ("I", "(id,p) values ('2','2')", "public.c"),
                ("I", "(id) values ('2')", "public.p"),
                ("D", "id='1'", "public.p"),
                ("U", "p='2' where id='1'", "public.c"),
                ("I", "(id,p) values ('3','9')", "public.c"),
                ("D", "id='3'", "public.c"),
            ],
            "select row(c.*)::text from c order by id",
            &["(1,2)", "(2,2)"],
        );
    }
}

#[test]
fn deferrable_unique_values_may_meet_on_the_way() {
    let immediate = ["unique (u) deferrable", "exclude using btree (u with =) deferrable"].map(str::to_owned);
    let deferred = immediate.each_ref().map(|kind| format!("{kind} initially deferred"));
    for kind in immediate.iter().chain(&deferred) {
        expect(
            &format!("create table t (id int primary key, u int, {kind}); insert into t values (1, 1), (2, 2), (3, 3)"),
            "public.t",
            &[
                ("U", "u='2' where id='1'", "public.t"),
                ("U", "u='3' where id='2'", "public.t"),
                ("U", "u='4' where id='3'", "public.t"),
                ("I", "(id,u) values ('4','4')", "public.t"),
                ("D", "id='3'", "public.t"),
            ],
            "select row(t.*)::text from t order by id",
            &["(1,2)", "(2,3)", "(4,4)"],
        );
    }
}

#[test]
fn ranges_that_exclude_each_other_may_change_places() {
    expect(
        "create table t (id int primary key, r int4range, exclude using gist (r with &&));
         insert into t values (1, '[1,5)'), (2, '[5,9)'), (3, '[9,12)')",
        "public.t",
        &[
            ("U", "r='empty' where id='1'", "public.t"),
            ("U", "r='[1,5)' where id='2'", "public.t"),
            ("U", "r='[5,9)' where id='1'", "public.t"),
            ("D", "id='3'", "public.t"),
            ("I", "(id,r) values ('4','[10,11)')", "public.t"),
        ],
        "select row(t.*)::text from t order by id",
        &["(1,\"[5,9)\")", "(2,\"[1,5)\")", "(4,\"[10,11)\")"],
    );
}

#[test]
fn a_rule_sees_each_event() {
    expect(
        "create table t (id int primary key, a int); create table log (nr serial, what text);
         create rule i as on insert to t do also insert into log (what) values ('I ' || new.id || ' ' || new.a);
         create rule u as on update to t do also insert into log (what) values ('U ' || old.a || ' ' || new.a);
         create rule d as on delete to t do also insert into log (what) values ('D ' || old.id)",
        "public.t",
        &[
            ("I", "(id,a) values ('1','1')", "public.t"),
            ("U", "a='2' where id='1'", "public.t"),
            ("U", "a='3' where id='1'", "public.t"),
            ("I", "(id,a) values ('2','5')", "public.t"),
            ("D", "id='2'", "public.t"),
        ],
        // A rule on DELETE runs before the row goes, one on UPDATE sees the row as the statement found it or left it.
        "select what from log where what !~ '^U' union all select 'row ' || a from t order by 1",
        &["D 2", "I 1 1", "I 2 5", "row 3"],
    );
}

#[test]
fn rows_find_the_subscribers_own_partitions() {
    expect(
        "create table t (id int, region text, a int, primary key (id, region)) partition by list (region);
         create table north partition of t for values in ('n') partition by range (id);
         create table north_low partition of north for values from (0) to (10);
         create table north_high partition of north for values from (10) to (100);
         create table rest partition of t default;
         insert into t select i, 'n', 0 from generate_series(1, 20) i",
        "public.t",
        &[
            ("I", "(id,region,a) values ('30','s','1')", "public.t"),
            ("I", "(id,region,a) values ('31','n','1')", "public.t"),
            ("U", "region='s' where id='1' and region='n'", "public.t"),
            ("U", "id='50' where id='2' and region='n'", "public.t"),
            ("U", "a='7' where id='3' and region='n'", "public.t"),
            ("U", "a='8' where id='13' and region='n'", "public.t"),
            ("D", "id='4' and region='n'", "public.t"),
            ("D", "id='14' and region='n'", "public.t"),
        ],
        "select tableoid::regclass || ' ' || count(*) || ' ' || sum(id) || ' ' || sum(a) from t group by tableoid
         order by 1",
        &["north_high 12 232 9", "north_low 6 38 7", "rest 2 31 1"],
    );
}

/// The server truncates no table with changes whose constraint is checked later.
#[test]
fn a_table_is_emptied_behind_changes_whose_constraint_is_checked_later() {
    for when in ["immediate", "deferred"] {
        expect(
            &format!(
                "create table p (id int primary key);
                 create table c (id int primary key, p int references p deferrable initially {when});
                 create table u (id int primary key, v int unique deferrable initially {when})"
            ),
            "public.p public.c public.u",
            &[
                ("I", "(id,p) values ('1','9')", "public.c"),
                ("I", "(id,v) values ('1','1')", "public.u"),
                ("I", "(id,v) values ('2','1')", "public.u"),
                ("R", "", "public.u"),
                ("I", "(id,v) values ('3','1')", "public.u"),
                ("R", "", "public.c"),
                ("I", "(id,p) values ('2','9')", "public.c"),
                ("R", "", "public.u"),
                ("I", "(id,v) values ('4','1')", "public.u"),
                ("I", "(id) values ('9')", "public.p"),
            ],
            "select row(c.*)::text from c union all select row(u.*)::text from u",
            &["(2,9)", "(4,1)"],
        );
    }
}
