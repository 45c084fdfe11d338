//! In which order `repair` goes through the tables, and through which of them again.
//!
//! A row is inserted after the row that it refers to, and deleted before it. So tables that others refer to come first, and those in
//! which a foreign key refused rows come once more, in the opposite order, as long as that leaves fewer refused rows. Each pass
//! examines a table anew: refused rows, which may be many, are not kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::pg::catalog;
use crate::pg::{Db, FqName};

use super::super::context::Context;
use super::super::state::skips::{self, LeftOut};
use super::arguments::Repair;
use super::refusals::{self, is_of_other_tables};
use super::repaired::{Repaired, RepairedTable};
use super::rows::Subject;

/// The rows of a table that were refused, and why.
struct Refused {
    table: Subject,
    rows: u64,
    error: Error,
}

/// The tables of one `repair`.
pub(super) struct Passes {
    /// Tables that are still to come in this pass, the next one last.
    tables: Vec<Subject>,
    /// Tables of this pass in which a foreign key refused rows.
    again: Vec<Refused>,
    /// How many rows were refused in the pass before, if there was one.
    before: Option<u64>,
    /// Whether what one pass does can help the next.
    changes: bool,
    repaired: Repaired,
    /// Events that had been left out before: a table that is made equal does not lack them any more.
    left_out: Vec<LeftOut>,
    /// Whether rows stay refused.
    failed: bool,
}

impl Passes {
    /// The first pass: the tables in the order of the subscriber's foreign keys where rows are to be changed, else as they are.
    pub(super) async fn begin(
        mut tables: Vec<Subject>,
        wanted: &Repair,
        context: Context<'_>,
        subscriber: &Db,
    ) -> Result<Passes> {
        if wanted.apply {
            tables = parents_first(tables, &catalog::references(subscriber).await?);
        }
        tables.reverse();
        let changes = wanted.apply && !context.config.fake;
        let left_out = if changes { skips::left_out(subscriber).await? } else { Vec::new() };
        let repaired = Repaired::default();
        Ok(Passes { tables, again: Vec::new(), before: None, changes, repaired, left_out, failed: false })
    }

    /// The next table.
    pub(super) fn next(&mut self) -> Option<Subject> {
        if self.tables.is_empty() {
            let rows = self.again.iter().map(|refused| refused.rows).sum();
            let helps = self.changes && self.before.is_none_or(|before| rows < before);
            self.before = Some(rows);
            for Refused { table, rows, error } in std::mem::take(&mut self.again) {
                if helps {
                    tracing::info!("{}: {rows} rows wait for rows of other tables, trying again", table.name);
                    // In the order of the pass before: the last one is the next.
                    self.tables.push(table);
                } else {
                    refusals::tell(&table.name, rows, &error);
                    self.failed = true;
                }
            }
        }
        self.tables.pop()
    }

    /// Whether the tables were gone through before.
    pub(super) fn is_repeated(&self) -> bool {
        self.before.is_some()
    }

    /// Takes what was done in a table; `refused`: why the rows that are counted as refused are.
    pub(super) fn add(&mut self, table: Subject, done: RepairedTable, refused: Option<Error>) {
        match refused {
            Some(error) if is_of_other_tables(&error) => {
                self.again.push(Refused { table, rows: done.refused, error });
            }
            Some(error) => {
                refusals::tell(&table.name, done.refused, &error);
                self.failed = true;
            }
            None => {}
        }
        self.repaired.add(done);
    }

    /// What was done, and whether rows stay refused. Tells of those that wait for another pass.
    pub(super) async fn end(mut self, subscriber: &Db) -> Result<(Repaired, bool)> {
        for Refused { table, rows, error } in &self.again {
            refusals::tell(&table.name, *rows, error);
            self.failed = true;
        }
        let is_mended = |left_out: &&LeftOut| self.repaired.is_equal(&left_out.table);
        skips::forget(subscriber, self.left_out.iter().filter(is_mended)).await?;
        Ok((self.repaired, self.failed))
    }
}

/// Each table behind those that it refers to; of tables that refer to each other in a circle one comes first.
fn parents_first(mut tables: Vec<Subject>, references: &[(FqName, FqName)]) -> Vec<Subject> {
    let mut parents: BTreeMap<&FqName, Vec<&FqName>> = BTreeMap::new();
    for (child, parent) in references {
        parents.entry(child).or_default().push(parent);
    }
    let mut places = BTreeMap::new();
    let names: Vec<FqName> = tables.iter().map(|table| table.name.clone()).collect();
    for name in &names {
        place(name, &parents, &mut BTreeSet::new(), &mut places);
    }
    tables.sort_by_key(|table| places[&table.name]);
    tables
}

/// Gives the table the place behind those that it refers to; `open` are the tables that refer to it, which are being placed.
fn place<'a>(
    name: &'a FqName,
    parents: &BTreeMap<&FqName, Vec<&'a FqName>>,
    open: &mut BTreeSet<&'a FqName>,
    places: &mut BTreeMap<&'a FqName, usize>,
) {
    if places.contains_key(name) || !open.insert(name) {
        return;
    }
    for parent in parents.get(name).into_iter().flatten() {
        place(parent, parents, open, places);
    }
    places.insert(name, places.len());
}
