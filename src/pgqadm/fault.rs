//! Which errors concern one queue or one operation, and which the session.

use crate::error::Error;

/// Whether the rest of the work can go on in the same session: the server refused this statement, and the session
/// is as good as before. A server that stops, is a standby, or has closed the session is nothing to go on with.
pub(super) fn is_local(error: &Error) -> bool {
    match error {
        Error::Query { source, .. } => source.as_db_error().is_some_and(|db| {
            let code = db.code().code();
            !(code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") || code == "25006")
        }),
        Error::Blocked { .. }
        | Error::Data { .. }
        | Error::Diverged { .. }
        | Error::Mismatch { .. }
        | Error::Missing { .. }
        | Error::Refused { .. }
        | Error::Unsupported { .. } => true,
        _ => false,
    }
}

/// Whether a lock was not granted in the time given.
pub(super) fn is_lock_timeout(error: &Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE)
}
