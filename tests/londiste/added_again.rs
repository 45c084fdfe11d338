//! A table that is taken out of the provider's queue and added again: what happened to it in between was not captured, so
//! it is copied again, in whatever state it stands on the subscriber when replay hears of it.

use super::gates::{GATES, PROVIDER_GATES, SUBSCRIBER_GATES, Side, close, wait_until_held};
use crate::support::{Replication, Session, wait_until};

const KEY: u32 = 4725;
const OPEN: &str = "delete from gate.closed; select pg_advisory_unlock(4725)";

/// Jobs at work. Table `t` has rows and is not subscribed; `other` is in sync.
fn ready() -> Replication {
    let r = Replication::new()
        .with_schema("create table t (id int primary key, data text); create table other (id int primary key)");
    r.provider.sql("insert into t select i, 'before' from generate_series(1, 5) i");
    r.provider.sql(GATES);
    r.subscriber.sql(GATES);
    r.install();
    r.provider.sql(PROVIDER_GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.start();
    r.londiste.run("provider add t other");
    r.londiste.run("subscriber add other");
    r.wait_until_ok();
    r
}

/// Begins the copy of `t`, and waits until it has come to the gate.
fn copy_to(r: &Replication, side: Side, stage: &str) -> Session {
    let gate = close(r, side, stage, KEY);
    r.londiste.run("subscriber add t");
    wait_until_held(&gate, KEY);
    gate
}

#[track_caller]
fn wait_for_state(r: &Replication, expected: &str) {
    wait_until(&format!("t is {expected}"), || {
        let sql = "select coalesce(merge_state, '-') from londiste.subscriber_table where table_name = 'public.t'";
        let state = r.subscriber.value(sql);
        if state.starts_with(expected) { Ok(()) } else { Err(state) }
    });
}

/// There is no tick between the two commands: replay finds the table in the queue's list again.
fn remove_and_add(r: &Replication) {
    r.ticker.stop();
    r.londiste.run("provider remove t");
    r.provider.sql(
        "update t set data = 'not captured' where id = 1; delete from t where id = 2;
         insert into t values (6, 'not captured')",
    );
    r.londiste.run("provider add t");
    r.provider.sql("update t set data = 'captured' where id in (3, 6)");
    r.ticker.start();
}

/// Replay has come past what it was told.
#[track_caller]
fn assert_ends_in_sync(r: &Replication) {
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.assert_in_sync();
    let log = r.londiste.log();
    assert!(!log.contains(" CRITICAL "), "{log}");
}

/// Replay hears of it while the copy is held at this stage.
fn told_at(side: Side, stage: &str, state: &str) {
    let r = ready();
    let gate = copy_to(&r, side, stage);
    wait_for_state(&r, state);
    remove_and_add(&r);
    r.londiste.wait_for_log("got new table event: ");
    gate.sql(OPEN);
    assert_ends_in_sync(&r);
}

#[test]
fn while_its_rows_are_copied() {
    told_at(Side::Subscriber, "ddl alter table%drop constraint%t_pkey%", "in-copy");
}

#[test]
fn while_its_indexes_are_built() {
    told_at(Side::Subscriber, "ddl alter table%add constraint%t_pkey%", "in-copy");
}

#[test]
fn while_it_catches_up() {
    told_at(Side::Provider, "next batch", "catching-up");
}

#[test]
fn while_it_waits_for_replay() {
    let r = ready();
    let gate = copy_to(&r, Side::Subscriber, "ddl alter table%add constraint%t_pkey%");
    // Replay stands still in a batch before all of this.
    let locked = r.subscriber.session();
    locked.sql("begin; lock table other in access exclusive mode");
    r.provider.sql("insert into other values (1)");
    wait_until("replay waits", || {
        let sql = "select count(*) from pg_locks where relation = 'other'::regclass and not granted";
        if r.subscriber.value(sql) == "0" { Err("it does not") } else { Ok(()) }
    });
    remove_and_add(&r);
    // The copy catches up with all of it, so replay hears of it while the copy waits.
    let last = r.provider.value("select pgq.force_tick('db1-londiste-queue')");
    wait_until("there is a tick after it", || {
        let now = r.provider.value("select max(tick_id) from pgq.tick");
        if now.parse::<i64>().unwrap() > last.parse::<i64>().unwrap() { Ok(()) } else { Err(now) }
    });
    gate.sql(OPEN);
    wait_for_state(&r, "wanna-sync");
    locked.sql("commit");
    assert_ends_in_sync(&r);
}

#[test]
fn while_replay_waits_for_it() {
    let r = ready();
    let gate = copy_to(&r, Side::Subscriber, "state ok");
    wait_for_state(&r, "do-sync");
    remove_and_add(&r);
    gate.sql(OPEN);
    assert_ends_in_sync(&r);
}

#[test]
fn when_it_is_in_sync() {
    let r = ready();
    r.londiste.run("subscriber add t");
    r.wait_until_ok();
    remove_and_add(&r);
    assert_ends_in_sync(&r);
}

#[test]
fn when_a_row_that_went_meanwhile_comes_back() {
    let r = ready();
    r.londiste.run("subscriber add t");
    r.wait_until_ok();
    r.ticker.stop();
    // All of it is in one batch.
    r.londiste.run("provider remove t");
    r.provider.sql("delete from t where id in (1, 2)");
    r.londiste.run("provider add t");
    r.provider.sql("insert into t values (1, 'captured'); insert into other values (7)");
    r.ticker.start();
    assert_ends_in_sync(&r);
}

/// Within one batch: what the provider's list says holds from its place in the batch on.
#[test]
fn between_two_events_of_one_batch() {
    for key in [1, 2] {
        let r = ready();
        r.londiste.run("subscriber add t");
        r.wait_until_ok();
        r.replay_until_in_sync();
        let start = r.londiste.log().len();
        r.ticker.stop();
        r.provider.sql("update t set data = 'captured before' where id = 3; insert into other values (1)");
        r.londiste.run("provider remove t");
        r.provider.sql("delete from t");
        r.londiste.run("provider add t");
        r.provider.sql(&format!("insert into t values ({key}, 'captured'); insert into other values (2)"));
        r.ticker.start();
        r.londiste.wait_for_log_after(start, "got new table event: ");
        assert_ends_in_sync(&r);
    }
}

/// The same with keys that fit nothing that the subscriber has: an update of a row that was not captured, a second one in and out.
#[test]
fn between_events_of_one_batch_where_missing_rows_stop_replay() {
    let mut r = ready();
    r.londiste.run("subscriber add t");
    r.wait_until_ok();
    r.londiste.configure("on_missing_row", "stop");
    r.londiste.reload();
    r.replay_until_in_sync();
    r.ticker.stop();
    for id in 10..12 {
        r.londiste.run("provider remove t");
        r.provider.sql(&format!("insert into t values ({id}, 'not captured')"));
        r.londiste.run("provider add t");
        r.provider.sql(&format!("update t set data = 'captured' where id = {id}"));
    }
    r.ticker.start();
    r.londiste.wait_for_log("got new table event: ");
    assert_ends_in_sync(&r);
}
