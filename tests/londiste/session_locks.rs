//! No session that waits holds an advisory lock: behind a transaction pooler the lock would stay with a server session that
//! somebody else is given next.

use super::gates::{GATES, PROVIDER_GATES, SUBSCRIBER_GATES, Side, close, copy_to_finish_batch, open, wait_until_held};
use crate::support::{Database, Replication, wait_until};

const KEY: u32 = 4723;

/// Sessions of a job that are in no transaction, and the advisory locks that they hold.
fn held_while_idle(r: &Replication, database: &Database) -> Vec<Vec<String>> {
    database.rows(&format!(
        "select a.application_name, a.state, l.classid, l.objid, a.query
           from pg_locks l join pg_stat_activity a using (pid)
          where l.locktype = 'advisory' and l.granted and a.datname = current_database() and a.state = 'idle'
            and a.application_name in ('{}', '{}')",
        r.londiste.name(),
        r.ticker.name()
    ))
}

#[track_caller]
fn assert_nothing_held(r: &Replication, when: &str) {
    for database in [&r.provider, &r.subscriber] {
        let held = held_while_idle(r, database);
        assert!(held.is_empty(), "{when}: {held:?}");
    }
}

fn wait_for_state(r: &Replication, state: &str) {
    wait_until(&format!("t is {state}"), || {
        let sql = "select coalesce(merge_state, '-') from londiste.subscriber_table where table_name = 'public.t'";
        let now = r.subscriber.value(sql);
        if now.starts_with(state) { Ok(()) } else { Err(now) }
    });
}

/// Tables whose copies can be held; `other` is in sync.
fn ready() -> Replication {
    let r = Replication::new()
        .with_schema(GATES)
        .with_schema("create table t (id int primary key, data text); create table other (id int primary key)");
    r.provider.sql("insert into t values (1, 'x'); insert into other values (1)");
    r.install();
    r.provider.sql(PROVIDER_GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.start();
    r.add("other");
    r.wait_until_ok();
    r
}

#[test]
fn table_that_catches_up_leaves_no_lock_with_a_waiting_session() {
    let r = ready();
    r.londiste.run("provider add t");
    let finish = copy_to_finish_batch(&r, KEY);
    wait_for_state(&r, "catching-up");
    assert_nothing_held(&r, "catching up");
    open(&finish, KEY);
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_nothing_held(&r, "in sync");
}

#[test]
fn table_that_waits_for_replay_leaves_no_lock_with_a_waiting_session() {
    let r = ready();
    // Replay stands still in a batch.
    let locked = r.subscriber.session();
    locked.sql("begin; lock table other in access exclusive mode");
    let gate = close(&r, Side::Subscriber, "state wanna-sync%", KEY);
    r.add("t");
    wait_until_held(&gate, KEY);
    r.provider.sql("insert into other values (2)");
    wait_until("replay waits", || {
        let sql = "select count(*) from pg_locks where relation = 'other'::regclass and not granted";
        if r.subscriber.value(sql) == "0" { Err("it does not") } else { Ok(()) }
    });
    open(&gate, KEY);
    wait_for_state(&r, "wanna-sync");
    // The statement that stored the state has ended.
    assert_nothing_held(&r, "waiting for replay");
    locked.sql("commit");
    r.wait_until_ok();
    r.assert_in_sync();
    assert_nothing_held(&r, "in sync");
}

#[test]
fn copy_that_was_cut_or_killed_leaves_no_lock() {
    for end in [cut as fn(&Replication), killed] {
        let r = ready();
        r.londiste.run("provider add t");
        let gate = copy_to_finish_batch(&r, KEY);
        end(&r);
        open(&gate, KEY);
        r.wait_until_ok();
        r.assert_in_sync();
        assert_nothing_held(&r, "in sync");
    }
}

/// The sessions of the job on the subscriber are ended by the server.
fn cut(r: &Replication) {
    r.subscriber.sql(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = '{}'",
        r.londiste.name()
    ));
}

fn killed(r: &Replication) {
    r.londiste.kill9();
    r.londiste.start();
}
