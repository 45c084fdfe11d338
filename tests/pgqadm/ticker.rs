//! Ticks: which queues get them, when, and what does not keep them from coming.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pretty_assertions::assert_eq;

use super::Setup;
use crate::support::{Cluster, Job, Shutdown, mask_log_lines, wait_until, wait_within};

fn insert(setup: &Setup, queue: &str) {
    setup.database.sql(&format!("select pgq.insert_event('{queue}', 'kind', 'data')"));
}

/// Inserts an event and waits for the tick that brings it.
#[track_caller]
fn assert_ticks(setup: &Setup, queue: &str) {
    let before = setup.last_tick(queue);
    insert(setup, queue);
    setup.wait_for_tick_after(queue, before);
}

/// No error was logged. Warnings may be: transactions of other tests, in any database, hold up rotation.
#[track_caller]
fn assert_no_error(job: &Job) {
    let log = job.log();
    assert!(!log.contains("ERROR") && !log.contains("CRITICAL"), "{log}");
}

#[test]
fn events_are_followed_by_a_tick() {
    let setup = Setup::with_queues(&["q"]);
    setup.job.start();
    for _ in 0..3 {
        assert_ticks(&setup, "q");
    }
}

#[test]
fn queues_may_come_and_go() {
    let setup = Setup::with_queues(&["first"]);
    setup.job.start();
    assert_ticks(&setup, "first");
    setup.create_queues(&["second"]);
    assert_ticks(&setup, "second");
    setup.job.run("drop first");
    assert_ticks(&setup, "second");
    setup.create_queues(&["first"]);
    assert_ticks(&setup, "first");
    assert_no_error(&setup.job);
}

#[test]
fn queue_that_is_being_dropped_does_not_hold_up_the_others() {
    let setup = Setup::with_queues(&["other", "gone"]);
    setup.job.start();
    assert_ticks(&setup, "gone");
    let dropper = setup.database.session();
    dropper.sql("begin; select pgq.drop_queue('gone')");
    for _ in 0..5 {
        assert_ticks(&setup, "other");
    }
    dropper.sql("rollback");
    assert_ticks(&setup, "gone");
    assert_no_error(&setup.job);
}

#[test]
fn queue_whose_sequence_is_gone_does_not_hold_up_the_others() {
    let setup = Setup::with_queues(&["other", "broken"]);
    setup.database.sql("drop sequence pgq.event_2_id_seq cascade");
    setup.job.start();
    for _ in 0..3 {
        assert_ticks(&setup, "other");
    }
    setup.job.wait_for_log("pgq.event_2_id_seq");
}

#[test]
fn role_without_rights_does_not_stop_the_ticker() {
    let cluster = Cluster::builder().name("nobody").start();
    let setup = Setup::on(&cluster);
    setup.job.run("install");
    setup.create_queues(&["q"]);
    setup.database.sql("create role nobody");
    setup.job.start();
    let nobody = setup.database.session();
    nobody.sql(
        "set role nobody; select pg_advisory_lock(1885827444, id), pg_advisory_lock(id) from generate_series(1, 9) id",
    );
    for _ in 0..3 {
        assert_ticks(&setup, "q");
    }
}

#[test]
fn session_that_keeps_a_queue_from_being_ticked_is_named() {
    let setup = Setup::with_queues(&["q"]);
    setup.job.start();
    assert_ticks(&setup, "q");
    for (lock, what) in [
        ("select pgq.force_tick('q'); select pgq.ticker('q')", "holds the newest tick"),
        ("select * from pgq.tick order by tick_id desc limit 1 for update", "holds the newest tick"),
        ("select * from pgq.queue for update", "holds the row of the queue"),
        ("lock table pgq.tick in share mode", "holds ShareLock on pgq.tick"),
    ] {
        let holder = setup.database.session();
        // Another tick may come while the lock is taken.
        wait_until("the lock is taken", || {
            holder.sql(&format!("set application_name = 'holder'; begin; {lock}"));
            let newest = holder.value("select count(*) from pgq.tick where xmax::text = txid_current()::text");
            if newest != "0" || what != "holds the newest tick" {
                return Ok(());
            }
            holder.sql("rollback");
            Err("a tick came")
        });
        insert(&setup, "q");
        let pid = holder.backend_pid();
        setup.job.wait_for_log(&format!(
            " s, its consumers wait. It is blocked by pid {pid} (user postgres, application \"holder\"), which {what}, for "
        ));
        holder.sql("rollback");
        assert_ticks(&setup, "q");
    }
    assert_no_error(&setup.job);
}

#[test]
fn paused_and_externally_ticked_queues_are_left_alone() {
    let setup = Setup::with_queues(&["q", "paused", "external"]);
    setup.job.run("config paused ticker_paused=true");
    setup.job.run("config external external_ticker=true");
    let before = ["paused", "external"].map(|queue| setup.last_tick(queue));
    insert(&setup, "paused");
    insert(&setup, "external");
    setup.job.start();
    for _ in 0..5 {
        assert_ticks(&setup, "q");
    }
    assert_eq!(["paused", "external"].map(|queue| setup.last_tick(queue)), before);
    setup.job.run("config paused ticker_paused=false");
    setup.wait_for_tick_after("paused", before[0]);
    assert_no_error(&setup.job);
}

