//! `http_listen`: what ticker and replay tell a monitoring program.
#![allow(clippy::float_cmp, reason = "numbers of events and bytes are whole")]

mod browser;
mod catching_up;
mod client;
mod examples;
mod hook;
mod limits;
mod listen;
mod open_metrics;
mod page;
mod pages;
mod replay;
mod server;
mod ticker;
mod verification;

use crate::support::{Cluster, Database, Job, PortLock, Scratch, wait_until};

pub use client::Client;
use open_metrics::Metrics;

/// A ticker that listens, with queue `q`, which ticks fast.
struct Ticking {
    // Dropped in this order: the daemon ends before its database goes.
    job: Job,
    http: Client,
    database: Database,
    scratch: Scratch,
}

impl Ticking {
    /// On a cluster, not started.
    #[track_caller]
    fn on(cluster: &Cluster) -> Self {
        let (database, scratch, http) = (cluster.database(), Scratch::new(), Client::new());
        let job = Job::ticker(scratch.path(), "db1-ticker", database.conninfo()).set("http_listen", &http.port_text());
        job.run("install");
        job.run("create q");
        database.sql("update pgq.queue set queue_ticker_max_lag = '100 ms', queue_ticker_idle_period = '200 ms'");
        Ticking { job, http, database, scratch }
    }

    /// The name of the database, which is a label of each metric of the ticker.
    fn name(&self) -> &str {
        self.database.name()
    }

    /// Waits until the newest answer to /metrics fits; an answer is kept for a second.
    #[track_caller]
    fn wait_for_metrics(&self, what: &str, fits: impl FnMut(&Metrics) -> bool) -> Metrics {
        wait_for_metrics(&self.http, what, fits)
    }
}

/// Waits until the newest answer to /metrics fits; an answer is kept for a second.
#[track_caller]
fn wait_for_metrics(http: &Client, what: &str, mut fits: impl FnMut(&Metrics) -> bool) -> Metrics {
    wait_until(what, || {
        let answer = http.get("/metrics");
        if answer.status != 200 {
            return Err(answer.body);
        }
        let metrics = Metrics::parse(&answer.body);
        if fits(&metrics) { Ok(metrics) } else { Err(metrics.to_string()) }
    })
}

/// Waits until the newest answer of a path has this status; returns its line.
#[track_caller]
fn wait_for_status(http: &Client, path: &str, status: u16) -> String {
    wait_until(&format!("{path} says {status}"), || {
        let answer = http.get(path);
        if answer.status == status { Ok(answer.body.clone()) } else { Err(format!("{answer:?}")) }
    })
}

fn claim() -> PortLock {
    PortLock::claim()
}
