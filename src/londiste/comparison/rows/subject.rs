//! A table of both sides, and how statements name it.

use crate::pg::catalog::RelationKind;
use crate::pg::{FqName, Sql, sql};

/// A table that exists on both sides.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) name: FqName,
    pub(crate) on_provider: RelationKind,
    pub(crate) on_subscriber: RelationKind,
}

/// The table as `from` and `lock table` take it: with `only`, except for a partitioned table, whose rows are all in its
/// partitions.
pub(crate) fn source(name: &FqName, kind: RelationKind) -> Sql {
    let only = if kind == RelationKind::Partitioned { "" } else { "only " };
    sql!("{only}{name}", only = only, name = name)
}