/// Only an update of the table itself can set them so.
#[test]
fn queue_with_settings_that_make_no_sense_is_named_and_does_not_hold_up_the_others() {
    let setup = Setup::with_queues(&["good", "bad"]);
    setup.database.sql("update pgq.queue set queue_ticker_max_lag = '-5 s' where queue_name = 'bad'");
    setup.job.start();
    for _ in 0..3 {
        assert_ticks(&setup, "good");
    }
    setup.job.wait_for_log(
        "ERROR queue \"bad\" gets no ticks with these settings: ticker_max_count = 500, ticker_max_lag = -5 s, \
         ticker_idle_period = 0.2 s\nHINT: They must be finite and not negative. Set them with \"rlondiste ticker INI config \
         QUEUE VAR=VAL\".\n",
    );
    setup.job.run("config bad ticker_max_lag=0.1");
    assert_ticks(&setup, "bad");
}

/// As after the clock was set back by an hour while no ticker ran. The next tick is of now, so it is said once.
#[test]
fn tick_of_the_future_is_told_and_ticks_go_on() {
    let setup = Setup::with_queues(&["q"]);
    setup.database.sql("update pgq.tick set tick_time = now() + interval '1 hour'");
    setup.job.start();
    for _ in 0..3 {
        assert_ticks(&setup, "q");
    }
    setup.job.stop();
    setup.job.start();
    assert_ticks(&setup, "q");
    let place = setup.place();
    let log = setup.job.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("in the future")).collect();
    assert_eq!(told.len(), 1, "{log}");
    let end = format!(
        " s in the future: the clock of provider ({place}) was set back. Ticks go on; times and lags that are shown are wrong until \
         the clock has passed its old time"
    );
    let begin = "WARNING The newest tick of queue q lies 3";
    assert!(told[0].contains(begin) && told[0].ends_with(&end), "{}", told[0]);
}

#[test]
fn who_listens_hears_of_each_tick() {
    let setup = Setup::with_queues(&["q"]);
    setup.job.start();
    let listener = setup.database.session();
    listener.sql("listen rlondiste_tick");
    insert(&setup, "q");
    wait_until("the listener hears of a tick", || {
        listener.sql("select 1");
        let heard = listener.take_notifications();
        if heard.contains(&"rlondiste_tick:q".to_owned()) { Ok(()) } else { Err(format!("{heard:?}")) }
    });
}

#[test]
fn forced_tick_does_not_wait_for_the_next_check() {
    let mut setup = Setup::with_queues(&["q"]);
    setup.job = setup.job.set("loop_delay", "1000");
    setup.job.start();
    setup.job.wait_for_log("INFO {ticks: ");
    for _ in 0..3 {
        let before = setup.last_tick("q");
        insert(&setup, "q");
        setup.database.sql("select pgq.force_tick('q')");
        setup.wait_for_tick_after("q", before);
    }
    // Nor does the end.
    setup.job.stop();
}

/// A consumer that waits gets new events without waiting for `ticker_max_lag`, and the queues of others are ticked as before.
#[test]
fn consumers_that_wait_get_their_tick_at_once() {
    let setup = Setup::with_queues(&["q", "other"]);
    setup.database.sql(
        "select pgq.set_queue_config(queue_name, 'ticker_max_lag', '1 hour'),
                pgq.set_queue_config(queue_name, 'ticker_max_count', '1000000') from pgq.get_queue_info()",
    );
    setup.job.start();
    let waits = |queue: &str| setup.database.sql(&format!("notify rlondiste_wait, '{queue}'"));
    for queue in ["q", "other"] {
        setup.wait_for_tick_after(queue, 1);
    }
    let others = setup.last_tick("other");
    for _ in 0..3 {
        // The consumer says so before or after the events have come.
        for is_first in [true, false] {
            let before = setup.last_tick("q");
            insert(&setup, "other");
            if is_first {
                waits("q");
            }
            insert(&setup, "q");
            if !is_first {
                waits("q");
            }
            setup.wait_for_tick_after("q", before);
        }
    }
    assert_eq!(setup.last_tick("other"), others);
    // One that does not wait any more gets no more ticks than before.
    let before = setup.last_tick("q");
    insert(&setup, "q");
    waits("other");
    setup.wait_for_tick_after("other", others);
    assert_eq!(setup.last_tick("q"), before);
    waits("no such queue");
    waits("q");
    setup.wait_for_tick_after("q", before);
    assert_no_error(&setup.job);
}

#[test]
fn reload_takes_new_settings() {
    let mut setup = Setup::with_queues(&["q"]);
    setup.job = setup.job.set("loop_delay", "1000");
    setup.job.start();
    setup.job.wait_for_log("INFO {ticks: ");
    setup.job.configure("loop_delay", "0.02");
    setup.job.reload();
    assert_ticks(&setup, "q");

    setup.job.configure("loop_delay", "soon");
    let pid = Pid::from_raw(setup.job.pid().unwrap());
    setup.job.log_contains("ERROR Job db1-ticker keeps its settings: ", || kill(pid, Signal::SIGHUP).unwrap());
    assert_ticks(&setup, "q");
}

