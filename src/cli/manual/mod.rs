//! The manual: pages for `man`, the text of `help CMD`, and completions for shells. All of it is made of the tables of commands, options
//! and keys.

mod completion;
mod details;
mod long_help;
mod page;
mod roff;

pub(super) use completion::script;
pub(super) use long_help::long_help;
pub(super) use page::page;
