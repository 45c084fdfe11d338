//! `-d`, pidfiles, signals.

use std::fs;

use crate::support::{Cluster, Job, Replication, Scratch, wait_until};

/// A ticker whose database is not needed: it keeps trying to connect.
fn ticker(scratch: &Scratch) -> Job {
    Job::ticker(scratch.path(), "db1-ticker", "host=/nowhere dbname=none")
}

#[test]
fn pidfile_holds_the_bare_pid_and_goes_with_the_daemon() {
    let scratch = Scratch::new();
    let job = ticker(&scratch);
    job.start();
    let text = fs::read_to_string(job.pidfile()).unwrap();
    assert!(text.bytes().all(|c| c.is_ascii_digit()), "{text:?}");
    assert!(fs::read_link(format!("/proc/{text}/exe")).unwrap().ends_with("rlondiste"));
    job.stop();
    assert!(!job.pidfile().exists());
    job.start();
    job.kill();
    assert!(!job.pidfile().exists());
}

#[test]
fn second_start_is_refused() {
    let scratch = Scratch::new();
    let job = ticker(&scratch);
    job.start();
    let pid = job.pid();
    for arguments in [vec!["ticker", "-d"], vec!["ticker"]] {
        let output = job.program(arguments).stdout("").status(1).run();
        assert!(output.stderr.contains("Pidfile exists, another process running?"), "{}", output.stderr);
    }
    assert_eq!(job.pid(), pid);
    assert!(job.is_running());
}

#[test]
fn stale_pidfile_does_not_hinder_a_start() {
    let scratch = Scratch::new();
    let job = ticker(&scratch);
    job.start();
    job.kill9();
    let stale = job.pid();
    assert!(stale.is_some());
    job.start();
    assert_ne!(job.pid(), stale);
}

#[test]
fn daemon_without_pidfile_is_an_error() {
    let scratch = Scratch::new();
    let mut job = ticker(&scratch);
    job.unset("pidfile");
    let output = job.program(["ticker", "-d"]).stdout("").status(1).run();
    assert!(output.stderr.contains("Daemon needs pidfile"), "{}", output.stderr);
}

#[test]
fn parent_reports_a_daemon_that_cannot_start() {
    let scratch = Scratch::new();
    for (key, path) in [("logfile", "/nowhere/x.log"), ("pidfile", "/nowhere/x.pid")] {
        let job = ticker(&scratch).set(key, path);
        let output = job.program(["ticker", "-d"]).stdout("").status(1).run();
        assert!(output.stderr.contains(path), "{}", output.stderr);
    }
}

#[test]
fn daemon_leaves_terminal_and_session_and_stays_in_its_directory() {
    let scratch = Scratch::new();
    let job = ticker(&scratch);
    job.start();
    let process = format!("/proc/{}", job.pid().unwrap());
    assert_eq!(fs::read_link(format!("{process}/cwd")).unwrap(), scratch.path());
    for fd in 0..3 {
        assert_eq!(fs::read_link(format!("{process}/fd/{fd}")).unwrap().to_str(), Some("/dev/null"));
    }
    let stat = fs::read_to_string(format!("{process}/stat")).unwrap();
    // After the name in parentheses: state, parent, process group, session.
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
    assert_ne!(session, std::os::unix::process::parent_id().to_string());
    assert_eq!(stat.rsplit(") ").next().unwrap().split(' ').nth(4), Some("0"), "it has a terminal");
}

#[test]
fn reload_reads_the_ini_file_again() {
    let r = Replication::new();
    r.install();
    let mut ticker = r.ticker;
    ticker.configure("ticker_log_delay", "3600");
    ticker.start();
    ticker.wait_for_log("{ticks: ");
    ticker.configure("ticker_log_delay", "0.1");
    ticker.log_contains("{ticks: ", || ticker.reload());
    assert!(ticker.is_running());
}

#[test]
fn jobs_are_stopped_however_broken_the_rest_of_their_files_is() {
    let mut r = Replication::new().up();
    r.ticker.unset("db");
    r.londiste.unset("provider_db");
    for job in [&mut r.ticker, &mut r.londiste] {
        job.configure("loop_delay", "soon");
        job.stop();
    }
}

#[test]
fn key_that_is_gone_at_a_reload_has_its_default_again() {
    let r = Replication::new();
    r.install();
    let mut ticker = r.ticker.set("ticker_log_delay", "0.05");
    ticker.start();
    ticker.log_contains("{ticks: ", || ticker.wait_for_log("{ticks: "));
    ticker.unset("ticker_log_delay");
    ticker.log_contains("{maint_duration: ", || ticker.reload());
    // The default is five minutes; maintenance is each second.
    let ((), log) = ticker.logged_during(|| {
        ticker.log_contains("{maint_duration: ", || ());
        ticker.log_contains("{maint_duration: ", || ());
    });
    assert!(!log.contains("{ticks: "), "{log}");
}

#[test]
fn stop_lets_the_batch_finish_and_kill_does_not_wait() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    // The batch cannot end while this lock is held.
    let locker = r.subscriber.session();
    locker.sql("begin; lock table t in access exclusive mode");
    r.provider.sql("insert into t values (1)");
    wait_until("replay waits for the lock", || {
        match r.subscriber.value("select count(*) from pg_locks where not granted").as_str() {
            "0" => Err("no lock is waited for"),
            _ => Ok(()),
        }
    });
    r.londiste.program(["-s"]).stdout("").stderr("").run();
    assert!(r.londiste.is_running(), "-s did not wait for the end of the batch");
    r.londiste.kill();
    locker.sql("rollback");
    assert_eq!(r.subscriber.value("select count(*) from t"), "0");
    r.londiste.start();
    r.assert_in_sync();
}

#[test]
fn stop_ends_an_idle_daemon_and_one_that_cannot_connect() {
    let r = Replication::new();
    r.install();
    r.start();
    r.londiste.stop();
    r.ticker.stop();
    let cluster = Cluster::builder().name("down").init();
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "db1-ticker", &cluster.conninfo("postgres"));
    job.start();
    job.wait_for_log("could not connect");
    job.stop();
}
