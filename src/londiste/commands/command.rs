//! The commands of the replication program, as the command line gives them.

use super::super::comparison::{Compare, Repair};
use super::super::state::provider_queue::Truncate;
use crate::config;

/// A command of the replication program, as the command line gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `provider ...`
    Provider(Provider),
    /// `subscriber ...`
    Subscriber(Subscriber),
    /// Copy tables in the foreground, and end when no table is left to copy.
    Copy,
    /// Compare the contents of tables.
    Compare(Compare),
    /// Write, or execute, the statements that make the subscriber's tables equal to the provider's.
    Repair(Repair),
    /// Move the consumer on the provider to the tick that the subscriber has applied.
    Rewind,
    /// Delete the tick that the subscriber has applied, so that replay goes on from the provider's position.
    Reset,
}

/// The tables or sequences that a command is to work on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Names and globs as typed.
    pub(crate) names: Vec<String>,
    /// `--all`; matters only when there are no names.
    pub(crate) all: bool,
}

/// A command on the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// Install schemas `pgq` and `londiste` and create the queue.
    Install,
    /// Add tables to the queue.
    Add {
        /// Which.
        tables: Selection,
        /// `--capture`; `None`: as in the ini file.
        capture: Option<config::Capture>,
        /// `--key=col,...`: the key instead of the primary key.
        key: Option<Vec<String>>,
        /// `--no-truncate`: whether TRUNCATE makes an event.
        truncate: Truncate,
    },
    /// Remove tables from the queue.
    Remove(Selection),
    /// List tables.
    Tables {
        /// `-v`: and how they are captured.
        verbose: bool,
    },
    /// Make the capture of tables anew where their columns have changed.
    Refresh {
        /// Which.
        tables: Selection,
        /// `--capture`: another way than before.
        capture: Option<config::Capture>,
    },
    /// Add sequences.
    AddSeq(Selection),
    /// Remove sequences.
    RemoveSeq(Selection),
    /// List sequences.
    Seqs,
}

/// What `subscriber add` does with tables that are not offered, or whose structures differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problems {
    /// Log the problem and leave the table out.
    LeaveOut,
    /// `--force`: log the problem and add the table.
    Ignore,
}

/// How `subscriber add` treats the rows that a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CopyMode {
    /// Truncate and copy.
    #[default]
    Copy,
    /// `--skip-truncate`: add the copy's rows to those that the table has.
    SkipTruncate,
    /// `--expect-sync`: both sides have the same rows already, no copy.
    ExpectSync,
    /// Both options were given, which is an error of each table that would be added.
    Contradiction,
}

/// Which foreign keys or triggers to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Dropped, waiting for the copy to end.
    Pending,
    /// In place.
    Active,
}

/// A command on the subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subscriber {
    /// Install schema `londiste`.
    Install,
    /// Subscribe to tables.
    Add {
        /// Which.
        tables: Selection,
        /// What happens to tables with problems.
        problems: Problems,
        /// What becomes of the rows that a table has.
        mode: CopyMode,
    },
    /// Unsubscribe from tables.
    Remove(Selection),
    /// List tables and states.
    Tables {
        /// `--progress`: with the progress of their copies.
        progress: bool,
    },
    /// List tables and sequences of the provider that are not subscribed.
    Missing,
    /// Compare the structure of tables on both sides.
    Check,
    /// Copy tables again.
    Resync(Selection),
    /// Show foreign keys.
    Fkeys(Vec<Shown>),
    /// Show triggers.
    Triggers(Vec<Shown>),
    /// Restore triggers of a table.
    RestoreTriggers {
        /// The table.
        table: String,
        /// Which; all when empty.
        triggers: Vec<String>,
    },
    /// Register the consumer on the provider's queue.
    Register,
    /// Unregister the consumer and those of its copies.
    Unregister,
    /// Subscribe to sequences.
    AddSeq(Selection),
    /// Unsubscribe from sequences.
    RemoveSeq(Selection),
    /// List sequences.
    Seqs,
    /// Wait until tables are in sync.
    WaitSync {
        /// Which; all when empty.
        tables: Vec<String>,
        /// Give up after so many seconds.
        timeout: Option<u32>,
    },
    /// Lag, rate, states, last error.
    Status {
        /// With the events of each table.
        tables: bool,
    },
    /// Leave out the event with this `ev_id`, which cannot be applied.
    SkipEvent(i64),
}
