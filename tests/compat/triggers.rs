//! Our generic triggers beside the C triggers of the extension `pgq` 3.5: the same statements give the same events.
//!
//! Two differences are meant to be, and left out here: sqltriga writes a change of the key, which the C trigger refuses;
//! and a change from -0 to 0 counts, which the type's "=" does not see.

use std::fmt::Write as _;

use super::extension::{create, is_installed};
use crate::support::{Cluster, Database, Job, Scratch, Session};

const TRIGGERS: [&str; 3] = ["sqltriga", "logutriga", "jsontriga"];

/// A session of each: the extension's triggers, and ours.
struct Pair {
    c: Session,
    ours: Session,
    _databases: [Database; 2],
}

impl Pair {
    /// None where the server has no extension.
    fn new() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let databases = [Cluster::provider().database(), Cluster::provider().database()];
        create(&databases[0]);
        let scratch = Scratch::new();
        Job::ticker(scratch.path(), "db1-ticker", databases[1].conninfo()).run("install");
        let [c, ours] = databases.each_ref().map(|database| {
            let session = database.session();
            // Ours do not depend on it; the C triggers write as the session does.
            session.sql("set timezone = 'UTC'; set lc_monetary = 'C'; select pgq.create_queue('q')");
            session
        });
        Some(Pair { c, ours, _databases: databases })
    }

    fn sql(&self, sql: &str) {
        self.c.sql(sql);
        self.ours.sql(sql);
    }

    /// What differs between the two after statements on table `t`, which a trigger with these arguments follows.
    fn differences(&self, when: &str, call: &str, statements: &[&str]) -> String {
        let [c, ours] = [&self.c, &self.ours].map(|session| events(session, when, call, statements));
        let mut report = String::new();
        for nr in 0..c.len().max(ours.len()) {
            let line = |events: &[String]| events.get(nr).cloned().unwrap_or_else(|| "(nothing)".to_owned());
            if line(&c) != line(&ours) {
                let _ = writeln!(report, "{when} {call}\n   C    {}\n   ours {}", line(&c), line(&ours));
            }
        }
        report
    }
}

/// The events of statements, one after the other, and the errors of those that are refused.
fn events(session: &Session, when: &str, call: &str, statements: &[&str]) -> Vec<String> {
    let for_each = if when.contains("truncate") { "statement" } else { "row" };
    session.sql(&format!(
        "begin; create trigger logger {when} on t for each {for_each} execute procedure pgq.{call};
         create temp table done (id bigint) on commit drop; insert into done values (0)"
    ));
    let mut lines = Vec::new();
    for sql in statements {
        session.sql("savepoint s");
        if let Err(error) = session.try_rows(sql) {
            lines.push(format!("error: {}", error.message));
            session.sql("rollback to s");
        }
        let mut events = session.column(
            "with new as (insert into done select ev_id from pgq.event_1 where ev_id > (select max(id) from done) returning id)
             select format('%L %L %L %L %L %L', ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
             from pgq.event_1 e join new on new.id = e.ev_id order by e.ev_id",
        );
        // A statement comes to its rows in the order of their places, which a page's pruning changes on one side alone.
        events.sort();
        lines.extend(events);
    }
    let rows = session.column("select t::text from t order by t::text");
    lines.extend(rows.iter().map(|row| format!("row: {row}")));
    session.sql("rollback");
    lines
}

const TYPES: &str = r#"
    create type mood as enum ('sad', 'so so');
    create type pair as (a int, b text);
    create domain positive as int check (value > 0);
    create table t (id int primary key, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, b bool, t text, vc varchar(20),
        c char(5), c1 "char", na name, by bytea, d date, ti time, tz timetz, ts timestamp, tsz timestamptz, iv interval,
        u uuid, j json, jb jsonb, x bit(3), vb varbit, inet inet, cidr cidr, mac macaddr, p point, r int4range, tsv tsvector,
        o oid, reg regclass, m money, e mood, co pair, dom positive, ia int[], ta text[], "Odd Name" text, "select" int);
    insert into t (id, t) values (0, 'there before')"#;

const TYPED: &[&str] = &[
    r#"insert into t values (1, -32768, 9223372036854775807, 1.1, 'Infinity', 1.50, true, E'it''s \\ "x" \n\t é€🐘', 'a=b&c%+d',
        'ab', 'z', 'name', '\x00ff5c', '0044-03-15 BC', '12:34:56.789', '12:34:56+02', '2001-02-03 04:05:06.7',
        '2001-02-03 04:05:06.789+02', '1 year 2 mons -3 days 04:05:06.7', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        '{"a": [1, null, "x\u0041"]}', '{"b": 1.50, "a": null}', B'101', B'1', '10.0.0.1/8', '10.0.0.0/8',
        '08:00:2b:01:02:03', '(1.5,-2)', '[1,5)', 'a fat cat', 4294967295, 'pg_class', 12.34, 'so so',
        row(1, 'a,"b'), 7, '{1,null,3}', '{"a,b",null,"","NULL",\\x}', 'odd', 5)"#,
    "insert into t (id) values (2)",
    "insert into t (id, f4, f8, b, ts, tsz, d, n, t, vc) values
        (3, 'NaN', '-0', false, 'infinity', '-infinity', '9999-12-31', 'NaN', '', 'null')",
    "insert into t (id, ts, tsz, f4, f8) values (4, '0044-03-15 12:00 BC', '10001-01-01 00:00:00.000001+00', 1e-10, 1e300)",
    "update t set t = 'new', b = not b where id = 1",
    "update t set n = 1.50000 where id in (1, 3)",
    "update t set t = t where id = 1",
    r#"update t set "Odd Name" = null, "select" = 6, by = '', ta = '{}', jb = 'null', j = 'null' where id = 1"#,
    "update t set co = null, e = 'sad', m = null, u = null, iv = '0', vb = '', r = 'empty', c = '' where id = 1",
    "delete from t where id = 2",
    "delete from t",
];

