//! What the generic triggers write: the same as PgQ 3.5's C triggers do for the same statements.

use super::with_queue;
use crate::support::{Database, Session};

/// A session of the owner with table `t` of many types; statements of `events` fire the trigger `name` on it.
fn typed(name: &str) -> (Database, Session) {
    let (database, session) = with_queue();
    session.sql(&format!(
        "create table public.t (
            id int primary key, name text, \"Weird Col\" text, data bytea, flag bool, arr int[], ts timestamptz,
            d date, num numeric(10,3), f float8, js json, jb jsonb, iv interval, \"user\" text, key varchar(10),
            c char(5), oidc oid, rc regclass, txa text[], b bigint);
         create trigger logger after insert or update or delete on public.t
             for each row execute procedure pgq.{name}('q');
         create trigger truncated after truncate on public.t for each statement execute procedure pgq.{name}('q')"
    ));
    (database, session)
}

const INSERT: &str = r#"insert into public.t values (1, 'a', 'b c', '\x5c00ff', true, '{1,2,null}',
    '2020-01-02 03:04:05.678+00', '2020-02-03', 1.5, 1.25, '{"a" : 1, "b":[1,2]}', '{"b": 2, "a":null}', '1 day 02:03:04',
    'u', 'k', 'cc', 5, 'pg_class', '{a,"b c","d\"e",null}', 9999999999)"#;
const NULLS: &str = "insert into public.t (id) values (2)";
const ODD: &str = r#"insert into public.t (id, name, "Weird Col", data, arr, ts, num, f, iv) values (3,
    E'it''s \\ back\nnl', '%&=+ äö', '', '{}', 'infinity', 'NaN', '-0', '-1 mon')"#;

/// `ev_type|ev_data|ev_extra1` of what the statements put into the queue.
fn events(session: &Session, statements: &[&str]) -> Vec<String> {
    session.sql("truncate pgq.event_1_0");
    for sql in statements {
        session.sql(sql);
    }
    session.column(
        "select concat_ws('|', coalesce(ev_type, 'NULL'), coalesce(ev_data, 'NULL'), coalesce(ev_extra1, 'NULL'),
                          ev_extra2, ev_extra3, ev_extra4)
         from pgq.event_1 order by ev_id",
    )
}

#[test]
fn sqltriga_writes_sql_fragments() {
    let (_database, session) = typed("sqltriga");
    let columns = r#"(id,name,"Weird Col",data,flag,arr,ts,d,num,f,js,jb,iv,"user",key,c,oidc,rc,txa,b)"#;
    assert_eq!(
        events(&session, &[INSERT, NULLS, ODD]),
        [
            format!(
                r#"I|{columns} values ('1','a','b c',E'\\x5c00ff','t','{{1,2,NULL}}','2020-01-02 03:04:05.678+00','2020-02-03','1.500','1.25','{{"a" : 1, "b":[1,2]}}','{{"a": null, "b": 2}}','1 day 02:03:04','u','k','cc   ','5','pg_class',E'{{a,"b c","d\\"e",NULL}}','9999999999')|public.t"#
            ),
            format!("I|{columns} values ('2'{})|public.t", ",null".repeat(19)),
            format!(
                "I|{columns} values ('3',E'it''s \\\\ back\nnl','%&=+ äö',E'\\\\x',null,'{{}}','infinity',null,'NaN','-0',null,null,'-1 mons',null,null,null,null,null,null,null)|public.t"
            ),
        ]
    );
    assert_eq!(
        events(
            &session,
            &[
                "update public.t set name = 'z', num = 1.5000 where id = 1",
                "update public.t set name = 'z' where id = 1",
                r#"update public.t set name = null, "user" = 'x', "Weird Col" = E'\\' where id = 1"#,
                "update public.t set id = 10 where id = 2",
                "delete from public.t where id = 10",
                "truncate public.t",
            ]
        ),
        [
            "U|name='z' where id='1'|public.t",
            "U|id='1' where id='1'|public.t",
            r#"U|name=NULL,"Weird Col"=E'\\',"user"='x' where id='1'|public.t"#,
            "U|id='10' where id='2'|public.t",
            "D|id='10'|public.t",
            "R||public.t",
        ]
    );
}

