//! Faults of the provider: capture, queue, consumers, transactions.

use super::Clinic;
use crate::support::{QUEUE, wait_until};

/// The name of a capture trigger of a table.
const TRIGGER: &str =
    "select tgname from pg_trigger where tgrelid = 'plain'::regclass and not tgisinternal order by 1 limit 1";

#[test]
fn capture_that_does_not_work_is_named_and_mended() {
    let clinic = Clinic::open();
    let provider = &clinic.r.provider;

    let trigger = provider.value(TRIGGER);
    provider.sql(&format!("drop trigger \"{trigger}\" on plain"));
    let finding = clinic.finds_and_mends("capture");
    assert!(finding.fact.contains("its capture triggers were dropped, disabled or changed"), "{finding:?}");

    let trigger = provider.value(TRIGGER);
    provider.sql(&format!("alter table plain disable trigger \"{trigger}\""));
    clinic.finds_and_mends("capture");

    clinic.r.subscriber.sql("alter table plain add column added text");
    provider.sql("alter table plain add column added text");
    let finding = clinic.finds_and_mends("capture-functions");
    assert_eq!((finding.object.as_str(), finding.level.as_str()), ("public.plain", "warning"));

    // Nothing is out of date in a table that is being adapted to what is done to it.
    let adapt = |ago: &str| {
        provider.sql(&format!(
            "update londiste.capture set update_level = 'row', adapted_at = now() - interval '{ago}' where table_name = 'public.plain'"
        ));
    };
    adapt("1 minute");
    clinic.wait_for(&[]);
    adapt("1 hour");
    clinic.finds_and_mends("capture-order");

    provider.sql(
        "create function note() returns trigger language plpgsql as 'begin return null; end';
         create trigger audit after update on plain for each row execute procedure note()",
    );
    clinic.finds_and_mends("capture-order");

    provider.sql("create table outside (id int primary key); insert into outside values (1)");
    let found = clinic.wait_for(&["written-outside"]);
    assert!(found[0].fact.ends_with("not in the set of a queue: public.outside"), "{found:?}");
    provider.sql("select pgq.create_queue('second'), londiste.provider_add_table('second', 'public.outside')");
    clinic.wait_for(&[]);
    provider.sql("select londiste.provider_remove_table('second', 'public.outside'), pgq.drop_queue('second', true)");
    let found = clinic.wait_for(&["written-outside"]);
    clinic.mend(&found[0]);
    let found = clinic.wait_for(&["not-subscribed"]);
    clinic.r.subscriber.sql("create table outside (id int primary key)");
    clinic.mend(&found[0]);
    clinic.wait_for(&[]);

    provider.sql("create table \"Plain\" (id int primary key)");
    clinic.wait_for(&["similar-names"]);
    provider.sql("drop table \"Plain\"");

    clinic.r.londiste.run("provider remove-seq invoice_number");
    clinic.r.londiste.run("subscriber remove-seq invoice_number");
    clinic.r.londiste.run("provider add-seq invoice_number");
    let finding = clinic.finds_and_mends("not-subscribed");
    assert_eq!(finding.fact, "1 sequence of the set not subscribed: public.invoice_number");
}

#[test]
fn queues_and_consumers_that_stand_still_are_named_and_mended() {
    let clinic = Clinic::open();
    let provider = &clinic.r.provider;
    let setting = |name: &str, value: &str| provider.sql(&format!("update pgq.queue set {name} = '{value}'"));

    setting("queue_ticker_paused", "true");
    clinic.finds_and_mends("queue");

    // A consumer that was registered and has not come for 20 hours.
    // The consumer of a copy may take its time.
    for name in ["other one", "some_copy"] {
        provider.sql(&format!("select pgq.register_consumer('{QUEUE}', '{name}')"));
    }
    let ticks = "select count(*) from pgq.tick where tick_id > (select max(sub_last_tick) from pgq.subscription s
        join pgq.consumer c on c.co_id = s.sub_consumer where c.co_name = 'other one')";
    wait_until("there are some ticks more", || match provider.value(ticks) {
        number if number.parse::<i64>().unwrap() > 3 => Ok(()),
        number => Err(number),
    });
    provider.sql(
        "update pgq.tick set tick_time = tick_time - interval '20 hours' where tick_id = (
             select min(t.tick_id) from pgq.tick t, pgq.subscription s, pgq.consumer c
             where c.co_id = s.sub_consumer and c.co_name = 'other one' and t.tick_id > s.sub_last_tick)",
    );
    let found = clinic.wait_for(&["consumer-lag"]);
    assert_eq!(found[0].object, "consumer other one");
    provider.sql(
        "update pgq.subscription set sub_active = now() - interval '20 hours'
         where sub_consumer in (select co_id from pgq.consumer where co_name in ('other one', 'some_copy'))",
    );
    let finding = clinic.finds_and_mends("consumer-dead");
    assert!(finding.fact.contains("last seen 72"), "{finding:?}");

    // With a rotation period of a second, everything that is open for longer is in the way.
    let rotate = || {
        provider.sql(&format!("select pgq.maint_rotate_tables_step1('{QUEUE}')"));
        provider.sql("select pgq.maint_rotate_tables_step2()");
    };
    let open = provider.session();
    open.sql("set application_name = 'sleeper'; begin; create table never (id int)");
    setting("queue_rotation_period", "1 second");
    provider.sql("update pgq.queue set queue_switch_time = now() - interval '1 hour'");
    rotate();
    let found = clinic.wait_for(&["long-transaction", "rotation"]);
    assert!(found.iter().all(|finding| finding.fact.contains("application \"sleeper\"")), "{found:?}");
    clinic.mend(&found[0]);
    setting("queue_rotation_period", "1 hour");
    clinic.wait_for(&[]);

    provider.session().sql("begin; create table never (id int); prepare transaction 'left over'");
    setting("queue_rotation_period", "1 second");
    provider.sql("update pgq.queue set queue_switch_time = now() - interval '1 hour'");
    rotate();
    let found = clinic.wait_for(&["prepared-transaction", "rotation"]);
    let prepared = found.iter().find(|finding| finding.check == "prepared-transaction").unwrap();
    assert_eq!(prepared.object, "provider \"left over\"");
    clinic.mend(prepared);
    setting("queue_rotation_period", "1 hour");
    clinic.wait_for(&[]);

    provider.sql(
        "insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_id, ev_time, ev_owner)
         select 'no', now(), 1, now(), sub_id from pgq.subscription",
    );
    let found = clinic.wait_for(&["failed-events"]);
    assert!(found[0].fact.starts_with("has given up 1 events"), "{found:?}");
    provider.sql("delete from pgq.failed_queue");
    clinic.wait_for(&[]);
}

