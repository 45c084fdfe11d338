//! `subscriber follow`: the other subscribers of a provider that was left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pretty_assertions::assert_eq;

use super::place::Place;
use crate::support::{Cluster, Database, Job, Output, QUEUE, assert_same_rows, wait_until, wait_until_ok};

const SCHEMA: &str = "create table t (id serial primary key, v text); create table \"U v\" (\"K\" int primary key)";

/// A second subscriber of the provider.
pub struct Third {
    pub job: Job,
    pub database: Database,
}

impl Third {
    pub fn of(p: &Place, schema: &str) -> Third {
        let database = Cluster::subscriber().database();
        database.sql(schema);
        let databases = [p.r.provider.conninfo(), database.conninfo()];
        let job = Job::londiste(p.r.scratch().path(), "db3-londiste", databases, QUEUE);
        job.run("subscriber install");
        job.start();
        job.run("subscriber add --all");
        job.run("subscriber add-seq --all");
        wait_until_ok(&database);
        Third { job, database }
    }

    pub fn follow(&self, provider: &Database) -> Output {
        self.job.program(["subscriber", "follow", "--provider", provider.conninfo()]).output()
    }

    /// Waits until it has the rows of the provider.
    #[track_caller]
    pub fn assert_follows(&self, provider: &Database) {
        wait_until("the third database has the same rows", || {
            let sum = |database: &Database| {
                database.value("select count(*) || ' ' || coalesce(sum(hashtext(t::text)), 0) from t")
            };
            let (theirs, ours) = (sum(provider), sum(&self.database));
            if theirs == ours { Ok(()) } else { Err(format!("{theirs} {ours}")) }
        });
        assert_same_rows(provider, &self.database, &["t"]);
    }
}

#[test]
fn another_subscriber_goes_over_under_load_and_back() {
    let p = Place::new(SCHEMA);
    let third = Third::of(&p, SCHEMA);
    let refused = third.follow(&p.r.subscriber);
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("does not follow"), "{}", refused.stderr);
    for switches in 0..3 {
        p.run(if switches % 2 == 0 { "switchover" } else { "switchback" });
        let (open, _) = p.open_side(switches + 1);
        let stop = AtomicBool::new(false);
        let output = thread::scope(|scope| {
            scope.spawn(|| {
                let session = open.session();
                while !stop.load(Ordering::Relaxed) {
                    session.sql("insert into t (v) values ('new'); update t set v = v || 'x' where id % 7 = 0");
                }
            });
            let output = third.follow(open);
            stop.store(true, Ordering::Relaxed);
            output
        });
        assert_eq!(output.status, 0, "{}", output.stderr);
        open.sql("insert into \"U v\" select count(*) from \"U v\"");
        third.assert_follows(open);
        assert_same_rows(open, &third.database, &["\"U v\""]);
        let sequences = "select seq_name from londiste.subscriber_seq";
        assert_eq!(third.database.column(sequences), ["public.t_id_seq"]);
        assert!(third.job.is_running());
        // Nothing was copied.
        assert!(!third.job.log().contains("start copy\n") || third.job.log().matches("start copy\n").count() == 2);
    }
    let before = third.job.ini().with_extension("ini.before");
    assert!(std::fs::read_to_string(before).unwrap().contains(&format!("pgq_queue_name = {QUEUE}")));
    // The provider that was left has no consumer of it any more.
    let consumers = "select count(*) from pgq.consumer c join pgq.subscription s on s.sub_consumer = c.co_id where co_name = 'db3-londiste'";
    assert_eq!(p.r.provider.value(consumers), "0");
    assert_eq!(p.r.subscriber.value(consumers), "1");
}

#[test]
fn subscriber_that_is_not_in_sync_stays() {
    let p = Place::new(SCHEMA);
    let third = Third::of(&p, SCHEMA);
    p.run("switchover");
    third.job.run("subscriber remove t");
    third.job.stop();
    third.job.run("subscriber add t --force");
    let output = third.follow(&p.r.subscriber);
    assert!(output.stderr.contains("table public.t is not ok but "), "{}", output.stderr);
    third.job.start();
    wait_until_ok(&third.database);
    // Replay that does not run does not get there.
    third.job.stop();
    let args = ["subscriber", "follow", "--timeout", "1", "--provider", p.r.subscriber.conninfo()];
    let output = third.job.program(args).output();
    assert!(output.stderr.contains("has not reached tick"), "{}", output.stderr);
    third.job.start();
    assert_eq!(third.follow(&p.r.subscriber).status, 0);
    p.r.subscriber.sql("insert into t (v) values ('there')");
    third.assert_follows(&p.r.subscriber);
}

/// A table that lacks a change would lack it for good.
#[test]
fn subscriber_that_lacks_a_change_stays() {
    let p = Place::new(SCHEMA);
    let third = Third::of(&p, SCHEMA);
    third.database.sql("alter table t add constraint good check (v <> 'bad')");
    p.r.provider.sql("insert into t (v) values ('bad')");
    third.job.wait_for_log("violates check constraint");
    let event = p.r.provider.value("select max(ev_id) from pgq.event_1 where ev_data like '%bad%'");
    third.job.run(&format!("subscriber skip-event {event}"));
    p.run("switchover");
    wait_until("the event is left out", || {
        let left = third.database.value("select count(*) from londiste.skipped_events where done_tick is not null");
        if left == "1" { Ok(()) } else { Err(third.job.log()) }
    });
    let output = third.follow(&p.r.subscriber);
    assert_eq!(output.status, 1, "{}", output.stderr);
    let told = format!("table public.t is ok, but changes may be missing: event {event} was left out");
    assert!(output.stderr.contains(&told), "{}", output.stderr);
    third.database.sql("alter table t drop constraint good");
    third.job.run("repair --online --apply t");
    assert_eq!(third.follow(&p.r.subscriber).status, 0);
    third.assert_follows(&p.r.subscriber);
}
