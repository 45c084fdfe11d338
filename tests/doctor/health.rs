//! `health`: one line and an exit status for health checks of services and containers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Cluster, Job, PortLock, Program, Replication, Shutdown, wait_until};

/// The line of a job with this exit status.
#[track_caller]
fn line(job: &Job, status: i32) -> String {
    let output = job.program(["health"]).stderr("").status(status).run();
    let word = ["good: ", "", "not good: ", "unknown: "][usize::try_from(status).unwrap()];
    assert!(output.stdout.starts_with(word) && output.stdout.lines().count() == 1, "{}", output.stdout);
    output.stdout
}

#[track_caller]
fn assert_line(job: &Job, status: i32, part: &str) {
    let line = line(job, status);
    assert!(line.contains(part), "no \"{part}\" in {line}");
}

/// Waits until the job is good again.
#[track_caller]
fn wait_until_good(job: &Job) {
    wait_until(&format!("{} is good", job.name()), || {
        let output = job.program(["health"]).output();
        if output.status == 0 { Ok(()) } else { Err(output.stdout) }
    });
}

#[track_caller]
fn signal(job: &Job, signal: Signal) {
    kill(Pid::from_raw(job.pid().unwrap()), signal).unwrap();
}

#[test]
fn pidfile_and_sessions_tell_whether_the_daemon_works() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    for (job, daemon) in [(&r.ticker, "ticker"), (&r.londiste, "replay")] {
        assert_line(job, 0, &format!("{}: {daemon} runs as process {}", job.name(), job.pid().unwrap()));
        signal(job, Signal::SIGSTOP);
        assert_line(job, 2, "is stopped by a signal");
        signal(job, Signal::SIGCONT);
        wait_until_good(job);
        job.kill9();
        assert_line(job, 2, "its pidfile names a process that is gone");
        job.start();
        wait_until_good(job);
        job.stop();
        assert_line(job, 2, &format!("{daemon} does not run"));
        job.start();
        wait_until_good(job);
    }
    // The process runs, and does nothing that succeeds.
    r.subscriber.sql("alter table t add constraint none check (id < 0)");
    r.provider.sql("insert into t values (1)");
    r.londiste.wait_for_log("crashed");
    assert_line(&r.londiste, 2, "no batch was applied since the error");
    r.subscriber.sql("alter table t drop constraint none");
    wait_until_good(&r.londiste);
}

#[test]
fn databases_that_are_away_are_not_good() {
    let provider = Cluster::builder().name("away").start();
    let r = Replication::between(&provider, Cluster::subscriber()).with_table("t", "id int primary key").up();
    wait_until_good(&r.ticker);
    wait_until_good(&r.londiste);
    provider.stop(Shutdown::Fast);
    assert_line(&r.ticker, 2, "connection: provider: ");
    assert_line(&r.londiste, 2, "connection: provider: ");
    provider.start();
    wait_until_good(&r.ticker);
    wait_until_good(&r.londiste);
}

#[test]
fn process_that_listens_is_asked_itself() {
    let mut r = Replication::new().with_table("t", "id int primary key").up();
    let port = PortLock::claim();
    r.londiste.stop();
    r.londiste.configure("http_listen", &format!("*:{}", port.number()));
    assert_line(&r.londiste, 2, "replay of ");
    assert_line(&r.londiste, 2, "does not run: nobody listens at http://0.0.0.0:");
    r.londiste.start();
    assert_line(&r.londiste, 0, "/health");
    signal(&r.londiste, Signal::SIGSTOP);
    assert_line(&r.londiste, 2, "does not answer within 5 s");
    signal(&r.londiste, Signal::SIGCONT);
    wait_until_good(&r.londiste);
    r.subscriber.sql("alter table londiste.subscriber_table rename to away");
    r.londiste.wait_for_log("crashed");
    assert_line(&r.londiste, 2, "subscriber_table");
    r.subscriber.sql("alter table londiste.away rename to subscriber_table");
    wait_until_good(&r.londiste);
    r.londiste.kill9();
    assert_line(&r.londiste, 2, "nobody listens");
}

#[test]
fn what_cannot_be_found_out_is_unknown() {
    let mut r = Replication::new();
    let port = PortLock::claim();
    let other = TcpListener::bind(("127.0.0.1", port.number())).unwrap();
    r.ticker.configure("http_listen", &port.number().to_string());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = other.accept().unwrap();
            // A request that was not read would reset the connection.
            assert!(client.read(&mut [0; 1000]).unwrap() > 0);
            client.write_all(b"SSH-2.0-other\r\n").unwrap();
        });
        assert_line(&r.ticker, 3, "the answer is not one of HTTP");
    });
    let missing = r.scratch().path().join("none.ini");
    let output = Program::new([missing.as_os_str(), "health".as_ref()]).stderr("").status(3).run();
    assert!(output.stdout.starts_with("unknown: ") && output.stdout.contains("none.ini"), "{}", output.stdout);
}
