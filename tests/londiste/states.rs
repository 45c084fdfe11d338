//! The state of a table changes under those who have read it before: a command of the operator wins over what replay or
//! a copy was about to write, and processes that work side by side do not touch each other's copies.

use std::process::Child;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::gates::{GATES, PROVIDER_GATES, SUBSCRIBER_GATES, Side, close, copy_to_finish_batch, open, wait_until_held};
use super::original;
use super::row_lock::RowLock;
use crate::support::{Cluster, Job, QUEUE, Replication, Session, wait_until, wait_within};

const SCHEMA: &str = "create table t (id int primary key, a text); create table other (id int primary key)";

const STATE_OF_T: &str =
    "select coalesce(merge_state, '-') from londiste.subscriber_table where table_name = 'public.t'";

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
/// The provider has a cluster of its own: transactions of other tests would keep the snapshot as well.
fn with_snapshot() -> (Cluster, Replication, Session) {
    let cluster = Cluster::builder().name("states").start();
    let r = Replication::between(&cluster, Cluster::subscriber()).with_schema(SCHEMA);
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
    (cluster, r, old)
}

#[test]
fn resync_wins_over_a_snapshot_that_replay_drops() {
    let (_cluster, r, old) = with_snapshot();
    mark(&r);
    command_first(&r, "subscriber resync t", || old.sql("commit"));
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!((copies(&r), has_mark(&r)), (2, false), "(copies, a row of before the copy is left)");
    r.assert_in_sync();
}

#[test]
fn unregister_and_register_win_over_a_snapshot_that_replay_drops() {
    let (_cluster, r, old) = with_snapshot();
    command_first(&r, "subscriber unregister", || old.sql("commit"));
    r.provider.sql("insert into t values (2, 'while nobody listens')");
    original::tick(&r.provider);
    r.londiste.run("subscriber register");
    // Replay found itself without a consumer, and pauses.
    r.londiste.reload();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select id from t order by id"), ["1", "2"]);
    r.assert_in_sync();
}

const COPIES: &str = "select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer
                      where co_name like '%\\_copy%' order by 1";

/// Holds every copy before it drops its table's key: it is registered, and its snapshot is taken.
const DROPS_KEY: &str = "ddl alter table%drop constraint%_pkey%";
const KEY: u32 = 4721;
const OPEN: &str = "delete from gate.closed; select pg_advisory_unlock(4721)";

/// `replay` and the command `copy` of one job. Table `a` is the bigger one, which is begun first.
struct SideBySide {
    // Ended before the databases go.
    copier: Job,
    r: Replication,
}

impl SideBySide {
    fn new() -> SideBySide {
        let mut r = Replication::new()
            .with_schema(GATES)
            .with_schema("create table a (id int primary key, data text); create table b (id int primary key)");
        r.provider
            .sql("insert into a select i, repeat('x', 500) from generate_series(1, 200) i; insert into b values (1)");
        r.install();
        r.subscriber.sql(SUBSCRIBER_GATES);
        r.londiste.configure("parallel_copies", "1");
        let databases = [r.provider.conninfo(), r.subscriber.conninfo()];
        let copier = Job::londiste(r.scratch().path(), "copier", databases, QUEUE)
            .set("pgq_consumer_id", r.londiste.name())
            .set("parallel_copies", "2");
        SideBySide { copier, r }
    }

    fn copies_of_a(&self) -> usize {
        let log = |job: &Job| job.log().matches("Starting full copy of public.a\n").count();
        log(&self.r.londiste) + log(&self.copier)
    }
}

/// Waits until so many copies are held at the gate.
#[track_caller]
fn wait_until_copies_are_held(gate: &Session, count: usize) {
    let sql = format!(
        "select count(*) from pg_locks where locktype = 'advisory' and objid = {KEY} and not granted
            and database = (select oid from pg_database where datname = current_database())"
    );
    wait_until(&format!("{count} copies are held"), || match gate.value(&sql) {
        held if held == count.to_string() => Ok(()),
        held => Err(format!("{held} are held")),
    });
}

/// Ends a process with SIGINT, and waits for it.
fn interrupt(child: &mut Child) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    child.wait().unwrap();
}

