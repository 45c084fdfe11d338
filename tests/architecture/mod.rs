//! The shape of the source: who may use whom, and who alone may touch the process, the terminal, the wire and the tables.

mod rules;
mod tree;
mod tree_tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::rules::Rows;
use self::tree::Tree;

/// The modules of the crate. `main` only calls `cli`; names that `lib` hands on are those of the file that defines them.
const CRATE: &Rows = &[
    &["lib"],
    &["cli", "fuzz"],
    &["up"],
    &["doctor", "switchover"],
    &["pgqadm", "londiste"],
    &["http"],
    &["job", "pgq"],
    &["config", "pg"],
    &["error"],
    &["failpoint", "task", "text"],
];

/// The inside of the replication program. Nothing uses `commands` but the root, which chooses one.
const LONDISTE: &Rows = &[
    &["mod"],
    &["commands"],
    &["replay"],
    &["comparison"],
    &["copy"],
    &["batch"],
    &["apply", "foreign_keys", "table_lock", "schema"],
    &["context"],
    &["state"],
];

/// The inside of the doctor: the run, its groups of checks, and what they share. No group knows another.
const DOCTOR: &Rows = &[
    &["mod"],
    &[
        "report",
        "activity",
        "capture",
        "columns",
        "indexes",
        "place",
        "queue",
        "replication",
        "rights",
        "schema",
        "server",
        "settings",
        "switchover",
    ],
    &["case", "health", "tables"],
    &["finding"],
    &["check"],
];

/// The inside of the command line.
const CLI: &Rows = &[
    &["mod"],
    &["help", "program_choice", "signals"],
    &["manual"],
    &["process"],
    &["command"],
    &["londiste_commands", "pgqadm_commands"],
    &["spec"],
    &["print"],
    &["options"],
    &["failure", "printed"],
    &["caller"],
    &["program"],
];

/// Lines of the longest file.
const LONGEST_FILE: usize = 449;

/// Files and directories in the directory of the replication program.
const MOST_ROOMS: usize = 12;

#[test]
fn modules_use_only_the_layers_below_them() {
    assert_rows("", CRATE);
}

#[test]
fn job_knows_no_database_and_pgq_no_ini_file() {
    let edges = tree().edges();
    let forbidden = [("job", "pg"), ("pgq", "config"), ("pg", "config")];
    let is_wrong = |from: &str, to: &str| {
        let modules = (rules::module_of(from, ""), rules::module_of(to, ""));
        forbidden.iter().any(|(user, used)| modules == (Some(*user), Some(*used)))
    };
    let wrong: Vec<_> = edges.iter().filter(|edge| is_wrong(&edge.from, &edge.to)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rooms_of_the_replication_program_use_only_the_rooms_below_them() {
    assert_rows("londiste/", LONDISTE);
}

#[test]
fn checks_of_the_doctor_share_what_is_below_them() {
    assert_rows("doctor/", DOCTOR);
}

#[test]
fn files_of_the_command_line_use_only_the_files_below_them() {
    assert_rows("cli/", CLI);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let circles = rules::circles(&tree().edges());
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn only_pg_opens_connections() {
    let paths: [&[&str]; 3] =
        [&["tokio_postgres", "Config"], &["tokio_postgres", "Client"], &["tokio_postgres", "connect"]];
    assert_only_in("pg", &paths);
}

#[test]
fn only_cli_writes_to_standard_output() {
    // The standard output of another process has the same name.
    assert_only_in("cli", &[&["io", "stdout"], &["println"], &["print"]]);
}

#[test]
fn only_job_forks_and_handles_signals() {
    assert_only_in("job", &[&["daemonize", "Daemonize"], &["signal", "unix"], &["tracing_subscriber"]]);
}

/// A task that nobody owns outlives what it works for, and the process ends in the middle of it.
#[test]
fn every_task_has_an_owner() {
    let owners = ["task.rs", "job/control.rs"];
    let wrong =
        rules::used_elsewhere(&tree(), "task", &[&["tokio", "spawn"], &["task", "spawn"], &["Handle", "current"]]);
    let wrong: Vec<_> = wrong.iter().filter(|line| !owners.iter().any(|owner| line.starts_with(owner))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn tables_and_functions_of_the_replication_schema_are_named_where_they_are_owned() {
    // The ticker's program knows the tables whose capture its maintenance looks after.
    let owners = ["londiste/state/", "londiste/schema/", "pgqadm/captured_tables.rs"];
    let wrong = rules::names_elsewhere(&tree(), &owners, "londiste", &objects_of_londiste());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_enough_to_read() {
    let mut paths = Vec::new();
    collect(&source(), "rs", &mut paths);
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<String> = paths
        .iter()
        .filter(|path| lines(path) > LONGEST_FILE)
        .map(|path| format!("{}: {} lines", path.display(), lines(path)))
        .collect();
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines: {long:#?}");
}

#[test]
fn replication_program_has_few_rooms() {
    let rooms = fs::read_dir(source().join("londiste")).unwrap().count();
    assert!(rooms <= MOST_ROOMS, "src/londiste has {rooms} entries, more than {MOST_ROOMS}");
}

fn assert_rows(directory: &str, rows: &Rows) {
    let tree = tree();
    let unknown = rules::without_a_row(&tree, directory, rows);
    assert!(unknown.is_empty(), "in no row of src/{directory}: {unknown:#?}");
    let wrong = rules::against_the_rows(&tree.edges(), directory, rows);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn assert_only_in(module: &str, paths: &[&[&str]]) {
    let wrong = rules::used_elsewhere(&tree(), module, paths);
    assert!(wrong.is_empty(), "only {module} may: {wrong:#?}");
}

/// Tables and functions that the SQL files of schema `londiste` create.
fn objects_of_londiste() -> BTreeSet<String> {
    let mut paths = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/londiste"), "sql", &mut paths);
    let mut objects = BTreeSet::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        for create in ["create table if not exists londiste.", "create or replace function londiste."] {
            objects.extend(text.split(create).skip(1).map(|rest| {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
            }));
        }
    }
    for known in ["completed", "subscriber_table", "provider_add_table"] {
        assert!(objects.contains(known), "{known} is not found in the SQL files");
    }
    objects
}

fn tree() -> Tree {
    let source = source();
    Tree::read(&|path| fs::read_to_string(source.join(path)).ok())
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Adds the files below a directory whose names end this way.
pub(crate) fn collect(dir: &Path, wanted: &str, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, wanted, paths);
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            paths.push(path);
        }
    }
}
