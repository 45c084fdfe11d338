//! Replication writes to a database that is closed for everybody else.

use super::{arm, assert_refused, close};
use crate::support::{LoginOptions, PoolMode, Pooler, Replication, assert_same_rows, compare_tables};

const COLUMNS: &str = "id int primary key, v text";

#[test]
fn replay_copies_and_repairs_pass_a_closed_fence() {
    let r = Replication::new().with_table("t", COLUMNS).with_table("late", COLUMNS);
    r.provider.sql("insert into t values (1, 'a'); insert into late values (1, 'a')");
    r.install();
    r.start();
    r.add("t");
    r.wait_until_ok();
    arm(&r.subscriber);
    close(&r.subscriber).unwrap();
    let app = r.subscriber.session();
    assert_refused(&app, "insert into t values (100, 'app')");
    // Small batches, one that is not small, and a copy, which truncates.
    r.provider.sql("insert into t values (2, 'b'); update t set v = 'c' where id = 1");
    r.replay_until_in_sync();
    r.provider.sql("insert into t select i, 'x' from generate_series(1000, 9000) i; delete from t where id = 2");
    r.add("late");
    r.wait_until_ok();
    r.assert_in_sync();
    r.provider.sql("truncate t; insert into t values (5, 'e')");
    r.assert_in_sync();
    // A row that is missing comes back by a repair.
    r.subscriber.sql(
        "set londiste.pass = 'x'; select set_config('londiste.pass', londiste.fence_pass(), false); delete from t",
    );
    r.londiste.program(["repair", "--online", "--apply", "t"]).output();
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
    assert_refused(&app, "insert into t values (100, 'app')");
    assert!(!r.londiste.log().contains("shop has moved"), "{}", r.londiste.log());
}

/// A pooler gives each transaction another server connection.
#[test]
fn replay_passes_a_closed_fence_through_a_pooler() {
    if !Pooler::is_installed() {
        return;
    }
    let mut r = Replication::new().with_table("t", COLUMNS);
    let pooler = Pooler::start(&[&r.subscriber], PoolMode::Transaction, 5, LoginOptions::Refused);
    r.londiste.configure("subscriber_db", &pooler.conninfo(&r.subscriber));
    let r = r.up();
    arm(&r.subscriber);
    close(&r.subscriber).unwrap();
    r.provider.sql("insert into t values (1, 'a')");
    r.assert_in_sync();
    r.provider.sql("insert into t select i, 'x' from generate_series(1000, 9000) i; update t set v = 'b' where id = 1");
    r.assert_in_sync();
    assert_refused(&r.subscriber.session(), "insert into t values (100, 'app')");
}
