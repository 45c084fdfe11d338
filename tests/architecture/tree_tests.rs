//! The reader of the source and the rules, on small sources that break each rule.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use super::rules;
use super::tree::Tree;

fn tree(files: &[(&str, &str)]) -> Tree {
    let text = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
    Tree::read(&text)
}

/// Who uses whom, as `from > to: name`.
fn edges(files: &[(&str, &str)]) -> Vec<String> {
    tree(files).edges().into_iter().map(|edge| format!("{} > {}: {}", edge.from, edge.to, edge.name)).collect()
}

#[test]
fn every_form_of_path_is_followed() {
    let callee = "pub struct Item; pub enum Kind { A } pub fn run() {} id!(/// An id.\nId, i64);";
    for (text, names) in [
        ("use crate::b::Item;", vec!["Item"]),
        ("use super::b::Item;", vec!["Item"]),
        ("use super::b::Item as Other; fn f(_: Other) {}", vec!["Item"]),
        ("use super::{b::{Item, Kind::A}, c};", vec!["A", "Item"]),
        ("use crate::b::{self, run};", vec!["run"]),
        ("use crate::b; fn f() { b::run() }", vec!["run"]),
        ("use super::{b}; fn f() { if x { let y = [b::Kind::A]; } }", vec!["A"]),
        ("fn f() { crate::b::run() }", vec!["run"]),
        ("fn f() { super::b::run() }", vec!["run"]),
        ("fn f() { tracing::warn!(\"{}\", super::b::run()) }", vec!["run"]),
        ("impl super::b::Item {}", vec!["Item"]),
        ("fn f() -> Vec<super::b::Item> { use super::b::run; run() }", vec!["Item", "run"]),
        ("use super::b::*;", vec!["b"]),
        ("use super::again::Item;", vec!["Item"]),
        ("use crate::Item;", vec!["Item"]),
        ("use super::b::Id;", vec!["Id"]),
        ("fn f() -> impl Fn() + use<> { super::b::run }", vec!["run"]),
        // No uses:
        ("use super::b;", vec![]),
        ("mod inner;", vec![]),
        ("#[cfg(test)] mod tests { use crate::b::Item; }", vec![]),
        ("#[cfg(test)] use crate::b::Item;", vec![]),
        ("// use crate::b::Item;\n/// [`crate::b::Item`]\nfn f() {}", vec![]),
        ("const TEXT: &str = \"use crate::b::Item;\";", vec![]),
        ("use other::b::Item;", vec![]),
    ] {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod again; pub use again::Item;"),
            ("a.rs", text),
            ("a/inner.rs", ""),
            ("b.rs", callee),
            ("c.rs", ""),
            ("again.rs", "pub use super::b::*;"),
        ];
        let expected: Vec<String> = names.iter().map(|name| format!("a.rs > b.rs: {name}")).collect();
        let found: Vec<String> = edges(&files).into_iter().filter(|edge| edge.starts_with("a.rs")).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn names_of_a_parent_and_of_a_grandparent_are_followed() {
    let files = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod deep; mod table; pub use self::table::Table; pub fn run() { deep::run() }"),
        ("room/table.rs", "pub struct Table;"),
        ("room/deep.rs", "pub mod deeper; pub fn run() {}"),
        ("room/deep/deeper.rs", "use super::super::{run, Table}; use self::own as again; fn own() {}"),
    ];
    let expected = [
        "room/deep/deeper.rs > room/mod.rs: run",
        "room/deep/deeper.rs > room/table.rs: Table",
        "room/mod.rs > room/deep.rs: run",
        "room/mod.rs > room/table.rs: Table",
    ];
    assert_eq!(edges(&files), expected);
}

#[test]
fn function_with_the_name_of_its_module_is_the_function() {
    let files = [
        ("lib.rs", "mod job; mod user;"),
        ("job/mod.rs", "mod last; pub use last::{last, Last};"),
        ("job/last.rs", "pub fn last() {} pub struct Last;"),
        ("user.rs", "use crate::job::last; use crate::job::Last;"),
    ];
    let expected = [
        "job/mod.rs > job/last.rs: Last",
        "job/mod.rs > job/last.rs: last",
        "user.rs > job/last.rs: Last",
        "user.rs > job/last.rs: last",
    ];
    assert_eq!(edges(&files), expected);
}

