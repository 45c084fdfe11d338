//! Takes tables back to their beginning whose lost changes explain an error: [`super::super::state::lost_changes`].

use std::collections::BTreeMap;

use super::super::state::lost_changes;
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::main_loop::Replay;
use super::sessions::Sessions;
use crate::error::{Error, Report, Result};
use crate::pg::FqName;
use crate::pgq::Batch;
use crate::text::Lines;

impl Replay {
    /// Sets those tables to `-` that explain why the batch failed: the provider gives the batch again, which is applied without them.
    /// Returns the error when no table explains it.
    ///
    /// With a mirror queue, returns the error with another hint: the mirror queue would miss the rows of the copies.
    pub(super) async fn take_back_lost(
        &self,
        sessions: &Sessions,
        batch: &Batch,
        subscribed: &[SubscribedTable],
        mut error: Error,
    ) -> Result<()> {
        let (subscriber, queue) = (&sessions.subscriber, &self.job.queue);
        let reasons = match self.find_lost(sessions, batch, subscribed, &mut error).await {
            Ok(reasons) => reasons,
            // The hint of the error, to leave the event out, may be wrong: the batch comes again, and is looked at again.
            Err(failure) if failure.is_transient() => return Err(failure),
            Err(failure) => {
                tracing::warn!("could not find out whether lost changes explain an error: {}", Report(&failure));
                return Err(error);
            }
        };
        if reasons.is_empty() {
            return Err(error);
        }
        let cause = Report(&error).message();
        for (name, reason) in &reasons {
            let tx = subscriber.begin("take a table back", "begin").await?;
            // Where a command has changed the state meanwhile, the batch comes again all the same.
            if tables::take_back(&tx, queue, name).await? == Moved::Moved {
                tx.commit("take a table back").await?;
                tracing::warn!(
                    "Table {name} is copied again now ({reason}), since an event behind changes that were not captured \
                     cannot be applied: {}",
                    Lines(&cause)
                );
            }
        }
        Ok(())
    }

    /// The tables to take back, with the reasons. Empty when an operator has to act: the error has a hint then, where it is known what
    /// helps.
    async fn find_lost(
        &self,
        sessions: &Sessions,
        batch: &Batch,
        subscribed: &[SubscribedTable],
        error: &mut Error,
    ) -> Result<BTreeMap<FqName, String>> {
        let Sessions { provider, subscriber, .. } = sessions;
        let queue = &self.job.queue;
        let ok = subscribed.iter().filter(|table| table.state == TableState::Ok);
        let reasons = lost_changes::explaining(provider, subscriber, queue, error, ok, batch.prev_tick).await?;
        let Some((name, reason)) = reasons.first_key_value() else {
            if let Some(table) = lost_changes::not_replicated(subscriber, error, subscribed).await? {
                error.replace_hint(format!(
                    "Table {table} at the other end of the foreign key is not replicated from queue {queue}. Add the table \
                     (\"rlondiste INI provider add {table}\", \"rlondiste INI subscriber add {table}\"), or drop the foreign key on \
                     the subscriber."
                ));
            }
            return Ok(reasons);
        };
        let Some(mirror) = &self.config.mirror_queue else { return Ok(reasons) };
        error.replace_hint(format!(
            "Changes of table {name} before this event were not captured ({reason}). Run \"rlondiste INI subscriber resync {name}\"; \
             what reads mirror_queue {mirror} does not get the rows of the copy."
        ));
        Ok(BTreeMap::new())
    }
}
