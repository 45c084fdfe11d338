//! Data of events that no trigger writes: they are reported, and no part of them is executed.

use rlondiste::config::Apply;
use rlondiste::error::FaultKind;
use rlondiste::londiste::apply::Settings;
use rlondiste::pgq::EventId;
use rlondiste::pgq::event::Event;
use rlondiste::{Error, Report};

use tokio_postgres::error::SqlState;

use super::{Replay, SETTINGS, replay};
use crate::support::Database;

const WAYS: [Settings; 3] =
    [Settings { small_chunk: 0, ..SETTINGS }, SETTINGS, Settings { apply: Apply::Row, ..SETTINGS }];

const SCHEMA: &str = "create table t (id int primary key, v text); insert into t values (1, 'old'), (5, 'five');
    create sequence calls; create function call() returns text language sql as $$ select nextval('calls')::text $$;
    create view called as select is_called from calls";

/// Fragments that are SQL, or nearly, and not what a trigger writes.
const FRAGMENTS: &[(&str, &str)] = &[
    // More than one statement.
    ("I", "(id,v) values ('2','x'); create table pwned (i int)"),
    ("I", "(id,v) values ('2','x'); rollback"),
    ("I", "(id,v) values ('2','x'); commit"),
    ("I", "(id,v) values ('2','x');;"),
    ("U", "v='x' where id='1'; commit; drop table t"),
    ("D", "id='1'; delete from t"),
    // Comments.
    ("I", "(id,v) values ('2','x') -- a comment"),
    ("I", "(id,v) values ('2','x') /* a comment */"),
    ("I", "(id,v) values ('2',/* '9'); commit; */'x')"),
    ("I", "(id,v) values ('2',/* /* */ ', */'x')"),
    ("U", "v='x' where id='1'--' and v='y'"),
    // Other literals.
    ("I", "(id,v) values ('2',$$x$$)"),
    ("I", "(id,v) values ('2',$a$x$a$)"),
    ("I", "(id,v) values (2,'x')"),
    ("I", "(id,v) values (+'2','x')"),
    ("I", "(id,v) values ('2',true)"),
    ("I", "(id,v) values ('2',default)"),
    ("I", r"(id,v) values ('2',U&'\0041')"),
    ("I", r#"(id,U&"v") values ('2','x')"#),
    ("I", r"(id,v) values ('2',E'\x41')"),
    ("I", r"(id,v) values ('2',E'\u0041')"),
    ("I", r"(id,v) values ('2',E'\101')"),
    ("I", r"(id,v) values ('2',E'\n')"),
    ("I", r"(id,v) values ('2',E'\'),(9,call())--')"),
    ("I", "(id,v) values ('2',N'x')"),
    ("I", "(id,v) values ('2',b'1')"),
    ("I", "(id,v) values ('2',x'1f')"),
    ("I", "(id,v) values ('2','x'\n'y')"),
    ("I", "(id,v) values ('2','x"),
    // What it means depends on standard_conforming_strings.
    ("I", r"(id,v) values ('2','a\b')"),
    ("I", r"(id,v) values ('2','\'),(call(),'')--')"),
    ("U", r"v='\' where id='1' or '1'='1'--'"),
    ("D", r"id='1' and v='\'"),
    // Expressions.
    ("I", "(id,v) values ('2',(select 'x'))"),
    ("I", "(id,v) values ('2',call())"),
    ("I", "(id,v) values ('2'::int,'x')"),
    ("I", "(id,v) values (int '2','x')"),
    ("I", "(id,v) values ('2','x' || 'y')"),
    ("I", "(id,v) values ('2','x' collate \"C\")"),
    ("I", "(id,v) values (('2'),'x')"),
    ("U", "v=v||'x' where id='1'"),
    ("U", "v=call() where id='1'"),
    ("U", "v=default where id='1'"),
    ("U", "(id,v)=('2','x') where id='1'"),
    ("D", "id=call()"),
    ("D", "id='1' is null"),
    ("D", "call() is null"),
    // Words that stand for values, where a column's name is expected.
    ("D", "user='postgres'"),
    ("D", "true='t'"),
    ("D", "current_date='today'"),
    // Other clauses.
    ("I", "(id,v) values ('2','x') on conflict do nothing"),
    ("I", "(id,v) values ('2','x') returning call()"),
    ("I", "(id,v) overriding system value values ('2','x')"),
    ("I", "(id,v) values ('2','x'),('3','y')"),
    ("I", "(id,v) select '2','x'"),
    ("I", "(t.id,v) values ('2','x')"),
    ("I", "default values"),
    ("I", "() values ()"),
    ("I", "(id,v) values ('2')"),
    ("I", "(id) values ('2','x')"),
    ("I", "(id,\"\") values ('2','x')"),
    ("I", "(id,id) values ('2','2')"),
    ("I", "(id,\u{76}\u{301}) values ('2','2')"),
    ("I", ""),
    ("U", "v='x'"),
    ("U", "v='x',v='y' where id='1'"),
    ("U", "v='x' where id='1' or true"),
    ("U", "v='x' where id in ('1')"),
    ("U", "v='x' where not id='1'"),
    ("U", "v='x' where id='1' and"),
    ("U", "v='x' where id=null"),
    ("U", "v='x' where id is not null"),
    ("U", "v is null where id='1'"),
    ("U", "v='x' from pg_class where id='1'"),
    ("U", "v='x' where current of c"),
    ("D", "true"),
    ("D", "id='1' and id='1'"),
    ("D", "id='1' or '1'='1'"),
    ("D", "'1'='1'"),
    ("D", "'1'=id"),
    ("D", "id>'0'"),
    ("D", "id=>'1'"),
    ("D", "id operator(pg_catalog.=) '1'"),
    ("D", "(id='1')"),
    ("D", "id='1' is unknown"),
    ("D", ""),
];

/// Applies an event after a good one, and expects that it is refused as unreadable and nothing has happened. Returns
/// what is reported.
#[track_caller]
fn refuse(replay: &mut Replay, subscriber: &Database, kind: &[u8], data: Option<&[u8]>) -> Result<String, String> {
    let table = Some(&b"public.t"[..]);
    let good = Event::new(EventId(70), 1, b"I", Some(b"(id,v) values ('70','good')"), table);
    let result = replay.apply_events(vec![good, Event::new(EventId(71), 1, kind, data, table)]);
    let left = subscriber.try_rows(
        "select string_agg(t::text, ' ' order by id) || ' ' || coalesce(to_regclass('pwned')::text, '')
                || (select is_called from called)::text from t",
    );
    match left {
        Ok(rows) if rows == [["(1,old) (5,five) false"]] => {}
        left => return Err(format!("left behind: {left:?}")),
    }
    let error = result.err().ok_or("it was applied")?;
    let text = Report(&error).to_string();
    match error {
        Error::Apply(fault) if matches!(fault.kind, FaultKind::Unreadable(_)) => {
            assert_eq!((fault.event, fault.table.as_str()), (71, "public.t"), "{text}");
            Ok(text)
        }
        _ => Err(format!("another error: {text}")),
    }
}

#[test]
fn a_fragment_that_is_not_understood_is_not_executed() {
    let mut wrong = Vec::new();
    for settings in WAYS {
        let (mut replay, subscriber) = replay(settings, SCHEMA, "public.t");
        for (kind, data) in FRAGMENTS {
            if let Err(what) = refuse(&mut replay, &subscriber, kind.as_bytes(), Some(data.as_bytes())) {
                wrong.push(format!("{:?} {} {kind} {data}\n    {what}", settings.apply, settings.small_chunk));
                subscriber
                    .sql("drop table if exists t, pwned; drop view called; drop function call(); drop sequence calls");
                subscriber.sql(SCHEMA);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_understood_is_shown_with_its_place() {
    let (mut replay, subscriber) = replay(SETTINGS, SCHEMA, "public.t");
    let place = subscriber.place();
    for (kind, data, what) in [
        (
            "I",
            "(id,v) values ('2','x'); create table pwned (i int)",
            r#"byte 26: expected the end, found "create table pwned (i int)""#,
        ),
        ("U", "v='x' where id='1' or true", r#"byte 20: expected the end, found "or true""#),
        (
            "D",
            "id=any('{1}') or '\u{1b}[2J'='a long text that is cut'",
            r#"byte 4: expected null, '...' or E'...', found "any('{1}') or '\u{1b}[2J'='a long t... (46 bytes)""#,
        ),
        ("I:id", "id=1&v=%0", r#"byte 8: expected %, two hexadecimal digits, and no zero byte, found "%0""#),
        (
            r#"{"op":"DELETE","table":["public","t"],"pkey":["id"]}"#,
            r#"{"id":x}"#,
            r#"byte 7: expected a JSON value, found "x}""#,
        ),
        ("D", "", "byte 1: expected a column's name, with quotes unless it is plain, found the end"),
    ] {
        let text = refuse(&mut replay, &subscriber, kind.as_bytes(), Some(data.as_bytes())).unwrap();
        let letter = if kind.len() > 4 { "D" } else { &kind[..1] };
        let expected = format!(
            "cannot apply event 71 ({letter}) to table \"public.t\" on subscriber ({place}): its data are not understood at {what}\n\
             HINT: Find out what wrote this event: the triggers of \"provider add\" and of PgQ write no such data. \
             \"rlondiste INI subscriber skip-event 71\" leaves this event out."
        );
        assert_eq!(text, expected);
    }
}

/// Bytes that no text of PostgreSQL has, and names and values that a list of names cannot carry.
#[test]
fn zero_bytes_and_damaged_texts_are_refused() {
    let json = br#"{"op":"INSERT","table":["public","t"],"pkey":["id"]}"#;
    let list: &[(&[u8], &[u8])] = &[
        (b"I", b"(id,v) values ('2','a\0b')"),
        (b"I", b"(id,v) values ('2','x')\0"),
        (b"I", b"(id,\"v\0\") values ('2','x')"),
        (b"I", b"(id,\"v\xff\") values ('2','x')"),
        (b"I", b"(id,v\xff) values ('2','x')"),
        (b"D", b"id='1'\0 and v='x'"),
        (b"I:id", b"id=2&v=a%00b"),
        (b"I:id", b"id%00v=2"),
        (b"I:id", b"id=2&v%00=x"),
        (b"I:id", b"id=2&id=3&v=x"),
        (b"U:id", b"id=1&v=x&v=y"),
        (b"D:id,id", b"id=1"),
        (b"I:id", b"id=2&v=%"),
        (b"I:id", b"id=2&=x"),
        (json, br#"{"id":2,"v":"a\u0000b"}"#),
        (json, br#"{"id\u0000v":2}"#),
        (json, br#"{"id":2,"id":3}"#),
        (json, br#"{"id":2,"v":[1}}"#),
        (json, br#"{"id":2,"v":1-2}"#),
        (json, br#"{"id":2,"v":01}"#),
        (json, b"{\"id\":2,\"v\":\"a\nb\"}"),
        (json, b"{\"id\":2,\"v\":\"a\0b\"}"),
    ];
    let mut wrong = Vec::new();
    for settings in WAYS {
        let (mut replay, subscriber) = replay(settings, SCHEMA, "public.t");
        for (kind, data) in list {
            if let Err(what) = refuse(&mut replay, &subscriber, kind, Some(data)) {
                wrong.push(format!("{:?} {} {what}", settings.apply, String::from_utf8_lossy(data)));
            }
        }
        for kind in ["I", "U", "D", "I:id", "U:id", "D:id"] {
            if let Err(what) = refuse(&mut replay, &subscriber, kind.as_bytes(), None) {
                wrong.push(format!("{:?} {kind} without data: {what}", settings.apply));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A value that is not UTF-8 is the server's to refuse, which names the row and, for a person, the column.
#[test]
fn a_value_that_is_not_utf8_is_refused_with_its_column() {
    for settings in WAYS {
        let (mut replay, subscriber) = replay(settings, SCHEMA, "public.t");
        let event = Event::new(EventId(7), 1, b"I", Some(b"(id,v) values ('2','a\xffb')"), Some(b"public.t"));
        let Err(Error::Apply(fault)) = replay.apply_events(vec![event]) else { panic!("{settings:?}") };
        assert_eq!((fault.event, fault.key.as_str(), fault.column.as_deref()), (7, "id=2", Some("v")), "{settings:?}");
        assert_eq!(fault.source.as_ref().and_then(|e| e.code()).map(SqlState::code), Some("22021"), "{settings:?}");
        assert_eq!(subscriber.value("select count(*) from t"), "2");
    }
}
