//! The columns by which an event names a row are such that no two rows can be equal in them, at any moment.

use super::{events, maintain, table_lists};
use crate::support::{QUEUE, Replication};

/// The error of `provider_add_table_as` with these key columns, or with the table's own key.
fn refusal(r: &Replication, key: &str) -> crate::support::SqlError {
    r.provider
        .error(&format!("select londiste.provider_add_table_as('{QUEUE}', 'public.t', 'statement', 'sql', {key})"))
}

/// While a deferrable key is not checked, two rows may have the same one.
#[test]
fn deferrable_key_is_refused() {
    let tables = [
        ("create table t (id int primary key deferrable, v text)", "t_pkey", "primary key (id)"),
        ("create table t (id int primary key deferrable initially deferred, v text)", "t_pkey", "primary key (id)"),
        ("create table t (id int not null unique deferrable, v text)", "t_id_key", "unique (id)"),
        (
            "create table t (id int not null, \"V\" text not null, unique (\"V\", id) deferrable)",
            "\"t_V_id_key\"",
            "unique (id, \"V\")",
        ),
    ];
    for (table, constraint, mend) in tables {
        let r = Replication::new();
        r.provider.sql(table);
        r.install();
        let named = if table.contains("\"V\"") { "array['id', 'V']" } else { "array['id']" };
        for key in [named, "null"] {
            let error = refusal(&r, key);
            let message = if key == "null" { "need key column" } else { "the key of table public.t is deferrable" };
            assert_eq!((error.code.as_str(), error.message.as_str()), ("42P16", message), "{table}");
            assert_eq!(error.hint, format!("alter table public.t drop constraint {constraint}, add {mend}"), "{table}");
        }
        if !table.contains("\"V\"") {
            let output = r.londiste.program(["provider", "add", "t", "--key=id"]).status(1).run();
            for line in ["is deferrable", "DETAIL: Constraint", "HINT: alter table public.t drop constraint"] {
                assert!(output.stderr.contains(line), "{}", output.stderr);
            }
        }
        // What the hint says helps.
        r.provider.sql(&error_hint(&r, named));
        r.provider
            .sql(&format!("select londiste.provider_add_table_as('{QUEUE}', 'public.t', 'statement', 'sql', {named})"));
    }
}

fn error_hint(r: &Replication, key: &str) -> String {
    refusal(r, key).hint
}

#[test]
fn columns_with_another_immediate_key_or_with_none_at_all_may_be_named() {
    for table in [
        "create table t (id int primary key deferrable, v text); create unique index on t (id)",
        "create table t (id int not null unique, v text not null, unique (id, v) deferrable)",
        "create table t (id int not null, v text)",
    ] {
        let r = Replication::new();
        r.provider.sql(table);
        r.install();
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.t', 'statement', 'sql', array['id']);
             insert into t values (1, 'a'); delete from t"
        ));
        assert_eq!(events(&r.provider)[1], "t D id='1'", "{table}");
    }
}

/// The next key that is right at every moment, else all columns.
#[test]
fn key_that_becomes_deferrable_is_not_used_any_more() {
    let deferrable = "alter table t drop constraint t_pkey, add primary key (id) deferrable";
    for (key, extra, expected, maintained) in [
        ("null", "unique (v)", "t U id='2' where v='a'", true),
        ("null", "check (true)", "t U id='2' where id='1' and v='a'", false),
        ("array['id']", "unique (v)", "t U id='2' where v='a'", false),
        ("array['id']", "check (true)", "t U id='2' where id='1' and v='a'", false),
    ] {
        for capture in ["statement", "row"] {
            let context = format!("{capture}, key {key}, {extra}");
            let r = Replication::new();
            r.provider.sql(&format!("create table t (id int primary key, v text not null, {extra})"));
            r.install();
            r.provider.sql(&format!(
                "select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', 'sql', {key});
                 insert into t values (1, 'a')"
            ));
            let session = r.provider.session();
            session.sql("begin isolation level repeatable read; select from pg_class");
            r.provider.sql(deferrable);
            r.provider.sql("update t set id = id + 1; update t set id = 1");
            assert_eq!(events(&r.provider)[1], expected, "{context}");
            // An older snapshot still shows the key that was there. This may name too many columns, never too few.
            session.sql("insert into t values (10, 'z'); update t set id = 11 where id = 10; delete from t where id = 11; commit");
            let older = events(&r.provider).into_iter().rev().nth(1).unwrap();
            let (by_other, by_all) = ("t U id='11' where v='z'", "t U id='11' where id='10' and v='z'");
            assert!(older == by_all || older == by_other && expected.ends_with("where v='a'"), "{context}: {older}");

            let (done, warnings) = maintain(&r.provider, QUEUE);
            if maintained {
                assert_eq!((done.as_str(), warnings.len()), ("1", 0), "{context}: {warnings:?}");
            } else {
                assert_eq!(done, "0", "{context}");
                assert!(
                    warnings[0].contains("cannot refresh the capture functions of table public.t: "),
                    "{warnings:?}"
                );
            }
            assert_eq!(table_lists(&r.provider), Vec::<String>::new());
            r.provider.sql("update t set id = 1; update t set id = id + 1");
            assert_eq!(events(&r.provider).pop().unwrap(), expected, "{context}");
        }
    }
}

/// What is left of a key is none.
#[test]
fn key_that_loses_a_column_or_may_be_null_is_not_used_any_more() {
    for (change, expected) in [
        ("alter table t drop column b", "t U v='y' where a='1' and v='x'"),
        ("alter table t alter column b drop not null", "t U v='y' where a='1' and b='2' and v='x'"),
    ] {
        for capture in ["statement", "row"] {
            let r = Replication::new();
            r.provider.sql("create table t (a int not null, b int not null, v text)");
            r.install();
            r.provider.sql(&format!(
                "select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', 'sql', array['a', 'b']);
                 insert into t values (1, 2, 'x'); {change}; update t set v = 'y'"
            ));
            assert_eq!(events(&r.provider)[1], expected, "{capture}, {change}");
            assert_eq!(maintain(&r.provider, QUEUE).1.len(), 1);
        }
    }
}

/// A subscriber need not have the columns that are left out, whatever names a row.
#[test]
fn ignored_columns_stay_out_of_rows_without_a_key() {
    let r = Replication::new();
    r.provider.sql("create table t (id int primary key, secret text, v text)");
    r.install();
    r.provider.sql(&format!(
        "select londiste.provider_add_table('{QUEUE}', 'public.t', 'kiv'); alter table t drop column id;
         insert into t values ('s', 'x'); update t set v = 'y', secret = 'z'; delete from t"
    ));
    let expected = ["t I (v) values ('x')", "t U v='y' where v='x'", "t D v='y'"];
    assert_eq!(events(&r.provider), expected);
}
