//! Why a command was not run or not finished: the text and the exit status.

use super::caller::Caller;
use crate::error::{Error, Report};
use crate::job::log::{Level, line};
use crate::text::{nearest, shown};

/// Why a command was not run or not finished, by the form of its text.
#[derive(Debug)]
pub(super) enum Failure {
    /// A bare line, as in SkyTools.
    Plain(String),
    /// A line in the format of the log, as in SkyTools.
    Logged(String),
    /// The command line cannot be used: the usage, and a line that says why.
    Usage(String),
    /// Any other error, by its [`Report`].
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl Failure {
    pub(super) fn code(&self) -> u8 {
        match self {
            Failure::Plain(_) | Failure::Logged(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Error(error) => error.exit_code(),
        }
    }

    /// The text for standard error, with its newline.
    pub(super) fn text(&self, caller: &Caller) -> String {
        let name = &caller.name;
        match self {
            Failure::Plain(text) => format!("{}\n", shown(text)),
            Failure::Logged(text) => line(Level::Error, text),
            Failure::Usage(text) => format!("{}\n{name}: error: {}\n", caller.usage(), shown(text)),
            Failure::Error(error @ Error::PidfileBusy { .. }) => format!("{}\n", Report(error)),
            Failure::Error(error) => format!("{name}: {}\n", Report(error)),
        }
    }
}

/// The word is none of the commands; a command that may have been meant is named.
pub(super) fn unknown_command<'a>(word: &str, commands: impl Iterator<Item = &'a str>) -> Failure {
    Failure::Plain(format!("Unknown command '{word}', use --help for help{}", meant(word, commands)))
}

/// A hint at the word that may have been meant.
pub(super) fn meant<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> String {
    nearest(word, words).map_or_else(String::new, |word| format!("; did you mean \"{word}\"?"))
}
