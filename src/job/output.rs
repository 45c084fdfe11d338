//! What a command hands back for standard output.

use std::fmt::{self, Display};

use serde::Serialize;

/// The result of a command: facts as text and as JSON, and whether everything that was asked for was done.
#[derive(Debug, Default)]
#[must_use]
pub struct Output {
    text: String,
    json: Option<serde_json::Value>,
    failed: bool,
}

impl Output {
    /// Nothing to print, all done.
    pub fn none() -> Output {
        Output::default()
    }

    /// The same facts as text, exactly as scripts know it, and as JSON.
    pub fn of<T: Display + Serialize>(facts: &T) -> Output {
        Output { text: facts.to_string(), json: serde_json::to_value(facts).ok(), failed: false }
    }

    /// Something that was asked for could not be done; it has been logged already. The exit status is 1.
    pub fn failed(mut self, failed: bool) -> Output {
        self.failed = failed;
        self
    }

    /// Whether the exit status is 1.
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// The JSON document, for commands that print facts.
    pub fn json(&self) -> Option<&serde_json::Value> {
        self.json.as_ref()
    }
}

impl Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
