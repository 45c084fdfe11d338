//! Rows of a table as text, read on both sides, and the statements that make those of the subscriber equal to the provider's.
//!
//! [`compared_table`] has the queries, [`equality`] and [`shape`] know equal values by whatever text, [`fix`] has the statements.
//! When rows may be read, and what keeps them from changing meanwhile, is for the caller to see to.

mod compared_table;
mod equality;
mod fix;
mod mend;
mod row;
mod shape;
mod subject;

pub(crate) use compared_table::{By, ComparedTable, Side};
pub(crate) use fix::{Compared, Counts, Pair, RowFix};
pub(crate) use mend::{PIN, by_key, fixes, key_columns, mend};
pub(crate) use row::{RowText, values};
pub(crate) use subject::{Subject, source};
