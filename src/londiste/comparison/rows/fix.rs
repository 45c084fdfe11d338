//! The statements that make the subscriber's rows equal to the provider's.

use std::fmt;

use serde::Serialize;

use crate::pg::{RawText, Sql, sql};

use super::compared_table::ComparedTable;
use super::row::RowText;

/// The rows of both sides that have the same key, or a row that only one side has.
pub(super) enum Pair {
    Provider(RowText),
    Subscriber(RowText),
    Both { provider: RowText, subscriber: RowText },
}

/// The change that makes one row of the subscriber equal to the provider's.
pub(crate) enum RowFix {
    Insert(RowText),
    Update {
        provider: RowText,
        subscriber: RowText,
    },
    Delete(RowText),
    /// Of a table without a key.
    DeleteCopies {
        row: RowText,
        copies: u64,
    },
}

/// The result of comparing a pair.
pub(super) enum Compared {
    /// The two sides are equal.
    Equal,
    /// The two sides differ only in columns that the subscriber generates: no statement sets these.
    GeneratedDiffer,
    /// The change makes the two sides equal, except in columns that the subscriber generates.
    Differ(RowFix),
}

impl RowFix {
    /// Compares the two sides of a pair.
    pub(super) fn of(pair: Pair, compared: &ComparedTable) -> Compared {
        match pair {
            Pair::Provider(row) => Compared::Differ(RowFix::Insert(row)),
            Pair::Subscriber(row) => Compared::Differ(RowFix::Delete(row)),
            Pair::Both { provider, subscriber } => {
                let mut differing = compared.differing(&provider, &subscriber).peekable();
                if differing.peek().is_none() {
                    Compared::Equal
                } else if differing.all(|i| compared.generated[i]) {
                    Compared::GeneratedDiffer
                } else {
                    drop(differing);
                    Compared::Differ(RowFix::Update { provider, subscriber })
                }
            }
        }
    }

    /// A row that has the key: the provider's if there is one.
    pub(crate) fn row(&self) -> &RowText {
        match self {
            RowFix::Insert(row)
            | RowFix::Delete(row)
            | RowFix::DeleteCopies { row, .. }
            | RowFix::Update { provider: row, .. } => row,
        }
    }

    /// The statement that makes the change on the subscriber.
    pub(crate) fn sql(&self, compared: &ComparedTable) -> Sql {
        match self {
            RowFix::Insert(row) => insert_sql(compared, row),
            RowFix::Update { provider, subscriber } => update_sql(compared, provider, subscriber),
            RowFix::Delete(row) => sql!(
                "delete from {only}{table} where {condition};",
                only = compared.only,
                table = &compared.quoted_table,
                condition = conditions(compared, row, 0..compared.key_len)
            ),
            // One relation has each ctid once.
            RowFix::DeleteCopies { row, copies } => sql!(
                "delete from {only}{table} where (tableoid, ctid) in \
                 (select tableoid, ctid from {only}{table} where {condition} limit {copies});",
                only = compared.only,
                table = &compared.quoted_table,
                condition = conditions(compared, row, 0..compared.columns.len()),
                copies = *copies
            ),
        }
    }
}

fn insert_sql(compared: &ComparedTable, row: &RowText) -> Sql {
    fn settable<'a, T>(of: impl Iterator<Item = T> + 'a, compared: &'a ComparedTable) -> impl Iterator<Item = T> + 'a {
        of.zip(&compared.generated).filter(|(_, generated)| !**generated).map(|(item, _)| item)
    }
    sql!(
        "insert into {table} ({columns}){overriding} values ({values});",
        table = &compared.quoted_table,
        columns = Sql::join(settable(compared.quoted.iter(), compared).cloned(), ", "),
        overriding = if compared.overrides_identity { " overriding system value" } else { "" },
        values = Sql::join(settable(row.iter(), compared).map(|v| literal(v.as_ref())), ", ")
    )
}

/// Sets the columns that differ; the condition names their old values too, so that the statement does nothing when the
/// row has changed meanwhile.
fn update_sql(compared: &ComparedTable, provider: &RowText, subscriber: &RowText) -> Sql {
    let changed: Vec<usize> = compared
        .differing(provider, subscriber)
        .filter(|i| *i >= compared.key_len && !compared.generated[*i])
        .collect();
    let set = changed
        .iter()
        .map(|i| sql!("{column} = {value}", column = &compared.quoted[*i], value = literal(provider[*i].as_ref())));
    sql!(
        "update {only}{table} set {set} where {condition};",
        only = compared.only,
        table = &compared.quoted_table,
        set = Sql::join(set, ", "),
        condition = conditions(compared, subscriber, (0..compared.key_len).chain(changed.iter().copied()))
    )
}

fn conditions(compared: &ComparedTable, row: &RowText, columns: impl IntoIterator<Item = usize>) -> Sql {
    Sql::join(columns.into_iter().map(|i| compared.condition(i, row[i].as_ref())), " and ")
}

fn literal(value: Option<&RawText>) -> Sql {
    value.map_or_else(|| Sql::from("null"), RawText::literal)
}

/// How many rows are to be changed, or were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    inserts: u64,
    updates: u64,
    deletes: u64,
}

impl Counts {
    pub(crate) fn rows(self) -> u64 {
        self.inserts + self.updates + self.deletes
    }

    pub(crate) fn add(&mut self, change: &RowFix) {
        match change {
            RowFix::Insert(_) => self.inserts += 1,
            RowFix::Update { .. } => self.updates += 1,
            RowFix::Delete(_) => self.deletes += 1,
            RowFix::DeleteCopies { copies, .. } => self.deletes += copies,
        }
    }
}

impl std::ops::Add for Counts {
    type Output = Counts;

    fn add(self, more: Counts) -> Counts {
        Counts {
            inserts: self.inserts + more.inserts,
            updates: self.updates + more.updates,
            deletes: self.deletes + more.deletes,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inserts, {} updates, {} deletes", self.inserts, self.updates, self.deletes)
    }
}
