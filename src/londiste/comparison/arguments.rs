//! What `compare` and `repair` are asked for.

use std::path::PathBuf;

/// Which tables `compare` and `repair` are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// Their names; all subscribed ones when empty.
    pub(crate) names: Vec<String>,
    /// `--force`: in spite of lag, waiting for replay without a limit.
    pub(crate) force: bool,
}

/// What `compare` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compare {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--checksum`: compare every row, in place of `compare_sql`.
    pub(crate) checksum: bool,
}

/// What `repair` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--apply`: execute the statements on the subscriber.
    pub(crate) apply: bool,
    /// `--output-dir`: where the files of statements go; else the current directory.
    pub(crate) output_dir: Option<PathBuf>,
}
