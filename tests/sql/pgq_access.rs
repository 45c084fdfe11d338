//! Who may do what, and what a caller cannot get a function to do.

use super::{OWNER, create_roles, empty_database, installed, session_as, tick, try_install, with_queue};

/// What everybody may execute in a schema whose roles exist.
const PUBLIC: &[&str] = &[
    "get_consumer_info()",
    "get_consumer_info(text)",
    "get_consumer_info(text,text)",
    "get_queue_info()",
    "get_queue_info(text)",
    "quote_fqname(text)",
    "rlondiste_version()",
    "rotation_blockers(text)",
    "seq_getval(text)",
    "tick_blockers(text)",
    "version()",
];

#[test]
fn every_definer_function_pins_its_search_path() {
    let (_database, session) = installed();
    let wrong = session.column(
        "select oid::regprocedure from pg_proc
         where pronamespace = 'pgq'::regnamespace and prosecdef
           and not coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false)",
    );
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn everybody_may_only_look() {
    let (_database, session) = installed();
    let public = session.column(
        "select replace(p.oid::regprocedure::text, 'pgq.', '') from pg_proc p
         where p.pronamespace = 'pgq'::regnamespace and has_function_privilege('public', p.oid, 'execute')
         order by 1",
    );
    assert_eq!(public, PUBLIC);
    let writable = session.column(
        "select c.oid::regclass from pg_class c where c.relnamespace = 'pgq'::regnamespace and c.relkind in ('r', 'S')
           and has_table_privilege('public', c.oid, 'insert, update, delete, truncate')",
    );
    assert!(writable.is_empty(), "{writable:?}");
}

#[test]
fn each_role_has_what_it_needs_and_no_more() {
    create_roles(&["pgq_test_reader", "pgq_test_writer", "pgq_test_admin"]);
    let (database, _session) = with_queue();
    database.sql(
        "grant pgq_reader to pgq_test_reader; grant pgq_writer to pgq_test_writer; grant pgq_admin to pgq_test_admin",
    );
    let writer = session_as(&database, "pgq_test_writer");
    writer.sql("select pgq.insert_event('q', 'type', 'data'), pgq.current_event_table('q')");
    assert_eq!(writer.error("select pgq.next_batch('q', 'c')").code, "42501");
    assert_eq!(writer.error("select pgq.ticker('q')").code, "42501");

    let admin = session_as(&database, "pgq_test_admin");
    admin.sql("select pgq.ticker('q'), pgq.create_queue('other'), pgq.insert_event('other', 'type', 'data')");
    admin.sql("select pgq.insert_event_raw('q', null, null, null, null, 'type', 'raw', null, null, null, null)");
    admin.sql("update pgq.queue set queue_rotation_period = '0'; select pgq.maint_retry_events()");
    admin.sql("select pgq.maint_rotate_tables_step1('other')");
    admin.sql("select pgq.maint_rotate_tables_step2(); select * from pgq.maint_operations()");
    admin.sql("select pgq.drop_queue('other'), pgq.set_queue_config('q', 'rotation_period', '1 hour')");

    let reader = session_as(&database, "pgq_test_reader");
    reader.sql("select pgq.register_consumer('q', 'mine'), pgq.force_tick('q')");
    let batch = reader.value("select pgq.next_batch('q', 'c')");
    assert_eq!(reader.value(&format!("select count(*) from pgq.get_batch_events({batch})")), "1");
    reader.sql(&format!("begin; select * from pgq.get_batch_cursor({batch}, 'walk', 10, 'ev_id > 0'); commit"));
    reader.sql(&format!("select pgq.event_retry({batch}, 1, 10), pgq.finish_batch({batch})"));
    reader.sql("select pgq.unregister_consumer('q', 'mine')");
    for forbidden in [
        "select pgq.insert_event('q', 'type', 'data')",
        "select pgq.ticker()",
        "select pgq.drop_queue('q', true)",
        "select pgq.maint_rotate_tables_step1('q')",
        "select pgq._insert_tick(1, 'q', null, now(), 1)",
        "truncate pgq.event_1_0",
        "delete from pgq.tick",
    ] {
        assert_eq!(reader.error(forbidden).code, "42501", "{forbidden}");
    }
}

#[test]
fn temporary_tables_and_functions_of_a_caller_are_not_used() {
    create_roles(&["pgq_test_reader"]);
    let (database, session) = with_queue();
    database
        .sql("grant pgq_reader, pgq_writer to pgq_test_reader; create schema evil; grant all on schema evil to public");
    session.sql("select pgq.insert_event('q', 'type', 'real')");
    tick(&session);

    let caller = session_as(&database, "pgq_test_reader");
    caller.sql(
        "create temp table queue as table pgq.queue; create temp table subscription as table pgq.subscription;
         create temp table tick as table pgq.tick; create temp table consumer as table pgq.consumer;
         create temp table pg_class (oid oid, relname text); create temp table event_1_0 as table pgq.event_1_0;
         create function evil.now() returns timestamptz as $$ begin raise 'evil now'; end $$ language plpgsql;
         create function evil.format(text, text) returns text as $$ begin raise 'evil format'; end $$ language plpgsql;
         create function evil.txid_current() returns bigint as $$ begin raise 'evil txid'; end $$ language plpgsql;
         create function evil.pg_notify(text, text) returns void as $$ begin raise 'evil notify'; end $$ language plpgsql;
         set search_path = pg_temp, evil, pg_catalog",
    );
    assert_eq!(caller.value("select pgq.insert_event('q', 'type', 'second')"), "5");
    let batch = caller.value("select pgq.next_batch('q', 'c')");
    assert_eq!(caller.column(&format!("select ev_data from pgq.get_batch_events({batch})")), ["real"]);
    assert_eq!(caller.value(&format!("select pgq.finish_batch({batch})")), "1");
    assert_eq!(caller.value("select count(*) from pgq.get_queue_info('q')"), "1");
    caller
        .sql("select pgq.force_tick('q'), pgq.register_consumer('q', 'other'), pgq.unregister_consumer('q', 'other')");
    assert_eq!(session.value("select sub_batch from pgq.subscription"), "NULL");
    assert_eq!(session.value("select count(*) from pgq.event_1"), "2");
}

