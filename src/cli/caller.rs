//! The name that the program was called by.

use std::ffi::OsStr;
use std::path::Path;

use super::program::Program;
use crate::text::shown;

/// The name that the program was called by, and the program that it chooses.
#[derive(Debug)]
pub(super) struct Caller {
    /// The last part of the path that the program was called by, which messages begin with.
    pub(super) name: String,
    /// The program that this name stands for.
    pub(super) program: Option<Program>,
}

impl Caller {
    pub(super) fn new(arg0: &OsStr) -> Caller {
        let name = Path::new(arg0).file_name().unwrap_or(OsStr::new(env!("CARGO_PKG_NAME")));
        let name = shown(name.to_string_lossy());
        Caller { program: Program::of_name(&name), name }
    }

    /// The first lines of the help, and of a usage error.
    pub(super) fn usage(&self) -> String {
        let name = &self.name;
        let usage = format!("Usage: {name} [options] INI CMD [subcmd args]\n");
        match self.program {
            Some(_) => usage,
            None => format!(
                "{usage}       {name} [options] ticker INI [CMD [args]]\n       {name} [options] londiste INI CMD [subcmd args]\n"
            ),
        }
    }
}
