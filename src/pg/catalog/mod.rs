//! What the system catalogs say: tables, columns, keys, sequences, foreign keys, triggers.
//!
//! Readers of many tables take them all in one query. Columns of the catalogs that PostgreSQL 10 does not have are
//! read through `to_jsonb(row)`, so that one text serves all versions.

mod dependents;
mod foreign_keys;
mod names;
mod relations;
mod structure;
mod triggers;

pub use dependents::{Dependent, DependentKind, dependent_objects};
pub use foreign_keys::{ForeignKey, foreign_keys};
pub use relations::{RelationKind, TableEntry, owned_sequences, relations, sequences, tables};
pub use structure::{Column, Identity, KeySource, Table, columns, key_columns, structure, structures};
pub use triggers::{Trigger, triggers};
