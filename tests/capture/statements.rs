//! Random programs of statements, replayed event by event, give equal tables.

use std::env;
use std::time::{Duration, Instant};

use rlondiste::config::Apply;
use rlondiste::londiste::apply::Settings;

use crate::apply::{Replay, SETTINGS};
use crate::support::hostile;
use crate::support::statements::{DDL, Statements, TRIGGERS, schema, tables};
use crate::support::{Cluster, QUEUE, Replication, assert_same_rows, effort};

/// Seconds to run programs of random seeds for; without it, those of fixed seeds run.
const TIME_BUDGET: &str = "STATEMENT_TORTURE_SECONDS";

fn provider(capture: &str, format: &str) -> Replication {
    let r = Replication::new();
    let r = r.with_schema(&schema(Cluster::provider().binaries().major()));
    r.provider.sql(TRIGGERS);
    r.install();
    for table in tables(r.provider.major()) {
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.{table}', '{capture}', '{format}', null)"
        ));
    }
    r
}

/// Applies the events after one in sessions with these connection strings, cut where DDL stands, and returns the last one's number.
fn replay(r: &Replication, conninfos: [&str; 2], settings: Settings, from: i64) -> Result<i64, String> {
    let (provider, subscriber) = (&r.provider, &r.subscriber);
    let names: Vec<String> = tables(provider.major()).iter().map(|table| format!("public.{table}")).collect();
    let last: i64 = provider.value("select coalesce(max(ev_id), 0) from pgq.event_1").parse().unwrap();
    let changes = provider
        .rows(&format!("select ev_id, ev_data from pgq.event_1 where ev_type = '{DDL}' and ev_id > {from} order by 1"));
    let end = [vec![(last + 1).to_string(), String::new()]];
    let mut from = from;
    for change in changes.iter().chain(&end) {
        let (id, sql) = (&change[0], &change[1]);
        let events = format!("select * from pgq.event_1 where ev_id > {from} and ev_id < {id} order by ev_id");
        Replay::between(conninfos, settings, &names.join(" "))
            .apply(&events)
            .map_err(|error| format!("events {from}..{id}: {}", rlondiste::Report(&error)))?;
        subscriber.try_rows(sql).map_err(|error| format!("event {id}, {sql}: {error}"))?;
        from = id.parse().unwrap();
    }
    Ok(last)
}

#[track_caller]
fn check(capture: &str, format: &str, seed: u64) {
    let r = provider(capture, format);
    let mut program = Statements::new(&r.provider, seed, 3);
    if format != "sql" {
        program = program.without_moves();
    }
    let settings = Settings { apply: Apply::Row, ..SETTINGS };
    let provider = hostile::superuser(Cluster::provider(), &r.provider);
    let subscriber = hostile::superuser(Cluster::subscriber(), &r.subscriber);
    let mut from = 0;
    for round in 0..6 {
        program.run(120);
        from = replay(&r, [&provider, &subscriber], settings, from)
            .unwrap_or_else(|error| panic!("capture {capture}, format {format}, seed {seed}, round {round}: {error}"));
        eprintln!("capture {capture}, format {format}, seed {seed}, round {round}: up to event {from}");
        assert_same_rows(&r.provider, &r.subscriber, &tables(r.provider.major()));
    }
    assert!(from > 500, "only {from} events");
    assert!(program.done() > 300, "only {} statements went through", program.done());
}

/// One of these formats and seeds, another one in each run (`STATEMENT_TORTURE_EFFORT=all`: each), or as many random seeds
/// of each format as the time budget allows.
fn check_seeds(capture: &str, programs: &[(&str, u64)]) {
    let Ok(seconds) = env::var(TIME_BUDGET) else {
        let (first, step) = effort::cases("STATEMENT_TORTURE_EFFORT", programs.len());
        for (format, seed) in programs.iter().skip(first).step_by(step) {
            check(capture, format, *seed);
        }
        return;
    };
    let (start, seconds) = (Instant::now(), seconds.parse().expect("a number of seconds"));
    for (format, _) in programs.iter().cycle() {
        if start.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        check(capture, format, u64::try_from(nanos % 1_000_000_007).unwrap());
    }
}

#[test]
fn statement_capture_repeats_every_statement() {
    check_seeds("statement", &[("sql", 1), ("sql", 2), ("sql", 3)]);
}

#[test]
fn row_capture_repeats_every_statement() {
    check_seeds("row", &[("sql", 4), ("sql", 5)]);
}

#[test]
fn formats_with_whole_rows_repeat_every_statement() {
    check_seeds("statement", &[("urlenc", 6), ("json", 7)]);
}

#[test]
fn row_capture_in_formats_with_whole_rows_repeats_every_statement() {
    check_seeds("row", &[("urlenc", 8), ("json", 9)]);
}
