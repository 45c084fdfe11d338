//! `-s`, `-k` and `-r` when there is nothing to signal: a warning, and status 0 for scripts that make sure.

use std::fs;

use crate::support::{Job, Scratch};

const OPTIONS: [&str; 6] = ["-s", "-k", "-r", "--stop", "--kill", "--reload"];

fn jobs(scratch: &Scratch) -> [Job; 2] {
    [
        Job::ticker(scratch.path(), "db1-ticker", "dbname=none"),
        Job::londiste(scratch.path(), "db1-londiste", ["dbname=none", "dbname=none"], "q"),
    ]
}

#[test]
fn no_pidfile_is_a_warning() {
    let scratch = Scratch::new();
    for job in jobs(&scratch) {
        for option in OPTIONS {
            job.program([option]).stdout("").stderr("DATE PID WARNING No pidfile, process not running\n").run();
        }
    }
}

#[test]
fn no_pidfile_in_the_configuration_is_a_warning() {
    let scratch = Scratch::new();
    for mut job in jobs(&scratch) {
        job.unset("pidfile");
        job.program(["-s"]).stdout("").stderr("DATE PID WARNING No pidfile in config, nothing todo\n").run();
    }
}

#[test]
fn stale_pidfile_is_a_warning_and_stays() {
    let scratch = Scratch::new();
    for job in jobs(&scratch) {
        // Greater than any pid_max.
        fs::write(job.pidfile(), "1073741823").unwrap();
        job.program(["-s"]).stdout("").stderr("DATE PID WARNING pidfile exist, but process not running\n").run();
        assert!(job.pidfile().exists());
    }
}

#[test]
fn command_beside_a_signal_is_not_run() {
    let scratch = Scratch::new();
    for job in jobs(&scratch) {
        job.program(["install", "-s"]).stdout("").stderr("DATE PID WARNING No pidfile, process not running\n").run();
    }
}
