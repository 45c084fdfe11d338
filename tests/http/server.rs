//! What a ticker of a whole server tells.

use std::fs;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{Client, Ticking, wait_for_metrics};
use crate::support::{Cluster, Job, Scratch};

#[test]
fn databases_of_a_server_are_told_apart_and_one_that_does_not_answer_is_left_out() {
    let cluster = Cluster::builder().name("many").start();
    let (first, second) = (Ticking::on(&cluster), Ticking::on(&cluster));
    let (scratch, http) = (Scratch::new(), Client::new());
    let job = Job::ticker(scratch.path(), "all", "");
    let base = cluster.conninfo("");
    let base = base.trim_end_matches("dbname=");
    fs::write(
        job.ini(),
        format!(
            "[pgqd]\njob_name = all\nlogfile = all.log\npidfile = all.pid\nbase_connstr = {base}\ncheck_period = 600\n\
             ticker_period = 0.05\nhttp_listen = {}\n",
            http.port()
        ),
    )
    .unwrap();
    job.start();
    let names = [first.name(), second.name()];
    let queue = |name| [("database", name), ("queue", "q")];
    wait_for_metrics(&http, "both databases are served", |metrics| {
        names.iter().all(|name| metrics.find("pgq_queue_events_total", &queue(name)) == Some(0.0))
    });
    let document: Value = serde_json::from_str(&http.get("/status.json").ok()).unwrap();
    for name in names {
        assert_eq!(document["databases"][name]["queues"][0]["name"], "q", "{document}");
    }

    cluster.sql(&format!(
        "alter database {} allow_connections false;
         select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'",
        names[0], names[0]
    ));
    let metrics = wait_for_metrics(&http, "the closed database is down", |metrics| {
        metrics.find("pgq_database_up", &[("database", names[0])]) == Some(0.0)
    });
    assert_eq!(metrics.find("pgq_queue_events_total", &queue(names[0])), None);
    assert_eq!(metrics.find("pgq_queue_events_total", &queue(names[1])), Some(0.0));
    assert_eq!(metrics.value("pgq_database_up", &[("database", names[1])]), 1.0);
    // Its ticker fails, which the health of the whole program shows.
    let line = super::wait_for_status(&http, "/health", 503);
    assert!(line.contains(names[0]), "{line}");
    cluster.sql(&format!("alter database {} allow_connections true", names[0]));
    super::wait_for_status(&http, "/health", 200);
    job.kill();
}
