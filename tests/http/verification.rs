//! `verify_interval`: rows that differ are found beside replay and told everywhere, and nothing else is.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{Client, wait_for_metrics};
use crate::support::{Replication, Session, wait_until};

const TABLE: [(&str, &str); 1] = [("table", "public.t")];

/// Table `t` with so many rows on both sides, and replay that verifies within this time.
fn verifying(rows: u32, interval: &str, set: &[(&str, &str)]) -> (Replication, Client) {
    let http = Client::new();
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.provider.sql(&format!("insert into t select i, 'v' || i from generate_series(1, {rows}) i; analyze t"));
    r.londiste.configure("http_listen", &http.port_text());
    r.londiste.configure("verify_interval", interval);
    for (key, value) in set {
        r.londiste.configure(key, value);
    }
    (r, http)
}

fn status(r: &Replication) -> Value {
    serde_json::from_str(&r.londiste.run("subscriber status --json").stdout).unwrap()
}

/// Waits until all rows of all tables were looked at after this call, twice.
#[track_caller]
fn wait_for_rounds(r: &Replication) {
    for _ in 0..2 {
        let now = r.subscriber.value("select now()");
        let sql = format!(
            "select case when count(*) = 0 then -1 else count(*) filter (where looked_at is null or looked_at < '{now}') end
               from londiste.verification"
        );
        wait_until("the round has ended", || match r.subscriber.value(&sql).as_str() {
            "0" => Ok(()),
            ranges => Err(format!("{ranges} ranges to go")),
        });
    }
}

#[track_caller]
fn wait_for_line(r: &Replication, sql: &str, line: &str) {
    wait_until(line, || match r.subscriber.column(sql) {
        found if found == [line] => Ok(()),
        found => Err(found.join(", ")),
    });
}

#[test]
fn rows_changed_by_hand_are_told_until_they_are_repaired() {
    let (mut r, http) = verifying(3000, "2s", &[]);
    let told = r.scratch().path().join("told");
    r.londiste.configure("on_event", &format!("cat >> {}", told.display()));
    let r = r.up();
    wait_for_rounds(&r);
    let json = status(&r);
    assert_eq!(json["verification"]["interval_seconds"], 2.0);
    assert_eq!((&json["verification"]["rows"], &json["verification"]["equal_rows"]), (&3000.into(), &3000.into()));
    assert!(json["verification"]["verified_up_to"].is_string(), "{json}");
    let text = r.londiste.run("subscriber status").stdout;
    assert!(text.contains("\nVerified:    up to 20") && text.contains(" UTC, 100 % of rows within "), "{text}");
    assert!(!text.contains("differ"), "{text}");

    r.subscriber.sql("begin; update t set v = 'x' where id = 5; delete from t where id = 6; insert into t values (90000, 'x'); commit");
    let keys = "(id) = (5): changed, (id) = (6): missing, (id) = (90000): extra";
    r.londiste.wait_for_log(&format!("WARNING public.t: 3 rows differ from the provider's: {keys}"));
    let metrics = wait_for_metrics(&http, "the rows are counted", |metrics| {
        metrics.find("londiste_differing_rows", &TABLE) == Some(3.0)
    });
    assert_eq!(metrics.value("londiste_verified_rows", &TABLE), 2997.0);
    assert!(metrics.value("londiste_verification_read_rows_total", &[]) >= 3000.0);
    let text = r.londiste.run("subscriber status").stdout;
    assert!(text.contains("    3 rows differ from the provider's, equal at 20"), "{text}");
    assert!(
        text.contains(&format!(" UTC still: {keys}\n    HINT: rlondiste INI repair --online --apply public.t\n")),
        "{text}"
    );
    let of_table = |json: &Value| json["tables"][0]["verification"].clone();
    let json = of_table(&status(&r));
    assert_eq!((&json["differing_rows"], json["differing"].as_array().unwrap().len()), (&3.into(), 3));
    // Whoever can reach the port does not get the keys.
    let json = of_table(&serde_json::from_str(&http.get("/status.json").ok()).unwrap());
    assert_eq!((&json["differing_rows"], json["differing"].as_array().unwrap().len()), (&3.into(), 0));
    let page = http.get("/").ok();
    assert!(page.contains("Rows of 1 table differ from the provider"), "{page}");
    let event = |nr: usize| -> Value {
        wait_until("the event is told", || {
            let text = fs::read_to_string(&told).unwrap_or_default();
            text.lines().nth(nr).map(|line| serde_json::from_str(line).unwrap()).ok_or(text.clone())
        })
    };
    let begun = event(0);
    let words = |event: &Value| ["event", "state", "object"].map(|word| event[word].as_str().unwrap().to_owned());
    assert_eq!(words(&begun), ["rows-differ", "begun", "public.t"]);
    assert_eq!(begun["fact"], format!("3 rows differ from the provider's: {keys}"));
    assert_eq!(begun["fix"], "rlondiste INI repair --online --apply public.t");

    let dir = r.scratch().path().to_str().unwrap().to_owned();
    r.londiste.program(["repair", "--apply", "--output-dir", &dir, "t"]).run();
    r.londiste.wait_for_log("public.t: no rows differ from the provider's any more");
    assert_eq!(words(&event(1)), ["rows-differ", "over", "public.t"]);
    wait_for_metrics(&http, "no row differs", |metrics| metrics.find("londiste_differing_rows", &TABLE) == Some(0.0));
    assert_eq!(r.londiste.log().matches("rows differ from").count(), 2);
    let text = r.londiste.run("subscriber status").stdout;
    assert!(!text.contains("differ"), "{text}");
}

