//! The crash table: what is true when a process was ended by SIGKILL, for every place between two steps of what it does.
//!
//! A place is `failpoint!("room::step")` in the source; the process ends there when its environment says so (see
//! `src/failpoint.rs`). Each file here has the rows of one or two phases: the place, and what both databases must show after the
//! end. The next process takes up what was left, and ends at the next place; after a list of such ends a process runs undisturbed.
//! Then both sides must be equal, nothing may have been applied twice, and nothing may be left behind. One pair of databases
//! serves all rows of a test.
//!
//! | phase | steps, in their order | rows in |
//! |---|---|---|
//! | a batch | next_batch, position and events' statement read, events applied, sequences and table sets written, tick stored, commit, finish_batch; of a small batch: opened and read, all written, commit, finished by the next call | `batch` |
//! | a copy | consumer's name and `in-copy` stored, consumer registered, triggers, indexes, rows gone, snapshot taken, rows copied, provider's disk waited for, indexes created, state stored, commit, analyze; at its end consumer unregistered and forgotten | `copy` |
//! | the hand-over | `wanna-sync`, `do-sync`, `ok`, replay's first batch with the table, snapshot dropped | `copy` |
//! | foreign keys | definition stored and key dropped, commit; key added, commit, validated, commit, pending row deleted, commit; or found violated, dropped, reason stored | `fkeys` |
//! | parking | batch rolled back, keys dropped, consumer named, registered, state and reason stored, commit; reason deleted with the first batch after the mend | `parking` |
//! | ticks and rotation | tick due, made; rotation due, step 1, step 2 | `rotation` |
//! | install and upgrade | each file, each schema, queue, commit, capture functions made anew | `install` |
//! | rebase | changes made, commit | `rebase` |
//! | up and down | schema copied, tables noted; queue and schemas dropped, commit | `up` |
//! | going over | the steps of `src/switchover/follow.rs` | `follow` |
//! | a switchover | the 13 steps of `src/switchover`, and those of its undoing | `switchover` |
//! | commands | `add`, `remove`, `resync`, `register`, `unregister`: each change, each commit, between two tables | `commands` |

mod batch;
mod commands;
mod copied_table;
mod copy;
mod fkeys;
mod follow;
mod install;
mod parking;
mod rebase;
mod rotation;
mod switchover;
mod up;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::architecture::collect;
use crate::support::{Database, Job, wait_until};

