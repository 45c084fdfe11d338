//! What the fence does for whom, in SQL.

use super::{CLOSED, after, arm, assert_refused, close, closing, database, open, state};
use crate::support::QUEUE;

const TABLE: &str = "create table t (id int primary key, v text); insert into t values (1, 'a')";

#[test]
fn an_armed_table_lets_writers_pass_and_a_closed_one_refuses_all_kinds_of_writes() {
    let r = database(TABLE);
    let writer = r.provider.session();
    let writes = [
        "insert into t values (2, 'b')",
        "update t set v = 'c' where id = 1",
        "delete from t where id = 77",
        "truncate t",
        "with x as (insert into t values (3, 'd') returning id) select * from x",
        "do $$ begin insert into t values (4, 'e'); end $$",
    ];
    arm(&r.provider);
    for sql in writes {
        writer.sql(sql);
    }
    close(&r.provider).unwrap();
    for sql in writes {
        assert_refused(&writer, sql);
    }
    let error = writer.try_copy_in("copy t from stdin", "9\tx\n".to_owned()).unwrap_err();
    assert_eq!((error.code.as_str(), error.hint.as_str()), ("25006", "Connect there."), "{error}");
    // Triggers that a session can leave out by itself do not keep anybody out.
    let writer = r.provider.session();
    assert_refused(&writer, "set session_replication_role = replica; insert into t values (5, 'f')");
    writer.sql("select * from t for update; lock table t in exclusive mode");
    open(&r.provider);
    writer.sql("insert into t values (6, 'g')");
    assert_eq!(state(&r.provider), "1");
}

#[test]
fn a_fence_ends_at_its_time_by_the_first_writer_and_cannot_be_made_final_then() {
    let r = database(TABLE);
    arm(&r.provider);
    let until = r.provider.value(&format!("select {}", after(1)));
    r.provider.sql(&closing("1", &until));
    let writer = r.provider.session();
    let error = writer.error("insert into t values (2, 'b')");
    assert!(
        error.code == "25006" && error.hint.starts_with("Connect there. The fence opens by itself at 2"),
        "{error}"
    );
    writer.sql(&format!(
        "do $$ begin while londiste.fence_clock() < {until} loop perform pg_sleep(0.01); end loop; end $$"
    ));
    // Past, and nobody has come yet.
    assert_eq!(state(&r.provider), until);
    let error = r.provider.error(&closing(&until, CLOSED));
    assert_eq!((error.code.as_str(), error.message.as_str()), ("55000", "the time of the fence is over"));
    writer.sql("insert into t values (2, 'b')");
    assert_eq!(state(&r.provider), "1");
    // A clock that jumps back finds it open; and neither the old value nor a past one closes it.
    for to in [CLOSED.to_owned(), until.clone()] {
        assert_eq!(r.provider.error(&closing(&until, &to)).code, "55000");
    }
    assert_eq!(r.provider.error(&closing("1", &until)).code, "55000");
    assert_eq!(r.provider.value(&format!("select londiste.fence_open({until})")), "t");
    writer.sql("insert into t values (3, 'b')");
}

#[test]
fn a_fence_of_somebody_else_is_neither_opened_nor_made_final() {
    let r = database(TABLE);
    arm(&r.provider);
    let until = r.provider.value(&format!("select {}", after(600)));
    r.provider.sql(&closing("1", &until));
    let other: i64 = until.parse::<i64>().unwrap() + 1;
    let error = r.provider.error(&closing(&other.to_string(), CLOSED));
    assert_eq!((error.code.as_str(), error.message.as_str()), ("55000", "the fence was changed by another session"));
    assert_eq!(r.provider.value(&format!("select londiste.fence_open({other})")), "f");
    assert_eq!(state(&r.provider), until);
    r.provider.sql(&closing(&until, CLOSED));
    assert_eq!(state(&r.provider), CLOSED);
}

