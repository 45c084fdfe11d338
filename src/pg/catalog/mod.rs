//! Reads the system catalogs: tables, columns, keys, sequences, triggers, rules.
//!
//! One query reads any number of tables and takes no lock on them: what it returns may change at once unless the caller
//! holds a lock. Columns of the catalogs that PostgreSQL 10 does not have are read through `to_jsonb(row)`, so that one
//! text serves all versions.

mod dependents;
pub(crate) mod equality;
mod names;
mod relations;
mod rules;
mod structure;
mod triggers;

pub use dependents::{Dependent, DependentKind, dependent_objects};
pub(crate) use relations::{RelationKind, TableEntry, references, relations, sequences, sequences_of_columns, tables};
pub(crate) use rules::{Rule, rules};
pub use structure::{Column, Generated, Identity, KeySource, Table, structures};
pub(crate) use structure::{columns, default_of, structure};
pub use triggers::{Trigger, triggers};
