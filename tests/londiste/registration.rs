//! Replay goes on only as the consumer that has brought its tables to where they are. A registration that somebody took
//! away, or another name, would leave out what happened in between, and no state would tell.

use std::time::Duration;

use crate::support::{QUEUE, Replication, assert_same_rows, replay_until_in_sync, wait_until, wait_within};

/// Two tables in sync, by a consumer whose name occurs nowhere else.
fn in_sync() -> Replication {
    let mut r = Replication::new()
        .with_schema("create table t (id int primary key, v text); create table u (id int primary key)");
    r.londiste.configure("pgq_consumer_id", "old-reader");
    r.provider.sql("insert into t values (1, 'one'); insert into u values (1)");
    r.install();
    r.start();
    r.add("--all");
    r.wait_until_ok();
    wait_until("no table needs its snapshot any more", || {
        let left = r.subscriber.value("select count(*) from londiste.subscriber_table where snapshot is not null");
        if left == "0" { Ok(()) } else { Err(left) }
    });
    wait_until_applied(&r);
    r
}

/// Waits until the consumer has finished a tick that shows all that is committed now.
fn wait_until_applied(r: &Replication) {
    replay_until_in_sync(&r.provider, "old-reader");
}

fn assert_same(r: &Replication) {
    assert_same_rows(&r.provider, &r.subscriber, &["t", "u"]);
}

/// Somebody who is not rlondiste takes the consumer away.
fn unregister_behind_our_back(r: &Replication) {
    r.provider.sql(&format!("select pgq.unregister_consumer('{QUEUE}', 'old-reader')"));
}

fn registered(r: &Replication) -> Vec<String> {
    r.provider.column("select consumer_name from pgq.get_consumer_info() order by 1")
}

/// Waits until replay has stopped with a message that has all of these words.
#[track_caller]
fn assert_stops(r: &Replication, from: usize, words: &[&str]) {
    let stopped = || r.londiste.log().split_off(from);
    let status = |log: &str| format!("consumers: {:?}\n{log}", registered(r));
    wait_within(Duration::from_mins(1), "replay stops", || {
        let log = stopped();
        if log.contains(" CRITICAL ") { Ok(()) } else { Err(status(&log)) }
    });
    // It may have been stopped by what it was about to do, and finds out the reason at its next start.
    r.londiste.reload();
    wait_within(Duration::from_mins(1), &format!("replay says {words:?}"), || {
        let log = stopped();
        let has_all = |report: &str| {
            // Up to the next line of the log: DETAIL and HINT belong to it.
            let report = report.split("\n20").next().unwrap_or_default();
            words.iter().all(|word| report.contains(word))
        };
        if log.split(" CRITICAL ").skip(1).any(has_all) { Ok(()) } else { Err(status(&log)) }
    });
}

fn tick(r: &Replication) -> i64 {
    r.provider.value("select max(tick_id) from pgq.tick").parse().unwrap()
}

fn more_ticks(r: &Replication) {
    let before = tick(r);
    wait_until("two ticks", || if tick(r) >= before + 2 { Ok(()) } else { Err("not yet") });
}

#[test]
fn consumer_that_was_unregistered_behind_our_back_is_not_registered_anew() {
    let r = in_sync();
    let from = r.londiste.log().len();
    unregister_behind_our_back(&r);
    r.provider.sql("insert into t values (2, 'after it'); delete from u");
    more_ticks(&r);
    assert_stops(&r, from, &["old-reader", "not registered", "--rewind"]);
    assert_eq!(registered(&r), Vec::<String>::new());
    let status = r.londiste.program(["subscriber", "status"]).output().stdout;
    assert!(status.contains("not registered"), "{status}");
    r.londiste.program(["subscriber", "check"]).status(1).run();
    // What the message says helps: the queue has the events.
    r.londiste.stop();
    r.londiste.run("--rewind");
    r.londiste.start();
    wait_until_applied(&r);
    assert_same(&r);
    r.londiste.program(["subscriber", "check"]).run();
}

/// Registered at the newest tick, it would skip what nobody has applied.
#[test]
fn consumer_that_was_unregistered_behind_our_back_is_not_registered_by_the_command_either() {
    let r = in_sync();
    r.londiste.stop();
    unregister_behind_our_back(&r);
    r.provider.sql("insert into t values (2, 'after it'); delete from u");
    more_ticks(&r);
    r.londiste.program(["subscriber", "unregister"]).status(1).run();
    let output = r.londiste.program(["subscriber", "register"]).status(1).run();
    for words in [
        "cannot register consumer old-reader at the newest tick: 2 tables are ok up to tick ",
        "--rewind",
        "resync --all",
    ] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    assert_eq!(registered(&r), Vec::<String>::new());
    // What it says helps, either way.
    r.londiste.run("--rewind");
    r.londiste.start();
    wait_until_applied(&r);
    assert_same(&r);
    r.londiste.stop();
    unregister_behind_our_back(&r);
    r.provider.sql("insert into t values (3, 'after it too')");
    more_ticks(&r);
    r.londiste.run("subscriber resync --all");
    r.londiste.run("subscriber register");
    r.londiste.start();
    r.wait_until_ok();
    wait_until_applied(&r);
    assert_same(&r);
}

