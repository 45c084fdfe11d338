//! Tells errors of one queue or one operation from errors of the session.

use crate::error::Error;

/// Whether other queues and operations can go on in the same session: the server refused one statement. False when the
/// server stops, is a standby, lacks resources or has closed the session.
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

/// Whether a lock was not granted within `lock_timeout` (SQLSTATE 55P03).
pub(super) fn is_lock_timeout(error: &Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE)
}
