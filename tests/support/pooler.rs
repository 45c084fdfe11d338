//! Debian's `pgbouncer` between a test's programs and its servers.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Database, PortLock, Session, evidence, run_dir, wait_until};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// How long it may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a server connection goes back to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// At the end of each transaction.
    Transaction,
    /// At the end of the client's session, after `discard all`.
    Session,
}

/// What becomes of the `options` of a login, which pgbouncer does not hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOptions {
    /// The login is refused.
    Refused,
    /// They are left out without a word.
    Ignored,
}

/// A pooler in front of some databases. Its server connections are used in turn. Dropped, it is stopped; when the test
/// fails, the end of its log is printed.
#[derive(Debug)]
pub struct Pooler {
    dir: PathBuf,
    port: PortLock,
    size: usize,
    process: Mutex<Option<Child>>,
}

impl Pooler {
    /// Whether it is installed; the reason for skipping is printed where it is not.
    pub fn is_installed() -> bool {
        let there = Path::new(PROGRAM).is_file();
        if !there {
            eprintln!("skipped: no {PROGRAM} (apt-get install pgbouncer)");
        }
        there
    }

    /// Starts one with up to `size` server connections for each database and user.
    #[track_caller]
    pub fn start(databases: &[&Database], mode: PoolMode, size: usize, options: LoginOptions) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let dir = run_dir::path().join(format!("pooler-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        run_dir::create_server_dir(&dir);
        let pooler = Pooler { dir, port: PortLock::claim(), size, process: Mutex::new(None) };
        pooler.configure(databases, mode, options);
        pooler.start_again();
        pooler
    }

    fn configure(&self, databases: &[&Database], mode: PoolMode, options: LoginOptions) {
        let mut ini = "[databases]\n".to_owned();
        for database in databases {
            let server = server_of(database);
            let _ = writeln!(ini, "{} = {server}", database.name());
        }
        let mode = match mode {
            PoolMode::Transaction => "transaction",
            PoolMode::Session => "session",
        };
        let ignored = match options {
            LoginOptions::Refused => "",
            LoginOptions::Ignored => "options",
        };
        let dir = self.dir.display();
        let _ = writeln!(
            ini,
            "[pgbouncer]\nlisten_port = {port}\nunix_socket_dir = {dir}\nlogfile = {dir}/pgbouncer.log\n\
             pidfile = {dir}/pgbouncer.pid\nauth_type = trust\nauth_file = {dir}/users.txt\nadmin_users = postgres\n\
             pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 100\nserver_round_robin = 1\nserver_login_retry = 1\n\
             ignore_startup_parameters = {ignored}",
            port = self.port.number(),
            size = self.size,
        );
        fs::write(self.dir.join("pgbouncer.ini"), ini).unwrap();
        fs::write(self.dir.join("users.txt"), "\"postgres\" \"\"\n").unwrap();
    }

    /// Starts it after [`Pooler::kill`].
    #[track_caller]
    pub fn start_again(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "the pooler is already started");
        let _ = fs::remove_file(self.dir.join("pgbouncer.pid"));
        let mut child = run_dir::server_command(Path::new(PROGRAM))
            .arg("-q")
            .arg(self.dir.join("pgbouncer.ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C of the terminal is for the test process; the watchdog stops the pooler.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("could not run {PROGRAM}: {error}"));
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = Session::connect(&self.conninfo_of("pgbouncer")) {
            let ended = child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the pooler did not start ({ended:?}): {error}\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        *process = Some(child);
    }

    /// Ends it with all its connections, and waits until it is gone. Server connections in the middle of a transaction are cut.
    #[track_caller]
    pub fn kill(&self) {
        let Some(mut child) = self.process.lock().unwrap().take() else { return };
        let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the pooler did not stop");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// [`Pooler::kill`] and [`Pooler::start_again`].
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        self.start_again();
    }

    /// The connection string of a database behind it, as an ini file would have it.
    pub fn conninfo(&self, database: &Database) -> String {
        self.conninfo_of(database.name())
    }

    fn conninfo_of(&self, name: &str) -> String {
        format!("host={} port={} user=postgres dbname={name}", self.dir.display(), self.port.number())
    }

    /// A client of the pool, such as an application's.
    #[track_caller]
    pub fn session(&self, database: &Database) -> Session {
        Session::connect(&self.conninfo(database)).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Clients with a transaction open on every server connection that a pool in transaction mode may have; each server
    /// connection is open in one of them.
    #[track_caller]
    pub fn all_sessions(&self, database: &Database) -> Vec<Session> {
        let open = || {
            let session = self.session(database);
            // A client that gets a server connection which its server has just closed is cut.
            session.try_rows("begin").map(|_| session).map_err(|error| error.to_string())
        };
        (0..self.size).map(|_| wait_until("a server connection is free", open)).collect()
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("pgbouncer.log")
    }
}

/// Host and port of a database's server.
fn server_of(database: &Database) -> String {
    let words = database.conninfo().split(' ');
    words.filter(|word| word.starts_with("host=") || word.starts_with("port=")).collect::<Vec<_>>().join(" ")
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if thread::panicking() {
            run_dir::keep();
            evidence::print_tail("the log of the pooler", &self.log_path());
            if let Some(mut child) = self.process.lock().unwrap().take() {
                let _ = child.kill();
                let _ = child.wait();
            }
            return;
        }
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
