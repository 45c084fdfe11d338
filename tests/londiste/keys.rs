//! Keys of the ini file whose effect is on replication: a test for each that shows it.

use pretty_assertions::assert_eq;

use crate::support::{Replication, wait_until};

#[test]
fn pgq_consumer_id_names_the_consumer_in_place_of_the_job() {
    let mut r = Replication::new().with_table("t", "id int primary key");
    r.londiste.configure("pgq_consumer_id", "the reader");
    r.provider.sql("insert into t values (1)");
    r.install();
    r.start();
    r.add("t");
    let consumers = "select co_name from pgq.consumer order by 1";
    wait_until("the table is copied", || {
        match r.subscriber.value("select merge_state = 'ok' from londiste.subscriber_table") {
            ok if ok == "t" => Ok(()),
            other => Err(other),
        }
    });
    assert_eq!(r.provider.column(consumers), ["the reader", "the reader_copy"]);
    wait_until("a batch is applied", || {
        match r.subscriber.column("select consumer_id from londiste.completed").as_slice() {
            [one] if one == "the reader" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let applications = "select distinct application_name from pg_stat_activity where datname = current_database()";
    assert!(r.subscriber.column(applications).contains(&"db1-londiste".to_owned()));
    r.londiste.stop();
    r.londiste.run("subscriber unregister");
    assert_eq!(r.provider.value("select count(*) from pgq.subscription"), "0");
}

#[test]
fn connection_lifetime_is_the_age_at_which_sessions_are_opened_anew() {
    let mut r = Replication::new().with_table("t", "id int primary key").up();
    let sessions = |r: &Replication| {
        let sql =
            "select pid from pg_stat_activity where application_name = 'db1-londiste' and datname = current_database()";
        (r.provider.column(sql), r.subscriber.column(sql))
    };
    r.londiste.configure("connection_lifetime", "1");
    r.londiste.reload();
    let before = sessions(&r);
    wait_until("both sessions are others", || {
        let (provider, subscriber) = sessions(&r);
        let renewed = |now: &[String], old: &[String]| !now.is_empty() && now.iter().all(|pid| !old.contains(pid));
        if renewed(&provider, &before.0) && renewed(&subscriber, &before.1) { Ok(()) } else { Err("not yet") }
    });
    r.provider.sql("insert into t values (1)");
    r.assert_in_sync();
    assert!(!r.londiste.log().contains("CRITICAL"));
    // 0 is for ever.
    r.londiste.configure("connection_lifetime", "0");
    r.londiste.reload();
    r.londiste.log_contains("{count: ", || {});
    r.provider.sql("insert into t values (2)");
    r.replay_until_in_sync();
    let kept = sessions(&r);
    for id in 3..9 {
        r.provider.sql(&format!("insert into t values ({id}); select pg_sleep(0.3)"));
        r.replay_until_in_sync();
    }
    assert_eq!(sessions(&r), kept);
}

#[test]
fn pgq_lazy_fetch_is_taken_and_changes_nothing() {
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.londiste.configure("pgq_lazy_fetch", "10");
    let r = r.up();
    r.provider.sql("begin; insert into t select i, 'x' from generate_series(1, 1000) i; select pgq.insert_event('db1-londiste-queue', 'X', ''); commit");
    // The original cannot put aside an event of an unknown type with this key.
    r.londiste.wait_for_log("INFO {count: 1001, ignored: 0, duration: ");
    r.assert_in_sync();
    assert!(!r.londiste.log().contains("CRITICAL"));
}

#[test]
fn lock_timeout_0_waits_for_a_lock_without_end() {
    let mut r = Replication::new().with_table("t", "id int primary key");
    r.install();
    r.londiste.configure("lock_timeout", "0");
    let writer = r.provider.session();
    writer.sql("begin; insert into t values (1)");
    std::thread::scope(|scope| {
        let add = scope.spawn(|| r.londiste.run("provider add t"));
        r.londiste.wait_for_log("INFO Waiting for a lock on public.t on provider, held by process ");
        assert!(!add.is_finished());
        writer.sql("commit");
    });
    assert_eq!(r.londiste.run("provider tables").stdout, "public.t\n");
}

#[test]
fn method_knows_only_the_direct_way() {
    let mut r = Replication::new();
    r.londiste.configure("method", "direct");
    r.londiste.run("subscriber install");
    r.londiste.configure("method", "file_write");
    let output = r.londiste.program(["replay"]).stdout("").status(1).run();
    assert!(output.stderr.contains("key \"method\": "), "{}", output.stderr);
    assert!(output.stderr.contains("file_write"), "{}", output.stderr);
}
