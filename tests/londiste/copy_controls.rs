//! What an operator can do about a copy: limit its rate, choose its rows, remove the table, mend what fails.

use crate::support::{Replication, wait_until};

/// 50 kB of rows.
fn with_rows() -> Replication {
    let r = Replication::new().with_table("t", "id int primary key, data text");
    r.provider.sql("insert into t select i, repeat('x', 500) from generate_series(1, 2000) i");
    r
}

fn wait_until_copying(r: &Replication, table: &str) {
    r.londiste.wait_for_log(&format!("public.{table}: start copy"));
}

fn wait_until_no_copy_consumer(r: &Replication) {
    wait_until("no copy has a consumer", || {
        let sql = "select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name like '%_copy%'";
        let left = r.provider.column(sql);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

#[test]
fn limit_of_the_rate_is_changed_while_a_copy_runs() {
    let mut r = with_rows();
    r.londiste.configure("copy_rate_limit", "1");
    r.install();
    r.start();
    r.add("t");
    wait_until_copying(&r, "t");
    // At 1 byte a second it would take days; replay goes on meanwhile.
    r.provider.sql("insert into t values (5000, 'later')");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select merge_state from londiste.subscriber_table"), "in-copy");
    if r.subscriber.major() >= 14 {
        shows_progress(&r);
    }
    r.londiste.configure("copy_rate_limit", "0");
    r.londiste.reload();
    r.wait_until_ok();
    r.assert_in_sync();
}

/// The server counts rows as it stores them.
fn shows_progress(r: &Replication) {
    r.provider.sql("analyze t");
    wait_until("the progress of t is shown", || {
        let shown = r.londiste.run("subscriber tables --progress").stdout;
        let line = shown.lines().nth(1).unwrap_or_default().to_owned();
        if line.starts_with("public.t ") && line.contains(" rows, ") { Ok(()) } else { Err(shown) }
    });
    let json = r.londiste.run("subscriber tables --progress --json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["state"], "in-copy");
    assert_eq!(json[0]["progress"]["step"], "rows");
    assert!(json[0]["progress"]["seconds"].as_f64().is_some_and(|s| s > 0.0), "{json}");
}

#[test]
fn copy_that_is_slow_by_its_limit_ends_with_a_stop() {
    let mut r = with_rows();
    r.londiste.configure("copy_rate_limit", "1");
    r.install();
    r.start();
    r.add("t");
    wait_until_copying(&r, "t");
    r.londiste.stop();
    wait_until_no_copy_consumer(&r);
    r.londiste.unset("copy_rate_limit");
    r.londiste.start();
    r.wait_until_ok();
    r.assert_in_sync();
}

#[test]
fn condition_chooses_the_rows_of_a_copy() {
    let mut r = with_rows();
    r.londiste.configure("copy_condition", "public.t: id %% 100 = 0 and data <> ':'");
    r.install();
    r.start();
    r.add("t");
    r.wait_until_ok();
    r.londiste.wait_for_log(
        "WARNING public.t: only rows where id % 100 = 0 and data <> ':' are copied; replay applies the changes of all rows",
    );
    assert_eq!(r.subscriber.value("select count(*) from t"), "20");
    r.provider.sql("insert into t values (3001, 'all rows are replayed')");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from t"), "21");
}

#[test]
fn removed_table_ends_its_copy_and_gets_back_what_was_dropped() {
    let mut r = with_rows();
    r.subscriber.sql(
        "create table child (id int primary key, t_id int constraint child_t references t);
         create function f() returns trigger language plpgsql as 'begin return new; end';
         create trigger own before insert on t for each row execute procedure f();
         insert into t values (1, 'old'); insert into child values (1, 1)",
    );
    r.londiste.configure("copy_rate_limit", "1");
    r.install();
    r.start();
    r.add("t");
    wait_until_copying(&r, "t");
    assert_eq!(r.subscriber.value("select fkey_name from londiste.subscriber_pending_fkeys"), "child_t");
    r.londiste.stop();
    r.londiste.run("subscriber remove t");
    assert_eq!(r.subscriber.value("select convalidated from pg_constraint where conname = 'child_t'"), "t");
    assert_eq!(r.subscriber.value("select tgname from pg_trigger where not tgisinternal"), "own");
    assert_eq!(r.subscriber.rows("select data from t"), [["old"]]);
    // The same while replay runs: it ends the copy.
    r.londiste.start();
    r.londiste.log_contains("public.t: start copy", || {
        r.londiste.run("subscriber add t");
    });
    r.londiste.run("subscriber remove t");
    r.londiste.wait_for_log("Table public.t has been removed, ending its copy");
    wait_until_no_copy_consumer(&r);
    wait_until("the foreign key is back", || {
        match r.subscriber.column("select fkey_name from londiste.subscriber_pending_fkeys").as_slice() {
            [] => Ok(()),
            left => Err(format!("{left:?}")),
        }
    });
    assert_eq!(r.subscriber.value("select convalidated from pg_constraint where conname = 'child_t'"), "t");
    assert_eq!(r.subscriber.rows("select data from t"), [["old"]]);
}

#[test]
fn unregistered_job_has_its_foreign_keys_and_triggers_back() {
    let mut r = with_rows();
    r.subscriber.sql(
        "create table child (id int primary key, t_id int constraint child_t references t);
         create function f() returns trigger language plpgsql as 'begin return new; end';
         create trigger own before insert on t for each row execute procedure f()",
    );
    r.londiste.configure("copy_rate_limit", "1");
    r.install();
    r.start();
    r.add("t");
    wait_until_copying(&r, "t");
    r.londiste.stop();
    let triggers = "select tgname from pg_trigger where not tgisinternal";
    assert!(r.subscriber.column(triggers).is_empty());
    r.londiste.run("subscriber unregister");
    assert_eq!(r.subscriber.column(triggers), ["own"]);
    assert_eq!(r.subscriber.value("select count(*) from londiste.subscriber_pending_triggers"), "0");
    assert_eq!(r.subscriber.value("select convalidated from pg_constraint where conname = 'child_t'"), "t");
    assert_eq!(r.subscriber.value("select count(*) from londiste.subscriber_pending_fkeys"), "0");
    assert_eq!(r.provider.value("select count(*) from pgq.subscription"), "0");
    r.londiste.unset("copy_rate_limit");
    r.londiste.run("subscriber register");
    r.londiste.start();
    r.wait_until_ok();
    r.replay_until_in_sync();
}

#[test]
fn table_that_fails_is_tried_again_while_others_go_on() {
    let r = Replication::new();
    for database in [&r.provider, &r.subscriber] {
        database.sql("create table good (id int primary key); create table bad (id int primary key)");
    }
    r.provider
        .sql("alter table bad add column more text; insert into bad values (1, 'more'); insert into good values (1)");
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.londiste.run("subscriber add bad --force");
    r.londiste.wait_for_log("copy of public.bad failed, next try in 1 s");
    r.londiste.wait_for_log("alter table \"public\".\"bad\" add column \"more\" text");
    r.londiste.wait_for_log("copy of public.bad failed, next try in 2 s");
    r.londiste.run("subscriber add good");
    r.londiste.wait_for_log("Table public.good status changed to 'ok'");
    r.provider.sql("insert into good values (2)");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from good"), "2");
    r.subscriber.sql("alter table bad add column more text");
    r.wait_until_ok();
    r.assert_in_sync();
}

#[test]
fn violated_foreign_key_is_reported_with_its_keys_and_comes_back_when_mended() {
    let schema = "
        create table customers (shop int, id int, primary key (shop, id));
        create table orders (id int primary key, shop int, customer int)";
    let r = Replication::new().with_schema(schema);
    r.subscriber.sql(
        "alter table orders add constraint orders_customer foreign key (shop, customer) references customers;
         comment on constraint orders_customer on orders is 'kept'",
    );
    r.provider.sql(
        "insert into customers values (1, 1);
         insert into orders select i, 1, i % 15 + 1 from generate_series(1, 60) i; insert into orders values (100, 1, null)",
    );
    r.install();
    r.start();
    r.add("--all");
    r.wait_until_ok();
    r.londiste.wait_for_log("ERROR foreign key orders_customer (public.orders --> public.customers) stays pending");
    let keys = "keys (shop, customer) of public.orders that public.customers does not have: \
                (1,10), (1,11), (1,12), (1,13), (1,14), (1,15), (1,2), (1,3), (1,4), (1,5), and more";
    r.londiste.wait_for_log(keys);
    let sql = "select count(*) from londiste.fkey_failure";
    wait_until("the reason is stored", || if r.subscriber.value(sql) == "1" { Ok(()) } else { Err("it is not") });
    let shown = r.londiste.run("subscriber fkeys pending").stdout;
    assert!(shown.contains("pending fkeys\n") && shown.contains("failed fkeys\n"), "{shown}");
    assert!(shown.contains("(23503)") && shown.contains(keys), "{shown}");
    let json = r.londiste.run("subscriber fkeys --json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["failed_fkeys"][0]["fkey_name"], "orders_customer");
    // Replay is not held up by it.
    r.provider.sql("insert into orders values (200, 1, 14)");
    r.assert_in_sync();
    r.provider.sql("insert into customers select 1, i from generate_series(2, 15) i");
    r.assert_in_sync();
    // A new start looks at once, not after a minute.
    r.londiste.stop();
    r.londiste.start();
    wait_until("the foreign key is back", || {
        let sql = "select convalidated, obj_description(oid) from pg_constraint where conname = 'orders_customer'";
        let pending = "select count(*) from londiste.subscriber_pending_fkeys";
        match (r.subscriber.rows(sql), r.subscriber.value(pending)) {
            (rows, left) if rows == [["t", "kept"]] && left == "0" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(r.subscriber.value(sql), "0");
    assert!(!r.londiste.run("subscriber fkeys").stdout.contains("failed"));
}

#[test]
fn tables_that_expect_sync_or_skip_truncate_join_under_load() {
    let r = Replication::new().with_schema(
        "create table synced (id int primary key, data text); create table kept (id int primary key, data text)",
    );
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.londiste.run("subscriber add synced --expect-sync");
    r.subscriber.sql("insert into kept values (-1, 'only here')");
    let load = crate::support::Load::start(&r.provider, 2, |client, n| {
        let id = client * 1_000_000 + n;
        format!(
            "insert into synced values ({id}, 'a'); insert into kept values ({id}, 'a');
                 update kept set data = 'b' where id = {id}; delete from kept where id = {id} - 5"
        )
    });
    r.replay_until_in_sync();
    r.londiste.run("subscriber add kept --skip-truncate");
    r.wait_until_ok();
    load.stop();
    r.replay_until_in_sync();
    crate::support::assert_same_rows(&r.provider, &r.subscriber, &["synced"]);
    assert_eq!(r.subscriber.value("select data from kept where id = -1"), "only here");
    r.subscriber.sql("delete from kept where id = -1");
    crate::support::assert_same_rows(&r.provider, &r.subscriber, &["kept"]);
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());
}

#[test]
fn copy_command_ends_when_nothing_is_left() {
    let r = Replication::new().with_shop();
    r.install();
    r.ticker.start();
    r.londiste.run("subscriber register");
    r.add("--all");
    r.londiste.run("copy");
    let states = r.subscriber.column("select distinct split_part(merge_state, ':', 1) from londiste.subscriber_table");
    assert_eq!(states, ["wanna-sync"]);
    r.provider.sql("delete from orders where id < 100");
    r.londiste.start();
    r.wait_until_ok();
    r.assert_in_sync();
    wait_until_no_copy_consumer(&r);
}

#[test]
fn copies_of_an_idle_provider_wait_for_no_tick_of_its_own() {
    let r = Replication::new();
    let one = |n: u32| format!("create table t{n} (id int primary key, data text); create index on t{n} (data);");
    let tables = (0..40).map(one).collect::<Vec<_>>().join("\n");
    r.provider.sql(&tables);
    r.subscriber.sql(&tables);
    r.provider.sql(
        "do $$ begin for n in 0..39 loop execute format('insert into t%s values (1, ''x'')', n); end loop; end $$",
    );
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.provider.sql("update pgq.queue set queue_ticker_idle_period = '1 hour', queue_ticker_max_lag = '1 hour'");
    r.londiste.run("subscriber add --all");
    r.wait_until_ok();
    r.provider.sql("update pgq.queue set queue_ticker_idle_period = '200 ms', queue_ticker_max_lag = '200 ms'");
    r.assert_in_sync();
}
