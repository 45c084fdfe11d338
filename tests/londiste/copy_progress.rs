//! What is said and shown while copies run.

use std::fs;

use super::gates::{self, GATES, SUBSCRIBER_GATES, Side, close, wait_until_held};
use super::log_lines::log;
use crate::support::{Replication, Scratch, Session, Terminal, mask_log_lines, wait_until};

const KEY: u32 = 4713;

/// 1000 rows to copy, with a gate at the stage; progress is told often.
fn held_at(stage: &str) -> (Replication, Session) {
    let mut r = Replication::new().with_schema(GATES).with_schema(
        "create table t (id int primary key, data text);
         create index t_value on t (gate.value(id))",
    );
    r.provider.sql("insert into t select i, repeat('x', 200) from generate_series(1, 1000) i; analyze t");
    r.londiste.configure("copy_progress_delay", "0.1");
    r.install();
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.subscriber.sql(&gates::of_table("t"));
    let gate = close(&r, Side::Subscriber, stage, KEY);
    (r, gate)
}

fn open(gate: &Session) {
    gate.sql(&format!("delete from gate.closed; select pg_advisory_unlock({KEY})"));
}

/// The line with `N` in place of the numbers that depend on time.
fn without_times(line: &str) -> String {
    let masked = |word: &str| {
        let (number, rest) = word.split_at(word.find([',', ' ']).unwrap_or(word.len()));
        if number.parse::<f64>().is_ok() { format!("N{rest}") } else { word.to_owned() }
    };
    line.split(' ').map(masked).collect::<Vec<_>>().join(" ")
}

#[test]
fn wait_says_what_is_missing_in_lines() {
    let (r, gate) = held_at("row in the middle");
    r.start();
    r.add("t");
    wait_until_held(&gate, KEY);
    let out = Scratch::new();
    let mut wait = r.londiste.program(["subscriber", "wait-sync"]).spawn(&out);
    let said = || fs::read_to_string(out.path().join("stderr")).unwrap();
    let last = if r.subscriber.major() >= 14 { "INFO public.t: 499 rows" } else { "INFO Waiting for" };
    wait_until("two rounds of lines", || {
        let said = said();
        if said.matches(last).count() >= 2 { Ok(()) } else { Err(said) }
    });
    open(&gate);
    assert_eq!(wait.wait().unwrap().code(), Some(0));
    let said = mask_log_lines(&said());
    let lines: Vec<String> = said.lines().take(2).map(without_times).collect();
    let waiting = "DATE PID INFO Waiting for N tables: public.t (in-copy)";
    let progress = "DATE PID INFO public.t: N rows, N MB, N MB/s, N %, N s left";
    let round = if r.subscriber.major() >= 14 { [waiting, progress] } else { [waiting, waiting] };
    assert_eq!(lines, round);
    assert!(said.lines().all(|line| line.starts_with("DATE PID INFO ")), "{said}");
    assert!(!said.contains('\x1b'), "{said}");
}

#[test]
fn wait_shows_bars_on_a_terminal() {
    let (r, gate) = held_at("row in the middle");
    r.start();
    r.add("t");
    wait_until_held(&gate, KEY);
    let (terminal, out) = (Terminal::new(), Scratch::new());
    let wait = |options: &[&str]| {
        r.londiste.program(["subscriber", "wait-sync"].iter().chain(options)).spawn_on(&out, &terminal)
    };
    let mut watched = wait(&[]);
    terminal.wait_for_line(&["[                        ] 0 of 1 tables in sync"]);
    if r.subscriber.major() >= 14 {
        terminal.wait_for_line(&["public.t [===========>            ] 499 rows, ", " MB/s, 50 %, ", " s left"]);
    } else {
        terminal.wait_for_line(&["public.t ", " in-copy"]);
    }
    open(&gate);
    assert_eq!(watched.wait().unwrap().code(), Some(0));
    assert!(!terminal.drawn().contains("INFO"), "{}", terminal.drawn());
    assert_eq!(fs::read_to_string(out.path().join("stdout")).unwrap(), "");
}

#[test]
fn wait_that_is_quiet_or_on_a_dumb_terminal_draws_nothing_and_says_what_is_wrong() {
    let (r, _gate) = held_at("row in the middle");
    r.add("t");
    let expected = log(&["ERROR Not in sync on subscriber after 1 s: public.t (-)"]);
    for (option, term) in [(Some("-q"), "xterm"), (None, "dumb")] {
        let (terminal, out) = (Terminal::new(), Scratch::new());
        let args = ["subscriber", "wait-sync", "--timeout", "1"].into_iter().chain(option);
        let mut wait = r.londiste.program(args).env("TERM", term).spawn_on(&out, &terminal);
        assert_eq!(wait.wait().unwrap().code(), Some(1));
        terminal.wait_for_line(&["Not in sync"]);
        let drawn = mask_log_lines(&terminal.drawn()).replace('\r', "");
        // What a log file gets in place of bars.
        let lines: Vec<&str> =
            drawn.split_inclusive('\n').filter(|line| !line.contains(" INFO Waiting for 1 tables: ")).collect();
        assert_eq!(lines.concat(), expected, "{term}");
    }
}

#[test]
fn long_index_build_is_logged_and_shown_on_the_terminal_of_a_copy() {
    // The middle of the table: about a quarter of the work, since the second half of it is to load the sorted entries.
    let (r, gate) = held_at("value 500 create index%");
    r.ticker.start();
    r.londiste.run("subscriber register");
    r.add("t");
    let (terminal, out) = (Terminal::new(), Scratch::new());
    let mut copy = r.londiste.program(["copy"]).spawn_on(&out, &terminal);
    wait_until_held(&gate, KEY);
    let known = r.subscriber.major() >= 12;
    let end = if known { " s, 2" } else { " s" };
    let build = "INFO public.t: creating public.t_value for ";
    wait_until("the build is logged twice", || {
        let log = r.londiste.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(build)).collect();
        let all = lines.iter().all(|line| line.contains(end) && (!known || line.ends_with(" s left")));
        if lines.len() >= 2 && all { Ok(()) } else { Err(log) }
    });
    // The lines stand above the bars.
    terminal.wait_for_line(&[build]);
    terminal.wait_for_line(&["[                        ] 0 of 1 tables copied"]);
    if known {
        terminal.wait_for_line(&["public.t [=====>", "] building an index for ", " s left"]);
    }
    open(&gate);
    assert_eq!(copy.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_to_string(out.path().join("stdout")).unwrap(), "");
    let plain = r.londiste.program(["copy"]).stdout("").stderr("").run();
    assert_eq!(plain.status, 0);
    r.londiste.start();
    r.wait_until_ok();
    r.assert_in_sync();
}
