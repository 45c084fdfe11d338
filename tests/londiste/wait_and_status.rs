//! `subscriber wait-sync` and `subscriber status`.

use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::log_lines::log;
use crate::support::{Replication, Scratch, wait_until};

fn added() -> Replication {
    let r = Replication::new().with_schema("create table a (id int primary key); create table b (id int primary key)");
    r.install();
    r.add("--all");
    r
}

#[test]
fn wait_ends_when_all_tables_are_in_sync() {
    let r = added();
    thread::scope(|scope| {
        let wait = scope.spawn(|| r.londiste.program(["subscriber", "wait-sync"]).stdout("").stderr("").run());
        wait_until("the wait is connected", || {
            let sessions = "select count(*) from pg_stat_activity where application_name = 'db1-londiste' \
                            and datname = current_database()";
            if r.subscriber.value(sessions) == "0" { Err("not yet".to_owned()) } else { Ok(()) }
        });
        r.subscriber.sql("update londiste.subscriber_table set merge_state = 'ok' where table_name = 'public.a'");
        r.londiste.program(["subscriber", "wait-sync", "a"]).stdout("").stderr("").run();
        assert!(!wait.is_finished());
        r.subscriber.sql("update londiste.subscriber_table set merge_state = 'ok'");
    });
}

#[test]
fn wait_gives_up_after_the_time_out() {
    let r = added();
    r.subscriber.sql("update londiste.subscriber_table set merge_state = 'in-copy' where table_name = 'public.a'");
    let line = "ERROR Not in sync on subscriber after 0 s: public.a (in-copy), public.b (-)";
    r.londiste.program(["subscriber", "wait-sync", "--timeout", "0"]).stderr(log(&[line])).status(1).run();
}

#[test]
fn wait_for_nothing_is_a_failure() {
    let r = Replication::new();
    r.install();
    let output = r.londiste.program(["subscriber", "wait-sync"]).stdout("").status(1).run();
    assert!(output.stderr.contains("no table is subscribed to queue \"db1-londiste-queue\""), "{}", output.stderr);
    let output = added().londiste.program(["subscriber", "wait-sync", "nix"]).stdout("").status(1).run();
    assert!(output.stderr.contains("table public.nix is not subscribed to queue"), "{}", output.stderr);
}

#[test]
fn status_tells_lag_and_parked_tables() {
    let r = added();
    let text = r.londiste.program(["subscriber", "status"]).stderr("").run().stdout;
    assert!(text.contains("Lag:         - (consumer is not registered on the queue)\n"), "{text}");
    r.londiste.run("subscriber register");
    r.provider.sql("insert into a select generate_series(1, 100)");
    r.subscriber.sql(
        "update londiste.subscriber_table set merge_state = 'catching-up' where table_name = 'public.a';
         insert into londiste.table_position (queue_name, table_name, consumer_id, parked_reason)
         values ('db1-londiste-queue', 'public.a', 'db1-londiste_copy', 'column x is missing')",
    );
    let json = r.londiste.program(["subscriber", "status", "--json"]).stderr("").run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    // The sequence of events does not tell whether its first value was used.
    let pending = json["position"]["pending_events"].as_u64().unwrap();
    assert!((99..=100).contains(&pending), "{json}");
    assert_eq!(json["tables"][0]["parked"], "column x is missing");
    let text = r.londiste.program(["subscriber", "status"]).stderr("").run().stdout;
    let line = "public.a                                  catching-up   parked: column x is missing\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("Tables:      0 of 2 ok\n"), "{text}");
    let resync = log(&["INFO Resyncing public.a"]);
    r.londiste.program(["subscriber", "resync", "a"]).stderr(resync).run();
}

