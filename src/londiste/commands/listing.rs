//! Forms of standard output: a list of names; sections of rows with a heading, columns and rules (`fkeys`, `triggers`).

use std::fmt;

use serde::{Serialize, Serializer};

use crate::londiste::state::provider_queue::TableCapture;
use crate::pg::FqName;

/// Names for standard output: one per line, an array as JSON.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct NameList(pub(super) Vec<String>);

impl fmt::Display for NameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| writeln!(f, "{name}"))
    }
}

impl NameList {
    pub(super) fn of(names: &[FqName]) -> NameList {
        NameList(names.iter().map(ToString::to_string).collect())
    }
}

/// How tables are captured: two lines or three for each, an array of objects as JSON.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct CaptureList(pub(super) Vec<TableCapture>);

impl fmt::Display for CaptureList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|table| {
            writeln!(f, "{}", table.table_name)?;
            let Some(capture) = &table.capture else {
                return writeln!(f, "    triggers of the original tools");
            };
            let [insert, update, delete] =
                [&table.insert, &table.update, &table.delete].map(|level| level.as_deref().unwrap_or("nothing"));
            writeln!(f, "    {capture}: insert by {insert}, update by {update}, delete by {delete}")?;
            if let (Some(why), Some(since)) = (&table.why, &table.since) {
                writeln!(f, "    update by {update} since {since}: {why}")?;
            }
            if let Some(columns) = &table.hot_columns {
                writeln!(f, "    updates usually change: {}", columns.join(", "))?;
            }
            Ok(())
        })
    }
}

/// The least width of a column, and the length of the rule below each heading, in characters.
const MIN_WIDTH: usize = 15;

/// Serializes a value as its text; for `serialize_with`.
pub(super) fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Rows under a heading.
pub(super) struct Section<const N: usize> {
    pub(super) heading: &'static str,
    pub(super) columns: [&'static str; N],
    pub(super) rows: Vec<[String; N]>,
}

impl<const N: usize> fmt::Display for Section<N> {
    /// All columns but the last are as wide as their longest value. Two empty lines end a section; a section without
    /// rows prints nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let width_of = |column: usize| {
            let longest = self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            longest.max(MIN_WIDTH) + 2
        };
        let widths: [usize; N] = std::array::from_fn(|i| if i + 1 == N { 0 } else { width_of(i) });
        let line = |f: &mut fmt::Formatter<'_>, cells: [&str; N]| {
            cells.iter().zip(widths).try_for_each(|(cell, width)| write!(f, "{cell:<width$}"))?;
            writeln!(f)
        };
        writeln!(f, "{}", self.heading)?;
        line(f, self.columns)?;
        line(f, ["-".repeat(MIN_WIDTH).as_str(); N])?;
        for row in &self.rows {
            line(f, std::array::from_fn(|i| row[i].as_str()))?;
        }
        write!(f, "\n\n")
    }
}

/// Sections one after the other; as JSON an object with an array for each heading.
pub(super) struct Sections<const N: usize>(pub(super) Vec<Section<N>>);

impl<const N: usize> fmt::Display for Sections<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|section| section.fmt(f))
    }
}

impl<const N: usize> Serialize for Sections<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|section| {
            let rows: Vec<serde_json::Map<String, serde_json::Value>> = section
                .rows
                .iter()
                .map(|row| section.columns.iter().zip(row).map(|(c, v)| ((*c).to_owned(), v.clone().into())).collect())
                .collect();
            (section.heading.replace(' ', "_"), rows)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_value_but_the_last() {
        let section = Section {
            heading: "active fkeys",
            columns: ["from_table", "to_table", "fkey_name", "fkey_def"],
            rows: vec![
                ["public.orders", "public.customers", "orders_customer_id_fkey", "alter table only"].map(str::to_owned),
            ],
        };
        let expected = "\
active fkeys
from_table       to_table          fkey_name                fkey_def
---------------  ---------------   ---------------          ---------------
public.orders    public.customers  orders_customer_id_fkey  alter table only


";
        assert_eq!(section.to_string(), expected);
        let empty = Section { rows: vec![], ..section };
        assert_eq!(empty.to_string(), "");
        assert_eq!(serde_json::to_string(&Sections(vec![empty])).unwrap_or_default(), r#"{"active_fkeys":[]}"#);
    }
}
