//! What is read of given rows, and what comes out of it.

use crate::pg::RawText;

use super::fix::RowFix;
use super::row::RowText;

/// Makes equal values have the same text on both sides, and raises an error where a policy would hide rows.
pub(crate) const PIN: &str =
    "set local row_security = off; set local datestyle = 'ISO, YMD'; set local timezone = 'UTC';
     set local intervalstyle = postgres; set local extra_float_digits = 3; set local bytea_output = hex";

/// A row, and what every change of it makes another.
pub(crate) struct Versioned {
    pub(crate) row: RowText,
    pub(crate) version: Option<RawText>,
    /// How often one side has it.
    pub(super) copies: u64,
}

/// What makes rows equal.
pub(crate) struct Fixes {
    pub(crate) changes: Vec<RowFix>,
    /// Rows that differ only in columns that the subscriber generates.
    pub(crate) generated: u64,
}
