//! `londiste.ledger`: the events of each table since its copy, as exact as its rows.

use serde_json::{Value, json};

use super::gates::{GATES, SUBSCRIBER_GATES, Side, close, open, wait_until_held};
use crate::support::{Replication, wait_until};

/// What the status tells of the events of `t`, without the time.
fn ledger(r: &Replication) -> Value {
    let json: Value = serde_json::from_str(&r.londiste.run("subscriber status --json").stdout).unwrap();
    let mut entry = json["tables"][0]["ledger"].clone();
    if let Some(since) = entry.as_object_mut().and_then(|entry| entry.remove("since")) {
        assert_eq!(since.as_str().unwrap().len(), "2026-01-01 00:00:00".len(), "{since}");
    }
    entry
}

fn numbers(inserts: u32, updates: u32, deletes: u32, truncates: u32, in_copy: u32, missing: u32) -> Value {
    json!({"inserts": inserts, "updates": updates, "deletes": deletes, "truncates": truncates, "in_copy": in_copy,
           "missing": missing})
}

#[test]
fn events_are_counted_with_their_rows() {
    let r = Replication::new().with_table("t", "id int primary key, v text").up();
    assert_eq!(ledger(&r), Value::Null);
    // Small batches, by single statements.
    r.provider.sql("insert into t select i, 'x' from generate_series(1, 5) i");
    r.assert_in_sync();
    r.provider.sql("update t set v = 'y' where id < 4; delete from t where id = 1");
    r.assert_in_sync();
    assert_eq!(ledger(&r), numbers(5, 3, 1, 0, 0, 0));
    // A row that is not there, and what is rolled back.
    r.subscriber.sql("delete from t where id = 5");
    r.provider.sql("begin; insert into t values (99, 'x'); rollback");
    r.provider.sql("update t set v = 'z' where id = 5");
    r.replay_until_in_sync();
    assert_eq!(ledger(&r), numbers(5, 4, 1, 0, 0, 1));
    // A big batch, by sets, whose rows have several events each.
    r.provider.sql(
        "begin; truncate t; insert into t select i, 'x' from generate_series(1, 1000) i; update t set v = 'y';
         delete from t where id > 900; commit",
    );
    r.assert_in_sync();
    assert_eq!(ledger(&r), numbers(1005, 1004, 101, 1, 0, 1));
    // A batch that a constraint of the subscriber refuses is not counted until it is applied.
    r.subscriber.sql("alter table t add constraint short check (length(v) < 3)");
    r.provider.sql("insert into t values (2000, 'long')");
    wait_until("replay is refused", || {
        let log = r.londiste.log();
        if log.contains("(23514)") { Ok(()) } else { Err(log) }
    });
    assert_eq!(ledger(&r), numbers(1005, 1004, 101, 1, 0, 1));
    r.subscriber.sql("alter table t drop constraint short");
    r.assert_in_sync();
    assert_eq!(ledger(&r), numbers(1006, 1004, 101, 1, 0, 1));
    let text = r.londiste.run("subscriber status --tables").stdout;
    let line = "1006 inserts, 1004 updates, 101 deletes, 1 truncates; 1 updates and deletes found no row\n";
    assert!(text.contains(line), "{text}");
    assert!(!r.londiste.run("subscriber status").stdout.contains("inserts"));

    r.londiste.run("subscriber resync t");
    r.wait_until_ok();
    assert_eq!(ledger(&r), Value::Null);
    r.provider.sql("insert into t values (3000, 'x')");
    r.assert_in_sync();
    assert_eq!(ledger(&r), numbers(1, 0, 0, 0, 0, 0));
    r.londiste.run("subscriber remove t");
    assert_eq!(r.subscriber.value("select count(*) from londiste.ledger"), "0");
}

#[test]
fn events_that_the_copy_has_are_told_apart() {
    let r = Replication::new().with_schema(GATES).with_schema("create table t (id int primary key, v text)");
    r.install();
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.start();
    let gate = close(&r, Side::Subscriber, "ddl alter table%drop constraint%t_pkey%", 4901);
    r.add("t");
    wait_until_held(&gate, 4901);
    // After the tick at which the copy's consumer was registered, and before the copy's snapshot.
    r.provider.sql("insert into t select i, 'x' from generate_series(1, 3) i");
    open(&gate, 4901);
    r.wait_until_ok();
    r.provider.sql("insert into t values (4, 'x')");
    r.assert_in_sync();
    assert_eq!(ledger(&r), numbers(1, 0, 0, 0, 3, 0));
}
