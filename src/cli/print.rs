//! Standard output for data, standard error for everything else.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;
use super::options::Options;
use crate::error::Error;
use crate::job::Output;
use crate::text::for_terminal;

/// Prints the output of a command: as JSON with `--json`, if it has JSON, else as text.
pub(super) fn show(output: &Output, options: &Options) -> Result<(), Failure> {
    match output.json().filter(|_| options.json) {
        Some(json) => print(&format!("{json:#}\n")),
        None => print(&output.to_string()),
    }
    .map(drop)
}

/// As [`show`], for `--watch`: clears a terminal first.
pub(super) fn show_again(output: &Output, options: &Options) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        write("\x1b[H\x1b[2J")?;
    }
    show(output, options)
}

/// Prints data; to a terminal with control characters escaped, else unchanged. Returns exit status 0.
pub(super) fn print(text: &str) -> Result<u8, Failure> {
    if io::stdout().is_terminal() { write(&for_terminal(text)) } else { write(text) }
}

/// Writes to standard output. A closed pipe, as of `... | head -1`, is no error.
fn write(text: &str) -> Result<u8, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::System { action: "write to standard output", source }.into())
        }
        _ => Ok(0),
    }
}

/// Prints a message to standard error. Failures are ignored: there is no other place to report them.
pub(super) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
