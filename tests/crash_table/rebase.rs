//! Ends of `rebase`.

use super::{assert_left, killed_at, places_of};
use crate::support::{Cluster, Database, Job, Scratch};

/// The end, and what is left: the queue's transaction ids.
const ROWS: &[(&str, &str)] = &[("rebase q rebase::changed", "ahead"), ("rebase q rebase::committed", "rebased")];

pub(super) fn places() -> Vec<&'static str> {
    places_of(ROWS.iter().map(|(end, _)| end))
}

/// How far the transaction ids of the restored queue are ahead of the server.
const AHEAD: i64 = 1_000_000_000;

fn left(database: &Database) -> &'static str {
    let sql = "select count(*) from pgq.tick, pgq.queue
               where greatest(txid_snapshot_xmax(tick_snapshot), queue_switch_step1) > txid_snapshot_xmax(txid_current_snapshot())";
    if database.value(sql) == "0" { "rebased" } else { "ahead" }
}

fn read_batch(database: &Database) -> Vec<String> {
    let batch = database.value("select pgq.next_batch('q', 'c')");
    let events = database.column(&format!("select ev_data from pgq.get_batch_events({batch}) order by ev_id"));
    database.sql(&format!("select pgq.finish_batch({batch})"));
    events
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn queue_is_rebased_or_as_it_was_whenever_the_command_ends() {
    for (end, expected) in ROWS {
        let (database, scratch) = (Cluster::provider().database(), Scratch::new());
        let job = Job::ticker(scratch.path(), "db1-ticker", database.conninfo());
        job.run("install");
        database.sql("select pgq.create_queue('q'); select pgq.register_consumer('q', 'c')");
        database.sql("select pgq.insert_event('q', 'type', 'one')");
        database.sql("select pgq.force_tick('q'); select pgq.ticker('q')");
        database.sql("select pgq.insert_event('q', 'type', 'two')");
        database.sql(&format!(
            "update pgq.event_1 set ev_txid = ev_txid + {AHEAD};
             update pgq.queue set queue_switch_step1 = queue_switch_step1 + {AHEAD},
                                  queue_switch_step2 = queue_switch_step2 + {AHEAD};
             update pgq.tick set tick_snapshot = format('%s:%s:', txid_snapshot_xmin(tick_snapshot) + {AHEAD},
                                                        txid_snapshot_xmax(tick_snapshot) + {AHEAD})::txid_snapshot"
        ));
        killed_at(&job, &[&database], end);
        assert_left(end, expected, left(&database));
        let output = job.run("rebase q");
        let says = if *expected == "ahead" { "is rebased" } else { "is in order, nothing was changed" };
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(left(&database), "rebased");
        database.sql("select pgq.insert_event('q', 'type', 'three')");
        database.sql("select pgq.force_tick('q'); select pgq.ticker('q')");
        let events = [read_batch(&database), read_batch(&database)].concat();
        assert_eq!(events, ["one", "two", "three"], "{end}");
    }
}
