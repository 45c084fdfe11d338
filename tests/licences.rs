//! The licences of everything that is linked into the program, and where it comes from, by the lists of `deny.toml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A list of `deny.toml`.
fn list(section: &str, key: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let file: toml::Table = text.parse().unwrap();
    file[section][key].as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// All packages that this machine builds, as cargo describes them.
fn packages() -> Vec<Value> {
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let rustc = run("rustc", &["-vV"]);
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let args = ["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&run(env!("CARGO"), &args)).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether a licence expression of SPDX is met by what is allowed. `/` is an old spelling of `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = alternatives(&words, allowed);
    met && rest.is_empty()
}

fn alternatives<'a, 'b>(words: &'b [&'a str], allowed: &BTreeSet<String>) -> (bool, &'b [&'a str]) {
    let (mut met, mut rest) = conjunction(words, allowed);
    while let ["OR", after @ ..] = rest {
        let (other, after) = conjunction(after, allowed);
        (met, rest) = (met || other, after);
    }
    (met, rest)
}

fn conjunction<'a, 'b>(words: &'b [&'a str], allowed: &BTreeSet<String>) -> (bool, &'b [&'a str]) {
    let (mut met, mut rest) = licence(words, allowed);
    while let ["AND", after @ ..] = rest {
        let (other, after) = licence(after, allowed);
        (met, rest) = (met && other, after);
    }
    (met, rest)
}

fn licence<'a, 'b>(words: &'b [&'a str], allowed: &BTreeSet<String>) -> (bool, &'b [&'a str]) {
    match words {
        ["(", inside @ ..] => {
            let (met, rest) = alternatives(inside, allowed);
            match rest {
                [")", rest @ ..] => (met, rest),
                _ => (false, rest),
            }
        }
        // An exception only takes conditions away, but it makes another licence of it.
        [name, "WITH", exception, rest @ ..] => (allowed.contains(&format!("{name} WITH {exception}")), rest),
        [name, rest @ ..] => (allowed.contains(*name), rest),
        [] => (false, words),
    }
}

#[test]
fn every_dependency_has_an_allowed_licence_and_comes_from_the_registry() {
    let (allowed, sources) = (list("licenses", "allow"), list("sources", "allow-registry"));
    let packages = packages();
    assert!(packages.len() > 100, "{} packages", packages.len());
    let mut wrong = Vec::new();
    for package in &packages {
        let licence = package["license"].as_str().unwrap_or("none");
        let source = package["source"].as_str().map(|source| source.trim_start_matches("registry+"));
        let is_known = source.map_or(package["name"] == "rlondiste", |source| sources.contains(source));
        if !is_allowed(licence, &allowed) || !is_known {
            wrong.push(format!("{} {}: licence {licence}, from {source:?}", package["name"], package["version"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Packages that other systems build are in the lock file only.
#[test]
fn every_package_of_the_lock_file_comes_from_the_registry() {
    let sources = list("sources", "allow-registry");
    for file in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock: toml::Table = fs::read_to_string(root().join(file)).unwrap().parse().unwrap();
        for package in lock["package"].as_array().unwrap() {
            let Some(source) = package.get("source") else { continue };
            let source = source.as_str().unwrap().trim_start_matches("registry+");
            assert!(sources.contains(source), "{file}: {package}");
            assert!(package.get("checksum").is_some(), "{file}: {package}");
        }
    }
}

#[test]
fn expressions_are_read_as_spdx_has_them() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND LGPL-2.1", false),
        ("MIT WITH exception", false),
        ("", false),
        ("MIT ISC", false),
        ("none", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
