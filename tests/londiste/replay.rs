//! What reaches the subscriber, and what does not.

use crate::support::{QUEUE, Replication, wait_until};

/// A replicated table with these columns.
fn replicated(columns: &str) -> Replication {
    Replication::new().with_table("t", columns).up()
}

#[test]
fn inserts_updates_and_deletes_arrive() {
    let r = replicated("id int primary key, data text");
    r.provider.sql("insert into t select i, 'new' from generate_series(1, 50) i");
    r.provider.sql("update t set data = 'changed' where id % 2 = 0");
    r.provider.sql("delete from t where id % 5 = 0");
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from t"), "40");
}

/// Replay says that it waits, so events do not wait for `ticker_max_lag`; not even those of a transaction that was open when the
/// tick of later ones was made.
#[test]
fn events_get_their_tick_when_they_come() {
    let r = replicated("id int primary key");
    let settings =
        ["('ticker_max_lag', '1 hour')", "('ticker_idle_period', '1 hour')", "('ticker_max_count', '1000000')"];
    for setting in settings {
        r.provider.sql(&format!("select pgq.set_queue_config('{QUEUE}', n, v) from (values {setting}) s(n, v)"));
    }
    let arrives = |id: u32| {
        wait_until(&format!("row {id} arrives"), || {
            match r.subscriber.value(&format!("select count(*) from t where id = {id}")).as_str() {
                "1" => Ok(()),
                _ => Err(r.subscriber.column("select id from t order by id").join(" ")),
            }
        });
    };
    for id in 1..4 {
        r.provider.sql(&format!("insert into t values ({id})"));
        arrives(id);
    }
    let session = r.provider.session();
    session.sql("begin; insert into t values (11)");
    r.provider.sql("insert into t values (12)");
    arrives(12);
    session.sql("commit");
    arrives(11);
}

#[test]
fn values_arrive_as_they_are() {
    let r = replicated(
        "id int primary key, \"Mixed Name\" text, j jsonb, b bytea, a text[], n numeric, ts timestamptz, f float8, \"select\" bool",
    );
    r.provider.sql(
        r#"insert into t values
            (1, 'it''s \ "x"', '{"a": null, "b": [1, "\\"]}', '\x00ff5c27', array['a,b', null, '"', '\'], 1.500, now(), 0.1, true),
            (2, null, 'null', '', '{}', 'NaN', 'infinity', '-infinity', false),
            (3, '', null, null, null, null, null, 1e-300, null),
            (4, E'tab\t newline\n return\r', '""', '\x', array[''], -0.0001, '0044-03-15 12:00 BC', 'NaN', true);
        update t set "Mixed Name" = null where id = 3;
        update t set "Mixed Name" = '' where id = 2"#,
    );
    r.assert_in_sync();
}

#[test]
fn changed_key_moves_the_row() {
    let r = replicated("a int, b text, data text, primary key (a, b)");
    r.provider.sql("insert into t values (1, 'x', 'one'), (2, 'y', 'two')");
    r.provider.sql("update t set a = 10 where a = 1; update t set b = 'z', data = 'moved' where a = 2");
    r.assert_in_sync();
    assert_eq!(r.subscriber.column("select row(t.*)::text from t order by a"), ["(2,z,moved)", "(10,x,one)"]);
}

#[test]
fn rolled_back_changes_do_not_arrive() {
    let r = replicated("id int primary key");
    let session = r.provider.session();
    session.sql("begin; insert into t values (1); rollback");
    session.sql("begin; insert into t values (2); savepoint s; insert into t values (3); rollback to s; commit");
    r.assert_in_sync();
    assert_eq!(r.subscriber.column("select id from t"), ["2"]);
}

#[test]
fn transaction_arrives_as_a_whole() {
    let r = replicated("id int primary key");
    r.provider.sql("begin; insert into t select generate_series(1, 20000); commit");
    let session = r.subscriber.session();
    wait_until("the rows are there", || match session.value("select count(*) from t").as_str() {
        "20000" => Ok(()),
        "0" => Err("none yet".to_owned()),
        some => panic!("a part of a transaction is visible: {some} rows"),
    });
}

#[test]
fn names_with_capitals_blanks_and_quotes_work() {
    let r = Replication::new()
        .with_schema(r#"create schema "Odd Schema""#)
        .with_table(r#""Odd Schema"."It's ""one""""#, r#""The Key" int primary key, "order" text"#)
        .up();
    r.provider.sql(r#"insert into "Odd Schema"."It's ""one""" values (1, 'a'), (2, 'b')"#);
    r.provider.sql(r#"update "Odd Schema"."It's ""one""" set "order" = 'c' where "The Key" = 1"#);
    r.assert_in_sync();
}

#[test]
fn tables_that_are_not_added_stay_as_they_are() {
    let r = Replication::new().with_table("t", "id int primary key").with_table("other", "id int primary key");
    r.install();
    r.start();
    r.add("t");
    r.wait_until_ok();
    r.provider.sql("insert into other values (1); insert into t values (1)");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from other"), "0");
    assert_eq!(r.subscriber.value("select count(*) from t"), "1");
}

#[test]
fn sequences_follow() {
    let r = Replication::new().with_table("t", "id serial primary key").with_schema("create sequence \"Other Seq\"");
    r.install();
    r.start();
    r.add("--all");
    r.londiste.program(["provider", "add-seq", "--all"]).stdout("").run();
    r.londiste.program(["subscriber", "add-seq", "--all"]).stdout("").run();
    let names = "public.Other Seq\npublic.t_id_seq\n";
    r.londiste.program(["provider", "seqs"]).stdout(names).stderr("").run();
    r.londiste.program(["subscriber", "seqs"]).stdout(names).stderr("").run();
    r.provider.sql("insert into t select from generate_series(1, 77); select setval('\"Other Seq\"', 1234567)");
    r.assert_sequences_in_sync();
    assert_eq!(r.subscriber.value("select last_value from t_id_seq"), "77");
}

#[test]
fn stats_line_counts_the_events_of_a_batch() {
    let r = replicated("id int primary key");
    r.londiste.log_contains("{count: 3, ignored: 0, duration: ", || {
        r.provider.sql("begin; insert into t values (1), (2); delete from t where id = 1; commit");
    });
}

#[test]
fn tables_and_sequences_are_listed_by_the_provider() {
    let r = Replication::new().with_shop();
    r.install();
    r.londiste.program(["provider", "tables"]).stdout("").stderr("").run();
    r.londiste.run("provider add products customers");
    r.londiste.program(["provider", "tables"]).stdout("public.products\npublic.customers\n").stderr("").run();
    r.londiste
        .program(["subscriber", "missing"])
        .stdout("Table: public.products\nTable: public.customers\n")
        .stderr("")
        .run();
}
