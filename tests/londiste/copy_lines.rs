//! What replay and copy log about the life of a table, and what they say when a copy fails.

use pretty_assertions::assert_eq;

use super::log_lines::{log, logged_after};
use crate::support::{Replication, wait_until};

const ORDERS: &str = "
    create table customers (id int primary key, name text);
    create table orders (id int primary key, customer_id int references customers, amount int, note text,
                         constraint amount_pos check (amount > 0));
    create index orders_customer_idx on orders (customer_id);
    create index orders_note_idx on orders (note);
";

/// Ready to replicate, with replay at work and `customers` in sync.
fn with_customers() -> Replication {
    let r = Replication::new().with_schema(ORDERS);
    r.provider.sql(
        "insert into customers values (1, 'a');
         insert into orders select i, 1, 5, 'note ' || i from generate_series(1, 3000) i",
    );
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.londiste.run("subscriber add customers");
    wait_until_settled(&r);
    r
}

/// All tables are `ok`, need no snapshot any more, and no foreign key is pending.
fn wait_until_settled(r: &Replication) {
    wait_until("everything is settled", || {
        let left = r.subscriber.value(
            "select (select count(*) from londiste.subscriber_table where merge_state <> 'ok' or merge_state is null or snapshot is not null)
                  + (select count(*) from londiste.subscriber_pending_fkeys)",
        );
        if left == "0" { Ok(()) } else { Err(left) }
    });
}

#[test]
fn the_life_of_a_table_is_logged_as_by_the_original() {
    let r = with_customers();
    let start = r.londiste.log().len();
    r.londiste.run("subscriber add orders");
    wait_until_settled(&r);
    let expected = [
        "INFO Checking public.orders",
        "INFO Adding public.orders",
        "INFO Dropping fkey: orders_customer_id_fkey",
        "INFO storing state of public.orders: copy:0 new_state:in-copy",
        "INFO Table public.orders status changed to 'in-copy'",
        "INFO Launching copy process",
        "INFO Resetting queue tracking on dst side",
        "INFO Starting full copy of public.orders",
        "INFO Dropping public.orders_note_idx",
        "INFO Dropping public.orders_customer_idx",
        "INFO Dropping amount_pos",
        "INFO Dropping orders_pkey",
        "INFO public.orders: truncating",
        "INFO public.orders: start copy",
        "INFO public.orders: copy finished: N bytes, 3000 rows",
        "INFO Creating orders_pkey",
        "INFO Creating amount_pos",
        "INFO Creating public.orders_customer_idx",
        "INFO Creating public.orders_note_idx",
        "INFO storing state of public.orders: copy:1 new_state:catching-up",
        "INFO storing state of public.orders: copy:1 new_state:wanna-sync:N",
        "INFO Table public.orders status changed to 'wanna-sync:N'",
        "INFO storing state of public.orders: copy:0 new_state:do-sync:N",
        "INFO Table public.orders status changed to 'do-sync:N'",
        "INFO storing state of public.orders: copy:1 new_state:ok",
        "INFO Table public.orders status changed to 'ok'",
        "INFO storing state of public.orders: copy:0 new_state:ok",
        "INFO Creating fkey: orders_customer_id_fkey (public.orders --> public.customers)",
    ];
    assert_eq!(logged_after(&r.londiste, start), expected);
    r.assert_in_sync();
}

#[test]
fn skip_truncate_keeps_the_rows_that_are_there() {
    let r = Replication::new().with_table("t", "id int primary key");
    r.provider.sql("insert into t values (1)");
    r.subscriber.sql("insert into t values (2)");
    r.install();
    r.start();
    r.londiste.run("provider add t");
    r.londiste.run("subscriber add t --skip-truncate");
    r.wait_until_ok();
    assert!(r.londiste.log().contains("INFO public.t: skipping truncate\n"));
    assert_eq!(r.subscriber.column("select id from t order by id"), ["1", "2"]);
    let skip = "select skip_truncate is null from londiste.subscriber_table";
    assert_eq!(r.subscriber.value(skip), "t");
}

