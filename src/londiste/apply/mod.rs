//! Applies the events of a batch to the subscriber, inside the transaction of the batch.
//!
//! ```text
//! events ──> Reader ──chunks──> Writer ──> subscriber
//!              └── net change per row        └── sets, or row by row
//! ```
//!
//! Both ends run at the same time: while the server works on a chunk, the next one is read. There are at most three
//! chunks, so memory is bounded whatever the size of a batch. Nothing here commits: whatever happens on the way, the
//! caller's transaction holds all of the batch or nothing.

mod catalog;
mod chunk;
mod fold;
mod key;
#[doc(hidden)]
pub mod measure;
#[cfg(test)]
mod model;
mod order;
mod param;
mod plan;
mod read;
mod row;
mod set;
mod shape;
mod table;
mod write;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use tokio::sync::{Mutex, mpsc};

use crate::config::{self, Apply, ApplyRole, MissingRow};
use crate::error::Result;
use crate::pg::{Db, FqName};
use crate::pgq::EventId;
use crate::pgq::event::Event;
use crate::pgq::snapshot::Snapshot;
use crate::pgq::values;
use catalog::Catalog;
use chunk::Chunk;
use plan::Plan;
use read::{Read, Reader};
use write::{Writer, Written};

/// How events are applied.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// As sets or one by one.
    pub apply: Apply,
    /// About how many bytes events may take.
    pub memory: u64,
    /// Whether a row that is not there is an error.
    pub on_missing_row: MissingRow,
    /// `session_replication_role` while applying.
    pub role: ApplyRole,
    /// At most so many events at once are applied one by one in any case: that is one round trip.
    pub few: usize,
}

impl From<&config::Londiste> for Settings {
    fn from(config: &config::Londiste) -> Settings {
        Settings {
            apply: config.apply,
            memory: config.apply_memory,
            on_missing_row: config.on_missing_row,
            role: config.apply_role,
            few: FEW,
        }
    }
}

/// Which events of a table are applied. Those of tables without a filter are not.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All.
    Apply,
    /// All but those whose effects the copy holds already.
    ApplyUnlessVisibleIn(Snapshot),
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Applied {
    /// Events read.
    pub count: u64,
    /// Those of them that were not for this subscriber.
    pub ignored: u64,
    /// Updates and deletes that found no row.
    pub missing_rows: u64,
    /// Events that were applied one by one.
    pub row_by_row: u64,
    /// The size of the biggest event, as it came.
    pub biggest: usize,
    /// The lists of the provider's tables that `T` events brought.
    pub table_sets: Vec<Vec<FqName>>,
    /// Events of an unknown type, with the type.
    pub unknown: Vec<(EventId, String)>,
}

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
        if self.reported.is_some_and(|at| at.elapsed() < ABSENT_PAUSE) {
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
/// The reader waits when chunks under way are as big as this many full ones: only big values make them so.
const MOST_UNDER_WAY: usize = 3;
/// The first chunk of a batch is this small, so that the subscriber gets something to do; each next one is twice as big.
const FIRST_CHUNK: usize = 256 * 1024;
/// Up to here, the statements of single rows cost less than a look into the catalog and a savepoint.
const FEW: usize = 16;
/// Missing rows are logged at most this often.
const ABSENT_PAUSE: Duration = Duration::from_mins(1);
/// After so many events the reader lets the writer see what its server has answered.
const BREATH: u64 = 256;

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
        if self.catalog.is_crowded() {
            self.catalog.forget_shapes();
        }
        let settings = self.settings;
        let memory = usize::try_from(settings.memory / CHUNKS_IN_MEMORY).unwrap_or(usize::MAX);
        // The session is the writer's for the time of a chunk, and the reader's when it has to look at a table.
        let session = Mutex::new(());
        let (full, chunks) = mpsc::channel(1);
        let (spent, empty) = mpsc::channel(4);
        let feed = Feed {
            reader: Reader::new(&mut self.catalog, tables, settings.apply == Apply::Set, tx.target()),
            tx,
            session: &session,
            settings,
            full,
            empty,
            limit: FIRST_CHUNK.min(memory),
            memory,
            sizes: VecDeque::new(),
        };
        let writer = Writer { tx, settings, memory, written: Written::default(), deferred: false };
        let (mut applied, written) = tokio::try_join!(feed.run(events), writer.run(chunks, spent, &session))?;
        (applied.missing_rows, applied.row_by_row) = (written.missing.total(), written.row_by_row);
        if applied.missing_rows > 0 {
            let tables =
                written.missing.tables().map(|(id, count)| (self.catalog.get(id).table.name.to_string(), count));
            self.absent.report(tables);
        }
        Ok(applied)
    }
}