#[test]
fn values_of_every_type_are_written_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.sql(TYPES);
    let mut report = String::new();
    for trigger in TRIGGERS {
        for args in ["'q'", "'q', 'backup'"] {
            report += &pair.differences("after insert or update or delete", &format!("{trigger}({args})"), TYPED);
        }
    }
    assert!(report.is_empty(), "{report}");
}

const WRITES: &[&str] = &[
    "insert into t values (2, null, 'B', '')",
    "update t set a = 'n' where id = 1",
    "update t set a = 'n', b = '2', c = null where id = 2",
    "update t set a = a where id = 1",
    "update t set c = 'only c' where id = 1",
    "delete from t where id = 1",
    "insert into t values (7, 'x'), (8, 'y')",
    "update t set b = id::text where id > 2",
    "delete from t where id > 2",
];

const OPTIONS: &[&str] = &[
    "",
    ", 'ignore=a'",
    ", 'ignore=a,c'",
    ", 'pkey=id'",
    ", 'pkey=id', 'ignore=b'",
    ", 'backup'",
    ", 'backup', 'ignore=b'",
    ", 'when=id = 1'",
    ", 'when=a is null'",
    ", 'ev_type=''kind'''",
    ", 'ev_type=a'",
    ", 'ev_extra1=''mine'''",
    ", 'ev_extra2=id'",
    ", 'ev_extra3=id + 1', 'ev_extra4=b'",
    ", 'ev_data=''data'''",
    ", 'backup', 'ev_extra2=id'",
    ", 'deny'",
    ", 'SKIP'",
];