#[test]
fn a_copy_that_fails_leaves_the_table_as_it_was_and_replay_goes_on() {
    let r = with_customers();
    r.subscriber.sql("create table more (id int primary key, v text); insert into more values (1, 'old')");
    r.provider.sql("create table more (id int primary key, v text); insert into more values (1, 'new')");
    r.londiste.run("provider add more");
    r.londiste.run("subscriber add more --skip-truncate");
    r.londiste
        .wait_for_log("CRITICAL copy of public.more failed, next try in 1 s: could not create an index or constraint");
    r.londiste.wait_for_log("could not create unique index \"more_pkey\" (23505)\nDETAIL: Key (id)=(1) is duplicated.");
    assert_eq!(
        r.subscriber.value("select merge_state from londiste.subscriber_table where table_name = 'public.more'"),
        "in-copy"
    );
    assert_eq!(r.subscriber.rows("select * from more"), [["1", "old"]]);
    assert_eq!(r.subscriber.value("select count(*) from pg_indexes where indexname = 'more_pkey'"), "1");
    // The others go on meanwhile.
    r.provider.sql("insert into customers values (2, 'b')");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from customers"), "2");
    // And the next try succeeds by itself once the cause is gone.
    r.subscriber.sql("delete from more");
    r.wait_until_ok();
    assert_eq!(r.subscriber.rows("select * from more"), [["1", "new"]]);
}

#[test]
fn a_copy_without_its_column_or_table_says_what_to_run() {
    let r = with_customers();
    r.provider.sql("create table c (id int primary key, v text); create table g (id int primary key)");
    r.subscriber.sql("create table c (id int primary key); create table g (id int primary key)");
    r.londiste.run("provider add c g");
    r.londiste.run("subscriber add c g --force");
    r.subscriber.sql("drop table if exists g");
    r.londiste.run("subscriber resync c g");
    r.londiste.wait_for_log("CRITICAL copy of public.c failed, next try in 1 s: public.c: Column v does not exist on dest side\nHINT: Run on subscriber (");
    r.londiste.wait_for_log("): alter table \"public\".\"c\" add column \"v\" text\n");
    r.subscriber.sql("alter table c add column v text; create table if not exists g (id int primary key)");
    r.wait_until_ok();
    r.subscriber.sql("drop table g");
    r.londiste.run("subscriber resync g");
    r.londiste.wait_for_log("failed, next try in 1 s: Table not found: public.g on subscriber (");
    r.londiste.wait_for_log("HINT: Create it there, or run \"subscriber remove public.g\".\n");
    let removed = log(&["INFO Removing: public.g"]);
    r.londiste.program(["subscriber", "remove", "g"]).stdout("").stderr(removed).run();
    r.provider.sql("insert into c values (1, 'x')");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.rows("select * from c"), [["1", "x"]]);
}

#[test]
fn copy_by_hand_ends_at_once_without_work_and_else_when_only_replay_can_go_on() {
    let r = with_customers();
    r.londiste.program(["copy"]).stdout("").stderr("").run();
    r.londiste.stop();
    r.londiste.run("subscriber add orders");
    let output = r.londiste.program(["copy"]).stdout("").run();
    assert!(output.stderr.contains("INFO public.orders: copy finished: "), "{}", output.stderr);
    let state =
        "select split_part(merge_state, ':', 1) from londiste.subscriber_table where table_name = 'public.orders'";
    assert_eq!(r.subscriber.value(state), "wanna-sync");
    r.londiste.start();
    r.wait_until_ok();
    r.assert_in_sync();
}

#[test]
fn a_stop_during_the_copy_leaves_nothing_behind_on_the_provider() {
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.provider.sql("insert into t select i, repeat('x', 1000) from generate_series(1, 20000) i");
    r.londiste.configure("copy_rate_limit", "1MB");
    r.install();
    r.start();
    r.add("t");
    r.londiste.wait_for_log("INFO public.t: start copy\n");
    r.londiste.stop();
    let consumers = "select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer";
    assert_eq!(r.provider.column(consumers), ["db1-londiste"]);
    assert_eq!(r.subscriber.value("select merge_state from londiste.subscriber_table"), "in-copy");
    assert!(!r.londiste.pidfile().exists());
    r.londiste.configure("copy_rate_limit", "0");
    r.londiste.start();
    r.wait_until_ok();
    r.assert_in_sync();
}
