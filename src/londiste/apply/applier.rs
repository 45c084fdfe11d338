//! Applies batches, one after the other, to the subscriber.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::error::SqlState;

use super::applied::Applied;
use super::feed::{ChunkFeed, Exchange};
use super::identity::ChangedIdentities;
use super::open_batch::OpenBatch;
use super::read::EventReader;
use super::settings::{Filter, Settings};
use super::table_cache::TableCache;
use super::write::ChunkWriter;
use crate::config::{Apply, ApplyRole};
use crate::error::{ApplyFault, FaultKind, Result};
use crate::pg::catalog::{self, Column};
use crate::pg::{Db, FqName};
use crate::pgq::event::Event;

/// Applies batches. Keeps what it has read of the subscriber's catalog from batch to batch.
#[derive(Debug)]
pub struct Applier {
    pub(super) settings: Settings,
    pub(super) tables: TableCache,
    /// [`Applier::prepare`] was called for the next transaction.
    prepared: bool,
    pub(super) identities: ChangedIdentities,
    missing_rows: MissingRowsLog,
    /// The next batch goes by sets, however small it is: see [`Applier::adapts_to`].
    by_sets: bool,
    open: OpenBatch,
}

/// Updates and deletes that found no row, by table, for the log.
#[derive(Debug, Default)]
struct MissingRowsLog {
    /// Those of the last batch, which may still be given up.
    of_batch: Vec<(String, u64)>,
    counts: BTreeMap<String, u64>,
    reported: Option<Instant>,
}

/// Rows that were not found are logged at most this often.
const MISSING_ROWS_PAUSE: Duration = Duration::from_mins(1);

impl MissingRowsLog {
    /// Adds the numbers of the last batch. Logs them, with the numbers that are not logged yet, at most once a minute.
    fn report(&mut self) {
        if self.of_batch.is_empty() {
            return;
        }
        for (table, count) in self.of_batch.drain(..) {
            *self.counts.entry(table).or_default() += count;
        }
        if self.reported.is_some_and(|at| at.elapsed() < MISSING_ROWS_PAUSE) {
            return;
        }
        let list: Vec<String> = self.counts.iter().map(|(table, count)| format!("{table} ({count})")).collect();
        tracing::warn!("rows to update or delete were not found: {}", list.join(", "));
        self.counts.clear();
        self.reported = Some(Instant::now());
    }
}

impl Applier {
    /// An applier that has read no table yet.
    pub fn new(settings: Settings) -> Applier {
        Applier {
            settings,
            tables: TableCache::default(),
            prepared: false,
            identities: ChangedIdentities::default(),
            missing_rows: MissingRowsLog::default(),
            by_sets: false,
            open: OpenBatch::default(),
        }
    }

    /// The same applier, which tells how far the open batch is.
    #[must_use]
    pub(crate) fn telling(self, open: OpenBatch) -> Applier {
        Applier { open, ..self }
    }

    /// To be called when the batch is committed, before it counts as finished elsewhere.
    pub(crate) fn close_batch(&self) {
        self.open.close();
    }

    /// Forgets the subscriber's tables. Must be called before a batch is applied in another session.
    pub fn forget(&mut self) {
        self.tables.clear();
        self.prepared = false;
    }

    /// Looks whether the events can be applied in another way, so that the fault does not come again: without the values of a column
    /// that the provider generates and the subscriber does not have, with another kind of an identity column, or by sets. Returns
    /// whether the batch is to be applied again.
    ///
    /// On the provider, foreign keys are checked at the end of a statement, which may change parents before their children,
    /// or delete a parent and insert it again. Its events one by one are refused here.
    pub(crate) async fn adapts_to(&mut self, provider: &Db, subscriber: &Db, fault: &ApplyFault) -> Result<bool> {
        let table = FqName::parse(&fault.table);
        match &fault.kind {
            FaultKind::MissingColumn(column) => self.leaves_out(provider, table, column).await,
            FaultKind::IdentityAlways(column) => self.identities.add(subscriber, &table, column).await,
            FaultKind::MissingTable | FaultKind::MissingRow | FaultKind::RowSecurity | FaultKind::Unreadable(_) => {
                Ok(false)
            }
            FaultKind::Refused => {
                let code = fault.source.as_ref().and_then(|error| error.code());
                Ok(code == Some(&SqlState::FOREIGN_KEY_VIOLATION) && !std::mem::replace(&mut self.by_sets, true))
            }
        }
    }

    async fn leaves_out(&mut self, provider: &Db, name: FqName, column: &str) -> Result<bool> {
        let mut columns = self.tables.left_out().clone();
        let list = columns.entry(name.clone()).or_default();
        if list.iter().any(|known| known == column) {
            return Ok(false);
        }
        list.push(column.to_owned());
        let found = generated(provider, columns).await?;
        let is_generated = found.get(&name).is_some_and(|list| list.iter().any(|found| found == column));
        if is_generated {
            tracing::info!(
                "Table {name}: column {column} is generated on provider and does not exist on subscriber, leaving it out"
            );
            self.tables.leave_out(found);
        }
        Ok(is_generated)
    }

    /// To be called before each batch is read: takes columns that the provider does not generate any more as columns that the
    /// subscriber must have. A column that is generated now was generated when the batch's events were written, since no
    /// statement makes a plain column a generated one.
    pub(crate) async fn check_left_out(&mut self, provider: &Db) -> Result<()> {
        if self.tables.left_out().is_empty() {
            return Ok(());
        }
        let known = self.tables.left_out().clone();
        let found = generated(provider, known.clone()).await?;
        if found != known {
            self.tables.leave_out(found);
        }
        Ok(())
    }

