//! The paths, for any program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pretty_assertions::assert_eq;

use super::open_metrics::Metrics;
use super::{Client, Ticking};
use crate::support::{Cluster, Replication};

#[test]
fn head_is_the_head_of_get() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("/health", "text/plain; charset=utf-8"),
        ("/ready", "text/plain; charset=utf-8"),
        ("/status.json", "application/json"),
    ] {
        let (get, head) = (ticking.http.get(path), ticking.http.request("HEAD", path));
        assert_eq!((get.status, head.status), (200, 200), "{path}: {get:?} {head:?}");
        assert_eq!((get.header("content-type"), head.header("content-type")), (Some(kind), Some(kind)), "{path}");
        assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        assert!(head.header("content-length").is_some() && head.body.is_empty(), "{path}: {head:?}");
        assert_eq!(get.header("cache-control"), Some("no-store"), "{path}");
    }
}

/// The older format is that of clients which do not say what they want.
#[test]
fn older_format_has_the_same_values() {
    let (http, mut r) = (Client::new(), Replication::new().with_table("t", "id int primary key"));
    r.londiste.configure("http_listen", &http.port_text());
    let r = r.up();
    r.ticker.stop();
    let older = http.send("GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n");
    assert_eq!(older.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = older.ok();
    let newer = http.get("/metrics").ok();
    let names = |text: &str| -> Vec<String> {
        let values = text.lines().filter(|line| !line.starts_with('#'));
        values.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    assert_eq!(names(&text), names(&newer));
    assert!(!text.contains("# EOF"), "{text}");
    let mut type_of = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            type_of.insert(name, kind);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let expected = if name.ends_with("_total") { "counter" } else { "gauge" };
            assert_eq!(type_of.get(name), Some(&expected), "{line}");
        }
    }
}

#[test]
fn only_questions_are_answered() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"] {
        for path in ["/", "/metrics", "/health", "/nowhere"] {
            let path = if method == "CONNECT" { "here:80" } else { path };
            let answer = ticking.http.request(method, path);
            assert_eq!((answer.status, answer.header("allow")), (405, Some("get, head")), "{method} {path}");
            assert_eq!(answer.body, "only GET and HEAD are answered\n");
        }
    }
    let body = "GET /health HTTP/1.1\r\nhost: here\r\ncontent-length: 3\r\n\r\nabc";
    assert_eq!(ticking.http.send(body).status, 413);
    let chunks = "GET /health HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(ticking.http.send(chunks).status, 413);
    for path in ["//", "/index.html", "/metrics/", "/../etc/passwd", "/status"] {
        assert_eq!(ticking.http.get(path).status, 404, "{path}");
    }
    for query in ["lag=soon", "lag=-1s", "since=1"] {
        assert_eq!(ticking.http.get(&format!("/ready?{query}")).status, 400, "{query}");
    }
    for query in ["span=1d", "span=", "lag=1s", "span=1h&span=6h"] {
        assert_eq!(ticking.http.get(&format!("/?{query}")).status, 400, "{query}");
    }
    assert_eq!(ticking.http.get("/health").ok(), "ok\n");
}

/// The metrics that `docs/metrics.md` names, with their types.
fn documented() -> BTreeMap<String, String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let (_, rest) = text.split_once("<!-- metrics: ").unwrap();
    let (table, _) = rest.split_once("<!-- end of metrics -->").unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Some((cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?.to_owned(), (*cells.get(3)?).to_owned()))
    };
    table.lines().filter_map(row).collect()
}

#[test]
fn documents_have_the_metrics_that_are_served() {
    let (ticker, replay) = (Client::new(), Client::new());
    let mut r = Replication::new().with_table("t", "id int primary key");
    r.ticker.configure("http_listen", &ticker.port_text());
    r.londiste.configure("http_listen", &replay.port_text());
    let _r = r.up();
    let mut served = BTreeMap::new();
    for http in [&ticker, &replay] {
        for (family, kind) in Metrics::parse(&http.get("/metrics").ok()).families {
            let suffix = match kind.as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            served.insert(format!("{family}{suffix}"), kind);
        }
    }
    assert_eq!(served, documented());
    let names: BTreeSet<&String> = served.keys().collect();
    assert!(names.len() > 20, "{names:?}");
}
