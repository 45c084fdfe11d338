//! What the operations happen to: two servers of its own, ticker and replay as daemons, clients that write.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::pgbench::{self, Pgbench};
use super::promotion;
use super::wire::Wire;
use super::writers::{ROWS, TABLES, Writers, schema};
use crate::support::statements::Dice;
use crate::support::{
    Binaries, Cluster, Database, Job, Output, Proxy, QUEUE, Replication, Session, Shutdown, SqlError, StartError,
};

/// Major versions, separated by blanks, from which each seed draws one for each side. Without it both have the usual one.
const MAJORS: &str = "SOAK_MAJORS";

/// Name of replay's consumer. It is no other name of the test, so that messages about it are known by it.
pub const CONSUMER: &str = "the-reader";

/// How long a statement of an operation is tried again: clients hold locks, and deadlocks end one of the two.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Provider,
    Subscriber,
}

pub struct World {
    // Dropped in this order: the clients end before the daemons, these before their servers.
    pub writers: Writers,
    pub pgbench: Pgbench,
    pub r: Replication,
    /// Runs commands beside the daemons, so that the log of replay has only what replay says.
    pub operator: Job,
    /// The ways of replay and ticker to the servers: provider and subscriber.
    wires: [Wire; 2],
    provider: Cluster,
    subscriber: Cluster,
    standby: Option<Standby>,
    /// How many publishers were made.
    upstreams: u32,
}

/// The other server of the provider, which a promotion makes from it: until then it does not run.
pub struct Standby {
    pub cluster: Cluster,
    wire: Wire,
}

