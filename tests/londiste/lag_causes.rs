//! `subscriber status` names why the subscriber is behind.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::gates::{GATES, PROVIDER_GATES, SUBSCRIBER_GATES, Side, close, wait_until_held};
use super::original;
use crate::support::{Cluster, Proxy, QUEUE, Replication, Traffic, wait_until};

/// A table in sync, with a row.
fn in_sync() -> Replication {
    let r = Replication::new().with_table("t", "id int primary key, v text").up();
    r.provider.sql("insert into t values (1, 'x')");
    r.assert_in_sync();
    r
}

fn causes(r: &Replication) -> Vec<Value> {
    let json: Value = serde_json::from_str(&r.londiste.run("subscriber status --json").stdout).unwrap();
    json["lag_causes"].as_array().unwrap().clone()
}

/// Waits for the cause, and gives its fact and what mends it.
#[track_caller]
fn wait_for(r: &Replication, cause: &str) -> [String; 2] {
    let mut found = [String::new(), String::new()];
    wait_until(&format!("the cause is {cause}"), || {
        let all = causes(r);
        let this = all.iter().find(|found| found["cause"] == cause).ok_or_else(|| format!("{all:?}"))?;
        found = ["fact", "fix"].map(|field| this[field].as_str().unwrap_or_default().to_owned());
        Ok::<_, String>(())
    });
    found
}

/// When the cause is gone, so is the lag, and nothing is named any more.
#[track_caller]
fn assert_gone(r: &Replication) {
    r.assert_in_sync();
    wait_until("nothing is named", || {
        let all = causes(r);
        if all.is_empty() { Ok(()) } else { Err(format!("{all:?}")) }
    });
}

#[test]
fn lock_of_another_session() {
    let r = in_sync();
    let other = r.subscriber.session();
    other.sql("set application_name = 'reports'; begin; lock table t in share mode");
    r.provider.sql("insert into t values (2, 'x')");
    let [fact, fix] = wait_for(&r, "lock");
    let pid = other.backend_pid();
    for part in
        ["a lock on public.t on subscriber", &format!("pid {pid} (reports, user "), "idle after: set application_name"]
    {
        assert!(fact.contains(part), "{fact}");
    }
    assert!(fix.contains(&format!("select pg_terminate_backend({pid})")), "{fix}");
    let text = r.londiste.run("subscriber status").stdout;
    assert!(text.contains("Behind:      lock (100 % of the time): waits since "), "{text}");
    r.subscriber.sql(&format!("select pg_terminate_backend({pid})"));
    assert_gone(&r);
}

#[test]
fn ticker_that_does_not_run() {
    let r = in_sync();
    r.ticker.stop();
    r.provider.sql("insert into t values (2, 'x')");
    let [fact, fix] = wait_for(&r, "ticker-down");
    assert!(fact.starts_with("no ticker works: events wait, and the newest tick is "), "{fact}");
    assert_eq!(fix, "rlondiste TICKER-INI ticker -d");
    r.ticker.start();
    assert_gone(&r);
}

#[test]
fn ticks_that_are_paused() {
    let r = in_sync();
    r.provider.sql("update pgq.queue set queue_ticker_paused = true; insert into t values (2, 'x')");
    let [fact, fix] = wait_for(&r, "ticker-down");
    assert!(fact.starts_with("the ticks of the queue are paused; "), "{fact}");
    r.ticker.program(["config", QUEUE, fix.rsplit(' ').next().unwrap()]).run();
    assert_gone(&r);
}

#[test]
fn replay_that_does_not_run() {
    let r = in_sync();
    r.londiste.stop();
    r.provider.sql("insert into t values (2, 'x')");
    let [fact, fix] = wait_for(&r, "replay-down");
    assert!(fact.starts_with("replay does not run: it has no session on either side, it was at the queue "), "{fact}");
    assert_eq!(fix, "rlondiste INI replay -d");
    r.londiste.start();
    assert_gone(&r);
}

