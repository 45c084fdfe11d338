//! A copy that is stopped at every stage of its life, in every way: the old rows and indexes are there or the new ones,
//! nothing keeps the provider from rotating, and the next start finishes.
//!
//! Triggers in both databases hold the copy at the stage that the test has closed, until the test opens it again.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::gates::{self, GATES, PROVIDER_GATES, SUBSCRIBER_GATES, Side, close, wait_until_held};
use crate::support::{Cluster, Proxy, Replication, Session, effort, wait_until};

/// Every place where the copy, or replay on its behalf, is in the middle of something: where it is, and what the gate
/// there is called.
const STAGES: [(Side, &str); 20] = [
    (Side::Subscriber, "ddl select londiste.subscriber_drop_table_fkey%"),
    (Side::Subscriber, "state in-copy"),
    (Side::Provider, "register"),
    (Side::Subscriber, "ddl drop index%"),
    (Side::Subscriber, "ddl alter table%drop constraint%t_pkey%"),
    (Side::Subscriber, "truncate"),
    (Side::Subscriber, "row in the middle"),
    (Side::Subscriber, "ddl alter table%add constraint%t_pkey%"),
    (Side::Subscriber, "ddl create index%"),
    (Side::Subscriber, "value % create index%"),
    (Side::Subscriber, "state catching-up"),
    (Side::Subscriber, "completed insert %_copy"),
    (Side::Subscriber, "value % analyze%"),
    (Side::Provider, "next batch"),
    (Side::Subscriber, "completed update %_copy"),
    (Side::Provider, "finish batch"),
    (Side::Subscriber, "state wanna-sync%"),
    (Side::Subscriber, "state do-sync%"),
    (Side::Subscriber, "state ok"),
    (Side::Provider, "unregister"),
];

/// Those that are only there when the copy finds a batch to catch up with.
const OF_A_BATCH: [&str; 3] = ["next batch", "completed update %_copy", "finish batch"];

const NEW_ROWS: &str = "truncate t; insert into t select i, 'new' from generate_series(1, 1000) i";

const OLD_ROWS: &str = "
    truncate t, child;
    insert into t select i, 'old' from generate_series(1, 5) i;
    insert into child values (1), (null)";