impl World {
    /// All tables in sync, and written to.
    #[track_caller]
    pub fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed ^ 0x736f_616b);
        let mut builder = |name: &str| Cluster::builder().name(name).binaries(binaries(&mut dice)).tcp();
        let provider = builder("soak-provider").start();
        // Publishers of an operation are there.
        let subscriber = builder("soak-subscriber").conf("wal_level = logical").start();
        let schema = schema(provider.binaries().major().min(subscriber.binaries().major()));
        let mut r = Replication::between(&provider, &subscriber).with_schema(&schema);
        r.provider.sql(ROWS);
        let program = provider.binaries().client("pgbench");
        pgbench::create_tables(&program, &r.provider, &r.subscriber);
        r.londiste.configure("pgq_consumer_id", CONSUMER);
        // Where maintenance comes late, it is `check` that tells first.
        r.ticker.configure("maint_delay", if seed.is_multiple_of(2) { "1" } else { "3" });
        // A pooler has one server for a database.
        let standby = (dice.below(2) == 0).then(|| Standby::of(&provider));
        let wires = [
            match &standby {
                Some(_) => Wire::Proxy(Proxy::to_cluster(&provider)),
                None => Wire::draw(&provider, &r.provider, 2, &mut dice),
            },
            Wire::draw(&subscriber, &r.subscriber, 4, &mut dice),
        ];
        let address = address_of(&r.provider, standby.as_ref().map(|standby| &standby.cluster));
        let databases = [address.as_str(), r.subscriber.conninfo()];
        let operator = Job::londiste(r.scratch().path(), "operator", databases, QUEUE)
            .set("pgq_consumer_id", CONSUMER)
            .set("pidfile", "operator.pid");
        println!(
            "provider {} {}{}, subscriber {} {}",
            provider.binaries().version(),
            wires[0].name(),
            if standby.is_some() { " with a standby" } else { "" },
            subscriber.binaries().version(),
            wires[1].name()
        );
        let way = match &standby {
            Some(standby) => either(&wires[0].conninfo(&r.provider), &standby.wire.conninfo(&r.provider)),
            None => wires[0].conninfo(&r.provider),
        };
        r.ticker.configure("db", &way);
        r.londiste.configure("provider_db", &way);
        r.londiste.configure("subscriber_db", &wires[1].conninfo(&r.subscriber));
        for job in [&mut r.ticker, &mut r.londiste] {
            job.configure("connection_check", "3");
        }
        let r = r.up();
        r.provider.sql(&format!("select pgq.set_queue_config('{QUEUE}', 'rotation_period', '10 s')"));
        for side in ["provider", "subscriber"] {
            r.londiste.run(&format!("{side} add-seq {}", pgbench::SEQUENCE));
        }
        r.subscriber.sql(TRIGGER);
        r.provider.sql(promotion::TABLE);
        let writers = Writers::start(&address, seed);
        let pgbench = Pgbench::start(program, &address);
        World { writers, pgbench, r, operator, wires, provider, subscriber, standby, upstreams: 0 }
    }

    /// Returns when no client writes any more.
    pub fn pause(&self) {
        self.writers.pause();
        self.pgbench.pause(&self.r.provider);
    }

    pub fn go_on(&self) {
        self.writers.go_on();
        self.pgbench.go_on();
    }

    pub fn has_standby(&self) -> bool {
        self.standby.is_some()
    }

    /// The standby, where the seed has drawn one.
    pub fn standby(&self) -> &Standby {
        self.standby.as_ref().expect("a promotion is drawn where there is a standby")
    }

    /// From now on the standby is the provider, and the old primary, which does not run, the standby.
    pub fn promote_standby(&mut self) {
        let standby = self.standby.as_mut().expect("a promotion is drawn where there is a standby");
        standby.cluster.promote();
        std::mem::swap(&mut standby.cluster, &mut self.provider);
        std::mem::swap(&mut standby.wire, &mut self.wires[0]);
        self.r.provider = Database::existing(&self.provider, self.r.provider.name());
    }

    pub fn cluster(&self, side: Side) -> &Cluster {
        match side {
            Side::Provider => &self.provider,
            Side::Subscriber => &self.subscriber,
        }
    }

    pub fn database(&self, side: Side) -> &Database {
        match side {
            Side::Provider => &self.r.provider,
            Side::Subscriber => &self.r.subscriber,
        }
    }

    pub fn wire(&self, side: Side) -> &Wire {
        match side {
            Side::Provider => &self.wires[0],
            Side::Subscriber => &self.wires[1],
        }
    }

    /// Runs statements on the provider; tries again for a while when something is in the way.
    pub fn provider_sql(&self, sql: &str) -> Result<(), SqlError> {
        try_again(|| {
            let session = Session::connect(self.r.provider.conninfo())?;
            session.try_rows(&format!("set lock_timeout = '3s'; set client_min_messages = error; {sql}")).map(drop)
        })
    }

    /// Runs a command of the operator (words separated by blanks). One that fails is told: a lock, a server that is away.
    pub fn command(&self, words: &str) -> Output {
        let output = self.operator.program(words.split_whitespace()).output();
        if output.status != 0 {
            println!("  {words}: {}\n{}", output.status, output.stderr.trim_end());
        }
        output
    }

    /// A new database beside the subscriber's.
    pub fn new_upstream(&mut self) -> Result<Database, SqlError> {
        // It is dropped with its cluster: a slot of a subscription that could not be dropped may be in the way before.
        self.upstreams += 1;
        let name = format!("upstream_{}", self.upstreams);
        self.r.subscriber.try_rows(&format!("create database {name}"))?;
        Ok(Database::existing(&self.subscriber, &name))
    }

    /// How many events the queue has had, and how many rows the subscriber has.
    pub fn volume(&self) -> String {
        let events = format!("select (pgq.get_queue_info('{QUEUE}')).last_tick_id, last_value from pgq.event_1_id_seq");
        let rows = TABLES.map(|table| format!("(select count(*) from {table})")).join(" + ");
        let events = self.r.provider.try_rows(&events).unwrap_or_default().concat();
        let rows = self.r.subscriber.try_rows(&format!("select {rows}")).unwrap_or_default().concat();
        format!("[last tick, event id] {events:?}, rows at the end {rows:?}")
    }

    /// How many transactions of pgbench the subscriber has.
    pub fn rows_of_pgbench(&self) -> u64 {
        self.r.subscriber.value("select count(*) from pgbench_history").parse().unwrap()
    }

    /// What the two daemons have logged.
    pub fn logs(&self) -> Logs {
        Logs { ticker: self.r.ticker.log(), replay: self.r.londiste.log() }
    }

    /// `table state` of the subscriber's tables, in the order of their names.
    pub fn states(&self) -> Result<Vec<(String, String)>, SqlError> {
        let sql = format!(
            "select table_name, coalesce(merge_state, '-') from londiste.subscriber_table where queue_name = '{QUEUE}' order by 1"
        );
        let rows = self.r.subscriber.try_rows(&sql)?;
        Ok(rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect())
    }

    /// Tables that one of the sides has not in its set: an operation could not end, or a server went back to a time
    /// before it did.
    pub fn add_missing(&self) {
        let set = |db: &Database, of: &str| {
            db.try_rows(&format!("select table_name from londiste.{of}_table where queue_name = '{QUEUE}'"))
                .map(|rows| rows.concat())
        };
        for (db, of) in [(&self.r.provider, "provider"), (&self.r.subscriber, "subscriber")] {
            let Ok(have) = set(db, of) else { continue };
            let lacks = TABLES.iter().filter(|t| !have.contains(&format!("public.{t}"))).copied().collect::<Vec<_>>();
            if !lacks.is_empty() {
                println!("  {of} lacks {lacks:?}: added");
                self.command(&format!("{of} add {}", lacks.join(" ")));
            }
        }
    }

    /// Starts the daemons that do not run.
    pub fn start_daemons(&self) {
        for job in [&self.r.ticker, &self.r.londiste] {
            if !job.is_running() {
                job.start();
            }
        }
    }

    /// Waits until a table of the subscriber has this state; gives up after two seconds.
    pub fn catch_state(&self, table: &str, state: &str) -> bool {
        let started = Instant::now();
        let Ok(session) = self.r.subscriber.try_session() else { return false };
        let sql = format!(
            "select count(*) from londiste.subscriber_table
             where table_name = 'public.{table}' and coalesce(merge_state, '-') like '{state}%'"
        );
        while started.elapsed() < Duration::from_secs(2) {
            match session.try_rows(&sql) {
                Ok(rows) if rows == [["1"]] => return true,
                Ok(_) => thread::sleep(Duration::from_millis(1)),
                Err(_) => return false,
            }
        }
        false
    }

    /// Starts a server after a crash.
    ///
    /// PostgreSQL itself may fail to: when an unlogged table got a new file in a transaction that was rolled back right before
    /// the crash, the record of the rollback is lost, recovery makes the table's init fork again, and then finds an empty main
    /// fork in the way. That file is of no use, and removed.
    pub fn start(&self, side: Side) {
        let cluster = self.cluster(side);
        for _ in 0..20 {
            match cluster.try_start() {
                Ok(()) => return,
                Err(StartError::Exited { log, .. }) => {
                    let path = log.split("could not create file \"").nth(1).and_then(|rest| rest.split('"').next());
                    let path = path.unwrap_or_else(|| panic!("the server does not start\n{log}"));
                    println!("  removed {path}, which recovery finds in its way");
                    fs::remove_file(cluster.data_dir().join(path)).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the server does not start");
    }

    /// A copy of a server's files, as a backup or a standby has them. The server is away meanwhile.
    pub fn back_up(&self, side: Side, how: Shutdown) {
        let cluster = self.cluster(side);
        cluster.stop(how);
        let backup = backup_of(cluster);
        let _ = fs::remove_dir_all(&backup);
        copy(&cluster.data_dir(), &backup);
        self.start(side);
    }

    /// The server goes on from its backup.
    pub fn put_back(&self, side: Side) {
        let cluster = self.cluster(side);
        cluster.stop(Shutdown::Immediate);
        fs::remove_dir_all(cluster.data_dir()).unwrap();
        copy(&backup_of(cluster), &cluster.data_dir());
        self.start(side);
    }

    pub fn has_backup(&self, side: Side) -> bool {
        backup_of(self.cluster(side)).exists()
    }
}

impl Standby {
    fn of(provider: &Cluster) -> Standby {
        let binaries = provider.binaries().clone();
        let cluster = Cluster::builder().name("soak-standby").binaries(binaries).tcp().init();
        let wire = Wire::Proxy(Proxy::to_cluster(&cluster));
        Standby { cluster, wire }
    }
}

/// How clients and commands connect to the provider's database, whichever server has it.
fn address_of(provider: &Database, standby: Option<&Cluster>) -> String {
    match standby {
        Some(standby) => either(provider.conninfo(), &standby.conninfo(provider.name())),
        None => provider.conninfo().to_owned(),
    }
}

/// The connection string of the one of two servers that takes writes.
fn either(first: &str, second: &str) -> String {
    let words = first.split(' ').zip(second.split(' ')).map(|(first, second)| match first.split_once('=') {
        Some(("host" | "port", _)) => format!("{first},{}", second.split_once('=').expect("a key and a value").1),
        _ => first.to_owned(),
    });
    words.chain(["target_session_attrs=read-write".to_owned()]).collect::<Vec<_>>().join(" ")
}

/// Makes replay apply one table row by row.
const TRIGGER: &str = "
    create table seen (what text, n bigint);
    create function see() returns trigger language plpgsql as $$
    begin
        insert into public.seen values (tg_op, 1);
        return null;
    end $$;
    create trigger see after insert or update or delete on pairs for each row execute procedure see()";

/// The usual server programs, or those of one of the versions in [`MAJORS`].
fn binaries(dice: &mut Dice) -> Binaries {
    let Ok(majors) = std::env::var(MAJORS) else { return Binaries::find() };
    let majors: Vec<u32> = majors.split_whitespace().map(|major| major.parse().expect(MAJORS)).collect();
    let major = majors[usize::try_from(dice.below(majors.len() as u64)).unwrap()];
    Binaries::of_major(major).unwrap_or_else(|reason| panic!("{MAJORS}: {reason}"))
}

fn backup_of(cluster: &Cluster) -> std::path::PathBuf {
    cluster.socket_dir().join("backup")
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "could not copy {} to {}", from.display(), to.display());
}

/// Tries again for a while.
pub fn try_again(mut run: impl FnMut() -> Result<(), SqlError>) -> Result<(), SqlError> {
    let started = Instant::now();
    loop {
        match run() {
            Err(_) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(100)),
            done => return done,
        }
    }
}

