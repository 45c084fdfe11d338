//! What a ticker tells.

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::open_metrics::Metrics;
use super::{Client, Ticking, wait_for_metrics, wait_for_status};
use crate::support::{Cluster, Job, Proxy, Scratch, Traffic, wait_until};

/// A queue with a name that has to be escaped.
const ODD: &str = "odd \"q\\";

/// A consumer that is dead since two hours, with five events that wait, and one that waits for its retry.
fn with_dead_consumer() -> Ticking {
    let ticking = Ticking::on(Cluster::provider());
    let db = &ticking.database;
    db.sql(&format!("select pgq.create_queue('{ODD}'); select pgq.register_consumer('{ODD}', 'dead')"));
    db.sql("select pgq.register_consumer('q', 'retrying')");
    db.sql("select pgq.insert_event('q', 'kind', 'data')");
    db.sql("select pgq.force_tick('q'); select pgq.ticker('q')");
    let batch = db.value("select pgq.next_batch('q', 'retrying')");
    db.sql(&format!(
        "select pgq.event_retry({batch}, ev_id, 3600) from pgq.get_batch_events({batch}); select pgq.finish_batch({batch})"
    ));
    db.sql(&format!(
        "update pgq.tick set tick_time = tick_time - interval '1 hour'
          from pgq.queue where queue_id = tick_queue and queue_name = '{ODD}';
         update pgq.subscription set sub_active = sub_active - interval '2 hours'
          from pgq.queue where queue_id = sub_queue and queue_name = '{ODD}'"
    ));
    db.sql(&format!("select pgq.insert_event('{ODD}', 'kind', i::text) from generate_series(1, 5) i"));
    ticking
}

/// The number that the database says.
#[track_caller]
fn number(ticking: &Ticking, sql: &str) -> f64 {
    ticking.database.value(sql).parse().unwrap()
}

#[test]
fn figures_are_those_of_the_database() {
    let ticking = with_dead_consumer();
    let queue = [("database", ticking.name()), ("queue", ODD)];
    let age = |column: &str| {
        let sql = format!(
            "select extract(epoch from clock_timestamp() - {column})::float8 from pgq.queue where queue_name = '{ODD}'"
        );
        number(&ticking, &sql)
    };
    let rotated = age("queue_switch_time");
    ticking.job.start();
    // The ticks of the dead consumer's queue are an hour old: the ticker makes one at once.
    let metrics = ticking.wait_for_metrics("the new events are in a tick", |metrics| {
        metrics.find("pgq_queue_events_new", &queue) == Some(0.0)
    });
    let sequence =
        format!("select pg_sequence_last_value(queue_event_seq::regclass) from pgq.queue where queue_name = '{ODD}'");
    assert_eq!(metrics.value("pgq_queue_events_total", &queue), number(&ticking, &sequence));
    let size = format!(
        "select sum(pg_total_relation_size(inhrelid)) from pg_inherits join pgq.queue on inhparent = queue_data_pfx::regclass
         where queue_name = '{ODD}'"
    );
    assert_eq!(metrics.value("pgq_queue_size_bytes", &queue), number(&ticking, &size));
    let told = metrics.value("pgq_queue_rotation_age_seconds", &queue);
    assert!(rotated <= told && told <= age("queue_switch_time"), "{rotated} {told}");
    assert_eq!(metrics.value("pgq_queue_rotation_period_seconds", &queue), 7200.0);
    assert!(metrics.value("pgq_queue_ticker_lag_seconds", &queue) < 3600.0);
    assert_eq!(metrics.value("pgq_database_up", &queue[..1]), 1.0);
    assert_eq!(metrics.count("pgq_queue_rotation_blocked_seconds"), 0);

    let dead = [queue[0], queue[1], ("consumer", "dead")];
    assert_eq!(metrics.value("pgq_consumer_pending_events", &dead), 5.0);
    let lag = metrics.value("pgq_consumer_lag_seconds", &dead);
    assert!((3600.0..7200.0).contains(&lag), "{lag}");
    assert!(metrics.value("pgq_consumer_last_seen_seconds", &dead) >= 7200.0);
    assert_eq!(metrics.value("pgq_consumer_retry_events", &dead), 0.0);
    let retrying = [queue[0], ("queue", "q"), ("consumer", "retrying")];
    assert_eq!(metrics.value("pgq_consumer_retry_events", &retrying), 1.0);
    assert_eq!(metrics.value("pgq_consumer_pending_events", &retrying), 0.0);
    let build = [("version", env!("CARGO_PKG_VERSION")), ("program", "ticker")];
    assert_eq!(metrics.value("rlondiste_build_info", &build), 1.0);
}