#[test]
fn replay_that_is_stopped() {
    let r = in_sync();
    let pid = Pid::from_raw(r.londiste.pid().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    r.provider.sql("insert into t values (2, 'x')");
    let [fact, fix] = wait_for(&r, "replay-stands-still");
    assert!(fact.starts_with("replay has sessions and does nothing: it was at the queue "), "{fact}");
    assert!(fix.contains("kill -CONT"), "{fix}");
    kill(pid, Signal::SIGCONT).unwrap();
    assert_gone(&r);
}

#[test]
fn error_that_comes_again() {
    let r = in_sync();
    r.subscriber.sql("alter table t add constraint short check (length(v) < 3)");
    r.provider.sql("insert into t values (2, 'long')");
    let [fact, _] = wait_for(&r, "error");
    assert!(fact.starts_with("no batch was applied since the error: "), "{fact}");
    assert!(fact.contains("23514"), "{fact}");
    r.subscriber.sql("alter table t drop constraint short");
    assert_gone(&r);
}

#[test]
fn slow_work_on_the_subscriber() {
    let r = in_sync();
    r.subscriber.sql(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(3); return new; end $$;
         create trigger slow before insert on t for each row execute procedure slow()",
    );
    r.provider.sql("insert into t select i, 'x' from generate_series(2, 4) i");
    let [fact, _] = wait_for(&r, "applying");
    assert!(fact.starts_with("applies changes to public.t, in a transaction of "), "{fact}");
    r.subscriber
        .sql("create or replace function slow() returns trigger language plpgsql as $$ begin return new; end $$");
    assert_gone(&r);
}

#[test]
fn slow_commit() {
    let r = in_sync();
    r.subscriber.sql(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(5); return new; end $$;
         create constraint trigger slow after insert on t deferrable initially deferred
             for each row execute procedure slow()",
    );
    r.provider.sql("insert into t values (2, 'x')");
    let [fact, _] = wait_for(&r, "commit");
    assert!(fact.starts_with("commits on subscriber, a transaction of "), "{fact}");
    assert_gone(&r);
}

#[test]
fn index_that_is_missing_on_the_subscriber() {
    let r = Replication::new().with_table("big", "id int primary key, v text").up();
    r.provider.sql("insert into big select i, repeat('x', 200) from generate_series(1, 100000) i");
    r.assert_in_sync();
    r.subscriber.sql("alter table big drop constraint big_pkey; create index big_v on big (v); alter table big alter id drop not null");
    let load = crate::support::Load::start(&r.provider, 1, |_, n| {
        format!("update big set v = '{n}' where id between {n} and {n} + 20")
    });
    let [fact, fix] = wait_for(&r, "missing-index");
    load.stop();
    assert!(
        fact.starts_with("public.big has no index on subscriber that begins with a column of its key (id): "),
        "{fact}"
    );
    assert_eq!(fix, r#"create index concurrently on "public"."big" ("id")"#);
    r.subscriber.sql(&fix);
    assert_gone(&r);
}

#[test]
fn slow_network() {
    let cluster = Cluster::builder().name("far").tcp().start();
    let provider = Proxy::to_cluster(&cluster);
    let mut r = Replication::between(&cluster, Cluster::subscriber()).with_table("t", "id int primary key, v text");
    r.londiste.configure("provider_db", &provider.conninfo(r.provider.name()));
    let r = r.up();
    provider.set_traffic(Traffic::Delay(std::time::Duration::from_millis(80)));
    let load = crate::support::Load::start(&r.provider, 1, |_, n| format!("insert into t values ({n} + 10, 'x')"));
    let [fact, _] = wait_for(&r, "slow-network");
    load.stop();
    assert!(fact.starts_with("a round trip from this machine to provider takes "), "{fact}");
    provider.set_traffic(Traffic::Forward);
    assert_gone(&r);
}

#[test]
fn many_events_in_one_batch() {
    let r = in_sync();
    let other = r.subscriber.session();
    other.sql("begin; lock table t in share mode");
    r.provider.sql("insert into t select i, 'x' from generate_series(2, 60000) i");
    let [fact, _] = wait_for(&r, "big-batch");
    assert!(fact.starts_with("the batch in hand has at least 50000 events, and is open since "), "{fact}");
    other.sql("commit");
    assert_gone(&r);
}

#[test]
fn transaction_that_is_open_on_the_provider() {
    let r = in_sync();
    let writer = r.provider.session();
    writer.sql("set application_name = 'loader'; begin; insert into t values (2, 'x')");
    let [fact, fix] = wait_for(&r, "open-transaction");
    let pid = writer.backend_pid();
    assert!(fact.contains(&format!("its events come after its end: pid {pid} (loader), last query: ")), "{fact}");
    assert!(fix.contains(&format!("pg_terminate_backend({pid})")), "{fix}");
    writer.sql("commit");
    assert_gone(&r);
}

#[test]
fn standby_that_is_not_there() {
    let cluster = Cluster::builder().name("synchronous").start();
    let r = Replication::between(Cluster::provider(), &cluster).with_table("t", "id int primary key, v text").up();
    r.assert_in_sync();
    let set = |value: &str| {
        r.subscriber.sql(&format!("alter system set synchronous_standby_names = '{value}'"));
        r.subscriber.sql("select pg_reload_conf()");
    };
    set("nobody");
    r.provider.sql("insert into t values (2, 'x')");
    let [fact, fix] = wait_for(&r, "synchronous-standby");
    assert!(fact.starts_with("the commit waits since "), "{fact}");
    assert!(fix.contains("synchronous_standby_names on subscriber"), "{fix}");
    set("");
    assert_gone(&r);
}

#[test]
fn copy_that_replay_waits_for() {
    let r = Replication::new()
        .with_schema(GATES)
        .with_schema("create table t (id int primary key, data text); create table other (id int primary key)");
    r.install();
    r.provider.sql(PROVIDER_GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.start();
    r.add("other");
    r.wait_until_ok();
    let gate = close(&r, Side::Subscriber, "ddl alter table%add constraint%t_pkey%", 4801);
    r.add("t");
    wait_until_held(&gate, 4801);
    let end = close(&r, Side::Subscriber, "state ok", 4802);
    for id in 1..4 {
        r.provider.sql(&format!("insert into t values ({id}, 'behind')"));
        original::tick(&r.provider);
    }
    super::gates::open(&gate, 4801);
    wait_until_held(&end, 4802);
    r.provider.sql("insert into other values (1)");
    original::tick(&r.provider);
    let [fact, _] = wait_for(&r, "hand-over");
    assert!(fact.starts_with("replay waits at a tick for the copy of public.t ("), "{fact}");
    super::gates::open(&end, 4802);
    r.wait_until_ok();
    assert_gone(&r);
}
