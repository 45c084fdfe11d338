//! Who writes makes no difference: rights, row security, views, functions and names of the writer's own.

use super::{events, provider};
use crate::support::{Cluster, QUEUE, Replication, Session};

/// A role of this database's own, without a right on anything but what a test grants.
fn create_role(r: &Replication, name: &str) -> String {
    let role = format!("{name}_{}", r.provider.name());
    Cluster::provider().sql(&format!("create role {role}"));
    r.provider.sql(&format!(
        "revoke all on schema pgq, londiste from public; revoke all on all functions in schema pgq, londiste from public;
         revoke all on all tables in schema pgq, londiste from public; grant usage, create on schema public to {role}"
    ));
    role
}

fn session_as(r: &Replication, role: &str) -> Session {
    let session = r.provider.session();
    session.sql(&format!("set session authorization {role}"));
    session
}

#[test]
fn a_writer_needs_no_right_but_on_the_table() {
    for capture in ["statement", "row"] {
        let r = provider(capture, "create table t (id int primary key, v text)", "t");
        let role = create_role(&r, "writer");
        r.provider.sql(&format!("grant select, insert, update, delete on t to {role}"));
        let writer = session_as(&r, &role);
        for schema in ["pgq.queue", "pgq.event_1", "londiste.provider_table"] {
            assert_eq!(writer.error(&format!("select from {schema}")).code, "42501", "{schema}");
        }
        let write = "insert into t values (1, 'a'), (2, 'b'); update t set v = 'c' where id = 1;
                     update t set v = v || '!'; delete from t where id = 2";
        writer.sql(write);
        assert_eq!(writer.error("truncate t").code, "42501");
        r.provider.sql(&format!("grant truncate on t to {role}"));
        writer.sql("truncate t");
        let expected = [
            "t I (id,v) values ('1','a')",
            "t I (id,v) values ('2','b')",
            "t U v='c' where id='1'",
            "t U v='c!' where id='1'",
            "t U v='b!' where id='2'",
            "t D id='2'",
            "t R",
        ];
        // The order of an update's rows is the table's, which the update before has changed.
        let sorted = |mut lines: Vec<String>| {
            lines[3..5].sort_unstable_by(|a, b| b.cmp(a));
            lines
        };
        assert_eq!(sorted(events(&r.provider)), expected, "{capture}");

        // After DDL the same rights do for the generic way.
        r.provider.sql("alter table t add column more int");
        writer.sql("insert into t values (3, 'x', 7); update t set more = 8; delete from t; truncate t");
        let expected = ["t I (id,v,more) values ('3','x','7')", "t U more='8' where id='3'", "t D id='3'", "t R"];
        assert_eq!(events(&r.provider)[7..], expected, "{capture}, after DDL");
    }
}

#[test]
fn row_security_hides_no_change() {
    for capture in ["statement", "row"] {
        let r = provider(capture, "create table t (id int primary key, owner text, v text)", "t");
        let (owner, role) = (create_role(&r, "owner"), create_role(&r, "writer"));
        r.provider.sql(&format!(
            "alter table t owner to {owner};
             alter table t enable row level security; alter table t force row level security;
             create policy own on t to {role} using (owner = current_user) with check (true);
             create policy owners on t to {owner} using (id < 3) with check (true);
             grant select, insert, update, delete on t to {role}"
        ));
        let writer = session_as(&r, &role);
        writer.sql(&format!("insert into t values (1, '{role}', 'mine'), (2, 'x', 'theirs'), (3, 'x', 'theirs')"));
        assert_eq!(writer.column("update t set v = 'seen' returning id"), ["1"]);
        let deleted = session_as(&r, &owner).column("delete from t returning id");
        assert_eq!(deleted.len(), 2, "{deleted:?}");
        let expected = [
            format!("t I (id,owner,v) values ('1','{role}','mine')"),
            "t I (id,owner,v) values ('2','x','theirs')".to_owned(),
            "t I (id,owner,v) values ('3','x','theirs')".to_owned(),
            "t U v='seen' where id='1'".to_owned(),
            format!("t D id='{}'", deleted[0]),
            format!("t D id='{}'", deleted[1]),
        ];
        let found: Vec<_> = events(&r.provider).iter().map(|e| e.replace("\"owner\"", "owner")).collect();
        assert_eq!(found, expected, "{capture}");
    }
}