/// Jobs at work, and nothing subscribed.
fn ready(r: Replication) -> Replication {
    let r = r.with_schema(GATES).with_schema(
        "create table t (id int primary key, data text);
         create index t_value on t (gate.value(id))",
    );
    r.subscriber.sql("create table child (t_id int constraint child_key references t deferrable)");
    r.install();
    r.provider.sql(PROVIDER_GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.subscriber.sql(&gates::of_table("t"));
    r.start();
    r.londiste.run("provider add t");
    r.provider.sql(NEW_ROWS);
    r
}

/// A table with old rows, whose copy is about to be held up; and a table outside the set that references it.
struct Stage {
    r: Replication,
    gate: Session,
    side: Side,
    name: &'static str,
    structure: Vec<String>,
}

impl Stage {
    /// Begins the copy and waits until it has come to the gate.
    fn reach(r: Replication, side: Side, name: &'static str) -> Stage {
        r.subscriber.sql(OLD_ROWS);
        let structure = structure(&r);
        let before_batches = OF_A_BATCH.contains(&name).then(|| close(&r, Side::Subscriber, "value % analyze%", 4712));
        let gate = close(&r, side, name, 4711);
        r.londiste.run("subscriber add t");
        if let Some(before_batches) = before_batches {
            wait_until_held(&before_batches, 4712);
            r.provider.sql("insert into t values (2001, 'new')");
            wait_until_there_is_a_batch(&r);
            before_batches.sql("delete from gate.closed where key = 4712; select pg_advisory_unlock(4712)");
        }
        wait_until_held(&gate, 4711);
        let stage = Stage { r, gate, side, name, structure };
        stage.r.provider.sql("insert into t values (2000, 'new'); delete from t where id = 7");
        stage
    }

    /// The copy is over. Makes all ready for the next one.
    fn leave(self) -> Replication {
        self.r.londiste.run("subscriber remove t");
        self.r.provider.sql(NEW_ROWS);
        self.r
    }

    fn open(&self) {
        self.gate.sql("delete from gate.closed; select pg_advisory_unlock(4711)");
    }

    fn state(&self) -> String {
        self.r.subscriber.value("select coalesce(merge_state, '-') from londiste.subscriber_table")
    }

    fn copy_consumers(&self) -> Vec<String> {
        self.r.provider.column(
            "select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name like '%_copy%'",
        )
    }

    /// The job has ended and the gate is open: all is as it was, or all is as it shall be.
    fn assert_whole(&self, cleaned_up: bool) {
        let name = self.r.londiste.name();
        for database in [&self.r.provider, &self.r.subscriber] {
            wait_until("the servers have noticed that the job is gone", || {
                let sql = "select count(*) from pg_stat_activity
                           where datname = current_database() and application_name = ";
                match database.value(&format!("{sql}'{name}'")).as_str() {
                    "0" => Ok(()),
                    n => Err(format!("{n} sessions")),
                }
            });
        }
        let (state, at) = (self.state(), self.name);
        let rows = self.r.subscriber.rows("select data, count(*) from t where id not in (7, 2000, 2001) group by 1");
        let copied = !["-", "in-copy"].contains(&state.as_str());
        let expected = if copied { ["new", "999"] } else { ["old", "5"] };
        assert_eq!(rows, [expected], "stopped at \"{at}\" with state {state}");
        let now = structure(&self.r);
        let keys_aside =
            |lines: &[String]| lines.iter().filter(|l| !l.contains("child_key")).cloned().collect::<Vec<_>>();
        assert_eq!(keys_aside(&now), keys_aside(&self.structure), "stopped at \"{at}\" with state {state}");
        if cleaned_up && !copied {
            assert_eq!(self.copy_consumers(), Vec::<String>::new(), "stopped at \"{at}\" with state {state}");
        }
    }

    /// The job runs again: it finishes, and leaves nothing behind.
    fn assert_finishes(&self) {
        let at = self.name;
        self.r.wait_until_ok();
        wait_until(&format!("nothing is left of the copy that was stopped at \"{at}\""), || {
            let left = self.r.subscriber.rows(
                "select consumer_id from londiste.table_position
                 union all select consumer_id from londiste.completed where consumer_id like '%_copy%'
                 union all select fkey_name from londiste.subscriber_pending_fkeys",
            );
            let consumers = self.copy_consumers();
            if left.is_empty() && consumers.is_empty() { Ok(()) } else { Err(format!("{left:?} {consumers:?}")) }
        });
        self.r.replay_until_in_sync();
        crate::support::assert_same_rows(&self.r.provider, &self.r.subscriber, &["t"]);
        assert_eq!(structure(&self.r), self.structure, "after a stop at \"{at}\"");
    }
}

fn wait_until_there_is_a_batch(r: &Replication) {
    wait_until("there is a batch for the copy", || {
        let sql = "select count(*) from pgq.tick, pgq.subscription, pgq.consumer
                   where co_id = sub_consumer and co_name like '%_copy' and tick_queue = sub_queue and tick_id > sub_last_tick";
        match r.provider.value(sql).as_str() {
            "0" => Err(r.provider.value("select pgq.force_tick(queue_name) from pgq.queue")),
            _ => Ok(()),
        }
    });
}

fn structure(r: &Replication) -> Vec<String> {
    r.subscriber.column(
        "select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
          where conrelid in ('t'::regclass, 'child'::regclass)
         union all
         select format('%s %s', indexdef, i.indisvalid) from pg_indexes, pg_index i
          where tablename = 't' and i.indexrelid = indexname::regclass order by 1",
    )
}

/// Runs `stop` at every second stage (`COPY_STOPS_EFFORT=all`: at all), and tells all that failed. The jobs and databases
/// are those of the stage before, unless that failed.
fn at_each_stage(start: impl Fn() -> Replication, stop: impl Fn(&Stage)) {
    let mut failures = String::new();
    let mut last = None;
    let (first, step) = effort::cases("COPY_STOPS_EFFORT", 2);
    for (side, name) in STAGES.into_iter().skip(first).step_by(step) {
        let from = last.take();
        let run = catch_unwind(AssertUnwindSafe(|| {
            let stage = Stage::reach(from.unwrap_or_else(|| ready(start())), side, name);
            stop(&stage);
            stage.leave()
        }));
        match run {
            Ok(r) => last = Some(r),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map_or("?", String::as_str);
                let _ = writeln!(failures, "--- {name}:\n{text}");
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn copy_stopped_with_s_is_whole_and_goes_on() {
    at_each_stage(Replication::new, |stage| {
        stage.r.londiste.run("-s");
        stage.open();
        wait_until("the job has ended", || if stage.r.londiste.is_running() { Err("it runs") } else { Ok(()) });
        stage.assert_whole(true);
        stage.r.londiste.start();
        stage.assert_finishes();
    });
}

#[test]
fn copy_stopped_with_k_is_whole_and_goes_on() {
    at_each_stage(Replication::new, |stage| {
        stage.r.londiste.kill();
        stage.open();
        stage.assert_whole(true);
        stage.r.londiste.start();
        stage.assert_finishes();
    });
}

#[test]
fn copy_killed_is_whole_and_goes_on() {
    at_each_stage(Replication::new, |stage| {
        stage.r.londiste.kill9();
        stage.open();
        stage.assert_whole(false);
        stage.r.londiste.start();
        stage.assert_finishes();
    });
}

#[test]
fn copy_whose_connections_are_cut_goes_on_by_itself() {
    let cluster = |name| Cluster::builder().name(name).tcp().start();
    let (provider, subscriber) = (cluster("cut-provider"), cluster("cut-subscriber"));
    let (to_provider, to_subscriber) = (Proxy::to_cluster(&provider), Proxy::to_cluster(&subscriber));
    let start = || {
        let mut r = Replication::between(&provider, &subscriber);
        r.londiste.configure("provider_db", &to_provider.conninfo(r.provider.name()));
        r.londiste.configure("subscriber_db", &to_subscriber.conninfo(r.subscriber.name()));
        r
    };
    at_each_stage(start, |stage| {
        if stage.side == Side::Provider {
            to_provider.cut();
        } else {
            to_subscriber.cut();
        }
        stage.open();
        stage.assert_finishes();
    });
}
