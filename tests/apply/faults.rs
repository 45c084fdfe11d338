//! An event that cannot be applied is named, with all that is needed to find and mend it.

use rlondiste::config::{Apply, ApplyRole, MissingRow};
use rlondiste::error::{ApplyFault, FaultKind};
use rlondiste::londiste::apply::Settings;
use rlondiste::{Error, Report};

use tokio_postgres::error::SqlState;

use super::events::events;
use super::{SETTINGS, replay};

const WAYS: [Settings; 3] =
    [Settings { small_chunk: 0, ..SETTINGS }, SETTINGS, Settings { apply: Apply::Row, ..SETTINGS }];

#[track_caller]
fn fault(result: Result<rlondiste::londiste::apply::Applied, Error>) -> (Box<ApplyFault>, String) {
    match result {
        Err(error) => {
            let text = Report(&error).to_string();
            match error {
                Error::Apply(fault) => (fault, text),
                _ => panic!("another error: {text}"),
            }
        }
        Ok(applied) => panic!("applied: {applied:?}"),
    }
}

#[test]
fn the_event_that_the_server_refuses_is_named() {
    let schema = "create table p (id int primary key); create table t (id int primary key, p_id int references p)";
    for settings in WAYS {
        let (mut replay, subscriber) = replay(settings, schema, "public.p public.t");
        let (fault, text) = fault(replay.apply(&events(&[
            (11, 1, "I", "(id) values ('1')", "public.p"),
            (12, 1, "I", "(id,p_id) values ('5','1')", "public.t"),
            (13, 1, "I", "(id,p_id) values ('6','9')", "public.t"),
            (14, 1, "I", "(id,p_id) values ('7','1')", "public.t"),
        ])));
        assert_eq!((fault.event, fault.verb, fault.table.as_str(), fault.key.as_str()), (13, 'I', "public.t", "id=6"));
        assert_eq!(fault.source.as_ref().and_then(|e| e.code()), Some(&SqlState::FOREIGN_KEY_VIOLATION));
        assert!(
            text.starts_with("cannot apply event 13 (I) to table \"public.t\", key id=6 on subscriber ("),
            "{text}"
        );
        assert!(text.contains("(23503)\nDETAIL: Key (p_id)=(9) is not present in table \"p\"."), "{text}");
        assert_eq!(subscriber.value("select count(*) from p"), "0");
    }
}

#[test]
fn many_events_do_not_hide_the_culprit() {
    let (mut replay, _subscriber) =
        replay(SETTINGS, "create table t (id int primary key check (id <> 700))", "public.t");
    let data: Vec<String> = (1..=1000).map(|id| format!("(id) values ('{id}')")).collect();
    let list: Vec<_> = (1..).zip(&data).map(|(id, data)| (id, 1, "I", data.as_str(), "public.t")).collect();
    let (fault, _) = fault(replay.apply(&events(&list)));
    assert_eq!((fault.event, fault.key.as_str()), (700, "id=700"));
}

