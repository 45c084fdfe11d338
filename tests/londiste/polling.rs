//! What shell loops that poll `subscriber tables` rely on.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::{Program, Replication, assert_same_rows, compare_tables, shop, wait_until};

/// The condition of the tutorial's closing loop, with the tutorial's pipeline.
fn tables_not_ok(r: &Replication) -> usize {
    let program = env!("CARGO_BIN_EXE_rlondiste");
    let ini = r.londiste.ini();
    let script =
        format!("{program} {} subscriber tables | tail -n+2 | awk '{{print $2}}' | grep -v ok | wc -l", ini.display());
    let output = Command::new("sh").args(["-c", &script]).current_dir(r.scratch().path()).output().unwrap();
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
fn ten_polls_at_once_never_fail_and_never_say_done_too_early() {
    // A table without foreign keys, so that it keeps no other table from being copied.
    let r = Replication::new().with_shop().with_table("held", "id int primary key");
    r.install();
    let polls = Polls::start(&r, 10);
    r.londiste.run("provider add --all");
    // From here on the first table has no state.
    r.londiste.run("subscriber add --all");
    polls.while_unfinished(|| {
        polls.wait_for(20);
        // The copy of one table cannot begin, the others can.
        let held = r.subscriber.session();
        held.sql("begin; lock table held in access exclusive mode");
        r.start();
        wait_until("the other tables are ok", || not_ok(&r, &["public.held"]));
        r.londiste.stop();
        r.londiste.start();
        r.londiste.kill9();
        polls.wait_for(20);
        r.londiste.start();
        held.sql("commit");
    });
    r.wait_until_ok();
    let load = shop::crowd(&r.provider);
    let held = r.subscriber.session();
    held.sql("begin; lock table held in access exclusive mode");
    r.londiste.run("subscriber resync held customers");
    polls.while_unfinished(|| {
        wait_until("the other table is copied again", || not_ok(&r, &["public.held"]));
        r.ticker.stop();
        polls.wait_for(20);
        r.ticker.start();
        held.sql("commit");
    });
    r.wait_until_ok();
    polls.wait_for(20);
    load.stop();
    let (count, done) = polls.stop();
    assert!(done > 0, "none of {count} polls said done");
    r.assert_in_sync();
}

/// The tables that are not ok must be just these.
fn not_ok(r: &Replication, expected: &[&str]) -> Result<(), String> {
    let tables = r
        .subscriber
        .column("select table_name from londiste.subscriber_table where merge_state is distinct from 'ok' order by 1");
    if tables == expected { Ok(()) } else { Err(format!("{tables:?} are not")) }
}

/// Processes that poll `subscriber tables` all the time.
struct Polls {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Odd while some table is not `ok`, whatever happens. A poll that runs within one such phase must not say "done".
    phase: AtomicUsize,
    count: AtomicUsize,
    /// Polls that said that all of some tables are ok.
    done: AtomicUsize,
}

impl Polls {
    fn start(r: &Replication, processes: usize) -> Polls {
        let shared = Arc::new(Shared::default());
        let threads = (0..processes).map(|_| {
            let (shared, ini) = (Arc::clone(&shared), r.londiste.ini());
            thread::spawn(move || {
                while !shared.stop.load(Ordering::SeqCst) {
                    shared.poll(&ini);
                }
            })
        });
        let threads = threads.collect();
        Polls { shared, threads }
    }

    /// Runs `block`, during all of which some table is not `ok`. It ends by letting the table go on.
    fn while_unfinished(&self, block: impl FnOnce()) {
        self.shared.phase.fetch_add(1, Ordering::SeqCst);
        block();
        self.shared.phase.fetch_add(1, Ordering::SeqCst);
    }

    #[track_caller]
    fn wait_for(&self, count: usize) {
        let goal = self.shared.count.load(Ordering::SeqCst) + count;
        wait_until("there were some more polls", || match self.shared.count.load(Ordering::SeqCst) {
            now if now >= goal => Ok(()),
            now => Err(format!("{now} of {goal}")),
        });
    }

    /// Returns how many polls there were and how many of them said "done".
    #[track_caller]
    fn stop(self) -> (usize, usize) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a poll failed");
        }
        (self.shared.count.load(Ordering::SeqCst), self.shared.done.load(Ordering::SeqCst))
    }
}

impl Shared {
    fn poll(&self, ini: &Path) {
        const STATES: [&str; 6] = ["-", "in-copy", "catching-up", "wanna-sync:", "do-sync:", "ok"];
        let before = self.phase.load(Ordering::SeqCst);
        let output = Program::new([ini]).arg("subscriber").arg("tables").stderr("").run();
        let after = self.phase.load(Ordering::SeqCst);
        let mut lines = output.stdout.lines();
        assert_eq!(lines.next(), Some("Table                                           State"));
        let states: Vec<&str> = lines.map(|line| line.split_whitespace().nth(1).unwrap_or(line)).collect();
        for state in &states {
            let word = state.trim_end_matches(|c: char| c.is_ascii_digit());
            assert!(STATES.contains(&word), "{}", output.stdout);
        }
        let done = states.iter().all(|state| *state == "ok");
        if before == after && before % 2 == 1 {
            assert!(!done && states.len() == shop::TABLES.len() + 1, "done too early:\n{}", output.stdout);
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        if done && !states.is_empty() {
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }
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
