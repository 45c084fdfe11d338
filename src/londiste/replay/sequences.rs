//! Sequence values: read on the provider before each batch's events, set on the subscriber in the batch's transaction.
//!
//! The values are read after the batch's end tick was made, so a value is never behind a row that the batch has.

use std::collections::HashMap;
use std::mem::{self, Discriminant};

use super::super::state::sequences::{self, Objection, Subscribed, Value};
use crate::error::Result;
use crate::pg::{Db, FqName};

/// A sequence and the value that it is to be set to.
pub(super) type Setting = (FqName, Value);

/// The values that this process has set so far.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    set: HashMap<FqName, Value>,
    /// Sequences whose values cannot be set, with the kind of objection: each is logged once.
    reported: HashMap<FqName, Discriminant<Objection>>,
}

impl Sequences {
    /// Forgets the values that were set, so that every value is set again: the subscriber may have been restored from a
    /// backup.
    pub(crate) fn forget(&mut self) {
        self.set.clear();
        self.reported.clear();
    }

    /// The values of the subscribed sequences that have changed since this process set them. A sequence whose value cannot be set is
    /// left out, with one warning, so that nothing else waits for it.
    pub(crate) async fn read(&mut self, provider: &Db, subscriber: &Db, queue: &str) -> Result<Vec<Setting>> {
        let mut values = Vec::new();
        for Subscribed { name, value } in sequences::subscribed(provider, subscriber, queue).await? {
            match value {
                Ok(value) => {
                    self.reported.remove(&name);
                    if self.set.get(&name) != Some(&value) {
                        values.push((name, value));
                    }
                }
                Err(objection) => self.report(name, &objection),
            }
        }
        Ok(values)
    }

    /// Sets the values. PostgreSQL does not roll `setval` back.
    pub(crate) async fn write(&self, subscriber: &Db, values: &[Setting]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        subscriber.batch("set sequence values", sequences::set_sql(values)).await
    }

    /// Whether one of the values that [`Sequences::read`] gave can no longer be set.
    ///
    /// 1. Replay sees a sequence.
    /// 2. It is dropped, or its bounds are made narrower, or a right is taken away.
    /// 3. The server refuses to set the value.
    pub(crate) async fn are_outdated(
        &mut self,
        provider: &Db,
        subscriber: &Db,
        queue: &str,
        values: &[Setting],
    ) -> Result<bool> {
        let now = self.read(provider, subscriber, queue).await?;
        Ok(values.iter().any(|(name, _)| now.iter().all(|(settable, _)| settable != name)))
    }

    /// Stores that the values are committed: [`Sequences::read`] leaves them out from now on.
    pub(crate) fn written(&mut self, values: Vec<Setting>) {
        self.set.extend(values);
    }

    fn report(&mut self, name: FqName, objection: &Objection) {
        // A sequence that is created again has its start value.
        self.set.remove(&name);
        let kind = mem::discriminant(objection);
        if self.reported.get(&name) != Some(&kind) {
            tracing::warn!("{}", objection.describe(&name));
            self.reported.insert(name, kind);
        }
    }
}
