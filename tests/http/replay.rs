//! What a replay tells.

use std::time::SystemTime;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::open_metrics::Metrics;
use super::{Client, wait_for_metrics, wait_for_status};
use crate::support::{Cluster, QUEUE, Replication, Shutdown, wait_until};

/// A table `t` on both sides, installed and not started; replay listens.
fn listening(r: Replication) -> (Replication, Client) {
    let http = Client::new();
    let mut r = r.with_table("t", "id int primary key, v text");
    r.londiste.configure("http_listen", &http.port_text());
    r.install();
    (r, http)
}

fn rows(op: &str, metrics: &Metrics) -> f64 {
    metrics.value("londiste_apply_rows_total", &[("op", op)])
}

#[test]
fn changes_are_counted_by_what_they_do() {
    let (r, http) = listening(Replication::new());
    let r = r.up();
    r.provider.sql("insert into t select i, 'x' from generate_series(1, 30) i");
    r.provider.sql("update t set v = 'y' where id <= 20");
    r.provider.sql("delete from t where id <= 10");
    r.replay_until_in_sync();
    r.provider.sql("truncate t");
    r.assert_in_sync();
    let reader = [("queue", QUEUE), ("consumer", "db1-londiste")];
    let metrics = wait_for_metrics(&http, "all changes are counted", |metrics| rows("truncate", metrics) > 0.0);
    assert_eq!(["insert", "update", "delete", "truncate"].map(|op| rows(op, &metrics)), [30.0, 20.0, 10.0, 1.0]);
    assert!(metrics.value("londiste_apply_batches_total", &[]) >= 2.0);
    assert!(metrics.value("londiste_apply_seconds_total", &[]) > 0.0);
    assert_eq!(metrics.value("londiste_apply_missing_rows_total", &[]), 0.0);
    assert_eq!(metrics.value("londiste_table_state", &[("table", "public.t"), ("state", "ok")]), 1.0);
    assert_eq!(metrics.count("londiste_table_state"), 1);
    assert_eq!(metrics.count("londiste_copy_rows_total"), 0);
    assert_eq!(metrics.value("londiste_pending_events", &reader), 0.0);
    assert!(metrics.value("londiste_lag_seconds", &reader) < 600.0);
    let build = [("version", env!("CARGO_PKG_VERSION")), ("program", "replay")];
    assert_eq!(metrics.value("rlondiste_build_info", &build), 1.0);

    r.provider.sql("insert into t values (1, 'x')");
    r.replay_until_in_sync();
    r.subscriber.sql("delete from t");
    r.provider.sql("update t set v = 'y'");
    r.replay_until_in_sync();
    wait_for_metrics(&http, "the missing row is counted", |metrics| {
        metrics.find("londiste_apply_missing_rows_total", &[]) == Some(1.0)
    });
}

