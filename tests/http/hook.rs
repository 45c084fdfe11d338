//! `on_event`: the command is run once when something begins, and once when it is over.

use std::fs;

use serde_json::Value;

use super::Ticking;
use crate::support::{Cluster, Job, Replication, Shutdown, wait_until};

/// A command that appends its input to a file.
fn tell(job: &mut Job, dir: &std::path::Path) -> std::path::PathBuf {
    let file = dir.join(format!("{}.told", job.name()));
    job.configure("on_event", &format!("cat >> {}", file.display()));
    file
}

/// Waits for so many documents, and gives each as event, state and object.
#[track_caller]
fn wait_for(file: &std::path::Path, count: usize) -> Vec<(Value, String)> {
    let mut told = Vec::new();
    wait_until(&format!("{count} events are told"), || {
        let text = fs::read_to_string(file).unwrap_or_default();
        told = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
        if told.len() >= count { Ok(()) } else { Err(text) }
    });
    assert_eq!(told.len(), count, "{told:?}");
    let word = |json: &Value, field: &str| json[field].as_str().unwrap().to_owned();
    told.into_iter()
        .map(|json| (json.clone(), [word(&json, "event"), word(&json, "state"), word(&json, "object")].join(" ")))
        .collect()
}

#[test]
fn replay_tells_of_parked_tables_failures_and_lag() {
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    let scratch = r.scratch().path().to_owned();
    let file = tell(&mut r.londiste, &scratch);
    r.londiste.configure("lag_warn", "3");
    let r = r.up();
    r.provider.sql("insert into t values (1, 'x')");
    r.assert_in_sync();
    r.subscriber.sql("alter table t drop column v");
    r.provider.sql("insert into t values (2, 'x')");
    let told = wait_for(&file, 1);
    assert_eq!(told[0].1, "table-parked begun public.t");
    assert_eq!((&told[0].0["job"], &told[0].0["program"]), (&"db1-londiste".into(), &"replay".into()));
    assert!(told[0].0["fact"].as_str().unwrap().contains("column \"v\" does not exist"), "{told:?}");
    r.subscriber.sql("alter table t add column v text; update t set v = 'x'");
    r.wait_until_ok();
    assert_eq!(wait_for(&file, 2)[1].1, "table-parked over public.t");
    // The ticker is away, and events wait.
    r.ticker.stop();
    r.provider.sql("insert into t values (3, 'x')");
    assert_eq!(wait_for(&file, 3)[2].1, "lag begun db1-londiste");
    r.ticker.start();
    assert_eq!(wait_for(&file, 4)[3].1, "lag over db1-londiste");
    // An error that comes again.
    r.subscriber.sql("alter table t add constraint short check (length(v) < 3)");
    r.provider.sql("insert into t values (4, 'long')");
    wait_until("the failure is told", || {
        let text = fs::read_to_string(&file).unwrap();
        let is_told =
            text.lines().any(|line| line.contains("\"failed\"") && line.contains("23514") && line.contains("begun"));
        if is_told { Ok(()) } else { Err(text) }
    });
}

#[test]
fn command_that_fails_is_logged_and_another_one_is_read_again() {
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.londiste.configure("on_event", "exit 3");
    let mut r = r.up();
    r.subscriber.sql("alter table t drop column v");
    r.provider.sql("insert into t values (2, 'x')");
    r.londiste.wait_for_log("on_event: the command failed for table-parked: exit status: 3");
    let scratch = r.scratch().path().to_owned();
    let file = tell(&mut r.londiste, &scratch);
    r.londiste.reload();
    r.subscriber.sql("alter table t add column v text");
    assert_eq!(wait_for(&file, 1)[0].1, "table-parked over public.t");
}

#[test]
fn ticker_tells_of_a_blocked_rotation_and_of_a_server_that_is_away() {
    let cluster = Cluster::builder().name("away").start();
    let mut t = Ticking::on(&cluster);
    let scratch = t.scratch.path().to_owned();
    let file = tell(&mut t.job, &scratch);
    t.job.configure("maint_delay", "1");
    t.database
        .sql("update pgq.queue set queue_rotation_period = '1 second'; select pgq.register_consumer('q', 'dead')");
    t.job.start();
    let told = wait_for(&file, 1);
    assert_eq!(told[0].1, format!("rotation-blocked begun queue q in database {}", t.database.name()));
    assert!(told[0].0["fact"].as_str().unwrap().contains("consumer dead"), "{told:?}");
    // What is not known stays as it was.
    cluster.stop(Shutdown::Fast);
    assert_eq!(wait_for(&file, 2)[1].1, "failed begun ");
    cluster.start();
    assert_eq!(wait_for(&file, 3)[2].1, "failed over ");
    t.database.sql("select pgq.unregister_consumer('q', 'dead')");
    assert_eq!(wait_for(&file, 4)[3].1, format!("rotation-blocked over queue q in database {}", t.database.name()));
}