/// The positions of the past are moved on the clock, so that a minute need not pass.
#[test]
fn status_tells_the_pace_and_when_the_subscriber_will_be_up_to_date() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    let insert = |from: u32, to: u32| r.provider.sql(&format!("insert into t select generate_series({from}, {to})"));
    let status =
        || -> serde_json::Value { serde_json::from_str(&r.londiste.run("subscriber status --json").stdout).unwrap() };
    insert(1, 10);
    r.assert_in_sync();
    insert(11, 20);
    r.assert_in_sync();
    assert_eq!(status()["pace"]["seconds_to_catch_up"], 0.0);
    r.londiste.stop();
    let aged = |age: &str| {
        let (newest, moved) = ("(select max(tick_id) from pgq.tick)", format!("now() - interval '{age}'"));
        r.provider.sql(&format!("update pgq.tick set tick_time = {moved} where tick_id = {newest}"));
        moved
    };
    let moved = aged("10 minutes");
    r.subscriber.sql(&format!(
        "update londiste.completed_tick set past_tick = tick_id, past_at = {moved} + interval '9 minutes'"
    ));
    insert(21, 6020);
    r.londiste.start();
    r.assert_in_sync();
    r.londiste.stop();
    insert(6021, 9020);
    super::original::tick(&r.provider);
    // 6000 events in a minute are applied, 9000 in ten minutes are written; a forced tick moves the sequence by 2000 more.
    let json = status();
    let number = |field: &str| json["pace"][field].as_f64().unwrap_or_else(|| panic!("{json}"));
    let (written, applied) = (number("written_per_second"), number("applied_per_second"));
    assert!(written > 5.0 && written <= 11_100.0 / 600.0, "{json}");
    assert!(applied > 30.0 && applied <= 8_100.0 / 60.0, "{json}");
    let backlog = json["position"]["pending_events"].as_f64().unwrap();
    assert!((number("seconds_to_catch_up") - backlog / (applied - written)).abs() < 1.0, "{json}");
    let text = r.londiste.run("subscriber status").stdout;
    assert!(text.contains(" events/s come in, ") && text.contains("\nUp to date:  in about "), "{text}");
}

#[test]
fn status_tells_the_last_error_of_the_log() {
    let r = added();
    assert!(!r.londiste.run("subscriber status").stdout.contains("Last error:"));
    r.londiste.program(["subscriber", "add", "--all", "--expect-sync", "--skip-truncate"]).run();
    r.provider.sql("create table nokey (v text)");
    r.londiste.program(["provider", "add", "nokey"]).status(1).run();
    let text = r.londiste.run("subscriber status").stdout;
    let line = text.lines().find(|line| line.starts_with("Last error:  ")).unwrap();
    assert!(line.contains(" could not add a table to the queue on provider ("), "{line}");
    let json = r.londiste.program(["subscriber", "status", "--json"]).run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["last_error"]["message"].as_str().unwrap().contains("need key column"), "{json}");
}

#[test]
fn status_is_shown_again_until_a_signal() {
    let r = added();
    let out = Scratch::new();
    let mut watch = r.londiste.program(["subscriber", "status", "--watch=1"]).spawn(&out);
    let shown = |text: &str| {
        wait_until(&format!("{text} is shown"), || {
            let all = fs::read_to_string(out.path().join("stdout")).unwrap();
            if all.contains(text) { Ok(()) } else { Err(all) }
        });
    };
    shown("Tables:      0 of 2 ok\n");
    r.subscriber.sql("update londiste.subscriber_table set merge_state = 'ok'");
    shown("Tables:      2 of 2 ok\n");
    kill(Pid::from_raw(watch.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(130));
    for args in ["subscriber status --watch=0", "subscriber seqs --watch"] {
        r.londiste.program(args.split(' ')).stdout("").status(2).run();
    }
}

#[test]
fn name_of_a_table_begins_no_line_of_the_status() {
    let forger = "\"x\nForged:      all is well\"";
    let r = Replication::new().with_table(forger, "id int primary key, v text").up();
    r.subscriber.sql(&format!("alter table {forger} drop column v"));
    r.provider.sql(&format!("insert into {forger} values (1, 'x')"));
    let status = wait_until("the table is parked", || {
        let status = r.londiste.run("subscriber status").stdout;
        if status.contains("parked: ") { Ok(status) } else { Err(status) }
    });
    assert!(status.lines().any(|line| line.starts_with("public.x\\nForged: ")), "{status}");
    assert!(status.contains("HINT: ") && !status.lines().any(|line| line.starts_with("Forged")), "{status}");
}
