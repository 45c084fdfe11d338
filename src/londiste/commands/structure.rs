//! Compares the structure of tables on both sides, by column names and keys as SkyTools does, with notes on types.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::super::context::Context;
use super::super::state::provider_queue;
use super::listing::as_text;
use crate::error::Result;
use crate::pg::catalog::{self, Column, Generated, KeySource, Table};
use crate::pg::{Db, FqName, Role};

/// A difference between the two sides that keeps a table from being replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The table does not exist on this side.
    Missing(FqName, Role),
    /// The table has no key on this side; with the [`letters`] of its columns.
    NoKey(FqName, Role, String),
    /// The provider's column does not exist on the subscriber.
    ColumnMissing(FqName, String),
    /// The column is part of the key on one side only.
    KeyDiffers(FqName, String),
    /// The column is generated and virtual on the provider and plain on the subscriber: no trigger has its values.
    Virtual(FqName, String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing(table, role) => write!(f, "Table {table} missing from {role} side"),
            Difference::NoKey(table, role, letters) => {
                write!(f, "{role} table {table} has no primary key ({letters})")
            }
            Difference::ColumnMissing(table, column) => {
                write!(f, "{table}: column {column} on provider not on subscriber")
            }
            Difference::KeyDiffers(table, column) => write!(f, "{table}: pk different on column {column}"),
            Difference::Virtual(table, column) => {
                write!(f, "{table}: column {column} is virtual on provider: its values cannot be captured")
            }
        }
    }
}

/// A difference that replication can live with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// The subscriber generates the column, and the provider does not.
    Generated(FqName, String),
    /// Number, order or keys of the columns differ, as the [`letters`] of both sides show.
    Structure(FqName, String, String),
    /// The column has another type on the subscriber.
    TypeDiffers {
        /// The table.
        table: FqName,
        /// The column.
        column: String,
        /// The type on the provider.
        provider: String,
        /// The type on the subscriber.
        subscriber: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Generated(table, column) => write!(
                f,
                "table {table}: column {column} is generated on subscriber and not on provider: the provider's values do not arrive"
            ),
            Note::Structure(table, theirs, ours) => {
                write!(f, "table {table} structure is not same ({theirs}/{ours}), trying to continue")
            }
            Note::TypeDiffers { table, column, provider, subscriber } => {
                write!(f, "table {table}: column {column} is {provider} on provider, {subscriber} on subscriber")
            }
        }
    }
}

/// The result of comparing a table. A table with notes can be replicated, a table with differences cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Logged as warnings.
    pub(crate) notes: Vec<Note>,
    /// Logged as errors.
    pub(crate) differences: Vec<Difference>,
}

impl Comparison {
    /// Logs all notes and differences.
    pub(crate) fn log(&self) {
        for note in &self.notes {
            tracing::warn!("{note}");
        }
        for difference in &self.differences {
            tracing::error!("{difference}");
        }
    }
}

/// Compares a table on both sides; `None` stands for a table that does not exist. `provider_key` has the columns of the
/// key that was chosen when the table was added, if one was.
pub(crate) fn compare(
    name: &FqName,
    provider: Option<&Table>,
    subscriber: Option<&Table>,
    provider_key: Option<&[String]>,
) -> Comparison {
    let mut found = Comparison::default();
    let (Some(provider), Some(subscriber)) = (provider, subscriber) else {
        for (table, role) in [(provider, Role::Provider), (subscriber, Role::Subscriber)] {
            if table.is_none() {
                found.differences.push(Difference::Missing(name.clone(), role));
            }
        }
        return found;
    };
    let chosen = |column: &str| provider_key.is_some_and(|key| key.iter().any(|k| k == column));
    let on_provider = |c: &Column| if provider_key.is_some() { chosen(&c.name) } else { c.in_key() };
    // A chosen key needs no index on the subscriber, where its columns are only the condition that finds a row.
    let keyless = provider_key.is_some() && subscriber.key_source != KeySource::Primary;
    let on_subscriber = |c: &Column| if keyless { chosen(&c.name) } else { c.in_key() };

    let (theirs, ours) = (letters(provider, on_provider), letters(subscriber, on_subscriber));
    for (role, letters) in [(Role::Provider, &theirs), (Role::Subscriber, &ours)] {
        if !letters.contains('k') {
            found.differences.push(Difference::NoKey(name.clone(), role, letters.clone()));
        }
    }
    if !found.differences.is_empty() {
        return found;
    }
    for column in provider.columns.iter().filter(|c| !c.is_generated()) {
        match subscriber.column(&column.name) {
            None => found.differences.push(Difference::ColumnMissing(name.clone(), column.name.clone())),
            Some(other) if on_provider(column) != on_subscriber(other) => {
                found.differences.push(Difference::KeyDiffers(name.clone(), column.name.clone()));
            }
            Some(_) => {}
        }
    }
    let different = theirs != ours || !found.differences.is_empty();
    for (column, other) in provider.columns.iter().filter_map(|c| Some((c, subscriber.column(&c.name)?))) {
        match (column.generated, other.generated) {
            (Some(Generated::Virtual), None) => {
                found.differences.push(Difference::Virtual(name.clone(), column.name.clone()));
            }
            (None, Some(_)) => found.notes.push(Note::Generated(name.clone(), column.name.clone())),
            (Some(Generated::Stored) | None, None) | (Some(_), Some(_)) => {}
        }
    }
    if different {
        found.notes.push(Note::Structure(name.clone(), theirs, ours));
    }
    for (column, other) in provider.columns.iter().filter_map(|c| Some((c, subscriber.column(&c.name)?))) {
        if column.type_name != other.type_name {
            found.notes.push(Note::TypeDiffers {
                table: name.clone(),
                column: column.name.clone(),
                provider: column.type_name.clone(),
                subscriber: other.type_name.clone(),
            });
        }
    }
    found
}

