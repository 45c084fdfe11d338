//! Pidfiles: who takes which, and what is in the way. The ticker here has no server; it keeps trying to connect.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Job, Program, Scratch, Sleeper, wait_until};

fn ticker(scratch: &Scratch) -> Job {
    Job::ticker(scratch.path(), "t", "host=/nowhere dbname=none user=u")
}

fn londiste(scratch: &Scratch) -> Job {
    Job::londiste(scratch.path(), "l", ["host=/nowhere dbname=none user=u", "host=/nowhere dbname=none user=u"], "q")
}

#[test]
fn file_of_a_living_process_refuses_commands_of_the_same_kind() {
    let scratch = Scratch::new();
    let sleeper = Sleeper::start();
    for (job, suffix, commands) in [
        (&ticker(&scratch), "", &["ticker"][..]),
        (
            &ticker(&scratch),
            ".admin",
            &["install", "create q", "drop q", "register q c", "unregister q c", "config q a=1"],
        ),
        (&londiste(&scratch), "", &["replay", "--rewind", "--reset"]),
        (
            &londiste(&scratch),
            ".setup",
            &["provider install", "provider add t", "subscriber add t", "subscriber register"],
        ),
        (&londiste(&scratch), ".repair", &["compare", "repair"]),
        (&londiste(&scratch), ".copy", &["copy"]),
    ] {
        let path = format!("{}{suffix}", job.pidfile().display());
        fs::write(&path, sleeper.pid().to_string()).unwrap();
        for command in commands {
            let text = format!(
                "Pidfile exists, another process running?\nHINT: Process {} holds \"{}{suffix}\"; stop it with -s, or \
                 remove the file if that is not one of ours.\n",
                sleeper.pid(),
                job.pidfile().file_name().unwrap().display()
            );
            job.program(command.split(' ')).stdout("").stderr(text).status(1).run();
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn commands_that_only_read_take_no_pidfile() {
    let scratch = Scratch::new();
    let sleeper = Sleeper::start();
    for (job, suffix, command) in [
        (ticker(&scratch), ".admin", "status"),
        (ticker(&scratch), ".admin", "config"),
        (londiste(&scratch), ".setup", "provider tables"),
        (londiste(&scratch), ".setup", "subscriber tables"),
        (londiste(&scratch), ".setup", "subscriber missing"),
    ] {
        fs::write(format!("{}{suffix}", job.pidfile().display()), sleeper.pid().to_string()).unwrap();
        let stderr = format!(
            "rlondiste: {}",
            unreachable(if command == "subscriber tables" { "subscriber" } else { "provider" })
        );
        let program = job.program(command.split(' ')).status(1);
        if command == "config" {
            program.stdout("").stderr(format!("DATE PID CRITICAL Job t crashed: {}", unreachable("provider"))).run();
        } else if command == "subscriber tables" {
            program.stderr(stderr).run();
        } else {
            program.stdout("").stderr(stderr).run();
        }
    }
}

/// What is said of the databases here.
fn unreachable(role: &str) -> String {
    format!(
        "could not connect to {role} (host=/nowhere dbname=none user=u): /nowhere/.s.PGSQL.5432: No such file or \
         directory (os error 2)\n\
         HINT: Check that the server runs and that the connection string in the ini file is right.\n"
    )
}

#[test]
fn stale_file_is_ignored_with_a_warning() {
    let scratch = Scratch::new();
    for (job, suffix, command) in [
        (ticker(&scratch), ".admin", "install"),
        (londiste(&scratch), ".setup", "provider install"),
        (londiste(&scratch), ".repair", "compare"),
    ] {
        let path = format!("{}{suffix}", job.pidfile().display());
        fs::write(&path, "1073741823").unwrap();
        let error = match suffix {
            ".setup" => format!("rlondiste: {}", unreachable("provider")),
            _ => format!("DATE PID CRITICAL Job {} crashed: {}", job.name(), unreachable("provider")),
        };
        let text = format!("DATE PID WARNING Ignoring stale pidfile\n{error}");
        job.program(command.split(' ')).stdout("").stderr(text).status(1).run();
        assert!(!std::path::Path::new(&path).exists());
    }
    // Of a daemon it stands in the log.
    let job = ticker(&scratch);
    fs::write(job.pidfile(), "1073741823").unwrap();
    job.program(["ticker", "-d"]).stdout("").stderr("").run();
    job.wait_for_log("WARNING Ignoring stale pidfile\n");
}

#[test]
fn corrupt_file_is_an_error_that_names_it() {
    let scratch = Scratch::new();
    let text = |path: &str| {
        format!(
            "rlondiste: Corrupt pidfile: {path}\nHINT: It should hold nothing but a process id; make sure that the job does \
             not run, then remove the file.\n"
        )
    };
    for (job, suffix, commands) in [
        (ticker(&scratch), "", &["ticker", "ticker -d", "-s", "-k", "-r"][..]),
        (ticker(&scratch), ".admin", &["install"]),
        (londiste(&scratch), ".setup", &["provider install"]),
    ] {
        let path = format!("{}{suffix}", job.pidfile().display());
        fs::write(&path, "junk").unwrap();
        for command in commands {
            let text = text(&format!("{}.pid{suffix}", job.name()));
            job.program(command.split(' ')).stdout("").stderr(text).status(1).run();
        }
        assert_eq!(fs::read_to_string(path).unwrap(), "junk");
    }
}

#[test]
fn directory_that_takes_no_file_is_named_and_without_a_path_there_is_none() {
    let scratch = Scratch::new();
    let text = |suffix: &str| {
        format!(
            "rlondiste: could not write pidfile \"/nowhere/x.pid{suffix}\": No such file or directory (os error 2)\n"
        )
    };
    let path = "/nowhere/x.pid";
    let (ticker, mut londiste) = (ticker(&scratch).set("pidfile", path), londiste(&scratch).set("pidfile", path));
    ticker.program(["ticker"]).stdout("").stderr(text("")).status(1).run();
    ticker.program(["install"]).stdout("").stderr(text(".admin")).status(1).run();
    londiste.program(["provider", "install"]).stdout("").stderr(text(".setup")).status(1).run();
    londiste.program(["repair"]).stdout("").stderr(text(".repair")).status(1).run();
    londiste.unset("pidfile");
    let error = format!("rlondiste: {}", unreachable("provider"));
    londiste.program(["provider", "install"]).stdout("").stderr(error).status(1).run();
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".setup")), "{left:?}");
}

