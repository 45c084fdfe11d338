//! The tutorial from its first to its last step, while clients write to the provider.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::catalog::Catalog;
use super::operation;
use super::pieces;
use super::structure::assert_same_structure;
use super::writer::{Outcome, Writers, fill};
use crate::support::statements::Dice;
use crate::support::{
    Cluster, Database, Output, Replication, assert_same_rows, client, client_at, server_and_client_fit, wait_within,
};

/// How long copies of all tables, and the end of replay's work, may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// The role that the schemas grant rights to.
const ROLE: &str = "schemas_app";

/// Two servers with one database each, of the same name.
pub struct World {
    // Dropped in this order: daemons, then servers.
    pub r: Replication,
    pub provider: Cluster,
    pub subscriber: Cluster,
    file: &'static str,
}

/// What lines of level WARNING and worse have when a schema, or an operation of the test, gives reason for them.
const EXPLAINED: [&str; 5] = [
    // Tables without a key.
    "need key column (42P16)",
    "is unlogged: a crash of the server empties it",
    // Triggers of the schema that write other tables.
    "which runs before Londiste trigger",
    // An operation.
    "was removed from the queue and added again: copying it again",
    "is copied again now (it was added to queue",
];

impl World {
    /// The provider's database with the schema. The subscriber's database is not there yet.
    #[track_caller]
    pub fn new(name: &str, file: &'static str) -> World {
        let start = |side: &str| {
            let cluster = Cluster::builder().name(&format!("{name}-{side}")).conf("log_statement = none").start();
            cluster.sql(&format!("create role {ROLE}"));
            cluster
        };
        let (provider, subscriber) = (start("provider"), start("subscriber"));
        let database = provider.database();
        let copy = Database::existing(&subscriber, database.name());
        let mut r = Replication::of(database, copy);
        r.londiste.configure("parallel_copies", "4");
        // A busy machine takes its time, and the clients hold their locks for as long.
        r.londiste.configure("lock_timeout", "120");
        let world = World { r, provider, subscriber, file };
        build(&world.r.provider, file);
        world
    }

    /// The subscriber's database as the tutorial makes it, by `pg_dump -s -C`.
    #[track_caller]
    fn restore_schema(&self) {
        let conninfo = self.subscriber.conninfo("postgres");
        if server_and_client_fit(self.provider.binaries()) {
            let file = self.r.scratch().path().join("schema.sql");
            let file = file.to_str().unwrap();
            client(&self.provider, "pg_dump", &self.r.provider, &["-s", "-C", "-f", file]);
            // The queue's schema is in the dump too, and the subscriber's server has none of its roles: the server's log is not to be
            // full of that.
            let conninfo = format!("{conninfo} options='-c log_min_messages=fatal'");
            let stderr = client_at(&self.subscriber, "psql", &conninfo, &["-qX", "-o", "/dev/null", "-f", file]);
            let unexpected: Vec<&str> =
                stderr.lines().filter(|line| line.contains("ERROR") && !line.contains("role \"pgq_")).collect();
            assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
        } else {
            println!("the subscriber is made from the schema's file: pg_dump is not of the server's version");
            self.subscriber.sql(&format!("create database {} template template0", self.r.subscriber.name()));
            build(&self.r.subscriber, self.file);
        }
    }

    /// Disables the rules of the subscriber that would do once more what the provider's rules have done, or enables them.
    #[track_caller]
    fn set_rules(&self, how: &str) {
        let statements = self.r.subscriber.column(&format!(
            "select format('alter table %s {how} rule %I', r.ev_class::regclass, r.rulename)
             from pg_rewrite r where not r.is_instead and r.oid >= 16384 order by r.oid"
        ));
        for statement in statements {
            self.r.subscriber.sql(&statement);
        }
    }

    /// Runs a command of replay's ini file. It may fail only for reasons that the schema gives.
    #[track_caller]
    pub fn command(&self, words: &str) -> Output {
        let output = self.r.londiste.program(words.split_whitespace()).output();
        let unexplained = unexplained(&output.stderr);
        assert!(unexplained.is_empty(), "{words}: exit {}\n{}", output.status, unexplained.join("\n"));
        let reported = output.stderr.lines().any(|line| line.contains(" ERROR "));
        assert!(output.status == 0 || reported, "{words}: exit {}\n{}", output.status, output.stderr);
        output
    }

    /// Waits until each table of the subscriber is `ok`.
    #[track_caller]
    pub fn wait_until_ok(&self) {
        let session = self.r.subscriber.session();
        wait_within(PATIENCE, "every table is ok", || {
            let rows = session.rows(
                "select table_name, coalesce(merge_state, '-') from londiste.subscriber_table
                 where merge_state is distinct from 'ok' order by nr",
            );
            if rows.is_empty() { Ok(()) } else { Err(format!("{} tables: {:?}", rows.len(), rows.first())) }
        });
    }

