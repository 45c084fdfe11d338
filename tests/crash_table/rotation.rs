//! Ends of the ticker around a tick and between the steps of a rotation, while replay reads the queue.

use super::{assert_left, killed_at, places_of};
use crate::support::{Cluster, Replication, wait_until};

/// The end, and what is left: ticks made, the current event table, the second step. Ticks and maintenance run side by side.
const ROWS: &[(&str, &str)] = &[
    ("ticker tick::due", "no tick | * | *"),
    ("ticker tick::made", "tick | * | *"),
    ("ticker rotation::due", "* | same table | done"),
    ("ticker rotation::step1", "* | next table | to be done"),
    ("ticker rotation::step2", "* | next table | done"),
];

pub(super) fn places() -> Vec<&'static str> {
    places_of(ROWS.iter().map(|(end, _)| end))
}

struct Queue(Replication);

impl Queue {
    fn ticks(&self) -> String {
        self.0.provider.value("select max(tick_id) from pgq.tick")
    }

    fn table(&self) -> String {
        self.0.provider.value("select queue_cur_table from pgq.queue")
    }

    fn step2(&self) -> &'static str {
        let sql = "select queue_switch_step2 is not null from pgq.queue";
        if self.0.provider.value(sql) == "t" { "done" } else { "to be done" }
    }

    fn write(&self, round: usize) {
        self.0.provider.sql(&format!("insert into t (round) select {round} from generate_series(1, 20)"));
    }

    fn rotate_each(&self, period: &str) {
        self.0.provider.sql(&format!("update pgq.queue set queue_rotation_period = '{period}'"));
    }

    /// The consumer has passed the last rotation, so that the next one can be done.
    fn settle(&self) {
        self.rotate_each("1 day");
        self.0.ticker.start();
        let session = self.0.provider.session();
        wait_until("the second step is done", || {
            let sql = "select queue_switch_step2 is not null from pgq.queue";
            if session.value(sql) == "t" { Ok(()) } else { Err("it is not") }
        });
        self.0.assert_in_sync();
        self.0.ticker.stop();
    }
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn queue_loses_nothing_whenever_the_ticker_ends() {
    // A transaction of another test would put off the rotation.
    let cluster = Cluster::builder().name("rotated").start();
    let r = Replication::between(&cluster, &cluster).with_table("t", "id serial primary key, round int").up();
    r.ticker.stop();
    let queue = Queue(r);
    for (round, (end, expected)) in ROWS.iter().enumerate() {
        queue.settle();
        queue.write(round);
        queue.rotate_each("0");
        let (ticks, table) = (queue.ticks(), queue.table());
        killed_at(&queue.0.ticker, &[&queue.0.provider], end);
        let found = format!(
            "{} | {} | {}",
            if queue.ticks() == ticks { "no tick" } else { "tick" },
            if queue.table() == table { "same table" } else { "next table" },
            queue.step2()
        );
        assert_left(end, expected, &found);
        queue.write(round);
        queue.settle();
    }
    assert_eq!(queue.0.subscriber.value("select count(*) from t"), (40 * ROWS.len()).to_string());
}
