//! Schemas as applications have them, under load, through the whole tutorial.
//!
//! Each schema stands in a file of its own. A filler and clients that are driven by the catalog write to all its tables while
//! ticker and replay are set up, all tables are added and copied, and an operator works on them. In the end both sides are equal by
//! the text of each row and by their structure, no statement of a client has failed but for the schema, and the logs hold nothing
//! that the schema does not explain.
//!
//! The seed is printed. The same seed makes the same choices, though not at the same moments.

mod catalog;
mod operation;
mod pieces;
mod statement;
mod structure;
mod tutorial;
mod values;
mod writer;

use std::time::Duration;

use crate::support::effort::number;

/// A seed to repeat a failure with.
const SEED: &str = "SCHEMAS_SEED";
/// For how many seconds clients write once a schema's tables are copied, with a new seed.
const SECONDS: &str = "SCHEMAS_SECONDS";

/// Plays the tutorial with the seed and the time of the environment; else with fixed ones that suit every run of the tests, and on
/// the tables of `usual` alone (`--all`, or names and patterns).
#[track_caller]
fn play(name: &str, file: &'static str, usual: &str) {
    let seconds = number(SECONDS);
    let new = if seconds.is_some() { u64::from(std::process::id()) } else { 1 };
    let seed = number(SEED).unwrap_or(new);
    println!("{SEED}={seed}");
    let tables = if seconds.is_some() { "--all" } else { usual };
    let outcome = tutorial::play(name, file, tables, seed, Duration::from_secs(seconds.unwrap_or(2)));
    let done: u64 = outcome.done.values().sum();
    let refused: u64 = outcome.refused.values().sum();
    assert!(done > 50 && done > refused / 3, "{done} statements went through, {refused} were refused");
}

#[test]
fn customers_and_orders() {
    play("crm", include_str!("crm.sql"), "--all");
}

#[test]
fn hotels_and_meters() {
    play("booking", include_str!("booking.sql"), "--all");
}

#[test]
fn forum_with_search_and_inheritance() {
    play("forum", include_str!("forum.sql"), "--all");
}

/// All tables are there and are written to; without a time in the environment, those of four areas are replicated.
#[test]
fn hundreds_of_tables() {
    play("erp", include_str!("erp.sql"), "erp.companies erp.units erp.people erp.Area* erp.a1*");
}
