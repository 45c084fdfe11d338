//! What `compare` and `repair` are asked for.

use std::path::PathBuf;

/// Which tables `compare` and `repair` are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Their names; all subscribed ones when empty.
    pub names: Vec<String>,
    /// `--force`: in spite of lag, waiting for replay without a limit.
    pub force: bool,
}

/// What `compare` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compare {
    /// Which tables.
    pub tables: Tables,
    /// `--checksum`: compare every row, in place of `compare_sql`.
    pub checksum: bool,
}

/// What `repair` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// Which tables.
    pub tables: Tables,
    /// `--apply`: execute the statements on the subscriber.
    pub apply: bool,
    /// `--output-dir`: where the files of statements go; else the current directory.
    pub output_dir: Option<PathBuf>,
}