/// Its rows are read for that, with the rights of the schema's owner, whom the policies of the table may concern.
#[test]
fn truncating_a_partition_loses_no_row_to_row_security() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let schema = "create table t (id int primary key) partition by range (id);
                  create table low partition of t for values from (0) to (100);
                  create table high partition of t for values from (100) to (200)";
    let r = provider("statement", schema, "t");
    let role = create_role(&r, "definer");
    r.provider.sql(&format!(
        "insert into t values (1), (2), (100);
         alter table low enable row level security; create policy a_few on low to {role} using (id = 1);
         grant select on low to {role};
         grant usage on schema pgq, londiste to {role};
         grant all on all tables in schema pgq, londiste to {role};
         grant all on all sequences in schema pgq to {role};
         grant execute on all functions in schema pgq, londiste to {role}"
    ));
    let function = r
        .provider
        .value("select tgfoid::regprocedure from pg_trigger where tgrelid = 'low'::regclass and tgname like '%_t'");
    r.provider.sql(&format!("grant create on schema londiste to {role}; alter function {function} owner to {role}"));
    let error = r.provider.error("truncate low");
    assert_eq!(error.code, "42501", "{error}");
    assert!(error.message.contains("row-level security"), "{error}");
    assert_eq!(r.provider.value("select count(*) from t"), "3");
    r.provider.sql(&format!("alter function {function} owner to postgres; truncate low"));
    assert_eq!(events(&r.provider)[3..], ["t D id='1'", "t D id='2'"]);
}

#[test]
fn views_and_functions_of_another_owner_write_as_everybody_does() {
    for capture in ["statement", "row"] {
        let r = provider(capture, "create table t (id int primary key, v text)", "t");
        let (owner, role) = (create_role(&r, "owner"), create_role(&r, "writer"));
        r.provider.sql(&format!(
            "grant select, insert, update, delete on t to {owner};
             set role {owner};
             create view plain as select * from t;
             create view hooked as select id, upper(v) as v from t;
             create function hook() returns trigger language plpgsql security definer as $$
             begin
                 if tg_op = 'INSERT' then insert into t values (new.id, new.v); return new; end if;
                 if tg_op = 'UPDATE' then update t set v = new.v where id = old.id; return new; end if;
                 delete from t where id = old.id; return old;
             end $$;
             create trigger hook instead of insert or update or delete on hooked for each row execute procedure hook();
             create function sell(n int) returns void language sql security definer as
                 $$ insert into t values (n, 'sold'); update t set v = v || '!' where id = n $$;
             grant select, insert, update, delete on plain, hooked to {role}"
        ));
        let writer = session_as(&r, &role);
        assert_eq!(writer.error("insert into t values (0, 'direct')").code, "42501");
        writer.sql(
            "insert into hooked values (1, 'a'), (2, 'b'); update hooked set v = 'c' where id = 1; delete from hooked",
        );
        writer.sql("insert into plain values (3, 'p'); update plain set v = 'q'; delete from plain; select sell(4)");
        let expected = [
            "t I (id,v) values ('1','a')",
            "t I (id,v) values ('2','b')",
            "t U v='c' where id='1'",
            "t D id='2'",
            "t D id='1'",
            "t I (id,v) values ('3','p')",
            "t U v='q' where id='3'",
            "t D id='3'",
            "t I (id,v) values ('4','sold')",
            "t U v='sold!' where id='4'",
        ];
        assert_eq!(events(&r.provider), expected, "{capture}");
    }
}

