//! README's commands that move a database, run as they stand.

use std::fs;

use super::{can_dump, catalog};
use crate::support::{Cluster, Program, Scratch, assert_same_rows, compare_tables, shop};

const START: &str = "<!-- up: a test runs these commands -->\n";
const END: &str = "<!-- end of up -->";

/// The words of a command line, in which double quotes keep blanks.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(nr, part)| match nr % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn commands_of_the_readme_move_a_database_and_leave_nothing_but_rows() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let (provider, subscriber) = (Cluster::provider().database(), Cluster::subscriber().database());
    shop::open(&provider);
    let before = catalog(&provider);
    let scratch = Scratch::new();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let text = readme.split(START).nth(1).expect("the marker before the commands").split(END).next().unwrap();
    let text = text
        .replace("dbname=shop host=old", provider.conninfo())
        .replace("dbname=shop host=new", subscriber.conninfo())
        .replace("shop.ini", &format!("{}.ini", provider.name()));
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    rlondiste ")).collect();
    assert_eq!(commands.len(), 4, "{text}");
    for command in commands {
        Program::new(words(command)).dir(scratch.path()).run();
    }
    assert_eq!(catalog(&provider), before);
    assert_same_rows(&provider, &subscriber, &compare_tables(&provider));
}
