//! The result of a command for standard output.

use std::fmt::{self, Display};

use serde::Serialize;
use serde_json::{Map, Value};

/// The number in documents that grows when a field goes away or gets another meaning. New fields do not change it.
const SCHEMA_VERSION: u64 = 1;

/// Facts as the document that `--json` prints. An object begins with the version of its schema; a list has none.
pub(crate) fn document<T: Serialize>(facts: &T) -> Option<Value> {
    match serde_json::to_value(facts).ok()? {
        Value::Object(fields) => {
            let version = Map::from_iter([("schema_version".to_owned(), SCHEMA_VERSION.into())]);
            Some(version.into_iter().chain(fields).collect())
        }
        list => Some(list),
    }
}

/// The result of a command: facts as text and as JSON, and the exit status.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Output {
    text: String,
    json: Option<Value>,
    code: u8,
}

impl Output {
    /// Nothing to print, exit status 0.
    pub(crate) fn none() -> Output {
        Output::default()
    }

    /// Facts as text, byte by byte as scripts of SkyTools expect it, and as JSON.
    pub(crate) fn of<T: Display + Serialize>(facts: &T) -> Output {
        Output { text: facts.to_string(), json: document(facts), code: 0 }
    }

    /// One line of text, which is the same with `--json`.
    pub(crate) fn line(text: String) -> Output {
        Output { text: text + "\n", ..Output::default() }
    }

    /// The same output with exit status 1 if `failed`: a part of the request could not be done, which was logged already.
    pub(crate) fn failed(self, failed: bool) -> Output {
        self.with_code(u8::from(failed))
    }

    /// The same output with another exit status.
    pub(crate) fn with_code(mut self, code: u8) -> Output {
        self.code = code;
        self
    }

    /// The exit status.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// The JSON document, for commands that print facts.
    pub(crate) fn json(&self) -> Option<&Value> {
        self.json.as_ref()
    }
}

impl Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