/// A queue in a cluster of its own: transactions of other tests would block rotation.
fn rotating() -> (Cluster, Ticking) {
    let cluster = Cluster::builder().name("alone").start();
    let ticking = Ticking::on(&cluster);
    ticking.database.sql("update pgq.queue set queue_rotation_period = '500 ms'");
    (cluster, ticking)
}

fn is_blocked(metrics: &Metrics, labels: &[(&str, &str)]) -> bool {
    metrics.find("pgq_queue_rotation_blocked_seconds", labels).is_some_and(|seconds| seconds > 0.0)
        && metrics.find("pgq_queue_rotation_blocker_age_seconds", labels).is_some_and(|seconds| seconds > 0.0)
}

#[test]
fn session_that_blocks_rotation_is_named_with_its_pid() {
    let (_cluster, ticking) = rotating();
    let writer = ticking.database.session();
    writer.sql("set application_name = 'sleeper'; begin; select pgq.insert_event('q', 'kind', 'data')");
    let pid = writer.backend_pid().to_string();
    ticking.job.start();
    let labels =
        [("database", ticking.name()), ("queue", "q"), ("kind", "session"), ("blocker", "sleeper"), ("pid", &pid)];
    ticking.wait_for_metrics("the session is named", |metrics| is_blocked(metrics, &labels));
    let document: Value = serde_json::from_str(&ticking.http.get("/status.json").ok()).unwrap();
    let blocked = &document["queues"][0]["rotation_blocked"];
    let blocker = &blocked["blockers"][0];
    assert!(blocked["late"].as_f64() > Some(0.0) && blocker["age"].as_f64() > Some(0.0), "{document}");
    assert_eq!(
        (&blocker["kind"], &blocker["name"], blocker["pid"].to_string()),
        (&Value::from("session"), &Value::from("sleeper"), pid.clone())
    );
    writer.sql("commit");
    ticking.wait_for_metrics("nothing is blocked", |metrics| metrics.count("pgq_queue_rotation_blocked_seconds") == 0);
}

#[test]
fn session_with_several_locks_on_the_next_table_is_named_once() {
    let (_cluster, ticking) = rotating();
    let holder = ticking.database.session();
    holder.sql("set application_name = 'holder'; begin");
    for mode in ["access share", "row share", "row exclusive"] {
        holder.sql(&format!("lock table pgq.event_1_0, pgq.event_1_1, pgq.event_1_2 in {mode} mode"));
    }
    let pid = holder.backend_pid().to_string();
    ticking.job.start();
    let labels =
        [("database", ticking.name()), ("queue", "q"), ("kind", "session"), ("blocker", "holder"), ("pid", &pid)];
    ticking.wait_for_metrics("the session is named", |metrics| is_blocked(metrics, &labels));
    holder.sql("commit");
}

#[test]
fn consumer_that_blocks_rotation_is_named() {
    let (_cluster, ticking) = rotating();
    ticking.job.run("register q late");
    ticking.job.start();
    let labels = [("database", ticking.name()), ("queue", "q"), ("kind", "consumer"), ("blocker", "late"), ("pid", "")];
    ticking.wait_for_metrics("the consumer is named", |metrics| is_blocked(metrics, &labels));
}

#[test]
fn role_that_may_not_read_the_retry_queue_gets_all_other_figures() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.database.sql("select pgq.register_consumer('q', 'c')");
    let role = format!("plain_{}", ticking.name());
    ticking.database.sql(&format!("create role {role} login"));
    ticking.job.run(&format!("grant {role} admin"));
    ticking.database.sql(&format!("revoke all on pgq.retry_queue from {role}"));
    let Ticking { job, http, database, scratch: _scratch } = ticking;
    let job = job.set("db", &database.conninfo_as(&role));
    job.start();
    let metrics = Metrics::parse(&http.get("/metrics").ok());
    assert_eq!(metrics.count("pgq_consumer_lag_seconds"), 1);
    assert_eq!(metrics.count("pgq_queue_events_total"), 1);
    let may = database.value(&format!("select has_table_privilege('{role}', 'pgq.retry_queue', 'select')"));
    assert_eq!(metrics.count("pgq_consumer_retry_events"), usize::from(may == "t"));
    job.kill();
    database.sql(&format!("drop owned by {role}; drop role {role}"));
}