/// A phase of the table in `docs/operations.md`: its name, what an end in the middle of it leaves, and its places.
type Phase = (&'static str, &'static str, fn() -> Vec<&'static str>);

const PHASES: [Phase; 12] = [
    (
        "a batch",
        "the subscriber shows all of it or nothing, rows and position together; at the next start the batch is applied, or only \
         finished where it was applied",
        batch::places,
    ),
    (
        "a copy",
        "until its commit the old rows, indexes and triggers, and the copy begins anew; from then on the new rows with all \
         indexes, and the table catches up",
        copy::places,
    ),
    (
        "the hand-over of a copied table to replay",
        "the state that was stored last; the copy or replay goes on from there, without an event lost or applied twice",
        copy::places_of_hand_over,
    ),
    (
        "dropping and restoring foreign keys",
        "the key in the table, or its definition in `subscriber fkeys`, or both while it is not validated yet; replay restores it at \
         its next start",
        fkeys::places,
    ),
    (
        "parking a table, and its way back",
        "the table as it was, and it is parked when the batch comes again; or parked, with the reason, and the other tables go on",
        parking::places,
    ),
    (
        "ticks and rotation",
        "the tick or the step done or not; the next ticker goes on, and no consumer misses an event",
        rotation::places,
    ),
    (
        "`install`, and the upgrade at replay's start",
        "each database as it was, or with the whole schema; the same command again does the rest, also for the capture functions of \
         tables that were not reached",
        install::places,
    ),
    ("`rebase`", "the queue as it was, or all of it rebased", rebase::places),
    (
        "`add`, `remove`, `resync`, `register`, `unregister`",
        "each table changed or as it was; the same command again does the rest",
        commands::places,
    ),
    (
        "`up`, `down`",
        "each of their steps done or not; the schema that `up` copies is there as a whole or not at all; the same command again does the \
         rest",
        up::places,
    ),
    (
        "`switchover`, `switchback`",
        "one side open at most, and the old one open again after `--timeout`; the same command again undoes it and does it anew, or, \
         once the old side is closed for good, goes on",
        switchover::places,
    ),
    (
        "`subscriber follow`",
        "the subscriber follows the old provider or the new one, with its position there; the same command again does the rest",
        follow::places,
    ),
];

/// Where a process ends, see [`killed_at`]; and what is left then, see [`assert_left`].
type End = (&'static str, &'static str);

#[test]
fn every_place_in_the_source_has_its_row() {
    let mut paths = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "rs", &mut paths);
    paths.retain(|path| !path.ends_with("failpoint.rs"));
    let sources: Vec<String> = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let in_source = |text: &String| {
        let names = text.split("failpoint!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let mut places: Vec<String> = sources.iter().flat_map(in_source).collect();
    places.sort();
    let rows: BTreeSet<&str> = PHASES.iter().flat_map(|(_, _, places)| places()).collect();
    assert!(rows.len() > 60, "{rows:?}");
    // A name that stands twice in the source is there twice in the list.
    assert_eq!(places, rows.into_iter().collect::<Vec<_>>());
}

#[test]
fn documents_have_the_phases() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let section = text.split("\n## What a crash leaves\n").nth(1).expect("the section").split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    let expected: Vec<String> = PHASES.iter().map(|(name, leaves, _)| format!("| {name} | {leaves} |")).collect();
    pretty_assertions::assert_eq!(rows, expected);
}

/// Runs a command in the foreground until it ends itself at a place, and waits until the servers have ended its sessions. `end` is
/// `command room::step`; a last word such as `2*off->return` is the action, which says at which time the place counts.
#[track_caller]
fn killed_at(job: &Job, databases: &[&Database], end: &str) {
    let (command, place, action) = parts(end);
    eprintln!("ends at {end}");
    let output = job.program(command.split(' ')).env("FAILPOINTS", format!("{place}={action}")).output();
    assert_eq!(output.status, 137, "{end} was not reached\n{}{}", output.stdout, output.stderr);
    if command == "copy" {
        // "-s" to replay passes by the copies, and warns of a pidfile that a process has left behind.
        fs::remove_file(job.pidfile().with_extension("pid.copy")).unwrap();
    }
    for database in databases {
        wait_until("the sessions of the ended process are gone", || {
            let sql =
                "select count(*) from pg_stat_activity where datname = current_database() and application_name = ";
            match database.value(&format!("{sql}'{}'", job.name())).as_str() {
                "0" => Ok(()),
                n => Err(format!("{n} sessions")),
            }
        });
    }
}

fn parts(end: &str) -> (&str, &str, &str) {
    let at = end.find("::").expect("room::step");
    let start = end[..at].rfind(' ').expect("a command before the place");
    let (command, rest) = (&end[..start], &end[start + 1..]);
    let (place, action) = rest.split_once(' ').unwrap_or((rest, "return"));
    (command, place, action)
}

/// The places of these ends.
fn places_of<'a>(ends: impl IntoIterator<Item = &'a &'a str>) -> Vec<&'a str> {
    ends.into_iter().map(|end| parts(end).1).collect()
}

/// Compares what is there with what a row says, part by part between the bars: `*` stands for anything, at the end of a part too.
#[track_caller]
fn assert_left(end: &str, expected: &str, found: &str) {
    let fits = |(expected, found): (&str, &str)| {
        expected == found || expected.strip_suffix('*').is_some_and(|start| found.starts_with(start))
    };
    let same_number = expected.split(" | ").count() == found.split(" | ").count();
    let all_fit = expected.split(" | ").zip(found.split(" | ")).all(fits);
    assert!(same_number && all_fit, "after the end at {end}: expected \"{expected}\", found \"{found}\"");
}