#[test]
#[should_panic(expected = "a.rs: cannot follow super::b::nothing")]
fn path_that_leads_nowhere_is_not_passed_over() {
    edges(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use super::b::nothing;"), ("b.rs", "")]);
}

#[test]
fn circles_are_found_and_facades_are_none() {
    let circles = |files: &[(&str, &str)]| rules::circles(&tree(files).edges());
    let child_uses_parent = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod child; pub struct Db; pub use child::run;"),
        ("room/child.rs", "pub fn run(_: super::Db) {}"),
    ];
    let expected = "room/child.rs -> room/mod.rs (Db); room/mod.rs -> room/child.rs (run)";
    assert_eq!(circles(&child_uses_parent), [expected]);

    let parent_only_declares = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "pub mod child; pub struct Db;"),
        ("room/child.rs", "pub fn run(_: super::Db) {}"),
    ];
    assert_eq!(circles(&parent_only_declares), [""; 0]);

    let facade = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("room/a.rs", "use super::B; pub struct A(B);"),
        ("room/b.rs", "pub struct B;"),
    ];
    assert_eq!(circles(&facade), [""; 0]);

    let two_rings = [
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "use crate::a::A; use crate::d::D; pub struct C;"),
        ("d.rs", "use crate::e::E; pub struct D;"),
        ("e.rs", "use crate::d::D; pub struct E;"),
    ];
    let expected = ["a.rs -> b.rs (B); b.rs -> c.rs (C); c.rs -> a.rs (A)", "d.rs -> e.rs (E); e.rs -> d.rs (D)"];
    assert_eq!(circles(&two_rings), expected);
}

#[test]
fn uses_go_down_the_rows() {
    let rows: &rules::Rows = &[&["mod"], &["commands"], &["copy", "replay"], &["state"]];
    let files = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod commands; mod copy; mod replay; mod state; mod extra; fn f() { commands::run() }"),
        ("room/commands.rs", "use super::state::State; pub fn run() {}"),
        ("room/copy/mod.rs", "use crate::room::state::State; mod part; pub struct Copy;"),
        ("room/copy/part.rs", "use super::Copy;"),
        ("room/replay.rs", "use super::copy::Copy; use super::commands::run;"),
        ("room/state.rs", "use super::copy::Copy; pub struct State;"),
        ("room/extra.rs", "use super::state::State;"),
    ];
    let tree = tree(&files);
    assert_eq!(rules::without_a_row(&tree, "room/", rows), ["extra"]);
    let expected = [
        "room/extra.rs -> room/state.rs (State)",
        "room/replay.rs -> room/commands.rs (run)",
        "room/replay.rs -> room/copy/mod.rs (Copy)",
        "room/state.rs -> room/copy/mod.rs (Copy)",
    ];
    assert_eq!(rules::against_the_rows(&tree.edges(), "room/", rows), expected);
}

#[test]
fn names_of_tables_are_found_in_every_literal() {
    let files = [
        ("lib.rs", "mod state; mod other;"),
        ("state/mod.rs", "const SQL: &str = \"select londiste.link(1)\";"),
        (
            "other.rs",
            "// londiste.link\nfn f() { g(&format!(\"delete from londiste.completed \\\n where {x}\"), r#\"londiste.link\"#) }\n\
             const NO: [&str; 4] = [\"londiste.py\", \"xlondiste.link\", \"londiste\", \"londiste.linked\"];",
        ),
    ];
    let objects = BTreeSet::from(["completed", "link"].map(str::to_owned));
    let found = rules::names_elsewhere(&tree(&files), &["state/"], "londiste", &objects);
    assert_eq!(found, ["other.rs: londiste.completed", "other.rs: londiste.link"]);
}

#[test]
fn uses_of_other_crates_are_found_in_groups_too() {
    let files = [
        ("lib.rs", "mod pg; mod job;"),
        ("pg.rs", "use tokio_postgres::{Client, Row};"),
        ("job.rs", "use tokio_postgres::{Row, error::Error, Client as C}; fn f() { println!(\"{}\", x) }"),
    ];
    let tree = tree(&files);
    assert_eq!(
        rules::used_elsewhere(&tree, "pg", &[&["tokio_postgres", "Client"]]),
        ["job.rs: tokio_postgres::Client"]
    );
    assert_eq!(rules::used_elsewhere(&tree, "pg", &[&["println"]]), ["job.rs: println"]);
}
