//! How events are applied, and which.

use crate::config::{self, Apply, ApplyRole, MissingRow};
use crate::pgq::snapshot::Snapshot;

/// How events are applied.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// As sets of rows or event by event.
    pub apply: Apply,
    /// About how many bytes of memory events may take.
    pub memory: u64,
    /// Whether an update or delete that finds no row is an error.
    pub on_missing_row: MissingRow,
    /// `session_replication_role` while events are applied.
    pub role: ApplyRole,
    /// A chunk of at most so many events is applied event by event, also with [`Apply::Set`]: that is one round trip.
    pub small_chunk: usize,
}

impl From<&config::Londiste> for Settings {
    fn from(config: &config::Londiste) -> Settings {
        Settings {
            apply: config.apply,
            memory: config.apply_memory,
            on_missing_row: config.on_missing_row,
            role: config.apply_role,
            small_chunk: SMALL_CHUNK,
        }
    }
}

/// A chunk takes at most this part of the memory: there are three chunks, the statement that is being sent, and the net
/// changes of each.
const CHUNKS_IN_MEMORY: u64 = 8;

impl Settings {
    /// How big a chunk may become, in bytes.
    pub(super) fn chunk_size(&self) -> usize {
        usize::try_from(self.memory / CHUNKS_IN_MEMORY).unwrap_or(usize::MAX)
    }
}

/// Up to so many events, the statements of single rows cost less than a look into the catalog and a savepoint.
const SMALL_CHUNK: usize = 16;

/// Which events of a table are applied. Events of a table without a filter are not applied.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All events.
    Apply,
    /// Events of transactions that this snapshot does not show: the copy of the table, which was made with the snapshot,
    /// has the effects of all others.
    ApplyUnlessVisibleIn(Snapshot),
}

impl Filter {
    /// Whether events of the provider's transaction `txid` are left out.
    pub(super) fn hides(&self, txid: i64) -> bool {
        match self {
            Filter::Apply => false,
            Filter::ApplyUnlessVisibleIn(snapshot) => snapshot.contains(txid),
        }
    }
}
