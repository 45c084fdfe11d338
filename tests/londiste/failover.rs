//! The provider goes on from an earlier point of its life: a standby that had not received the last ticks was promoted, or
//! a backup restored. The ids of these ticks are given out again, for other ticks. And a database that was copied as a
//! whole has the position of the one it was copied from.
//!
//! The standby is made by `create database ... template ...`, and takes the provider's name when it is promoted.

use std::time::Duration;

use crate::support::{
    Cluster, Database, QUEUE, Replication, assert_same_rows, replay_until_in_sync, wait_until, wait_within,
};

const CONSUMER: &str = "the-reader";

/// Runs statements in database `postgres` until they succeed: sessions that have just ended still count as open.
fn sql_when_nobody_is_connected(cluster: &Cluster, database: &str, sql: &str) {
    wait_until(&format!("nobody is connected to {database}"), || {
        let session = crate::support::Session::connect(&cluster.socket_conninfo("postgres")).unwrap();
        session.try_rows(sql).map(drop)
    });
}

/// A copy of a database as it is now.
fn copy_of(cluster: &Cluster, database: &Database, name: &str) -> Database {
    let copy = Database::existing(cluster, name);
    let from = database.name();
    sql_when_nobody_is_connected(cluster, from, &format!("create database {name} template {from}"));
    copy
}

/// The provider, a standby of it, and a subscriber. Every tick is made by the test.
struct Pair {
    standby: Database,
    r: Replication,
}

impl Pair {
    /// In sync at the last tick; the standby has received all of it, and nothing later.
    fn new() -> Pair {
        let mut r = Replication::new().with_table("t", "id int primary key, v text");
        r.londiste.configure("pgq_consumer_id", CONSUMER);
        r.provider.sql("insert into t values (0, 'before')");
        let r = r.up();
        replay_until_in_sync(&r.provider, CONSUMER);
        wait_until("the table needs its snapshot no more", || {
            let left = r.subscriber.value("select count(*) from londiste.subscriber_table where snapshot is not null");
            if left == "0" { Ok(()) } else { Err(left) }
        });
        r.ticker.stop();
        wait_until("every tick is applied", || {
            let behind = r.provider.value("select max(tick_id) from pgq.tick") != position(&r.provider)
                || r.provider.value("select count(*) from pgq.subscription where sub_batch is not null") != "0";
            if behind { Err("not yet") } else { Ok(()) }
        });
        r.londiste.stop();
        let standby = copy_of(Cluster::provider(), &r.provider, &format!("{}_standby", r.provider.name()));
        Pair { standby, r }
    }

    /// Changes of the old provider that the standby never gets, each in a tick of its own; the subscriber has them.
    fn lost(&self, ids: std::ops::Range<u32>) {
        self.r.londiste.start();
        for id in ids {
            self.r.provider.sql(&format!("insert into t values ({id}, 'of the old provider')"));
            let end = tick(&self.r.provider);
            wait_until(&format!("tick {end} is applied"), || {
                let applied = position(&self.r.provider);
                if applied == end { Ok(()) } else { Err(applied) }
            });
        }
        self.r.londiste.stop();
    }

    /// The standby takes the place of the provider; the old one is returned, so that it goes away with the test.
    fn promote(&self) -> Database {
        let name = self.r.provider.name();
        let old = format!("{name}_old");
        let cluster = Cluster::provider();
        sql_when_nobody_is_connected(cluster, name, &format!("alter database {name} rename to {old}"));
        let standby = self.standby.name();
        sql_when_nobody_is_connected(cluster, standby, &format!("alter database {standby} rename to {name}"));
        Database::existing(cluster, &old)
    }

    /// A change of the new provider in a tick of its own.
    fn new_row(&self, id: u32) {
        self.r.provider.sql(&format!("insert into t values ({id}, 'of the new provider')"));
        tick(&self.r.provider);
    }

    fn ids(&self) -> Vec<String> {
        self.r.subscriber.column("select id from t order by id")
    }

    /// Waits until replay has stopped with a report that has all of these words and none of those.
    #[track_caller]
    fn assert_stops(&self, words: &[&str], none: &[&str]) {
        wait_within(Duration::from_mins(1), &format!("replay stops and says {words:?}, not {none:?}"), || {
            let log = self.r.londiste.log();
            let says = |report: &str| {
                // Up to the next line of the log: DETAIL and HINT belong to it.
                let report = report.split("\n20").next().unwrap_or_default();
                words.iter().all(|word| report.contains(word)) && !none.iter().any(|word| report.contains(word))
            };
            if log.split(" CRITICAL ").skip(1).any(says) {
                return Ok(());
            }
            Err(format!("rows {:?}\n{}", self.ids(), log.lines().rev().take(4).collect::<Vec<_>>().join("\n")))
        });
    }

    /// `--rewind` would mix two timelines.
    #[track_caller]
    fn assert_rewind_refuses(&self) {
        let before = (position(&self.r.provider), applied(&self.r.subscriber));
        self.r.londiste.program(["--rewind"]).status(1).run();
        assert_eq!((position(&self.r.provider), applied(&self.r.subscriber)), before);
    }

    /// What the report says helps: everything is copied again.
    fn copy_again(&self) {
        self.r.londiste.run("subscriber resync --all");
        self.r.londiste.start();
        self.r.ticker.start();
        self.r.wait_until_ok();
        replay_until_in_sync(&self.r.provider, CONSUMER);
        assert_same_rows(&self.r.provider, &self.r.subscriber, &["t"]);
        self.r.londiste.run("subscriber check");
    }
}

