//! The hand-over of a table from its copy to replay.

use crate::support::{QUEUE, Replication, wait_until};

/// Replay stands still while the copy of a table comes to the newest tick. It does not take the ticks up to there one by one.
#[test]
fn replay_that_lags_joins_the_ticks_before_a_hand_over() {
    const TICKS: usize = 40;
    let mut r = Replication::new().with_table("busy", "id int primary key").with_table("t", "id int primary key");
    r.londiste.configure("loop_delay", "0.2");
    r.install();
    r.start();
    r.add("busy");
    r.wait_until_ok();
    r.replay_until_in_sync();

    // The copy waits for its first look at the provider's rows.
    let writer = r.provider.session();
    r.londiste.run("provider add t");
    writer.sql("begin; lock table t");
    r.londiste.run("subscriber add t");
    r.londiste.wait_for_log("INFO Starting full copy of public.t");
    r.ticker.stop();
    let reader = r.subscriber.session();
    reader.sql("begin; lock table busy");
    for id in 0..TICKS {
        r.provider.sql(&format!(
            "insert into busy values ({id}); select pgq.force_tick('{QUEUE}'); select pgq.ticker('{QUEUE}')"
        ));
    }
    wait_until_replay_stands_at_busy(&r);
    r.ticker.start();
    writer.sql("commit");
    wait_until_copy_of_t_waits_for_replay(&r);
    let start = r.londiste.log().len();
    reader.sql("commit");
    r.provider.sql("insert into t values (1)");
    r.wait_until_ok();
    r.assert_in_sync();
    let log = r.londiste.log()[start..].to_owned();
    let batches = log.lines().filter(|line| line.contains("INFO {count: ") && !line.contains("{count: 0")).count();
    assert!(batches < TICKS / 4, "{batches} batches\n{log}");
    assert!(!log.contains("WARNING"), "{log}");
}

/// `--rewind`, which the message advises, leads replay back to before the batch: a table that was taken over at the batch's end would
/// get the events in between twice.
#[test]
fn no_table_is_taken_over_at_a_batch_that_does_not_begin_at_the_position() {
    let r = Replication::new().with_table("busy", "id int primary key").with_table("t", "id int primary key");
    r.install();
    r.start();
    r.add("busy");
    r.wait_until_ok();
    let writer = r.provider.session();
    r.londiste.run("provider add t");
    writer.sql("begin; lock table t");
    r.londiste.run("subscriber add t");
    r.londiste.wait_for_log("INFO Starting full copy of public.t");
    let reader = r.subscriber.session();
    reader.sql("begin; lock table busy");
    r.provider.sql("insert into busy values (1)");
    wait_until_replay_stands_at_busy(&r);
    writer.sql("commit");
    wait_until_copy_of_t_waits_for_replay(&r);
    r.londiste.kill9();
    reader.sql("commit");

    // Replay's consumer is at a tick that the copy has not come to.
    let main = format!("'{QUEUE}', 'db1-londiste'");
    let write_and_tick = |id| {
        r.provider.sql(&format!(
            "insert into t values ({id}); select pgq.force_tick('{QUEUE}'); select pgq.ticker('{QUEUE}')"
        ));
    };
    r.ticker.stop();
    write_and_tick(1);
    r.provider.sql(&format!("select pgq.unregister_consumer({main}); select pgq.register_consumer({main})"));
    write_and_tick(2);
    r.londiste.start();
    r.londiste.wait_for_log("Lost position: batch ");
    r.londiste.stop();
    r.londiste.run("--rewind");
    r.start();
    r.wait_until_ok();
    r.assert_in_sync();
}

fn wait_until_replay_stands_at_busy(r: &Replication) {
    wait_until("replay waits for the lock", || {
        match r
            .subscriber
            .value("select count(*) from pg_locks where relation = 'busy'::regclass and not granted")
            .as_str()
        {
            "0" => Err("it does not"),
            _ => Ok(()),
        }
    });
}

fn wait_until_copy_of_t_waits_for_replay(r: &Replication) {
    wait_until("the copy waits for replay", || {
        let state =
            r.subscriber.value("select merge_state from londiste.subscriber_table where table_name = 'public.t'");
        if state.starts_with("wanna-sync:") { Ok(()) } else { Err(state) }
    });
}
