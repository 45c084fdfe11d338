//! The program pgbench as one of the clients: its tables and its own script.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{Database, wait_until};

/// Its tables.
pub const TABLES: [&str; 4] = ["pgbench_accounts", "pgbench_branches", "pgbench_history", "pgbench_tellers"];

/// What gives the key to its table of what happened.
pub const SEQUENCE: &str = "pgbench_history_id_seq";

/// Transactions per second, unless at full speed.
const RATE: u32 = 25;

/// How often the program is looked after. One that cannot connect is not started more often.
const INTERVAL: Duration = Duration::from_millis(100);

/// The program's table of what happened has no key, which replication needs; its script leaves other columns alone.
const KEY: &str = "alter table pgbench_history add column id bigserial primary key";

/// Creates the tables on both sides, and fills them on the provider with the rows of scale 1.
#[track_caller]
pub fn create_tables(program: &Path, provider: &Database, subscriber: &Database) {
    for (database, steps) in [(provider, "dtgp"), (subscriber, "dtp")] {
        let output = Command::new(program)
            .args(["--initialize", "--quiet", "--init-steps", steps, database.conninfo()])
            .output()
            .unwrap_or_else(|error| panic!("could not run {}: {error}", program.display()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        database.sql(KEY);
    }
}

/// The program, which is started again when it ends: an error ends it, and a server that goes away does. Dropped, it is
/// killed.
pub struct Pgbench {
    signals: Arc<Signals>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Signals {
    stop: AtomicBool,
    pause: AtomicBool,
    /// The program does not run because of the pause.
    paused: AtomicBool,
    full_speed: AtomicBool,
}

impl Pgbench {
    /// Starts it; `provider` is a connection string.
    pub fn start(program: PathBuf, provider: &str) -> Pgbench {
        let signals = Arc::new(Signals::default());
        let (shared, provider) = (Arc::clone(&signals), provider.to_owned());
        Pgbench { signals, keeper: Some(thread::spawn(move || keep(&program, &provider, &shared))) }
    }

    /// Returns when the program is gone, and its sessions on the provider are.
    #[track_caller]
    pub fn pause(&self, provider: &Database) {
        self.signals.pause.store(true, Ordering::Relaxed);
        wait_until("pgbench is gone", || {
            if self.signals.paused.load(Ordering::Relaxed) { Ok(()) } else { Err("it runs") }
        });
        // A session commits what it was told to commit before it finds its client gone.
        let sessions = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgbench'";
        wait_until("the sessions of pgbench are gone", || match provider.try_rows(sessions) {
            Ok(rows) if rows.is_empty() => Ok(()),
            Ok(rows) => Err(format!("{} are there", rows.len())),
            Err(error) => Err(error.to_string()),
        });
    }

    /// From the next pause on, transactions are made as fast as the servers can.
    pub fn at_full_speed(&self) {
        self.signals.full_speed.store(true, Ordering::Relaxed);
    }

    pub fn go_on(&self) {
        self.signals.pause.store(false, Ordering::Relaxed);
    }
}

impl Drop for Pgbench {
    fn drop(&mut self) {
        self.signals.stop.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn keep(program: &Path, provider: &str, signals: &Signals) {
    let mut running: Option<Child> = None;
    while !signals.stop.load(Ordering::Relaxed) {
        let pause = signals.pause.load(Ordering::Relaxed);
        if pause {
            end(running.take());
        } else if running.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some()) {
            running = Some(spawn(program, provider, signals.full_speed.load(Ordering::Relaxed)));
        }
        signals.paused.store(pause, Ordering::Relaxed);
        thread::sleep(INTERVAL);
    }
    end(running);
}

fn spawn(program: &Path, provider: &str, full_speed: bool) -> Child {
    let rate = (!full_speed).then(|| format!("--rate={RATE}"));
    Command::new(program)
        .args(["--no-vacuum", "--client=2", "--time=100000"])
        .args(rate)
        .arg(provider)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("could not run {}: {error}", program.display()))
}

fn end(child: Option<Child>) {
    let Some(mut child) = child else { return };
    let _ = child.kill();
    let _ = child.wait();
}
