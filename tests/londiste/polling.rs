//! What shell loops that poll `subscriber tables` rely on.

use std::process::Command;
use std::thread;

use crate::support::{Program, Replication, assert_same_rows, compare_tables, wait_until};

/// The condition of the tutorial's closing loop, with the tutorial's pipeline.
fn tables_not_ok(r: &Replication) -> usize {
    let program = env!("CARGO_BIN_EXE_rlondiste");
    let ini = r.londiste.ini();
    let script =
        format!("{program} {} subscriber tables | tail -n+2 | awk '{{print $2}}' | grep -v ok | wc -l", ini.display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

#[test]
fn tutorials_closing_loop_ends_when_every_table_is_in_sync_and_not_before() {
    let r = Replication::new().with_shop();
    r.install();
    r.start();
    r.add("--all");
    let mut seen = Vec::new();
    wait_until("the loop ends", || match tables_not_ok(&r) {
        0 => Ok(()),
        left => {
            seen.push(left);
            Err(format!("{left} tables are not ok"))
        }
    });
    // Nothing is written, so what is there now has been copied.
    assert_same_rows(&r.provider, &r.subscriber, &compare_tables(&r.provider));
    assert!(seen.is_sorted_by(|a, b| a >= b), "tables fell back: {seen:?}");
}

#[test]
fn many_polls_at_once_disturb_nobody() {
    let r = Replication::new().with_shop();
    r.install();
    r.start();
    r.add("--all");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let output = r.londiste.program(["subscriber", "tables"]).stderr("").run();
                    assert_eq!(output.stdout.lines().count(), 1 + 6, "{}", output.stdout);
                }
            });
        }
    });
    r.wait_until_ok();
}

#[test]
fn states_are_shown_as_they_are_stored() {
    let r = Replication::new();
    r.install();
    for (nr, state) in
        ["null", "'in-copy'", "'catching-up'", "'wanna-sync:69'", "'do-sync:70'", "'ok'"].iter().enumerate()
    {
        r.subscriber.sql(&format!(
            "insert into londiste.subscriber_table (queue_name, table_name, merge_state)
             values ('db1-londiste-queue', 'public.t{nr}', {state})"
        ));
    }
    let name = "public.a_very_long_table_name_which_is_over_thirty";
    r.subscriber.sql(&format!(
        "insert into londiste.subscriber_table (queue_name, table_name, merge_state)
         values ('db1-londiste-queue', '{name}', 'wanna-sync:1234567890123')"
    ));
    let expected = "\
Table                                           State
public.t0                                           -
public.t1                                     in-copy
public.t2                                 catching-up
public.t3                               wanna-sync:69
public.t4                                  do-sync:70
public.t5                                          ok
public.a_very_long_table_name_which_is_over_thirty   wanna-sync:1234567890123
";
    r.londiste.program(["subscriber", "tables"]).stdout(expected).stderr("").run();
}

#[test]
fn no_tables_are_only_a_header() {
    let r = Replication::new();
    r.install();
    let header = "Table                                           State\n";
    r.londiste.program(["subscriber", "tables"]).stdout(header).stderr("").run();
}

#[test]
fn failed_poll_is_not_taken_for_done() {
    // A loop counts the lines behind the header whose second word is not "ok".
    let words = |program: Program| {
        let output = program.status(1).run();
        output.stdout.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let not_installed = Replication::new();
    assert_eq!(words(not_installed.londiste.program(["subscriber", "tables"])), ["unknown"]);
    assert_eq!(words(Program::new(["nofile.ini", "subscriber", "tables"])), ["unknown"]);
}
