//! What must hold between the files of a [`Tree`]. Each rule returns what breaks it, one line each.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Edge, File, Tree};

/// Modules (files or directories) of one directory from the top down. A module uses only modules of later rows: not those of
/// earlier rows, and not the others of its own row.
pub type Rows = [&'static [&'static str]];

/// Files that use each other, directly or through others: one line for each circle, which names what ties it.
pub fn circles(edges: &BTreeSet<Edge>) -> Vec<String> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in edges {
        uses.entry(&edge.from).or_default().insert(&edge.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|from| (*from, reached_from(from, &uses))).collect();
    let mutual = |a: &str, b: &str| {
        let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));
        reaches(a, b) && reaches(b, a)
    };
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for first in uses.keys().copied() {
        let circle: BTreeSet<&str> = uses.keys().copied().filter(|file| mutual(first, file)).collect();
        if !circle.is_empty() && circle.iter().all(|file| seen.insert(*file)) {
            circles.push(ties(&circle, edges));
        }
    }
    circles
}

fn reached_from<'a>(from: &'a str, uses: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        let next = uses.get(file).into_iter().flatten().copied();
        waiting.extend(next.filter(|file| reached.insert(*file)));
    }
    reached
}

fn ties(circle: &BTreeSet<&str>, edges: &BTreeSet<Edge>) -> String {
    let inside = |edge: &&Edge| circle.contains(edge.from.as_str()) && circle.contains(edge.to.as_str());
    let mut names: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for edge in edges.iter().filter(inside) {
        names.entry((&edge.from, &edge.to)).or_default().push(&edge.name);
    }
    let tie = |((from, to), names): ((&str, &str), Vec<&str>)| format!("{from} -> {to} ({})", names.join(", "));
    names.into_iter().map(tie).collect::<Vec<_>>().join("; ")
}

/// Uses inside a directory (with its slash at the end; empty for `src`) that do not go down the rows.
pub fn against_the_rows(edges: &BTreeSet<Edge>, directory: &str, rows: &Rows) -> Vec<String> {
    let row = |module: &str| rows.iter().position(|row| row.contains(&module));
    let mut wrong = Vec::new();
    for edge in edges {
        let (Some(from), Some(to)) = (module_of(&edge.from, directory), module_of(&edge.to, directory)) else {
            continue;
        };
        let is_allowed = match (row(from), row(to)) {
            (Some(from), Some(to)) => from < to,
            _ => false,
        };
        if from != to && !is_allowed {
            wrong.push(format!("{} -> {} ({})", edge.from, edge.to, edge.name));
        }
    }
    wrong
}

/// Files and directories of a directory that stand in no row.
pub fn without_a_row(tree: &Tree, directory: &str, rows: &Rows) -> Vec<String> {
    let known: BTreeSet<&str> = rows.iter().flat_map(|row| row.iter().copied()).collect();
    let modules: BTreeSet<&str> = tree.files().filter_map(|file| module_of(&file.path, directory)).collect();
    modules.into_iter().filter(|module| !known.contains(module)).map(str::to_owned).collect()
}

/// The name of the file or directory that a file is, or is in, below a directory.
pub fn module_of<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let inside = path.strip_prefix(directory)?;
    Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
}

/// Files outside of the allowed places that write one of these paths, or one that goes through it.
pub fn used_elsewhere(tree: &Tree, allowed: &str, paths: &[&[&str]]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in tree.files().filter(|file| module_of(&file.path, "") != Some(allowed)) {
        for path in paths {
            let is_used = file.paths.iter().any(|found| found.windows(path.len()).any(|part| part == *path));
            if is_used {
                wrong.push(format!("{}: {}", file.path, path.join("::")));
            }
        }
    }
    wrong
}

/// Literals outside of the allowed directories that name an object of a schema.
pub fn names_elsewhere(tree: &Tree, allowed: &[&str], schema: &str, objects: &BTreeSet<String>) -> Vec<String> {
    let is_outside = |file: &&File| !allowed.iter().any(|directory| file.path.starts_with(directory));
    let mut wrong = Vec::new();
    for file in tree.files().filter(is_outside) {
        let names: BTreeSet<&str> = file.literals.iter().flat_map(|text| names_of(text, schema)).collect();
        wrong.extend(
            names
                .into_iter()
                .filter(|name| objects.contains(*name))
                .map(|name| format!("{}: {schema}.{name}", file.path)),
        );
    }
    wrong
}

/// The words behind `schema.` in a text.
fn names_of<'a>(text: &'a str, schema: &str) -> Vec<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let prefix = format!("{schema}.");
    let mut names = Vec::new();
    for (at, _) in text.match_indices(&prefix) {
        if text[..at].ends_with(is_word) {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        names.push(&rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]);
    }
    names
}