#[test]
fn copies_of_two_processes_have_consumers_of_their_own() {
    let s = SideBySide::new();
    let r = &s.r;
    let gate = close(r, Side::Subscriber, DROPS_KEY, KEY);
    r.ticker.start();
    r.add("a b");
    // Both have read that no table is begun: replay takes the first one, and the other process the second one.
    let row = RowLock::of_table(&r.subscriber, "a");
    r.londiste.start();
    row.wait_for_waiting(1, "replay");
    let mut copy = s.copier.program(["copy"]).spawn(r.scratch());
    row.wait_for_waiting(2, "the copy command");
    row.release();
    wait_until_copies_are_held(&gate, 2);
    let names = r.provider.column(COPIES);
    // Not in the snapshots of the copies.
    r.provider.sql("insert into a values (1001, 'while it is copied'); insert into b values (1001)");
    gate.sql(OPEN);
    r.wait_until_ok();
    let result = r.londiste.log() + &s.copier.log();
    copy.wait().unwrap();
    r.assert_in_sync();
    assert_eq!(names, ["db1-londiste_copy", "db1-londiste_copy2"]);
    assert!(!result.contains("copying public"), "{result}");
}

#[test]
fn stopped_copy_command_leaves_the_copies_of_replay_alone() {
    let s = SideBySide::new();
    let r = &s.r;
    let gate = close(r, Side::Subscriber, DROPS_KEY, KEY);
    r.start();
    r.add("a");
    wait_until_copies_are_held(&gate, 1);
    r.add("b");
    let mut copy = s.copier.program(["copy"]).spawn(r.scratch());
    wait_until_copies_are_held(&gate, 2);
    assert_eq!(r.provider.column(COPIES), ["db1-londiste_copy", "db1-londiste_copy2"]);
    interrupt(&mut copy);
    assert_eq!(r.provider.column(COPIES), ["db1-londiste_copy"]);
    r.provider.sql("insert into a values (1001, 'while it is copied'); insert into b values (1001)");
    gate.sql(OPEN);
    r.wait_until_ok();
    r.assert_in_sync();
    assert_eq!(s.copies_of_a(), 1);
}

#[test]
fn stopped_replay_leaves_the_copies_of_the_copy_command_alone() {
    let s = SideBySide::new();
    let r = &s.r;
    let gate = close(r, Side::Subscriber, DROPS_KEY, KEY);
    r.ticker.start();
    r.add("a");
    r.londiste.run("subscriber register");
    let mut copy = s.copier.program(["copy"]).spawn(r.scratch());
    wait_until_copies_are_held(&gate, 1);
    r.add("b");
    r.londiste.start();
    r.replay_until_in_sync();
    r.londiste.stop();
    let names = r.provider.column(COPIES);
    assert!(names.contains(&"db1-londiste_copy".to_owned()), "{names:?}");
    r.provider.sql("insert into a values (1001, 'while it is copied'); insert into b values (1001)");
    gate.sql(OPEN);
    copy.wait().unwrap();
    r.londiste.start();
    r.wait_until_ok();
    r.assert_in_sync();
    assert_eq!(s.copies_of_a(), 1);
}

/// The ini file names another identity, and the daemon is told to read it again.
fn reload_with_another(key: &str, value: &str) {
    let (_cluster, mut r, old) = with_snapshot();
    // Another queue, whose ticks are elsewhere.
    r.provider.sql("select pgq.create_queue('other-queue'), pgq.ticker('other-queue')");
    r.londiste.configure(key, value);
    let (line, start) = ("needs a restart", r.londiste.log().len());
    r.londiste.reload();
    r.provider.sql("insert into t values (2, 'two')");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select id from t order by id"), ["1", "2"]);
    // The copies are those of the old queue and consumer.
    r.subscriber.sql(&format!("select londiste.subscriber_set_table_state('{QUEUE}', 'public.t', null, null)"));
    wait_within(Duration::from_mins(1), "t is ok", || {
        let state = r.subscriber.value(STATE_OF_T);
        if state == "ok" { Ok(()) } else { Err(format!("{state}\n{}", r.londiste.log().split_off(start))) }
    });
    old.sql("commit");
    r.assert_in_sync();
    wait_within(Duration::from_mins(1), line, || {
        let log = r.londiste.log().split_off(start);
        let told = log.lines().any(|l| l.contains(line) && l.contains(key));
        if told { Ok(()) } else { Err(log) }
    });
    wait_until("nothing is left of the copies", || {
        let consumers = r.provider.column("select consumer_name || ' of ' || queue_name from pgq.get_consumer_info()");
        let positions = r.subscriber.column("select consumer_id from londiste.completed");
        if consumers == ["db1-londiste of db1-londiste-queue"] && positions == ["db1-londiste"] {
            Ok(())
        } else {
            Err(format!("{consumers:?} {positions:?}"))
        }
    });
}