#[test]
fn schema_that_is_open_full_or_of_another_server_is_named_and_mended() {
    let clinic = Clinic::open();
    let provider = &clinic.r.provider;

    provider.sql("select pgq.grant_right('public', 'writer')");
    let finding = clinic.finds_and_mends("public-rights");
    assert!(finding.fact.starts_with("Every role may put events into the queues of this database"), "{finding:?}");

    provider.sql("select pgq.create_queue('second'), londiste.provider_add_table('second', 'public.plain')");
    // The ticker may make a tick of it at any time.
    provider.sql(
        "lock table pgq.tick in share row exclusive mode;
         delete from pgq.tick where tick_queue = (select queue_id from pgq.queue where queue_name = 'second');
         delete from pgq.queue where queue_name = 'second'",
    );
    let finding = clinic.finds_and_mends("lost-queue");
    assert_eq!((finding.object.as_str(), finding.level.as_str()), ("queue second", "error"));

    clinic.provider.append_conf("autovacuum = off");
    clinic.provider.reload();
    clinic.wait_for(&["autovacuum"]);
    provider.sql("insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner)
                  select now() + interval '1 day', queue_id, i, now(), 1000 from pgq.queue, generate_series(1, 30000) i");
    provider.sql("delete from pgq.retry_queue");
    let found = clinic.wait_for(&["autovacuum", "queue-bloat"]);
    let bloat = found.iter().find(|finding| finding.check == "queue-bloat").unwrap();
    assert_eq!(
        (bloat.object.as_str(), bloat.fact.as_str()),
        ("pgq.retry_queue", "has 30000 dead rows and 0 live ones")
    );
    for finding in &found {
        clinic.mend(finding);
    }
    clinic.wait_for(&[]);

    provider.sql("update pgq.queue set queue_switch_step1 = queue_switch_step1 + 1000000");
    let finding = clinic.finds_and_mends("transaction-counter");
    assert!(finding.fact.contains("The database was restored into another cluster"), "{finding:?}");

    // What is not replicated is a fact, which a switchover has to take into account.
    provider.sql("create materialized view seen as select 1 as one; select lo_create(0); create table empty (id int primary key)");
    provider.sql("create index on plain (v)");
    clinic.wait_for(&[]);
    let text = clinic.r.londiste.program(["doctor", "-v"]).run().stdout;
    for fact in [
        "not replicated: 1 large object, 1 materialized view",
        "1 table not replicated: public.empty",
        "1 index of the provider not on the subscriber: plain_v_idx",
    ] {
        assert!(text.contains(fact), "{text}");
    }
}

#[test]
fn consumer_that_was_unregistered_is_named_and_mended() {
    let clinic = Clinic::open();
    clinic.r.provider.sql(&format!("select pgq.unregister_consumer('{QUEUE}', 'db1-londiste')"));
    clinic.r.londiste.kill();
    let found = clinic.wait_for(&["position", "process"]);
    let position = found.iter().find(|finding| finding.check == "position").unwrap();
    assert!(position.fact.starts_with("is not registered on queue db1-londiste-queue"), "{position:?}");
    clinic.mend(position);
    clinic.wait_for(&[]);
}
