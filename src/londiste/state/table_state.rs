//! The life of a table on the subscriber: `merge_state` as an enum, its text form, and the table of legal steps.
//!
//! ```text
//! -  ──replay──▶ in-copy ──copy──▶ catching-up ──copy──▶ wanna-sync:N ──replay──▶ do-sync:M ──copy──▶ ok
//! ```
//!
//! N and M are the end ticks of batches that are *open and not applied*, as in SkyTools 2.1: so either program can
//! continue from the states that the other one has stored.
//!
//! * `wanna-sync:N`: the copy's consumer has an open batch that ends at N. Every batch before this one is applied.
//! * `do-sync:M`, M >= N: replay has an open batch that ends at M and waits. The copy applies the batches before its
//!   own batch that ends at M, and does not apply this one.
//! * `ok`, written by the copy: replay applies the batch that ends at M, for this table too.

use std::fmt;

use crate::pgq::TickId;

/// `londiste.subscriber_table.merge_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableState {
    /// NULL: to be copied. Set by commands (`add`, `resync`, `unregister`) and by replay when the table's rows can no
    /// longer be trusted.
    Missing,
    /// The copy runs or is to be run. Set by replay (or the `copy` command) when the table gets a copy consumer, and by
    /// a copy that has to begin again.
    InCopy,
    /// The rows of one provider snapshot are committed; the copy's consumer applies the events since then. Set by the
    /// copy with its rows, by replay when it parks a table, and when a hand-over is given up.
    CatchingUp,
    /// The copy's consumer has an open batch that ends at this tick and is not applied. Set by the copy.
    WannaSync(TickId),
    /// Replay has an open batch that ends at this tick and waits for the copy. Set by replay.
    DoSync(TickId),
    /// Replay applies the table's events. Set by the copy, and by `add --expect-sync`.
    Ok,
}

/// The text, which is not a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Bad table state: {0}")]
pub(crate) struct BadState(String);

impl TableState {
    /// Reads the value of the column `merge_state`. `?` is an old spelling of `ok`.
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

    /// The value of the column `merge_state`: null for [`TableState::Missing`].
    pub(crate) fn to_column(self) -> Option<String> {
        (self != TableState::Missing).then(|| self.to_string())
    }

    /// The text without the tick; `-` for [`TableState::Missing`].
    pub(crate) fn word(self) -> &'static str {
        match self {
            TableState::Missing => "-",
            TableState::InCopy => "in-copy",
            TableState::CatchingUp => "catching-up",
            TableState::WannaSync(_) => "wanna-sync",
            TableState::DoSync(_) => "do-sync",
            TableState::Ok => "ok",
        }
    }

    /// Whether the table's copy has begun and is not ended.
    pub(crate) fn is_copying(self) -> bool {
        !matches!(self, TableState::Missing | TableState::Ok)
    }

    /// Whether [`STEPS`] has this step.
    pub(crate) fn may_become(self, to: TableState, by: Actor) -> bool {
        STEPS.iter().any(|step| step.from == self.kind() && step.to == to.kind() && step.by == by)
    }

    fn kind(self) -> Kind {
        match self {
            TableState::Missing => Kind::Missing,
            TableState::InCopy => Kind::InCopy,
            TableState::CatchingUp => Kind::CatchingUp,
            TableState::WannaSync(_) => Kind::WannaSync,
            TableState::DoSync(_) => Kind::DoSync,
            TableState::Ok => Kind::Ok,
        }
    }
}

/// Who changes a table's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A command of an operator. It changes the state without looking at it first; replay and copies notice that the
    /// state is not as they read it.
    Command,
    /// Replay's loop, or the `copy` command in its place; `copy:0` in the log.
    Replay,
    /// The copy of one table; `copy:1` in the log.
    Copy,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Actor::Command => "a command",
            Actor::Replay => "replay",
            Actor::Copy => "the copy of the table",
        })
    }
}

/// A state without its tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    InCopy,
    CatchingUp,
    WannaSync,
    DoSync,
    Ok,
}

/// A legal change of a table's state.
struct Step {
    from: Kind,
    to: Kind,
    by: Actor,
    /// The occasion of the change.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader of the table"))]
    when: &'static str,
}

const fn step(from: Kind, to: Kind, by: Actor, when: &'static str) -> Step {
    Step { from, to, by, when }
}