#[test]
fn a_missing_column_and_a_missing_table_are_faults_of_structure() {
    for settings in WAYS {
        let (mut replay, _subscriber) = replay(settings, "create table t (id int primary key)", "public.t public.gone");
        let result = replay.apply(&events(&[
            (1, 1, "I", "(id) values ('1')", "public.t"),
            (2, 1, "I", "(id,\"New One\") values ('2','x')", "public.t"),
        ]));
        let (found, text) = fault(result);
        assert_eq!((found.event, &found.kind), (2, &FaultKind::MissingColumn("New One".to_owned())));
        assert!(found.is_structure());
        assert!(text.contains(r#"alter table "public"."t" add column "New One""#), "{text}");
        let (found, _) = fault(replay.apply(&events(&[(3, 1, "D", "id='1'", "public.gone")])));
        assert_eq!((found.event, &found.kind, found.verb), (3, &FaultKind::MissingTable, 'D'));
    }
}

#[test]
fn a_missing_row_stops_when_that_is_asked_for() {
    for settings in WAYS {
        let settings = Settings { on_missing_row: MissingRow::Stop, ..settings };
        let (mut replay, _subscriber) =
            replay(settings, "create table t (a int, b text, c int, primary key (a, b))", "public.t");
        let (fault, text) = fault(replay.apply(&events(&[
            (1, 1, "I", "(a,b,c) values ('1','x','1')", "public.t"),
            (2, 1, "U", "c='2' where a='1' and b='x'", "public.t"),
            (3, 1, "U", "c='2' where a='1' and b='y'", "public.t"),
            (4, 1, "D", "a='1' and b='x'", "public.t"),
        ])));
        assert_eq!((fault.event, &fault.kind, fault.key.as_str()), (3, &FaultKind::MissingRow, "a=1, b=y"));
        assert!(text.contains("the row does not exist"), "{text}");
    }
}

/// What the subscriber's own foreign keys have done in the batch already is not missing; anything else is.
#[test]
fn rows_that_a_cascade_of_the_batch_has_reached_are_not_missing() {
    const SCHEMA: &str = "create table p (id int primary key);
        create table c (p int references p on delete cascade on update cascade, n int, x int, primary key (p, n));
        create table deep (p int, n int, m int, primary key (p, n, m),
                           foreign key (p, n) references c on delete cascade on update cascade);
        insert into p values (1), (2), (3); insert into c values (1, 1), (2, 1), (3, 1);
        insert into deep values (1, 1, 1), (2, 1, 1), (3, 1, 1)";
    let one_by_one = Settings { memory: 1, ..SETTINGS };
    for settings in WAYS.into_iter().chain([one_by_one]) {
        let settings = Settings { on_missing_row: MissingRow::Stop, ..settings };
        let (mut replay, subscriber) = replay(settings, SCHEMA, "public.p public.c public.deep");
        let applied = replay.apply(&events(&[
            (1, 1, "D", "id='1'", "public.p"),
            (2, 1, "D", "p='1' and n='1' and m='1'", "public.deep"),
            (3, 1, "D", "p='1' and n='1'", "public.c"),
        ]));
        assert_eq!(applied.unwrap_or_else(|error| panic!("{}", Report(&error))).missing_rows, 0);
        let applied = replay.apply(&events(&[
            (4, 1, "U", "id='4' where id='2'", "public.p"),
            (5, 1, "U", "p='4' where p='2' and n='1'", "public.c"),
            (6, 1, "U", "p='4' where p='2' and n='1' and m='1'", "public.deep"),
        ]));
        assert_eq!(applied.unwrap_or_else(|error| panic!("{}", Report(&error))).missing_rows, 0);
        assert_eq!(subscriber.rows("select p, n, m from deep order by p"), [["3", "1", "1"], ["4", "1", "1"]]);

        // No delete of `p`; a key of `p` that stays; a row that is to be changed, not deleted.
        let list = [(7, 1, "D", "p='8' and n='1'", "public.c")];
        assert_eq!(fault(replay.apply(&events(&list))).0.event, 7);
        let list = [(8, 1, "D", "id='3'", "public.p"), (9, 1, "U", "x='1' where p='3' and n='1'", "public.c")];
        if settings.memory == 1 || settings.apply == Apply::Row {
            assert_eq!(fault(replay.apply(&events(&list))).0.event, 9);
        }
        let list = [(10, 1, "U", "id='5' where id='4'", "public.p"), (11, 1, "D", "p='9' and n='1'", "public.c")];
        assert_eq!(fault(replay.apply(&events(&list))).0.event, 11);
    }
}

/// A foreign key that comes back between two batches, because both its tables are copied now, lets changes cascade to tables that
/// were changed before and do not have the key themselves.
#[test]
fn cascade_through_a_key_that_came_later_is_known() {
    const SCHEMA: &str = "create table p (id int primary key);
        create table c (p int primary key, x int);
        create table deep (p int references c on delete cascade on update cascade, n int, x int, primary key (p, n));
        insert into p values (1), (2); insert into c values (1), (2); insert into deep values (1, 1), (2, 1)";
    for settings in WAYS {
        let settings = Settings { on_missing_row: MissingRow::Stop, ..settings };
        let (mut replay, subscriber) = replay(settings, SCHEMA, "public.p public.c public.deep");
        let before = [
            (1, 1, "U", "x='1' where p='1' and n='1'", "public.deep"),
            (2, 1, "U", "x='1' where p='1'", "public.c"),
            (3, 1, "I", "(id) values ('3')", "public.p"),
        ];
        assert_eq!(replay.apply(&events(&before)).unwrap_or_else(|error| panic!("{}", Report(&error))).missing_rows, 0);
        subscriber.sql("alter table c add foreign key (p) references p on delete cascade on update cascade");
        let cascaded = [
            (4, 1, "D", "id='1'", "public.p"),
            (5, 1, "D", "p='1' and n='1'", "public.deep"),
            (6, 1, "D", "p='1'", "public.c"),
            (7, 1, "U", "id='4' where id='2'", "public.p"),
            (8, 1, "U", "p='4' where p='2' and n='1'", "public.deep"),
            (9, 1, "U", "p='4' where p='2'", "public.c"),
        ];
        let applied = replay.apply(&events(&cascaded));
        assert_eq!(applied.unwrap_or_else(|error| panic!("{}", Report(&error))).missing_rows, 0);
        assert_eq!(subscriber.rows("select p, n from deep"), [["4", "1"]]);
    }
}

#[test]
fn data_that_cannot_be_read_are_named() {
    let (mut replay, _subscriber) = replay(SETTINGS, "create table t (id int primary key)", "public.t");
    for (kind, data) in [("I:id", "id=%zz"), (r#"{"op":"INSERT","table":["public","t"]}"#, "[1]"), ("D:id", "x=1")] {
        let result = replay.apply(&events(&[(5, 1, kind, data, "public.t")]));
        let (fault, text) = fault(result);
        assert_eq!(fault.event, 5, "{text}");
    }
}

/// `a` and `b` refer to `p`, `c` refers to `b`.
const TREE: &str = "create table p (id int primary key); create table a (id int primary key, p int references p);
    create table b (id int primary key, p int references p); create table c (id int primary key, b int references b);
    insert into p values (1); insert into a values (1, 1); insert into b values (1, 1)";

#[test]
fn tables_that_others_refer_to_are_emptied_in_an_order_that_works() {
    for settings in WAYS {
        // `c` is empty and not emptied, so that neither `b` nor `p` can be truncated.
        let (mut replay, subscriber) = replay(settings, TREE, "public.p public.a public.b");
        let list = [(1, 1, "R", "", "public.p"), (2, 1, "R", "", "public.a"), (3, 1, "R", "", "public.b")];
        replay.apply(&events(&list)).unwrap_or_else(|error| panic!("{}", Report(&error)));
        let left = "select (select count(*) from p) + (select count(*) from a) + (select count(*) from b)";
        assert_eq!(subscriber.value(left), "0");
    }
}

#[test]
fn a_table_that_cannot_be_emptied_is_named_with_what_would_help() {
    let (mut replay, subscriber) = replay(SETTINGS, TREE, "public.p public.a public.b");
    let place = subscriber.place();
    let list = [(1, 1, "R", "", "public.a"), (2, 1, "R", "", "public.p")];
    let (_, text) = fault(replay.apply(&events(&list)));
    let expected = format!(
        "cannot apply event 2 (R) to table \"public.p\" on subscriber ({place}): update or delete on table \"p\" violates \
         foreign key constraint \"b_p_fkey\" on table \"b\" (23503)\n\
         DETAIL: Key (id)=(1) is still referenced from table \"b\".\n\
         HINT: Empty the table that refers to it too, drop its foreign key, or set apply_role = replica, which does not check \
         foreign keys. \"rlondiste INI subscriber skip-event 2\" leaves this event out."
    );
    assert_eq!(text, expected);
    let settings = Settings { role: ApplyRole::Replica, ..SETTINGS };
    let (mut replay, subscriber) = super::replay(settings, TREE, "public.p public.a");
    replay.apply(&events(&list)).unwrap_or_else(|error| panic!("{}", Report(&error)));
    assert_eq!(subscriber.rows("select count(*) from p union all select count(*) from b"), [["0"], ["1"]]);
}
