//! A small batch of plain changes as one message, for which nothing has to be asked of the server first.
//!
//! The tables are taken as they were in the last batch. Whether they still are is read behind the changes, in the same
//! transaction, which is given up if not: from the first change of a table on, its structure is locked. So what is read then was
//! true before. [`Applier::confirm`] rests on the same.
//!
//! Nothing here tells why something cannot be applied. After a rollback the batch is applied by [`Applier::apply`], which does.

use std::collections::HashMap;

use tokio_postgres::SimpleQueryMessage;

use super::applied::Applied;
use super::applier::Applier;
use super::chunk::Chunk;
use super::read::{EventReader, ReadOutcome};
use super::row::{self, MESSAGE_SIZE};
use super::settings::Filter;
use super::statement::{self, Statement};
use crate::config::ApplyRole;
use crate::error::Result;
use crate::pg::{Db, FqName};
use crate::pgq::event::Event;
use crate::pgq::fragment::Verb;

/// The message of a small batch.
pub(crate) struct SmallBatch {
    /// The statements of the events; empty when no event changes a row.
    text: String,
    /// The verb of each statement.
    verbs: Vec<Verb>,
    /// Some table has deferrable constraints: see [`super::write`].
    deferrable: bool,
    role: ApplyRole,
    /// What becomes of the batch.
    pub(crate) applied: Applied,
}

impl Applier {
    /// How many events a small batch has at most.
    pub(crate) fn most_small(&self) -> usize {
        self.settings.small_chunk
    }

    /// The message; `None` for events that need more than statements of single rows for tables that are known.
    pub(crate) fn small_batch(
        &mut self,
        events: &[Event],
        filters: &HashMap<FqName, Filter>,
        target: &str,
    ) -> Option<SmallBatch> {
        if events.len() > self.most_small() || self.identities.are_wanted() || !self.tables.left_out().is_empty() {
            return None;
        }
        self.tables.start();
        self.tables.trust();
        let mut reader = EventReader::new(&mut self.tables, filters, self.settings.apply, target);
        for event in events {
            match reader.read(event) {
                Ok(ReadOutcome::Done) => {}
                Ok(ReadOutcome::Truncate(_) | ReadOutcome::Load(_)) | Err(_) => return None,
            }
        }
        if reader.is_full(MESSAGE_SIZE) {
            return None;
        }
        let chunk = reader.take_chunk();
        let mut applied = reader.finish();
        if applied.unknown.count() + applied.scripts.count() > 0 || !applied.table_sets.is_empty() {
            return None;
        }
        let (text, verbs) = statements(&chunk)?;
        applied.row_by_row = chunk.events.len() as u64;
        let deferrable = chunk.active.iter().any(|table| chunk.table(*table).deferrable);
        Some(SmallBatch { text, verbs, deferrable, role: self.settings.role, applied })
    }

    /// Whether the tables of the small batch are those of the catalog. To be asked behind the statements.
    pub(crate) async fn knows_tables(&self, tx: &Db) -> Result<bool> {
        self.tables.is_unchanged(tx).await
    }
}

/// The statements of all events; `None` where a value is big or no UTF-8, which is sent as a parameter.
fn statements(chunk: &Chunk) -> Option<(String, Vec<Verb>)> {
    let (mut text, mut verbs) = (Vec::new(), Vec::new());
    for event in &chunk.events {
        if row::is_big(chunk, event) {
            return None;
        }
        if statement::write_with_literals(chunk, event, &mut text) == Statement::Written {
            text.extend_from_slice(b";\n");
            verbs.push(chunk.shape(event.shape).verb);
        }
    }
    Some((String::from_utf8(text).ok()?, verbs))
}

impl SmallBatch {
    /// The statements, to be run in a transaction of `tx`.
    pub(crate) fn statements(&self, tx: &Db) -> String {
        if self.verbs.is_empty() {
            return String::new();
        }
        let mut first = String::new();
        if self.role == ApplyRole::Replica {
            first.push_str("set local session_replication_role = replica; ");
        }
        if self.deferrable {
            first.push_str("set constraints all deferred; ");
        }
        tx.in_users_path(&first, &self.text)
    }

    /// Whether each update and delete has found its row, by the answers to a message that ends with the statements.
    pub(crate) fn has_found_rows(&self, answers: &[SimpleQueryMessage]) -> bool {
        let counts = answers.iter().filter_map(|answer| match answer {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        // Behind the events the search path is set back.
        counts.rev().skip(1).zip(self.verbs.iter().rev()).all(|(rows, verb)| rows > 0 || *verb == Verb::Insert)
    }
}
