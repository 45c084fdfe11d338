//! Upgrade in place of a schema of PgQ 2.

use std::collections::BTreeSet;

use rlondiste::pgq::schema;

use super::{OWNER, consume, create_roles, empty_database_in, installed, session_as, tick, try_install, with_queue};
use crate::support::{Cluster, Database, Session};

/// A queue in the middle of its life: consumer `busy` has an active batch with event 2, a retried and a failed event;
/// event 3 is in no tick yet.
fn with_version_2() -> (Database, Session) {
    with_version_2_in(Cluster::provider())
}

fn with_version_2_in(cluster: &Cluster) -> (Database, Session) {
    let database = empty_database_in(cluster);
    let session = session_as(&database, OWNER);
    session.sql(include_str!("pgq_2.sql"));
    let insert = "insert into pgq.event_1_0 (ev_time, ev_type, ev_data) values (now(), 'type',";
    let tick = "insert into pgq.tick (tick_queue, tick_id) values (1, nextval('pgq.event_1_tick_seq'))";
    session.sql(tick);
    session.sql(&format!("{insert} 'one')"));
    session.sql(tick);
    session.sql(&format!("{insert} 'two')"));
    session.sql(tick);
    session.sql(&format!("{insert} 'three')"));
    session.sql(
        "insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick, sub_batch, sub_next_tick)
             values (1, 1, 2, nextval('pgq.batch_id_seq'), 3), (1, 2, 1, null, null);
         insert into pgq.retry_queue (ev_retry_after, ev_id, ev_time, ev_owner, ev_retry, ev_data)
             values (now(), 1, now(), 1, 1, 'retried');
         insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_id, ev_time, ev_owner, ev_data)
             values ('bad', now(), 1, now(), 1, 'failed');
         create table public.t (id int primary key, data text);
         create trigger old_logger after insert or update or delete on public.t
             for each row execute procedure pgq.logtriga('old', 'kv', 'public.t')",
    );
    (database, session)
}

#[test]
fn queues_ticks_events_and_consumers_stay() {
    let (_database, session) = with_version_2();
    try_install(&session).unwrap();
    assert_eq!(session.value("select pgq.version()"), "3.5");
    assert_eq!(session.value("select queue_ticker_max_count from pgq.get_queue_info('old')"), "77");
    assert_eq!(session.column("select tick_id from pgq.tick order by 1"), ["1", "2", "3"]);

    // The active batch goes on with its id.
    assert_eq!(session.value("select pgq.next_batch('old', 'busy')"), "1");
    assert_eq!(session.column("select ev_data from pgq.get_batch_events(1)"), ["two"]);
    session.sql("select pgq.finish_batch(1)");
    let batch = session.value("select pgq.next_batch('old', 'idle')");
    assert_eq!(session.column(&format!("select ev_data from pgq.get_batch_events({batch})")), ["one"]);

    assert_eq!(session.value("select pgq.failed_event_count('old', 'busy')"), "1");
    assert_eq!(session.value("select pgq.maint_retry_events()"), "1");
    session.sql("insert into public.t values (1, 'from the trigger')");
    session.sql("select pgq.force_tick('old'); select pgq.ticker('old')");
    let batch = session.value("select pgq.next_batch('old', 'busy')");
    assert_eq!(
        session.column(&format!("select ev_data from pgq.get_batch_events({batch})")),
        ["retried", "three", "(id,\"data\") values ('1','from the trigger')"]
    );
    session.sql(&format!("select pgq.event_retry({batch}, 3, 0), pgq.event_failed({batch}, 3, 'bad')"));
}

#[test]
fn ticker_sees_the_events_that_came_before_the_upgrade() {
    let (_database, session) = with_version_2();
    session.sql("update pgq.tick set tick_time = now() - interval '5 seconds' + tick_id * interval '1 millisecond'");
    try_install(&session).unwrap();
    assert_eq!(session.value("select pgq.ticker('old')"), "4");
}