#[test]
fn tables_through_which_rows_of_the_set_are_written_belong_to_it() {
    let r = database(
        "create table root (id int not null) partition by range (id);
         create table middle partition of root for values from (0) to (100) partition by range (id);
         create table leaf partition of middle for values from (0) to (50);
         create table beside partition of root for values from (100) to (200);
         create table parent (id int primary key); create table heir (primary key (id)) inherits (parent);
         create table other (id int primary key); create temporary table gone (id int); create view seen as select * from other",
    );
    r.provider.sql(&format!(
        "insert into londiste.provider_table (queue_name, table_name) values ('{QUEUE}', 'public.leaf');
         insert into londiste.subscriber_table (queue_name, table_name) values ('{QUEUE}', 'public.parent'), ('q', 'public.other')"
    ));
    let names = |queue: &str| {
        r.provider.column(&format!("select name from londiste.fence_relations({queue}) order by name collate \"C\""))
    };
    let quoted = |names: &[&str]| names.iter().map(|name| format!("public.{name}")).collect::<Vec<_>>();
    assert_eq!(names(&format!("'{QUEUE}'")), quoted(&["heir", "leaf", "middle", "parent", "root"]));
    assert_eq!(names("null"), quoted(&["beside", "heir", "leaf", "middle", "other", "parent", "root"]));
    arm(&r.provider);
    close(&r.provider).unwrap();
    let writer = r.provider.session();
    for sql in
        ["insert into root values (1)", "insert into leaf values (1)", "insert into heir values (1)", "truncate parent"]
    {
        assert_refused(&writer, sql);
    }
}

#[test]
fn arming_and_disarming_can_be_repeated_and_leave_nothing() {
    let r = database(TABLE);
    let catalog = "select t.tgname, t.tgrelid::regclass from pg_trigger t where not t.tgisinternal order by 1";
    let before = r.provider.rows(catalog);
    assert_eq!(r.provider.value("select londiste.fence_arm('t'::regclass)"), "1");
    assert_eq!(r.provider.value("select londiste.fence_arm('t'::regclass)"), "0");
    assert_eq!(r.provider.column("select name from londiste.fence_armed()"), ["public.t"]);
    // Somebody has disabled it, or has made it anew without the fourth kind of writes.
    for spoil in [
        "alter table t disable trigger \"0__londiste_fence\"",
        "alter table t enable trigger \"0__londiste_fence\"",
        "alter table t disable trigger all",
        "drop trigger \"0__londiste_fence\" on t; create trigger x before insert or update or delete on t
             for each statement execute procedure londiste.fence(); alter table t enable always trigger x",
    ] {
        r.provider.sql(spoil);
        let error = close(&r.provider).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("42704", "the fence is open at public.t: made or changed after the tables were armed"),
            "{spoil}"
        );
        assert_eq!(state(&r.provider), "1");
        assert_eq!(r.provider.value("select londiste.fence_arm('t'::regclass)"), "1", "{spoil}");
    }
    close(&r.provider).unwrap();
    open(&r.provider);
    assert_eq!(r.provider.value("select londiste.fence_disarm('t'::regclass)"), "1");
    assert_eq!(r.provider.value("select londiste.fence_disarm('t'::regclass)"), "0");
    assert_eq!(r.provider.rows(catalog), before);
}

#[test]
fn the_trigger_is_replications_own() {
    let r = database(TABLE);
    r.provider.sql(
        "create function f() returns trigger language plpgsql as 'begin return null; end';
                    create trigger mine after insert on t for each row execute procedure f()",
    );
    arm(&r.provider);
    let listed = r.provider.column("select trigger_name from londiste.find_table_triggers('public.t')");
    assert_eq!(listed, ["mine"]);
}

/// A schema of an older rlondiste has none of the fence's objects.
#[test]
fn an_older_schema_gets_the_fence_by_an_installation() {
    let r = database(TABLE);
    r.provider.sql(
        "drop table londiste.fence; drop sequence londiste.fence_state;
         do $$ declare f regprocedure; begin
             for f in select oid from pg_proc where pronamespace = 'londiste'::regnamespace and proname ~ '^fence' loop
                 execute format('drop function %s', f);
             end loop;
         end $$;
         comment on function londiste.rlondiste_version() is 'old'",
    );
    r.londiste.run("provider install");
    arm(&r.provider);
    close(&r.provider).unwrap();
    assert_refused(&r.provider.session(), "insert into t values (2, 'b')");
    // An installation over a closed database leaves it closed.
    r.provider.sql("comment on function londiste.rlondiste_version() is 'old'");
    r.londiste.run("provider install");
    assert_refused(&r.provider.session(), "insert into t values (2, 'b')");
}