#[test]
fn queue_of_a_running_replay_is_not_changed_by_a_reload() {
    reload_with_another("pgq_queue_name", "other-queue");
}

#[test]
fn consumer_of_a_running_replay_is_not_changed_by_a_reload() {
    reload_with_another("pgq_consumer_id", "somebody-else");
}

/// Holds replay before it writes a state, without a lock of rows: what it is about to write comes from what it has read.
/// Meanwhile the session changes the tables as commands do.
fn before_the_write(r: &Replication, then: impl FnOnce(), commands: &str) {
    let session = r.subscriber.session();
    session.sql("begin; lock table londiste.subscriber_table in exclusive mode");
    then();
    wait_until("replay is about to write", || {
        let sql = "select count(*) from pg_locks
                    where relation = 'londiste.subscriber_table'::regclass and not granted and mode <> 'AccessShareLock'";
        if session.value(sql) == "0" { Err("it is not") } else { Ok(()) }
    });
    session.sql(commands);
    session.sql("commit");
}

#[test]
fn remove_and_add_win_over_a_snapshot_that_replay_drops() {
    let (_cluster, r, old) = with_snapshot();
    mark(&r);
    let commands = format!(
        "select londiste.subscriber_remove_table('{QUEUE}', 'public.t');
         select londiste.subscriber_add_table('{QUEUE}', 'public.t')"
    );
    before_the_write(&r, || old.sql("commit"), &commands);
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!((copies(&r), has_mark(&r)), (2, false), "(copies, a row of before the copy is left)");
    r.assert_in_sync();
}

#[test]
fn remove_and_add_with_skip_truncate_win_over_a_snapshot_that_replay_drops() {
    let (_cluster, r, old) = with_snapshot();
    mark(&r);
    r.subscriber.sql("delete from t where id > 0");
    let commands = format!(
        "select londiste.subscriber_remove_table('{QUEUE}', 'public.t');
         select londiste.subscriber_add_table('{QUEUE}', 'public.t');
         select londiste.subscriber_set_skip_truncate('{QUEUE}', 'public.t', true)"
    );
    before_the_write(&r, || old.sql("commit"), &commands);
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!((copies(&r), has_mark(&r)), (2, true), "(copies, a row of before the copy is left)");
    r.subscriber.sql("delete from t where id = -1");
    r.assert_in_sync();
}

#[track_caller]
fn assert_no_complaints(r: &Replication) {
    let log = r.londiste.log();
    let complaint = log.lines().find(|line| line.contains(" CRITICAL ") || line.contains(" ERROR "));
    assert_eq!(complaint, None);
}

#[test]
fn remove_wins_over_a_snapshot_that_replay_drops() {
    let (_cluster, r, old) = with_snapshot();
    command_first(&r, "subscriber remove t", || old.sql("commit"));
    r.provider.sql("insert into other values (7)");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select id from other"), ["7"]);
    assert_eq!(r.londiste.run("subscriber tables").stdout.matches("public.t ").count(), 0);
    assert_no_complaints(&r);
}

