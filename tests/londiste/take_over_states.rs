//! The programs change while a table is copied or handed over: whichever of the two was stopped, and in whatever state, the
//! other one goes on from it. No event is lost or applied twice, and what was copied is not copied again.

use std::thread;
use std::time::Duration;

use super::gates::{GATES, PROVIDER_GATES, SUBSCRIBER_GATES, Side, close, wait_until_held};
use super::original::{Original, Process, Sync, tick};
use crate::support::{Load, Replication, Session, assert_same_rows, wait_until, wait_within};

const KEY: u32 = 4726;
const OPEN: &str = "delete from gate.closed where key = 4726; select pg_advisory_unlock(4726)";

/// Nothing runs. `other` is in sync by the hands of the original; `t` has rows and is not subscribed.
fn ready() -> Replication {
    let mut r = Replication::new()
        .with_schema(GATES)
        .with_schema("create table t (id int primary key, n int); create table other (id int primary key)");
    // The original copies one table at a time.
    r.londiste.configure("parallel_copies", "1");
    r.install();
    r.provider.sql(PROVIDER_GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.provider.sql("insert into t select i, 0 from generate_series(1, 20) i; insert into other values (1)");
    tick(&r.provider);
    r.londiste.run("provider add t other");
    r.londiste.run("subscriber add other");
    let mut original = Original::new(&r);
    original.attaches(Process::Main);
    let last = write(&r, 1000);
    write(&r, 1001);
    original.works_until_ok_at(last);
    drop(original);
    r
}

/// Changes in all tables that cannot be applied twice, and a tick after them; returns its id.
fn write(r: &Replication, id: u32) -> i64 {
    r.provider.sql(&format!(
        "insert into t values ({id}, 0); insert into other values ({id}); update t set n = n + 1 where id in (1, {id});
         delete from t where id = {id} - 3"
    ));
    tick(&r.provider)
}

/// Changes in all tables while the programs change.
fn visitors(r: &Replication) -> Load {
    Load::start(&r.provider, 2, |client, n| {
        let id = 100_000 * (client + 1) + n;
        format!(
            "begin; insert into t values ({id}, 0); insert into other values ({id}); commit;
             update t set n = n + 1 where id in ({client}, {id}); delete from t where id = {id} - 7"
        )
    })
}

/// Waits until every table is `ok` and the consumer has finished a tick that shows what is committed now. Nothing fails
/// on the way.
#[track_caller]
fn wait_until_in_sync(r: &Replication) {
    let now = r.provider.value("select txid_current()");
    let sees_now = format!(
        "select count(*) from pgq.subscription join pgq.consumer on co_id = sub_consumer
             join pgq.tick on tick_queue = sub_queue and tick_id = sub_last_tick
          where co_name = '{}' and txid_visible_in_snapshot({now}, tick_snapshot)",
        r.londiste.name()
    );
    let states =
        "select table_name, merge_state from londiste.subscriber_table where merge_state is distinct from 'ok'";
    wait_until("every table is in sync", || {
        let log = r.londiste.log();
        let complaint = log.lines().find(|line| line.contains(" CRITICAL ") || line.contains(" ERROR "));
        assert_eq!(complaint, None, "rlondiste has failed");
        let left = r.subscriber.rows(states);
        if left.is_empty() && r.provider.value(&sees_now) == "1" { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

/// What becomes of the rows of `t` that a copy has brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    Kept,
    CopiedAgain,
}

/// rlondiste goes on from where the original was stopped.
fn taken_over_from(rows: Rows, stop_at: impl FnOnce(&Replication, &mut Original<'_>)) {
    let r = ready();
    r.londiste.run("subscriber add t");
    write(&r, 1002);
    let mut original = Original::new(&r);
    assert!(original.main_works());
    original.attaches(Process::Copy);
    stop_at(&r, &mut original);
    drop(original);
    r.subscriber.sql("insert into t values (-1, 0)");
    let state = r.subscriber.value("select merge_state from londiste.subscriber_table where table_name = 'public.t'");
    println!("stopped at {state}");
    let load = visitors(&r);
    r.start();
    wait_until_in_sync(&r);
    load.stop();
    wait_until_in_sync(&r);
    let marked = r.subscriber.value("select count(*) from t where id = -1") == "1";
    assert_eq!(marked, rows == Rows::Kept, "the rows of before are there");
    r.subscriber.sql("delete from t where id = -1");
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
    // Replay looks for what copies have left behind at its start, and now and then.
    wait_within(Duration::from_secs(45), "no consumer of a copy is left", || {
        let sql = "select consumer_name from pgq.get_consumer_info() where consumer_name like '%copy%'";
        let left = r.provider.column(sql);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

/// The copy has its rows, and has found no batch: it is about to hand the table over.
fn catches_up(r: &Replication, original: &mut Original<'_>) {
    write(r, 1003);
    write(r, 1004);
    while original.copy_works() {}
}

/// The copy writes `wanna-sync` with the batch open that ends at this tick.
fn wants_sync(original: &mut Original<'_>, end: i64) {
    let batch = original.opens(Process::Copy).unwrap();
    assert_eq!((original.copy_syncs(batch), batch.end()), (Sync::Wait, end));
}

/// The main process opens its next batch, and says that the copy is to come to its end.
fn orders_sync(original: &mut Original<'_>) -> i64 {
    let batch = original.opens(Process::Main).unwrap();
    assert_eq!(original.main_syncs(batch), Sync::Wait);
    batch.end()
}

#[test]
fn original_stopped_before_the_rows_are_copied() {
    taken_over_from(Rows::CopiedAgain, |_, _| {});
}

#[test]
fn original_stopped_after_the_rows_are_copied() {
    taken_over_from(Rows::Kept, |r, original| {
        write(r, 1003);
        let batch = original.opens(Process::Copy).unwrap();
        assert_eq!(original.copy_syncs(batch), Sync::Go);
        assert_eq!(original.copies, 1);
        // Both have a batch open.
        original.opens(Process::Main).unwrap();
    });
}

#[test]
fn original_stopped_between_the_commit_of_a_batch_and_its_end() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        write(r, 1005);
        let batch = original.opens(Process::Copy).unwrap();
        original.applies(Process::Copy, batch);
        let batch = original.opens(Process::Main).unwrap();
        assert_eq!(original.main_syncs(batch), Sync::Go);
        original.applies(Process::Main, batch);
    });
}

#[test]
fn original_stopped_in_wanna_sync_with_the_main_process_behind() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        let end = write(r, 1005);
        wants_sync(original, end);
        // It has a batch open that ends before.
        let batch = original.opens(Process::Main).unwrap();
        assert!(batch.end() < end);
    });
}

#[test]
fn original_stopped_in_wanna_sync_with_the_main_process_at_the_same_batch() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        while original.main_works() {}
        let end = write(r, 1005);
        wants_sync(original, end);
        assert_eq!(original.opens(Process::Main).unwrap().end(), end);
    });
}