/// The reading end.
struct Feed<'a> {
    reader: Reader<'a>,
    tx: &'a Db,
    session: &'a Mutex<()>,
    settings: Settings,
    full: mpsc::Sender<(Chunk, Plan)>,
    /// Chunks that were applied, to be filled again.
    empty: mpsc::Receiver<Chunk>,
    /// The size of the present chunk.
    limit: usize,
    memory: usize,
    /// Of the chunks that are not applied yet.
    sizes: VecDeque<usize>,
}

impl Feed<'_> {
    async fn run(mut self, mut events: impl Stream<Item = Result<Event>> + Unpin) -> Result<Applied> {
        let mut count: u64 = 0;
        while let Some(event) = events.next().await {
            self.take(&event?).await?;
            if self.reader.chunk.size() >= self.limit {
                self.pass_on().await;
            }
            count += 1;
            if count.is_multiple_of(BREATH) {
                tokio::task::yield_now().await;
            }
        }
        self.pass_on().await;
        Ok(self.reader.applied)
    }

    async fn take(&mut self, event: &Event) -> Result<()> {
        loop {
            match self.reader.read(event)? {
                Read::Done => return Ok(()),
                Read::Truncate(table) => {
                    if !self.reader.chunk.slots.is_empty() {
                        self.pass_on().await;
                    }
                    self.reader.chunk.truncates.push((event.id.0, table));
                    return Ok(());
                }
                Read::Load(name) => {
                    let _guard = self.session.lock().await;
                    self.reader.catalog.check(self.tx, Some(&name), self.settings.role).await?;
                    if self.reader.catalog.find(&name).is_none() {
                        return Err(self.reader.missing_table(event, &name));
                    }
                }
            }
        }
    }

    /// Hands the chunk to the writer and begins another one.
    async fn pass_on(&mut self) {
        if self.reader.chunk.is_empty() {
            return;
        }
        let mut chunk = std::mem::take(&mut self.reader.chunk);
        chunk.tables = self.reader.catalog.all();
        chunk.shapes = self.reader.catalog.shapes.all().to_vec();
        let settings = &self.settings;
        let plan = if settings.apply == Apply::Row || (chunk.slots.len() <= settings.few && chunk.size() < values::BIG)
        {
            Plan::by_row(&chunk)
        } else {
            // Worked out here, while the server has something else to do.
            plan::plan(&chunk, settings.role == ApplyRole::Origin, &[])
        };
        self.sizes.push_back(chunk.size());
        // The writer ends early only with an error, which ends this side too.
        let _ = self.full.send((chunk, plan)).await;
        self.reader.chunk = self.spent().await.unwrap_or_default();
        self.limit = (self.limit * 2).min(self.memory);
    }

    /// A chunk to be filled again. Waits while those that are under way are so big that no other should be read.
    async fn spent(&mut self) -> Option<Chunk> {
        let mut spent = None;
        loop {
            let chunk = match self.empty.try_recv() {
                Ok(chunk) => chunk,
                Err(_) if self.sizes.iter().sum::<usize>() <= self.memory * MOST_UNDER_WAY => return spent,
                Err(_) => self.empty.recv().await?,
            };
            // They come back in their order.
            self.sizes.pop_front();
            spent = Some(chunk);
        }
    }
}