#[test]
fn writer_of_a_table_with_a_queue_trigger_needs_no_right_on_the_queue() {
    create_roles(&["pgq_test_nobody"]);
    let (database, session) = with_queue();
    session.sql("revoke usage on schema pgq from public");
    for trigger in ["sqltriga", "logutriga", "jsontriga", "logtriga"] {
        let args = if trigger == "logtriga" { "'q', 'kv'" } else { "'q'" };
        session.sql(&format!(
            "create table public.{trigger} (id int primary key, data text);
             grant insert, update, delete, truncate, select on public.{trigger} to pgq_test_nobody;
             create trigger logger after insert or update or delete on public.{trigger}
                 for each row execute procedure pgq.{trigger}({args});
             create trigger truncated after truncate on public.{trigger}
                 for each statement execute procedure pgq.{trigger}({args})"
        ));
        session_as(&database, "pgq_test_nobody").sql(&format!(
            "set search_path = pg_temp; insert into public.{trigger} values (1, 'a'); update public.{trigger} set data = 'b';
             delete from public.{trigger}; truncate public.{trigger}"
        ));
    }
    assert_eq!(session.value("select count(*) from pgq.event_1"), "16");
}

#[test]
fn expressions_in_trigger_arguments_are_computed_only_for_trusted_owners() {
    create_roles(&["pgq_test_owner", "pgq_test_admin"]);
    let (database, session) = with_queue();
    database.sql(
        "grant pgq_writer to pgq_test_owner; grant pgq_admin to pgq_test_admin;
         create schema tables; grant all on schema tables to public",
    );
    let attach = |role: &str, args: &str| {
        let session = session_as(&database, role);
        session.sql(&format!(
            "drop table if exists tables.t; create table tables.t (id int primary key, data text);
             create trigger logger after insert on tables.t for each row execute procedure pgq.sqltriga('q', {args})"
        ));
        session.try_rows("insert into tables.t values (1, 'x')")
    };
    attach("pgq_test_owner", "'ev_type=data', 'ev_extra2=id'").unwrap();
    let error = attach("pgq_test_owner", "'ev_type=current_user'").unwrap_err();
    assert_eq!(error.code, "42501");
    assert_eq!(error.message, "expression in the arguments of a queue trigger on tables.t refused");
    assert!(error.hint.contains("grant pgq_admin to pgq_test_owner"), "{}", error.hint);
    assert_eq!(attach("pgq_test_owner", "'when=data is null'").unwrap_err().code, "42501");
    database.sql("drop table tables.t");
    attach("pgq_test_admin", "'ev_type=current_user'").unwrap();
    assert_eq!(session.column("select ev_type from pgq.event_1 order by ev_id"), ["x", OWNER]);
}

#[test]
fn state_of_queues_is_readable_by_everybody_and_their_events_are_not() {
    create_roles(&["pgq_test_nobody", "pgq_test_reader"]);
    let (database, session) = with_queue();
    let nobody = session_as(&database, "pgq_test_nobody");
    let check = || {
        for object in ["consumer", "queue", "tick", "subscription"] {
            nobody.sql(&format!("select * from pgq.{object}"));
        }
        nobody.sql("select last_value from pgq.event_1_id_seq; select last_value from pgq.event_1_tick_seq");
        for object in ["event_template", "event_1", "event_1_0", "event_1_2", "retry_queue", "failed_queue"] {
            assert_eq!(nobody.error(&format!("select * from pgq.{object}")).code, "42501", "{object}");
        }
    };
    check();
    try_install(&session).unwrap();
    check();

    database.sql("grant pgq_reader to pgq_test_reader");
    let reader = session_as(&database, "pgq_test_reader");
    reader.sql("select * from pgq.event_template; select * from pgq.event_1; select * from pgq.event_1_2");
    reader.sql("select * from pgq.retry_queue; select * from pgq.failed_queue");
}

#[test]
fn superuser_installs_too() {
    let database = empty_database();
    try_install(&database.session()).unwrap();
    assert_eq!(database.value("select pgq.create_queue('q')"), "1");
}

/// `pgq._grant_perms_from` is internal by its name, but PgQ 3's own grants call it.
#[test]
fn privileges_of_a_table_are_copied_to_another() {
    create_roles(&["pgq_test_nobody", "pgq_test_reader"]);
    let (database, session) = installed();
    session.sql(
        "create table public.source (a int); create table public.\"Odd target\" (a int);
         grant select on public.source to public; grant select, update on public.source to pgq_test_reader with grant option",
    );
    assert_eq!(session.value("select pgq._grant_perms_from('public', 'source', 'public', 'Odd target')"), "1");
    assert_eq!(session.value("select pgq._grant_perms_from('public', 'source', 'public', null)"), "NULL");
    session_as(&database, "pgq_test_nobody").sql("select * from public.\"Odd target\"");
    let reader = session_as(&database, "pgq_test_reader");
    reader.sql("update public.\"Odd target\" set a = 1; grant update on public.\"Odd target\" to pgq_test_nobody");
    assert_eq!(reader.error("delete from public.\"Odd target\"").code, "42501");
}
