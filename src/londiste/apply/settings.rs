//! How events are applied, and which.

use crate::config::{self, Apply, ApplyRole, MissingRow};
use crate::pgq::snapshot::Snapshot;

/// How events are applied.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// As sets or one by one.
    pub apply: Apply,
    /// About how many bytes events may take.
    pub memory: u64,
    /// Whether a row that is not there is an error.
    pub on_missing_row: MissingRow,
    /// `session_replication_role` while applying.
    pub role: ApplyRole,
    /// At most so many events at once are applied one by one in any case: that is one round trip.
    pub few: usize,
}

impl From<&config::Londiste> for Settings {
    fn from(config: &config::Londiste) -> Settings {
        Settings {
            apply: config.apply,
            memory: config.apply_memory,
            on_missing_row: config.on_missing_row,
            role: config.apply_role,
            few: FEW,
        }
    }
}

/// Which events of a table are applied. Those of tables without a filter are not.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All.
    Apply,
    /// All but those whose effects the copy holds already.
    ApplyUnlessVisibleIn(Snapshot),
}

impl Filter {
    /// Whether an event of the transaction is not to be applied.
    pub(super) fn hides(&self, txid: i64) -> bool {
        match self {
            Filter::Apply => false,
            Filter::ApplyUnlessVisibleIn(snapshot) => snapshot.contains(txid),
        }
    }
}

/// Up to here, the statements of single rows cost less than a look into the catalog and a savepoint.
const FEW: usize = 16;
