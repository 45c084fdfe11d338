//! Who may arm, close and pass.

use super::{CLOSED, arm, assert_refused, close, database, state};
use crate::support::Cluster;

const TABLE: &str = "create table t (id int primary key); grant all on t to public";

#[test]
fn only_administrators_arm_close_and_pass() {
    let r = database(TABLE);
    Cluster::provider().sql(
        "do $$ begin create role fence_app; exception when duplicate_object or unique_violation then null; end $$;
         do $$ begin create role fence_admin; exception when duplicate_object or unique_violation then null; end $$",
    );
    let calls = [
        "select londiste.fence_pass()",
        "select londiste.fence_arm('t'::regclass)",
        "select londiste.fence_close(null, 1, 9223372036854775807, 'x', 'y')",
        "select londiste.fence_open(9223372036854775807)",
        "select londiste.fence_disarm('t'::regclass)",
    ];
    let writes = [
        "select pass from londiste.fence",
        "update londiste.fence set pass = 'mine'",
        "select setval('londiste.fence_state', 1)",
        "select nextval('londiste.fence_state')",
        "alter table t disable trigger \"0__londiste_fence\"",
    ];
    arm(&r.provider);
    let app = r.provider.session();
    app.sql("set role fence_app");
    for sql in calls.iter().chain(&writes) {
        let error = app.error(sql);
        assert_eq!(error.code, "42501", "{sql}: {error}");
    }
    assert_eq!(state(&r.provider), "1");
    // What everybody may see.
    app.sql("select last_value from londiste.fence_state; select * from londiste.fence_relations(null); select * from londiste.fence_armed()");
    r.provider.sql("select pgq.grant_right('fence_admin', 'admin')");
    let admin = r.provider.session();
    admin.sql("set role fence_admin");
    for sql in calls {
        admin.sql(sql);
    }
    for sql in writes {
        assert_eq!(admin.error(sql).code, "42501", "{sql}");
    }
}

#[test]
fn only_the_pass_itself_opens_a_closed_fence() {
    let r = database(TABLE);
    arm(&r.provider);
    close(&r.provider).unwrap();
    let pass = r.provider.value("select londiste.fence_pass()");
    assert_eq!(pass.len(), 32);
    assert_eq!(r.provider.value("select londiste.fence_pass()"), pass);
    let writer = r.provider.session();
    for wrong in ["", "x", "on", &pass.to_uppercase(), &pass[..31]] {
        assert_refused(&writer, &format!("set londiste.pass = '{wrong}'; insert into t values (1)"));
    }
    writer.sql(&format!("begin; set local londiste.pass = '{pass}'; insert into t values (1); commit"));
    assert_refused(&writer, "insert into t values (2)");
    assert_eq!(state(&r.provider), CLOSED);
}

/// The trigger runs with the rights of the schema's owner, in the session of anybody.
#[test]
fn nothing_in_the_search_path_of_a_writer_is_taken_for_postgresqls() {
    let r = database(TABLE);
    arm(&r.provider);
    close(&r.provider).unwrap();
    let writer = r.provider.session();
    writer.sql(
        "create schema trap; set search_path = trap, pg_catalog, public;
         create function trap.pg_advisory_xact_lock_shared(int, int) returns void language plpgsql as 'begin raise exception $x$trap$x$; end';
         create function trap.setval(regclass, int) returns bigint language sql as 'select 1::int8';
         create function trap.current_setting(text, boolean) returns text language plpgsql as 'begin raise exception $x$trap$x$; end';
         create table trap.fence (pass text, message text, hint text);
         create function trap.always(text, text) returns boolean language sql as 'select true';
         create operator trap.= (leftarg = text, rightarg = text, procedure = trap.always);
         set londiste.pass = 'anything'",
    );
    assert_refused(&writer, "insert into public.t values (1)");
}

/// A table that the owner of the schema does not own is named, and left out.
#[test]
fn a_table_of_another_owner_is_named() {
    let r = database("create table t (id int primary key)");
    Cluster::provider().sql(
        "do $$ begin create role fence_owner; exception when duplicate_object or unique_violation then null; end $$",
    );
    let function = "londiste.fence_relations(text)";
    r.provider.sql(&format!(
        "create schema apart; create table apart.t (id int); alter table apart.t owner to postgres;
         grant usage on schema londiste, pgq to fence_owner; grant select on all tables in schema londiste to fence_owner;
         alter function {function} owner to fence_owner; alter table t owner to fence_owner"
    ));
    assert_eq!(
        r.provider.rows("select name, is_armed, problem from londiste.fence_relations(null) order by 1"),
        [
            [
                "apart.t",
                "f",
                "it belongs to postgres, and the owner of schema londiste, fence_owner, has not the rights of that role"
            ],
            ["public.t", "f", "NULL"],
        ]
    );
    r.provider.sql(&format!("alter function {function} owner to postgres; drop owned by fence_owner cascade"));
}
