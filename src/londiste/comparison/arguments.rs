//! The arguments of `compare` and `repair`.

use std::path::PathBuf;

/// How long `compare` and `repair` wait for replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lag {
    /// Not at all when replay is far behind, and at most `lock_timeout` for the tick of the comparison.
    #[default]
    Limited,
    /// `--force`: without a limit.
    WaitedFor,
}

/// Which tables `compare` and `repair` are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// The names of the tables; all subscribed tables when empty.
    pub(crate) names: Vec<String>,
    /// How long to wait for replay.
    pub(crate) lag: Lag,
}

/// The arguments of `compare`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compare {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--checksum`: compare every row, in place of `compare_sql`.
    pub(crate) checksum: bool,
    /// `--online`: compare every row without a lock.
    pub(crate) online: bool,
    /// `--jobs`: how many ranges `--online` hashes at a time.
    pub(crate) jobs: u32,
    /// `--exact`: values are equal when their text is.
    pub(crate) exact: bool,
}

/// The arguments of `repair`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Which tables.
    pub(crate) tables: Tables,
    /// `--apply`: execute the statements on the subscriber.
    pub(crate) apply: bool,
    /// `--dry-run`: write no file, print the statements.
    pub(crate) dry_run: bool,
    /// `--online`: without a lock.
    pub(crate) online: bool,
    /// `--jobs`: how many ranges `--online` hashes at a time.
    pub(crate) jobs: u32,
    /// `--output-dir`: the directory of the files of statements; `None`: the current directory.
    pub(crate) output_dir: Option<PathBuf>,
}
