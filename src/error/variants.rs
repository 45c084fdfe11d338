//! The errors, and what each means for the operator, the work loop and a script.
//!
//! Every variant answers three questions, in three matches that stand side by side so that a new variant does not
//! compile before it has its answers: [`Error::hint`] (what to do), [`Error::is_transient`] (may the same call work
//! later) and [`Error::exit_code`] (what a script sees).

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio_postgres::error::{DbError, SqlState};

use super::sqlstate::{is_structure, is_transient, query_hint};
use crate::text::one_line;

/// `Result` with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which of the two databases a statement ran on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The database with the queue and the captured tables; also the only database of `pgqadm`.
    Provider,
    /// The database that the changes are applied to.
    Subscriber,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Provider => "provider",
            Role::Subscriber => "subscriber",
        })
    }
}

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An event cannot be applied to the subscriber.
    #[error(transparent)]
    Apply(Box<ApplyFault>),

    /// The statement was cancelled or the connection closed because the process was told to end at once.
    #[error("stopped by request")]
    Aborted,

    /// The ini file does not hold what is needed; `key` is empty when the whole file or section is meant.
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
        /// Why.
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

    /// A fact in the database forbids what was asked for (a missing queue, a table without a key, ...).
    #[error("{message}")]
    Refused {
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
            Error::Query { source, .. } => source.as_db_error().and_then(query_hint),
            Error::PidfileBusy { path, pid } => Some(format!(
                "Process {pid} holds \"{}\"; stop it with -s, or remove the file if that is not one of ours.",
                path.display()
            )),
            Error::Refused { hint, .. } if !hint.is_empty() => Some(hint.clone()),
            Error::Connect { .. } => {
                Some("Check that the server runs and that the connection string in the ini file is right.".to_owned())
            }
            Error::Aborted
            | Error::Config { .. }
            | Error::Conninfo { .. }
            | Error::Data { .. }
            | Error::Refused { .. }
            | Error::Io { .. }
            | Error::System { .. }
            | Error::Usage(_) => None,
        }
    }

    /// Whether the same call may succeed later without anybody doing anything: connections, serialization failures,
    /// deadlocks, lock time-outs, a server that starts, stops or has no slot free. Keep this list narrow.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Connect { source, .. } => server_code(source.as_ref()).is_none_or(is_transient),
            Error::Query { source, .. } => match source.code() {
                Some(code) => is_transient(code),
                None => true,
            },
            Error::Apply(fault) => match &fault.source {
                Some(source) => source.code().is_none_or(is_transient),
                None => false,
            },
            Error::Aborted
            | Error::Config { .. }
            | Error::Conninfo { .. }
            | Error::Data { .. }
            | Error::Refused { .. }
            | Error::Io { .. }
            | Error::PidfileBusy { .. }
            | Error::System { .. }
            | Error::Usage(_) => false,
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
            | Error::Refused { .. }
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

    /// The same error with the table, event or queue it concerns. Only [`Error::Query`] has room for it.
    #[must_use]
    pub fn about(mut self, what: impl fmt::Display) -> Self {
        if let Error::Query { context, .. } = &mut self {
            *context = what.to_string();
        }
        self
    }

    /// Shorthand for [`Error::Refused`].
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Refused { message: message.into(), hint: hint.into() }
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

/// Why an event cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The subscriber has no such table.
    MissingTable,
    /// The subscriber's table lacks this column.
    MissingColumn(String),
    /// The row to update or delete is not there, and the configuration says to stop then.
    MissingRow,
    /// Policies decide which of the table's rows the user sees.
    RowSecurity,
    /// The event's data are not what its type promises; what is wrong with them.
    Unreadable(String),
    /// The subscriber refused the statement.
    Refused,
}

/// An event that cannot be applied, and why.
#[derive(Debug)]
pub struct ApplyFault {
    /// What is wrong.
    pub kind: FaultKind,
    /// `ev_id`
    pub event: i64,
    /// What the event does: `I`, `U`, `D` or `R`.
    pub verb: char,
    /// The table, unquoted.
    pub table: String,
    /// The row's key as `column=value, ...`; empty when it is not known.
    pub key: String,
    /// The column whose value is refused, where that is known.
    pub column: Option<String>,
    /// The subscriber, without password.
    pub target: String,
    /// A sentence that tells what to do, where that is known.
    pub mend: Option<String>,
    /// What the server said.
    pub source: Option<tokio_postgres::Error>,
}

impl ApplyFault {
    /// Whether only the structure of this one table is at fault, so that other tables can go on: something that the
    /// provider has is not there, or not to be seen, or the provider's value does not fit a column.
    pub fn is_structure(&self) -> bool {
        match self.kind {
            FaultKind::MissingTable | FaultKind::MissingColumn(_) | FaultKind::RowSecurity => true,
            FaultKind::MissingRow | FaultKind::Unreadable(_) => false,
            FaultKind::Refused => self.server().is_some_and(|error| is_structure(error.code())),
        }
    }

    /// Whether a column does not take NULL.
    pub fn is_null_refused(&self) -> bool {
        self.server().is_some_and(|error| *error.code() == SqlState::NOT_NULL_VIOLATION)
    }

    /// What is wrong with which event, without the table and its database.
    pub fn reason(&self) -> String {
        let mut text = format!("event {} ({})", self.event, self.verb);
        if !self.key.is_empty() {
            text.push_str(&format!(", key {}", self.key));
        }
        match (&self.kind, self.server()) {
            (FaultKind::Refused, Some(error)) => {
                format!("{text}{}: {} ({})", self.column_text(), one_line(error.message()), error.code().code())
            }
            _ => format!("{text}{}", self.what()),
        }
    }

    fn server(&self) -> Option<&DbError> {
        self.source.as_ref().and_then(tokio_postgres::Error::as_db_error)
    }

    fn what(&self) -> String {
        match &self.kind {
            FaultKind::MissingTable => ": the table does not exist".to_owned(),
            FaultKind::MissingColumn(column) => format!(": column \"{column}\" does not exist"),
            FaultKind::MissingRow => ": the row does not exist".to_owned(),
            FaultKind::RowSecurity => ": row security may hide rows of the table from this user".to_owned(),
            FaultKind::Unreadable(what) => format!(": {what}"),
            FaultKind::Refused => self.column_text(),
        }
    }

    fn column_text(&self) -> String {
        self.column.as_ref().map_or_else(String::new, |column| format!(", column \"{column}\""))
    }

    /// A fault of structure parks the table; all others stop replay, which an operator may end by leaving out the event.
    fn hint(&self) -> Option<String> {
        let known = self.mend.clone().or_else(|| self.server().and_then(query_hint));
        if self.is_structure() || self.source.is_some() && self.server().is_none() {
            return known;
        }
        let skip = format!("\"rlondiste INI subscriber skip-event {}\" leaves this event out.", self.event);
        Some(known.map_or_else(|| skip.clone(), |known| format!("{known} {skip}")))
    }
}

impl fmt::Display for ApplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot apply event {} ({}) to table \"{}\"", self.event, self.verb, self.table)?;
        if !self.key.is_empty() {
            write!(f, ", key {}", self.key)?;
        }
        write!(f, " on {} ({})", Role::Subscriber, self.target)?;
        f.write_str(&self.what())
    }
}

impl std::error::Error for ApplyFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
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
