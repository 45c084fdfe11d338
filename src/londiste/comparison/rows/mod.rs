//! Rows of a table as text, read on both sides, and the statements that make those of the subscriber equal to the provider's.
//!
//! [`compared_table`] has the queries, [`copies`] those for tables without a key, [`equality`] and [`shape`] know equal values by whatever text, [`fix`] has the statements.
//! When rows may be read, and what keeps them from changing meanwhile, is for the caller to see to.

mod compared_table;
mod copies;
mod equality;
mod fix;
mod mend;
mod row;
mod shape;
mod subject;
mod versioned;

pub(crate) use compared_table::{By, ComparedTable, Side};
pub(crate) use fix::{Counts, RowFix};
pub(crate) use mend::{fixes, key_columns, mend, read};
pub(crate) use row::{RowText, values};
pub(crate) use subject::{Subject, source};
pub(crate) use versioned::{Fixes, PIN};