#[test]
fn consumer_that_was_unregistered_while_replay_was_stopped_is_not_registered_anew() {
    let r = in_sync();
    r.londiste.stop();
    unregister_behind_our_back(&r);
    r.provider.sql("insert into t values (2, 'after it'); delete from u");
    more_ticks(&r);
    let from = r.londiste.log().len();
    r.londiste.program(["subscriber", "check"]).status(1).run();
    r.londiste.start();
    assert_stops(&r, from, &["old-reader", "not registered", "--rewind"]);
    assert_eq!(registered(&r), Vec::<String>::new());
    r.londiste.stop();
    r.londiste.run("--rewind");
    r.londiste.start();
    wait_until_applied(&r);
    assert_same(&r);
}

#[test]
fn consumer_whose_events_are_gone_needs_new_copies() {
    let r = in_sync();
    let from = r.londiste.log().len();
    r.londiste.stop();
    unregister_behind_our_back(&r);
    r.provider.sql("insert into t values (2, 'after it'); delete from u");
    more_ticks(&r);
    // As rotation does, which nobody holds up now.
    r.provider.sql("delete from pgq.tick where tick_id < (select max(tick_id) from pgq.tick)");
    r.londiste.start();
    assert_stops(&r, from, &["old-reader", "not registered", "resync --all"]);
    assert_eq!(registered(&r), Vec::<String>::new());
    r.londiste.run("subscriber resync --all");
    r.londiste.reload();
    r.wait_until_ok();
    wait_until_applied(&r);
    assert_same(&r);
}

#[test]
fn consumer_that_was_registered_anew_behind_our_back_is_found_out() {
    let r = in_sync();
    r.londiste.stop();
    unregister_behind_our_back(&r);
    r.provider.sql("insert into t values (2, 'nobody keeps it'); delete from u");
    more_ticks(&r);
    r.provider.sql(&format!("select pgq.register_consumer('{QUEUE}', 'old-reader')"));
    let from = r.londiste.log().len();
    r.londiste.start();
    // Its position is not that of the subscriber.
    assert_stops(&r, from, &["old-reader", "--rewind"]);
    r.londiste.stop();
    r.londiste.run("--rewind");
    r.londiste.start();
    wait_until_applied(&r);
    assert_same(&r);
}

/// Rows that only the old consumer has still to bring, and an ini file with another name.
fn renamed(r: &mut Replication) {
    r.londiste.stop();
    r.provider.sql("insert into t values (2, 'for the old consumer'); delete from u");
    more_ticks(r);
    r.londiste.configure("pgq_consumer_id", "new-reader");
}

/// The old name again, and nothing is lost.
fn renamed_back(r: &mut Replication) {
    r.londiste.stop();
    r.londiste.configure("pgq_consumer_id", "old-reader");
    r.londiste.start();
    wait_until_applied(r);
    assert_same(r);
}

/// What `check` and `status` say before replay is started.
#[track_caller]
fn assert_other_consumer_is_told(r: &Replication) {
    let problem = "they are ok by consumer old-reader, and consumer new-reader of this job has no position";
    let check = r.londiste.program(["subscriber", "check"]).status(1).run();
    assert!(check.stderr.contains(&format!("ERROR Tables are ok, but {problem}\n")), "{}", check.stderr);
    let status = r.londiste.run("subscriber status").stdout;
    assert!(status.contains(&format!("Problem:     {problem}\n")), "{status}");
}

#[test]
fn another_consumer_name_stops_replay_and_the_one_with_the_position_is_named() {
    let mut r = in_sync();
    renamed(&mut r);
    assert_other_consumer_is_told(&r);
    let from = r.londiste.log().len();
    r.londiste.start();
    assert_stops(&r, from, &["new-reader", "old-reader"]);
    assert_eq!(registered(&r), ["old-reader"]);
    renamed_back(&mut r);
}

#[test]
fn another_consumer_name_that_was_registered_stops_replay_too() {
    let mut r = in_sync();
    renamed(&mut r);
    let from = r.londiste.log().len();
    // Whether the command refuses it or replay does.
    r.londiste.program(["subscriber", "register"]).output();
    assert_other_consumer_is_told(&r);
    r.londiste.start();
    assert_stops(&r, from, &["new-reader", "old-reader"]);
    renamed_back(&mut r);
}

#[test]
fn another_consumer_name_is_fine_when_all_tables_are_copied_again() {
    let mut r = in_sync();
    renamed(&mut r);
    r.londiste.run("subscriber resync --all");
    r.londiste.start();
    r.wait_until_ok();
    replay_until_in_sync(&r.provider, "new-reader");
    assert_same(&r);
}
