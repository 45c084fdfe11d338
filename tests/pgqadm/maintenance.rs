//! Maintenance: rotation and who is in its way, retry, vacuum, functions of other modules, warnings.

use pretty_assertions::assert_eq;

use super::Setup;
use crate::support::{Cluster, wait_until};

/// A queue in a cluster of its own: transactions of other tests, in any database, would block rotation.
fn alone() -> (Cluster, Setup) {
    let cluster = Cluster::builder().name("alone").start();
    let setup = Setup::on(&cluster);
    setup.job.run("install");
    setup.create_queues(&["q"]);
    (cluster, setup)
}

#[track_caller]
fn wait_for_rotation(setup: &Setup) {
    setup.job.wait_for_log_after(setup.job.log().len(), " INFO Rotating q\n");
}

#[test]
fn tables_rotate_and_read_events_go() {
    let (_cluster, setup) = alone();
    setup.database.sql("select pgq.insert_event('q', 'kind', 'data')");
    setup.job.start();
    for _ in 0..3 {
        wait_for_rotation(&setup);
    }
    assert_eq!(setup.database.value("select count(*) from pgq.event_1"), "0");
    let log = setup.job.log();
    assert!(!log.contains("WARNING") && !log.contains("ERROR"), "{log}");
}

#[test]
fn open_transaction_that_blocks_rotation_is_named() {
    let (_cluster, setup) = alone();
    let writer = setup.database.session();
    writer.sql("set application_name = 'sleeper'; begin; select pgq.insert_event('q', 'kind', 'data')");
    let pid = writer.backend_pid();
    setup.job.start();
    setup.job.wait_for_log(&format!(
        "its event tables grow. It is blocked by pid {pid} (user postgres, application \"sleeper\"): transaction open for "
    ));
    let before = setup.last_tick("q");
    setup.wait_for_tick_after("q", before);
    writer.sql("commit");
    wait_for_rotation(&setup);
}

#[test]
fn consumer_that_blocks_rotation_is_named() {
    let (_cluster, setup) = alone();
    setup.job.run("register q late");
    setup.job.start();
    setup.job.wait_for_log("WARNING Rotation of queue q is ");
    setup.job.wait_for_log("its event tables grow. It is blocked by consumer late, ");
    let size = setup.database.value(
        "select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'pgq.event_1'::regclass",
    );
    setup.job.wait_for_log(&format!(" s ago. The queue takes {size} bytes\n"));
    setup.job.wait_for_log("WARNING Consumer late of queue q is ");
    setup.job.wait_for_log(&format!(
        "Its events are kept until it comes, and the queue takes {size} bytes; start it, or unregister it\n"
    ));
    setup.job.run("unregister q late");
    wait_for_rotation(&setup);
    // A lasting state is not reported at each round.
    let warnings = setup.job.log().lines().filter(|line| line.contains("WARNING Rotation")).count();
    assert_eq!(warnings, 1);
}

/// Its last tick is older than the rotation period, because the queue gets no ticks.
#[test]
fn consumer_that_has_read_everything_is_not_blamed() {
    let (_cluster, setup) = alone();
    setup.job.run("register q punctual");
    setup.job.run("config q ticker_paused=true");
    setup.database.sql("update pgq.tick set tick_time = now() - interval '1 hour'");
    setup.job.start();
    for _ in 0..2 {
        setup.job.wait_for_log_after(setup.job.log().len(), "INFO {maint_duration: ");
    }
    let log = setup.job.log();
    assert!(!log.contains("WARNING Consumer"), "{log}");
}

/// Each rotation waits for a tick after the last one, and ticks come less often than rotations are due.
#[test]
fn rotation_of_an_idle_queue_that_waits_for_its_next_tick_is_not_blocked() {
    let (_cluster, setup) = alone();
    setup.job.run("register q punctual");
    // No rotation is due before the consumer has read everything.
    setup.job.run("config q rotation_period=1hour");
    setup.job.start();
    setup.database.sql("select pgq.next_batch('q', 'punctual')");
    setup.job.run("config q ticker_idle_period=1hour ticker_max_lag=1hour");
    // The consumer has finished the newest tick when no tick comes any more.
    wait_until("the consumer has read everything", || {
        let finish = "select pgq.finish_batch(b) from pgq.next_batch('q', 'punctual') b where b is not null";
        setup.database.rows(finish);
        // A queue with one tick gets its second one at once.
        let sql =
            "select max(t.tick_id) >= 2 and max(t.tick_id) = max(s.sub_last_tick) from pgq.tick t, pgq.subscription s";
        if setup.database.value(sql) == "t" { Ok(()) } else { Err("not yet") }
    });
    setup.job.run("config q rotation_period=0.1");
    for _ in 0..4 {
        setup.job.wait_for_log_after(setup.job.log().len(), "INFO {maint_duration: ");
    }
    let log = setup.job.log();
    assert!(!log.contains("WARNING"), "{log}");
}