#[test]
fn options_have_the_same_effect() {
    let Some(pair) = Pair::new() else { return };
    pair.sql(
        "create table t (id int primary key, a text, b text, c text);
         insert into t values (1, 'x', 'y', 'z'), (5, null, 'five', null)",
    );
    let mut report = String::new();
    for trigger in TRIGGERS {
        for options in OPTIONS {
            let call = format!("{trigger}('q'{options})");
            report += &pair.differences("after insert or update or delete", &call, WRITES);
            report += &pair.differences("before insert or update or delete", &call, WRITES);
        }
        for options in [", 'pkey=b'", ", 'pkey=b,id'", ", 'pkey=b,id', 'backup', 'ignore=id'"] {
            let statements =
                ["insert into t values (2, null, 'B', '')", "update t set a = 'n', c = b", "delete from t"];
            report +=
                &pair.differences("after insert or update or delete", &format!("{trigger}('q'{options})"), &statements);
        }
        for options in ["", ", 'deny'"] {
            report += &pair.differences("after truncate", &format!("{trigger}('q'{options})"), &["truncate t"]);
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// The documented way to write without replication. Before triggers keep what else they do.
#[test]
fn sessions_in_the_local_role_write_no_events_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.sql(
        "create table t (id int primary key, a text, b text); insert into t values (1, 'x', 'y'), (5, null, 'five')",
    );
    let in_role = |role: &str, sql: &str| format!("set local session_replication_role = {role}; {sql}");
    let mut report = String::new();
    for trigger in TRIGGERS {
        for options in
            ["", ", 'backup'", ", 'deny'", ", 'SKIP'", ", 'pkey=id', 'ignore=a'", ", 'when=id = 2'", ", 'nonsense'"]
        {
            for when in ["before", "after"] {
                for role in ["local", "replica", "origin"] {
                    let statements = [
                        "insert into t values (2, null, 'B')",
                        "update t set a = 'n' where id = 1",
                        "update t set id = 9 where id = 5",
                        "delete from t where id = 1",
                    ]
                    .map(|sql| in_role(role, sql));
                    let mut statements: Vec<&str> = statements.iter().map(String::as_str).collect();
                    if trigger == "sqltriga" || role != "local" {
                        // sqltriga writes changes of the key, which the C trigger refuses.
                        statements.remove(2);
                    }
                    let call = format!("{trigger}('q'{options})");
                    report += &pair.differences(&format!("{when} insert or update or delete"), &call, &statements);
                }
            }
        }
        for options in ["", ", 'deny'"] {
            let truncate = in_role("local", "truncate t");
            report += &pair.differences("after truncate", &format!("{trigger}('q'{options})"), &[&truncate]);
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn fields_are_taken_from_special_columns_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.sql(
        "create table t (id int primary key, a text, _pgq_ev_type text, _pgq_ev_extra1 text, _pgq_ev_extra2 text,
            _pgq_ev_extra3 text, _pgq_ev_extra4 text)",
    );
    let statements = [
        "insert into t values (1, 'x', 'kind', 'one', 'two', 'three', 'four')",
        "insert into t values (2, 'x')",
        "update t set a = 'y', _pgq_ev_type = 'other' where id = 1",
        "update t set _pgq_ev_type = 'only this' where id = 1",
        "delete from t",
    ];
    let mut report = String::new();
    for trigger in TRIGGERS {
        for options in ["", ", 'SKIP'", ", 'backup'", ", 'ev_type=''argument'''"] {
            let when = if options.contains("SKIP") { "before" } else { "after" };
            let call = format!("{trigger}('q'{options})");
            report += &pair.differences(&format!("{when} insert or update or delete"), &call, &statements);
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn keys_and_names_are_written_alike() {
    let Some(pair) = Pair::new() else { return };
    let mut report = String::new();
    for (table, statements) in [
        (
            r#"create table t (z int, "Key Two" text, v text, primary key ("Key Two", z))"#,
            vec!["insert into t values (1, 'it''s', 'x')", "update t set v = 'y'", "delete from t"],
        ),
        (
            "create table t (a int, b text)",
            vec!["insert into t values (1, 'x')", "update t set b = 'y'", "delete from t"],
        ),
        (
            "create table t (a int, gone int, b text primary key); alter table t drop column gone; alter table t add added int default 5",
            vec!["insert into t values (1, 'x')", "update t set a = 2", "delete from t"],
        ),
        (
            r#"create table t (id int primary key, name text, data text, "user" text, "table" text, "value" int, "type" text)"#,
            vec![
                "insert into t values (1, 'a', 'b', 'c', 'd', 5, 'e')",
                r#"update t set name = 'n', "user" = 'u', "table" = 't'"#,
            ],
        ),
    ] {
        pair.sql(&format!("begin; {table}; commit"));
        for trigger in TRIGGERS {
            report += &pair.differences("after insert or update or delete", &format!("{trigger}('q')"), &statements);
        }
        pair.sql("drop table t");
    }
    assert!(report.is_empty(), "{report}");
}
