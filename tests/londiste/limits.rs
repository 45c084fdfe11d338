//! Limits that a role has for its own statements and transactions do not end ours: each step of a copy, of a batch and of
//! a foreign key may take longer.

use super::gates::{GATES, PROVIDER_GATES, SUBSCRIBER_GATES, Side, close};
use crate::support::{Binaries, Database, QUEUE, Replication, Session, wait_until};

/// Every place is held for longer than the limits are, which are 200 ms.
const HOLD: &str = "select pg_sleep(0.45)";

/// Where a copy and what follows it are held, in this order.
const STAGES: [(Side, &str); 10] = [
    (Side::Provider, "register"),
    (Side::Subscriber, "ddl alter table%drop constraint%t_pkey%"),
    (Side::Subscriber, "ddl alter table%add constraint%t_pkey%"),
    (Side::Subscriber, "value % create index%"),
    (Side::Subscriber, "value % analyze%"),
    (Side::Provider, "next batch"),
    (Side::Subscriber, "completed update %_copy"),
    (Side::Provider, "finish batch"),
    (Side::Subscriber, "state ok"),
    (Side::Subscriber, "ddl alter table%validate constraint%"),
];

/// Jobs that connect as a role of their own, which has the setting on these sides.
fn with_role(setting: &str, sides: &[Side]) -> Replication {
    let mut r = Replication::new().with_schema(GATES).with_schema(
        "create table t (id int primary key, data text);
         create index t_value on t (gate.value(id));
         create table other (id int primary key, t_id int constraint other_t references t)",
    );
    r.provider.sql("insert into t select i, 'x' from generate_series(1, 10) i; insert into other select i, i from generate_series(1, 10) i");
    let role = format!("limited_{}", r.provider.name());
    for (side, database) in [(Side::Provider, &r.provider), (Side::Subscriber, &r.subscriber)] {
        database.sql(&format!("create role {role} login superuser"));
        if sides.contains(&side) {
            database.sql(&format!("alter role {role} in database {} set {setting}", database.name()));
        }
    }
    let (provider, subscriber) = (r.provider.conninfo_as(&role), r.subscriber.conninfo_as(&role));
    r.ticker.configure("db", &provider);
    r.londiste.configure("provider_db", &provider);
    r.londiste.configure("subscriber_db", &subscriber);
    r.install();
    r.provider.sql(PROVIDER_GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r
}

/// Does `work` while others are kept out of a table for longer than the limits.
fn keep_out(database: &Database, table: &str, work: impl FnOnce()) {
    let session = database.session();
    session.sql(&format!("begin; lock table {table} in access exclusive mode"));
    work();
    wait_until(&format!("somebody waits for {table}"), || {
        let sql = "select count(*) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0 and datname = current_database()";
        if session.value(sql) == "0" { Err("nobody") } else { Ok(()) }
    });
    session.sql(HOLD);
    session.sql("commit");
}

/// The whole life of two tables, slow at every step.
fn a_slow_life(r: &Replication) {
    let gates: Vec<(u32, Session)> =
        (4730..).zip(STAGES).map(|(key, (side, stage))| (key, close(r, side, stage, key))).collect();
    r.start();
    r.londiste.run("provider add t other");
    keep_out(&r.provider, "t", || {
        r.londiste.run("subscriber add t");
        gates[..2].iter().for_each(|gate| pass(r, gate));
    });
    gates[2..4].iter().for_each(|gate| pass(r, gate));
    // So that there is a batch for the copy.
    r.provider.sql("insert into t values (11, 'while it is copied')");
    gates[4..9].iter().for_each(|gate| pass(r, gate));
    r.wait_until_ok();
    r.londiste.run("subscriber add other");
    pass(r, &gates[9]);
    r.wait_until_ok();
    wait_until("the foreign key is back", || {
        let pending = r.subscriber.value("select count(*) from londiste.subscriber_pending_fkeys");
        if pending == "0" { Ok(()) } else { Err(pending) }
    });
    assert_eq!(r.subscriber.value("select convalidated from pg_constraint where conname = 'other_t'"), "t");
    let change = "insert into t select i, 'y' from generate_series(100, 200) i; update other set t_id = 100";
    keep_out(&r.subscriber, "other", || {
        r.provider.sql(change);
    });
    r.replay_until_in_sync();
    keep_out(&r.provider, "pgq.event_1", || {
        r.provider.sql(&format!("select pgq.force_tick('{QUEUE}')"));
    });
    r.assert_in_sync();
    assert_no_complaints(r);
}

/// What a limit ended is logged, and tried again.
#[track_caller]
fn assert_no_complaints(r: &Replication) {
    for job in [&r.londiste, &r.ticker] {
        let log = job.log();
        let complaint = log.lines().find(|l| [" CRITICAL ", " ERROR "].iter().any(|word| l.contains(word)));
        assert_eq!(complaint, None, "{}", job.name());
    }
}

/// Holds whoever comes to the gate for longer than the limits, and lets all through from then on.
#[track_caller]
fn pass(r: &Replication, (key, gate): &(u32, Session)) {
    let held = format!(
        "select count(*) from pg_locks where locktype = 'advisory' and objid = {key} and not granted
            and database = (select oid from pg_database where datname = current_database())"
    );
    let stage = gate.value(&format!("select stage from gate.closed where key = {key}"));
    wait_until(&format!("somebody is held at \"{stage}\""), || {
        assert_no_complaints(r);
        if gate.value(&held) == "0" { Err("nobody") } else { Ok(()) }
    });
    gate.sql(HOLD);
    gate.sql(&format!("delete from gate.closed where key = {key}; select pg_advisory_unlock({key})"));
}

#[test]
fn statement_timeout_of_the_role() {
    a_slow_life(&with_role("statement_timeout = '200ms'", &[Side::Provider, Side::Subscriber]));
}

#[test]
fn lock_timeout_of_the_role() {
    a_slow_life(&with_role("lock_timeout = '200ms'", &[Side::Provider, Side::Subscriber]));
}

#[test]
fn idle_in_transaction_session_timeout_of_the_role() {
    a_slow_life(&with_role("idle_in_transaction_session_timeout = '200ms'", &[Side::Provider, Side::Subscriber]));
}

#[test]
fn transaction_timeout_of_the_role() {
    if Binaries::find().major() < 17 {
        return;
    }
    a_slow_life(&with_role("transaction_timeout = '200ms'", &[Side::Provider, Side::Subscriber]));
}

#[test]
fn read_only_role_of_the_subscriber() {
    a_slow_life(&with_role("default_transaction_read_only = on", &[Side::Subscriber]));
}
