//! Several subscribers of one queue.

use crate::support::{Replication, assert_same_rows, compare_tables, replay_until_in_sync, shop, wait_until_ok};

#[test]
fn two_subscribers_of_one_queue_are_both_equal() {
    let r = Replication::new().with_shop().up();
    let load = shop::crowd(&r.provider);
    let (second, database) = r.second_subscriber("db1-londiste-2");
    shop::build(&database);
    second.run("provider install");
    second.run("subscriber install");
    second.start();
    second.run("subscriber add --all");
    wait_until_ok(&database);
    load.stop();
    r.assert_in_sync();
    replay_until_in_sync(&r.provider, second.name());
    assert_same_rows(&r.provider, &database, &compare_tables(&r.provider));
}

#[test]
fn stopped_subscriber_does_not_hold_up_the_other() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    let (second, database) = r.second_subscriber("db1-londiste-2");
    database.sql("create table t (id int primary key)");
    second.run("subscriber install");
    second.start();
    second.run("subscriber add t");
    wait_until_ok(&database);
    second.stop();
    r.provider.sql("insert into t select generate_series(1, 100)");
    r.assert_in_sync();
    assert_eq!(database.value("select count(*) from t"), "0");
    second.start();
    replay_until_in_sync(&r.provider, second.name());
    assert_same_rows(&r.provider, &database, &["public.t"]);
}
