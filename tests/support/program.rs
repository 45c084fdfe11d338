//! The program as a process, with exact expectations.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pretty_assertions::StrComparison;

use super::{Scratch, Terminal};

/// A command that runs longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program that was built with the tests.
pub fn program_path() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_rlondiste"))
}

/// What a process printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    /// As a shell shows it: 128 + n after signal n.
    pub status: i32,
}

/// A run of the program: arguments, surroundings, and what it must print. What is not stated is not checked, except
/// that the status is 0 unless stated otherwise.
///
/// `stderr` is compared after [`mask_log_lines`].
#[must_use]
pub struct Program {
    name: Option<String>,
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    env: Vec<(String, OsString)>,
    stdout: Option<String>,
    stderr: Option<String>,
    status: i32,
}

impl Program {
    pub fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Program {
            name: None,
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            dir: None,
            env: Vec::new(),
            stdout: None,
            stderr: None,
            status: 0,
        }
    }

    /// Calls it through a symbolic link of this name: `londiste.py`.
    pub fn called(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// The current directory; else a new, empty one.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The exact standard output.
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Some(text.into());
        self
    }

    /// The exact standard error, with `DATE PID` in place of the time and process id of log lines.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Some(text.into());
        self
    }

    /// The exit status, 0 when not stated.
    pub fn status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// Runs it to its end and checks what was stated.
    #[track_caller]
    pub fn run(self) -> Output {
        let output = self.output();
        let masked = mask_log_lines(&output.stderr);
        let mut problems = String::new();
        let mut check = |what: &str, expected: Option<&String>, got: &String| {
            if let Some(expected) = expected
                && expected != got
            {
                let _ = writeln!(problems, "{what} (expected < > got):\n{}", StrComparison::new(expected, got));
            }
        };
        check("status", Some(&self.status.to_string()), &output.status.to_string());
        check("stdout", self.stdout.as_ref(), &output.stdout);
        check("stderr", self.stderr.as_ref(), &masked);
        assert!(
            problems.is_empty(),
            "{}\n{problems}--- stdout:\n{}--- stderr:\n{}",
            self.command_line(),
            output.stdout,
            output.stderr
        );
        output
    }

    /// Runs it to its end and checks nothing.
    #[track_caller]
    pub fn output(&self) -> Output {
        let scratch = Scratch::new();
        let (stdout, stderr) = (scratch.path().join("stdout"), scratch.path().join("stderr"));
        let mut child = self.spawn_into(&scratch, &stdout, &stderr);
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                let (stdout, stderr) = (read(&stdout), read(&stderr));
                panic!("{} still runs after {PATIENCE:?}\n{stdout}{stderr}", self.command_line());
            }
            thread::sleep(Duration::from_millis(2));
        };
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Output { stdout: read(&stdout), stderr: read(&stderr), status }
    }

    /// Starts it in the foreground, printing into files `stdout` and `stderr` of `scratch`.
    pub fn spawn(&self, scratch: &Scratch) -> Child {
        self.spawn_into(scratch, &scratch.path().join("stdout"), &scratch.path().join("stderr"))
    }

    /// Starts it in the foreground with standard error on a terminal; standard output goes into file `stdout` of
    /// `scratch`. `TERM` is xterm unless it was set.
    pub fn spawn_on(&self, scratch: &Scratch, terminal: &Terminal) -> Child {
        let mut command = self.command(scratch);
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm");
        }
        command
            .stdin(Stdio::null())
            .stdout(File::create(scratch.path().join("stdout")).unwrap())
            .stderr(terminal.side())
            .spawn()
            .unwrap_or_else(|error| panic!("could not run {}: {error}", self.command_line()))
    }

    /// Starts it in the foreground with standard output on a terminal; standard error goes into file `stderr` of
    /// `scratch`.
    pub fn spawn_with_stdout_on(&self, scratch: &Scratch, terminal: &Terminal) -> Child {
        self.command(scratch)
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .stdout(terminal.side())
            .stderr(File::create(scratch.path().join("stderr")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("could not run {}: {error}", self.command_line()))
    }

    /// Files, not pipes: a daemon that forgets to close a pipe would hold up its reader.
    fn spawn_into(&self, scratch: &Scratch, stdout: &Path, stderr: &Path) -> Child {
        self.command(scratch)
            .stdin(Stdio::null())
            .stdout(File::create(stdout).unwrap())
            .stderr(File::create(stderr).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("could not run {}: {error}", self.command_line()))
    }

    /// The command as it is run; nothing of the caller's PostgreSQL or home directory reaches it.
    fn command(&self, scratch: &Scratch) -> Command {
        let mut executable = program_path();
        if let Some(name) = &self.name {
            let link = scratch.path().join(name);
            if !link.is_symlink() {
                std::os::unix::fs::symlink(&executable, &link).unwrap();
            }
            executable = link;
        }
        let mut command = Command::new(executable);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .args(&self.args)
            .env("HOME", scratch.path())
            .env("LC_ALL", "C.UTF-8")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.as_deref().unwrap_or(scratch.path()));
        command
    }

    fn command_line(&self) -> String {
        let mut line = self.name.clone().unwrap_or_else(|| "rlondiste".to_owned());
        for arg in &self.args {
            line.push(' ');
            line.push_str(&arg.to_string_lossy());
        }
        line
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Puts `DATE PID` in place of the time and process id that begin a log line:
/// `2026-11-22 06:57:52,294 16105 INFO text` becomes `DATE PID INFO text`. The CONTEXT of an error, which names lines of
/// SQL functions, becomes `CONTEXT: ...`. Other lines stay as they are.
pub fn mask_log_lines(text: &str) -> String {
    text.split_inclusive('\n').map(|line| mask_line(line).unwrap_or_else(|| line.to_owned())).collect()
}

fn mask_line(line: &str) -> Option<String> {
    const SHAPE: &str = "dddd-dd-dd dd:dd:dd,ddd ";
    if line.starts_with("CONTEXT: ") {
        return Some("CONTEXT: ...\n".to_owned());
    }
    let (time, rest) = line.split_at_checked(SHAPE.len())?;
    let fits = time.chars().zip(SHAPE.chars()).all(|(c, s)| if s == 'd' { c.is_ascii_digit() } else { c == s });
    let (pid, rest) = rest.split_once(' ')?;
    let is_pid = !pid.is_empty() && pid.chars().all(|c| c.is_ascii_digit());
    (fits && is_pid).then(|| format!("DATE PID {rest}"))
}