/// The texts of both logs.
pub struct Logs {
    pub ticker: String,
    pub replay: String,
}

impl Logs {
    pub fn lengths(&self) -> (usize, usize) {
        (self.ticker.len(), self.replay.len())
    }

    /// The reports of level WARNING and worse since then that are about rows: they name a table, a tick, a consumer.
    /// DETAIL and HINT belong to a report.
    pub fn reports(&self, since: (usize, usize)) -> Vec<String> {
        let mut reports = Vec::new();
        for (log, from) in [(&self.ticker, since.0), (&self.replay, since.1)] {
            let mut current: Option<String> = None;
            for line in log.get(from..).unwrap_or_default().lines() {
                if line.starts_with("20") {
                    reports.extend(current.take());
                    let mut words = line.split(' ').skip(3);
                    let level = words.next().unwrap_or_default();
                    if ["WARNING", "ERROR", "CRITICAL"].contains(&level) {
                        current = Some(line.to_owned());
                    }
                } else if let Some(report) = &mut current {
                    report.push('\n');
                    report.push_str(line);
                }
            }
            reports.extend(current);
        }
        let about = ["public.", "rewind", "resync", "tick ", CONSUMER];
        reports.retain(|report| about.iter().any(|word| report.contains(word)));
        reports
    }
}