/// Jobs at work, with gates; `other` is in sync, and `t` has a row and is not subscribed.
fn with_gates() -> Replication {
    let r = Replication::new().with_schema(SCHEMA);
    r.provider.sql("insert into t values (1, 'one')");
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

/// Begins the copy of `t`, and holds it at the gate.
fn copy_to(r: &Replication, side: Side, stage: &str) -> Session {
    let gate = close(r, side, stage, KEY);
    r.londiste.run("subscriber add t");
    wait_until_held(&gate, KEY);
    gate
}

/// The copy of `t` has a batch in hand on its way to the tick of `do-sync`.
fn copy_to_do_sync(r: &Replication) -> Session {
    let gate = copy_to(r, Side::Subscriber, "state wanna-sync%");
    for id in 2..5 {
        r.provider.sql(&format!("insert into t values ({id}, 'behind')"));
        r.replay_until_in_sync();
    }
    let finish = close(r, Side::Provider, "finish batch", KEY + 1);
    open(&gate, KEY);
    wait_until_held(&finish, KEY + 1);
    wait_until("replay waits for t", || {
        let state = r.subscriber.value(STATE_OF_T);
        if state.starts_with("do-sync") { Ok(()) } else { Err(state) }
    });
    finish
}

/// `unregister` comes before what the copy, or replay, is about to write; nobody listens for a while; and `register`.
fn unregister_first(r: &Replication, let_go: impl FnOnce()) {
    command_first(r, "subscriber unregister", let_go);
    r.provider.sql("insert into t values (10, 'while nobody listens'); delete from t where id = 1");
    original::tick(&r.provider);
    r.londiste.run("subscriber register");
    // Replay found itself without a consumer, and pauses.
    r.londiste.reload();
    r.wait_until_ok();
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.assert_in_sync();
}

#[test]
fn unregister_and_register_win_over_the_end_of_a_hand_over() {
    let r = with_gates();
    let gate = copy_to_do_sync(&r);
    unregister_first(&r, || open(&gate, KEY + 1));
}

/// As `unregister` does it on both sides, without a race for the copy's consumer.
#[test]
fn states_that_were_forgotten_win_over_the_end_of_a_hand_over() {
    let r = with_gates();
    let gate = copy_to_do_sync(&r);
    let forget = "update londiste.subscriber_table set merge_state = null, snapshot = null;
                  delete from londiste.completed where consumer_id = 'db1-londiste'";
    before_the_write(&r, || open(&gate, KEY + 1), forget);
    r.provider.sql(&format!("select pgq.unregister_consumer('{QUEUE}', 'db1-londiste')"));
    r.provider.sql("insert into t values (10, 'while nobody listens'); delete from t where id = 1");
    original::tick(&r.provider);
    r.provider.sql(&format!("select pgq.register_consumer('{QUEUE}', 'db1-londiste')"));
    r.londiste.reload();
    r.wait_until_ok();
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.assert_in_sync();
}

#[test]
fn unregister_and_register_win_over_the_end_of_a_catch_up() {
    let r = with_gates();
    let gate = copy_to_finish_batch(&r, KEY);
    unregister_first(&r, || open(&gate, KEY));
}

#[test]
fn unregister_and_register_win_over_the_end_of_a_copy() {
    let r = with_gates();
    let gate = copy_to(&r, Side::Subscriber, "ddl alter table%add constraint%t_pkey%");
    unregister_first(&r, || open(&gate, KEY));
}

#[test]
fn unregister_and_register_win_over_the_order_to_sync() {
    let r = with_gates();
    let gate = copy_to(&r, Side::Subscriber, "state wanna-sync%");
    let locked = r.subscriber.session();
    locked.sql("begin; lock table other in access exclusive mode");
    r.provider.sql("insert into other values (1)");
    wait_until("replay waits", || {
        let sql = "select count(*) from pg_locks where relation = 'other'::regclass and not granted";
        if r.subscriber.value(sql) == "0" { Err("it does not") } else { Ok(()) }
    });
    open(&gate, KEY);
    wait_until("t waits for replay", || {
        let state = r.subscriber.value(STATE_OF_T);
        if state.starts_with("wanna-sync") { Ok(()) } else { Err(state) }
    });
    unregister_first(&r, || locked.sql("commit"));
}

#[test]
fn remove_wins_over_the_end_of_a_catch_up() {
    let r = with_gates();
    let gate = copy_to_finish_batch(&r, KEY);
    command_first(&r, "subscriber remove t", || open(&gate, KEY));
    r.provider.sql("insert into other values (7)");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select id from other"), ["7"]);
    wait_until("no consumer of a copy is left", || {
        let left = r.provider.column(COPIES);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    assert_no_complaints(&r);
}