    /// The tables of the subscriber, as SQL has them.
    fn tables(&self) -> Vec<String> {
        self.r.subscriber.column(
            "select quote_ident(split_part(table_name, '.', 1)) || '.' || quote_ident(substr(table_name, strpos(table_name, '.') + 1))
             from londiste.subscriber_table order by nr",
        )
    }

    /// Both sides are equal: rows, sequences, states, and what the logs say.
    #[track_caller]
    fn assert_equal(&self) {
        // A consumer that is behind needs its time.
        let consumer = self.r.londiste.name();
        let lag = format!("select pending_events from pgq.get_consumer_info() where consumer_name = '{consumer}'");
        wait_within(PATIENCE, "few events are left", || {
            let left = self.r.provider.value(&lag);
            if left.parse::<u64>().is_ok_and(|left| left < 2000) { Ok(()) } else { Err(left) }
        });
        self.r.replay_until_in_sync();
        self.wait_until_ok();
        self.r.replay_until_in_sync();
        let offered =
            self.r.provider.column("select table_name from londiste.provider_table order by table_name collate \"C\"");
        let subscribed = self
            .r
            .subscriber
            .column("select table_name from londiste.subscriber_table order by table_name collate \"C\"");
        assert_eq!(offered, subscribed);
        assert_same_rows(&self.r.provider, &self.r.subscriber, &self.tables());
        self.r.assert_sequences_in_sync();
        let pending = "select count(*) from londiste.subscriber_pending_fkeys";
        assert_eq!(self.r.subscriber.value(pending), "0", "foreign keys are pending");
        self.r.londiste.run("subscriber check");
        for job in [&self.r.ticker, &self.r.londiste] {
            let lines = unexplained(&job.log());
            assert!(lines.is_empty(), "the log of {} has\n{}", job.name(), lines.join("\n"));
        }
    }

    /// Takes replication away: nothing is left, and the databases have the same objects.
    #[track_caller]
    fn assert_same_structure(&self) {
        self.r.londiste.stop();
        self.command("subscriber remove --all");
        self.command("provider remove --all");
        self.set_rules("enable");
        assert_same_structure(
            [&self.provider, &self.subscriber],
            [&self.r.provider, &self.r.subscriber],
            self.r.scratch(),
        );
    }
}

/// Creates the objects of a schema. Each piece has a session of its own: it begins with the settings of the database.
#[track_caller]
fn build(database: &Database, file: &'static str) {
    for piece in pieces::fitting(file, database) {
        database.sql(piece);
    }
}

/// The reports of level WARNING and worse for which there is no reason.
fn unexplained(log: &str) -> Vec<String> {
    let is_report = |line: &&str| [" WARNING ", " ERROR ", " CRITICAL "].iter().any(|level| line.contains(level));
    let is_explained = |line: &&str| EXPLAINED.iter().any(|known| line.contains(known));
    log.lines().filter(is_report).filter(|line| !is_explained(line)).map(str::to_owned).collect()
}

/// Plays the tutorial on a schema: replicates `tables` (`--all`, or a pattern), operates on them for as long as `load`, and returns
/// what the clients have done.
#[track_caller]
pub fn play(name: &str, file: &'static str, tables: &str, seed: u64, load: Duration) -> Outcome {
    let started = Instant::now();
    let told = |what: &str| println!("{name}, seed {seed}, {:.1} s: {what}", started.elapsed().as_secs_f64());
    let world = World::new(name, file);
    let catalog = Arc::new(Catalog::read(&world.r.provider));
    told(&format!("{} tables and views, filling", catalog.tables.len()));
    fill(&world.r.provider, &catalog, seed);
    told("load begins");
    let writers = Writers::start(&world.r.provider, &catalog, seed);

    world.r.ticker.run("install");
    world.r.ticker.start();
    world.restore_schema();
    world.set_rules("disable");
    world.command("provider install");
    world.command("subscriber install");
    world.r.londiste.start();
    told(&format!("provider add {tables}"));
    world.command(&format!("provider add {tables}"));
    told("subscriber add --all");
    world.command("subscriber add --all");
    world.command("provider add-seq --all");
    world.command("subscriber add-seq --all");
    world.wait_until_ok();
    told("all tables are ok");

    let mut dice = Dice::new(seed);
    let operations = operation::deck(&mut dice);
    let pause = load / u32::try_from(operations.len() + 1).unwrap();
    for operation in operations {
        thread::sleep(pause);
        told(&format!("{operation:?}: {}", operation.run(&world, &catalog, &mut dice)));
    }
    thread::sleep(pause);
    let outcome = writers.stop();
    told(&format!("load ends: {:?}, refused: {:?}", outcome.done, outcome.refused));
    assert!(outcome.findings.is_empty(), "writers failed:\n{}", outcome.findings.join("\n"));
    world.assert_equal();
    told("equal");
    world.assert_same_structure();
    told("the structure is the same");
    outcome
}
