//! An event that cannot be applied: which one, why, and what to do about it.

use std::fmt;

use tokio_postgres::error::{DbError, SqlState};

use super::role::Role;
use super::sqlstate::{is_structure, query_hint};
use crate::text::one_line;

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
    pub(super) fn hint(&self) -> Option<String> {
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