/// All legal changes of a table's state, with who makes each.
const STEPS: &[Step] = &[
    // Commands.
    step(Kind::Missing, Kind::Ok, Actor::Command, "subscriber add --expect-sync"),
    step(Kind::Missing, Kind::Missing, Actor::Command, "subscriber unregister"),
    step(Kind::InCopy, Kind::Missing, Actor::Command, "subscriber unregister"),
    step(Kind::CatchingUp, Kind::Missing, Actor::Command, "subscriber resync of a parked table, subscriber unregister"),
    step(Kind::WannaSync, Kind::Missing, Actor::Command, "subscriber unregister"),
    step(Kind::DoSync, Kind::Missing, Actor::Command, "subscriber unregister"),
    step(Kind::Ok, Kind::Missing, Actor::Command, "subscriber resync, subscriber unregister"),
    // A copy from its beginning to its end.
    step(Kind::Missing, Kind::InCopy, Actor::Replay, "a place among the copies is free"),
    step(Kind::InCopy, Kind::CatchingUp, Actor::Copy, "the rows are committed"),
    step(Kind::CatchingUp, Kind::WannaSync, Actor::Copy, "replay has not passed the end of the open batch"),
    step(Kind::WannaSync, Kind::DoSync, Actor::Replay, "replay's open batch ends at this tick or later"),
    step(Kind::DoSync, Kind::Ok, Actor::Copy, "the open batch ends at replay's tick"),
    step(Kind::Ok, Kind::Ok, Actor::Replay, "no event to come is visible in the copy's snapshot: it is dropped"),
    // All other ways.
    step(Kind::CatchingUp, Kind::InCopy, Actor::Copy, "the provider does not know the copy's consumer any more"),
    step(Kind::WannaSync, Kind::InCopy, Actor::Copy, "the provider does not know the copy's consumer any more"),
    step(Kind::DoSync, Kind::InCopy, Actor::Copy, "the provider does not know the copy's consumer any more"),
    step(Kind::WannaSync, Kind::CatchingUp, Actor::Copy, "the copy has no open batch that ends at this tick"),
    step(Kind::DoSync, Kind::CatchingUp, Actor::Copy, "the copy has no batch that ends at this tick; it was parked"),
    step(Kind::DoSync, Kind::CatchingUp, Actor::Replay, "the copy fails, or replay's batch ends at another tick"),
    step(Kind::Ok, Kind::CatchingUp, Actor::Replay, "the table is parked"),
    step(Kind::InCopy, Kind::Missing, Actor::Replay, "removed from the queue and added again"),
    step(Kind::CatchingUp, Kind::Missing, Actor::Replay, "removed from the queue and added again"),
    step(Kind::WannaSync, Kind::Missing, Actor::Replay, "removed from the queue and added again"),
    step(Kind::DoSync, Kind::Missing, Actor::Replay, "removed from the queue and added again"),
    step(Kind::Ok, Kind::Missing, Actor::Replay, "removed from the queue and added again, or changes were lost"),
];

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

/// As the column `merge_state` has it: null for [`TableState::Missing`].
impl serde::Serialize for TableState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_column().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ALL: [TableState; 6] = [
        TableState::Missing,
        TableState::InCopy,
        TableState::CatchingUp,
        TableState::WannaSync(TickId(40)),
        TableState::DoSync(TickId(41)),
        TableState::Ok,
    ];

    #[test]
    fn every_state_survives_the_column() {
        for state in ALL {
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

    #[test]
    fn no_step_stands_twice_and_each_has_its_occasion() {
        let mut seen = HashSet::new();
        for step in STEPS {
            assert!(seen.insert(format!("{:?} {:?} {:?}", step.from, step.to, step.by)), "{:?}", step.from);
            assert!(!step.when.is_empty());
        }
    }

    #[test]
    fn only_a_copy_says_ok_and_only_after_do_sync() {
        for from in ALL {
            for by in [Actor::Command, Actor::Replay, Actor::Copy] {
                let expected = match from {
                    TableState::DoSync(_) => by == Actor::Copy,
                    // Equal by the operator's word.
                    TableState::Missing => by == Actor::Command,
                    // Only the snapshot changes.
                    TableState::Ok => by == Actor::Replay,
                    TableState::InCopy | TableState::CatchingUp | TableState::WannaSync(_) => false,
                };
                assert_eq!(from.may_become(TableState::Ok, by), expected, "{from} by {by:?}");
            }
        }
    }

    #[test]
    fn a_command_takes_any_table_back_to_its_beginning() {
        for from in ALL {
            assert!(from.may_become(TableState::Missing, Actor::Command), "{from}");
        }
    }

    #[test]
    fn from_every_state_replay_and_copies_come_to_ok() {
        for from in ALL {
            let mut reached = HashSet::from([format!("{:?}", from.kind())]);
            loop {
                let next = STEPS
                    .iter()
                    .filter(|s| s.by != Actor::Command && reached.contains(&format!("{:?}", s.from)))
                    .map(|s| format!("{:?}", s.to))
                    .filter(|to| !reached.contains(to))
                    .collect::<Vec<_>>();
                if next.is_empty() {
                    break;
                }
                reached.extend(next);
            }
            assert!(reached.contains("Ok"), "{from}");
        }
    }
}
