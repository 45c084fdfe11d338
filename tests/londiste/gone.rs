//! What replication rests on is dropped: the queue, its schema, schema `londiste`, on either side. Nobody may go on as if nothing
//! were the matter.

use std::time::Duration;

use crate::support::{Output, QUEUE, Replication, assert_same_rows, wait_until, wait_within};

fn up() -> Replication {
    let r = Replication::new()
        .with_schema("create table t (id int primary key, v text); create table u (id int primary key)");
    r.provider.sql("insert into t values (1, 'one')");
    let r = r.up();
    r.replay_until_in_sync();
    r
}

/// Waits until a job's log has a line of this level, with lines that belong to it, that has all of these words.
#[track_caller]
fn wait_for_report(job: &crate::support::Job, from: usize, level: &str, words: &[&str]) {
    wait_within(Duration::from_mins(1), &format!("{level} {words:?}"), || {
        let log = job.log().split_off(from);
        let says = |report: &str| {
            let report = report.split("\n20").next().unwrap_or_default();
            words.iter().all(|word| report.contains(word))
        };
        if log.split(&format!(" {level} ")).skip(1).any(says) { Ok(()) } else { Err(log) }
    });
}

fn check(r: &Replication) -> Output {
    r.londiste.program(["subscriber", "check"]).status(1).run()
}

fn status(r: &Replication) -> String {
    let Output { stdout, stderr, .. } = r.londiste.program(["subscriber", "status"]).output();
    stdout + &stderr
}

#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// A new session of replay reads the states of the tables in a transaction, where nothing can be asked any more once a statement has
/// failed. It waits there while the table goes.
#[test]
fn a_table_of_schema_londiste_is_gone_on_the_subscriber() {
    let r = up();
    r.londiste.stop();
    let operator = r.subscriber.session();
    operator.sql("begin; lock table londiste.crash_mark in access exclusive mode");
    let replay = r.londiste.log().len();
    r.londiste.start();
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    wait_until("replay looks for emptied tables", || match r.subscriber.value(waiting).as_str() {
        "1" => Ok(()),
        other => Err(other.to_owned()),
    });
    operator.sql("alter table londiste.subscriber_table rename to away; commit");
    wait_for_report(&r.londiste, replay, "CRITICAL", &["list the subscribed tables", "does not exist (42P01)"]);
    r.subscriber.sql("alter table londiste.away rename to subscriber_table");
    r.provider.sql("insert into t values (2, 'two')");
    r.assert_in_sync();
}

#[test]
fn schema_londiste_is_gone_on_the_provider() {
    let r = up();
    // The ticker has to have seen the tables: the second round has begun after they were added.
    for _ in 0..2 {
        r.ticker.log_contains("INFO {maint_duration: ", || r.ticker.reload());
    }
    let (replay, ticker) = (r.londiste.log().len(), r.ticker.log().len());
    r.provider.sql("drop schema londiste cascade; insert into t values (2, 'not captured')");
    let words = ["schema londiste", "provider install"];
    assert_says(&status(&r), &words);
    assert_says(&check(&r).stderr, &words);
    r.londiste.reload();
    r.ticker.reload();
    wait_for_report(&r.londiste, replay, "CRITICAL", &words);
    wait_for_report(&r.ticker, ticker, "WARNING", &["schema londiste"]);
    // Installed anew, the provider does not know what went by.
    r.londiste.stop();
    r.londiste.run("provider install");
    r.londiste.run("provider add t");
    let anew = format!("it was added to queue {QUEUE} on provider anew");
    let gone = format!(
        "it is not in queue {QUEUE} on provider any more: add it there with \"rlondiste INI provider add public.u\""
    );
    assert_says(&status(&r), &[&anew, &gone]);
    assert_says(&check(&r).stderr, &[&anew, &gone]);
    let replay = r.londiste.log().len();
    r.londiste.start();
    wait_for_report(&r.londiste, replay, "WARNING", &["public.t has to be copied again", &anew]);
    wait_for_report(&r.londiste, replay, "WARNING", &["public.u is not copied", "provider add public.u"]);
    let gone = format!("Table public.u is not replicated: {gone}");
    assert_says(&check(&r).stderr, &[&gone]);
    r.provider.sql("insert into u values (1)");
    r.londiste.run("provider add u");
    r.londiste.reload();
    r.wait_until_ok();
    r.assert_in_sync();
    r.londiste.program(["subscriber", "check"]).run();
    assert_eq!(r.londiste.log()[replay..].matches("has to be copied again").count(), 2, "{}", r.londiste.log());
}