#[test]
fn ticker_and_maintenance_report_what_they_did() {
    let mut setup = Setup::installed();
    setup.job = setup.job.set("ticker_log_delay", "0.2").set("maint_delay", "0.2");
    setup.job.start();
    wait_until("there are two lines of each", || {
        let log = setup.job.log();
        let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        let counts = (lines(" INFO {ticks: 0}"), lines(" INFO {maint_duration: 0."));
        if counts.0 >= 2 && counts.1 >= 2 { Ok(()) } else { Err(format!("{counts:?}")) }
    });
}

#[test]
fn ticker_logs_its_start_and_what_maintenance_does_and_nothing_else() {
    let cluster = Cluster::builder().name("logged").start();
    let mut setup = Setup::on(&cluster);
    setup.job.run("install");
    setup.create_queues(&["q"]);
    setup.database.sql("update pgq.queue set queue_rotation_period = '1 hour'");
    setup.job = setup.job.set("maint_delay", "600");
    assert_eq!(lines_of_a_run(&setup, 2), ["INFO {maint_duration: N}", "INFO {ticks: N}"]);
    setup.job.run("register q c");
    insert(&setup, "q");
    setup.database.sql("select pgq.force_tick('q'); select pgq.ticker('q')");
    let batch = setup.database.value("select pgq.next_batch('q', 'c')");
    setup.database.sql(&format!(
        "select pgq.event_retry({batch}, ev_id, 0) from pgq.get_batch_events({batch}); select pgq.finish_batch({batch})"
    ));
    let expected = ["INFO Got 1 events for retry", "INFO {maint_duration: N}", "INFO {ticks: N}"];
    assert_eq!(lines_of_a_run(&setup, 3), expected);
    setup.job.run("unregister q c");
    setup.database.sql("update pgq.queue set queue_switch_time = now() - interval '1 hour 1 second'");
    let expected = ["INFO Rotating q", "INFO {maint_duration: N}", "INFO {ticks: N}"];
    assert_eq!(lines_of_a_run(&setup, 3), expected);
}

/// Starts the ticker, waits until it has logged so many lines, and stops it. Ticks and maintenance go side by side, so the
/// lines are sorted.
fn lines_of_a_run(setup: &Setup, count: usize) -> Vec<String> {
    let start = setup.job.log().len();
    let lines = || mask_log_lines(&setup.job.log()[start..]);
    setup.job.start();
    wait_until("the lines are there", || if lines().lines().count() >= count { Ok(()) } else { Err(lines()) });
    setup.job.stop();
    let line = |line: &str| match line.strip_prefix("DATE PID ").unwrap_or(line).split_once(": ") {
        Some((name, number)) if number.ends_with('}') => format!("{name}: N}}"),
        _ => line.strip_prefix("DATE PID ").unwrap_or(line).to_owned(),
    };
    let mut lines: Vec<String> = lines().lines().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn idle_queue_gets_few_ticks() {
    let setup = Setup::with_queues(&["q", "busy"]);
    setup.database.sql(
        "update pgq.queue set queue_ticker_max_lag = '50 ms', queue_ticker_idle_period = '1 hour' where queue_name = 'q'",
    );
    setup.job.start();
    for _ in 0..20 {
        assert_ticks(&setup, "busy");
    }
    // In these two seconds or more it would be 40 at equal distances; the pauses double instead.
    let ticks = setup.last_tick("q");
    assert!((2..=20).contains(&ticks), "{ticks} ticks");
}

#[test]
fn ticker_waits_for_a_server_that_is_down_at_its_start() {
    let cluster = Cluster::builder().name("late").start();
    let setup = Setup::on(&cluster);
    setup.job.run("install");
    setup.create_queues(&["q"]);
    cluster.stop(Shutdown::Fast);
    setup.job.start();
    setup.job.wait_for_log("could not connect to provider");
    cluster.start();
    assert_ticks(&setup, "q");
}

#[test]
fn ticker_outlives_a_restart_of_the_server() {
    let cluster = Cluster::builder().name("restarted").start();
    let setup = Setup::on(&cluster);
    setup.job.run("install");
    setup.create_queues(&["q"]);
    setup.job.start();
    assert_ticks(&setup, "q");
    for how in [Shutdown::Fast, Shutdown::Immediate] {
        cluster.stop(how);
        cluster.start();
        assert_ticks(&setup, "q");
    }
}

#[test]
fn ticker_waits_for_its_schema() {
    let setup = Setup::empty();
    setup.job.start();
    setup.job.wait_for_log("HINT: Run \"rlondiste TICKER-INI install\"");
    setup.job.run("install");
    setup.create_queues(&["q"]);
    // After an error that may stay, the next try comes after 20 s.
    let before = setup.last_tick("q");
    insert(&setup, "q");
    wait_within(Duration::from_secs(40), "it ticks", || match setup.last_tick("q") {
        now if now > before => Ok(()),
        now => Err(format!("at tick {now}")),
    });
}
