//! What `compare --online` prints.

use std::fmt;

use serde::Serialize;

use crate::pg::RawText;

use super::rows::{ComparedTable, RowText};

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
    pub(super) provider_rows: u64,
    pub(super) subscriber_rows: u64,
    /// Rows that only the provider has, that only the subscriber has, and that both have and differ.
    missing: u64,
    extra: u64,
    changed: u64,
    /// Rows that changed each time they were looked at.
    pub(super) unverified: u64,
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
            provider_rows: 0,
            subscriber_rows: 0,
            missing: 0,
            extra: 0,
            changed: 0,
            unverified: 0,
            differing: Vec::new(),
        }
    }

    pub(super) fn differs(&self) -> bool {
        self.missing + self.extra + self.changed > 0
    }

    /// Adds keys that differ, each with whether the provider and the subscriber have a row.
    pub(super) fn add(&mut self, keys: impl Iterator<Item = (RowText, [bool; 2])>) {
        for (key, sides) in keys {
            let difference = match sides {
                [true, false] => Difference::Missing,
                [false, _] => Difference::Extra,
                [true, true] => Difference::Changed,
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
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let TableReport { table: name, key, missing, extra, changed, unverified, differing, .. } = table;
            if table.differs() {
                writeln!(
                    f,
                    "{name}: {} rows differ ({missing} missing, {extra} extra, {changed} changed)",
                    missing + extra + changed
                )?;
            }
            if *unverified > 0 {
                writeln!(f, "{name}: {unverified} rows could not be verified")?;
            }
            for DifferingRow { key: values, difference } in differing {
                let word = match difference {
                    Difference::Missing => "missing",
                    Difference::Extra => "extra",
                    Difference::Changed => "changed",
                };
                writeln!(f, "{name} ({}) = ({}): {word}", key.join(", "), values.join(", "))?;
            }
            let more = missing + extra + changed - differing.len() as u64;
            if more > 0 {
                writeln!(f, "{name}: {more} more")?;
            }
        }
        Ok(())
    }
}
