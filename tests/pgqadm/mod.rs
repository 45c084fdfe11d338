//! The ticker and its administration.

mod admin;
mod captured;
mod events;
mod maintenance;
mod restore;
mod rights;
mod server;
mod status;
mod ticker;

use crate::support::{Cluster, Database, Job, Scratch, wait_until};

/// A database with its ticker job.
struct Setup {
    // Dropped in this order: the daemon ends before its database goes.
    job: Job,
    database: Database,
    scratch: Scratch,
}

impl Setup {
    /// Of the shared cluster, with nothing installed.
    #[track_caller]
    fn empty() -> Self {
        Self::on(Cluster::provider())
    }

    #[track_caller]
    fn on(cluster: &Cluster) -> Self {
        let database = cluster.database();
        let scratch = Scratch::new();
        let job = Job::ticker(scratch.path(), "db1-ticker", database.conninfo());
        Setup { job, database, scratch }
    }

    /// With schema `pgq`.
    #[track_caller]
    fn installed() -> Self {
        let setup = Self::empty();
        setup.job.run("install");
        setup
    }

    /// With queues that tick and rotate fast.
    #[track_caller]
    fn with_queues(names: &[&str]) -> Self {
        let setup = Self::installed();
        setup.create_queues(names);
        setup
    }

    #[track_caller]
    fn create_queues(&self, names: &[&str]) {
        for name in names {
            self.database.sql(&format!("select pgq.create_queue('{name}')"));
        }
        self.database.sql(
            "update pgq.queue set queue_ticker_max_lag = '100 ms', queue_ticker_idle_period = '200 ms',
                                  queue_rotation_period = '500 ms'",
        );
    }

    /// Where this is, as messages say it.
    fn place(&self) -> String {
        self.database.place()
    }

    /// Runs a command that must succeed and print nothing on stdout and exactly these lines on stderr.
    #[track_caller]
    fn says(&self, command: &str, lines: &[&str]) {
        self.job.program(command.split(' ')).stdout("").stderr(text(lines)).run();
    }

    /// Runs a command that must fail and print nothing on stdout and exactly these lines on stderr.
    #[track_caller]
    fn fails(&self, command: &str, lines: &[&str]) {
        self.job.program(command.split(' ')).stdout("").stderr(text(lines)).status(1).run();
    }

    #[track_caller]
    fn last_tick(&self, queue: &str) -> u64 {
        let sql = "select max(tick_id) from pgq.tick join pgq.queue on tick_queue = queue_id where queue_name";
        self.database.value(&format!("{sql} = '{queue}'")).parse().unwrap()
    }

    /// Waits until a queue has a tick that is newer than `tick`; returns the newest.
    #[track_caller]
    fn wait_for_tick_after(&self, queue: &str, tick: u64) -> u64 {
        wait_until(&format!("queue {queue} has a tick after {tick}"), || match self.last_tick(queue) {
            now if now > tick => Ok(now),
            now => Err(format!("at tick {now}")),
        })
    }
}

fn text(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}