#[test]
fn original_stopped_in_wanna_sync_with_the_main_process_ahead() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        let end = write(r, 1005);
        let batch = original.opens(Process::Copy).unwrap();
        write(r, 1006);
        while original.main_works() {}
        assert_eq!((original.copy_syncs(batch), batch.end()), (Sync::Wait, end));
    });
}

#[test]
fn original_stopped_in_do_sync_with_the_copy_at_its_tick() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        while original.main_works() {}
        let end = write(r, 1005);
        wants_sync(original, end);
        assert_eq!(orders_sync(original), end);
    });
}

#[test]
fn original_stopped_in_do_sync_with_the_copy_behind() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        let first = write(r, 1005);
        let batch = original.opens(Process::Copy).unwrap();
        write(r, 1006);
        while original.main_works() {}
        assert_eq!((original.copy_syncs(batch), batch.end()), (Sync::Wait, first));
        let end = write(r, 1007);
        assert_eq!(orders_sync(original), end);
    });
}

#[test]
fn original_stopped_in_do_sync_with_the_copy_on_its_way() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        write(r, 1005);
        let batch = original.opens(Process::Copy).unwrap();
        write(r, 1006);
        while original.main_works() {}
        assert_eq!(original.copy_syncs(batch), Sync::Wait);
        write(r, 1007);
        orders_sync(original);
        // Applied, and not finished.
        assert_eq!(original.copy_syncs(batch), Sync::Go);
        original.applies(Process::Copy, batch);
    });
}