#[test]
fn logutriga_writes_urlencoded_rows() {
    let (_database, session) = typed("logutriga");
    assert_eq!(
        events(&session, &[INSERT, ODD]),
        [
            "I:id|id=1&name=a&Weird+Col=b+c&data=%5cx5c00ff&flag=t&arr=%7b1%2c2%2cNULL%7d&ts=2020-01-02+03%3a04%3a05.678%2b00&d=2020-02-03&num=1.500&f=1.25&js=%7b%22a%22+%3a+1%2c+%22b%22%3a%5b1%2c2%5d%7d&jb=%7b%22a%22%3a+null%2c+%22b%22%3a+2%7d&iv=1+day+02%3a03%3a04&user=u&key=k&c=cc+++&oidc=5&rc=pg_class&txa=%7ba%2c%22b+c%22%2c%22d%5c%22e%22%2cNULL%7d&b=9999999999|public.t",
            "I:id|id=3&name=it%27s+%5c+back%0anl&Weird+Col=%25%26%3d%2b+%c3%a4%c3%b6&data=%5cx&flag&arr=%7b%7d&ts=infinity&d&num=NaN&f=-0&js&jb&iv=-1+mons&user&key&c&oidc&rc&txa&b|public.t",
        ]
    );
    session.sql(
        "truncate public.t; alter table public.t drop column data, drop column js, drop column jb, drop column arr",
    );
    let rest = "&flag&ts&d&num&f&iv&user&key&c&oidc&rc&txa&b|public.t";
    assert_eq!(
        events(
            &session,
            &[
                "insert into public.t (id, name) values (4, '')",
                "update public.t set name = 'z'",
                "delete from public.t",
                "truncate public.t",
            ]
        ),
        [
            format!("I:id|id=4&name=&Weird+Col{rest}"),
            format!("U:id|id=4&name=z&Weird+Col{rest}"),
            format!("D:id|id=4&name=z&Weird+Col{rest}"),
            "R||public.t".to_owned(),
        ]
    );
}

