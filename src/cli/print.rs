//! Standard output for data, standard error for everything else.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;
use super::options::Options;
use crate::error::Error;
use crate::job::Output;
use crate::text::for_terminal;

/// Prints what a command has found.
pub(super) fn show(output: &Output, options: &Options) -> Result<(), Failure> {
    match output.json().filter(|_| options.json) {
        Some(json) => print(&format!("{json:#}\n")),
        None => print(&output.to_string()),
    }
    .map(drop)
}

/// Prints what a command has found in place of what it found before: a terminal is cleared first.
pub(super) fn show_again(output: &Output, options: &Options) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        write("\x1b[H\x1b[2J")?;
    }
    show(output, options)
}

/// Prints data: as it is for programs, without commands to the terminal for people.
pub(super) fn print(text: &str) -> Result<u8, Failure> {
    if io::stdout().is_terminal() { write(&for_terminal(text)) } else { write(text) }
}

/// A reader that has gone away, as in `... | head -1`, has read enough.
fn write(text: &str) -> Result<u8, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::System { action: "write to standard output", source }.into())
        }
        _ => Ok(0),
    }
}

/// Prints anything else. Nothing is left to complain to when this fails.
pub(super) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
