//! The reading task alone, without a subscriber: for benchmarks and unit tests.

use std::collections::HashMap;

use super::key::KeyClass;
use super::read::{EventReader, ReadOutcome};
use super::settings::Filter;
use super::table_cache::TableCache;
use super::target_table::{ColumnId, TargetColumn, TargetTable, Version};
use crate::config::Apply;
use crate::error::Result;
use crate::pg::catalog::equality::Equality;
use crate::pg::{FqName, Sql};
use crate::pgq::event::Event;

/// A table that is in no database. Its first column is the key.
#[derive(Clone, Copy, Debug)]
pub struct TableSketch<'a> {
    /// `schema.table`
    pub name: &'a str,
    /// Names of columns, and the object ids of their types.
    pub columns: &'a [(&'a str, u32)],
}

/// Reads events and works out their net changes. Returns how many rows change.
pub fn fold(tables: &[TableSketch<'_>], events: &[Event]) -> Result<usize> {
    let mut cache = TableCache::default();
    cache.start();
    let mut filters = HashMap::new();
    for (oid, sketch) in (1..).zip(tables) {
        cache.put(table(oid, sketch));
        filters.insert(FqName::parse(sketch.name), Filter::Apply);
    }
    let mut reader = EventReader::new(&mut cache, &filters, Apply::Set, "");
    for event in events {
        match reader.read(event)? {
            ReadOutcome::Done | ReadOutcome::Truncate(_) | ReadOutcome::Load(_) => {}
        }
    }
    Ok(reader.chunk.active.iter().map(|table| reader.chunk.net_changes(*table).rows().len()).sum())
}

/// The table of a sketch.
pub(super) fn table(oid: u32, sketch: &TableSketch<'_>) -> TargetTable {
    let columns: Vec<TargetColumn> = sketch.columns.iter().map(|(name, type_oid)| column(name, *type_oid)).collect();
    TargetTable {
        name: FqName::parse(sketch.name),
        oid,
        version: Version::default(),
        partitioned: false,
        by_name: columns.iter().zip(0..).map(|(column, id): (_, ColumnId)| (column.name.clone(), id)).collect(),
        columns,
        primary_key: Some(vec![0]),
        keys: vec![vec![0]],
        unique_indexes: 1,
        unique_columns: vec![0],
        foreign_keys: Vec::new(),
        ancestors: Vec::new(),
        cascades: Vec::new(),
        deferrable: false,
        row_security: false,
        by_row: None,
    }
}

fn column(name: &str, type_oid: u32) -> TargetColumn {
    TargetColumn {
        name: name.to_owned(),
        quoted: Sql::ident(name),
        cast: "pg_catalog.text".into(),
        equality: Equality::built_in(),
        class: KeyClass::of(type_oid),
        integer: None,
        generated: false,
        identity_always: false,
    }
}
