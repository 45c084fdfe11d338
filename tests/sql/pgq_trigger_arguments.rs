//! The arguments of sqltriga, logutriga and jsontriga.

use super::with_queue;
use crate::support::{Database, Session, SqlError};

/// Table `t (id, a, b, c)` with two rows, for triggers with the arguments of each test.
fn table() -> (Database, Session) {
    let (database, session) = with_queue();
    session.sql("create table public.t (id int primary key, a text, b text, c text)");
    (database, session)
}

/// Attaches a trigger with arguments after the queue's name, writes, and returns `ev_type|ev_data|...` of the events.
fn try_events(session: &Session, trigger: &str, args: &str, statements: &[&str]) -> Result<Vec<String>, SqlError> {
    let args = if args.is_empty() { String::new() } else { format!(", {args}") };
    session.sql(&format!(
        "truncate public.t; insert into public.t values (1, 'x', 'y', 'z'); truncate pgq.event_1_0;
         create trigger logger after insert or update or delete on public.t
             for each row execute procedure pgq.{trigger}('q'{args})"
    ));
    let result = statements.iter().try_for_each(|sql| session.try_rows(sql).map(|_| ()));
    session.sql("drop trigger logger on public.t");
    result.map(|()| {
        session.column(
            "select concat_ws('|', coalesce(ev_type, 'NULL'), coalesce(ev_data, 'NULL'), coalesce(ev_extra1, 'NULL'),
                              coalesce(ev_extra2, 'NULL'), coalesce(ev_extra3, 'NULL'), coalesce(ev_extra4, 'NULL'))
             from pgq.event_1 order by ev_id",
        )
        .into_iter()
        .map(|event| event.trim_end_matches("|NULL").to_owned())
        .collect()
    })
}

fn events(session: &Session, trigger: &str, args: &str, statements: &[&str]) -> Vec<String> {
    try_events(session, trigger, args, statements).unwrap_or_else(|error| panic!("{error}"))
}

const WRITES: &[&str] = &[
    "insert into public.t values (2, null, 'B', '')",
    "update public.t set a = 'n' where id = 1",
    "update public.t set a = 'n', b = '2', c = null where id = 2",
    "update public.t set a = a where id = 1",
    "delete from public.t where id = 1",
];

#[test]
fn ignored_columns_are_left_out() {
    let (_database, session) = table();
    assert_eq!(
        events(&session, "sqltriga", "'ignore=a'", WRITES),
        [
            "I|(id,b,c) values ('2','B','')|public.t",
            "U|b='2',c=NULL where id='2'|public.t",
            "U|id='1' where id='1'|public.t",
            "D|id='1'|public.t",
        ]
    );
    assert_eq!(
        events(&session, "logutriga", "'ignore=a,c'", WRITES),
        ["I:id|id=2&b=B|public.t", "U:id|id=2&b=2|public.t", "U:id|id=1&b=y|public.t", "D:id|id=1&b=y|public.t"]
    );
}

#[test]
fn backup_keeps_the_old_row() {
    let (_database, session) = table();
    let update = &["update public.t set a = 'n'"];
    assert_eq!(events(&session, "sqltriga", "'backup'", update), ["U|a='n' where id='1'|public.t|id=1&a=x&b=y&c=z"]);
    assert_eq!(
        events(&session, "logutriga", "'ignore=b', 'backup'", update),
        ["U:id|id=1&a=n&c=z|public.t|id=1&a=x&c=z"]
    );
    assert_eq!(
        events(&session, "jsontriga", "'backup'", update),
        [
            r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]}|{"id":1,"a":"n","b":"y","c":"z"}|public.t|{"id":1,"a":"x","b":"y","c":"z"}"#
        ]
    );
}

