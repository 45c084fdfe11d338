//! The neighbours: programs and schemas of other PgQ versions, each the real thing, against ours.
//!
//! `tests/run.sh` installs them. Where one is missing, or is not made for the server's major version, its tests say so
//! and pass.

mod extension;
mod formats;
mod fragments;
mod londiste3;
mod pgqd;
mod python;
mod ticks;
mod triggers;

use std::collections::BTreeMap;

use crate::support::{Database, Session, wait_until};

/// Why a test cannot run here; printed.
fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// Standard error of a command that logs these lines (`INFO Installing pgq`).
fn log(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| ["DATE PID ", line, "\n"]).collect()
}

/// A queue `q` that ticks and rotates all the time, with a producer and a consumer `c`. They use only functions that
/// every PgQ has.
struct Feed {
    session: Session,
    written: u32,
    /// Of each event, `ev_retry` of every time it came.
    seen: BTreeMap<u32, Vec<String>>,
}

impl Feed {
    #[track_caller]
    fn of(database: &Database) -> Self {
        let session = database.session();
        session.sql(
            "select pgq.create_queue('q');
             update pgq.queue set queue_ticker_max_lag = '100 ms', queue_ticker_idle_period = '200 ms',
                                  queue_rotation_period = '10 ms';
             select pgq.register_consumer('q', 'c')",
        );
        let mut feed = Feed { session, written: 0, seen: BTreeMap::new() };
        // The first tick belongs to the transaction that made the queue; a consumer there is in the way of rotation.
        feed.read_past_the_rotation(|session| {
            session.sql("select pgq.force_tick('q')");
            session.sql("select pgq.ticker()");
        });
        feed
    }

    /// Writes events, alone and several in a transaction, and some that are rolled back.
    #[track_caller]
    fn write(&mut self) {
        for _ in 0..3 {
            self.session.sql(&format!("select pgq.insert_event('q', 'kind', '{}')", self.written));
            self.written += 1;
        }
        let (from, to) = (self.written, self.written + 20);
        self.session
            .sql(&format!("select pgq.insert_event('q', 'kind', i::text) from generate_series({from}, {to}) i"));
        self.written = to + 1;
        self.session.sql("begin; select pgq.insert_event('q', 'kind', 'rolled back'); rollback");
    }

    /// Reads a batch, when there is one. Every tenth event is put off once.
    #[track_caller]
    fn read(&mut self) {
        let batch = self.session.value("select pgq.next_batch('q', 'c')");
        if batch == "NULL" {
            return;
        }
        let sql = format!("select ev_id, ev_data, coalesce(ev_retry, 0) from pgq.get_batch_events({batch})");
        for event in self.session.rows(&sql) {
            let [id, number, retry] = event.as_slice() else { panic!("{event:?}") };
            let number: u32 = number.parse().unwrap_or_else(|_| panic!("no committed event: {event:?}"));
            self.seen.entry(number).or_default().push(retry.clone());
            if number.is_multiple_of(10) && retry == "0" {
                self.session.sql(&format!("select pgq.event_retry({batch}, {id}, 0)"));
            }
        }
        self.session.sql(&format!("select pgq.finish_batch({batch})"));
    }

    /// Writes and reads until the queue has rotated and nothing is in the way of the next rotation.
    #[track_caller]
    fn rotate(&mut self) {
        let table = |session: &Session| session.value("select pgq.current_event_table('q')");
        let before = table(&self.session);
        wait_until("the queue rotates", || {
            self.write();
            self.read();
            let now = table(&self.session);
            if now == before { Err(format!("events go into {now}")) } else { Ok(()) }
        });
        self.read_past_the_rotation(|_| ());
        println!("{} events written; after {before} comes {}", self.written, table(&self.session));
    }

    #[track_caller]
    fn read_past_the_rotation(&mut self, mut tick: impl FnMut(&Session)) {
        wait_until("the consumer is past the rotation", || {
            tick(&self.session);
            self.read();
            let past = self.session.value(
                "select txid_snapshot_xmin(t.tick_snapshot) > q.queue_switch_step2
                 from pgq.queue q join pgq.subscription s on s.sub_queue = q.queue_id
                      join pgq.tick t on t.tick_queue = q.queue_id and t.tick_id = s.sub_last_tick",
            );
            if past == "t" { Ok(()) } else { Err(past) }
        });
    }

    /// Reads until every event has come, and those put off once more; the oldest are removed by then.
    #[track_caller]
    fn read_everything(&mut self) {
        wait_until("every event has come, and those put off once more", || {
            self.read();
            let missing: Vec<u32> = (0..self.written).filter(|number| !self.came_as_it_should(*number)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} came {:?}", self.seen.get(&missing[0]))) }
        });
        assert_eq!(self.seen.len(), usize::try_from(self.written).unwrap());
        let left: u32 = self.session.value("select count(*) from pgq.event_1").parse().unwrap();
        println!("{} events came, {} of them twice; {left} are left", self.written, self.written.div_ceil(10));
        assert!(left < self.written, "no event was removed");
    }

    fn came_as_it_should(&self, number: u32) -> bool {
        let times = self.seen.get(&number).map(Vec::as_slice).unwrap_or_default();
        let expected: &[&str] = if number.is_multiple_of(10) { &["0", "1"] } else { &["0"] };
        times == expected
    }

    /// Waits until the event tables are empty and few ticks are left: maintenance removes what everybody has read.
    #[track_caller]
    fn wait_until_tidy(&mut self) {
        wait_until("maintenance has removed what was read", || {
            self.read();
            let left = self.session.rows(
                "select (select count(*) from pgq.event_1), (select count(*) from pgq.retry_queue),
                        (select count(*) from pgq.tick) > 20",
            );
            if left == [["0", "0", "f"]] { Ok(()) } else { Err(format!("[events, retried, many ticks]: {left:?}")) }
        });
    }
}
