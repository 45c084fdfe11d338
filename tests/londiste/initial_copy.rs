//! The copy of a table that joins.

use crate::support::{Database, Replication, shop, wait_until};

#[test]
fn write_load_during_subscriber_add_ends_equal() {
    let r = Replication::new().with_shop();
    r.install();
    r.start();
    let load = shop::crowd(&r.provider);
    r.add("--all");
    r.wait_until_ok();
    assert!(load.stop() > 0);
    r.assert_in_sync();
}

#[test]
fn transaction_that_is_open_across_the_copys_snapshot_arrives_exactly_once() {
    let r = Replication::new().with_table("t", "id int primary key, data text");
    r.provider.sql("insert into t select i, 'before' from generate_series(1, 100) i");
    r.install();
    r.start();
    r.londiste.run("provider add t");
    let open = r.provider.session();
    open.sql(
        "begin; insert into t values (1001, 'written before the copy'); update t set data = 'changed' where id = 1",
    );
    r.londiste.run("subscriber add t");
    wait_until_copied(&r.subscriber);
    open.sql("insert into t values (1002, 'written after the copy'); delete from t where id = 2; commit");
    r.wait_until_ok();
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select string_agg(id::text, ' ' order by id) from t where id > 1000"), "1001 1002");
    // A second insert of the same key would have stopped replay.
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());
}

#[test]
fn transactions_that_end_around_the_copys_snapshot_arrive_exactly_once() {
    let r = Replication::new().with_table("t", "id bigserial primary key, data text");
    r.provider.sql("insert into t (data) select repeat('x', 200) from generate_series(1, 20000)");
    r.install();
    r.start();
    r.londiste.run("provider add t");
    // Many short transactions, so that some are in progress at any snapshot.
    let load = crate::support::Load::start(&r.provider, 4, |client, n| {
        format!("begin; insert into t (data) values ('{client}/{n}'); select pg_sleep(0.002); commit")
    });
    r.londiste.run("subscriber add t");
    r.wait_until_ok();
    load.stop();
    r.assert_in_sync();
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());
}

#[test]
fn rows_of_the_subscriber_are_replaced() {
    let r = Replication::new().with_table("t", "id int primary key, data text");
    r.provider.sql("insert into t values (1, 'provider')");
    r.subscriber.sql("insert into t values (1, 'subscriber'), (2, 'left over')");
    let r = r.up();
    r.assert_in_sync();
}

#[test]
fn keys_indexes_and_foreign_keys_are_as_before() {
    let r = Replication::new().with_shop();
    let before = (constraints(&r.subscriber), indexes(&r.subscriber));
    let r = r.up();
    wait_until("all foreign keys are back", || match constraints(&r.subscriber) {
        now if now == before.0 => Ok(()),
        now => Err(format!("{now:#?}")),
    });
    assert_eq!(indexes(&r.subscriber), before.1);
    assert_eq!(r.subscriber.value("select count(*) from londiste.subscriber_pending_fkeys"), "0");
    r.provider.sql("insert into orders (customer_id) values (1)");
    r.assert_in_sync();
}

#[test]
fn table_added_later_joins_while_others_go_on() {
    let r = Replication::new().with_shop();
    r.install();
    r.start();
    let load = shop::crowd(&r.provider);
    for table in ["customers", "products", "orders", "order_lines invoices", "StockMoves"] {
        r.add(table);
        r.wait_until_ok();
    }
    load.stop();
    r.assert_in_sync();
}

#[test]
fn small_tables_of_an_idle_provider_are_copied_at_once() {
    let r = Replication::new();
    for n in 0..10 {
        let table = format!("create table t{n} (id int primary key)");
        r.provider.sql(&table);
        r.subscriber.sql(&table);
    }
    r.ticker.run("install");
    r.londiste.run("provider install");
    r.londiste.run("subscriber install");
    r.start();
    // An idle queue ticks once a minute; the copies must not wait for it.
    r.provider.sql("update pgq.queue set queue_ticker_idle_period = '1 hour', queue_ticker_max_lag = '1 hour'");
    r.add("--all");
    r.wait_until_ok();
}

fn wait_until_copied(subscriber: &Database) {
    wait_until("the copy has its snapshot", || {
        match subscriber.rows("select merge_state, snapshot from londiste.subscriber_table").as_slice() {
            [row] if row[1] != "NULL" => Ok(()),
            rows => Err(format!("{rows:?}")),
        }
    });
}

fn constraints(database: &Database) -> Vec<String> {
    database.column(
        "select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
         where connamespace = 'public'::regnamespace order by 1",
    )
}

fn indexes(database: &Database) -> Vec<String> {
    database.column("select indexdef from pg_indexes where schemaname = 'public' order by 1")
}

/// A server refuses the binary form in which it sends a query without words.
#[test]
fn a_tsquery_without_words_is_copied() {
    let r = Replication::new().with_table("t", "id int primary key, q tsquery, more tsquery[]");
    r.provider.sql("insert into t values (1, '', '{\"\",x}'), (2, 'a & b', null), (3, null, '{}')");
    let r = r.up();
    r.assert_in_sync();
}
