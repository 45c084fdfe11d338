//! The statements that make the subscriber's rows those of the provider, and the file that they are written to.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::pg::FqName;
use crate::pg::name::quote_literal;

use super::shape::Shape;
use super::walk::{Pair, Values};

/// What is to be done with one row of the subscriber.
pub(super) enum Change {
    Insert(Values),
    Update { provider: Values, subscriber: Values },
    Delete(Values),
}

impl Change {
    /// What makes the two sides of a pair equal; nothing when they are.
    pub(super) fn of(pair: Pair) -> Option<Change> {
        match pair {
            Pair::Provider(row) => Some(Change::Insert(row)),
            Pair::Subscriber(row) => Some(Change::Delete(row)),
            Pair::Both { provider, subscriber } if provider == subscriber => None,
            Pair::Both { provider, subscriber } => Some(Change::Update { provider, subscriber }),
        }
    }

    /// The row with the key.
    pub(super) fn row(&self) -> &Values {
        match self {
            Change::Insert(row) | Change::Delete(row) | Change::Update { provider: row, .. } => row,
        }
    }

    /// The statement.
    pub(super) fn sql(&self, shape: &Shape) -> String {
        match self {
            Change::Insert(row) => insert_sql(shape, row),
            Change::Update { provider, subscriber } => update_sql(shape, provider, subscriber),
            Change::Delete(row) => {
                let condition = conditions(shape, row, 0..shape.key_len);
                format!("delete from {}{} where {condition};", shape.only, shape.quoted_table)
            }
        }
    }
}

fn insert_sql(shape: &Shape, row: &Values) -> String {
    let values: Vec<String> = row.iter().map(|v| literal(v.as_deref())).collect();
    let overriding = if shape.overrides_identity { " overriding system value" } else { "" };
    let columns = shape.quoted.join(", ");
    format!("insert into {} ({columns}){overriding} values ({});", shape.quoted_table, values.join(", "))
}

/// Sets the columns that differ; the condition names their old values too, so that the statement does nothing when the
/// row has changed meanwhile.
fn update_sql(shape: &Shape, provider: &Values, subscriber: &Values) -> String {
    let changed: Vec<usize> = (shape.key_len..shape.columns.len()).filter(|i| provider[*i] != subscriber[*i]).collect();
    let mut set = String::new();
    for i in &changed {
        let comma = if set.is_empty() { "" } else { ", " };
        let _ = write!(set, "{comma}{} = {}", shape.quoted[*i], literal(provider[*i].as_deref()));
    }
    let condition = conditions(shape, subscriber, (0..shape.key_len).chain(changed));
    format!("update {}{} set {set} where {condition};", shape.only, shape.quoted_table)
}

fn conditions(shape: &Shape, row: &Values, columns: impl IntoIterator<Item = usize>) -> String {
    let conditions: Vec<String> = columns
        .into_iter()
        .map(|i| match &row[i] {
            Some(value) => format!("{} = {}", shape.quoted[i], quote_literal(value)),
            None => format!("{} is null", shape.quoted[i]),
        })
        .collect();
    conditions.join(" and ")
}

fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), quote_literal)
}

/// How many rows are to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    inserts: u64,
    updates: u64,
    deletes: u64,
}

impl Counts {
    pub(super) fn add(&mut self, change: &Change) {
        match change {
            Change::Insert(_) => self.inserts += 1,
            Change::Update { .. } => self.updates += 1,
            Change::Delete(_) => self.deletes += 1,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inserts, {} updates, {} deletes", self.inserts, self.updates, self.deletes)
    }
}

/// The file of statements, made when there is something to write. An old one of the same table goes first: a file that
/// is there means differences.
pub(super) struct FixFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl FixFile {
    pub(super) fn new(dir: &Path, table: &FqName) -> Result<FixFile> {
        // The name stays one part of the path.
        let path = dir.join(format!("fix.{}.sql", table.to_string().replace('/', "%2F")));
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove the old file of fixes", path, source })
            }
            _ => Ok(FixFile { path, file: None }),
        }
    }

    pub(super) fn write(&mut self, sql: &str) -> Result<()> {
        let failed = |source| Error::Io { action: "write the file of fixes", path: self.path.clone(), source };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(File::create(&self.path).map_err(failed)?)),
        };
        writeln!(file, "{sql}").map_err(failed)
    }

    pub(super) fn close(self) -> Result<()> {
        let Some(mut file) = self.file else { return Ok(()) };
        file.flush().map_err(|source| Error::Io { action: "write the file of fixes", path: self.path, source })
    }
}
