//! The text of an error for a person.

use std::fmt;

use tokio_postgres::error::DbError;

use super::variants::Error;
use crate::text::{Lines, one_line, shown};

/// The text of an error for a person: the message with its cause and SQLSTATE on one line, then DETAIL, CONTEXT and HINT
/// lines. Line breaks in values are escaped.
pub struct Report<'a>(pub &'a Error);

impl Report<'_> {
    /// The first line: the message with its cause and SQLSTATE.
    pub(crate) fn message(&self) -> String {
        self.lines().swap_remove(0)
    }

    fn lines(&self) -> Vec<String> {
        let mut message = shown(self.0);
        let mut cause = std::error::Error::source(self.0);
        // Io and System print their cause themselves.
        if matches!(self.0, Error::Io { .. } | Error::System { .. }) {
            cause = None;
        }
        let mut server = None;
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<DbError>() {
                message.push_str(&format!(": {} ({})", one_line(error.message()), shown(error.code().code())));
                server = Some(error);
            } else if error.downcast_ref::<tokio_postgres::Error>().is_none_or(|e| e.as_db_error().is_none()) {
                message.push_str(&format!(": {}", one_line(&error.to_string())));
            }
            cause = error.source();
        }
        let mut lines = vec![message];
        lines.extend(server.and_then(DbError::detail).map(|detail| format!("DETAIL: {}", one_line(detail))));
        lines.extend(server.and_then(DbError::where_).map(|context| format!("CONTEXT: {}", one_line(context))));
        // rlondiste's own hint comes before the server's, which for a missing object only says to check the spelling.
        let hint = self.0.hint().map(shown).or_else(|| server.and_then(DbError::hint).map(one_line));
        lines.extend(hint.map(|hint| format!("HINT: {hint}")));
        lines
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Lines(self.lines().join("\n")).fmt(f)
    }
}