#[test]
fn nobody_can_call_capture_or_put_it_on_a_table_of_his_own() {
    let r = provider("statement", "create table t (id int primary key, v text)", "t");
    r.provider.sql("create table u (id int primary key, v text)");
    r.provider.sql(&format!(
        "select londiste.provider_add_table_as('{}', 'public.u', 'row', 'sql', null)",
        crate::support::QUEUE
    ));
    let open = r.provider.column(
        "select oid::regprocedure from pg_proc where pronamespace in ('londiste'::regnamespace, 'pgq'::regnamespace)
         and prorettype = 'trigger'::regtype and has_function_privilege('public', oid, 'execute')",
    );
    assert_eq!(open, Vec::<String>::new());

    let role = format!("stranger_{}", r.provider.name());
    Cluster::provider().sql(&format!("create role {role}"));
    r.provider.sql(&format!("grant create, usage on schema public to {role}"));
    let stranger = session_as(&r, &role);
    stranger.sql("create table own (id int primary key, v text)");
    let functions = r.provider.column(
        "select oid::regproc from pg_proc where proname ~ '^capture_[0-9]+_' or proname = 'queue_changed' order by 1",
    );
    assert!(functions.len() >= 6, "{functions:?}");
    for function in &functions {
        assert_eq!(stranger.error(&format!("select {function}()")).code, "42501", "{function}");
        let attach = format!("create trigger x after insert on own for each row execute procedure {function}()");
        assert_eq!(stranger.error(&attach).code, "42501", "{function}");
    }
    // The rest of capture makes text out of text; nothing of it writes or shows what the caller may not see.
    let definers = r.provider.column(
        "select oid::regprocedure from pg_proc where pronamespace = 'londiste'::regnamespace and proname like 'capture%'
         and prosecdef and has_function_privilege('public', oid, 'execute')",
    );
    assert_eq!(definers, Vec::<String>::new());
    let refused = [
        "capture_generate('q', 't')",
        "provider_refresh_table('q', 't')",
        "provider_maintain('q')",
        "provider_maintain('q', 't')",
    ];
    for call in refused {
        assert_eq!(stranger.error(&format!("select londiste.{call}")).code, "42501", "{call}");
    }
    assert_eq!(events(&r.provider), Vec::<String>::new());
}

/// Whatever a writer calls `=`, `now` or `queue`, capture means the server's and its own. One column each has a type
/// whose output looks at the settings and one whose output does not: only functions for the former pin search_path.
#[test]
fn names_of_the_writer_are_not_those_of_capture() {
    for (capture, columns) in
        [("statement", "v text"), ("row", "v text"), ("statement", "v regclass"), ("row", "v regclass")]
    {
        let r = provider(capture, &format!("create table t (id int primary key, {columns})"), "t");
        let role = create_role(&r, "writer");
        r.provider.sql(&format!(
            "grant select, insert, update, delete, truncate on t to {role};
             grant create, temporary on database {} to {role}",
            r.provider.name()
        ));
        let writer = session_as(&r, &role);
        writer.sql(
            "create schema evil;
             create function evil.yes(int, int) returns boolean language sql as 'select true';
             create function evil.yes(text, text) returns boolean language sql as 'select true';
             create function evil.no(text, text) returns boolean language sql as 'select false';
             create function evil.cat(text, text) returns text language sql as $$ select 'evil'::text $$;
             create operator evil.= (procedure = evil.yes, leftarg = int, rightarg = int);
             create operator evil.= (procedure = evil.yes, leftarg = text, rightarg = text);
             create operator evil.<> (procedure = evil.no, leftarg = text, rightarg = text);
             create operator evil.|| (procedure = evil.cat, leftarg = text, rightarg = text);
             create function evil.now() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
             create function evil.format(text, variadic text[]) returns text language sql as $$ select 'evil'::text $$;
             create function evil.substr(text, int) returns text language sql as $$ select 'evil'::text $$;
             create function evil.concat(variadic text[]) returns text language sql as $$ select 'evil'::text $$;
             create function evil.md5(text) returns text language sql as $$ select 'evil'::text $$;
             create domain evil.text as pg_catalog.text check (value = 'never');
             create domain evil.int4 as pg_catalog.int4 check (value = 0);
             create domain evil.regclass as pg_catalog.regclass check (value is null);
             create temp table queue (queue_id int, queue_cur_table int, queue_name text);
             create temp table event_1_0 (ev_id int, ev_time int, ev_type int, ev_data int, ev_extra1 int);
             create temp table event_1 (ev_id int); create temp table capture (queue_name text);
             create temp table pg_class (oid oid); create temp table pg_attribute (attname name);
             create temp table londiste_new (id int, v text); create temp table londiste_old (id int, v text);
             set search_path = evil, pg_temp, pg_catalog, public",
        );
        let write = "insert into public.t values (1, 'pg_class'), (2, 'pg_type'); update public.t set v = 'pg_proc' where id operator(pg_catalog.=) 1;
                     delete from public.t where id operator(pg_catalog.=) 2; truncate public.t";
        // Names of system tables are values of both types. Here "pg_class" is that of the writer.
        let write = write.replace("'pg_class'", "'pg_catalog.pg_class'");
        writer.sql(&write);
        let name = if columns == "v text" { "pg_catalog.pg_class" } else { "pg_class" };
        let expected = [
            format!("t I (id,v) values ('1','{name}')"),
            "t I (id,v) values ('2','pg_type')".to_owned(),
            "t U v='pg_proc' where id='1'".to_owned(),
            "t D id='2'".to_owned(),
            "t R".to_owned(),
        ];
        assert_eq!(events(&r.provider), expected, "{capture}, {columns}");
        // The generic way, and a function that is compiled anew under these names.
        r.provider.sql("alter table t add column more int");
        writer.sql(&write);
        let generic: Vec<_> =
            events(&r.provider)[5..].iter().map(|e| e.replace(",more", "").replace(",NULL", "")).collect();
        assert_eq!(generic, expected, "{capture}, {columns}, after DDL");
        let late = "select count(*) from pgq.event_1 where ev_time < now() - interval '1 hour'";
        assert_eq!(r.provider.value(late), "0");
    }
}

