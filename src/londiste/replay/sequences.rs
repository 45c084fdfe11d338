//! Sequence values: read on the provider before each batch's events, set on the subscriber in the batch's transaction.
//!
//! The values are read after the batch's end tick was made, so a value is never behind a row that the batch has.

use std::collections::HashMap;

use super::super::state::sequences::{self, Subscribed};
use crate::error::Result;
use crate::pg::{Db, FqName, Sql, sql};

/// `last_value` and `is_called`.
type Value = (i64, bool);

/// A sequence and the value that it is to be set to.
pub(super) type Setting = (FqName, Value);

/// The values that this process has set so far.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    set: HashMap<FqName, Value>,
    /// Sequences that are missing on a side, reported once.
    reported: Vec<FqName>,
}

impl Sequences {
    /// Forgets the values that were set, so that every value is set again: the subscriber may have been restored from a
    /// backup.
    pub(crate) fn forget(&mut self) {
        self.set.clear();
        self.reported.clear();
    }

    /// The values of the subscribed sequences that have changed since this process set them. A sequence that one side
    /// does not have is left out, with one warning.
    pub(crate) async fn read(&mut self, provider: &Db, subscriber: &Db, queue: &str) -> Result<Vec<Setting>> {
        let subscribed = sequences::subscribed(subscriber, queue).await?;
        if subscribed.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = Vec::with_capacity(subscribed.len());
        for Subscribed { name, exists } in subscribed {
            if exists {
                names.push(name);
            } else {
                self.report(&name, "subscriber");
            }
        }
        let names = self.present_on_provider(provider, names).await?;
        let mut values = Vec::new();
        if names.is_empty() {
            return Ok(values);
        }
        let value = |(nr, name): (usize, &FqName)| {
            sql!("select {nr} as nr, last_value, is_called from {name}", nr = nr, name = name)
        };
        let sql = Sql::join(names.iter().enumerate().map(value), " union all ");
        for row in provider.query("read sequence values", sql, &[]).await? {
            let Some(name) = usize::try_from(row.get::<_, i32>(0)).ok().and_then(|i| names.get(i)) else { continue };
            let value = (row.get(1), row.get(2));
            if self.set.get(name) != Some(&value) {
                values.push((name.clone(), value));
            }
        }
        Ok(values)
    }

    async fn present_on_provider(&mut self, provider: &Db, names: Vec<FqName>) -> Result<Vec<FqName>> {
        let quoted: Vec<String> = names.iter().map(FqName::quoted).collect();
        let rows = provider
            .query(
                "look for sequences",
                "select pg_catalog.to_regclass(name) is not null from pg_catalog.unnest($1) with ordinality as u(name, nr) order by nr",
                &[crate::pg::text_array(&quoted)],
            )
            .await?;
        let mut present = Vec::with_capacity(names.len());
        for (name, row) in names.into_iter().zip(rows) {
            if row.get(0) {
                present.push(name);
            } else {
                self.report(&name, "provider");
            }
        }
        Ok(present)
    }

    /// Sets the values. PostgreSQL does not roll `setval` back.
    pub(crate) async fn write(&self, subscriber: &Db, values: &[Setting]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let set = |(name, (value, called)): &Setting| {
            let name = Sql::literal(&name.quoted());
            sql!("pg_catalog.setval({name}, {value}, {called})", name = name, value = *value, called = *called)
        };
        let sql = sql!("select {sets}", sets = Sql::join(values.iter().map(set), ", "));
        subscriber.batch("set sequence values", sql).await
    }

    /// Stores that the values are committed: [`Sequences::read`] leaves them out from now on.
    pub(crate) fn written(&mut self, values: Vec<Setting>) {
        self.set.extend(values);
    }

    fn report(&mut self, name: &FqName, side: &str) {
        // A sequence that is created again has its start value.
        self.set.remove(name);
        if !self.reported.contains(name) {
            tracing::warn!(
                "Seq {name} does not exist on {side} side, its value is not replicated; \
                 remove it with \"subscriber remove-seq {name}\" if it is not needed"
            );
            self.reported.push(name.clone());
        }
    }
}
