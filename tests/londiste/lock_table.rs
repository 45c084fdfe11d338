//! A batch that needs more locks in one transaction than the subscriber has.

use crate::support::{Cluster, QUEUE, Replication};

/// Each row of `t` takes so many locks on the subscriber.
fn lock(count: u32) -> String {
    format!(
        "create function lock() returns trigger language plpgsql as $$ begin
            perform pg_advisory_xact_lock(new.id, g) from generate_series(1, {count}) g; return new; end $$;
         create trigger lock before insert on t for each row execute procedure lock()"
    )
}

fn tick(r: &Replication) {
    r.provider.sql(&format!("select pgq.force_tick('{QUEUE}'); select pgq.ticker('{QUEUE}')"));
}

/// In sync. The subscriber has room for some hundreds of locks.
fn up() -> Replication {
    let subscriber = Cluster::builder()
        .name("few-locks")
        .conf("max_connections = 20")
        .conf("max_locks_per_transaction = 10")
        .conf("max_worker_processes = 1");
    // The server goes with the process: databases must not outlive it.
    let subscriber: &'static Cluster = Box::leak(Box::new(subscriber.start()));
    let r = Replication::between(Cluster::provider(), subscriber).with_table("t", "id int primary key").up();
    r.replay_until_in_sync();
    r
}

#[test]
fn joined_batch_is_cut_until_it_fits() {
    let r = up();
    r.subscriber.sql(&lock(200));
    r.ticker.stop();
    r.londiste.stop();
    let start = r.londiste.log().len();
    for id in 1..=12 {
        r.provider.sql(&format!("insert into t values ({id})"));
        tick(&r);
    }
    r.londiste.start();
    r.ticker.start();
    r.assert_in_sync();
    let log = r.londiste.log()[start..].to_owned();
    assert!(log.contains("consumer db1-londiste: batch ") && log.contains(" at a time: cannot apply event "), "{log}");
    assert!(log.contains("HINT: Raise max_locks_per_transaction on this server, and restart it.\n"), "{log}");
    assert!(!log.contains("skip-event") && !log.contains("CRITICAL"), "{log}");
}

#[test]
fn joined_batch_of_a_table_that_catches_up_is_cut_too() {
    let r = up();
    r.subscriber.sql("alter table t rename id to other");
    r.provider.sql("insert into t values (1)");
    r.londiste.wait_for_log("CRITICAL Table public.t is parked");
    for id in 2..=13 {
        r.provider.sql(&format!("insert into t values ({id})"));
        tick(&r);
    }
    let start = r.londiste.log().len();
    r.subscriber.sql(&format!("{}; alter table t rename other to id", lock(200)));
    r.wait_until_ok();
    r.assert_in_sync();
    let log = r.londiste.log()[start..].to_owned();
    assert!(log.contains("WARNING queue ") && log.contains(" at a time: cannot apply event "), "{log}");
    assert!(!log.contains("CRITICAL"), "{log}");
}

#[test]
fn batch_of_one_tick_that_does_not_fit_stops_with_what_is_to_be_raised() {
    let r = up();
    r.subscriber.sql(&lock(100_000));
    r.provider.sql("insert into t values (1)");
    r.londiste.wait_for_log("CRITICAL Job db1-londiste crashed: cannot apply event ");
    let log = r.londiste.log();
    assert!(log.contains("(53200)") && !log.contains("skip-event"), "{log}");
    assert!(log.contains("HINT: Raise max_locks_per_transaction on this server, and restart it.\n"), "{log}");
    r.subscriber.sql("drop trigger lock on t");
    r.londiste.reload();
    r.assert_in_sync();
}
