//! When a tick is due on a queue without events: our ticker function beside that of the extension `pgq` 3.5.

use super::extension::{create, is_installed};
use crate::support::{Cluster, Job, Scratch, Session};

fn pair() -> Option<([crate::support::Database; 2], [Session; 2])> {
    if !is_installed() {
        return None;
    }
    let databases = [Cluster::provider().database(), Cluster::provider().database()];
    create(&databases[0]);
    let scratch = Scratch::new();
    Job::ticker(scratch.path(), "db1-ticker", databases[1].conninfo()).run("install");
    let sessions = databases.each_ref().map(|database| {
        let session = database.session();
        // So that it is the same to both where the sequence of events stands.
        session.sql("select pgq.create_queue('q'); select pgq.insert_event('q', 'type', 'data')");
        session
    });
    Some((databases, sessions))
}

/// Seconds since the last tick and between the last two decide; the queue's settings are `ticker_max_lag` 3 s and
/// `ticker_idle_period` 60 s.
#[test]
fn pauses_without_events_are_those_of_the_extension() {
    let Some((_databases, sessions)) = pair() else { return };
    let mut report = String::new();
    for since_last in [0.0, 0.7, 1.4, 1.6, 2.9, 3.1, 5.9, 6.1, 20.0, 29.0, 31.0, 59.0, 61.0, 200.0] {
        for before_last in
            [None, Some(0.1), Some(0.8), Some(1.55), Some(3.0), Some(10.0), Some(14.9), Some(40.0), Some(90.0)]
        {
            let [theirs, ours] = sessions.each_ref().map(|session| {
                session.sql("delete from pgq.tick");
                let mut age = since_last;
                let mut id = -1;
                for pause in [Some(0.0), before_last].into_iter().flatten() {
                    age += pause;
                    session.sql(&format!(
                        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
                         select queue_id, {id}, now() - {age} * interval '1 second', pgq.seq_getval(queue_event_seq) from pgq.queue"
                    ));
                    id -= 1;
                }
                session.value("select pgq.ticker('q') is not null")
            });
            if theirs != ours {
                report += &format!("{since_last} s ago, {before_last:?} s before: theirs {theirs}, ours {ours}\n");
            }
        }
    }
    assert!(report.is_empty(), "{report}");
}