#[test]
fn original_stopped_in_ok_before_the_main_process_has_applied_its_batch() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        while original.main_works() {}
        let end = write(r, 1005);
        wants_sync(original, end);
        orders_sync(original);
        let batch = original.opens(Process::Copy).unwrap();
        assert_eq!(original.copy_syncs(batch), Sync::Exit);
        original.detaches_copy();
    });
}

#[test]
fn original_stopped_in_ok_before_the_consumer_of_the_copy_is_unregistered() {
    taken_over_from(Rows::Kept, |r, original| {
        catches_up(r, original);
        while original.main_works() {}
        let end = write(r, 1005);
        wants_sync(original, end);
        orders_sync(original);
        let batch = original.opens(Process::Copy).unwrap();
        assert_eq!(original.copy_syncs(batch), Sync::Exit);
    });
}

/// The original goes on from where rlondiste was stopped, and rlondiste after that.
fn given_back_at(hold: impl FnOnce(&Replication) -> Vec<Session>) {
    let r = ready();
    let held = hold(&r);
    let state = r.subscriber.value("select merge_state from londiste.subscriber_table where table_name = 'public.t'");
    println!("stopped at {state}");
    // What waits for the test's sessions is cancelled.
    r.londiste.kill();
    drop(held);
    if r.ticker.is_running() {
        r.ticker.stop();
    }
    // Gates are for rlondiste only.
    r.provider.sql("drop trigger gate on pgq.subscription");
    r.subscriber.sql("drop event trigger gate; drop trigger gate on londiste.completed; drop trigger gate on londiste.subscriber_table");
    wait_until("the servers have noticed that the job is gone", || {
        let sql = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'db1-londiste'";
        let left = [&r.provider, &r.subscriber].map(|database| database.value(sql));
        if left == ["0", "0"] { Ok(()) } else { Err(format!("{left:?}")) }
    });
    if !["-", "in-copy"].contains(&state.as_str()) {
        r.subscriber.sql("insert into t values (-1, 0)");
    }
    let mut original = Original::new(&r);
    original.attaches(Process::Main);
    let mut last = 0;
    for id in 2000..2006 {
        last = write(&r, id);
        original.main_works();
        original.copy_works();
    }
    original.works_until_ok_at(last);
    assert_eq!(original.copies, usize::from(state == "in-copy"), "copies of the original");
    drop(original);
    r.subscriber.sql("delete from t where id = -1");
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
    r.start();
    r.provider.sql("update t set n = n + 1; delete from t where id = 2000");
    wait_until_in_sync(&r);
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
}

/// Holds replay in a batch until the session ends.
fn hold_replay(r: &Replication) -> Session {
    let session = r.subscriber.session();
    session.sql("begin; lock table other in access exclusive mode");
    write(r, 1100);
    wait_until("replay waits", || {
        let sql = "select count(*) from pg_locks where relation = 'other'::regclass and not granted";
        if r.subscriber.value(sql) == "0" { Err("it does not") } else { Ok(()) }
    });
    session
}

fn wait_for_state(r: &Replication, expected: &str) {
    wait_until(&format!("t is {expected}"), || {
        let sql = "select coalesce(merge_state, '-') from londiste.subscriber_table where table_name = 'public.t'";
        let state = r.subscriber.value(sql);
        if state.starts_with(expected) { Ok(()) } else { Err(state) }
    });
}

/// Starts the jobs, and the copy of `t`, which comes to the gate.
fn copy_to(r: &Replication, side: Side, stage: &str) -> Session {
    let gate = close(r, side, stage, KEY);
    r.start();
    r.londiste.run("subscriber add t");
    wait_until_held(&gate, KEY);
    gate
}

#[test]
fn stopped_while_the_rows_are_copied() {
    given_back_at(|r| vec![copy_to(r, Side::Subscriber, "ddl alter table%drop constraint%t_pkey%")]);
}

