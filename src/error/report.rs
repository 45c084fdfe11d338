//! The text of an error for a person.

use std::fmt;

use tokio_postgres::error::DbError;

use super::text::one_line;
use super::variants::Error;

/// The text of an error for a person: the message with its cause and SQLSTATE on one line, then DETAIL and HINT lines.
pub struct Report<'a>(pub &'a Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        // Io and System print their cause themselves.
        if matches!(self.0, Error::Io { .. } | Error::System { .. }) {
            cause = None;
        }
        let mut server = None;
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<DbError>() {
                write!(f, ": {} ({})", one_line(error.message()), error.code().code())?;
                server = Some(error);
            } else if error.downcast_ref::<tokio_postgres::Error>().is_none_or(|e| e.as_db_error().is_none()) {
                write!(f, ": {}", one_line(&error.to_string()))?;
            }
            cause = error.source();
        }
        if let Some(detail) = server.and_then(DbError::detail) {
            write!(f, "\nDETAIL: {}", one_line(detail))?;
        }
        if let Some(context) = server.and_then(DbError::where_) {
            write!(f, "\nCONTEXT: {}", one_line(context))?;
        }
        // Ours knows what the missing object is for; the server's says to check the spelling.
        match (self.0.hint(), server.and_then(DbError::hint)) {
            (Some(hint), _) => write!(f, "\nHINT: {hint}"),
            (None, Some(hint)) => write!(f, "\nHINT: {}", one_line(hint)),
            (None, None) => Ok(()),
        }
    }
}
