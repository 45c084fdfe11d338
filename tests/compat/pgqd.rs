//! Debian's `pgqd` 3.5 on our schema: it ticks, rotates and brings events back, as it does for the extension.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Feed, skipped};
use crate::support::{Cluster, Database, Job, Replication, Scratch, wait_until};

const PROGRAM: &str = "/usr/bin/pgqd";

/// A running pgqd for one database.
struct Pgqd {
    dir: PathBuf,
}

impl Pgqd {
    /// Whether it is installed; the reason for skipping is printed where it is not.
    fn is_installed() -> bool {
        let there = Path::new(PROGRAM).is_file();
        if !there {
            skipped(&format!("no {PROGRAM} (apt-get install pgqd)"));
        }
        there
    }

    #[track_caller]
    fn start(dir: &Path, database: &Database) -> Self {
        let (server, _) = database.conninfo().split_once(" dbname=").unwrap();
        let text = format!(
            "[pgqd]\nlogfile = {dir}/pgqd.log\npidfile = {dir}/pgqd.pid\nbase_connstr = {server}\n\
             initial_database = postgres\ndatabase_list = {}\n\
             check_period = 1\nretry_period = 0.2\nmaint_period = 0.2\nticker_period = 0.05\n",
            database.name(),
            dir = dir.display(),
        );
        let ini = dir.join("pgqd.ini");
        fs::write(&ini, text).unwrap();
        let status = Command::new(PROGRAM).args(["-d", "-q"]).arg(&ini).status().unwrap();
        assert!(status.success(), "{status}");
        let pgqd = Pgqd { dir: dir.to_owned() };
        wait_until("pgqd runs", || pgqd.pid().ok_or("no pidfile"));
        pgqd
    }

    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.dir.join("pgqd.pid")).ok()?;
        Some(Pid::from_raw(text.trim().parse().ok()?))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("pgqd.log")).unwrap_or_default()
    }

    #[track_caller]
    fn assert_content(&self) {
        let log = self.log();
        assert!(log.contains("LOG Starting pgqd 3.5"), "{log}");
        assert!(!log.contains("ERROR") && !log.contains("WARNING"), "{log}");
    }
}

impl Drop for Pgqd {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the log of pgqd\n{}", self.log());
        }
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGINT);
            wait_until("pgqd ends", || kill(pid, None).err().ok_or("it is alive"));
            let _ = fs::remove_file(self.dir.join("pgqd.pid"));
        }
    }
}

#[test]
fn pgqd_ticks_rotates_and_retries() {
    if !Pgqd::is_installed() {
        return;
    }
    // Transactions of other tests, in any database, would block rotation.
    let cluster = Cluster::builder().name("pgqd").start();
    let database = cluster.database();
    let scratch = Scratch::new();
    Job::ticker(scratch.path(), "db1-ticker", database.conninfo()).run("install");
    let mut feed = Feed::of(&database);
    let pgqd = Pgqd::start(scratch.path(), &database);
    for _ in 0..4 {
        feed.rotate();
    }
    feed.read_everything();
    pgqd.assert_content();
    println!("{}", pgqd.log());
}

#[test]
fn pgqd_vacuums_where_autovacuum_does_not() {
    if !Pgqd::is_installed() {
        return;
    }
    let cluster = Cluster::builder().name("pgqd_vacuum").conf("autovacuum = off").start();
    let database = cluster.database();
    let scratch = Scratch::new();
    let ticker = Job::ticker(scratch.path(), "db1-ticker", database.conninfo());
    ticker.run("install");
    ticker.run("create q");
    let vacuumed = || {
        database.column(
            "select relname from pg_stat_user_tables where schemaname = 'pgq' and vacuum_count > 0 order by last_vacuum",
        )
    };
    // Its round ends with the first vacuum, and the next one comes after 20 s, whatever the settings say. A new pgqd
    // begins with a round.
    let tables = ["subscription", "consumer", "queue", "tick", "retry_queue"];
    for count in 1..=tables.len() {
        let pgqd = Pgqd::start(scratch.path(), &database);
        wait_until("another table is vacuumed", || {
            let so_far = vacuumed();
            if so_far == tables[..count] { Ok(()) } else { Err(so_far.join(", ")) }
        });
        pgqd.assert_content();
    }
}

#[test]
fn pgqd_is_a_ticker_for_replay() {
    if !Pgqd::is_installed() {
        return;
    }
    let r = Replication::new().with_shop();
    r.install();
    let pgqd = Pgqd::start(r.scratch().path(), &r.provider);
    r.londiste.start();
    r.add("--all");
    r.wait_until_ok();
    r.provider.sql(
        "insert into customers (name) select 'Customer ' || i from generate_series(1, 100) i;
         update products set price = price + 1; delete from order_lines where line = 2",
    );
    r.assert_in_sync();
    pgqd.assert_content();
    assert!(!r.ticker.is_running());
}

/// `ticker = auto`: pgqd ticks where it runs, replay where it does not.
#[test]
fn the_ticker_inside_of_replay_gives_way_to_pgqd_and_comes_back() {
    if !Pgqd::is_installed() {
        return;
    }
    let begins = "No ticker serves the provider's database: this process makes the ticks";
    let mut r = Replication::new().with_table("t", "id int primary key, data text");
    r.londiste.configure("maint_delay", "0.2");
    r.londiste.configure("ticker", "auto");
    r.install();
    r.londiste.log_contains(begins, || r.londiste.start());
    r.add("t");
    r.wait_until_ok();
    let replicates = |first: u32| {
        r.provider.sql(&format!("insert into t select i, 'x' from generate_series({first}, {first} + 99) i"));
        r.assert_in_sync();
    };
    replicates(1);
    for round in 1..3 {
        let pgqd = std::cell::OnceCell::new();
        r.londiste.log_contains("A ticker serves the provider's database (pid ", || {
            assert!(pgqd.set(Pgqd::start(r.scratch().path(), &r.provider)).is_ok());
        });
        wait_until("replay has given its sessions up", || {
            let sessions = r.provider.value(
                "select count(*) - 1 from pg_stat_activity
                 where datname = current_database() and query like '%/* inside replay */%'",
            );
            if sessions == "0" { Ok(()) } else { Err(sessions) }
        });
        replicates(round * 1000);
        let pgqd = pgqd.into_inner().unwrap();
        pgqd.assert_content();
        // It says farewell, or does not.
        r.londiste.log_contains(begins, || {
            if round == 2 {
                kill(pgqd.pid().unwrap(), Signal::SIGKILL).unwrap();
                fs::remove_file(r.scratch().path().join("pgqd.pid")).unwrap();
            }
            drop(pgqd);
        });
        replicates(round * 1000 + 500);
    }
    let log = r.londiste.log();
    assert_eq!(log.matches("A ticker serves").count(), 2, "{log}");
    assert_eq!(log.matches(begins).count(), 3, "{log}");
}
