//! Throwaway PostgreSQL clusters.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Binaries, Database, PortLock, Session, SqlError, evidence, run_dir, template};

/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a server is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, a checkpoint is written.
    Fast,
    /// As in a crash: recovery at the next start.
    Immediate,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The programs are not there.
    #[error("could not run {program}: {source}; are the server programs installed (tests/run.sh does it)?")]
    Spawn { program: String, source: std::io::Error },
    /// The server gave up.
    #[error("the server ended at once ({status}); end of its log:\n{log}")]
    Exited { status: ExitStatus, log: String },
    /// The server runs and does not accept connections.
    #[error("the server did not accept connections within {} s: {last}", PATIENCE.as_secs())]
    TimedOut { last: SqlError },
}

/// What a cluster is made from.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
    binaries: Option<Binaries>,
    conf: Vec<String>,
    hba: Vec<String>,
    tcp: bool,
}

impl Builder {
    /// A word for messages and the directory's name.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Another PostgreSQL than the tests' usual one.
    pub fn binaries(mut self, binaries: Binaries) -> Self {
        self.binaries = Some(binaries);
        self
    }

    /// A line of `postgresql.conf`.
    pub fn conf(mut self, line: &str) -> Self {
        self.conf.push(line.to_owned());
        self
    }

    /// A line of `pg_hba.conf`, before those that trust everybody.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Listens on 127.0.0.1 too, and connection strings of the cluster use it.
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Makes the cluster without starting it.
    pub fn init(self) -> Cluster {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        evidence::remember_failures();
        let name = self.name.unwrap_or_else(|| "server".to_owned());
        let dir = run_dir::path().join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        run_dir::create_server_dir(&dir);
        let binaries = self.binaries.unwrap_or_else(Binaries::find);
        template::copy_to(&binaries, &dir.join("data"));
        let host = if self.tcp { "127.0.0.1".to_owned() } else { dir.display().to_string() };
        let cluster =
            Cluster { name, dir, host, binaries, port: PortLock::claim(), server: Mutex::new(None), evidence: true };
        cluster.append_conf(&base_conf(&cluster, self.tcp));
        for line in &self.conf {
            cluster.append_conf(line);
        }
        if !self.hba.is_empty() {
            let path = cluster.data_dir().join("pg_hba.conf");
            let rest = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{}\n{rest}", self.hba.join("\n"))).unwrap();
        }
        cluster
    }

    /// Makes and starts the cluster.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let cluster = self.init();
        cluster.start();
        cluster
    }
}

fn base_conf(cluster: &Cluster, tcp: bool) -> String {
    let listen = if tcp { "127.0.0.1" } else { "" };
    let mut conf = String::new();
    let _ = writeln!(conf, "port = {}", cluster.port.number());
    let _ = writeln!(conf, "unix_socket_directories = '{}'", cluster.dir.display());
    let _ = writeln!(conf, "listen_addresses = '{listen}'");
    conf.push_str(
        "fsync = off\n\
         full_page_writes = off\n\
         shared_buffers = 32MB\n\
         max_connections = 100\n\
         log_line_prefix = '%m %p %d %a '\n",
    );
    conf
}

/// A cluster of its own directory, socket and port. Dropped, it is stopped and removed; when the test fails, its
/// directory stays and the end of the server's log is printed.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    dir: PathBuf,
    host: String,
    binaries: Binaries,
    port: PortLock,
    server: Mutex<Option<Child>>,
    evidence: bool,
}

