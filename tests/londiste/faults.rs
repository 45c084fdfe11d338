//! Nothing is lost or applied twice when a process or a server ends.

use crate::support::{Cluster, Replication, Shutdown, shop, wait_until};

#[test]
fn stopped_replay_goes_on_where_it_was() {
    let r = Replication::new().with_shop().up();
    let load = shop::crowd(&r.provider);
    for _ in 0..3 {
        r.londiste.log_contains("{count: ", || {});
        r.londiste.stop();
        r.londiste.start();
    }
    load.stop();
    r.assert_in_sync();
}

#[test]
fn killed_replay_goes_on_where_it_was() {
    let r = Replication::new().with_shop().up();
    let load = shop::crowd(&r.provider);
    for _ in 0..3 {
        r.londiste.log_contains("{count: ", || {});
        r.londiste.kill9();
        r.londiste.start();
    }
    load.stop();
    r.assert_in_sync();
}

#[test]
fn killed_copy_starts_over() {
    let r = Replication::new().with_shop();
    r.provider.sql("insert into orders (customer_id, note) select 1, repeat('x', 100) from generate_series(1, 50000)");
    r.install();
    r.start();
    let load = shop::crowd(&r.provider);
    r.add("--all");
    wait_until("the copy of orders runs", || {
        let sql = "select merge_state from londiste.subscriber_table where table_name = 'public.orders'";
        match r.subscriber.value(sql) {
            state if state == "in-copy" => Ok(()),
            state => Err(state),
        }
    });
    r.londiste.kill9();
    r.londiste.start();
    r.wait_until_ok();
    load.stop();
    r.assert_in_sync();
}

#[test]
fn ticker_and_replay_outlive_restarts_of_the_servers() {
    let provider = Cluster::builder().name("restarted-provider").start();
    let subscriber = Cluster::builder().name("restarted-subscriber").start();
    let r = Replication::between(&provider, &subscriber).with_table("t", "id int primary key").up();
    r.provider.sql("insert into t values (1)");
    provider.restart();
    r.provider.sql("insert into t values (2)");
    r.assert_in_sync();
    subscriber.stop(Shutdown::Immediate);
    r.provider.sql("insert into t values (3)");
    subscriber.start();
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from t"), "3");
}

#[test]
fn ticker_killed_and_started_again_ticks_on() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    r.ticker.kill9();
    r.provider.sql("insert into t values (1)");
    r.ticker.start();
    r.assert_in_sync();
}
