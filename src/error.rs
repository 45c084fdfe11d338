//! The one error type of the crate, grouped by what the operator can do about it.
//!
//! Every variant answers three questions, in three matches that stand side by side so that a new variant does not
//! compile before it has its answers: [`Error::hint`] (what to do), [`Error::is_transient`] (may the same call work
//! later) and [`Error::exit_code`] (what a script sees). [`Report`] makes the text.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio_postgres::error::{DbError, SqlState};

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
            Error::Connect { source, .. } => server_code(source.as_ref()).is_none_or(sqlstate_is_transient),
            Error::Query { source, .. } => match source.code() {
                Some(code) => sqlstate_is_transient(code),
                None => true,
            },
            Error::Apply(fault) => match &fault.source {
                Some(source) => source.code().is_none_or(sqlstate_is_transient),
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
            FaultKind::Refused => self.server().is_some_and(|error| sqlstate_is_structure(error.code())),
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

fn sqlstate_is_transient(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08")
        || matches!(code, "40001" | "40P01" | "53300" | "55P03" | "57P01" | "57P02" | "57P03" | "25006" | "57P05")
}

/// Whether a change that the provider has taken is refused because the subscriber's table is another one: class 42
/// without missing rights and what is wrong with a statement itself, values that do not fit a type, a missing value.
fn sqlstate_is_structure(code: &SqlState) -> bool {
    match code.code() {
        "42501" | "42601" => false,
        "22001" | "22003" | "22007" | "22008" | "22P02" | "22P03" | "23502" => true,
        code => code.starts_with("42"),
    }
}

/// What to do where row security hides rows from the user of a connection string.
pub(crate) const SEE_ALL_ROWS: &str = "Let the user of the connection string see all rows: give it BYPASSRLS (\"alter role \
     ... bypassrls\"), or connect as the table's owner; a table with \"force row level security\" hides rows from its owner too.";

/// Hints for SQLSTATEs that nearly always mean one thing here.
fn query_hint(error: &DbError) -> Option<String> {
    let code = error.code();
    let schema = missing_schema(error.message());
    if let Some(schema @ ("pgq" | "londiste")) = schema {
        let command = if schema == "pgq" {
            "rlondiste TICKER-INI install\" or \"rlondiste INI provider install"
        } else {
            "rlondiste INI provider install\" and \"rlondiste INI subscriber install"
        };
        return Some(format!("Run \"{command}\" first."));
    }
    match *code {
        // The function of the server that refuses it, since messages are translated.
        SqlState::INSUFFICIENT_PRIVILEGE if error.routine() == Some("check_enable_rls") => {
            Some(SEE_ALL_ROWS.to_owned())
        }
        // Our functions say which right is missing.
        SqlState::INSUFFICIENT_PRIVILEGE if error.hint().is_none() => {
            Some("Grant the missing right to the user of the connection string, or connect as the owner.".to_owned())
        }
        SqlState::TOO_MANY_CONNECTIONS => Some("Raise max_connections, or close idle sessions.".to_owned()),
        _ => None,
    }
}

/// The schema that a message of kind `schema "x" does not exist` (3F000), `relation "x.y" does not exist` (42P01) or
/// `function x.y() does not exist` (42883) names.
fn missing_schema(message: &str) -> Option<&str> {
    let name = message
        .strip_prefix("schema \"")
        .or_else(|| message.strip_prefix("relation \""))
        .or_else(|| message.strip_prefix("function "))?;
    if !message.contains("does not exist") {
        return None;
    }
    name.split(['"', '.', '(']).next()
}

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

fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
}
