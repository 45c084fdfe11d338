//! What the command line asks for.

/// Whether only to tell what would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// `--plan`: tell, and change nothing.
    Planned,
    /// Do it.
    Done,
}

/// Whether the schema of the provider's database is brought to the subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaCopy {
    /// The subscriber has the tables already.
    No,
    /// `--schema`: with the owners and grants of the provider.
    WithOwners,
    /// `--schema --no-owner`: everything belongs to the user of `subscriber_db`, without grants.
    WithoutOwners,
}

/// `up`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Up {
    pub(crate) doing: Doing,
    pub(crate) schema: SchemaCopy,
    /// `--exclude`: names and globs of tables and sequences.
    pub(crate) exclude: Vec<String>,
}
