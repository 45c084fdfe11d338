//! An event that cannot be applied: which one, why, and what to do about it.

use std::fmt;

use tokio_postgres::error::{DbError, SqlState};

use super::reaction::{self, Reaction};
use super::role::Role;
use super::sqlstate::query_hint;
use crate::text::one_line;

/// Why an event cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The subscriber has no such table.
    MissingTable,
    /// The subscriber's table lacks this column.
    MissingColumn(String),
    /// The event changes this column, which is `generated always as identity` on the subscriber.
    IdentityAlways(String),
    /// The row to update or delete does not exist, and `on_missing_row` is `stop`.
    MissingRow,
    /// Policies of row security may hide rows of the table from the user.
    RowSecurity,
    /// The event's data do not have the format of its type; the text says what is wrong.
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
    /// The letter of the event's type: `I`, `U`, `D` or `R`.
    pub verb: char,
    /// The table, unquoted.
    pub table: String,
    /// The row's key as `column=value, ...`; empty when it is not known.
    pub key: String,
    /// The column whose value is refused, where that is known.
    pub column: Option<String>,
    /// Server and database of the subscriber, without password.
    pub target: String,
    /// A sentence that tells what to do, where that is known.
    pub mend: Option<String>,
    /// The whole hint, where it is known that to leave the event out would not help.
    pub hint: Option<String>,
    /// The server's error.
    pub source: Option<tokio_postgres::Error>,
}

impl ApplyFault {
    /// What replay does: the event's table is parked, for one, when its structure is the cause.
    pub fn reaction(&self) -> Reaction {
        match self.kind {
            FaultKind::MissingTable
            | FaultKind::MissingColumn(_)
            | FaultKind::IdentityAlways(_)
            | FaultKind::RowSecurity => Reaction::Park,
            FaultKind::MissingRow | FaultKind::Unreadable(_) => Reaction::StopOrSkip,
            // Without an answer of the server the connection is broken.
            FaultKind::Refused => self.server().map_or(Reaction::TryAgain, Reaction::to),
        }
    }

    /// Whether the table is to be parked, so that other tables can go on.
    pub fn is_structure(&self) -> bool {
        self.reaction() == Reaction::Park
    }

    /// Whether a column refused NULL.
    pub fn is_null_refused(&self) -> bool {
        self.server().is_some_and(|error| *error.code() == SqlState::NOT_NULL_VIOLATION)
    }

    /// Whether the subscriber's table is partitioned and has no partition for the row.
    pub(crate) fn is_partition_missing(&self) -> bool {
        self.server().is_some_and(reaction::is_partition_missing)
    }

    /// Event, key and cause on one line, without the table and its database.
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

    pub(super) fn server(&self) -> Option<&DbError> {
        self.source.as_ref().and_then(tokio_postgres::Error::as_db_error)
    }

    fn what(&self) -> String {
        match &self.kind {
            FaultKind::MissingTable => ": the table does not exist".to_owned(),
            FaultKind::MissingColumn(column) => format!(": column \"{column}\" does not exist"),
            FaultKind::IdentityAlways(column) => format!(": column \"{column}\" is generated always as identity"),
            FaultKind::MissingRow => ": the row does not exist".to_owned(),
            FaultKind::RowSecurity => ": row security may hide rows of the table from this user".to_owned(),
            FaultKind::Unreadable(what) => format!(": {what}"),
            FaultKind::Refused => self.column_text(),
        }
    }

    fn column_text(&self) -> String {
        self.column.as_ref().map_or_else(String::new, |column| format!(", column \"{column}\""))
    }

    /// What to do. The hint names `skip-event` where [`ApplyFault::reaction`] allows, unless something else is known to help.
    pub(crate) fn hint(&self) -> Option<String> {
        if self.hint.is_some() {
            return self.hint.clone();
        }
        let known = self.mend.clone().or_else(|| self.server().and_then(|error| query_hint(Role::Subscriber, error)));
        match self.reaction() {
            Reaction::TryAgain | Reaction::SmallerBatch | Reaction::Park | Reaction::Stop => known,
            Reaction::StopOrSkip => {
                let skip = format!("\"rlondiste INI subscriber skip-event {}\" leaves this event out.", self.event);
                Some(known.map_or_else(|| skip.clone(), |known| format!("{known} {skip}")))
            }
        }
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
