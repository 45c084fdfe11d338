//! Reads events into chunks, and hands each chunk with its plan to the writer.

use std::collections::VecDeque;

use futures_util::{Stream, StreamExt};
use tokio::sync::{Mutex, mpsc};

use super::applied::Applied;
use super::chunk::Chunk;
use super::plan::{self, Plan};
use super::read::{Read, Reader};
use super::settings::Settings;
use crate::config::{Apply, ApplyRole};
use crate::error::Result;
use crate::pg::Db;
use crate::pgq::event::Event;
use crate::pgq::value_buffer;

/// The reader waits when chunks under way are as big as this many full ones: only big values make them so.
const MOST_UNDER_WAY: usize = 3;
/// The first chunk of a batch is this small, so that the subscriber gets something to do; each next one is twice as big.
const FIRST_CHUNK: usize = 256 * 1024;
/// After so many events the reader lets the writer see what its server has answered.
const BREATH: u64 = 256;

/// The reading end.
pub(super) struct Feed<'a> {
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

impl<'a> Feed<'a> {
    pub(super) fn new(
        reader: Reader<'a>,
        tx: &'a Db,
        session: &'a Mutex<()>,
        settings: Settings,
        memory: usize,
        full: mpsc::Sender<(Chunk, Plan)>,
        empty: mpsc::Receiver<Chunk>,
    ) -> Feed<'a> {
        let limit = FIRST_CHUNK.min(memory);
        Feed { reader, tx, session, settings, full, empty, limit, memory, sizes: VecDeque::new() }
    }

    pub(super) async fn run(mut self, mut events: impl Stream<Item = Result<Event>> + Unpin) -> Result<Applied> {
        let mut count: u64 = 0;
        while let Some(event) = events.next().await {
            self.take(&event?).await?;
            if self.reader.is_full(self.limit) {
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
        let chunk = self.reader.take_chunk();
        let settings = &self.settings;
        let plan = if settings.apply == Apply::Row
            || (chunk.slots.len() <= settings.few && chunk.size() < value_buffer::BIG)
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