/// The document without what changes from moment to moment.
fn steady(text: &str) -> Value {
    fn strip(value: &mut Value) {
        if let Value::Object(map) = value {
            map.retain(|key, _| !matches!(key.as_str(), "ticker_lag" | "rotation_age" | "lag" | "last_seen"));
        }
        match value {
            Value::Object(map) => map.values_mut().for_each(strip),
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(text).unwrap();
    strip(&mut value);
    value
}

#[test]
fn status_is_that_of_the_command() {
    let ticking = with_dead_consumer();
    ticking.job.start();
    let answer = ticking.http.get("/status.json");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(steady(&answer.ok()), steady(&ticking.job.run("status --json").stdout));
}

#[test]
fn ticker_is_ready_when_the_newest_ticks_are_young() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    wait_for_status(&ticking.http, "/ready?lag=1h", 200);
    ticking.database.sql("update pgq.queue set queue_ticker_max_lag = '9 hours', queue_ticker_idle_period = '9 hours'");
    // A tick that was due before may still be made.
    wait_until("the newest tick is old", || {
        ticking.database.sql("update pgq.tick set tick_time = now() - interval '1 hour'");
        let answer = ticking.http.get("/ready?lag=30s");
        if answer.status == 503 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    let line = wait_for_status(&ticking.http, "/ready?lag=30s", 503);
    let expected = format!("the ticker of queue q in database {} is 36", ticking.name());
    assert!(line.starts_with(&expected) && line.ends_with(" s behind, more than 30 s\n"), "{line}");
    assert_eq!(ticking.http.get("/ready?lag=2h").ok(), "ok\n");
    assert_eq!(ticking.http.get("/ready").ok(), "ok\n");
    ticking.database.sql("update pgq.queue set queue_ticker_paused = true");
    wait_for_status(&ticking.http, "/ready?lag=30s", 200);
}

#[test]
fn schema_of_pgq_2_has_the_figures_that_it_knows() {
    let (database, scratch, http) = (Cluster::provider().database(), Scratch::new(), Client::new());
    database.sql(include_str!("../sql/pgq_2.sql"));
    database.sql(include_str!("../sql/pgq_2_functions.sql"));
    let queues = database.column("select queue_name from pgq.queue order by 1");
    let job = Job::ticker(scratch.path(), "db1-ticker", database.conninfo()).set("http_listen", &http.port_text());
    job.start();
    let metrics = wait_for_metrics(&http, "the queues are read", |metrics| metrics.count("pgq_database_up") == 1);
    assert!(!queues.is_empty());
    for name in ["pgq_queue_size_bytes", "pgq_queue_events_total", "pgq_queue_rotation_age_seconds"] {
        assert_eq!(metrics.count(name), queues.len(), "{name}: {metrics}");
    }
    let consumers: usize = database.value("select count(*) from pgq.subscription").parse().unwrap();
    assert_eq!(metrics.count("pgq_consumer_last_seen_seconds"), consumers);
}

#[test]
fn table_that_is_locked_makes_the_answer_fail_and_nothing_else() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    wait_for_status(&ticking.http, "/metrics", 200);
    let holder = ticking.database.session();
    holder.sql("begin; lock table pgq.consumer in access exclusive mode");
    let line = wait_for_status(&ticking.http, "/metrics", 503);
    assert!(line.ends_with(": canceling statement due to lock timeout (55P03)\n"), "{line}");
    assert_eq!(ticking.http.get("/health").ok(), "ok\n");
    let newest = || ticking.database.value("select max(tick_id) from pgq.tick");
    let before = newest();
    wait_until("the ticker ticks", || if newest() == before { Err("no tick") } else { Ok(()) });
    holder.sql("commit");
    wait_for_status(&ticking.http, "/metrics", 200);
}

#[test]
fn server_that_does_not_answer_is_given_up() {
    let cluster = Cluster::builder().name("far").tcp().start();
    let proxy = Proxy::to_cluster(&cluster);
    let ticking = Ticking::on(&cluster);
    let conninfo = proxy.conninfo(ticking.name());
    let Ticking { job, http, database: _database, scratch: _scratch } = ticking;
    let job = job.set("db", &conninfo);
    job.start();
    wait_for_status(&http, "/metrics", 200);
    proxy.set_traffic(Traffic::Stall);
    let line = wait_for_status(&http, "/metrics", 503);
    assert_eq!(line, "the database did not answer within 5 s\n");
    let page = http.get("/").ok();
    assert!(page.contains("<p>the database did not answer within 5 s</p>"), "{page}");
    assert_eq!(http.get("/nowhere").status, 404);
    proxy.set_traffic(Traffic::Forward);
    wait_for_status(&http, "/metrics", 200);
}
