//! Tables change under their writers: no write fails, no column is lost, and what was written before says what was there
//! before.

use super::{events, provider};
use crate::apply::{Replay, SETTINGS};
use crate::support::{QUEUE, Replication, Session, assert_same_rows};

/// A change of table `t (id int primary key, a int default 5, b text default 'x')`, what an insert of a new id is after
/// it, and what names that row.
const CHANGES: [(&str, &str, &str); 9] = [
    ("add column c int default 7", "(id,a,b,c) values ('#','5','x','7')", "id='#'"),
    ("drop column b", "(id,a) values ('#','5')", "id='#'"),
    ("rename column a to z", "(id,z,b) values ('#','5','x')", "id='#'"),
    ("alter column a type numeric(10,2)", "(id,a,b) values ('#','5.00','x')", "id='#'"),
    ("alter column id type bigint", "(id,a,b) values ('#','5','x')", "id='#'"),
    ("drop column a, add column a int default 6", "(id,b,a) values ('#','x','6')", "id='#'"),
    ("drop constraint \"T_pkey\"", "(id,a,b) values ('#','5','x')", "id='#' and a='5' and b='x'"),
    ("drop constraint \"T_pkey\", add primary key (a, id)", "(id,a,b) values ('#','5','x')", "id='#' and a='5'"),
    (
        "drop column a, add column a int generated always as (length(b)) stored",
        "(id,b,a) values ('#','x','1')",
        "id='#'",
    ),
];

fn with_id(template: &str, id: u32) -> String {
    template.replace('#', &id.to_string())
}

/// Prepares one statement of each kind that goes with all of [`CHANGES`], and runs it.
fn prepare(writer: &Session, table: &str) {
    writer.sql(&format!(
        "prepare {table}_in as insert into {table} values ($1);
         prepare {table}_up as update {table} set id = $2 where id = $1;
         prepare {table}_out as delete from {table} where id = $1;
         execute {table}_in(1); execute {table}_up(1, 2); execute {table}_out(2)"
    ));
}

fn write(writer: &Session, table: &str, id: u32) {
    writer.sql(&format!("execute {table}_in({id}); execute {table}_up({id}, {id}1); execute {table}_out({id}1)"));
}

/// The events of [`write`], after a change that moves the key's other columns nowhere.
fn written(table: &str, insert: &str, key: &str, id: u32) -> [String; 3] {
    let moved = format!("{id}1").parse().unwrap();
    [
        format!("{table} I {}", with_id(insert, id)),
        format!("{table} U id='{moved}' where {}", with_id(key, id)),
        format!("{table} D {}", with_id(key, moved)),
    ]
}

#[test]
fn statements_that_are_older_than_a_change_are_captured_after_it() {
    for capture in ["statement", "row"] {
        let names: Vec<_> = (0..CHANGES.len()).map(|nr| format!("t{nr}")).collect();
        let schema: Vec<_> = names
            .iter()
            .map(|name| format!("create table {name} (id int primary key, a int default 5, b text default 'x')"))
            .collect();
        let r = provider(capture, &schema.join(";"), &names.join(" "));
        let (writer, other) = (r.provider.session(), r.provider.session());
        for (table, (change, insert, key)) in names.iter().zip(CHANGES) {
            if change.contains("generated") && r.provider.major() < 12 {
                continue;
            }
            let alter = format!("alter table {table} {}", change.replace("T_pkey", &format!("{table}_pkey")));
            let start = events(&r.provider).len() + 3;
            prepare(&writer, table);
            prepare(&other, table);
            let start = start + 3;

            // The writer changes the table itself, between its writes.
            writer.sql(&format!("begin; execute {table}_in(3); {alter}"));
            write(&writer, table, 4);
            writer.sql(&format!("execute {table}_out(3); commit"));
            // To another session the change is news.
            write(&other, table, 5);
            let mut expected = vec![format!("{table} I (id,a,b) values ('3','5','x')")];
            expected.extend(written(table, insert, key, 4));
            expected.push(format!("{table} D {}", with_id(key, 3)));
            expected.extend(written(table, insert, key, 5));
            assert_eq!(events(&r.provider)[start..], expected, "{capture}, {change}");

            // New functions, and the same statements.
            let start = start + expected.len();
            let refreshed = if change == "drop constraint \"T_pkey\"" { "0" } else { "1" };
            let maintain = format!("select londiste.provider_maintain('{QUEUE}', 'public.{table}')");
            assert_eq!(r.provider.value(&maintain), refreshed, "{capture}, {change}");
            write(&writer, table, 6);
            write(&other, table, 7);
            let expected = [written(table, insert, key, 6), written(table, insert, key, 7)].concat();
            assert_eq!(events(&r.provider)[start..], expected, "{capture}, {change}, after maintenance");
        }
    }
}

