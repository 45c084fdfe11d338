//! What [`super::range_walk`] finds, and how `compare --online` prints it.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::pg::RawText;
use crate::pgq::TickId;

use super::range_walk::{Looks, Settle, Totals};
use super::rows::ComparedTable;

/// The output of the command.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) tables: Vec<TableReport>,
}

/// What was found in one table.
#[derive(Debug, Serialize)]
pub(super) struct TableReport {
    table: String,
    /// The columns of the key.
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
    key: Vec<String>,
    difference: Difference,
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

    fn describe(&self, DifferingRow { key, difference }: &DifferingRow) -> String {
        let word = match difference {
            Difference::Missing => "missing",
            Difference::Extra => "extra",
            Difference::Changed => "changed",
        };
        format!("({}) = ({}): {word}", self.key.join(", "), key.join(", "))
    }
}

impl Settle for TableReport {
    /// Adds the rows.
    async fn settle(&mut self, rows: Looks, _passed: TickId) -> Result<Looks> {
        for (key, sides) in rows {
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
            if self.differing.len() < LISTED {
                let text =
                    |value: &Option<RawText>| value.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
                self.differing.push(DifferingRow { key: key.iter().map(text).collect(), difference });
            }
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
            let more = table.differing_rows() - differing.len() as u64;
            if more > 0 {
                writeln!(f, "{name}: {more} more")?;
            }
        }
        Ok(())
    }
}
