//! A provider, a subscriber, a ticker and a replay between them: the tutorial as words.

use std::fmt::Write as _;

use super::{Cluster, Database, Job, Scratch, Session, assert_same_rows, compare_tables, shop, wait_until};

/// The queue's name, from the tutorial: its dashes need quoting everywhere.
pub const QUEUE: &str = "db1-londiste-queue";

/// One provider database and one subscriber database with their jobs; nothing is installed or started by itself.
#[derive(Debug)]
pub struct Replication {
    // Dropped in this order: daemons end before their databases go.
    pub ticker: Job,
    pub londiste: Job,
    pub subscriber: Database,
    pub provider: Database,
    scratch: Scratch,
}

impl Replication {
    /// Between databases of the shared clusters.
    #[track_caller]
    pub fn new() -> Self {
        Self::between(Cluster::provider(), Cluster::subscriber())
    }

    /// Between new databases of two clusters.
    #[track_caller]
    pub fn between(provider: &Cluster, subscriber: &Cluster) -> Self {
        Self::of(provider.database(), subscriber.database())
    }

    /// Between two databases.
    #[track_caller]
    pub fn of(provider: Database, subscriber: Database) -> Self {
        let scratch = Scratch::new();
        let ticker = Job::ticker(scratch.path(), "db1-ticker", provider.conninfo());
        let londiste =
            Job::londiste(scratch.path(), "db1-londiste", [provider.conninfo(), subscriber.conninfo()], QUEUE);
        Replication { ticker, londiste, subscriber, provider, scratch }
    }

    /// Runs statements on both sides.
    #[track_caller]
    pub fn with_schema(self, sql: &str) -> Self {
        self.provider.sql(sql);
        self.subscriber.sql(sql);
        self
    }

    /// Creates a table on both sides.
    #[track_caller]
    pub fn with_table(self, name: &str, columns: &str) -> Self {
        self.with_schema(&format!("create table {name} ({columns})"))
    }

    /// Opens the shop on the provider and builds it on the subscriber.
    #[track_caller]
    pub fn with_shop(self) -> Self {
        shop::open(&self.provider);
        shop::build(&self.subscriber);
        self
    }

    /// Another subscriber of the same queue.
    #[track_caller]
    pub fn second_subscriber(&self, name: &str) -> (Job, Database) {
        let database = Cluster::subscriber().database();
        let databases = [self.provider.conninfo(), database.conninfo()];
        (Job::londiste(self.scratch.path(), name, databases, QUEUE), database)
    }

    /// The test's directory, with ini files, logs and pidfiles.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// `install`, `provider install`, `subscriber install`; the queue then ticks every 200 ms, so that tests are fast.
    #[track_caller]
    pub fn install(&self) {
        self.ticker.run("install");
        self.londiste.run("provider install");
        self.londiste.run("subscriber install");
        self.provider.sql("update pgq.queue set queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms'");
    }

    /// Starts ticker and replay as daemons.
    #[track_caller]
    pub fn start(&self) {
        self.ticker.start();
        self.londiste.start();
    }

    /// `provider add NAMES`, `subscriber add NAMES` (names separated by blanks, or `--all`).
    #[track_caller]
    pub fn add(&self, names: &str) {
        self.londiste.run(&format!("provider add {names}"));
        self.londiste.run(&format!("subscriber add {names}"));
    }

    /// Installs, starts, adds all tables and waits until they are copied.
    #[track_caller]
    pub fn up(self) -> Self {
        self.install();
        self.start();
        self.add("--all");
        self.wait_until_ok();
        self
    }

    /// Waits until every table of the subscriber is `ok`.
    #[track_caller]
    pub fn wait_until_ok(&self) {
        wait_until_ok(&self.subscriber);
    }

    /// Waits until the subscriber has everything that is committed on the provider now.
    #[track_caller]
    pub fn replay_until_in_sync(&self) {
        replay_until_in_sync(&self.provider, self.londiste.name());
    }

    /// Waits as [`Replication::replay_until_in_sync`] and compares where the subscriber's sequences stand: a batch
    /// brings the positions that sequences have when it is read.
    #[track_caller]
    pub fn assert_sequences_in_sync(&self) {
        let names = self.subscriber.column("select seq_name from londiste.subscriber_seq order by nr");
        assert!(!names.is_empty(), "the subscriber has no sequences");
        let mut sql = String::new();
        for name in &names {
            let (schema, name) = name.split_once('.').expect("a qualified name");
            let quoted = format!("\"{schema}\".\"{}\"", name.replace('"', "\"\""));
            let _ = write!(sql, "select '{}', last_value from {quoted}; ", quoted.replace('\'', "''"));
        }
        self.replay_until_in_sync();
        assert_eq!(self.provider.rows(&sql), self.subscriber.rows(&sql));
    }

    /// Waits as [`Replication::replay_until_in_sync`] and compares all tables of the provider row by row.
    #[track_caller]
    pub fn assert_in_sync(&self) {
        self.replay_until_in_sync();
        assert_same_rows(&self.provider, &self.subscriber, &compare_tables(&self.provider));
    }
}

/// Waits until every table of a subscriber database is `ok`.
#[track_caller]
pub fn wait_until_ok(subscriber: &Database) {
    let session = subscriber.session();
    wait_until("every table is ok", || {
        let rows = session.rows(
            "select table_name, coalesce(merge_state, '-') from londiste.subscriber_table
             where merge_state is distinct from 'ok' order by nr",
        );
        if rows.is_empty() { Ok(()) } else { Err(format!("{rows:?}")) }
    });
}

/// Waits until the queue has a tick that sees every transaction of the provider that is committed now; returns the id of a transaction
/// that such ticks see.
#[track_caller]
pub fn wait_until_ticked(provider: &Session, queue: &str) -> String {
    let queue = queue.replace('\'', "''");
    let now = provider.value("select txid_current()");
    wait_until("the ticker makes a tick", || {
        let seen = provider.value(&format!(
            "select count(*) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
             where q.queue_name = '{queue}' and txid_visible_in_snapshot({now}, t.tick_snapshot)"
        ));
        if seen != "0" {
            return Ok(());
        }
        // An idle queue ticks seldom; a forced tick is what every client asks for that cannot wait.
        Err(format!("the last tick is {}", provider.value(&format!("select pgq.force_tick('{queue}')"))))
    });
    now
}

/// Waits until a consumer's last finished tick is one that sees every transaction of the provider that is committed
/// now. Replay finishes a batch only after its commit on the subscriber, so the subscriber has them too.
#[track_caller]
pub fn replay_until_in_sync(provider: &Database, consumer: &str) {
    let session = provider.session();
    let quoted = consumer.replace('\'', "''");
    let queue =
        session.value(&format!("select queue_name from pgq.get_consumer_info() where consumer_name = '{quoted}'"));
    let now = wait_until_ticked(&session, &queue);
    wait_until(&format!("{consumer} has replayed everything"), || {
        let rows = session.rows(&format!(
            "select s.sub_last_tick, txid_visible_in_snapshot({now}, t.tick_snapshot)
             from pgq.subscription s join pgq.consumer c on c.co_id = s.sub_consumer
                  join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
             where c.co_name = '{quoted}'"
        ));
        match rows.as_slice() {
            [row] if row[1] == "t" => Ok(()),
            rows => Err(format!("[last tick, sees transaction {now}] of the consumer: {rows:?}")),
        }
    });
}