#[test]
fn stopped_while_the_copy_catches_up() {
    given_back_at(|r| {
        let gate = copy_to(r, Side::Subscriber, "ddl alter table%add constraint%t_pkey%");
        // More ticks than a copy hands over with at once.
        for id in 1101..1115 {
            write(r, id);
        }
        r.replay_until_in_sync();
        let finish = close(r, Side::Provider, "finish batch", KEY + 1);
        gate.sql(OPEN);
        wait_until_held(&finish, KEY + 1);
        wait_for_state(r, "catching-up");
        vec![gate, finish]
    });
}

/// Ticks have piled up that replay would take as one batch; the copy has come past some of them.
#[test]
fn stopped_in_wanna_sync_with_replay_far_behind() {
    given_back_at(|r| {
        let gate = copy_to(r, Side::Subscriber, "ddl alter table%add constraint%t_pkey%");
        let replay = hold_replay(r);
        for id in 1101..1105 {
            write(r, id);
        }
        gate.sql(OPEN);
        wait_for_state(r, "wanna-sync");
        // The batch that replay has next.
        let again = r.subscriber.session();
        again.sql("begin");
        thread::scope(|scope| {
            let locked = scope.spawn(|| again.sql("lock table other in access exclusive mode"));
            wait_until("the lock is asked for", || {
                let sql = "select count(*) from pg_locks where relation = 'other'::regclass and not granted";
                if r.subscriber.value(sql) == "2" { Ok(()) } else { Err("not yet") }
            });
            replay.sql("commit");
            locked.join().unwrap();
        });
        wait_until("replay waits again", || {
            let sql = "select count(*) from pg_locks where relation = 'other'::regclass and not granted";
            if r.subscriber.value(sql) == "1" { Ok(()) } else { Err("it does not") }
        });
        vec![again]
    });
}

#[test]
fn stopped_in_wanna_sync_with_replay_behind() {
    given_back_at(|r| {
        let gate = copy_to(r, Side::Subscriber, "ddl alter table%add constraint%t_pkey%");
        let replay = hold_replay(r);
        for id in 1101..1105 {
            write(r, id);
        }
        gate.sql(OPEN);
        wait_for_state(r, "wanna-sync");
        vec![replay]
    });
}

#[test]
fn stopped_in_do_sync_with_the_copy_at_its_tick() {
    given_back_at(|r| {
        let gate = copy_to(r, Side::Subscriber, "state ok");
        wait_for_state(r, "do-sync");
        write(r, 1101);
        vec![gate]
    });
}

#[test]
fn stopped_in_do_sync_with_the_copy_behind() {
    given_back_at(|r| {
        let gate = copy_to(r, Side::Subscriber, "state wanna-sync%");
        // Every tick from now on has rows of the table.
        r.ticker.stop();
        let last = (1101..1105).map(|id| write(r, id)).max().unwrap();
        wait_until("replay has come past the copy", || {
            let sql = "select max(last_tick_id) from londiste.completed where consumer_id = 'db1-londiste'";
            let applied = r.subscriber.value(sql);
            if applied == last.to_string() { Ok(()) } else { Err(applied) }
        });
        let applies = close(r, Side::Subscriber, "completed update %_copy", KEY + 1);
        gate.sql(OPEN);
        let mut id = 1200;
        wait_until("t is do-sync", || {
            let sql = "select merge_state from londiste.subscriber_table where table_name = 'public.t'";
            let state = r.subscriber.value(sql);
            if state.starts_with("wanna-sync") {
                id += 1;
                write(r, id);
            }
            if state.starts_with("do-sync") { Ok(()) } else { Err(state) }
        });
        wait_until_held(&applies, KEY + 1);
        vec![applies]
    });
}

#[test]
fn stopped_in_ok_before_the_consumer_of_the_copy_is_unregistered() {
    given_back_at(|r| {
        let gate = copy_to(r, Side::Provider, "unregister");
        wait_for_state(r, "ok");
        write(r, 1101);
        vec![gate]
    });
}
