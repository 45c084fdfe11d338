//! The estimate of the time that a subscriber needs.

use super::{Client, wait_for_metrics};
use crate::support::{QUEUE, Replication, wait_until};

const ESTIMATE: &str = "londiste_estimated_seconds_to_catch_up";
const READER: [(&str, &str); 2] = [("queue", QUEUE), ("consumer", "db1-londiste")];

#[test]
fn estimate_is_told_while_a_stopped_subscriber_catches_up_and_is_0_before_and_after() {
    let http = Client::new();
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.londiste.configure("http_listen", &http.port_text());
    r.londiste.configure("batch_max_events", "50");
    let r = r.up();
    r.replay_until_in_sync();
    wait_for_metrics(&http, "the subscriber is up to date", |metrics| metrics.find(ESTIMATE, &READER) == Some(0.0));

    // Each row takes at least 20 ms, each batch a second, all of them most of a minute.
    r.subscriber.sql(
        "create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.02); return new; end';
         create trigger slowly before insert on t for each row execute procedure slowly();
         alter table t enable always trigger slowly",
    );
    r.londiste.stop();
    r.ticker.stop();
    for batch in 0..40 {
        r.provider.sql(&format!("insert into t select i, 'x' from generate_series({0}, {0} + 49) i", 50 * batch));
        r.provider.sql(&format!("select pgq.ticker('{QUEUE}')"));
        r.provider.sql(&format!("select pgq.force_tick('{QUEUE}'), pgq.ticker('{QUEUE}')"));
    }
    r.londiste.start();
    let mut told = Vec::new();
    wait_until("the subscriber has all rows and says so", || {
        let answer = http.get("/metrics");
        let metrics = super::open_metrics::Metrics::parse(&answer.body);
        let estimate = metrics.find(ESTIMATE, &READER);
        let waiting = metrics.find("londiste_pending_events", &READER);
        told.push((std::time::Instant::now(), estimate, waiting));
        if estimate == Some(0.0) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let end = told[told.len() - 1].0;
    // The first answer comes before the first batch.
    assert_eq!(told[0].1, None, "{told:?}");
    let estimates: Vec<(f64, f64)> = told
        .iter()
        .filter_map(|(at, estimate, _)| Some(((end - *at).as_secs_f64(), estimate.filter(|seconds| *seconds > 0.0)?)))
        .collect();
    println!("seconds that were left, and what was told: {estimates:.1?}");
    let (first, last) = (estimates[0].1, estimates[estimates.len() - 1].1);
    assert!(first > 3.0 * last && first > 10.0, "{estimates:?}");
    r.ticker.start();
    r.assert_in_sync();
}
