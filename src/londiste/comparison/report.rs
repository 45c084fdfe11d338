//! What [`super::range_walk`] finds, and how `compare --online` prints it.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::pg::RawText;
use crate::pgq::TickId;

use super::range_walk::{Looks, Settle, Totals};
use super::rows::{ComparedTable, RowText};
use super::sequences::DifferingSequence;
use super::whole_rows::copies;

/// The output of the command.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) tables: Vec<TableReport>,
    /// The sequences whose values differ.
    pub(super) sequences: Vec<DifferingSequence>,
}

/// What was found in one table.
#[derive(Debug, Serialize)]
pub(super) struct TableReport {
    table: String,
    /// The columns of the key; none where rows are told by all columns.
    key: Vec<String>,
    #[serde(flatten)]
    pub(super) totals: Totals,
    /// Rows that only the provider has, that only the subscriber has, and that both have and differ.
    missing: u64,
    extra: u64,
    changed: u64,
    /// The keys of the first [`LISTED`] rows that differ.
    differing: Vec<DifferingRow>,
}

/// A row that differs.
#[derive(Debug, Serialize)]
struct DifferingRow {
    /// The key; the whole row where the table has none.
    key: Vec<String>,
    difference: Difference,
    /// How often provider and subscriber have the row, where the table has no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<[u64; 2]>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Difference {
    Missing,
    Extra,
    Changed,
}

/// How many rows of a table are listed.
const LISTED: usize = 1000;

impl TableReport {
    pub(super) fn of(compared: &ComparedTable) -> TableReport {
        TableReport {
            table: compared.name.to_string(),
            key: compared.columns[..compared.key_len].to_vec(),
            totals: Totals::default(),
            missing: 0,
            extra: 0,
            changed: 0,
            differing: Vec::new(),
        }
    }

    pub(super) fn differs(&self) -> bool {
        self.differing_rows() > 0
    }

    pub(super) fn differing_rows(&self) -> u64 {
        self.missing + self.extra + self.changed
    }

    /// The first rows that differ, without the name of the table.
    pub(super) fn named(&self, most: usize) -> Vec<String> {
        self.differing.iter().take(most).map(|row| self.describe(row)).collect()
    }

    fn describe(&self, DifferingRow { key, difference, copies }: &DifferingRow) -> String {
        if let Some([theirs, ours]) = copies {
            return format!("row {}: {theirs} on the provider, {ours} on the subscriber", key.join(", "));
        }
        let word = match difference {
            Difference::Missing => "missing",
            Difference::Extra => "extra",
            Difference::Changed => "changed",
        };
        format!("({}) = ({}): {word}", self.key.join(", "), key.join(", "))
    }

    /// Adds a row of a table without a key, with the number of its copies on the provider and on the subscriber.
    fn add_copies(&mut self, row: &RowText, copies @ [theirs, ours]: [u64; 2]) {
        self.missing += theirs.saturating_sub(ours);
        self.extra += ours.saturating_sub(theirs);
        let difference = if theirs > ours { Difference::Missing } else { Difference::Extra };
        self.list(row, difference, Some(copies));
    }

    fn list(&mut self, key: &RowText, difference: Difference, copies: Option<[u64; 2]>) {
        if self.differing.len() < LISTED {
            let text = |value: &Option<RawText>| value.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
            self.differing.push(DifferingRow { key: key.iter().map(text).collect(), difference, copies });
        }
    }
}

impl Settle for TableReport {
    /// Adds the rows.
    async fn settle(&mut self, rows: Looks, _passed: TickId) -> Result<Looks> {
        for (key, sides) in rows {
            if self.key.is_empty() {
                self.add_copies(&key, copies(&sides));
                continue;
            }
            let difference = match sides {
                [Some(_), None] => Difference::Missing,
                [None, _] => Difference::Extra,
                [Some(_), Some(_)] => Difference::Changed,
            };
            *match difference {
                Difference::Missing => &mut self.missing,
                Difference::Extra => &mut self.extra,
                Difference::Changed => &mut self.changed,
            } += 1;
            self.list(&key, difference, None);
        }
        Ok(Looks::new())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let TableReport { table: name, totals, missing, extra, changed, differing, .. } = table;
            if table.differs() {
                writeln!(
                    f,
                    "{name}: {} rows differ ({missing} missing, {extra} extra, {changed} changed)",
                    table.differing_rows()
                )?;
            }
            if totals.unverified > 0 {
                writeln!(f, "{name}: {} rows could not be verified", totals.unverified)?;
            }
            for row in differing {
                writeln!(f, "{name} {}", table.describe(row))?;
            }
            let listed = |row: &DifferingRow| row.copies.map_or(1, |[theirs, ours]| theirs.abs_diff(ours));
            let more = table.differing_rows() - differing.iter().map(listed).sum::<u64>();
            if more > 0 {
                writeln!(f, "{name}: {more} more")?;
            }
        }
        Ok(())
    }
}
