//! Ranges of keys, and the queries that read the rows of one on either side.
//!
//! Each side takes the order of its own key's index. Where the two orders differ (collations), a row may be in one range here and
//! in another there: the sums of both then differ, and the rows are compared by key. Every row is in exactly one range of its side,
//! since ranges have open ends: equal sums of all ranges mean equal rows in any case.

use crate::pg::{RawText, Sql, sql};

use super::fingerprint::Fingerprint;
use super::rows::{RowText, Side};

/// The keys after `after` up to and with `to`; without an end where one is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyRange {
    pub(super) after: Option<RowText>,
    pub(super) to: Option<RowText>,
}

impl Side {
    /// The query for the number of rows of a range, the sums of the two halves of their hashes as text, and the bytes of their text.
    /// Sums, since two equal rows would be nothing where bits are taken against each other.
    pub(super) fn sums_sql(&self, range: &KeyRange, fingerprint: Fingerprint) -> Sql {
        let [high, low] = fingerprint.halves(&Sql::from("h"));
        sql!(
            "select pg_catalog.count(*), pg_catalog.concat(pg_catalog.sum({high}), ' ', pg_catalog.sum({low})), \
                    coalesce(pg_catalog.sum(bytes), 0)::bigint \
             from (select {material} as h, pg_catalog.octet_length(line) as bytes \
                   from (select {row} as line from {source} t{condition} offset 0) read offset 0) hashed",
            high = high,
            low = low,
            // Without "offset 0" the text would be made for each use.
            material = fingerprint.material(&Sql::from("line")),
            row = self.row_text(),
            source = &self.source,
            condition = self.condition(range)
        )
    }

    /// The query for the keys of a range in their order, each with the hash of its row and the row's version.
    pub(super) fn versions_sql(&self, range: &KeyRange, fingerprint: Fingerprint, limit: usize) -> Sql {
        sql!(
            "{select} from {source} t{condition} order by {order} limit {limit}",
            select = self.select_versions(fingerprint),
            source = &self.source,
            condition = self.condition(range),
            order = self.key_row(),
            limit = limit
        )
    }

    /// The query for the same of given keys. Its parameters are those of [`Side::keyed_rows`].
    pub(super) fn versions_by_key_sql(&self, columns: &[String], fingerprint: Fingerprint) -> Sql {
        sql!("{select} {from}", select = self.select_versions(fingerprint), from = self.keyed_rows(columns))
    }

    fn select_versions(&self, fingerprint: Fingerprint) -> Sql {
        sql!("select {key}, {seen}", key = self.key_text(), seen = self.seen(fingerprint))
    }

    /// The hash of a row and its version, as columns of a query.
    pub(super) fn seen(&self, fingerprint: Fingerprint) -> Sql {
        sql!("{hash}, {version}", hash = fingerprint.of_row(&self.row_text()), version = Side::version())
    }

    /// The query for the key that has so many keys of the range up to it; no row when the range has fewer.
    pub(super) fn cut_sql(&self, range: &KeyRange, rows: usize) -> Sql {
        sql!(
            "select {key} from {source} t{condition} order by {order} offset {before} limit 1",
            key = self.key_text(),
            source = &self.source,
            condition = self.condition(range),
            order = self.key_row(),
            before = rows - 1
        )
    }

    fn key_text(&self) -> Sql {
        Sql::join(self.values[..self.keys.len()].iter().cloned(), ", ")
    }

    fn key_row(&self) -> Sql {
        Sql::join(self.keys.iter().cloned(), ", ")
    }

    fn condition(&self, range: &KeyRange) -> Sql {
        let bound = |operator: &'static str, key: &RowText| {
            let values = key.iter().zip(&self.key_types).map(|(value, type_name)| {
                let value = value.as_ref().map_or_else(|| Sql::from("null"), RawText::literal);
                sql!("{value}::{type}", value = value, type = type_name)
            });
            sql!(
                "({columns}) {operator} ({values})",
                columns = self.key_row(),
                operator = operator,
                values = Sql::join(values, ", ")
            )
        };
        let bounds: Vec<Sql> =
            [range.after.as_ref().map(|key| bound(">", key)), range.to.as_ref().map(|key| bound("<=", key))]
                .into_iter()
                .flatten()
                .collect();
        if bounds.is_empty() { Sql::from("") } else { sql!(" where {all}", all = Sql::join(bounds, " and ")) }
    }
}
