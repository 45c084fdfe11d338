//! Random producers, ticks, consumers, retries and rotations at once: every committed event comes exactly once to each
//! consumer, in order within its batch, and no rolled-back one ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{OWNER, with_queue_in};
use crate::support::{Cluster, Database, Session};

const PRODUCERS: u64 = 4;
const CONSUMERS: &[&str] = &["c", "second", "third"];

/// How long the model runs; `MODEL_SECONDS` sets it.
fn budget() -> Duration {
    let seconds = std::env::var("MODEL_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(6);
    Duration::from_secs(seconds)
}

/// The seed; `PROPERTY_TEST_SEED` sets it.
fn seed() -> u64 {
    let given = std::env::var("PROPERTY_TEST_SEED").ok().and_then(|s| s.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()) ^ 0x5eed)
}

fn owner_session(database: &Database) -> Session {
    let session = database.session();
    session.sql(&format!("set role {OWNER}"));
    session
}

/// Short and long transactions, some of them rolled back, some with an old snapshot. Returns what was committed.
fn produce(session: &Session, rng: &mut StdRng, name: u64, stop: &AtomicBool) -> BTreeSet<String> {
    let mut committed = BTreeSet::new();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let isolation = if rng.random_bool(0.2) { "repeatable read" } else { "read committed" };
        session.sql(&format!("begin isolation level {isolation}; select count(*) from pgq.queue"));
        let mut written = Vec::new();
        for _ in 0..rng.random_range(1..4) {
            if rng.random_bool(0.3) {
                thread::sleep(Duration::from_millis(rng.random_range(1..150)));
            }
            for _ in 0..rng.random_range(1..5) {
                let data = format!("{name}.{count}");
                count += 1;
                session.sql(&format!("select pgq.insert_event('q', 'type', '{data}')"));
                written.push(data);
            }
            if rng.random_bool(0.2) {
                session.sql("savepoint s");
                if rng.random_bool(0.5) {
                    session.sql("select pgq.insert_event('q', 'type', 'rolled back'); rollback to s");
                }
            }
        }
        if rng.random_bool(0.2) {
            session.sql("rollback");
        } else {
            session.sql("commit");
            committed.extend(written);
        }
    }
    committed
}

/// Takes one batch; some of its events are retried, and come again later. Returns whether there was a batch.
fn consume_one(session: &Session, rng: &mut StdRng, consumer: &str, seen: &mut BTreeMap<String, u32>) -> bool {
    let size = if rng.random_bool(0.5) { "null" } else { "20" };
    let next = format!("select batch_id from pgq.next_batch_custom('q', '{consumer}', null, {size}, null)");
    let mut batch = session.value(&next);
    if batch == "NULL" {
        batch = session.value(&format!("select pgq.next_batch('q', '{consumer}')"));
    }
    if batch == "NULL" {
        return false;
    }
    let rows =
        session.rows(&format!("select ev_id, ev_data, coalesce(ev_retry, 0) from pgq.get_batch_events({batch})"));
    let ids: Vec<i64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{consumer}: batch {batch} is out of order: {ids:?}");
    for row in &rows {
        let earlier = seen.entry(row[1].clone()).or_default();
        assert_eq!(earlier.to_string(), row[2], "{consumer} has seen {} so often", row[1]);
        *earlier += 1;
        if rng.random_bool(0.05) {
            session.sql(&format!("select pgq.event_retry({batch}, {}, 0)", row[0]));
        } else {
            // No more of it may come.
            *earlier += 1000;
        }
    }
    session.sql(&format!("select pgq.finish_batch({batch})"));
    true
}

/// A round of maintenance. Counts the rotations.
fn maintain(session: &Session, rotations: &AtomicU32) {
    if session.value("select pgq.maint_rotate_tables_step1('q')") == "1" {
        rotations.fetch_add(1, Ordering::Relaxed);
    }
    session.sql("select pgq.maint_rotate_tables_step2()");
    session.sql("select pgq.maint_retry_events()");
}

#[test]
fn every_committed_event_comes_exactly_once() {
    let seed = seed();
    println!("seed {seed}: PROPERTY_TEST_SEED={seed} repeats the choices");
    // Transactions of other tests, in any database, would block rotation.
    let cluster = Cluster::builder().name("model").start();
    let (database, session) = with_queue_in(&cluster);
    let rotations = AtomicU32::new(0);
    session.sql(
        "select pgq.set_queue_config('q', 'rotation_period', '0.1'), pgq.set_queue_config('q', 'ticker_max_lag', '0.02'),
                pgq.register_consumer('q', 'second'), pgq.register_consumer('q', 'third'), pg_sleep(0)",
    );
    let stop = Arc::new(AtomicBool::new(false));
    let committed = Mutex::new(BTreeSet::new());
    let mut seen: BTreeMap<&str, BTreeMap<String, u32>> = BTreeMap::new();
    thread::scope(|scope| {
        for name in 0..PRODUCERS {
            let (session, stop, committed) = (owner_session(&database), Arc::clone(&stop), &committed);
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(seed + name);
                let written = produce(&session, &mut rng, name, &stop);
                committed.lock().unwrap().extend(written);
            });
        }
        for role in ["ticker", "maintenance"] {
            let (session, stop, rotations) = (owner_session(&database), Arc::clone(&stop), &rotations);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if role == "ticker" {
                        session.sql("select pgq.ticker()");
                    } else {
                        maintain(&session, rotations);
                    }
                    thread::sleep(Duration::from_millis(15));
                }
            });
        }
        let consumers: Vec<_> = CONSUMERS
            .iter()
            .zip(100..)
            .map(|(consumer, salt)| {
                let (session, stop) = (owner_session(&database), Arc::clone(&stop));
                scope.spawn(move || {
                    let mut rng = StdRng::seed_from_u64(seed + salt);
                    let mut seen = BTreeMap::new();
                    while !stop.load(Ordering::Relaxed) {
                        if !consume_one(&session, &mut rng, consumer, &mut seen) {
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                    (*consumer, seen)
                })
            })
            .collect();
        let end = Instant::now() + budget();
        while Instant::now() < end && consumers.iter().all(|consumer| !consumer.is_finished()) {
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        for consumer in consumers {
            let (name, events) = consumer.join().unwrap();
            seen.insert(name, events);
        }
    });

    // The rest, with nobody writing.
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..40 {
        session.sql("select pgq.force_tick('q'); select pgq.ticker('q')");
        maintain(&session, &rotations);
        for consumer in CONSUMERS {
            while consume_one(&session, &mut rng, consumer, seen.get_mut(consumer).unwrap()) {}
        }
    }
    let committed = committed.into_inner().unwrap();
    assert!(!committed.is_empty());
    let rotations = rotations.into_inner();
    println!("{} events, {rotations} rotations", committed.len());
    assert!(rotations >= 3, "{rotations} rotations");
    for consumer in CONSUMERS {
        let events: BTreeSet<String> = seen[consumer].keys().cloned().collect();
        let missing: Vec<_> = committed.difference(&events).collect();
        let extra: Vec<_> = events.difference(&committed).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{consumer}: missing {missing:?}, never committed {extra:?}");
        let unfinished: Vec<_> = seen[consumer].iter().filter(|(_, count)| **count < 1000).collect();
        assert!(unfinished.is_empty(), "{consumer}: retried events that did not come: {unfinished:?}");
    }
}