#[test]
fn shape_is_that_of_a_new_schema() {
    const FUNCTIONS: &str =
        "select p.oid::regprocedure, pg_get_function_result(p.oid), pg_get_function_arguments(p.oid),
            p.prosecdef, p.provolatile, p.proisstrict, p.proconfig::text, md5(p.prosrc)
        from pg_proc p where p.pronamespace = 'pgq'::regnamespace order by p.oid::regprocedure::text";
    // The order of columns differs, and what a missing column was filled with.
    const COLUMNS: &str = "select c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' '
            || a.attnotnull || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
        from pg_class c join pg_attribute a on a.attrelid = c.oid
            left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relnamespace = 'pgq'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
          and c.relname !~ '^event_1' order by 1";
    const KEYS: &str = "select conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'pgq'::regnamespace and contype in ('p', 'u', 'f')
        union all
        select indexdef from pg_indexes
        where schemaname = 'pgq' and tablename = 'retry_queue' order by 1";
    let (_database, session) = with_version_2();
    try_install(&session).unwrap();
    let (_fresh_database, fresh) = installed();
    assert_eq!(session.rows(FUNCTIONS), fresh.rows(FUNCTIONS));
    let keys = |session: &Session| -> BTreeSet<String> {
        // PostgreSQL names keys and indexes by itself where version 2 did not.
        session.column(KEYS).iter().map(|key| key.replace("retry_queue_pkey", "rq_pkey")).collect()
    };
    assert_eq!(keys(&session), keys(&fresh));
    let (upgraded, new): (BTreeSet<_>, BTreeSet<_>) =
        (session.column(COLUMNS).into_iter().collect(), fresh.column(COLUMNS).into_iter().collect());
    let differences: Vec<_> = upgraded.symmetric_difference(&new).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// As every rlondiste before made it: the key of subscriptions was sub_id, to which retried and failed events referred.
#[test]
fn keys_of_an_older_rlondiste_become_those_of_version_3() {
    let (_database, session) = with_queue();
    session.sql(
        "select pgq.register_consumer('q', 'd');
         alter table pgq.subscription drop constraint subscription_pkey, drop constraint subscription_batch_idx,
             add constraint subscription_pkey primary key (sub_id), add constraint subscription_ukey unique (sub_queue, sub_consumer);
         alter table pgq.retry_queue drop constraint rq_queue_id_fkey,
             add constraint rq_owner_fkey foreign key (ev_owner) references pgq.subscription (sub_id);
         alter table pgq.failed_queue alter column ev_txid set not null, alter column ev_txid set default txid_current(),
             add constraint fq_owner_fkey foreign key (ev_owner) references pgq.subscription (sub_id);
         insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner) values (now(), 1, 1, now(), 1);
         insert into pgq.failed_queue (ev_failed_time, ev_id, ev_time, ev_owner) values (now(), 1, now(), 2)",
    );
    try_install(&session).unwrap();
    let keys = session.column(
        "select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
         where conrelid in ('pgq.subscription'::regclass, 'pgq.retry_queue'::regclass, 'pgq.failed_queue'::regclass)
           and contype in ('p', 'u', 'f') order by 1",
    );
    assert_eq!(
        keys,
        [
            "pgq.failed_queue fq_pkey PRIMARY KEY (ev_owner, ev_id)",
            "pgq.retry_queue rq_pkey PRIMARY KEY (ev_owner, ev_id)",
            "pgq.retry_queue rq_queue_id_fkey FOREIGN KEY (ev_queue) REFERENCES pgq.queue(queue_id)",
            "pgq.subscription sub_consumer_fkey FOREIGN KEY (sub_consumer) REFERENCES pgq.consumer(co_id)",
            "pgq.subscription sub_queue_fkey FOREIGN KEY (sub_queue) REFERENCES pgq.queue(queue_id)",
            "pgq.subscription subscription_batch_idx UNIQUE (sub_batch)",
            "pgq.subscription subscription_pkey PRIMARY KEY (sub_queue, sub_consumer)",
        ]
    );
    assert_eq!(session.value("select pgq.maint_retry_events()"), "1");
    session.sql("select pgq.unregister_consumer('q', 'd')");
    assert_eq!(session.value("select count(*) from pgq.failed_queue"), "0");
}

