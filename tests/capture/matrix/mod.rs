//! Capture is never in the way of a writer: statements of every kind give the same on a captured table as on one that is not captured,
//! and the events of the captured one make its copy equal.
//!
//! The axes are in [`plan`]: types and what is made of them, kinds of tables, ways of capture, statements, isolation levels,
//! transactions, DDL and who runs it, settings, search_path, event triggers. A run takes a cover of all pairs that matter; with
//! `MATRIX_SECONDS` plans by chance.

mod plan;
mod script;
mod table;
mod trial;

use std::collections::BTreeSet;
use std::env;
use std::time::Instant;

use plan::{Capture, Change, Kind, Plan, Statement};
use trial::{Trial, World};

use crate::support::effort;
use crate::support::types::Wrap;

/// Runs the trials of a cover whose capture is of a kind; or random ones, for the time that the environment gives. Seeds below
/// [`plan::COVER`] are the trials of the cover.
#[track_caller]
fn check(wanted: fn(Capture) -> bool) {
    let mut world = World::new();
    let cover = plan::cover();
    let captures: Vec<(Capture, Kind)> = cover.iter().copied().filter(|(capture, _)| wanted(*capture)).collect();
    let is_random = env::var("MATRIX_SECONDS").is_ok();
    let fixed = (0..).zip(&cover).filter(|(_, (capture, _))| !is_random && wanted(*capture)).map(|(nr, _)| nr);
    let mut done = BTreeSet::new();
    let mut ran = 0;
    effort::seeds("MATRIX", fixed, |seed| {
        let plan = match usize::try_from(seed).ok().and_then(|nr| cover.get(nr).map(|(capture, _)| (nr, *capture))) {
            Some((nr, capture)) if wanted(capture) => Plan::of_cover(nr),
            // Of another test.
            Some(_) => return,
            None => Plan::random(seed, &captures),
        };
        println!("MATRIX_SEED={seed}");
        let started = Instant::now();
        done.extend(Trial::new(&mut world, plan).run());
        println!("{:?}", started.elapsed());
        ran += 1;
    });
    // Those of a cover that have all statements.
    if ran == captures.len() && captures.len() == Kind::ALL.len() {
        let never: Vec<Statement> = Statement::ALL.into_iter().filter(|statement| !done.contains(statement)).collect();
        assert!(
            never.iter().all(|statement| *statement == Statement::Refused),
            "statements that never went through: {never:?}"
        );
    }
}

#[test]
fn statement_capture() {
    check(|capture| capture == Capture::Generated("statement", "sql"));
}

#[test]
fn row_capture() {
    check(|capture| capture == Capture::Generated("row", "sql"));
}

#[test]
fn formats_with_whole_rows() {
    check(|capture| matches!(capture, Capture::Generated(_, "urlenc" | "json")));
}

#[test]
fn triggers_of_pgq() {
    check(|capture| matches!(capture, Capture::Generic(_)));
}

/// What a cover promises.
#[test]
fn a_cover_has_all_pairs() {
    let plans: Vec<Plan> = (0..plan::COVER).map(Plan::of_cover).collect();
    let types = 100;
    let pairs: BTreeSet<(usize, usize)> = plans
        .iter()
        .flat_map(|plan| plan.columns.pairs(types, plan.seed))
        .map(|(base, wrap)| (base, wrap as usize))
        .collect();
    assert_eq!(pairs.len(), types * Wrap::ALL.len());
    let pairs = |of: &dyn Fn(&Plan, &plan::Step) -> Option<String>| {
        plans.iter().flat_map(|plan| plan.steps.iter().filter_map(|step| of(plan, step))).collect::<BTreeSet<_>>().len()
    };
    let (statements, changes) = (Statement::ALL.len(), Change::ALL.len());
    let level = |plan: &Plan| match plan.capture {
        Capture::Generated(level, "sql") => Some(level),
        _ => None,
    };
    assert_eq!(pairs(&|_, step| Some(format!("{:?} {}", step.statement, step.isolation))), statements * 3);
    assert_eq!(pairs(&|_, step| Some(format!("{:?} {:?}", step.statement, step.shape))), statements * 7);
    assert_eq!(pairs(&|plan, step| Some(format!("{:?} {}", step.statement, level(plan)?))), statements * 2);
    assert_eq!(pairs(&|_, step| step.change.map(|change| format!("{change:?}"))), changes * 4);
    assert_eq!(pairs(&|_, step| Some(format!("{:?} {}", step.change?.0, step.isolation))), changes * 3);
    assert_eq!(pairs(&|plan, step| Some(format!("{:?} {}", step.change?.0, level(plan)?))), changes * 2);
}