#[test]
fn jsontriga_writes_json() {
    let (_database, session) = typed("jsontriga");
    assert_eq!(
        events(&session, &[INSERT]),
        [
            r#"{"op":"INSERT","table":["public","t"],"pkey":["id"]}|{"id":1,"name":"a","Weird Col":"b c","data":"\\x5c00ff","flag":true,"arr":"{1,2,NULL}","ts":"2020-01-02T03:04:05.678+00:00","d":"2020-02-03","num":"1.500","f":"1.25","js":"{\"a\" : 1, \"b\":[1,2]}","jb":"{\"a\": null, \"b\": 2}","iv":"1 day 02:03:04","user":"u","key":"k","c":"cc   ","oidc":"5","rc":"pg_class","txa":"{a,\"b c\",\"d\\\"e\",NULL}","b":9999999999}|public.t"#
        ]
    );
    session.sql(
        "create schema \"my sch\"; create table \"my sch\".\"t.b\" (v text, \"B\" int, \"a x\" text, n bool,
        at timestamp, primary key (\"a x\", \"B\"));
        create trigger logger after insert or update or delete or truncate on \"my sch\".\"t.b\"
            for each statement execute procedure pgq.jsontriga('q'); drop trigger logger on \"my sch\".\"t.b\";
        create trigger logger after insert or update or delete on \"my sch\".\"t.b\"
            for each row execute procedure pgq.jsontriga('q');
        create trigger truncated after truncate on \"my sch\".\"t.b\"
            for each statement execute procedure pgq.jsontriga('q')",
    );
    let table = r#""table":["my sch","t.b"],"pkey":["a x","B"]}"#;
    assert_eq!(
        events(
            &session,
            &[
                r#"insert into "my sch"."t.b" values (null, 3, E'k\\3', false, '0044-03-15 12:00 BC')"#,
                r#"update "my sch"."t.b" set v = ''"#,
                r#"delete from "my sch"."t.b""#,
                r#"truncate "my sch"."t.b""#,
            ]
        ),
        [
            format!(
                r#"{{"op":"INSERT",{table}|{{"v":null,"B":3,"a x":"k\\3","n":false,"at":"0044-03-15T12:00:00 BC"}}|my sch.t.b"#
            ),
            format!(
                r#"{{"op":"UPDATE",{table}|{{"v":"","B":3,"a x":"k\\3","n":false,"at":"0044-03-15T12:00:00 BC"}}|my sch.t.b"#
            ),
            format!(
                r#"{{"op":"DELETE",{table}|{{"v":"","B":3,"a x":"k\\3","n":false,"at":"0044-03-15T12:00:00 BC"}}|my sch.t.b"#
            ),
            format!(r#"{{"op":"TRUNCATE",{table}|{{}}|my sch.t.b"#),
        ]
    );
}

#[test]
fn logtriga_writes_what_version_2_wrote() {
    let (_database, session) = with_queue();
    session.sql(
        "create table public.l (tag text, \"Weird Col\" text, data bytea, flag bool, arr int[], left_out text);
         create trigger logger after insert or update or delete on public.l
             for each row execute procedure pgq.logtriga('q', 'kvvvvi', 'public.l');
         create trigger truncated after truncate on public.l
             for each statement execute procedure pgq.logtriga('q', 'kvvvvi', 'public.l')",
    );
    assert_eq!(
        events(
            &session,
            &[
                "insert into public.l values ('b', null, '\\x5c', null, null, 'x')",
                "update public.l set \"Weird Col\" = 'new', flag = false",
                "update public.l set left_out = 'y'",
                "update public.l set tag = tag",
                "update public.l set tag = 'bb', flag = null",
                "alter table public.l rename to moved; alter table public.moved add column later int",
                "update public.moved set later = 1",
                "delete from public.moved",
                "truncate public.moved",
            ]
        ),
        [
            r#"I|(tag,"Weird Col","data",flag,arr) values ('b',null,E'\\x5c',null,null)|public.l"#,
            r#"U|"Weird Col"='new',flag='f' where tag='b'|public.l"#,
            "U|tag='b' where tag='b'|public.l",
            "U|tag='bb',flag=NULL where tag='b'|public.l",
            "D|tag='bb'|public.moved",
            "R||public.moved",
        ]
    );
    session.sql(
        "create table public.keys (z text, \"value\" int, \"user\" text, b numeric);
         create trigger logger after insert or update or delete on public.keys
             for each row execute procedure pgq.logtriga('q', 'vkvk')",
    );
    assert_eq!(
        events(
            &session,
            &[
                "insert into public.keys values ('', 1, null, 1.5)",
                "update public.keys set z = null, \"user\" = '', b = 1.50000",
                "delete from public.keys",
            ]
        ),
        [
            r#"I|(z,"value","user",b) values ('','1',null,'1.5')|public.keys"#,
            r#"U|z=NULL,"user"='' where "value"='1' and b='1.5'|public.keys"#,
            r#"D|"value"='1' and b='1.50000'|public.keys"#,
        ]
    );
}

#[test]
fn logtriga_refuses_arguments_that_cannot_work() {
    let (_database, session) = with_queue();
    session.sql("create table public.l (id int, data text)");
    for (when, args, message) in [
        ("after insert", "'q', 'vv'", "need at least one key column"),
        ("after insert", "'q', 'vvk'", "key column does not exist"),
        ("after insert", "'q'", "pgq.logtriga must be used with 2 or 3 args"),
        ("before insert", "'q', 'kv'", "pgq.logtriga must be fired AFTER"),
        ("after insert", "'nope', 'kv'", "No such queue"),
    ] {
        session.sql(&format!(
            "drop trigger if exists logger on public.l; create trigger logger {when} on public.l
                for each row execute procedure pgq.logtriga({args})"
        ));
        assert_eq!(session.error("insert into public.l values (1, 'x')").message, message, "{args}");
    }
    session.sql(
        "drop trigger logger on public.l; create trigger logger after update or delete on public.l
             for each row execute procedure pgq.logtriga('q', 'kv'); insert into public.l values (null, 'x')",
    );
    assert_eq!(session.error("delete from public.l").message, "logtriga: Unexpected NULL key value");
}

#[test]
fn text_of_values_does_not_depend_on_the_session() {
    let (_database, session) = typed("sqltriga");
    session.sql(
        "create table public.money_t (id int primary key, m money, r real, rc regclass);
        create trigger logger after insert on public.money_t for each row execute procedure pgq.sqltriga('q')",
    );
    let statements =
        [INSERT.to_owned(), "insert into public.money_t values (1, 12.34::numeric::money, 0.5, 'public.t')".to_owned()];
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let plain = events(&session, &statements);
    assert!(plain[1].contains("'$12.34','0.5','public.t'"), "{}", plain[1]);
    session.sql("truncate public.t, public.money_t");
    session.sql(
        "set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set intervalstyle = 'iso_8601';
         set extra_float_digits = -5; set bytea_output = 'escape'; set search_path = public, pgq",
    );
    let odd = events(&session, &statements);
    assert_eq!(odd[..], plain[..]);
}

/// Sessions that read a literal with a backslash one way and the other. Each compiles the functions for itself.
fn sessions_by_literals() -> (Database, [Session; 2]) {
    let (database, _) = with_queue();
    let sessions = ["on", "off"].map(|setting| {
        let session = database.session();
        session.sql(&format!("set standard_conforming_strings = {setting}"));
        session
    });
    (database, sessions)
}

#[test]
fn every_text_survives_the_way_through_a_row() {
    let (_database, sessions) = sessions_by_literals();
    for session in sessions {
        // All orders of three out of these, as columns of one row.
        let wrong = session.rows(
            r#"with pieces (p) as (select unnest(array[null, '', 'a', '"', E'\\', '""', E'\\"', ',', 'a,b', ' ', '(x)',
                                                       E'n\nl', '","', ',"",', 'x"', '"x', 'é', 'NULL', '{}', E'\t']))
               select a.p, b.p, c.p from pieces a, pieces b, pieces c
               where pgq._row_values(row(a.p, b.p, c.p)::text) is distinct from array[a.p, b.p, c.p]"#,
        );
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(session.value("select pgq._row_values(row(null)::text) = array[null::text]"), "t");
        assert_eq!(session.value("select pgq._row_values(row('')::text) = array['']"), "t");
    }
}

