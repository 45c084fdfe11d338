//! The state of a table changes under those who have read it before: a command of the operator wins over what replay or
//! a copy was about to write, and processes that work side by side do not touch each other's copies.

use std::thread;

use super::row_lock::RowLock;
use crate::support::{Replication, Session};

const SCHEMA: &str = "create table t (id int primary key, a text); create table other (id int primary key)";

/// How often the rows of `t` were copied.
fn copies(r: &Replication) -> usize {
    r.londiste.log().matches("Starting full copy of public.t\n").count()
}

/// A row of the subscriber alone. A copy takes it away.
fn mark(r: &Replication) {
    r.subscriber.sql("insert into t values (-1, 'only here')");
}

fn has_mark(r: &Replication) -> bool {
    r.subscriber.value("select count(*) from t where id = -1") == "1"
}

/// Runs a command that waits for the row of `t`, and `then` which brings replay or a copy behind it.
fn command_first(r: &Replication, command: &str, then: impl FnOnce()) {
    let row = RowLock::of_table(&r.subscriber, "t");
    thread::scope(|scope| {
        let running = scope.spawn(|| r.londiste.run(command));
        row.wait_for_waiting(1, command);
        then();
        row.wait_for_waiting(2, "replay or its copy");
        row.release();
        running.join().unwrap();
    });
}

#[test]
fn resync_of_a_parked_table_wins_over_the_end_of_its_catch_up() {
    let r = Replication::new().with_schema(SCHEMA).up();
    r.provider.sql("insert into t values (1, 'one')");
    r.assert_in_sync();
    r.subscriber.sql("alter table t drop column a");
    r.provider.sql("insert into t values (2, 'two')");
    r.londiste.wait_for_log("CRITICAL Table public.t is parked");
    command_first(&r, "subscriber resync t", || {
        // The copy's consumer catches up, and then stores that it waits for replay.
        r.subscriber.sql("alter table t add column a text");
        mark(&r);
    });
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!((copies(&r), has_mark(&r)), (2, false), "(copies, a row of before the copy is left)");
    r.assert_in_sync();
}

/// A table that is `ok` and has its snapshot still: a transaction of the provider is older than the copy.
fn with_snapshot() -> (Replication, Session) {
    let r = Replication::new().with_schema(SCHEMA);
    r.provider.sql("insert into t values (1, 'one')");
    r.install();
    let old = r.provider.session();
    old.sql("begin; select txid_current()");
    r.start();
    r.add("--all");
    r.wait_until_ok();
    assert_eq!(
        r.subscriber.value("select snapshot is null from londiste.subscriber_table where table_name = 'public.t'"),
        "f"
    );
    (r, old)
}

#[test]
fn resync_wins_over_a_snapshot_that_replay_drops() {
    let (r, old) = with_snapshot();
    mark(&r);
    command_first(&r, "subscriber resync t", || old.sql("commit"));
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!((copies(&r), has_mark(&r)), (2, false), "(copies, a row of before the copy is left)");
    r.assert_in_sync();
}

#[test]
fn unregister_and_register_win_over_a_snapshot_that_replay_drops() {
    let (r, old) = with_snapshot();
    command_first(&r, "subscriber unregister", || old.sql("commit"));
    r.provider.sql("insert into t values (2, 'while nobody listens')");
    r.londiste.run("subscriber register");
    // Replay found itself without a consumer, and pauses.
    r.londiste.reload();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select id from t order by id"), ["1", "2"]);
    r.assert_in_sync();
}
