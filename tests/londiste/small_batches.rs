//! Small batches, which go a short way as long as nothing but plain changes happens.

use super::sequences::statements;
use crate::support::{Cluster, QUEUE, Replication, wait_until};

/// Replication without a ticker, whose table has its copy behind it.
fn settled(r: Replication) -> Replication {
    let mut r = r.with_table("t", "id int primary key, v int").up();
    r.provider.sql("insert into t values (0, 0)");
    r.replay_until_in_sync();
    wait_until("no snapshot is left", || {
        let left = r.subscriber.column("select table_name from londiste.subscriber_table where snapshot is not null");
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
    r.ticker.stop();
    r.londiste.stop();
    // Only ticks wake replay, so that it asks for nothing in between.
    r.londiste.configure("loop_delay", "600");
    r.londiste.start();
    r
}

/// Writes, and waits until the batch is finished.
fn batch(r: &Replication, sql: &str) {
    r.provider.sql(&format!("begin; {sql}; commit; select pgq.force_tick('{QUEUE}')"));
    let tick = r.provider.value(&format!("select pgq.ticker('{QUEUE}')"));
    let finished = format!("select sub_last_tick = {tick} and sub_batch is null from pgq.subscription");
    wait_until("the batch is finished", || match r.provider.value(&finished).as_str() {
        "t" => Ok(()),
        other => Err(other.to_owned()),
    });
}

#[test]
fn a_small_batch_takes_one_call_on_the_provider_and_two_messages_on_the_subscriber() {
    let servers = ["short-provider", "short-subscriber"]
        .map(|name| Cluster::builder().name(name).conf("log_statement = all").start());
    let servers = [&servers[0], &servers[1]];
    let r = settled(Replication::between(servers[0], servers[1]));
    // The first batch takes the long way, which finishes it before the next look. The second one is finished by that look.
    batch(&r, "insert into t values (1, 1)");
    batch(&r, "insert into t values (2, 2)");
    for id in 3..6 {
        let before = statements(&r, servers);
        batch(
            &r,
            &format!(
                "insert into t values ({id}, 0); update t set v = v + 1 where id = {id}; delete from t where id = 0"
            ),
        );
        let after = statements(&r, servers);
        let [provider, subscriber] = [0, 1].map(|side| &after[side][before[side].len()..]);
        // The second call finishes the batch, and tells the ticker that replay waits.
        let calls = provider.iter().filter(|said| said.contains("b.has_all_events")).count();
        assert_eq!((provider.len(), calls), (2, 2), "{provider:#?}");
        let is_read = |said: &&String| ["execute", ": select"].iter().all(|part| said.contains(part));
        let is_more = |said: &&String| said.contains("with moved as");
        let messages: Vec<&String> = subscriber.iter().filter(|said| !is_read(said) && !is_more(said)).collect();
        let starts: Vec<bool> =
            messages.iter().map(|said| said.contains("begin; ") && said.contains("rlondiste.batch")).collect();
        assert_eq!(starts, [true, false], "{messages:#?}");
        assert!(messages[1].contains("; commit"), "{messages:#?}");
        assert_eq!(subscriber.iter().filter(is_more).count(), 1, "{subscriber:#?}");
    }
    assert_eq!(r.subscriber.rows("select * from t order by 1"), r.provider.rows("select * from t order by 1"));
}

/// Each step is applied by the short way or leads to the long one; the log must not show an error for it.
#[test]
fn what_is_not_as_it_was_goes_the_long_way() {
    let r = settled(Replication::new());
    batch(&r, "insert into t values (1, 1)");
    let seen = || r.subscriber.value("select last_tick_id from londiste.completed where consumer_id = 'db1-londiste'");
    for (id, change) in [
        "select",
        "alter table t alter v type bigint",
        "create unique index on t (v); alter table t add unique (v) deferrable",
        "alter table t rename to old; create table t (like old including all); insert into t select * from old; drop table old",
        "delete from t where id = 2",
        "create table gone (id int); drop table gone",
    ]
    .iter()
    .enumerate()
    .map(|(i, change)| (i + 2, change))
    {
        let before = seen();
        r.subscriber.sql(change);
        batch(&r, &format!("insert into t values ({id}, {id}); update t set v = v + 100 where id = {id}"));
        batch(&r, &format!("update t set v = v + 1000 where id in (2, {id})"));
        assert_ne!(seen(), before, "{change}");
        let rows = "select id, v::int from t where id not in (0, 2) order by 1";
        assert_eq!(r.subscriber.rows(rows), r.provider.rows(rows), "{change}");
    }
    assert_eq!(r.subscriber.value("select count(*) from t where id = 2"), "0", "it was deleted by hand");
    let log = r.londiste.log();
    assert!(!log.contains("ERROR") && log.contains("rows to update or delete were not found: public.t (1)"), "{log}");
}

/// A table that a command has changed since the last batch, and an order to skip an event.
#[test]
fn states_and_orders_are_seen_by_the_next_batch() {
    let r = settled(Replication::new().with_table("u", "id int primary key"));
    batch(&r, "insert into t values (1, 1); insert into u values (1)");
    batch(&r, "insert into t values (2, 2); insert into u values (2)");
    r.londiste.run("subscriber remove u");
    batch(&r, "insert into t values (3, 3); insert into u values (3)");
    batch(&r, "insert into t values (4, 4); insert into u values (4)");
    assert_eq!(r.subscriber.column("select id from t order by 1"), ["0", "1", "2", "3", "4"]);
    assert_eq!(r.subscriber.column("select id from u order by 1"), ["1", "2"]);
}
