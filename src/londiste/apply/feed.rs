//! The reading task: reads events into chunks, and hands each chunk with its plan to the writing task.

use std::collections::VecDeque;

use futures_util::{Stream, StreamExt};
use tokio::sync::{Mutex, mpsc};

use super::applied::Applied;
use super::chunk::Chunk;
use super::plan::{self, Plan, Refusals};
use super::read::{EventReader, ReadOutcome};
use super::settings::Settings;
use super::shape::TableId;
use crate::config::Apply;
use crate::error::Result;
use crate::pg::Db;
use crate::pgq::event::Event;
use crate::pgq::value_buffer::BIG;

/// The reading task waits while the chunks that are not applied yet are as big as so many full ones. They can be bigger
/// because of big values only.
const MAX_FULL_CHUNKS: usize = 3;
/// The size of the first chunk of a batch, in bytes: small, so that the subscriber soon gets something to do. Each next
/// chunk is twice as big, up to the size that the settings give.
const FIRST_CHUNK: usize = 256 * 1024;
/// Events between two yields. Both tasks run in one task of the runtime, so the writing task is polled only then.
const EVENTS_PER_YIELD: u64 = 256;

/// The channels between the two tasks, as the reading task has them.
pub(super) struct Exchange {
    /// Takes chunks to be applied.
    pub(super) filled: mpsc::Sender<(Chunk, Plan)>,
    /// Gives chunks that were applied back, in the same order, to be filled again.
    pub(super) to_fill: mpsc::Receiver<Chunk>,
}

/// The reading task.
pub(super) struct ChunkFeed<'a> {
    reader: EventReader<'a>,
    session: &'a Mutex<&'a Db>,
    settings: Settings,
    exchange: Exchange,
    /// The transactions that have emptied tables in the present chunk, and changed no row in it since.
    truncating: Vec<i64>,
    /// How big the present chunk may become, in bytes.
    limit: usize,
    /// The sizes of the chunks that are not applied yet, in bytes.
    sizes: VecDeque<usize>,
}

impl<'a> ChunkFeed<'a> {
    pub(super) fn new(
        reader: EventReader<'a>,
        session: &'a Mutex<&'a Db>,
        settings: Settings,
        exchange: Exchange,
    ) -> ChunkFeed<'a> {
        let limit = FIRST_CHUNK.min(settings.chunk_size());
        ChunkFeed { reader, session, settings, exchange, truncating: Vec::new(), limit, sizes: VecDeque::new() }
    }

    /// Reads all events.
    pub(super) async fn run(mut self, mut events: impl Stream<Item = Result<Event>> + Unpin) -> Result<Applied> {
        let mut count: u64 = 0;
        while let Some(event) = events.next().await {
            self.take(&event?).await?;
            if self.reader.is_full(self.limit) {
                self.pass_on().await;
            }
            count += 1;
            if count.is_multiple_of(EVENTS_PER_YIELD) {
                tokio::task::yield_now().await;
            }
        }
        self.pass_on().await;
        Ok(self.reader.finish())
    }

    async fn take(&mut self, event: &Event) -> Result<()> {
        loop {
            let before = self.reader.chunk.events.len();
            match self.reader.read(event)? {
                ReadOutcome::Done => {
                    if self.reader.chunk.events.len() > before {
                        self.truncating.retain(|txid| *txid != event.txid);
                    }
                    return Ok(());
                }
                ReadOutcome::Truncate(table) => {
                    // A chunk begins with the tables that are emptied.
                    if !self.reader.chunk.events.is_empty() && !self.is_of_the_same_truncate(event, table) {
                        self.pass_on().await;
                    }
                    self.reader.chunk.truncates.push((event.id.0, table));
                    self.truncating.push(event.txid);
                    return Ok(());
                }
                ReadOutcome::Load(name) => {
                    let tx = self.session.lock().await;
                    self.reader.tables.check(&tx, Some(&name), self.settings.role).await?;
                    if self.reader.tables.find(&name).is_none() {
                        return Err(self.reader.missing_table(event, &name));
                    }
                }
            }
        }
    }

    /// Whether the event empties another table of a TRUNCATE that the chunk begins with. The tables have to be emptied together: a
    /// table that another one refers to cannot be emptied before that one. Between the events, others may have come from other
    /// transactions. None of these concerns the table, or refers to its rows: the TRUNCATE has locked all its tables before its first
    /// event.
    fn is_of_the_same_truncate(&self, event: &Event, table: TableId) -> bool {
        self.truncating.contains(&event.txid) && !self.reader.chunk.active.contains(&table)
    }

    /// Hands the chunk to the writing task and begins another one.
    async fn pass_on(&mut self) {
        if self.reader.chunk.is_empty() {
            return;
        }
        let mut chunk = self.reader.take_chunk();
        chunk.read = self.reader.count();
        self.truncating.clear();
        let settings = self.settings;
        let is_small = chunk.events.len() <= settings.small_chunk && chunk.size() < BIG;
        let plan = if settings.apply == Apply::Row || is_small {
            Plan::by_row(&chunk)
        } else {
            // Worked out in this task, while the server works on the chunk before.
            plan::plan(&chunk, settings.role, &Refusals::default())
        };
        self.sizes.push_back(chunk.size());
        // The writing task ends early only with an error, which ends this task too.
        let _ = self.exchange.filled.send((chunk, plan)).await;
        self.reader.chunk = self.empty_chunk().await.unwrap_or_default();
        self.limit = (self.limit * 2).min(settings.chunk_size());
    }

    /// A chunk to be filled again, if there is one. Waits while the chunks that are not applied yet are too big.
    async fn empty_chunk(&mut self) -> Option<Chunk> {
        let mut empty = None;
        loop {
            let in_use: usize = self.sizes.iter().sum();
            let chunk = match self.exchange.to_fill.try_recv() {
                Ok(chunk) => chunk,
                Err(_) if in_use <= self.settings.chunk_size() * MAX_FULL_CHUNKS => return empty,
                Err(_) => self.exchange.to_fill.recv().await?,
            };
            self.sizes.pop_front();
            empty = Some(chunk);
        }
    }
}
