//! Where the consumer stands on both sides, `--rewind` and `--reset`, and what happens when the two do not agree.

use pretty_assertions::assert_eq;

use super::log_lines::log;
use crate::support::{Replication, wait_until};

fn in_sync() -> Replication {
    let r = Replication::new().with_table("t", "id int primary key, v text").up();
    r.replay_until_in_sync();
    r
}

fn completed(r: &Replication) -> Vec<String> {
    r.subscriber.column("select last_tick_id from londiste.completed where consumer_id = 'db1-londiste'")
}

fn position(r: &Replication) -> Vec<String> {
    r.provider.column("select sub_last_tick from pgq.subscription")
}

/// Ticks go by without replay.
fn more_ticks(r: &Replication) {
    let tick = || r.provider.value("select max(tick_id) from pgq.tick").parse::<i64>().unwrap();
    let before = tick();
    wait_until("two ticks", || if tick() >= before + 2 { Ok(()) } else { Err("not yet") });
}

/// The provider's consumer stands at the last tick. Replay that stopped after its commit and before it told the provider
/// has left its batch open: that one goes with it, as it does where a consumer registers at another tick.
fn moved_by_somebody(r: &Replication) {
    r.provider.sql(
        "update pgq.subscription
         set sub_last_tick = (select max(tick_id) from pgq.tick), sub_batch = null, sub_next_tick = null",
    );
}

#[test]
fn both_are_refused_while_replay_runs() {
    let r = in_sync();
    for args in [&["--rewind"][..], &["replay", "--rewind"], &["--reset"], &["replay", "--reset"]] {
        let text = format!(
            "Pidfile exists, another process running?\nHINT: Process {} holds \"db1-londiste.pid\"; stop it with -s, or remove \
             the file if that is not one of ours.\n",
            r.londiste.pid().unwrap()
        );
        r.londiste.program(args).stdout("").stderr(text).status(1).run();
    }
    assert_eq!(completed(&r).len(), 1);
}

#[test]
fn reset_forgets_the_position_and_may_be_repeated() {
    let r = in_sync();
    r.londiste.stop();
    let line = log(&["INFO Resetting queue tracking on dst side"]);
    for args in [&["--reset"][..], &["replay", "--reset"], &["provider", "tables", "--reset"]] {
        r.londiste.program(args).stdout("").stderr(line.as_str()).run();
        assert!(completed(&r).is_empty());
    }
    r.provider.sql("insert into t values (1, 'a')");
    r.londiste.start();
    r.assert_in_sync();
}

#[test]
fn rewind_without_a_position_says_so() {
    let r = in_sync();
    r.londiste.stop();
    r.londiste.run("--reset");
    let lines = log(&["INFO Rewinding queue", "WARNING No tick found on dst side"]);
    for args in
        [&["--rewind"][..], &["replay", "--rewind"], &["--reset", "--rewind"], &["provider", "tables", "--rewind"]]
    {
        r.londiste.program(args).stdout("").stderr(lines.as_str()).run();
    }
}

#[test]
fn rewind_moves_the_provider_to_the_subscriber_and_wins_over_reset() {
    let r = in_sync();
    r.londiste.stop();
    let before = completed(&r);
    // As after the restore of an older backup of the subscriber.
    more_ticks(&r);
    r.provider.sql("insert into t values (1, 'a')");
    more_ticks(&r);
    moved_by_somebody(&r);
    let line = log(&["INFO Rewinding queue"]);
    r.londiste.program(["replay", "--rewind", "--reset"]).stdout("").stderr(line).run();
    assert_eq!(completed(&r), before);
    assert_eq!(position(&r), before);
    r.londiste.start();
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from t"), "1");
}

#[test]
fn a_lost_position_is_told_and_rewind_mends_it_though_the_batch_is_open() {
    let r = in_sync();
    r.londiste.stop();
    let before = completed(&r)[0].clone();
    more_ticks(&r);
    r.provider.sql("insert into t values (1, 'a')");
    more_ticks(&r);
    moved_by_somebody(&r);
    r.londiste.start();
    r.londiste.wait_for_log("CRITICAL Job db1-londiste crashed: Lost position: batch ");
    r.londiste.wait_for_log(&format!(
        ", dst has {before} (consumer db1-londiste)\nHINT: Either another process reads as consumer db1-londiste, or somebody has moved it. Stop replay"
    ));
    r.londiste.stop();
    assert_ne!(r.provider.value("select sub_batch from pgq.subscription"), "NULL");
    r.londiste.run("--rewind");
    assert_eq!(position(&r), [before]);
    assert_eq!(r.provider.value("select sub_batch from pgq.subscription"), "NULL");
    r.londiste.start();
    r.assert_in_sync();
}

#[test]
fn reset_mends_a_lost_position_by_leaving_out_what_is_in_between() {
    let r = in_sync();
    r.londiste.stop();
    more_ticks(&r);
    r.provider.sql("insert into t values (1, 'left out')");
    more_ticks(&r);
    moved_by_somebody(&r);
    r.londiste.run("--reset");
    r.provider.sql("insert into t values (2, 'b')");
    r.londiste.start();
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select id from t"), ["2"]);
    r.londiste.run("repair --apply");
    r.assert_in_sync();
}

#[test]
fn rewind_registers_a_consumer_that_the_provider_has_forgotten() {
    let r = in_sync();
    r.londiste.stop();
    let before = completed(&r);
    r.provider
        .sql("insert into t values (1, 'a'); select pgq.unregister_consumer('db1-londiste-queue', 'db1-londiste')");
    more_ticks(&r);
    r.londiste.program(["--rewind"]).stdout("").stderr(log(&["INFO Rewinding queue"])).run();
    assert_eq!(position(&r), before);
    r.londiste.start();
    r.assert_in_sync();
}

#[test]
fn rewind_to_a_tick_that_is_gone_is_an_error_and_changes_nothing() {
    let r = in_sync();
    r.londiste.stop();
    r.subscriber.sql("select londiste.set_last_tick('db1-londiste', 100000)");
    let before = position(&r);
    let output = r.londiste.program(["--rewind"]).stdout("").status(1).run();
    let text = "CRITICAL Job db1-londiste crashed: cannot rewind queue db1-londiste-queue on provider (";
    assert!(output.stderr.contains(text), "{}", output.stderr);
    let why = "to tick 100000: the subscriber is ahead of the provider, whose newest tick is older";
    assert!(output.stderr.contains(why), "{}", output.stderr);
    assert_eq!(position(&r), before);
}

#[test]
fn unregister_and_register_are_followed_by_new_copies() {
    let r = in_sync();
    r.londiste.stop();
    r.londiste.run("subscriber unregister");
    r.provider.sql("insert into t values (1, 'while nobody listens')");
    r.londiste.run("subscriber register");
    r.londiste.start();
    r.wait_until_ok();
    r.assert_in_sync();
    assert!(!r.londiste.log().contains("Lost position"));
}
