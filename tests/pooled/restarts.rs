//! Two subscribers read one queue through one pool under load, while jobs and poolers come and go: each row arrives once.

use std::thread;
use std::time::{Duration, Instant};

use super::{assert_nothing_kept, complaints};
use crate::support::{
    Database, Job, Load, LoginOptions, PoolMode, Pooler, Replication, assert_same_rows, compare_tables,
    replay_until_in_sync, wait_until_ok,
};

/// Seconds of load of each test, 8 when not set.
const TIME_BUDGET: &str = "POOLER_SECONDS";

const SCHEMA: &str = "create table t (id bigint primary key, data text); create table u (id bigint primary key, n int);
    create table other (id bigint primary key, data text)";

fn writes(client: usize, n: usize) -> String {
    let id = client * 1_000_000 + n * 10;
    format!(
        "insert into t select g, 'new' from generate_series({id}, {id} + 9) g;
         update t set data = data || '{n}' where id between {id} - 15 and {id} - 5;
         delete from t where id between {id} - 33 and {id} - 30;
         insert into u values ({id}, {n}); update u set n = n + 1 where id > {id} - 30 and id <= {id};
         insert into other values ({id}, null)"
    )
}

/// A queue with two subscribers, all behind one pooler with two server connections for each database.
struct Shared {
    second: Job,
    r: Replication,
    pooler: Pooler,
    database: Database,
}

impl Shared {
    #[track_caller]
    fn start() -> Self {
        let mut r = Replication::new().with_schema(SCHEMA);
        let (mut second, database) = r.second_subscriber("second");
        database.sql(SCHEMA);
        let databases = [&r.provider, &r.subscriber, &database];
        let pooler = Pooler::start(&databases, PoolMode::Transaction, 2, LoginOptions::Refused);
        let provider = pooler.conninfo(&r.provider);
        r.ticker.configure("db", &provider);
        r.londiste.configure("provider_db", &provider);
        r.londiste.configure("subscriber_db", &pooler.conninfo(&r.subscriber));
        second.configure("provider_db", &provider);
        second.configure("subscriber_db", &pooler.conninfo(&database));
        r.install();
        second.run("subscriber install");
        r.start();
        second.start();
        r.add("--all");
        second.run("subscriber add --all");
        let shared = Shared { second, r, pooler, database };
        shared.wait_until_ok();
        shared
    }

    fn jobs(&self) -> [&Job; 3] {
        [&self.r.ticker, &self.r.londiste, &self.second]
    }

    #[track_caller]
    fn wait_until_ok(&self) {
        wait_until_ok(&self.r.subscriber);
        wait_until_ok(&self.database);
    }

    /// Disturbs the work under load, each time in the next way, until the time budget is over.
    #[track_caller]
    fn under_load(&self, pause: Duration, mut disturb: impl FnMut(usize)) {
        let seconds = std::env::var(TIME_BUDGET).map_or(8, |text| text.parse().expect(TIME_BUDGET));
        let load = Load::start(&self.r.provider, 2, writes);
        let end = Instant::now() + Duration::from_secs(seconds);
        for round in 0.. {
            if Instant::now() >= end {
                break;
            }
            thread::sleep(pause);
            disturb(round);
        }
        println!("{} rounds of writes", load.stop());
    }

    /// Both subscribers have what the provider has, and nothing is left in the pools.
    #[track_caller]
    fn assert_in_sync(&self) {
        self.wait_until_ok();
        self.r.assert_in_sync();
        replay_until_in_sync(&self.r.provider, self.second.name());
        assert_same_rows(&self.r.provider, &self.database, &compare_tables(&self.r.provider));
        for database in [&self.r.provider, &self.r.subscriber, &self.database] {
            assert_nothing_kept(&self.pooler, database);
        }
    }
}

#[test]
fn jobs_that_come_and_go_lose_nothing() {
    if !Pooler::is_installed() {
        return;
    }
    let shared = Shared::start();
    shared.under_load(Duration::from_millis(400), |round| {
        let job = shared.jobs()[round % 3];
        match round % 5 {
            0 => job.stop(),
            1 => job.kill9(),
            _ => job.kill(),
        }
        job.start();
        if round % 4 == 1 {
            shared.r.londiste.run("subscriber resync other");
        }
    });
    shared.assert_in_sync();
    for job in shared.jobs() {
        // A job that was killed leaves its pidfile.
        let other: Vec<String> = complaints(job).into_iter().filter(|line| !line.contains("stale pidfile")).collect();
        assert!(other.is_empty(), "{}", other.join("\n"));
    }
}

#[test]
fn pooler_that_comes_and_goes_loses_nothing() {
    if !Pooler::is_installed() {
        return;
    }
    let shared = Shared::start();
    shared.under_load(Duration::from_millis(1500), |_| shared.pooler.restart());
    shared.assert_in_sync();
    for job in shared.jobs() {
        let other: Vec<String> =
            complaints(job).into_iter().filter(|line| !line.contains("connect") && !line.contains("closed")).collect();
        assert!(other.is_empty(), "{}", other.join("\n"));
    }
}