/// A name may hold anything, also a line break and what looks like code after it.
#[test]
fn line_breaks_in_names_are_part_of_the_names() {
    for (capture, format) in [("statement", "sql"), ("row", "sql"), ("statement", "urlenc"), ("statement", "json")] {
        let r = Replication::new();
        let table = "\"t\nbegin raise exception 'not a name'; end; --\"";
        r.provider.sql(&format!("create table {table} (\"i\nd\" int primary key, \"v\n\n  --\" text)"));
        r.install();
        let add = format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.' || c.relname, '{capture}', '{format}', null)
             from pg_class c where c.relname like 't%begin raise%' and c.relkind = 'r'"
        );
        assert_eq!(r.provider.value(&add), "1");
        let write =
            format!("insert into {table} values (1, 'a'); update {table} set \"v\n\n  --\" = 'b'; delete from {table}");
        r.provider.sql(&write);
        let data =
            || r.provider.column("select ev_data from pgq.event_1 where ev_extra1 like 'public.t%' order by ev_id");
        let expected = match format {
            "sql" => {
                ["(\"i\nd\",\"v\n\n  --\") values ('1','a')", "\"v\n\n  --\"='b' where \"i\nd\"='1'", "\"i\nd\"='1'"]
            }
            "urlenc" => ["i%0ad=1&v%0a%0a++--=a", "i%0ad=1&v%0a%0a++--=b", "i%0ad=1&v%0a%0a++--=b"],
            _ => [r#"{"i\nd":1,"v\n\n  --":"a"}"#, r#"{"i\nd":1,"v\n\n  --":"b"}"#, r#"{"i\nd":1,"v\n\n  --":"b"}"#],
        };
        assert_eq!(data(), expected, "{capture}, {format}");
        r.provider.sql(&format!("alter table {table} alter column \"v\n\n  --\" type varchar"));
        r.provider.sql(&write);
        assert_eq!(data()[3..], expected, "{capture}, {format}, the generic way");
        let name = r.provider.value("select distinct ev_extra1 from pgq.event_1 where ev_extra1 like 'public.t%'");
        assert_eq!(name, "public.t\nbegin raise exception 'not a name'; end; --");
    }
}