#[test]
fn urlencoding_is_undone_by_its_reverse() {
    let (_database, sessions) = sessions_by_literals();
    for session in sessions {
        let encoded = session.value(r#"select pgq._urlencode(E'az AZ 09 ._- ~!*()\'" %25+ \n é€')"#);
        assert_eq!(encoded, "az+AZ+09+._-+%7e%21%2a%28%29%27%22+%2525%2b+%0a+%c3%a9%e2%82%ac");
    }
}

/// The documented way to write without replication; the role `replica` is what applies replicated changes.
#[test]
fn sessions_in_the_local_role_write_no_events() {
    let (database, session) = with_queue();
    let superuser = database.session();
    for (trigger, args) in [("sqltriga", "'q'"), ("logutriga", "'q'"), ("jsontriga", "'q'"), ("logtriga", "'q', 'kv'")]
    {
        session.sql(&format!(
            "create table public.{trigger} (id int primary key, data text);
             create trigger logger after insert or update or delete on public.{trigger}
                 for each row execute procedure pgq.{trigger}({args});
             create trigger truncated after truncate on public.{trigger}
                 for each statement execute procedure pgq.{trigger}({args});
             truncate pgq.event_1_0"
        ));
        let write = format!(
            "insert into public.{trigger} values (1, 'a'); update public.{trigger} set data = 'b';
             delete from public.{trigger}; truncate public.{trigger}"
        );
        superuser.sql(&format!("set session_replication_role = local; {write}"));
        assert_eq!(session.value("select count(*) from pgq.event_1"), "0", "{trigger}");
        superuser.sql(&format!("set session_replication_role = replica; {write}"));
        assert_eq!(session.value("select count(*) from pgq.event_1"), "0", "{trigger}");
        // A trigger that always fires is fired in the role replica, and still silent in the role local.
        session.sql(&format!("alter table public.{trigger} enable always trigger logger"));
        superuser.sql(&format!("set session_replication_role = local; {write}"));
        assert_eq!(session.value("select count(*) from pgq.event_1"), "0", "{trigger}");
        superuser.sql(&format!("set session_replication_role = replica; {write}"));
        assert_eq!(session.value("select count(*) from pgq.event_1"), "3", "{trigger}");
        superuser.sql(&format!("set session_replication_role = origin; {write}"));
        assert_eq!(session.value("select count(*) from pgq.event_1"), "7", "{trigger}");
    }
}

/// Who replaces `pgq.insert_event(7)` sees, changes or drops the events of the generic triggers, as with PgQ's own.
#[test]
fn events_go_through_insert_event() {
    let (_database, session) = with_queue();
    session.sql(
        "create table public.seen (queue text, ev_type text, ev_extra1 text);
         grant insert on public.seen to public;
         create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text,
             ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
         returns bigint as $$ begin insert into public.seen values ($1, $2, $4); return 1; end $$ language plpgsql",
    );
    for (trigger, args) in [("sqltriga", "'q'"), ("logutriga", "'q'"), ("jsontriga", "'q'"), ("logtriga", "'q', 'kv'")]
    {
        session.sql(&format!(
            "create table public.{trigger} (id int primary key, data text);
             create trigger logger after insert or update or delete on public.{trigger}
                 for each row execute procedure pgq.{trigger}({args});
             create trigger truncated after truncate on public.{trigger}
                 for each statement execute procedure pgq.{trigger}({args});
             insert into public.{trigger} values (1, 'a'); update public.{trigger} set data = 'b';
             delete from public.{trigger}; truncate public.{trigger}"
        ));
        let seen = format!("select queue from public.seen where ev_extra1 = 'public.{trigger}'");
        assert_eq!(session.column(&seen), ["q"; 4], "{trigger}");
    }
    assert_eq!(session.value("select count(*) from pgq.event_1"), "0");
}

/// A transaction of level repeatable read sees the catalogs as they were, and writes to the table as it is.
#[test]
fn columns_are_those_of_the_table_and_not_of_the_snapshot() {
    let expected = [
        ("sqltriga", ["I|(nr,z,c) values ('1','x','7')", "U|z='y' where nr='1'", "D|nr='1'"]),
        ("logutriga", ["I:nr|nr=1&z=x&c=7", "U:nr|nr=1&z=y&c=7", "D:nr|nr=1&z=y&c=7"]),
    ];
    for (name, expected) in expected {
        for level in ["repeatable read", "serializable"] {
            let (database, session) = with_queue();
            session.sql(&format!(
                "create table public.t (b int, id int primary key, a text);
                 create trigger logger after insert or update or delete on public.t
                     for each row execute procedure pgq.{name}('q')"
            ));
            session.sql(&format!("begin isolation level {level}"));
            session.sql("select from pg_class");
            database.sql(
                "alter table public.t rename column id to nr; alter table public.t rename column a to z;
                 alter table public.t drop column b, add column c int",
            );
            let found = events(
                &session,
                &["insert into public.t values (1, 'x', 7)", "update public.t set z = 'y'", "delete from public.t"],
            );
            let expected = expected.map(|event| format!("{event}|public.t"));
            assert_eq!(found, expected, "{name}, {level}");
        }
    }
}

/// The index that the snapshot's key belongs to is gone when another session has replaced the key.
#[test]
fn a_key_that_was_dropped_and_added_again_since_the_snapshot_still_names_the_row() {
    let expected = [
        ("sqltriga", ["I|(a,id) values ('x','1')", "U|a='y' where id='1'", "D|id='1'"]),
        ("logutriga", ["I:id|a=x&id=1", "U:id|a=y&id=1", "D:id|a=y&id=1"]),
    ];
    for (name, expected) in expected {
        for level in ["repeatable read", "serializable"] {
            let (database, session) = with_queue();
            session.sql(&format!(
                "create table public.t (a text, id int primary key);
                 create trigger logger after insert or update or delete on public.t
                     for each row execute procedure pgq.{name}('q')"
            ));
            session.sql(&format!("begin isolation level {level}"));
            session.sql("select from pg_class");
            database.sql("alter table public.t drop constraint t_pkey, add primary key (id)");
            let found = events(
                &session,
                &["insert into public.t values ('x', 1)", "update public.t set a = 'y'", "delete from public.t"],
            );
            let expected = expected.map(|event| format!("{event}|public.t"));
            assert_eq!(found, expected, "{name}, {level}");
        }
    }
}
