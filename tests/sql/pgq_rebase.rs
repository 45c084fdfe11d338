//! A queue whose database was restored into a cluster with a smaller transaction counter.

use std::thread;

use super::{OWNER, consume, session_as, tick, with_queue, with_queue_in};
use crate::support::{Cluster, Database, Session, wait_until};

/// How far the transaction counter goes back.
const BACK: i64 = 1_000_000_000;

/// A queue as it comes out of a dump: everything that holds a transaction id is ahead of the server. Consumer `c` has
/// not read `two`; consumer `behind` neither `one` nor `two`; `three` is in no tick.
fn restored() -> (Database, Session) {
    restored_in(Cluster::provider())
}

fn restored_in(cluster: &Cluster) -> (Database, Session) {
    let (database, session) = with_queue_in(cluster);
    session.sql("select pgq.register_consumer('q', 'behind'); select pgq.insert_event('q', 'type', 'one')");
    tick(&session);
    consume(&session);
    session.sql("select pgq.insert_event('q', 'type', 'two')");
    tick(&session);
    session.sql("select pgq.insert_event('q', 'type', 'three')");
    restore(&session);
    (database, session)
}

/// Moves all transaction ids of the queue ahead of the server.
fn restore(session: &Session) {
    session.sql(&format!(
        "update pgq.event_1 set ev_txid = ev_txid + {BACK};
         update pgq.queue set queue_switch_step1 = queue_switch_step1 + {BACK}, queue_switch_step2 = queue_switch_step2 + {BACK};
         update pgq.tick set tick_snapshot = format('%s:%s:', txid_snapshot_xmin(tick_snapshot) + {BACK},
                                                    txid_snapshot_xmax(tick_snapshot) + {BACK})::txid_snapshot"
    ));
}

#[test]
fn ticker_and_rotation_refuse_it() {
    let (_database, session) = restored();
    let error = session.error("select pgq.ticker('q')");
    assert_eq!(error.code, "55000");
    assert_eq!(error.message, "queue q: the last tick is ahead of this server's transaction counter");
    assert_eq!(error.hint, "Run \"pgqadm rebase QUEUE\", or select pgq.rebase_queue(QUEUE).");
    session.take_notices();
    session.sql("select pgq.create_queue('other'), pgq.force_tick('other')");
    assert_eq!(session.value("select pgq.ticker()"), "1", "other queues go on");
    assert_eq!(session.take_notices(), [format!("WARNING: {}", error.message)]);
    session.sql("select pgq.set_queue_config('q', 'rotation_period', '0')");
    let error = session.error("select pgq.maint_rotate_tables_step1('q')");
    assert!(error.message.starts_with("queue q maint failure: step1="), "{error}");
}

#[test]
fn rebased_queue_goes_on_where_each_consumer_stood() {
    let cluster = Cluster::builder().name("rebase").start();
    let (_database, session) = restored_in(&cluster);
    // Written since the restore: its transaction id is an ordinary one of this cluster.
    session.sql("select pgq.insert_event('q', 'type', 'four')");
    assert_eq!(session.value("select pgq.rebase_queue('q')"), "1");
    assert_eq!(session.value("select pgq.rebase_queue('q')"), "0");
    session.sql("select pgq.insert_event('q', 'type', 'five')");
    tick(&session);

    assert_eq!(consume(&session).unwrap(), ["two", "three", "four"]);
    assert_eq!(consume(&session).unwrap(), ["five"]);
    let mut behind = Vec::new();
    while let batch = session.value("select pgq.next_batch('q', 'behind')")
        && batch != "NULL"
    {
        behind.push(session.column(&format!("select ev_data from pgq.get_batch_events({batch})")));
        session.sql(&format!("select pgq.finish_batch({batch})"));
    }
    assert_eq!(behind, [vec!["one"], vec!["two", "three", "four"], vec!["five"]]);

    session.sql("select pgq.set_queue_config('q', 'rotation_period', '0')");
    for _ in 0..3 {
        assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "1");
        session.sql("select pgq.maint_rotate_tables_step2()");
        tick(&session);
        consume(&session);
        session.sql("select pgq.finish_batch(pgq.next_batch('q', 'behind'))");
    }
    assert_eq!(session.value("select count(*) from pgq.event_1"), "0");
}

#[test]
fn active_batch_keeps_its_ticks() {
    let (_database, session) = restored();
    session.sql("update pgq.subscription set sub_batch = 99, sub_next_tick = 3 where sub_last_tick = 2");
    session.sql("select pgq.rebase_queue('q')");
    assert_eq!(session.value("select pgq.next_batch('q', 'c')"), "99");
    assert_eq!(session.rows("select prev_tick_id, tick_id from pgq.get_batch_info(99)"), [["2", "3"]]);
    assert_eq!(consume(&session).unwrap(), ["two"]);
    assert_eq!(consume(&session).unwrap(), ["three"]);
}

#[test]
fn event_that_a_tick_caught_at_the_last_moment_does_not_come_twice() {
    let (database, session) = with_queue();
    let (holder, ticker) = (database.session(), session_as(&database, OWNER));
    session.sql("select pgq.force_tick('q')");
    // Keeps the ticker, which has found a tick due, from inserting it.
    holder.sql("begin; lock table pgq.tick in exclusive mode");
    thread::scope(|scope| {
        scope.spawn(|| ticker.sql("select pgq.ticker('q')"));
        wait_until("the ticker waits", || {
            let waiting = "select count(*) from pg_locks where relation = 'pgq.tick'::regclass and not granted";
            if session.value(waiting) == "1" { Ok(()) } else { Err("it does not") }
        });
        session.sql("select pgq.insert_event('q', 'type', 'late')");
        holder.sql("commit");
    });
    assert_eq!(consume(&session).unwrap(), ["late"]);
    session.sql("select pgq.insert_event('q', 'type', 'next')");
    restore(&session);
    assert_eq!(session.value("select pgq.rebase_queue('q')"), "1");
    assert_eq!(consume(&session).unwrap(), ["next"]);
}

#[test]
fn events_written_since_the_restore_under_older_ids_come() {
    let (_database, session) = restored();
    // As maintenance does it, whose time has come.
    session
        .sql("select pgq.event_retry_raw('q', 'c', now(), 1, now(), 1, 'type', 'one again', null, null, null, null)");
    assert_eq!(session.value("select pgq.maint_retry_events()"), "1");
    session.sql("select pgq.insert_event_raw('q', 2, null, null, null, 'type', 'given id', null, null, null, null)");
    session.sql("select pgq.rebase_queue('q')");
    let mut events = consume(&session).unwrap();
    events.sort_unstable();
    assert_eq!(events, ["given id", "one again", "three", "two"]);
    assert_eq!(consume(&session), None);
}

#[test]
fn queue_in_order_is_not_touched() {
    let (_database, session) = with_queue();
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    tick(&session);
    assert_eq!(session.value("select pgq.rebase_queue('q')"), "0");
    assert_eq!(consume(&session).unwrap(), ["data"]);
    assert_eq!(session.error("select pgq.rebase_queue('nope')").message, "No such event queue");
}
