//! Behind a real connection pooler: Debian's pgbouncer. `tests/run.sh` installs it; where it is missing, these tests say so and
//! pass.

mod cancelled;
mod life;
mod restarts;
mod settings;

use std::sync::OnceLock;

use tokio::runtime::Runtime;

use crate::support::{Database, Job, KEPT, LoginOptions, PoolMode, Pooler, Replication, Session};

/// A replication whose jobs reach one or both databases through poolers.
struct Pooled {
    // Dropped in this order: daemons end before their poolers.
    r: Replication,
    provider: Option<Pooler>,
    subscriber: Option<Pooler>,
}

/// Which databases are behind a pooler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Provider,
    Subscriber,
    Both,
}

impl Pooled {
    /// Puts poolers in front of a replication's databases and changes the connection strings of its jobs.
    #[track_caller]
    fn new(mut r: Replication, side: Side, mode: PoolMode, size: usize, options: LoginOptions) -> Self {
        let before =
            |database: &Database, wanted: bool| wanted.then(|| Pooler::start(&[database], mode, size, options));
        let provider = before(&r.provider, side != Side::Subscriber);
        let subscriber = before(&r.subscriber, side != Side::Provider);
        if let Some(pooler) = &provider {
            let conninfo = pooler.conninfo(&r.provider);
            r.ticker.configure("db", &conninfo);
            r.londiste.configure("provider_db", &conninfo);
        }
        if let Some(pooler) = &subscriber {
            r.londiste.configure("subscriber_db", &pooler.conninfo(&r.subscriber));
        }
        // Each look costs a transaction there.
        r.ticker.configure("loop_delay", "0.1");
        r.londiste.configure("loop_delay", "0.1");
        Pooled { r, provider, subscriber }
    }

    /// The databases behind a pooler.
    fn databases(&self) -> impl Iterator<Item = (&Pooler, &Database)> {
        let provider = self.provider.as_ref().map(|pooler| (pooler, &self.r.provider));
        provider.into_iter().chain(self.subscriber.as_ref().map(|pooler| (pooler, &self.r.subscriber)))
    }

    /// Nothing of a job's sessions is left in the server connections of the poolers.
    #[track_caller]
    fn assert_nothing_kept(&self) {
        for (pooler, database) in self.databases() {
            assert_nothing_kept(pooler, database);
        }
    }
}

/// Runs on a runtime that lives as long as the test process, because sessions are driven by it.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(future)
}

/// What pgbouncer itself sets for each of its clients.
const TRACKED: [&str; 5] =
    ["application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings"];

/// What the server connections of a pool keep.
#[track_caller]
fn kept(pooler: &Pooler, database: &Database) -> Vec<String> {
    let sessions = pooler.all_sessions(database);
    let all = sessions.iter().flat_map(|session| session.column(KEPT));
    all.filter(|line| !TRACKED.iter().any(|name| line.starts_with(&format!("setting {name} =")))).collect()
}

/// Nothing is left in the server connections of a pool, and each has the settings of a new session.
#[track_caller]
fn assert_nothing_kept(pooler: &Pooler, database: &Database) {
    let kept = kept(pooler, database);
    assert!(kept.is_empty(), "{kept:?}");
    let settings = |session: &Session| {
        session.rows("select name, setting from pg_settings where name not in ('application_name', 'client_encoding') and name !~ '[.]' order by 1")
    };
    let direct = settings(&database.session());
    for session in pooler.all_sessions(database) {
        session.sql("rollback");
        pretty_assertions::assert_eq!(settings(&session), direct);
    }
}

/// The lines of a job's log that are not for information.
fn complaints(job: &Job) -> Vec<String> {
    let log = job.log();
    let bad = |line: &&str| [" WARNING ", " ERROR ", " CRITICAL "].iter().any(|level| line.contains(level));
    log.lines().filter(bad).map(str::to_owned).collect()
}
