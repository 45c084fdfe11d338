//! What clients can do to the server: nothing that others notice for long.

use std::io::{Read, Write};

use pretty_assertions::assert_eq;

use super::{Ticking, wait_for_status};
use crate::support::Cluster;

/// Connections that are served at once.
const MOST: usize = 32;

#[test]
fn too_many_connections_are_told_so_and_the_server_goes_on() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    let clients: Vec<_> = (0..3 * MOST).map(|_| ticking.http.connect()).collect();
    // Those that send nothing are cut off, while their clients still hold them.
    wait_for_status(&ticking.http, "/health", 200);
    let mut refused = 0;
    for mut client in clients {
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        if answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ntoo many connections; wait\n") {
            refused += 1;
        } else {
            assert_eq!(answer, "");
        }
    }
    assert!((1..=2 * MOST).contains(&refused), "{refused} of {} are refused", 3 * MOST);
    let before = ticking.database.value("select max(tick_id) from pgq.tick");
    ticking.wait_for_metrics("the ticker ticks", |_| {
        ticking.database.value("select max(tick_id) from pgq.tick") != before
    });
}

#[test]
fn slow_client_is_cut_off_and_holds_up_nobody() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    let mut slow = ticking.http.connect();
    slow.write_all(b"GET /health HTTP/1.1\r\nx-slow: ").unwrap();
    assert_eq!(ticking.http.get("/health").ok(), "ok\n");
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{rest}");
    assert_eq!(ticking.http.get("/health").ok(), "ok\n");
}

#[test]
fn huge_head_is_refused() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    let long = "x".repeat(10_000);
    let many = "x-many: y\r\n".repeat(100);
    for (what, request) in [
        ("a long header", format!("GET /health HTTP/1.1\r\nx-long: {long}\r\n\r\n")),
        ("many headers", format!("GET /health HTTP/1.1\r\n{many}\r\n")),
        ("a long path", format!("GET /{long} HTTP/1.1\r\n\r\n")),
    ] {
        let status = ticking.http.send(&request).status;
        assert!(matches!(status, 431 | 414), "{what}: {status}");
    }
    // Endless: the server stops reading.
    let mut endless = ticking.http.connect();
    let _ = endless.write_all(b"GET /health HTTP/1.1\r\nx: ");
    while endless.write_all(long.as_bytes()).is_ok() {}
    assert_eq!(ticking.http.get("/health").ok(), "ok\n");
}

#[test]
fn garbage_is_refused() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    for garbage in
        ["\r\n\r\n\r\nhello\r\n\r\n", "GET\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n"]
    {
        let mut client = ticking.http.connect();
        client.write_all(garbage.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{garbage:?}: {answer}");
    }
    // Sent after the first request, a second one is not answered: each connection is for one.
    let twice = "GET /health HTTP/1.1\r\nhost: here\r\n\r\n".repeat(2);
    assert_eq!(ticking.http.send(&twice).ok(), "ok\n");
}
