//! Unlogged tables on the subscriber: a crash of its server empties them, and no state would tell.

use crate::support::{Cluster, Replication, assert_same_rows, wait_until};

/// On a subscriber that may crash. There, `t` is unlogged.
fn up(cluster: &Cluster) -> Replication {
    let r = Replication::between(Cluster::provider(), cluster);
    r.provider.sql(
        "create table t (id int primary key, v text); create table other (id int primary key);
         insert into t select n, 'row' from generate_series(1, 100) n; insert into other select id from t",
    );
    r.subscriber.sql("create unlogged table t (id int primary key, v text); create table other (id int primary key)");
    r.install();
    r.start();
    r.add("t other");
    r.wait_until_ok();
    r.replay_until_in_sync();
    r
}

const AGAIN: &str =
    "WARNING Table public.t is copied again: it is unlogged, and a crash of the server has emptied it\n";

fn times(r: &Replication, text: &str) -> usize {
    r.londiste.log().matches(text).count()
}

#[test]
fn table_that_a_crash_has_emptied_is_copied_again() {
    let cluster = Cluster::builder().name("unlogged").start();
    let r = up(&cluster);
    cluster.kill9();
    cluster.start();
    r.provider.sql("insert into t values (101, 'after')");
    r.londiste.wait_for_log(AGAIN);
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
    // Once, and the other table not at all.
    assert_eq!(times(&r, " is copied again: "), 1);
    assert_eq!(times(&r, "Starting full copy of public.other\n"), 1);
}

#[test]
fn crash_is_told_before_replay_comes() {
    let cluster = Cluster::builder().name("unlogged").start();
    let r = up(&cluster);
    r.londiste.stop();
    cluster.restart();
    r.londiste.program(["subscriber", "check"]).run();
    cluster.kill9();
    cluster.start();
    let check = r.londiste.program(["subscriber", "check"]).status(1).run();
    let problem = "is unlogged, and a crash of the server has emptied it";
    assert!(
        check.stderr.contains(&format!("ERROR Table public.t is ok, but changes may be missing: it {problem}\n")),
        "{}",
        check.stderr
    );
    let status = r.londiste.run("subscriber status").stdout;
    assert!(status.contains(&format!("    Changes may be missing: it {problem}\n")), "{status}");
    assert_eq!(status.matches("    Changes may be missing: ").count(), 1, "{status}");
    r.londiste.start();
    r.londiste.wait_for_log(AGAIN);
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
    r.londiste.program(["subscriber", "check"]).run();
}

#[test]
fn clean_restart_keeps_the_rows() {
    let cluster = Cluster::builder().name("unlogged").start();
    let r = up(&cluster);
    cluster.restart();
    r.provider.sql("insert into t values (101, 'after')");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
    assert_eq!(times(&r, " is copied again: "), 0);
}

/// The copy has brought its rows, and waits for replay or catches up when the server crashes.
#[test]
fn table_that_is_emptied_while_it_catches_up_is_copied_again() {
    let cluster = Cluster::builder().name("unlogged").start();
    let r = up(&cluster);
    // Nothing is handed over without ticks.
    r.ticker.stop();
    r.londiste.run("subscriber resync t");
    wait_until("the rows are there", || {
        let state =
            r.subscriber.value("select merge_state from londiste.subscriber_table where table_name = 'public.t'");
        if state == "catching-up" { Ok(()) } else { Err(state) }
    });
    cluster.kill9();
    cluster.start();
    r.londiste.wait_for_log(AGAIN);
    r.ticker.start();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
}

/// Also when nobody had a look at it since.
#[test]
fn table_that_was_made_unlogged_later_is_copied_again() {
    let cluster = Cluster::builder().name("unlogged").start();
    let r = up(&cluster);
    r.subscriber.sql("alter table t set logged; alter table other set unlogged");
    cluster.kill9();
    cluster.start();
    r.londiste.wait_for_log("WARNING Table public.other is copied again: it is unlogged, ");
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
    assert_eq!(times(&r, " is copied again: "), 1);
}
