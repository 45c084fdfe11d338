//! The schemas as files: pieces of SQL, each for the servers that can take it.
//!
//! A line `-- piece: from N`, `-- piece: below N` (major versions), `-- piece: extension NAME` or `-- piece: all` begins a piece.
//! What stands before the first one is for all servers.

use crate::support::Database;

const MARK: &str = "-- piece: ";

/// The pieces of a file that the server takes, in their order. An extension that the server does not have is named on standard output.
pub fn fitting<'a>(file: &'a str, database: &Database) -> Vec<&'a str> {
    let mut parts = file.split(MARK);
    let first = parts.next().expect("a part before the first mark");
    let mut pieces = vec![first];
    for part in parts {
        let (condition, sql) = part.split_once('\n').expect("a line of its own for each mark");
        if holds(condition, database) {
            pieces.push(sql);
        }
    }
    pieces
}

fn holds(condition: &str, database: &Database) -> bool {
    let major = |text: &str| text.parse::<u32>().expect("a major version");
    match condition.split_whitespace().collect::<Vec<_>>()[..] {
        ["all"] => true,
        ["from", first] => database.major() >= major(first),
        ["below", first] => database.major() < major(first),
        ["extension", name] => {
            // Not by pg_available_extensions: an archive of PostgreSQL 10 has control files that its server cannot read.
            let tried = database.try_rows(&format!("begin; create extension {name}; rollback"));
            if let Err(error) = &tried {
                println!("left out: extension {name}: {error}");
            }
            tried.is_ok()
        }
        _ => panic!("no condition: {condition}"),
    }
}
