//! The log: one line format for standard error and the log file.

use std::fmt::Display;

/// Logs at level CRITICAL: a loop crashed, or a process cannot do its work.
pub fn critical(text: impl Display) {
    tracing::error!(critical = true, "{text}");
}
