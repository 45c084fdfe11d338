//! The one error type of the crate, grouped by what the operator can do about it; [`Report`] makes the text.

mod report;
mod sqlstate;
mod variants;

pub use self::report::Report;
pub(crate) use self::sqlstate::SEE_ALL_ROWS;
pub use self::variants::{ApplyFault, Error, FaultKind, Result, Role};
