//! The life of a table on the subscriber: `merge_state` as an enum, its text form, and who may change it.
//!
//! ```text
//! -  ──replay──▶ in-copy ──copy──▶ catching-up ──copy──▶ wanna-sync:N ──replay──▶ do-sync:M ──copy──▶ ok
//! ```
//! N is the tick that the copy's consumer has reached; M >= N the tick that replay has reached. Replay takes no further
//! batch while a table stands at do-sync: events up to M are the copy's, later ones replay's.

use std::fmt;

use crate::pgq::TickId;

/// `londiste.subscriber_table.merge_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableState {
    /// NULL: nothing done yet.
    Missing,
    /// The copy runs or is to be run.
    InCopy,
    /// The copy is committed; its consumer applies what came since.
    CatchingUp,
    /// The copy's consumer has reached this tick and found nothing newer.
    WannaSync(TickId),
    /// The copy's consumer is to go on to exactly this tick, where replay stands.
    DoSync(TickId),
    /// Replay applies the table's events.
    Ok,
}

/// A text that is no state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Bad table state: {0}")]
pub(crate) struct BadState(String);

impl TableState {
    /// Reads the column's value. `?` is an old spelling of `ok`.
    pub(crate) fn parse(text: Option<&str>) -> Result<TableState, BadState> {
        let Some(text) = text else { return Ok(TableState::Missing) };
        let tick = |digits: &str| digits.parse().map(TickId).map_err(|_| BadState(text.to_owned()));
        match text.split_once(':') {
            None => match text {
                "in-copy" => Ok(TableState::InCopy),
                "catching-up" => Ok(TableState::CatchingUp),
                "ok" | "?" => Ok(TableState::Ok),
                _ => Err(BadState(text.to_owned())),
            },
            Some(("wanna-sync", digits)) => Ok(TableState::WannaSync(tick(digits)?)),
            Some(("do-sync", digits)) => Ok(TableState::DoSync(tick(digits)?)),
            Some(_) => Err(BadState(text.to_owned())),
        }
    }

    /// The column's value.
    pub(crate) fn to_column(self) -> Option<String> {
        (self != TableState::Missing).then(|| self.to_string())
    }

    /// Whether a copy has the table in hand.
    pub(crate) fn is_copying(self) -> bool {
        !matches!(self, TableState::Missing | TableState::Ok)
    }
}

impl fmt::Display for TableState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableState::Missing => f.write_str("-"),
            TableState::InCopy => f.write_str("in-copy"),
            TableState::CatchingUp => f.write_str("catching-up"),
            TableState::WannaSync(tick) => write!(f, "wanna-sync:{tick}"),
            TableState::DoSync(tick) => write!(f, "do-sync:{tick}"),
            TableState::Ok => f.write_str("ok"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_the_column() {
        for state in [
            TableState::Missing,
            TableState::InCopy,
            TableState::CatchingUp,
            TableState::WannaSync(TickId(40)),
            TableState::DoSync(TickId(41)),
            TableState::Ok,
        ] {
            assert_eq!(TableState::parse(state.to_column().as_deref()), Ok(state));
        }
        assert_eq!(TableState::parse(Some("?")), Ok(TableState::Ok));
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["", "weird", "wanna-sync", "do-sync:", "do-sync:x", "OK", "ok:1"] {
            assert_eq!(TableState::parse(Some(text)), Err(BadState(text.to_owned())), "{text}");
        }
    }
}