#[test]
fn running_copy_is_shown_until_it_is_over() {
    let (mut r, http) = listening(Replication::new());
    r.provider.sql("insert into t select i, repeat('x', 1000) from generate_series(1, 5000) i; analyze t");
    r.londiste.configure("copy_rate_limit", "100kB");
    r.start();
    r.add("t");
    let table = [("table", "public.t")];
    if r.subscriber.major() >= 14 {
        let metrics = wait_for_metrics(&http, "rows are copied", |metrics| {
            metrics.find("londiste_copy_rows_total", &table).is_some_and(|rows| rows > 0.0)
        });
        assert!(metrics.value("londiste_copy_rows_total", &table) < 5000.0);
        assert_eq!(metrics.value("londiste_copy_expected_rows", &table), 5000.0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let start = metrics.value("londiste_copy_start_timestamp_seconds", &table);
        assert!((now - 600.0..=now + 1.0).contains(&start), "{start} {now}");
    }
    let state = [table[0], ("state", "in-copy")];
    wait_for_metrics(&http, "the table is copied", |metrics| metrics.find("londiste_table_state", &state) == Some(1.0));
    assert_eq!(http.get("/ready").status, 503);
    let line = wait_for_status(&http, "/ready", 503);
    assert_eq!(line, "1 of 1 tables are not ok: public.t is in-copy\n");
    r.londiste.configure("copy_rate_limit", "0");
    r.londiste.reload();
    let state = [table[0], ("state", "ok")];
    let metrics =
        wait_for_metrics(&http, "the table is ok", |metrics| metrics.find("londiste_table_state", &state) == Some(1.0));
    assert_eq!(metrics.count("londiste_copy_rows_total"), 0);
    wait_for_status(&http, "/ready?lag=1h", 200);
}

#[test]
fn parked_table_is_shown_and_not_ready() {
    let (r, http) = listening(Replication::new());
    let r = r.up();
    r.subscriber.sql("alter table t drop column v");
    r.provider.sql("insert into t values (1, 'x')");
    let table = [("table", "public.t")];
    wait_for_metrics(&http, "the table is parked", |metrics| {
        metrics.find("londiste_table_parked", &table) == Some(1.0)
    });
    assert_eq!(wait_for_status(&http, "/ready", 503), "1 of 1 tables are not ok: public.t is parked\n");
    assert_eq!(http.get("/health").ok(), "ok\n");
}

#[test]
fn lag_of_the_subscriber_makes_it_not_ready() {
    let (r, http) = listening(Replication::new());
    let r = r.up();
    wait_for_status(&http, "/ready?lag=1h", 200);
    r.ticker.stop();
    r.provider.sql("update pgq.tick set tick_time = tick_time - interval '1 hour'");
    let line = wait_for_status(&http, "/ready?lag=30s", 503);
    assert!(line.starts_with("the subscriber is 36") && line.ends_with(" s behind, more than 30 s\n"), "{line}");
    assert_eq!(http.get("/ready?lag=2h").ok(), "ok\n");
    let labels = [("queue", QUEUE), ("consumer", "db1-londiste")];
    let metrics = Metrics::parse(&http.get("/metrics").ok());
    let lag = metrics.value("londiste_lag_seconds", &labels);
    assert!((3600.0..7200.0).contains(&lag), "{lag}");
}

#[test]
fn status_is_that_of_the_command() {
    let (r, http) = listening(Replication::new());
    let r = r.up();
    r.ticker.stop();
    r.provider.sql("insert into t values (1, 'x')");
    let read = |text: &str| -> Value {
        let mut document: Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["schema_version"], 1);
        for key in ["lag_seconds", "last_seen_seconds", "ticker_lag_seconds"] {
            assert!(document["position"][key].take().is_f64(), "{text}");
        }
        for key in ["lag_seconds", "last_seen_seconds"] {
            assert!(document["consumers"][0][key].take().is_f64(), "{text}");
        }
        document
    };
    // The batch of the last tick may still be open.
    wait_until("both tell the same", || {
        let answer = read(&http.get("/status.json").ok());
        let command = read(&r.londiste.run("subscriber status --json").stdout);
        if answer == command { Ok(()) } else { Err(format!("{answer}\n{command}")) }
    });
}

#[test]
fn health_follows_the_rounds_of_replay() {
    let cluster = Cluster::builder().name("subscriber").start();
    let (r, http) = listening(Replication::between(Cluster::provider(), &cluster));
    let r = r.up();
    assert_eq!(http.get("/health").ok(), "ok\n");
    cluster.stop(Shutdown::Immediate);
    // Replay notices when it has something to do.
    r.provider.sql("insert into t values (1, 'x')");
    let line = wait_for_status(&http, "/health", 503);
    assert!(line.contains(" subscriber (") && line.matches('\n').count() == 1, "{line}");
    for path in ["/metrics", "/status.json", "/ready", "/ready?lag=1h"] {
        let line = wait_for_status(&http, path, 503);
        assert!(line.contains(" subscriber (") && line.matches('\n').count() == 1, "{path}: {line}");
    }
    cluster.start();
    wait_for_status(&http, "/health", 200);
    for path in ["/metrics", "/status.json", "/ready"] {
        wait_for_status(&http, path, 200);
    }
    r.assert_in_sync();
}
