//! The shape of the source: who may use whom, and who alone may touch the process, the terminal and the wire.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with those it may use. The order is the order of the layers.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("config", &["error"]),
    ("pg", &["error"]),
    ("job", &["error", "config"]),
    ("pgq", &["error", "pg"]),
    ("pgqadm", &["error", "config", "pg", "job", "pgq"]),
    ("londiste", &["error", "config", "pg", "job", "pgq"]),
    ("cli", &["error", "config", "pg", "job", "pgq", "pgqadm", "londiste"]),
];

/// Names of the crate root that are re-exports of `error`.
const ROOT_NAMES: &[&str] = &["Error", "Report", "Result", "Role"];

const LONGEST_FILE: usize = 600;

struct Source {
    path: PathBuf,
    module: String,
    /// The code without comments and without its own tests.
    code: String,
    lines: usize,
}

#[test]
fn modules_use_only_the_layers_below_them() {
    let mut wrong = BTreeSet::new();
    for source in sources() {
        let Some((_, allowed)) = LAYERS.iter().find(|(module, _)| *module == source.module) else {
            // The crate root and main only choose and declare.
            assert!(["lib", "main"].contains(&source.module.as_str()), "{} has no layer", source.path.display());
            continue;
        };
        for used in used_modules(&source.code) {
            let known = LAYERS.iter().any(|(module, _)| *module == used) || ROOT_NAMES.contains(&used.as_str());
            assert!(known, "{} uses crate::{used}, which has no layer", source.path.display());
            let is_error = used == "error" || ROOT_NAMES.contains(&used.as_str());
            if used != source.module && !is_error && !allowed.contains(&used.as_str()) {
                wrong.insert(format!("{}: {} must not use {used}", source.path.display(), source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_pg_opens_connections() {
    let names = ["tokio_postgres::Config", "tokio_postgres::Client", "tokio_postgres::connect"];
    assert_only_in("pg", &names);
}

#[test]
fn only_cli_writes_to_standard_output() {
    assert_only_in("cli", &["stdout()", "println!", "print!("]);
}

#[test]
fn only_job_forks_and_handles_signals() {
    assert_only_in("job", &["daemonize::", "signal::unix", "tracing_subscriber::"]);
}

#[test]
fn files_are_short_enough_to_read() {
    let long: Vec<String> = sources()
        .filter(|source| source.lines > LONGEST_FILE)
        .map(|source| format!("{}: {} lines", source.path.display(), source.lines))
        .collect();
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines: {long:#?}");
}

fn assert_only_in(module: &str, names: &[&str]) {
    let mut wrong = BTreeSet::new();
    for source in sources().filter(|source| source.module != module) {
        for name in names.iter().filter(|name| source.code.contains(**name)) {
            wrong.insert(format!("{}: {name}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "only {module} may: {wrong:#?}");
}

/// The first names after `crate::`, those of `crate::{a, b::c}` too.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        // Not `other_crate::`.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(top_level_names(group)),
            None => used.extend(first_name(rest)),
        }
    }
    used
}

fn first_name(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn top_level_names(group: &str) -> Vec<String> {
    let mut depth = 0_u32;
    let mut names: Vec<String> = first_name(group).into_iter().collect();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.extend(first_name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

fn sources() -> impl Iterator<Item = Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, "rs", &mut paths);
    paths.into_iter().map(move |path| {
        let text = fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(&root).unwrap().to_owned();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
        Source { path: inside, module, code, lines: text.lines().count() }
    })
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

#[test]
fn paths_below_the_crate_are_found() {
    let code = "use crate::pg::{Db, Role};\nuse crate::{config::{self, keys}, error};\nother_crate::x; crate::job";
    let used: Vec<String> = used_modules(code).into_iter().collect();
    assert_eq!(used, ["config", "error", "job", "pg"]);
}