/// The results for several tables. Their text is empty, since they are in the log.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// The tables that cannot be replicated.
    pub(super) fn different(&self) -> impl Iterator<Item = FqName> {
        self.0.iter().filter(|finding| !finding.differences.is_empty()).map(|finding| finding.table.clone())
    }
}

/// The result for one table.
#[derive(Serialize)]
struct Finding {
    #[serde(serialize_with = "as_text")]
    table: FqName,
    notes: Vec<String>,
    differences: Vec<String>,
}

impl fmt::Display for Findings {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// The tables of a queue as both sides have them; a table that a side does not have is absent there.
pub(crate) struct Structures {
    pub(crate) provider: BTreeMap<FqName, Table>,
    pub(crate) subscriber: BTreeMap<FqName, Table>,
    /// The columns of the keys that were chosen when tables were added.
    chosen: BTreeMap<FqName, Vec<String>>,
}

impl Structures {
    /// Reads the structure of the tables on both sides, without locks on them.
    pub(crate) async fn read(provider_db: &Db, db: &Db, queue: &str, tables: &[FqName]) -> Result<Structures> {
        Ok(Structures {
            provider: catalog::structures(provider_db, tables).await?,
            subscriber: catalog::structures(db, tables).await?,
            chosen: provider_queue::chosen_keys(provider_db, queue).await?,
        })
    }

    /// Compares one of the tables.
    pub(crate) fn compare(&self, table: &FqName) -> Comparison {
        let key = self.chosen.get(table).map(Vec::as_slice);
        compare(table, self.provider.get(table), self.subscriber.get(table), key)
    }

