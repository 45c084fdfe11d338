//! Ticks and maintenance.

use crate::support::{Cluster, Database, Job, Scratch, wait_until};

struct Ticker {
    job: Job,
    database: Database,
    _scratch: Scratch,
}

/// A ticker whose queues exist and tick fast.
fn installed() -> Ticker {
    let database = Cluster::provider().database();
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "db1-ticker", database.conninfo());
    job.run("install");
    Ticker { job, database, _scratch: scratch }
}

fn last_tick(database: &Database, queue: &str) -> u64 {
    let sql = "select max(tick_id) from pgq.tick join pgq.queue on tick_queue = queue_id where queue_name";
    database.value(&format!("{sql} = '{queue}'")).parse().unwrap()
}

#[test]
fn install_is_repeatable() {
    let ticker = installed();
    ticker.job.program(["install"]).stdout("").run();
    assert_eq!(ticker.database.value("select pgq.version()"), "3.5");
}

#[test]
fn events_are_followed_by_a_tick() {
    let ticker = installed();
    ticker.database.sql("select pgq.create_queue('q'); update pgq.queue set queue_ticker_max_lag = '100 ms'");
    ticker.job.start();
    for _ in 0..3 {
        let before = last_tick(&ticker.database, "q");
        ticker.database.sql("select pgq.insert_event('q', 'kind', 'data')");
        wait_until("there is a new tick", || match last_tick(&ticker.database, "q") {
            now if now > before => Ok(()),
            now => Err(format!("still at tick {now}")),
        });
    }
}

#[test]
fn queue_that_appears_later_is_ticked_too() {
    let ticker = installed();
    ticker.job.start();
    ticker.database.sql("select pgq.create_queue('late'); update pgq.queue set queue_ticker_max_lag = '100 ms'");
    let before = last_tick(&ticker.database, "late");
    ticker.database.sql("select pgq.insert_event('late', 'kind', 'data')");
    wait_until("it has a new tick", || match last_tick(&ticker.database, "late") {
        now if now > before => Ok(()),
        now => Err(format!("still at tick {now}")),
    });
}

#[test]
fn ticker_and_maintenance_report_what_they_did() {
    let ticker = installed();
    ticker.database.sql("select pgq.create_queue('q')");
    ticker.job.start();
    ticker.job.wait_for_log("INFO {ticks: ");
    ticker.job.wait_for_log("INFO {maint_duration: ");
}

#[test]
fn ticker_waits_for_a_server_that_is_down_at_its_start() {
    let cluster = Cluster::builder().name("late").start();
    let database = cluster.database();
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "db1-ticker", database.conninfo());
    job.run("install");
    database.sql("select pgq.create_queue('q'); update pgq.queue set queue_ticker_max_lag = '100 ms'");
    let before = last_tick(&database, "q");
    cluster.stop(crate::support::Shutdown::Fast);
    job.start();
    job.wait_for_log("could not connect to provider");
    cluster.start();
    database.sql("select pgq.insert_event('q', 'kind', 'data')");
    wait_until("it ticks", || match last_tick(&database, "q") {
        now if now > before => Ok(()),
        now => Err(format!("still at tick {now}")),
    });
}