/// A shell that is not interactive starts its background jobs with SIGINT ignored.
#[test]
fn stop_reaches_a_ticker_that_was_started_with_the_signal_ignored() {
    let scratch = Scratch::new();
    let job = ticker(&scratch);
    let script = format!("\"$0\" \"$1\" ticker 2> {} &", scratch.path().join("stderr").display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_rlondiste")]).arg(job.ini()).current_dir(scratch.path());
    assert!(shell.status().unwrap().success());
    wait_until("the ticker tries to connect", || {
        if job.pid().is_some() && job.log().contains("could not connect") { Ok(()) } else { Err(job.log()) }
    });
    job.stop();
    assert!(!job.pidfile().exists());
}

#[test]
fn of_many_starts_at_once_one_runs() {
    let scratch = Scratch::new();
    let job = ticker(&scratch);
    let statuses: Vec<i32> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| job.program(["ticker", "-d"]).output().status)).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 0).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 1).count(), 7, "{statuses:?}");
    assert!(job.is_running());
}

#[test]
fn int_ends_with_0_and_term_as_by_the_signal_and_neither_leaves_the_file() {
    let scratch = Scratch::new();
    let job = ticker(&scratch);
    for (signals, status) in
        [(&[Signal::SIGINT][..], 0), (&[Signal::SIGTERM], 143), (&[Signal::SIGHUP, Signal::SIGINT], 0)]
    {
        let output = Scratch::new();
        let mut child = job.program(["ticker"]).spawn(&output);
        wait_until("the ticker tries to connect", || {
            if job.pidfile().exists() && job.log().contains("could not connect") { Ok(()) } else { Err(job.log()) }
        });
        for signal in signals {
            kill(Pid::from_raw(child.id().cast_signed()), *signal).unwrap();
        }
        let ended = child.wait().unwrap();
        assert_eq!((ended.code(), ended.signal()), (Some(status), None), "{signals:?}");
        assert!(!job.pidfile().exists(), "{signals:?}");
        fs::remove_file(job.log_path()).unwrap();
    }
}