#[test]
fn schema_pgq_is_gone() {
    let r = up();
    let (replay, ticker) = (r.londiste.log().len(), r.ticker.log().len());
    // The daemons have locks too, in another order.
    wait_until("the schema is dropped without a deadlock", || r.provider.try_rows("drop schema pgq cascade").map(drop));
    let words = ["schema pgq", "install"];
    assert_says(&status(&r), &words);
    assert_says(&check(&r).stderr, &words);
    wait_for_report(&r.londiste, replay, "CRITICAL", &words);
    wait_for_report(&r.ticker, ticker, "CRITICAL", &["\"pgq", "does not exist", "install"]);
    // A new schema and queue, and the old position.
    r.ticker.run("install");
    let ticker = r.ticker.log().len();
    r.ticker.reload();
    wait_for_report(&r.ticker, ticker, "WARNING", &[QUEUE, "does not exist", "public.t", "provider_remove_table"]);
    let words = [QUEUE, "does not exist"];
    assert_says(&status(&r), &words);
    assert_says(&check(&r).stderr, &words);
    r.londiste.run("provider install");
    let words = ["not registered", "resync --all"];
    assert_says(&status(&r), &words);
    assert_says(&check(&r).stderr, &words);
    r.provider.sql("insert into t values (2, 'two')");
    let replay = r.londiste.log().len();
    r.londiste.reload();
    wait_for_report(&r.londiste, replay, "CRITICAL", &words);
    r.londiste.run("subscriber resync --all");
    r.londiste.reload();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "u"]);
}

#[test]
fn queue_is_gone() {
    let r = up();
    let (replay, ticker) = (r.londiste.log().len(), r.ticker.log().len());
    r.provider
        .sql("truncate pgq.subscription; drop table pgq.event_1 cascade; delete from pgq.tick; delete from pgq.queue");
    let words = [QUEUE, "does not exist", "provider install"];
    assert_says(&status(&r), &words);
    assert_says(&check(&r).stderr, &words);
    r.londiste.reload();
    r.ticker.reload();
    wait_for_report(&r.londiste, replay, "CRITICAL", &words);
    wait_for_report(&r.ticker, ticker, "WARNING", &[QUEUE, "does not exist", "public.t"]);
}

/// `provider remove` and `provider add` are told by an event, and what is told is not told twice.
#[test]
fn table_that_an_event_tells_of_is_copied_once() {
    let r = up();
    let from = r.londiste.log().len();
    r.londiste.stop();
    r.ticker.stop();
    r.londiste.run("provider remove t u");
    r.provider.sql("insert into t values (2, 'not captured')");
    r.londiste.run("provider add t");
    r.londiste.start();
    wait_until("replay has looked at the set and for a batch", || {
        let seen = r.provider.value("select count(*) from pg_stat_activity where query ~ 'from pgq.next_batch'");
        if seen == "0" { Err("not yet".to_owned()) } else { Ok(()) }
    });
    r.ticker.start();
    wait_until("u is not subscribed to", || {
        let tables = r.subscriber.column("select table_name from londiste.subscriber_table");
        if tables == ["public.t"] { Ok(()) } else { Err(format!("{tables:?}")) }
    });
    r.wait_until_ok();
    assert_same_rows(&r.provider, &r.subscriber, &["t"]);
    let log = r.londiste.log().split_off(from);
    assert_eq!(log.matches(" WARNING ").count(), 1, "{log}");
    assert_eq!(log.matches("start copy").count(), 1, "{log}");
}

/// Taken out by the function, as the hint for writers says, which tells no subscriber.
#[test]
fn table_is_out_of_the_set() {
    let r = up();
    let from = r.londiste.log().len();
    r.provider
        .sql(&format!("select londiste.provider_remove_table('{QUEUE}', 'public.t'); insert into t values (2, 'x')"));
    let words = ["public.t", "is not in queue", QUEUE, "provider add"];
    assert_says(&check(&r).stderr, &words);
    assert_says(&status(&r), &["is not in queue"]);
    r.londiste.reload();
    wait_for_report(&r.londiste, from, "WARNING", &words);
    assert_says(&check(&r).stderr, &words);
    let copy = r.londiste.program(["copy"]).run();
    assert!(copy.stderr.contains("Table public.t is not copied"), "{}", copy.stderr);
    r.londiste.run("provider add t");
    r.wait_until_ok();
    r.assert_in_sync();
    r.londiste.program(["subscriber", "check"]).run();
}

#[test]
fn schema_londiste_is_gone_on_the_subscriber() {
    let r = up();
    let from = r.londiste.log().len();
    r.subscriber.sql("drop schema londiste cascade");
    let words = ["schema \"londiste\" does not exist", "Run \"rlondiste INI subscriber install\" first"];
    assert_says(&status(&r), &words);
    assert_says(&check(&r).stderr, &words);
    wait_for_report(&r.londiste, from, "CRITICAL", &["schema londiste", "subscriber install"]);
    r.londiste.run("subscriber install");
    r.londiste.run("subscriber add --all");
    r.provider.sql("insert into t values (2, 'two')");
    r.wait_until_ok();
    r.assert_in_sync();
}
