//! Applies batches, one after the other, to the subscriber.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::{Mutex, mpsc};

use super::applied::Applied;
use super::catalog::Catalog;
use super::feed::Feed;
use super::read::Reader;
use super::settings::{Filter, Settings};
use super::write::Writer;
use crate::config::{Apply, ApplyRole};
use crate::error::Result;
use crate::pg::{Db, FqName};
use crate::pgq::event::Event;

/// Applies batches, and keeps between them what it has learned of the subscriber's tables.
#[derive(Debug)]
pub struct Applier {
    settings: Settings,
    catalog: Catalog,
    /// [`Applier::prepare`] was called for the transaction to come.
    prepared: bool,
    absent: Absent,
}

/// Rows that were to be updated or deleted and were not there, for the log.
#[derive(Debug, Default)]
struct Absent {
    counts: BTreeMap<String, u64>,
    reported: Option<Instant>,
}

impl Absent {
    /// Adds rows by table. Logs them, with those not logged before, at most once a minute.
    fn report(&mut self, tables: impl Iterator<Item = (String, u64)>) {
        for (table, count) in tables {
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

/// A chunk is at most this part of the memory: three chunks, the statement being sent, and what their fold takes.
const CHUNKS_IN_MEMORY: u64 = 8;
/// Missing rows are logged at most this often.
const MISSING_ROWS_PAUSE: Duration = Duration::from_mins(1);

impl Applier {
    /// An applier that knows no table yet.
    pub fn new(settings: Settings) -> Applier {
        Applier { settings, catalog: Catalog::default(), prepared: false, absent: Absent::default() }
    }

    /// Forgets the subscriber's tables. To be called when the session is another one.
    pub fn forget(&mut self) {
        self.catalog.clear();
        self.prepared = false;
    }

    /// Does, in the transaction that [`Applier::apply`] is then given, what can be done before the first event is there.
    /// It need not be called.
    pub async fn prepare(&mut self, tx: &Db) -> Result<()> {
        if self.settings.role == ApplyRole::Replica {
            tx.batch("switch off foreign keys and triggers", "set local session_replication_role = replica").await?;
        }
        self.catalog.start();
        self.catalog.check(tx, None, self.settings.role).await?;
        self.prepared = true;
        Ok(())
    }

    /// Applies the events inside the transaction that is open. After an error, the transaction can only be rolled back.
    pub async fn apply(
        &mut self,
        events: impl Stream<Item = Result<Event>> + Unpin,
        tables: &HashMap<FqName, Filter>,
        tx: &Db,
    ) -> Result<Applied> {
        if !std::mem::take(&mut self.prepared) {
            self.prepare(tx).await?;
            self.prepared = false;
        }
        let settings = self.settings;
        let memory = usize::try_from(settings.memory / CHUNKS_IN_MEMORY).unwrap_or(usize::MAX);
        // The session is the writer's for the time of a chunk, and the reader's when it has to look at a table.
        let session = Mutex::new(());
        let (full, chunks) = mpsc::channel(1);
        let (spent, empty) = mpsc::channel(4);
        let reader = Reader::new(&mut self.catalog, tables, settings.apply == Apply::Set, tx.target());
        let feed = Feed::new(reader, tx, &session, settings, memory, full, empty);
        let writer = Writer::new(tx, settings, memory);
        let (mut applied, counts) = tokio::try_join!(feed.run(events), writer.run(chunks, spent, &session))?;
        (applied.missing_rows, applied.row_by_row) = (counts.missing.total(), counts.row_by_row);
        if applied.scripts.count() > 0 {
            tracing::warn!("event of type EXECUTE is skipped, scripts are not replicated: {}", applied.scripts);
        }
        if applied.missing_rows > 0 {
            let tables =
                counts.missing.tables().map(|(id, count)| (self.catalog.get(id).table.name.to_string(), count));
            self.absent.report(tables);
        }
        Ok(applied)
    }
}