/// All columns name a row then, those that are null too. Nothing stops, except what would promise a key.
#[test]
fn a_table_whose_key_is_dropped_for_good_goes_on_without() {
    for capture in ["statement", "row"] {
        let r = provider(capture, "create table t (id int primary key, v text)", "t");
        r.subscriber.sql("create table t (id int primary key, v text)");
        r.provider.sql("insert into t values (1, 'a'), (2, null); alter table t drop constraint t_pkey");
        r.provider
            .sql("insert into t values (3, null); update t set v = 'b' where v is null; delete from t where id = 1");
        let expected = [
            "t I (id,v) values ('1','a')",
            "t I (id,v) values ('2',NULL)",
            "t I (id,v) values ('3',NULL)",
            "t U v='b' where id='2' and v is null",
            "t U v='b' where id='3' and v is null",
            "t D id='1' and v='a'",
        ];
        assert_eq!(events(&r.provider), expected, "{capture}");

        let session = r.provider.session();
        assert_eq!(session.value(&format!("select londiste.provider_maintain('{QUEUE}')")), "0");
        let notices = session.take_notices();
        assert!(
            notices.iter().any(|n| n.contains("cannot refresh the capture functions of table public.t: need key")),
            "{notices:?}"
        );
        let refused = r.londiste.program(["provider", "refresh", "t"]).status(1).run();
        assert!(refused.stderr.contains("HINT: alter table public.t add primary key"), "{}", refused.stderr);

        session.sql("update t set v = 'c' where id = 2; delete from t where id = 3");
        Replay::new(&r.provider, &r.subscriber, SETTINGS, "public.t")
            .apply("select * from pgq.event_1 order by ev_id")
            .unwrap();
        assert_same_rows(&r.provider, &r.subscriber, &["t"]);

        session.sql("alter table t add primary key (id)");
        session.sql(&format!("select londiste.provider_maintain('{QUEUE}')"));
        session.sql("delete from t");
        assert_eq!(events(&r.provider).pop().unwrap(), "t D id='2'", "{capture}");
    }
}

#[test]
fn whole_rows_of_a_table_without_key_find_their_rows() {
    let schema = "create table t (id int primary key, v text, more text)";
    for format in ["urlenc", "json"] {
        let r = Replication::new().with_schema(schema);
        r.install();
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.t', 'statement', '{format}', null);
             insert into t select n, case when n <> 2 then 'a' end, repeat('x', n * 200000) from generate_series(1, 6) n;
             alter table t drop constraint t_pkey;
             update t set v = 'b' where v is null; update t set v = null, more = null where id in (1, 6);
             delete from t where id in (1, 3); update t set v = 'c' where id in (5, 6)"
        ));
        Replay::new(&r.provider, &r.subscriber, SETTINGS, "public.t")
            .apply("select * from pgq.event_1 order by ev_id")
            .unwrap();
        assert_same_rows(&r.provider, &r.subscriber, &["t"]);
    }
}

/// A snapshot shows a key as it was, but rows that it does not show may have the same one by now.
#[test]
fn a_key_that_another_session_takes_away_names_no_row_of_an_older_snapshot() {
    for capture in ["statement", "row"] {
        let r = provider(capture, "create table t (id int primary key, kind text not null, v int)", "t");
        r.provider.sql("insert into t values (1, 'a', 1), (2, 'a', 1)");
        let start = events(&r.provider).len();
        let writer = r.provider.session();
        writer.sql("begin isolation level repeatable read; select from pg_class");
        r.provider
            .sql("alter table t drop constraint t_pkey, add primary key (id, kind); insert into t values (1, 'b', 1)");
        writer.sql("update t set v = 2 where id = 1; delete from t where id = 2");
        writer.sql("alter table t drop constraint t_pkey, add primary key (kind, id); update t set v = 3; commit");
        let expected = [
            "t I (id,kind,v) values ('1','b','1')",
            "t U v='2' where id='1' and kind='a' and v='1'",
            "t D id='2' and kind='a' and v='1'",
            "t U v='3' where id='1' and kind='a'",
        ];
        assert_eq!(events(&r.provider)[start..], expected, "{capture}");
    }
}