impl Cluster {
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The shared cluster for provider databases, started at first use. Do not stop or configure it.
    pub fn provider() -> &'static Cluster {
        static PROVIDER: OnceLock<Cluster> = OnceLock::new();
        PROVIDER.get_or_init(|| Cluster::builder().name("provider").start())
    }

    /// The shared cluster for subscriber databases, started at first use. Do not stop or configure it.
    pub fn subscriber() -> &'static Cluster {
        static SUBSCRIBER: OnceLock<Cluster> = OnceLock::new();
        SUBSCRIBER.get_or_init(|| Cluster::builder().name("subscriber").start())
    }

    /// Creates a database of a new, unique name.
    #[track_caller]
    pub fn database(&self) -> Database {
        Database::create(self, "")
    }

    /// Creates a database whose texts are bytes of any encoding.
    #[track_caller]
    pub fn database_of_bytes(&self) -> Database {
        Database::create(self, "encoding 'SQL_ASCII'")
    }

    /// Creates a database with options of `create database`.
    #[track_caller]
    pub fn database_with(&self, options: &str) -> Database {
        Database::create(self, options)
    }

    /// The connection string of a database, as an ini file would have it.
    pub fn conninfo(&self, dbname: &str) -> String {
        format!("host={} port={} user=postgres dbname={dbname}", self.host, self.port.number())
    }

    /// The connection string over the socket, also when [`Cluster::conninfo`] is over TCP.
    pub fn socket_conninfo(&self, dbname: &str) -> String {
        format!("host={} port={} user=postgres dbname={dbname}", self.dir.display(), self.port.number())
    }

    /// Runs statements in database `postgres` and returns their rows.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.session().rows(sql)
    }

    /// Runs statements in database `postgres`.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        self.session().sql(sql);
    }

    /// The only value that the statements return in database `postgres`.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        self.session().value(sql)
    }

    #[track_caller]
    fn session(&self) -> Session {
        Session::connect(&self.socket_conninfo("postgres")).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The directory of the socket: the `host` of a connection string without TCP.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The server's log. It has statements only where a test asks for them, by [`super::Database::log_statements`] or
    /// [`Builder::conf`]: those of all tests are gigabytes.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Appends to `postgresql.conf`; the last setting of a name wins. Takes effect with [`Cluster::reload`] or
    /// [`Cluster::restart`].
    pub fn append_conf(&self, lines: &str) {
        let path = self.data_dir().join("postgresql.conf");
        let conf = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{conf}\n{lines}\n")).unwrap();
    }

    /// Starts the server and waits until it accepts connections.
    #[track_caller]
    pub fn start(&self) {
        if let Err(error) = self.try_start() {
            panic!("could not start cluster {}: {error}", self.name);
        }
    }

    /// As [`Cluster::start`], for tests of servers that do not start.
    pub fn try_start(&self) -> Result<(), StartError> {
        let mut server = self.server.lock().unwrap();
        assert!(server.is_none(), "cluster {} is already started", self.name);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.start_once(deadline) {
                Ok(child) => {
                    *server = Some(child);
                    return Ok(());
                }
                // After kill -9 the orphaned backends need a moment to notice; until then the data directory is busy.
                Err(StartError::Exited { log, .. })
                    if log.contains("shared memory block") && Instant::now() < deadline =>
                {
                    thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn start_once(&self, deadline: Instant) -> Result<Child, StartError> {
        let program = self.binaries.program("postgres");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let log_start = usize::try_from(log.metadata().unwrap().len()).unwrap();
        let mut child = run_dir::server_command(&program)
            .arg("-D")
            .arg(self.data_dir())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // Ctrl-C of the terminal is for the test process; the watchdog stops the servers.
            .process_group(0)
            .spawn()
            .map_err(|source| StartError::Spawn { program: program.display().to_string(), source })?;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                let log = self.log().split_off(log_start);
                return Err(StartError::Exited { status, log });
            }
            match Session::connect(&self.socket_conninfo("postgres")) {
                Ok(_) => return Ok(child),
                Err(last) if Instant::now() > deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(StartError::TimedOut { last });
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    pub fn is_running(&self) -> bool {
        self.server.lock().unwrap().as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Stops the server and waits until it is gone.
    #[track_caller]
    pub fn stop(&self, how: Shutdown) {
        self.end(match how {
            Shutdown::Fast => Signal::SIGINT,
            Shutdown::Immediate => Signal::SIGQUIT,
        });
    }

    /// Kills the server's main process; its backends end when they notice.
    #[track_caller]
    pub fn kill9(&self) {
        self.end(Signal::SIGKILL);
    }

    /// Stops (fast) and starts the server.
    #[track_caller]
    pub fn restart(&self) {
        self.stop(Shutdown::Fast);
        self.start();
    }

    /// Makes the server read its configuration again.
    #[track_caller]
    pub fn reload(&self) {
        self.sql("select pg_reload_conf()");
    }

    #[track_caller]
    fn end(&self, signal: Signal) {
        let Some(mut child) = self.server.lock().unwrap().take() else { return };
        let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal);
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("cluster {} did not stop within {} s of {signal}", self.name, PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Does not print the log or keep the directory when the test fails: for tests of the harness.
    pub fn without_evidence(mut self) -> Self {
        self.evidence = false;
        self
    }

    /// Prints the end of the server's log and how to start the server again.
    pub fn print_evidence(&self) {
        run_dir::keep();
        evidence::print_tail(&format!("the log of cluster {}", self.name), &self.log_path());
        let as_user = run_dir::server_user().map(|user| format!("runuser -u {} -- ", user.name)).unwrap_or_default();
        eprintln!(
            "--- to open it again: {as_user}{} -D {} -w start; psql '{}'",
            self.binaries.program("pg_ctl").display(),
            self.data_dir().display(),
            self.socket_conninfo("postgres"),
        );
        evidence::print_failure();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() && self.evidence {
            self.print_evidence();
            self.stop(Shutdown::Fast);
        } else {
            self.stop(Shutdown::Immediate);
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