#[test]
fn rows_that_are_written_meanwhile_are_no_difference() {
    let (r, _http) = verifying(120_000, "3s", &[("verify_rate", "0")]);
    let r = r.up();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for nr in 0..3 {
            let (stop, provider) = (&stop, &r.provider);
            scope.spawn(move || write(&provider.session(), nr, stop));
        }
        wait_for_rounds(&r);
        assert_eq!(r.subscriber.value("select sum(differing) from londiste.verification"), "0");
        r.subscriber.sql("update t set v = 'spoiled' where id = 119999");
        r.londiste.wait_for_log("public.t: 1 rows differ from the provider's: (id) = (119999): changed");
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(r.londiste.log().matches("rows differ from").count(), 1);
    let ranges = r.subscriber.value("select count(*) > 1 from londiste.verification");
    assert_eq!(ranges, "t", "the table is cut");
}

fn write(session: &Session, nr: u64, stop: &AtomicBool) {
    let mut i = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        i += 1;
        let key = (i * 7919 + nr * 31) % 110_000 + 1;
        session.sql(&format!(
            "begin; delete from t where id = {key}; insert into t values ({key}, 'n{i}');
             update t set v = v || 'x' where id between {key} and {key} + 10; commit;
             insert into t values ({}, 'new')",
            1_000_000 + i * 3 + nr
        ));
        // Replay keeps up: a round waits for it after each range.
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn restart_goes_on_where_it_stood_and_a_copy_begins_anew() {
    let (r, _http) = verifying(120_000, "1h", &[]);
    let mut r = r.up();
    // One range of 50,000 rows; the next one has its time in a quarter of an hour.
    let looked = "select string_agg(coalesce(rows::text, '-') || case when looked_at is null then '' else ' seen' end, ', ' order by range_nr)
                    from londiste.verification";
    wait_until("the first range was looked at", || {
        let found = r.subscriber.value(looked);
        if found.contains("seen") { Ok(()) } else { Err(found) }
    });
    let first = "select looked_at from londiste.verification where range_nr = 0";
    let before = r.subscriber.value(first);
    let json = status(&r);
    assert_eq!(json["verification"]["verified_up_to"], Value::Null);
    assert!(
        json["verification"]["equal_rows"].as_i64().is_some_and(|rows| (50_000..119_000).contains(&rows)),
        "{json}"
    );
    let text = r.londiste.run("subscriber status").stdout;
    assert!(text.contains(" % of rows, the first round goes on\n"), "{text}");
    r.londiste.stop();
    r.londiste.configure("verify_interval", "20s");
    r.londiste.start();
    wait_until("the second range was looked at", || {
        let found = r.subscriber.value(looked);
        if found.matches("seen").count() > 1 { Ok(()) } else { Err(found) }
    });
    assert_eq!(r.subscriber.value(first), before);
    wait_for_rounds(&r);
    r.londiste.configure("verify_interval", "1h");
    r.londiste.reload();
    let before = r.subscriber.value("select now()");
    r.londiste.run("subscriber resync t");
    wait_for_line(&r, &format!("select count(*) from londiste.verification where looked_at > '{before}'"), "1");
    r.londiste.run("subscriber remove t");
    wait_for_line(&r, "select count(*) from londiste.verification", "0");
}

#[test]
fn table_that_cannot_be_looked_at_is_told_and_others_go_on() {
    let (r, _http) = verifying(100, "2s", &[("lock_timeout", "0.5")]);
    let r =
        r.with_schema("create table keyless (a int primary key, v text); create table other (id int primary key)").up();
    let problem = "select problem from londiste.verification where table_name = 'public.";
    let row = r.subscriber.session();
    row.sql("alter table keyless drop constraint keyless_pkey");
    row.sql("begin; lock table t in access exclusive mode");
    wait_for_line(&r, &format!("{problem}keyless'"), "it has no primary key");
    wait_until("the table is locked", || {
        let found = r.subscriber.column(&format!("{problem}t'")).concat();
        if found.contains("lock timeout") { Ok(()) } else { Err(found) }
    });
    let now = r.subscriber.value("select now()");
    wait_for_line(
        &r,
        &format!("select looked_at > '{now}' from londiste.verification where table_name = 'public.other'"),
        "t",
    );
    let text = r.londiste.run("subscriber status").stdout;
    assert!(text.contains("    not verified: it has no primary key\n"), "{text}");
    assert!(text.contains("; 2 tables are not verified\n"), "{text}");
    row.sql("rollback");
    row.sql("alter table keyless add primary key (a)");
    for table in ["keyless", "t"] {
        wait_for_line(
            &r,
            &format!(
                "select problem is null and looked_at is not null from londiste.verification where table_name = 'public.{table}'"
            ),
            "t",
        );
    }
    let log = r.londiste.log();
    assert_eq!(log.matches("public.keyless is not verified: it has no primary key").count(), 1, "{log}");
    assert_eq!(log.matches("public.t is not verified").count(), 1, "{log}");
    assert!(!log.contains("CRITICAL"), "{log}");
}

/// What is not read within a time is never told by how long something took: a slow machine reads less.
#[test]
fn no_more_is_read_than_the_rate_allows() {
    const RATE: f64 = 20_480.0;
    let (r, http) = verifying(30_000, "0", &[("verify_rate", "20kB")]);
    let mut r = r.up();
    let read = |metrics: &super::Metrics| metrics.value("londiste_verification_read_bytes_total", &[]);
    let metrics = wait_for_metrics(&http, "there are metrics", |metrics| {
        metrics.count("londiste_verification_read_bytes_total") == 1
    });
    assert_eq!(read(&metrics), 0.0);
    assert_eq!(status(&r)["verification"], Value::Null);
    let started = Instant::now();
    r.londiste.configure("verify_interval", "1");
    r.londiste.reload();
    let metrics = wait_for_metrics(&http, "something was read", |metrics| read(metrics) > 6.0 * RATE);
    // A query reads about what the rate allows in a second, the last one may not be paid for.
    let most = RATE * (started.elapsed().as_secs_f64() + 2.0);
    assert!(read(&metrics) < most, "{} bytes, more than {most}", read(&metrics));
}

#[test]
fn stop_does_not_wait_for_a_query() {
    let (r, _http) = verifying(100, "1s", &[("lock_timeout", "0")]);
    let r = r.up();
    wait_for_rounds(&r);
    let locker = r.subscriber.session();
    locker.sql("begin; lock table t in access exclusive mode");
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    wait_for_line(&r, waiting, "1");
    r.londiste.stop();
    wait_for_line(&r, waiting, "0");
}
