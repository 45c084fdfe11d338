//! The reading end alone, without a subscriber: for benchmarks.

use std::collections::HashMap;

use super::catalog::Catalog;
use super::key::Class;
use super::read::{Read, Reader};
use super::settings::Filter;
use super::table::{Column, ColumnId, Table};
use crate::error::Result;
use crate::pg::FqName;
use crate::pg::name::quote_ident;
use crate::pgq::event::Event;

/// A table that exists only here: its name and columns, with their types' object ids. The first column is the key.
#[derive(Clone, Copy, Debug)]
pub struct Sketch<'a> {
    /// `schema.table`
    pub name: &'a str,
    /// Names and types.
    pub columns: &'a [(&'a str, u32)],
}

/// Reads events and folds them. Returns how many rows change.
pub fn fold(tables: &[Sketch<'_>], events: &[Event]) -> Result<usize> {
    let mut catalog = Catalog::default();
    catalog.start();
    let mut filters = HashMap::new();
    for (oid, sketch) in (1..).zip(tables) {
        catalog.put(table(oid, sketch));
        filters.insert(FqName::parse(sketch.name), Filter::Apply);
    }
    let mut reader = Reader::new(&mut catalog, &filters, true, "");
    for event in events {
        match reader.read(event)? {
            Read::Done | Read::Truncate(_) | Read::Load(_) => {}
        }
    }
    Ok(reader.chunk.active.iter().map(|table| reader.chunk.fold(*table).rows().len()).sum())
}

/// A table whose first column is its key, for benchmarks and tests.
pub(super) fn table(oid: u32, sketch: &Sketch<'_>) -> Table {
    let columns: Vec<Column> = sketch.columns.iter().map(|(name, type_oid)| column(name, *type_oid)).collect();
    Table {
        name: FqName::parse(sketch.name),
        oid,
        version: 0,
        partitioned: false,
        by_name: columns.iter().zip(0..).map(|(column, id): (_, ColumnId)| (column.name.clone(), id)).collect(),
        columns,
        primary_key: Some(vec![0]),
        keys: vec![vec![0]],
        unique_indexes: 1,
        unique_columns: vec![0],
        foreign_keys: Vec::new(),
        ancestors: Vec::new(),
        deferrable: false,
        row_security: false,
        by_row: None,
    }
}

fn column(name: &str, type_oid: u32) -> Column {
    Column {
        name: name.to_owned(),
        quoted: quote_ident(name),
        cast: "pg_catalog.text".to_owned(),
        class: Class::of(type_oid, false),
        integer: None,
        generated: false,
        identity_always: false,
    }
}
