//! `mirror_queue`: applied events go on into a queue on the subscriber, with the provider's ticks.

use pretty_assertions::assert_eq;

use crate::support::{
    Cluster, Database, Job, QUEUE, Replication, Session, assert_same_rows, compare, compare_tables, shop, wait_until,
    wait_until_ok,
};

const MIRROR: &str = "mirror-queue";

fn mirrored(r: Replication) -> Replication {
    let mut r = r;
    r.londiste.configure("mirror_queue", MIRROR);
    r.install();
    r
}

/// Reads the batches of a consumer up to a tick, one by one: their ticks, and what was in them.
fn read_to(session: &Session, queue: &str, last_tick: i64) -> Vec<(String, Vec<Vec<String>>)> {
    let mut batches = Vec::new();
    loop {
        let id = session.value(&format!("select pgq.next_batch('{queue}', 'reader')"));
        assert_ne!(id, "NULL", "the queue has no tick {last_tick}");
        let tick = session.value(&format!("select tick_id from pgq.get_batch_info({id})"));
        let sql = format!("select ev_id, ev_type, ev_data, ev_extra1, ev_retry from pgq.get_batch_events({id})");
        batches.push((tick.clone(), session.rows(&sql)));
        session.sql(&format!("select pgq.finish_batch({id})"));
        if tick.parse::<i64>().unwrap() >= last_tick {
            return batches;
        }
    }
}

fn last_tick(database: &Database, queue: &str) -> i64 {
    let sql = format!(
        "select max(tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = '{queue}'"
    );
    database.value(&sql).parse().unwrap()
}

#[test]
fn a_consumer_of_the_mirror_reads_the_events_of_the_provider_batch_by_batch() {
    let r = mirrored(Replication::new().with_shop().with_table("elsewhere", "id int primary key"));
    r.start();
    r.add("customers products orders order_lines StockMoves invoices");
    r.londiste.run("provider add elsewhere");
    r.wait_until_ok();
    wait_until("no table needs its snapshot any more", || {
        let left = r.subscriber.value("select count(*) from londiste.subscriber_table where snapshot is not null");
        if left == "0" { Ok(()) } else { Err(left) }
    });
    // Both readers begin at the same tick: replay stands still at its end.
    r.replay_until_in_sync();
    r.ticker.stop();
    let tick = last_tick(&r.provider, QUEUE);
    wait_until("the mirror has the last tick", || match last_tick(&r.subscriber, MIRROR) {
        found if found == tick => Ok(()),
        found => Err(found.to_string()),
    });
    for (database, queue) in [(&r.provider, QUEUE), (&r.subscriber, MIRROR)] {
        database.sql(&format!("select pgq.register_consumer('{queue}', 'reader')"));
    }
    r.ticker.start();
    let load = shop::crowd(&r.provider);
    // Other transactions of the subscriber make its snapshots less simple.
    let noise = r.subscriber.session();
    noise.sql("create table noise (id int)");
    noise.sql("begin; insert into noise values (1)");
    r.londiste.wait_for_log_after(r.londiste.log().len(), "{count: ");
    r.provider.sql("insert into elsewhere values (1); truncate invoices");
    r.londiste.kill9();
    r.londiste.start();
    for _ in 0..20 {
        r.subscriber.sql("insert into noise values (2)");
        r.provider.sql("insert into customers (name) values ('one more')");
    }
    noise.sql("commit");
    load.stop();
    r.replay_until_in_sync();
    r.ticker.stop();
    let tick = last_tick(&r.provider, QUEUE);
    wait_until("the mirror has the last tick", || match last_tick(&r.subscriber, MIRROR) {
        found if found == tick => Ok(()),
        found => Err(found.to_string()),
    });
    let mut expected = read_to(&r.provider.session(), QUEUE, tick);
    // The table is not subscribed.
    for (_, events) in &mut expected {
        events.retain(|event| event[3] != "public.elsewhere");
    }
    let events: usize = expected.iter().map(|(_, events)| events.len()).sum();
    assert!(events > 100, "{events}");
    let found = read_to(&r.subscriber.session(), MIRROR, tick);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_second_hop_follows_the_mirror() {
    let r = mirrored(Replication::new().with_shop());
    r.start();
    r.add("--all");
    r.wait_until_ok();
    let third = Cluster::provider().database();
    shop::build(&third);
    let hop = Job::londiste(r.scratch().path(), "hop", [r.subscriber.conninfo(), third.conninfo()], MIRROR);
    hop.run("provider install");
    hop.run("provider add --all");
    assert_eq!(hop.run("provider tables").stdout.lines().count(), shop::TABLES.len());
    let triggers = "select count(*) from pg_trigger where tgname like '%_logger%' and tgrelid <> 'pgq.queue'::regclass";
    assert_eq!(r.subscriber.value(triggers), "0");
    let load = shop::crowd(&r.provider);
    hop.run("subscriber install");
    hop.start();
    hop.run("subscriber add --all");
    wait_until_ok(&third);
    for job in [&r.londiste, &hop, &r.londiste] {
        job.log_contains("{count: ", || {});
        job.kill9();
        job.start();
    }
    r.provider.sql("truncate invoices");
    load.stop();
    r.assert_in_sync();
    let tables = compare_tables(&r.provider);
    wait_until("the second hop has everything", || compare(&r.provider, &third, &tables).map(drop));
    assert_same_rows(&r.subscriber, &third, &tables);
    hop.run("compare");
    hop.run("provider remove --all");
    assert_eq!(hop.run("provider tables").stdout, "");
}

#[test]
fn a_queue_that_cannot_be_written_to_stops_replay_with_the_reason() {
    let mut r = Replication::new().with_table("t", "id int primary key");
    r.install();
    r.londiste.configure("mirror_queue", MIRROR);
    r.start();
    let place = |r: &Replication| {
        let status = r.londiste.run("subscriber status").stdout;
        status.lines().find_map(|l| l.strip_prefix("Subscriber:  ").map(str::to_owned)).unwrap()
    };
    let message = |r: &Replication, why: &str| {
        format!("cannot write to mirror_queue \"{MIRROR}\" on subscriber ({}): {why}", place(r))
    };
    let text = message(&r, "rlondiste's schema pgq is not there\nHINT: Run \"rlondiste INI subscriber install\".");
    r.londiste.wait_for_log(&text);
    r.londiste.stop();
    r.londiste.run("subscriber install");
    r.subscriber.sql("update pgq.queue set queue_external_ticker = false");
    r.londiste.start();
    r.londiste.wait_for_log(&message(&r, "it has a ticker of its own\nHINT: "));
    r.londiste.stop();
    r.subscriber.sql("update pgq.queue set queue_external_ticker = true");
    r.londiste.start();
    r.add("t");
    r.wait_until_ok();
    r.provider.sql("insert into t values (1)");
    r.assert_in_sync();
}