/// Makes a tick, and returns its id.
fn tick(provider: &Database) -> String {
    let session = provider.session();
    session.sql(&format!("select pgq.force_tick('{QUEUE}')"));
    session.value(&format!("select pgq.ticker('{QUEUE}')"))
}

fn position(provider: &Database) -> String {
    provider.value(&format!(
        "select sub_last_tick from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name = '{CONSUMER}'"
    ))
}

fn applied(subscriber: &Database) -> String {
    subscriber.value(&format!("select last_tick_id from londiste.completed where consumer_id = '{CONSUMER}'"))
}

#[test]
fn tick_that_was_given_out_again_is_not_taken_for_the_old_one() {
    let pair = Pair::new();
    pair.lost(1..2);
    let _old = pair.promote();
    pair.new_row(101);
    assert_eq!(applied(&pair.r.subscriber), pair.r.provider.value("select max(tick_id) from pgq.tick"));
    pair.r.londiste.start();
    pair.assert_stops(&["resync --all"], &["with --rewind"]);
    pair.r.londiste.stop();
    pair.assert_rewind_refuses();
    pair.copy_again();
}

#[test]
fn subscriber_that_is_ahead_of_its_provider_is_not_sent_back() {
    let pair = Pair::new();
    pair.lost(1..4);
    let _old = pair.promote();
    pair.new_row(101);
    pair.r.londiste.start();
    pair.assert_stops(&["resync --all"], &["with --rewind"]);
    let status = pair.r.londiste.program(["subscriber", "status"]).output().stdout;
    assert!(status.contains("ahead"), "{status}");
    pair.r.londiste.program(["subscriber", "check"]).status(1).run();
    pair.r.londiste.stop();
    pair.assert_rewind_refuses();
    // The tick of the subscriber's position is there again, and means another one.
    pair.new_row(102);
    pair.new_row(103);
    assert_eq!(applied(&pair.r.subscriber), pair.r.provider.value("select max(tick_id) from pgq.tick"));
    pair.assert_rewind_refuses();
    pair.copy_again();
}

#[test]
fn ticks_that_pass_the_old_position_do_not_hide_it() {
    let pair = Pair::new();
    pair.lost(1..4);
    let _old = pair.promote();
    for id in 101..106 {
        pair.new_row(id);
    }
    pair.assert_rewind_refuses();
    pair.r.londiste.start();
    pair.assert_stops(&["resync --all"], &["with --rewind"]);
    pair.r.londiste.stop();
    pair.copy_again();
}

/// An earlier copy of the lost life had applied a tick that has the number of the tick at which the next copy begins.
#[test]
fn copy_does_not_take_over_the_time_of_an_earlier_tick_of_the_same_number() {
    let pair = Pair::new();
    let r = &pair.r;
    pair.lost(1..2);
    let _old = pair.promote();
    pair.new_row(101);
    let begin = r.provider.value("select max(tick_id) from pgq.tick");
    r.subscriber.sql(&format!(
        "insert into londiste.completed_tick values ('{CONSUMER}_copy', {begin}, '2020-01-01 00:00:00')
         on conflict (consumer_id) do update set tick_id = excluded.tick_id, tick_time = excluded.tick_time"
    ));
    r.londiste.run("subscriber resync --all");
    r.londiste.start();
    wait_until("the copy is done", || {
        let state = r.subscriber.value("select merge_state from londiste.subscriber_table");
        if state.starts_with("ok") || state.contains("sync") || state == "catching-up" { Ok(()) } else { Err(state) }
    });
    r.ticker.start();
    r.wait_until_ok();
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
    assert!(!r.londiste.log().contains("Lost position: tick"), "{}", r.londiste.log());
}

#[test]
fn standby_that_had_received_everything_goes_on() {
    let pair = Pair::new();
    let _old = pair.promote();
    pair.r.londiste.start();
    pair.new_row(101);
    pair.new_row(102);
    replay_until_in_sync_of_last_tick(&pair.r);
    assert_same_rows(&pair.r.provider, &pair.r.subscriber, &["t"]);
    assert!(!pair.r.londiste.log().contains(" CRITICAL "), "{}", pair.r.londiste.log());
}

fn replay_until_in_sync_of_last_tick(r: &Replication) {
    let last = r.provider.value("select max(tick_id) from pgq.tick");
    wait_until("the last tick is applied", || {
        let now = position(&r.provider);
        if now == last { Ok(()) } else { Err(now) }
    });
}

/// A subscriber that went back to an earlier backup of itself: the queue has the events, and it goes on from there.
#[test]
fn subscriber_that_was_restored_is_sent_back() {
    let pair = Pair::new();
    let r = &pair.r;
    let (name, cluster) = (r.subscriber.name(), Cluster::subscriber());
    let backup = copy_of(cluster, &r.subscriber, &format!("{name}_backup"));
    pair.lost(1..4);
    let old = format!("{name}_old");
    sql_when_nobody_is_connected(cluster, name, &format!("alter database {name} rename to {old}"));
    let from = backup.name();
    sql_when_nobody_is_connected(cluster, from, &format!("alter database {from} rename to {name}"));
    let _old = Database::existing(cluster, &old);
    pair.new_row(101);
    r.londiste.start();
    pair.assert_stops(&["--rewind"], &[]);
    r.londiste.stop();
    r.londiste.run("--rewind");
    r.londiste.start();
    replay_until_in_sync_of_last_tick(r);
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
}
