//! The commands, as the command line gives them.

use std::time::Duration;

/// Exit status: the state could not be determined.
pub(super) const UNKNOWN: u8 = 3;

/// Exit status: not good; nothing was changed, or everything was undone.
pub(super) const NOT_GOOD: u8 = 2;

/// Exit status: it is done, with warnings.
pub(super) const WARNED: u8 = 1;

/// `switchover` or `switchback`, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) direction: Direction,
    pub(crate) action: Action,
    /// `--timeout`: the old side opens by itself after so long.
    pub(crate) timeout: Duration,
    /// `--max-lag`: the most that the new side may be behind at the beginning.
    pub(crate) max_lag: Duration,
    pub(crate) verify: Verify,
    /// `--seq-gap`: how many values each sequence leaves out on the new side.
    pub(crate) seq_gap: u32,
    /// `--fence all`: all tables are closed, not only those of the queue.
    pub(crate) fences_all: bool,
    pub(crate) hooks: Hooks,
}

/// Which side is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The provider of the ini file is left.
    There,
    /// The subscriber of the ini file is left.
    Back,
}

impl Direction {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Direction::There => "switchover",
            Direction::Back => "switchback",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `--plan`: the checks.
    Plan,
    /// `--rehearse`: everything that can be done without keeping anybody out.
    Rehearse,
    Run,
    Status,
    /// Gives up the way back.
    Finish,
}

/// What is compared while nobody can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    None,
    /// The number of rows of each table.
    Quick,
    /// Every row, as `compare --online`.
    Full,
}

/// Commands of the shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    /// Before the old side is closed. When it fails, the switchover is undone.
    pub(crate) before_fence: Option<String>,
    /// When the new side is open. May run twice, when the program was killed.
    pub(crate) on_open: Option<String>,
    /// When the switchover was undone.
    pub(crate) on_undo: Option<String>,
}
