//! Tables that are copied again while others wait for a free place: whatever refers to them, replay goes on.

use std::time::Duration;

use super::gates::{GATES, SUBSCRIBER_GATES, Side, close};
use crate::support::{Load, Replication, Session, wait_until, wait_within};

const KEY: u32 = 4724;
const OPEN: &str = "delete from gate.closed; select pg_advisory_unlock(4724)";

/// Two big tables, and a pair of which one refers to the other.
fn in_sync() -> Replication {
    let mut r = Replication::new().with_schema(
        "create table big0 (id int primary key, data text); create table big1 (id int primary key, data text);
         create table parent (id int primary key);
         create table child (id int primary key, parent_id int constraint child_parent references parent)",
    );
    r.provider.sql(
        "insert into big0 select i, repeat('x', 500) from generate_series(1, 200) i; insert into big1 select * from big0;
         insert into parent values (1); insert into child values (1, 1)",
    );
    r.londiste.configure("parallel_copies", "2");
    r.install();
    r.subscriber.sql(GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.start();
    r.add("--all");
    r.wait_until_ok();
    wait_until("the foreign key is back", || {
        let pending = r.subscriber.value("select count(*) from londiste.subscriber_pending_fkeys");
        if pending == "0" { Ok(()) } else { Err(pending) }
    });
    r
}

/// Copies of the big tables take all places, and stand still until the gate opens.
fn resync_big_tables(r: &Replication) -> Session {
    let gate = close(r, Side::Subscriber, "ddl alter table%drop constraint%big%_pkey%", KEY);
    r.londiste.run("subscriber resync big0 big1");
    wait_until("the copies of both big tables are held", || {
        let sql = format!(
            "select count(*) from pg_locks where locktype = 'advisory' and objid = {KEY} and not granted
                and database = (select oid from pg_database where datname = current_database())"
        );
        let held = gate.value(&sql);
        if held == "2" { Ok(()) } else { Err(held) }
    });
    gate
}

/// Waits until rows with key 2, which both tables get in one transaction, have come to the subscriber, or stopped replay.
fn insert_pair_and_wait_for(r: &Replication, table: &str) {
    r.provider.sql("begin; insert into parent values (2); insert into child values (2, 2); commit");
    wait_until("replay has come to the rows", || {
        let arrived = r.subscriber.value(&format!("select count(*) from {table} where id = 2")) == "1";
        if arrived || r.londiste.log().contains(" CRITICAL ") { Ok(()) } else { Err("not yet") }
    });
}

/// Lets the copies go on: soon every table is in sync, and nothing has failed on the way.
fn assert_ends(r: &Replication, gate: &Session) {
    gate.sql(OPEN);
    wait_within(Duration::from_mins(1), "every table is ok", || {
        let rows = r.subscriber.rows(
            "select table_name, coalesce(merge_state, '-') from londiste.subscriber_table
              where merge_state is distinct from 'ok' order by nr",
        );
        if rows.is_empty() { Ok(()) } else { Err(format!("{rows:?}")) }
    });
    r.assert_in_sync();
    wait_until("the foreign key is back", || {
        let found = r.subscriber.column("select convalidated from pg_constraint where conname = 'child_parent'");
        if found == ["t"] { Ok(()) } else { Err(format!("{found:?}")) }
    });
    let log = r.londiste.log();
    assert!(!log.contains(" CRITICAL "), "{log}");
}

/// `resync` of a table while there is no place for its copy, and rows at both ends of the foreign key come in.
fn resync_while_it_waits(table: &str, other: &str) {
    let r = in_sync();
    let gate = resync_big_tables(&r);
    r.londiste.run(&format!("subscriber resync {table}"));
    let load = Load::start(&r.provider, 1, |_, n| {
        let id = 1000 + n;
        format!(
            "begin; insert into parent values ({id}); insert into child values ({id}, {id}); commit;
             insert into big0 values ({id}, 'later'); delete from child where id = {id} - 10;
             delete from parent where id = {id} - 10"
        )
    });
    insert_pair_and_wait_for(&r, other);
    gate.sql(OPEN);
    // Ticks that only the copies of the big tables have seen, where replay stands still.
    wait_within(Duration::from_mins(1), "the big tables are ok or wait for replay", || {
        let sql = "select coalesce(merge_state, '-') from londiste.subscriber_table where table_name like '%.big_'";
        let states = r.subscriber.column(sql);
        let done = |s: &String| s == "ok" || s.starts_with("wanna-sync");
        if states.iter().all(done) { Ok(()) } else { Err(format!("{states:?}")) }
    });
    load.stop();
    assert_ends(&r, &gate);
}

#[test]
fn referenced_table_that_waits_for_its_copy_stops_nobody() {
    resync_while_it_waits("parent", "child");
}

#[test]
fn referencing_table_that_waits_for_its_copy_stops_nobody() {
    resync_while_it_waits("child", "parent");
}

#[test]
fn referenced_table_that_was_removed_and_added_again_stops_nobody() {
    let r = in_sync();
    let gate = resync_big_tables(&r);
    // Without a tick in between: replay finds the table in the queue's list again.
    r.ticker.stop();
    r.londiste.run("provider remove parent");
    r.londiste.run("provider add parent");
    r.ticker.start();
    r.londiste.wait_for_log("Table public.parent was removed from the queue and added again");
    insert_pair_and_wait_for(&r, "child");
    assert_ends(&r, &gate);
}
