//! A configured job: its ini file, its daemon, its log.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::{Output, Program, evidence, wait_until};

/// An ini file in a test's directory, with pidfile and log beside it. Dropped, its daemon is killed; when the test
/// fails, the end of its log is printed.
#[derive(Debug)]
pub struct Job {
    dir: PathBuf,
    name: String,
    section: &'static str,
    command: &'static str,
    keys: Vec<(String, String)>,
}

impl Job {
    /// A ticker. It hears of forced ticks at once, so it need not look often: the daemons of all tests that run share the machine.
    pub fn ticker(dir: &Path, name: &str, conninfo: &str) -> Self {
        let job = Job::new(dir, name, "pgqadm", "ticker").set("db", conninfo);
        job.set("loop_delay", "0.05").set("maint_delay", "1")
    }

    /// A replay. It hears of ticks at once.
    pub fn londiste(dir: &Path, name: &str, databases: [&str; 2], queue: &str) -> Self {
        let [provider, subscriber] = databases;
        let job =
            Job::new(dir, name, "londiste", "replay").set("provider_db", provider).set("subscriber_db", subscriber);
        job.set("pgq_queue_name", queue).set("loop_delay", "0.1")
    }

    fn new(dir: &Path, name: &str, section: &'static str, command: &'static str) -> Self {
        let job = Job { dir: dir.to_owned(), name: name.to_owned(), section, command, keys: Vec::new() };
        job.set("job_name", name).set("logfile", "%(job_name)s.log").set("pidfile", "%(job_name)s.pid")
    }

    /// Sets a key and writes the ini file.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.configure(key, value);
        self
    }

    /// As [`Job::set`], for a job that may run; it sees the change after [`Job::reload`].
    pub fn configure(&mut self, key: &str, value: &str) {
        self.keys.retain(|(old, _)| old != key);
        self.keys.push((key.to_owned(), value.to_owned()));
        self.write();
    }

    /// Removes a key.
    pub fn unset(&mut self, key: &str) {
        self.keys.retain(|(old, _)| old != key);
        self.write();
    }

    fn write(&self) {
        let mut text = format!("[{}]\n", self.section);
        for (key, value) in &self.keys {
            let _ = writeln!(text, "{key} = {value}");
        }
        fs::write(self.ini(), text).unwrap();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn ini(&self) -> PathBuf {
        self.dir.join(format!("{}.ini", self.name))
    }

    pub fn pidfile(&self) -> PathBuf {
        self.dir.join(format!("{}.pid", self.name))
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// The log file's text, empty before there is one.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// `rlondiste INI args...`, in the job's directory, with nothing expected but status 0.
    pub fn program<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Program {
        let mut program = Program::new([self.ini()]).dir(&self.dir);
        for arg in args {
            program = program.arg(arg);
        }
        program
    }

    /// Runs `rlondiste INI args...` (args separated by blanks), which must succeed.
    #[track_caller]
    pub fn run(&self, args: &str) -> Output {
        self.program(args.split_whitespace()).run()
    }

    /// Starts the daemon (`ticker -d` or `replay -d`).
    #[track_caller]
    pub fn start(&self) {
        self.program([self.command, "-d"]).stdout("").run();
        assert!(self.is_running(), "{} does not run after its parent said it did\n{}", self.name, self.log());
    }

    /// The daemon's process id, by its pidfile.
    pub fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.pidfile()).ok()?.trim().parse().ok()
    }

    /// Whether there is a pidfile and its process is alive.
    pub fn is_running(&self) -> bool {
        self.pid().is_some_and(is_alive)
    }

    /// Stops the daemon with `-s` and waits until it is gone.
    #[track_caller]
    pub fn stop(&self) {
        self.signal("-s", true);
    }

    /// Stops the daemon with `-k` and waits until it is gone.
    #[track_caller]
    pub fn kill(&self) {
        self.signal("-k", true);
    }

    /// Makes the daemon read its ini file again and reopen its log, with `-r`.
    #[track_caller]
    pub fn reload(&self) {
        self.signal("-r", false);
    }

    #[track_caller]
    fn signal(&self, option: &str, ends: bool) {
        let pid = self.pid().unwrap_or_else(|| panic!("{} does not run", self.name));
        self.program([option]).stdout("").stderr("").run();
        if ends {
            wait_until(&format!("{} ends after {option}", self.name), || gone(pid));
        }
    }

    /// Kills the daemon with SIGKILL and waits until it is gone.
    #[track_caller]
    pub fn kill9(&self) {
        let pid = self.pid().unwrap_or_else(|| panic!("{} does not run", self.name));
        signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        wait_until(&format!("{} is gone", self.name), || gone(pid));
    }

    /// Waits until the log, from `start` bytes on, holds `text`.
    #[track_caller]
    pub fn wait_for_log_after(&self, start: usize, text: &str) {
        wait_until(&format!("the log of {} has \"{text}\"", self.name), || {
            let log = self.log();
            let new = log.get(start..).unwrap_or(&log);
            if new.contains(text) { Ok(()) } else { Err(new.lines().last().unwrap_or("(nothing new)").to_owned()) }
        });
    }

    /// Waits until the log holds `text`.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        self.wait_for_log_after(0, text);
    }

    /// Runs `block` and waits until the log holds a new `text`.
    #[track_caller]
    pub fn log_contains<R>(&self, text: &str, block: impl FnOnce() -> R) -> R {
        let start = self.log().len();
        let result = block();
        self.wait_for_log_after(start, text);
        result
    }

    /// What is logged while `block` runs.
    pub fn logged_during<R>(&self, block: impl FnOnce() -> R) -> (R, String) {
        let start = self.log().len();
        let result = block();
        (result, self.log().split_off(start))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if thread::panicking() {
            evidence::print_tail(&format!("the log of {}", self.name), &self.log_path());
        }
        if let Some(pid) = self.pid() {
            let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Whether there is a process with this id.
pub fn is_alive(pid: i32) -> bool {
    signal::kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

fn gone(pid: i32) -> Result<(), String> {
    if is_alive(pid) { Err(format!("process {pid} is alive")) } else { Ok(()) }
}
