//! Faults of the subscriber: structure, states, triggers, sequences.

use super::Clinic;

#[test]
fn tables_that_differ_are_named_and_mended() {
    let clinic = Clinic::open();
    let subscriber = &clinic.r.subscriber;

    subscriber.sql("alter table orders drop column note");
    let finding = clinic.finds_and_mends("columns");
    assert_eq!((finding.object.as_str(), finding.level.as_str()), ("public.orders", "error"));

    subscriber.sql("alter table orders alter column note type varchar(50)");
    clinic.finds_and_mends("column-types");

    subscriber.sql("alter table plain alter column v set not null");
    clinic.finds_and_mends("not-null");

    subscriber.sql(
        "alter table plain add column must int not null default 1; alter table plain alter column must drop default",
    );
    clinic.finds_and_mends("not-null");

    subscriber.sql("alter table plain drop constraint plain_pkey");
    let finding = clinic.finds_and_mends("table-key");
    assert!(finding.fix.unwrap().ends_with("add primary key (\"id\");"));

    subscriber.sql("create unique index once on plain (ref)");
    clinic.finds_and_mends("unique-indexes");

    subscriber
        .sql("create table lonely (id int primary key); alter table plain add foreign key (ref) references lonely");
    clinic.finds_and_mends("outside-foreign-keys");

    subscriber.sql("drop table plain");
    let found = clinic.wait_for(&["table-missing"]);
    assert!(found[0].fix.as_ref().unwrap().starts_with("pg_dump -s -t "), "{found:?}");
    subscriber.sql(super::PLAIN);
    clinic.wait_for(&[]);

    // A key that was chosen on the provider needs no index for replay to work, only to be fast.
    let keyless = "create table chosen (a int not null, b text)";
    clinic.r.provider.sql(keyless);
    subscriber.sql(keyless);
    subscriber.sql("create index on chosen (a)");
    clinic.r.londiste.run("provider add chosen --key=a");
    clinic.r.londiste.run("subscriber add chosen");
    clinic.wait_for(&[]);
    subscriber.sql("drop index chosen_a_idx");
    let finding = clinic.finds_and_mends("key-index");
    assert_eq!(finding.fix.unwrap(), "on subscriber: create index concurrently on \"public\".\"chosen\" (\"a\");");
}

#[test]
fn tables_that_wait_or_may_be_lost_are_named_and_mended() {
    let clinic = Clinic::open();
    let (provider, subscriber) = (&clinic.r.provider, &clinic.r.subscriber);

    subscriber.sql("alter table plain set unlogged");
    let finding = clinic.finds_and_mends("unlogged");
    assert_eq!(finding.object, "subscriber public.plain");

    subscriber.sql(
        "create function note() returns trigger language plpgsql as 'begin return null; end';
         create trigger always after insert on plain for each row execute procedure note();
         alter table plain enable always trigger always",
    );
    clinic.finds_and_mends("firing-triggers");
    subscriber.sql("drop trigger always on plain");

    // Replay waits for whoever holds a table.
    let holder = subscriber.session();
    holder.sql("set application_name = 'holder'; begin; lock table plain in access exclusive mode");
    provider.sql("update plain set v = 'waits' where id = 2");
    let finding = clinic.finds_and_mends("blocked-session");
    assert!(finding.fact.contains("application \"holder\""), "{finding:?}");

    subscriber.sql("select londiste.subscriber_add_table('other', 'public.plain')");
    let found = clinic.wait_for(&["other-queue"]);
    assert_eq!(found[0].fact, "queue other writes to it too");
    subscriber.sql("select londiste.subscriber_remove_table('other', 'public.plain')");

    if subscriber.major() >= 13 {
        subscriber.sql(
            "alter table plain drop column ref; alter table plain add column ref int generated always as (id) stored",
        );
        clinic.finds_and_mends("generated-columns");
    }

    // An event of a column that the subscriber does not have parks the table.
    subscriber.sql("alter table plain drop column v");
    provider.sql("update plain set v = 'changed' where id = 1");
    let found = clinic.wait_for(&["columns", "parked"]);
    let column = found.iter().find(|finding| finding.check == "columns").unwrap();
    clinic.mend(column);
    clinic.wait_for(&[]);

    provider.sql("insert into customers (id, name) values (1000000, 'far ahead')");
    let finding = clinic.finds_and_mends("sequence-behind");
    assert_eq!(finding.object, "provider public.customers_id_seq");
    assert!(finding.fact.contains("column id of public.customers has 1000000 already"), "{finding:?}");

    subscriber.sql("alter sequence products_id_seq maxvalue 600");
    provider.sql("select setval('products_id_seq', 1000)");
    clinic.finds_and_mends("sequence-values");

    // Copied again with a row that its foreign key does not allow.
    subscriber.sql("set session_replication_role = replica; delete from customers where id = (select min(customer_id) from orders)");
    clinic.r.londiste.run("subscriber resync orders");
    let found = clinic.wait_for(&["pending-foreign-keys"]);
    assert!(found[0].fact.starts_with("foreign key orders_customer_id_fkey could not be restored"), "{found:?}");
}

/// Tables that are `ok` and known not to have the provider's rows.
#[test]
fn rows_that_are_known_to_differ_are_named_and_mended() {
    let mut clinic = Clinic::open();
    clinic.r.londiste.configure("verify_interval", "2s");
    let (r, provider, subscriber) = (&clinic.r, &clinic.r.provider, &clinic.r.subscriber);
    subscriber.sql("alter table plain add constraint good check (v <> 'bad')");
    provider.sql("update plain set v = 'bad' where id = 1");
    r.londiste.wait_for_log("violates check constraint");
    let event = provider.value("select max(ev_id) from pgq.event_1 where ev_data like '%bad%'");
    r.londiste.run(&format!("subscriber skip-event {event}"));
    r.replay_until_in_sync();
    subscriber.sql("alter table plain drop constraint good");
    let finding = clinic.finds_and_mends("skipped-events");
    assert_eq!(finding.fact, format!("event {event} was left out by \"subscriber skip-event\""));
    assert_eq!(subscriber.value("select v from plain where id = 1"), "bad");

    r.londiste.run("-r");
    subscriber.sql("update plain set v = 'other' where id = 2");
    let finding = clinic.finds_and_mends("differing-rows");
    assert_eq!((finding.object.as_str(), finding.level.as_str()), ("public.plain", "error"));
    assert!(finding.fact.contains("1 row differs") && finding.fact.contains("(id) = (2): changed"), "{finding:?}");
    assert_eq!(subscriber.value("select v from plain where id = 2"), "v");
}

/// Between two tries of a batch that fails, replay has no session.
#[test]
fn replay_that_tries_in_vain_is_named() {
    let clinic = Clinic::open();
    let (r, subscriber) = (&clinic.r, &clinic.r.subscriber);
    subscriber.sql("insert into plain (id) values (4711)");
    r.provider.sql("insert into plain (id) values (4711)");
    r.londiste.wait_for_log("duplicate key");
    let found = clinic.wait_for(&["position"]);
    assert_eq!(found[0].level, "error");
    let begin = "no batch was applied since the error of ";
    assert!(found[0].fact.starts_with(begin) && found[0].fact.contains("duplicate key"), "{found:?}");
    for _ in 0..5 {
        let status = r.londiste.run("subscriber status").stdout;
        assert!(status.contains("Behind:      error: no batch was applied since the error: "), "{status}");
        assert!(!status.contains("replay-down") && !status.contains("Up to date:"), "{status}");
    }
    subscriber.sql("delete from plain where id = 4711");
    r.replay_until_in_sync();
    clinic.wait_for(&[]);
}
