//! Replay's memory has a bound, whatever the size of a transaction.

use std::fs;
use std::time::Duration;

use crate::support::{Replication, wait_within};

/// What replay's resident set may take, in kB.
const BOUND: u64 = 150 * 1024;

/// The most that the process has had in memory so far, in kB.
#[track_caller]
fn peak(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Replays one transaction and checks that its rows arrived, and how much memory it took.
#[track_caller]
fn assert_bounded(columns: &str, rows: u64, transaction: &str) {
    let r = Replication::new().with_table("big", columns).up();
    let pid = r.londiste.pid().expect("replay runs");
    r.provider.sql(transaction);
    let session = r.subscriber.session();
    let limit = Duration::from_mins(3) + Duration::from_millis(rows / 4);
    wait_within(limit, "the transaction arrives", || match session.value("select exists (select from big)").as_str() {
        "t" => Ok(()),
        _ => Err("nothing is there"),
    });
    assert_eq!(session.value("select count(*) from big"), rows.to_string());
    let peak = peak(pid);
    println!("{rows} rows: at most {peak} kB");
    assert!(peak < BOUND, "{peak} kB for {rows} rows");
}

fn many_rows(rows: u64) {
    assert_bounded(
        "id bigint primary key, a text, b int, c numeric, d timestamptz, e text, f bool, g float8, h date, i text",
        rows,
        &format!(
            "insert into big select g, 'text ' || g, g, g / 7.0, now(), md5(g::text), g % 2 = 0, g * 1.5, current_date,
                    'more ' || g from generate_series(1, {rows}) g;
             update big set b = b + 1, e = 'x' || e where id % 2 = 0"
        ),
    );
}

#[test]
fn rows_of_a_big_transaction_pass_through() {
    many_rows(200_000);
}

#[test]
#[ignore = "takes minutes"]
fn rows_of_a_huge_transaction_pass_through() {
    many_rows(5_000_000);
}

#[test]
fn big_values_pass_through() {
    // 200 MB
    assert_bounded(
        "id int primary key, v text",
        50,
        "insert into big select g, repeat(md5(g::text), 131072) from generate_series(1, 50) g",
    );
}

#[test]
fn a_value_that_fills_much_of_the_bound_passes_through() {
    // The client library would read three of them ahead.
    assert_bounded(
        "id int primary key, v text",
        3,
        "insert into big select g, repeat(md5(g::text), 1048576) from generate_series(1, 3) g",
    );
}