#[test]
fn clients_without_roles_go_on_and_admin_functions_close() {
    create_roles(&["pgq_test_nobody"]);
    let (database, session) = with_version_2();
    try_install(&session).unwrap();
    let nobody = session_as(&database, "pgq_test_nobody");
    nobody.sql("select pgq.insert_event('old', 'type', 'data'), pgq.register_consumer('old', 'new')");
    nobody.sql("select pgq.next_batch('old', 'idle'), count(*) from pgq.event_1");
    for admin in ["ticker()", "drop_queue('old')", "create_queue('new')", "maint_rotate_tables_step2()"] {
        assert_eq!(nobody.error(&format!("select pgq.{admin}")).code, "42501", "{admin}");
    }
    try_install(&session).unwrap();
    nobody.sql("select pgq.insert_event('old', 'type', 'data')");
    // Whoever closes it by hand finds it closed after the next install.
    session.sql("revoke execute on function pgq.insert_event(text, text, text) from public");
    try_install(&session).unwrap();
    for closed in ["insert_event('old', 'type', 'data')", "next_batch('old', 'idle')"] {
        assert_eq!(nobody.error(&format!("select pgq.{closed}")).code, "42501", "{closed}");
    }
}

#[test]
fn upgraded_queue_rotates() {
    let cluster = Cluster::builder().name("upgraded").start();
    let (_database, session) = with_version_2_in(&cluster);
    try_install(&session).unwrap();
    session.sql("update pgq.queue
        set queue_name = 'q', queue_rotation_period = '0', queue_ticker_max_count = 1;
        delete from pgq.retry_queue; delete from pgq.failed_queue;
        select pgq.unregister_consumer('q', 'busy'), pgq.unregister_consumer('q', 'idle'), pgq.register_consumer('q', 'c')");
    for round in 0..4 {
        session.sql(&format!("select pgq.insert_event('q', 'type', '{round}')"));
        tick(&session);
        let events = consume(&session).unwrap();
        assert_eq!(events.last().unwrap(), &round.to_string());
        assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "1");
        session.sql("select pgq.maint_rotate_tables_step2()");
    }
}

#[test]
fn failed_upgrade_changes_nothing() {
    let (_database, session) = with_version_2();
    session.sql("create view public.mine as select * from pgq.get_queue_info()");
    let error = try_install(&session).unwrap_err();
    assert_eq!(error.code, "2BP01");
    assert!(error.message.starts_with("upgrade.sql: cannot drop function pgq.get_queue_info()"), "{error}");
    assert_eq!(session.value("select pgq.version()"), "2.1.8");
}

/// The list of signatures in upgrade.sql is a copy of what the functions' files say; this compares the two.
#[test]
fn list_of_signatures_is_that_of_the_functions() {
    let (_database, session) = installed();
    session.sql("set search_path = pg_catalog");
    let upgrade = schema::FILES.iter().find(|(name, _)| *name == "upgrade.sql").unwrap().1;
    let start = upgrade.find("from (values").unwrap();
    let end = upgrade[start..].find(") as f (signature, result, arguments)").unwrap();
    let values = &upgrade[start + "from (".len()..start + end];
    let wrong = session.rows(&format!(
        "select f.signature, pg_get_function_result(p.oid), array_to_string(p.proargnames, ',')
         from ({values}) as f (signature, result, arguments)
             left join pg_proc p on p.oid = to_regprocedure(f.signature)
         where p.oid is null or pg_get_function_result(p.oid) <> f.result
            or coalesce(array_to_string(p.proargnames, ','), '') <> f.arguments"
    ));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