#[test]
fn stop_of_londiste_reaches_a_running_copy_first() {
    let scratch = Scratch::new();
    let job = londiste(&scratch);
    let pidfile = PathBuf::from(format!("{}.copy", job.pidfile().display()));
    for (option, signal) in [("-s", Signal::SIGTERM), ("-k", Signal::SIGTERM)] {
        let mut copy = Sleeper::with_pidfile(&pidfile);
        let text = "DATE PID INFO Signaling running COPY first\nDATE PID WARNING No pidfile, process not running\n";
        job.program([option]).stdout("").stderr(text).run();
        assert_eq!(copy.ended_by(), Some(signal), "{option}");
    }
}

/// A process id in a file that nobody holds may belong to anybody by now.
#[test]
fn process_that_does_not_hold_the_file_gets_no_signal() {
    let scratch = Scratch::new();
    let job = londiste(&scratch);
    let mut sleeper = Sleeper::start();
    for suffix in ["", ".copy"] {
        let path = format!("{}{suffix}", job.pidfile().display());
        fs::write(&path, sleeper.pid().to_string()).unwrap();
        for option in ["-s", "-k", "-r"] {
            let warning = format!(
                "DATE PID WARNING pidfile exist, but process {} does not hold it: nothing is signaled. If this is a job of \
                 another program, such as londiste.py, end it with that\n",
                sleeper.pid()
            );
            let text = match (suffix, option) {
                ("", _) => warning,
                (_, "-r") => "DATE PID WARNING No pidfile, process not running\n".to_owned(),
                _ => format!(
                    "DATE PID INFO Signaling running COPY first\n{warning}DATE PID WARNING No pidfile, process not running\n"
                ),
            };
            job.program([option]).stdout("").stderr(text).run();
        }
        assert!(sleeper.sleeps());
        fs::remove_file(path).unwrap();
    }
}

/// Whoever may write to the directory could put a link there that leads to a file of the job's user.
#[test]
fn link_in_a_directory_of_everybody_is_not_followed() {
    let scratch = Scratch::new();
    let shared = scratch.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let precious = scratch.write("precious", "1073741823");
    let link = shared.join("t.pid");
    symlink(&precious, &link).unwrap();
    let job = ticker(&scratch).set("pidfile", link.to_str().unwrap());
    let admin = shared.join("t.pid.admin");
    symlink(&precious, &admin).unwrap();
    for (command, path) in [("ticker", &link), ("install", &admin), ("-s", &link), ("-k", &link)] {
        let output = job.program([command]).stdout("").status(1).run();
        let text =
            format!("\"{}\": it is a symbolic link in a directory that everybody may write to\n", path.display());
        assert!(output.stderr.contains(&text), "{command}: {}", output.stderr);
        assert_eq!(fs::read_to_string(&precious).unwrap(), "1073741823");
    }
    // In a directory of one's own a link is as good as a file.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    let output = job.program(["install"]).stdout("").status(1).run();
    assert!(output.stderr.contains("could not connect to provider"), "{}", output.stderr);
}

/// Opening one for reading waits for a writer.
#[test]
fn pidfile_that_is_no_plain_file_is_refused() {
    let scratch = Scratch::new();
    let job = ticker(&scratch).set("pidfile", "fifo");
    nix::unistd::mkfifo(&scratch.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for command in ["ticker", "-s", "-r"] {
        let output = job.program([command]).stdout("").status(1).run();
        let text = "pidfile \"fifo\": it is not a plain file\n";
        assert!(output.stderr.contains(text), "{command}: {}", output.stderr);
    }
}

#[test]
fn daemon_in_the_background_is_told_by_its_parent_when_it_cannot_start() {
    let scratch = Scratch::new();
    let sleeper = Sleeper::start();
    let job = ticker(&scratch);
    fs::write(job.pidfile(), sleeper.pid().to_string()).unwrap();
    let output = job.program(["ticker", "-d"]).stdout("").status(1).run();
    assert!(output.stderr.starts_with("Pidfile exists, another process running?\nHINT: "), "{}", output.stderr);
    let job = ticker(&scratch).set("pidfile", "/nowhere/t.pid");
    let text = "rlondiste: could not write pidfile \"/nowhere/t.pid\": No such file or directory (os error 2)\n";
    job.program(["ticker", "-d"]).stdout("").stderr(text).status(1).run();
    let mut job = ticker(&scratch);
    job.unset("pidfile");
    job.program(["ticker", "-d"]).stdout("").stderr("DATE PID ERROR Daemon needs pidfile\n").status(1).run();
    Program::new(["-V"]).stderr("").run();
}
