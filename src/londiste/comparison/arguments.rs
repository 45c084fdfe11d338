//! The arguments of `compare` and `repair`.

use std::path::PathBuf;

/// Which tables `compare` and `repair` are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// The names of the tables; all subscribed tables when empty.
    pub(crate) names: Vec<String>,
    /// `--force`: whatever the lag, and with no limit on the waits for a tick and for replay.
    pub(crate) force: bool,
}

/// The arguments of `compare`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compare {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--checksum`: compare every row, in place of `compare_sql`.
    pub(crate) checksum: bool,
}

/// The arguments of `repair`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--apply`: execute the statements on the subscriber.
    pub(crate) apply: bool,
    /// `--output-dir`: the directory of the files of statements; `None`: the current directory.
    pub(crate) output_dir: Option<PathBuf>,
}
