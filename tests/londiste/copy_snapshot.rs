//! A copy and what takes rows away from snapshots: TRUNCATE, and ALTER TABLE that writes the table anew. For a snapshot that is
//! older than such a command the table is empty.

use crate::support::{Database, Replication, wait_until};

/// What an operator does to the provider's table, and what the clients write after it.
const COMMANDS: [&str; 3] = [
    "alter table t alter column v type bigint",
    "truncate t; insert into t values (7, 7)",
    "alter table t add column born timestamptz default clock_timestamp()",
];

/// The subscriber's table takes what each command leaves.
fn installed() -> Replication {
    let r = Replication::new();
    r.provider
        .sql("create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 100) i");
    r.subscriber.sql("create table t (id int primary key, v bigint, born timestamptz)");
    r.install();
    r.start();
    r.londiste.run("provider add t");
    r
}

#[track_caller]
fn wait_until_waits(database: &Database) {
    wait_until("the copy waits for the table", || {
        let waits =
            "select count(*) from pg_locks where relation = 't'::regclass and not granted and pid <> pg_backend_pid()";
        if database.value(waits) == "0" { Err("it does not") } else { Ok(()) }
    });
}

/// All rows are there, none was missed on the way.
#[track_caller]
fn assert_complete(r: &Replication, command: &str) {
    r.wait_until_ok();
    r.replay_until_in_sync();
    let rows = "select coalesce(string_agg(format('%s %s', id, v), ',' order by id), 'none') from t";
    assert_eq!(r.provider.value(rows), r.subscriber.value(rows), "{command}");
    assert!(!r.londiste.log().contains("were not found"), "{command}\n{}", r.londiste.log());
}

#[test]
fn copy_begins_while_the_command_runs() {
    for command in COMMANDS {
        let r = installed();
        let operator = r.provider.session();
        operator.sql(&format!("begin; {command}"));
        r.londiste.run("subscriber add t");
        wait_until_waits(&r.provider);
        operator.sql("commit");
        assert_complete(&r, command);
    }
}

#[test]
fn command_runs_while_the_copy_waits_for_the_subscriber() {
    for command in COMMANDS {
        let r = installed();
        let reader = r.subscriber.session();
        reader.sql("begin; select count(*) from t");
        r.londiste.run("subscriber add t");
        wait_until_waits(&r.subscriber);
        // What the copy has of the provider does not make anybody wait there.
        r.provider
            .sql(&format!("set lock_timeout = '20s'; update t set v = v + 1; delete from t where id = 2; {command}"));
        reader.sql("commit");
        assert_complete(&r, command);
    }
}
