//! The result of a command for standard output.

use std::fmt::{self, Display};

use serde::Serialize;

/// The result of a command: facts as text and as JSON, and whether everything that was asked for was done.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Output {
    text: String,
    json: Option<serde_json::Value>,
    failed: bool,
}

impl Output {
    /// Nothing to print, exit status 0.
    pub(crate) fn none() -> Output {
        Output::default()
    }

    /// Facts as text, byte by byte as scripts of SkyTools expect it, and as JSON.
    pub(crate) fn of<T: Display + Serialize>(facts: &T) -> Output {
        Output { text: facts.to_string(), json: serde_json::to_value(facts).ok(), failed: false }
    }

    /// The same output with exit status 1 if `failed`: a part of the request could not be done, which was logged already.
    pub(crate) fn failed(mut self, failed: bool) -> Output {
        self.failed = failed;
        self
    }

    /// Whether the exit status is 1.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed
    }

    /// The JSON document, for commands that print facts.
    pub(crate) fn json(&self) -> Option<&serde_json::Value> {
        self.json.as_ref()
    }
}

impl Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