    /// The columns that tell the rows of a table apart; empty where it has no key.
    pub(crate) fn key(&self, table: &FqName) -> Vec<String> {
        let of_table = || Some(self.provider.get(table)?.key().iter().map(|column| column.name.clone()).collect());
        self.chosen.get(table).cloned().or_else(of_table).unwrap_or_default()
    }
}

/// Compares the tables, logs the results and returns them.
pub(super) async fn compare_all(
    context: &Context<'_>,
    provider_db: &Db,
    db: &Db,
    tables: &[FqName],
) -> Result<Findings> {
    let structures = Structures::read(provider_db, db, context.queue(), tables).await?;
    let mut list = Vec::with_capacity(tables.len());
    for table in tables {
        tracing::info!("Checking {table}");
        let found = structures.compare(table);
        found.log();
        let differences = found.differences.iter().map(ToString::to_string).collect();
        let notes = found.notes.iter().map(ToString::to_string).collect();
        list.push(Finding { table: table.clone(), notes, differences });
    }
    Ok(Findings(list))
}

/// One letter per column: `k` for a column of the key, `v` for any other column.
fn letters(table: &Table, in_key: impl Fn(&Column) -> bool) -> String {
    table.columns.iter().map(|c| if in_key(c) { 'k' } else { 'v' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::catalog::RelationKind;

    /// `"id* a b"`: columns, the key's with a star; `+` is a generated column that is stored, `~` a virtual one.
    fn table(columns: &str) -> Table {
        let column = |(at, text): (usize, &str)| Column {
            name: text.trim_end_matches(['*', '+', '~']).to_owned(),
            attnum: i16::try_from(at + 1).unwrap_or(0),
            type_name: "text".to_owned(),
            type_oid: 25,
            not_null: false,
            generated: match text.chars().last() {
                Some('+') => Some(Generated::Stored),
                Some('~') => Some(Generated::Virtual),
                _ => None,
            },
            identity: None,
            key_position: i32::from(text.ends_with('*')),
        };
        let columns: Vec<Column> = columns.split_whitespace().enumerate().map(column).collect();
        let key_source = if columns.iter().any(Column::in_key) { KeySource::Primary } else { KeySource::None };
        Table { name: FqName::parse("t"), kind: RelationKind::Table, columns, key_source }
    }

    fn messages(provider: &str, subscriber: &str, key: Option<&[String]>) -> Vec<String> {
        let name = FqName::parse("t");
        let found = compare(&name, Some(&table(provider)), Some(&table(subscriber)), key);
        let notes = found.notes.iter().map(|n| format!("WARNING {n}"));
        notes.chain(found.differences.iter().map(|d| format!("ERROR {d}"))).collect()
    }

    #[test]
    fn equal_tables_give_no_message() {
        assert!(messages("id* a b", "id* a b", None).is_empty());
        assert!(messages("id* a b", "id* b a", None).is_empty());
    }

    #[test]
    fn a_column_missing_on_the_subscriber_is_an_error() {
        assert_eq!(
            messages("id* a b", "id* a", None),
            [
                "WARNING table public.t structure is not same (kvv/kv), trying to continue",
                "ERROR public.t: column b on provider not on subscriber"
            ]
        );
    }

    #[test]
    fn a_generated_column_may_be_missing_on_the_subscriber() {
        assert_eq!(
            messages("id* a b+", "id* a", None),
            ["WARNING table public.t structure is not same (kvv/kv), trying to continue"]
        );
    }

    #[test]
    fn column_that_one_side_generates_is_told_of() {
        for (provider, subscriber) in
            [("id* a+", "id* a"), ("id* a+", "id* a+"), ("id* a~", "id* a~"), ("id* a~", "id* a+")]
        {
            assert!(messages(provider, subscriber, None).is_empty(), "{provider} {subscriber}");
        }
        let expected = "WARNING table public.t: column a is generated on subscriber and not on provider: the provider's values \
                        do not arrive";
        assert_eq!(messages("id* a", "id* a+", None), [expected]);
        assert_eq!(messages("id* a", "id* a~", None), [expected]);
        let expected = "ERROR public.t: column a is virtual on provider: its values cannot be captured";
        assert_eq!(messages("id* a~", "id* a", None), [expected]);
    }

    #[test]
    fn each_column_of_a_different_key_is_an_error() {
        assert_eq!(
            messages("id* a b", "id a* b", None),
            [
                "WARNING table public.t structure is not same (kvv/vkv), trying to continue",
                "ERROR public.t: pk different on column id",
                "ERROR public.t: pk different on column a"
            ]
        );
    }

    #[test]
    fn other_order_and_extra_columns_are_a_warning() {
        assert_eq!(
            messages("id* a", "x id* a", None),
            ["WARNING table public.t structure is not same (kv/vkv), trying to continue"]
        );
    }

    #[test]
    fn a_table_without_key_is_an_error_of_its_side() {
        assert_eq!(messages("id*", "id", None), ["ERROR subscriber table public.t has no primary key (v)"]);
        assert_eq!(
            messages("id", "id", None),
            [
                "ERROR provider table public.t has no primary key (v)",
                "ERROR subscriber table public.t has no primary key (v)"
            ]
        );
    }

    #[test]
    fn a_key_chosen_on_the_provider_needs_no_index_on_the_subscriber() {
        let key = ["a".to_owned()];
        assert!(messages("id a b", "id a b", Some(&key)).is_empty());
    }

    #[test]
    fn a_table_missing_on_one_side_is_named_with_the_side() {
        let name = FqName::parse("t");
        let found = compare(&name, None, Some(&table("id*")), None);
        assert_eq!(found.differences[0].to_string(), "Table public.t missing from provider side");
        let found = compare(&name, Some(&table("id*")), None, None);
        assert_eq!(found.differences[0].to_string(), "Table public.t missing from subscriber side");
    }
}
