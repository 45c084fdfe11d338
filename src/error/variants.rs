//! The errors, and what each means for the operator, the work loop and a script.
//!
//! Every variant answers three questions, in three matches that stand side by side so that a new variant does not
//! compile before it has its answers: [`Error::hint`] (what to do), [`Error::reaction`] (what a daemon
//! does) and [`Error::exit_code`] (what a script sees).

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio_postgres::error::{DbError, SqlState};

use super::apply_fault::ApplyFault;
use super::reaction::Reaction;
use super::role::Role;
use super::sqlstate::{INSTALL, install_hint, query_hint};

/// `Result` with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. `Display` is the message alone; [`Report`](super::Report) adds cause and hint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An event cannot be applied to the subscriber.
    #[error(transparent)]
    Apply(Box<ApplyFault>),

    /// The statement was cancelled or the connection closed because the process was told to end at once.
    #[error("stopped by request")]
    Aborted,

    /// The ini or TOML file cannot be used; `key` is empty when the whole file or section is meant.
    #[error("{}", config_text(path, *line, section, key, message))]
    Config {
        /// The ini or TOML file.
        path: PathBuf,
        /// Line in the file, counted from 1, where there is one.
        line: Option<usize>,
        /// Section name without brackets, may be empty.
        section: String,
        /// Key as written, may be empty.
        key: String,
        /// What is wrong and what is allowed.
        message: String,
    },

    /// No session could be opened.
    #[error("could not connect to {role} ({target})")]
    Connect {
        /// Which database.
        role: Role,
        /// Where, without password.
        target: String,
        /// A sentence that tells what to do; empty where the cause does.
        hint: &'static str,
        /// One cause per failed attempt, the last one's error as its source.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A connection string cannot be used.
    #[error("cannot use the connection string of {role}: {message}")]
    Conninfo {
        /// Which database.
        role: Role,
        /// What is wrong with which keyword; never the value of a password.
        message: String,
    },

    /// Data that came from a database cannot be understood.
    #[error("cannot {action} on {role} ({target}): {message}")]
    Data {
        /// Which database the data came from.
        role: Role,
        /// Where.
        target: String,
        /// What was being done, as in [`Error::Query`].
        action: &'static str,
        /// What was found, with event id or table name.
        message: String,
    },

    /// Another process or transaction is in the way, or a needed one does not run: wait for it, end it or start it.
    #[error("{message}")]
    Blocked {
        /// One line: what cannot be done, where, and why.
        message: String,
        /// A sentence that tells what to do.
        hint: String,
    },

    /// The positions of provider and subscriber do not fit together any more: move one of them, or copy the tables again.
    #[error("{message}")]
    Diverged {
        /// One line: what cannot be done, where, and why.
        message: String,
        /// A sentence that tells what to do.
        hint: String,
    },

    /// A table is not the same on both sides: alter one of them.
    #[error("{message}")]
    Mismatch {
        /// One line: what cannot be done, where, and why.
        message: String,
        /// A sentence that tells what to do.
        hint: String,
    },

    /// Something is not there: install, create, register or subscribe it.
    #[error("{message}")]
    Missing {
        /// One line: what cannot be done, where, and why.
        message: String,
        /// A sentence that tells what to do.
        hint: String,
    },

    /// The request makes no sense as things are: request something else.
    #[error("{message}")]
    Refused {
        /// One line: what cannot be done, where, and why.
        message: String,
        /// A sentence that tells what to do.
        hint: String,
    },

    /// The schema, the server or this program lacks a feature: upgrade it, or use another one.
    #[error("{message}")]
    Unsupported {
        /// One line: what cannot be done, where, and why.
        message: String,
        /// A sentence that tells what to do.
        hint: String,
    },

    /// A file could not be read, written or locked.
    #[error("could not {action} \"{}\": {source}", path.display())]
    Io {
        /// What was tried: "open log file", "write pidfile".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// Another process holds the pidfile.
    #[error("Pidfile exists, another process running?")]
    PidfileBusy {
        /// The pidfile.
        path: PathBuf,
        /// The process that holds it.
        pid: i32,
    },

    /// A statement failed.
    #[error("could not {action} on {role} ({target}){}", place(context))]
    Query {
        /// Which database.
        role: Role,
        /// Where, without password.
        target: String,
        /// What was being done: a verb phrase that completes "could not ...".
        action: &'static str,
        /// The table, event or queue concerned; may be empty.
        context: String,
        /// Why.
        #[source]
        source: tokio_postgres::Error,
    },

    /// The operating system refused something that has no path (fork, signal handler, runtime).
    #[error("could not {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },

    /// The command line cannot be used.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// What the operator can do, as one sentence, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Apply(fault) => fault.hint(),
            Error::Query { role, action, source, .. } => source.as_db_error().and_then(|error| {
                let installs = (*action == INSTALL).then(|| install_hint(error)).flatten();
                installs.or_else(|| query_hint(*role, error))
            }),
            Error::PidfileBusy { path, pid } => Some(format!(
                "Process {pid} holds \"{}\"; stop it with -s, or remove the file if that is not one of ours.",
                path.display()
            )),
            Error::Blocked { hint, .. }
            | Error::Diverged { hint, .. }
            | Error::Mismatch { hint, .. }
            | Error::Missing { hint, .. }
            | Error::Refused { hint, .. }
            | Error::Unsupported { hint, .. } => (!hint.is_empty()).then(|| hint.clone()),
            Error::Connect { hint, .. } => (!hint.is_empty()).then(|| (*hint).to_owned()),
            Error::Aborted
            | Error::Config { .. }
            | Error::Conninfo { .. }
            | Error::Data { .. }
            | Error::Io { .. }
            | Error::System { .. }
            | Error::Usage(_) => None,
        }
    }

    /// Whether the same call may succeed later without action of the operator: a broken or refused connection, serialization
    /// failures, deadlocks, lock time-outs, a cancelled statement, a server that starts, stops, is read-only or has no slot free,
    /// and [`Error::Blocked`].
    pub fn is_transient(&self) -> bool {
        self.reaction() == Reaction::TryAgain
    }

    /// What replay does after this error. [`Reaction::Park`] and [`Reaction::StopOrSkip`] speak of an event: after another error than
    /// [`Error::Apply`] they mean [`Reaction::Stop`].
    pub fn reaction(&self) -> Reaction {
        match self {
            Error::Connect { source, .. } => server_code(source.as_ref()).map_or(Reaction::TryAgain, Reaction::to_code),
            Error::Query { source, .. } => source.as_db_error().map_or(Reaction::TryAgain, Reaction::to),
            Error::Apply(fault) => fault.reaction(),
            Error::Blocked { .. } => Reaction::TryAgain,
            Error::Aborted
            | Error::Config { .. }
            | Error::Conninfo { .. }
            | Error::Data { .. }
            | Error::Diverged { .. }
            | Error::Mismatch { .. }
            | Error::Missing { .. }
            | Error::Refused { .. }
            | Error::Unsupported { .. }
            | Error::Io { .. }
            | Error::PidfileBusy { .. }
            | Error::System { .. }
            | Error::Usage(_) => Reaction::Stop,
        }
    }

    /// The exit status of a command that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Aborted
            | Error::Apply(_)
            | Error::Config { .. }
            | Error::Connect { .. }
            | Error::Conninfo { .. }
            | Error::Data { .. }
            | Error::Blocked { .. }
            | Error::Diverged { .. }
            | Error::Mismatch { .. }
            | Error::Missing { .. }
            | Error::Refused { .. }
            | Error::Unsupported { .. }
            | Error::Io { .. }
            | Error::PidfileBusy { .. }
            | Error::Query { .. }
            | Error::System { .. } => 1,
        }
    }

    /// The SQLSTATE, when a server gave one.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Error::Query { source, .. } => source.code(),
            Error::Apply(fault) => fault.source.as_ref()?.code(),
            Error::Connect { source, .. } => server_code(source.as_ref()),
            _ => None,
        }
    }

    /// What a server said, for an error of a statement or an event.
    pub(crate) fn server(&self) -> Option<&DbError> {
        match self {
            Error::Query { source, .. } => source.as_db_error(),
            Error::Apply(fault) => fault.server(),
            Error::Aborted
            | Error::Config { .. }
            | Error::Connect { .. }
            | Error::Conninfo { .. }
            | Error::Data { .. }
            | Error::Blocked { .. }
            | Error::Diverged { .. }
            | Error::Mismatch { .. }
            | Error::Missing { .. }
            | Error::Refused { .. }
            | Error::Unsupported { .. }
            | Error::Io { .. }
            | Error::PidfileBusy { .. }
            | Error::System { .. }
            | Error::Usage(_) => None,
        }
    }

    /// Replaces the hint of [`Error::Apply`], which advises to leave the event out. Changes no other error.
    pub(crate) fn replace_hint(&mut self, hint: String) {
        if let Error::Apply(fault) = self {
            fault.hint = Some(hint);
        }
    }

    /// The same error with the table, event or queue that it concerns. Changes [`Error::Query`] only.
    #[must_use]
    pub fn about(mut self, what: impl fmt::Display) -> Self {
        if let Error::Query { context, .. } = &mut self {
            *context = what.to_string();
        }
        self
    }

    /// Shorthand for [`Error::Blocked`].
    pub(crate) fn blocked(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Blocked { message: message.into(), hint: hint.into() }
    }

    /// Shorthand for [`Error::Diverged`].
    pub(crate) fn diverged(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Diverged { message: message.into(), hint: hint.into() }
    }

    /// Shorthand for [`Error::Mismatch`].
    pub(crate) fn mismatch(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Mismatch { message: message.into(), hint: hint.into() }
    }

    /// Shorthand for [`Error::Missing`].
    pub(crate) fn missing(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Missing { message: message.into(), hint: hint.into() }
    }

    /// Shorthand for [`Error::Refused`].
    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Refused { message: message.into(), hint: hint.into() }
    }

    /// Shorthand for [`Error::Unsupported`].
    pub(crate) fn unsupported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Unsupported { message: message.into(), hint: hint.into() }
    }
}

/// The SQLSTATE with which a server refused a session: that of the last server tried, when there were several.
fn server_code<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a SqlState> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
            return error.code();
        }
        next = error.source();
    }
    None
}

fn config_text(path: &std::path::Path, line: Option<usize>, section: &str, key: &str, message: &str) -> String {
    let line = line.map_or(String::new(), |line| format!(":{line}"));
    let section = if section.is_empty() { String::new() } else { format!(": section [{section}]") };
    let key = if key.is_empty() { String::new() } else { format!(", key \"{key}\"") };
    format!("{}{line}{section}{key}: {message}", path.display())
}

fn place(context: &str) -> String {
    if context.is_empty() { String::new() } else { format!(", {context}") }
}
