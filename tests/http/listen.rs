//! Where a job listens, and what it says when it cannot.

use std::net::TcpListener;

use pretty_assertions::assert_eq;

use super::{Client, Ticking, claim, wait_for_status};
use crate::support::{Cluster, wait_until};

fn in_use(port: u16) -> String {
    format!(
        "could not listen on 127.0.0.1:{port} (http_listen): Address already in use (os error 98)\n\
         HINT: Another program listens there: end it, or set http_listen to another port. Each job needs a port of its own.\n"
    )
}

#[test]
fn port_in_use_is_an_error_at_the_start() {
    let ticking = Ticking::on(Cluster::provider());
    let port = ticking.http.port();
    let _other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let expected = format!("rlondiste: {}", in_use(port));
    for args in [["ticker"].as_slice(), &["ticker", "-d"]] {
        ticking.job.program(args).stdout("").stderr(expected.as_str()).status(1).run();
        assert!(!ticking.job.is_running());
    }
    // Commands that do not listen do not mind.
    ticking.job.run("status");
}

#[test]
fn value_that_is_no_address_is_an_error_of_the_file() {
    let ticking = Ticking::on(Cluster::provider());
    let mut job = ticking.job;
    for value in ["on", "localhost", "256.0.0.1:80", "127.0.0.1:0", ":80", "99999"] {
        job.configure("http_listen", value);
        let output = job.program(["ticker"]).output();
        assert_eq!(output.status, 1);
        let expected = format!("key \"http_listen\": \"{value}\" is not an address and a port; write for example 9187");
        assert!(output.stderr.contains(&expected) && output.stderr.lines().count() == 1, "{}", output.stderr);
    }
    job.configure("http_listen", "203.0.113.1:9187");
    let output = job.program(["ticker"]).output();
    assert_eq!(output.status, 1);
    assert!(output.stderr.contains("HINT: This machine has no such address"), "{}", output.stderr);
}

#[track_caller]
fn assert_refused(http: &Client) {
    wait_until("nobody listens", || match http.try_connect() {
        Err(_) => Ok(()),
        Ok(_) => Err("somebody does"),
    });
}

#[test]
fn address_is_read_again() {
    let Ticking { mut job, http, database: _database, scratch: _scratch } = Ticking::on(Cluster::provider());
    job.start();
    assert_eq!(http.get("/health").ok(), "ok\n");

    let other = Client::new();
    job.configure("http_listen", &format!("127.0.0.1:{}", other.port()));
    job.log_contains(&format!(" INFO Listening on http://127.0.0.1:{}\n", other.port()), || job.reload());
    assert_refused(&http);
    assert_eq!(other.get("/health").ok(), "ok\n");

    let taken = claim();
    let _listener = TcpListener::bind(("127.0.0.1", taken.number())).unwrap();
    job.configure("http_listen", &taken.number().to_string());
    let line = format!(" ERROR http_listen stays as it was: {}", in_use(taken.number()));
    job.log_contains(&line, || job.reload());
    assert_eq!(other.get("/health").ok(), "ok\n");

    job.unset("http_listen");
    job.log_contains(&format!(" INFO Not listening on http://127.0.0.1:{} any more\n", other.port()), || job.reload());
    assert_refused(&other);

    job.configure("http_listen", &http.port_text());
    job.reload();
    wait_until("it listens again", || http.try_connect());
    wait_for_status(&http, "/health", 200);
    job.stop();
    assert_refused(&http);
}
