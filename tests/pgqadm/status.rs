//! `status`: fixed columns, as scripts cut them.

use pretty_assertions::assert_eq;

use super::Setup;

#[test]
fn status_without_queues_is_two_empty_boxes() {
    let setup = Setup::installed();
    let server = setup.database.value("show server_version");
    setup
        .job
        .program(["status"])
        .stdout(format!(
            "Postgres version: {server}   PgQ version: 3.5

Event queue                                    Rotation        Ticker   TLag
------------------------------------------------------------------------------
------------------------------------------------------------------------------

Consumer                                                       Lag  LastSeen
------------------------------------------------------------------------------
------------------------------------------------------------------------------
"
        ))
        .stderr("")
        .run();
}

#[test]
fn status_shows_queues_and_consumers_to_the_byte() {
    let setup = Setup::installed();
    setup.database.sql(
        "select pgq.create_queue('q2');
         select pgq.create_queue('q1');
         select pgq.register_consumer('q1', 'cons2');
         select pgq.register_consumer('q1', 'c1');
         update pgq.queue set queue_rotation_period = '1 hour', queue_ticker_max_count = 300, queue_ticker_max_lag = '10 s'
         where queue_name = 'q1';
         update pgq.tick set tick_time = now() - interval '2000.2 s';
         update pgq.subscription set sub_active = now() - interval '100.1 s';
         delete from pgq.tick where tick_queue = (select queue_id from pgq.queue where queue_name = 'q2')",
    );
    let server = setup.database.value("show server_version");
    // Seconds pass while the program starts, so the last digit of an age is not compared.
    let status = setup.job.program(["status"]).stderr("").run().stdout;
    let status = status.replace("2001s", "2000s").replace("101s", "100s");
    assert_eq!(
        status,
        format!(
            "Postgres version: {server}   PgQ version: 3.5

Event queue                                    Rotation        Ticker   TLag
------------------------------------------------------------------------------
q1                                              3/3600s   300/10s/60s  2000s
q2                                              3/7200s    500/3s/60s   NULL
------------------------------------------------------------------------------

Consumer                                                       Lag  LastSeen
------------------------------------------------------------------------------
q1:
  c1                                                         2000s      100s
  cons2                                                      2000s      100s
q2:
------------------------------------------------------------------------------
"
        )
    );
}

#[test]
fn status_as_json_has_the_same_facts() {
    let setup = Setup::installed();
    setup.database.sql("select pgq.create_queue('q1'); select pgq.register_consumer('q1', 'c1')");
    let status = setup.job.run("status --json").stdout;
    let mut status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let queue = &mut status["queues"][0];
    for lag in
        [queue["ticker_lag"].take(), queue["consumers"][0]["lag"].take(), queue["consumers"][0]["last_seen"].take()]
    {
        assert!(lag.as_f64().is_some_and(|lag| (0.0..60.0).contains(&lag)), "{lag}");
    }
    let age = queue["rotation_age"].take();
    assert!(age.as_f64().is_some_and(|age| (0.0..600.0).contains(&age)), "{age}");
    let size: i64 = setup
        .database
        .value(
            "select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'pgq.event_1'::regclass",
        )
        .parse()
        .unwrap();
    assert_eq!(
        status,
        serde_json::json!({
            "schema_version": 1,
            "postgres_version": setup.database.value("show server_version"),
            "pgq_version": "3.5",
            "queues": [{
                "name": "q1", "ntables": 3, "rotation_period": 7200.0, "ticker_max_count": 500, "ticker_max_lag": 3.0,
                "ticker_idle_period": 60.0, "ticker_lag": null,
                "size_bytes": size, "rotation_age": null, "rotation_blocked": null,
                "consumers": [{"name": "c1", "lag": null, "last_seen": null}]
            }]
        })
    );
}