#[test]
fn session_that_has_the_table_locked_is_named() {
    let (_cluster, setup) = alone();
    let reader = setup.database.session();
    reader.sql(
        "begin; lock table only pgq.event_1_0, only pgq.event_1_1, only pgq.event_1_2 in access share mode;
         set local application_name = 'reader'",
    );
    let pid = reader.backend_pid();
    setup.job.start();
    setup.job.wait_for_log(&format!("It is blocked by pid {pid} (user postgres, application \"reader\")"));
    reader.sql("commit");
    wait_for_rotation(&setup);
}

#[test]
fn all_events_whose_time_has_come_are_retried_in_one_round() {
    let setup = Setup::with_queues(&["q"]);
    setup.job.run("register q c");
    setup.database.sql("select pgq.insert_event('q', 'kind', i::text) from generate_series(1, 2345) i");
    setup.database.sql("select pgq.force_tick('q'); select pgq.ticker('q')");
    let batch = setup.database.value("select pgq.next_batch('q', 'c')");
    setup.database.sql(&format!(
        "select pgq.event_retry({batch}, ev_id, 0) from pgq.get_batch_events({batch}); select pgq.finish_batch({batch})"
    ));
    setup.job.start();
    setup.job.wait_for_log(" INFO Got 2345 events for retry\n");
    assert_eq!(setup.database.value("select count(*) from pgq.retry_queue"), "0");
}

#[test]
fn small_tables_are_vacuumed() {
    let setup = Setup::with_queues(&["q"]);
    setup.job.start();
    wait_until("pgq.tick was vacuumed", || {
        let sql = "select vacuum_count from pg_stat_user_tables where schemaname = 'pgq' and relname = 'tick'";
        match setup.database.value(sql).as_str() {
            "0" => Err("never"),
            _ => Ok(()),
        }
    });
}

#[test]
fn functions_of_other_modules_are_called_and_may_fail() {
    let (_cluster, setup) = alone();
    setup.database.sql(
        "create table called (queue text);
         create function broken(text) returns int language plpgsql as $$ begin raise 'out of order'; end $$;
         create function works(text) returns int language plpgsql as
            $$ begin insert into public.called values ($1); return 1; end $$;
         update pgq.queue set queue_extra_maint = '{public.broken, public.works}'",
    );
    setup.job.start();
    setup.job.wait_for_log("public.broken('q'): out of order (P0001)");
    wait_for_rotation(&setup);
    wait_for_rotation(&setup);
    assert!(setup.database.column("select distinct queue from called") == ["q"]);
    let errors = setup.job.log().lines().filter(|line| line.contains("out of order")).count();
    assert_eq!(errors, 1);
}

#[test]
fn failing_maintenance_does_not_stop_the_ticks() {
    let setup = Setup::with_queues(&["q"]);
    setup.database.sql(
        "create or replace function pgq.maint_operations(out func_name text, out func_arg text) returns setof record
         language plpgsql as $$ begin raise 'no list today'; end $$",
    );
    setup.job.start();
    setup.job.wait_for_log("CRITICAL Job db1-ticker crashed: could not list the maintenance operations");
    for _ in 0..3 {
        let before = setup.last_tick("q");
        setup.wait_for_tick_after("q", before);
    }
}

#[test]
fn queue_that_grows_over_the_limit_is_reported() {
    let mut setup = Setup::with_queues(&["q"]);
    setup.job.run("register q c");
    setup.job = setup.job.set("queue_size_warn", "100kB");
    setup.job.start();
    setup.database.sql("select pgq.insert_event('q', 'kind', repeat('x', 1000)) from generate_series(1, 200)");
    setup.job.wait_for_log(" bytes, more than queue_size_warn (102400 bytes)\n");
}
