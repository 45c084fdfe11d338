//! The error type of the crate, whose variants are grouped by what the operator can do; [`Report`] makes the text.

mod apply_fault;
mod reaction;
mod report;
mod role;
mod sqlstate;
mod variants;

pub use self::apply_fault::{ApplyFault, FaultKind};
pub use self::reaction::Reaction;
pub use self::report::Report;
pub use self::role::Role;
pub(crate) use self::sqlstate::{INSTALL, SEE_ALL_ROWS};
pub use self::variants::{Error, Result};