#[test]
fn key_can_be_named() {
    let (_database, session) = table();
    session.sql("alter table public.t drop constraint t_pkey");
    for trigger in ["sqltriga", "logutriga", "jsontriga"] {
        let error = try_events(&session, trigger, "", &["delete from public.t"]).unwrap_err();
        assert_eq!(error.message, "Update/Delete on table without pkey", "{trigger}");
        assert!(error.hint.contains("pkey=COL"), "{}", error.hint);
    }
    let update = &["update public.t set c = 'n'", "delete from public.t"];
    assert_eq!(
        events(&session, "sqltriga", "'pkey=b,id'", update),
        ["U|c='n' where id='1' and b='y'|public.t", "D|id='1' and b='y'|public.t"]
    );
    assert_eq!(
        events(&session, "logutriga", "'pkey=b,id'", update),
        ["U:b,id|id=1&a=x&b=y&c=n|public.t", "D:b,id|id=1&a=x&b=y&c=n|public.t"]
    );
    let json = events(&session, "jsontriga", "'pkey=b,id'", update);
    assert!(json[0].contains(r#""pkey":["b","id"]}"#), "{}", json[0]);
}

#[test]
fn key_changes_are_written_or_refused() {
    let (_database, session) = table();
    let update = &["update public.t set id = 5"];
    assert_eq!(events(&session, "sqltriga", "", update), ["U|id='5' where id='1'|public.t"]);
    for trigger in ["logutriga", "jsontriga"] {
        let error = try_events(&session, trigger, "", update).unwrap_err();
        assert_eq!(error.message, "primary key update not allowed", "{trigger}");
    }
}

#[test]
fn condition_selects_rows() {
    let (_database, session) = table();
    assert_eq!(
        events(&session, "sqltriga", "'when=id=1 and a is not null'", WRITES),
        ["U|a='n' where id='1'|public.t", "U|id='1' where id='1'|public.t", "D|id='1'|public.t"]
    );
    for (condition, message) in [
        ("when=null", "when= should not be NULL"),
        ("when=a", "when= query result must be boolean"),
        ("when=nosuch", "column \"nosuch\" does not exist"),
    ] {
        let error = try_events(&session, "sqltriga", &format!("'{condition}'"), WRITES[1..].as_ref()).unwrap_err();
        assert_eq!(error.message, message, "{condition}");
    }
}

#[test]
fn fields_are_set_by_expressions_and_columns() {
    let (_database, session) = table();
    let writes = &["update public.t set a = 'n'", "delete from public.t"];
    assert_eq!(
        events(
            &session,
            "sqltriga",
            "'ev_type=''T''||id', 'ev_extra1=b', 'ev_extra2=''x''||coalesce(c,''-'')', 'ev_extra4=id'",
            writes
        ),
        ["T1|a='n' where id='1'|y|xz|NULL|1", "T1|id='1'|y|xz|NULL|1"]
    );
    assert_eq!(
        events(&session, "logutriga", "'ev_data=a', 'ev_extra3=pg_typeof(id)'", writes),
        ["U:id|n|public.t|NULL|integer", "D:id|n|public.t|NULL|integer"]
    );
    session.sql(
        "alter table public.t add column _pgq_ev_type text, add column _pgq_ev_extra3 int, add column _pgq_other text",
    );
    assert_eq!(
        events(&session, "sqltriga", "", &["insert into public.t values (2, '', '', '', 'mine', 5, 'data')"]),
        ["mine|(id,a,b,c,_pgq_other) values ('2','','','','data')|public.t|NULL|5"]
    );
}

#[test]
fn denied_and_skipped_writes_do_not_happen() {
    let (_database, session) = table();
    let error = try_events(&session, "sqltriga", "'deny'", WRITES).unwrap_err();
    assert_eq!(error.message, "Table 'public.t' to queue 'q': change not allowed (INSERT)");
    let error = try_events(&session, "sqltriga", "'SKIP'", WRITES).unwrap_err();
    assert_eq!(error.message, "SKIP does not work in AFTER trigger.");

    session.sql(
        "truncate public.t; insert into public.t values (1, 'x', 'y', 'z'); truncate pgq.event_1_0;
         create trigger logger before insert or update or delete on public.t
             for each row execute procedure pgq.sqltriga('q', 'SKIP');
         insert into public.t values (2, '', '', ''); update public.t set a = 'n'; delete from public.t",
    );
    assert_eq!(session.column("select a from public.t"), ["x"]);
    assert_eq!(session.column("select ev_type from pgq.event_1 order by ev_id"), ["I", "U", "D"]);
    session.sql(
        "drop trigger logger on public.t; create trigger logger before insert or update or delete on public.t
             for each row execute procedure pgq.sqltriga('q');
         insert into public.t values (2, '', '', ''); update public.t set a = 'n'; delete from public.t where id = 1",
    );
    assert_eq!(session.column("select id from public.t"), ["2"]);
}

#[test]
fn wrong_arguments_are_named() {
    let (_database, session) = table();
    for args in ["'nosuch=1'", "'junk'", "'backup=1'", "''", "'ev_extra5=id'"] {
        let error = try_events(&session, "sqltriga", args, WRITES).unwrap_err();
        assert_eq!(error.message, "bad param to pgq trigger", "{args}");
        assert!(error.hint.contains("ignore=COL"), "{}", error.hint);
    }
    session.sql("create trigger logger after insert on public.t for each row execute procedure pgq.sqltriga()");
    let error = session.error("insert into public.t values (9, '', '', '')");
    assert_eq!(error.message, "pgq trigger must have destination queue as argument");
    session.sql(
        "drop trigger logger on public.t;
         create trigger logger after insert on public.t for each statement execute procedure pgq.sqltriga('q')",
    );
    let error = session.error("insert into public.t values (9, '', '', '')");
    assert_eq!(error.message, "pgq Ins/Upd/Del trigger must be fired FOR EACH ROW");
    session.sql(
        "drop trigger logger on public.t; create trigger logger after truncate on public.t
             for each statement execute procedure pgq.sqltriga('q', 'when=true')",
    );
    let error = session.error("truncate public.t");
    assert_eq!(error.message, "Custom expressions do not make sense for truncater trigger");
}

/// The generated columns of a subscriber make their own values.
#[test]
fn generated_columns_are_data_but_not_sql() {
    let (database, session) = table();
    if database.major() < 12 {
        return;
    }
    session.sql("alter table public.t add column twice int generated always as (id * 2) stored");
    let insert = &["insert into public.t values (4, 'a', 'b', 'c')"];
    assert_eq!(events(&session, "sqltriga", "", insert), ["I|(id,a,b,c) values ('4','a','b','c')|public.t"]);
    assert_eq!(events(&session, "logutriga", "", insert), ["I:id|id=4&a=a&b=b&c=c&twice=8|public.t"]);
}