    /// Does what can be done before the first event is there: sets `session_replication_role` for the transaction, and
    /// looks whether the tables of the last batch have changed. `tx` is the open transaction that [`Applier::apply`] is
    /// then given. Takes no lock on tables, but for those whose identity columns the batch changes. Calling it is
    /// optional; [`Applier::apply`] makes up for it.
    pub async fn prepare(&mut self, tx: &Db) -> Result<()> {
        if self.settings.role == ApplyRole::Replica {
            tx.batch("switch off foreign keys and triggers", "set local session_replication_role = replica").await?;
        }
        self.identities.open(tx).await?;
        self.tables.start();
        self.tables.check(tx, None, self.settings.role).await?;
        self.prepared = true;
        Ok(())
    }

    /// Whether a table has another structure than the one by which [`Applier::apply`] has just failed, so that the batch may be applied
    /// now. To be called after the rollback.
    pub(crate) async fn is_outdated(&self, subscriber: &Db) -> Result<bool> {
        // The rollback of a column that was altered for the batch is a change, too.
        Ok(self.identities.is_empty() && !self.tables.is_current(subscriber).await?)
    }

    /// Whether the tables of the batch `applied` have the structure by which the batch was applied: if not, the batch has to be rolled
    /// back and applied again. To be called after [`Applier::apply`], in the same transaction. Logs the rows that were not found.
    ///
    /// 1. A batch reads that no foreign key leads from one table to another, without a lock.
    /// 2. Another transaction adds `on delete cascade`, and commits.
    /// 3. The batch deletes rows of the referenced table first, and the server deletes rows that refer to them, although the events
    ///    let them refer to other rows. The updates of these rows find nothing.
    ///
    /// From its first change on, the batch has locks that no transaction of step 2 gets. So a structure that is the same after the
    /// changes was the same before them. One event needs no order, so its structure is not read again.
    pub async fn confirm(&mut self, applied: &Applied, tx: &Db) -> Result<bool> {
        let is_single = applied.count.saturating_sub(applied.ignored) < 2;
        let is_current = is_single || self.tables.is_current(tx).await?;
        if is_current {
            if self.identities.close(tx).await? {
                self.tables.clear();
            }
            self.missing_rows.report();
            self.by_sets = false;
        }
        Ok(is_current)
    }

    /// Applies the events, which must come in the order of their ids, inside the open transaction `tx`. Events of tables
    /// that `filters` does not name are counted as ignored.
    ///
    /// Rows and tables stay locked as by the same statements of any client, until the caller ends the transaction. An
    /// event that cannot be applied is an [`Error::Apply`](crate::Error::Apply), which names it. After any error the
    /// transaction can only be rolled back.
    pub async fn apply(
        &mut self,
        events: impl Stream<Item = Result<Event>> + Unpin,
        filters: &HashMap<FqName, Filter>,
        tx: &Db,
    ) -> Result<Applied> {
        if !std::mem::take(&mut self.prepared) {
            self.prepare(tx).await?;
            self.prepared = false;
        }
        let settings =
            if self.by_sets { Settings { apply: Apply::Set, small_chunk: 0, ..self.settings } } else { self.settings };
        self.open.close();
        // The writing task has the session while it applies a chunk, the reading task while it looks at a table.
        let session = Mutex::new(tx);
        let (filled, to_apply) = mpsc::channel(1);
        let (emptied, to_fill) = mpsc::channel(4);
        let reader = EventReader::new(&mut self.tables, filters, settings.apply, tx.target());
        let feed = ChunkFeed::new(reader, &session, settings, Exchange { filled, to_fill });
        let writer = ChunkWriter::new(&session, settings, &self.open);
        let done = tokio::try_join!(feed.run(events), writer.run(to_apply, emptied));
        let (mut applied, counts) = done.inspect_err(|_| self.open.close())?;
        (applied.missing_rows, applied.row_by_row) = (counts.missing.total(), counts.row_by_row);
        if applied.scripts.count() > 0 {
            tracing::warn!("event of type EXECUTE is skipped, scripts are not replicated: {}", applied.scripts);
        }
        for (id, count) in counts.missing.tables() {
            let name = &self.tables.get(id).table.name;
            applied.tables.entry(name.clone()).or_default().missing += count;
        }
        let missing = applied.tables.iter().filter(|(_, counts)| counts.missing > 0);
        self.missing_rows.of_batch = missing.map(|(name, counts)| (name.to_string(), counts.missing)).collect();
        Ok(applied)
    }
}

/// Those of the columns that the provider generates.
async fn generated(provider: &Db, columns: HashMap<FqName, Vec<String>>) -> Result<HashMap<FqName, Vec<String>>> {
    let names: Vec<FqName> = columns.keys().cloned().collect();
    let tables = catalog::structures(provider, &names).await?;
    let is_generated = |table: &FqName, column: &str| {
        tables.get(table).and_then(|table| table.column(column)).is_some_and(Column::is_generated)
    };
    let kept = columns.into_iter().map(|(table, mut list)| {
        list.retain(|column| is_generated(&table, column));
        (table, list)
    });
    Ok(kept.filter(|(_, list)| !list.is_empty()).collect())
}
