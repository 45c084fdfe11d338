//! The short way of a small batch: as long as nothing but plain changes happens, one call on the provider and two messages on
//! the subscriber.
//!
//! 1. On the provider, one call finishes the last batch, opens the next and reads its events ([`crate::pgq::small_batch`]). The
//!    subscriber meanwhile tells the states of the tables, the stored tick, and which events are to be left out. So the batch may be
//!    opened before the states are read, as a batch is that an earlier process has left open.
//! 2. On the subscriber, one message: begin, sequences, the changes, the structure of the tables behind them, the tick.
//! 3. Commit, if everything is as it was known or expected. The batch is finished by the next call on the provider.
//!
//! Whatever is not as expected leads to a rollback and to the long way: the provider gives the open batch again.
//!
//! | the process ends after | what the subscriber shows | what happens next |
//! |---|---|---|
//! | 1 | nothing | the provider gives the same batch again, which is applied |
//! | 2 | nothing: rolled back | as after 1 |
//! | 3 | the batch and its end tick | the same batch again, which is only finished |

use std::time::Instant;

use super::super::batch;
use super::super::state::completed::{self, Advance, Advanced, Position, Standing};
use super::super::state::skips::{self, Skip};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::super::state::{emptied, sequences as subscribed};
use super::filters::filters;
use super::main_loop::{Quick, Replay};
use super::sessions::Sessions;
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::pg::{Db, FqName};
use crate::pgq::small_batch::{Opened, Request};

/// What the subscriber tells.
struct Known {
    tables: Vec<SubscribedTable>,
    emptied: Vec<FqName>,
    position: Option<Position>,
    skips: Vec<Skip>,
    sequences: Vec<FqName>,
}

impl Known {
    async fn read(subscriber: &Db, queue: &str, consumer: &str, job: &str) -> Result<Known> {
        let emptied = async {
            // A pooler may keep the session over a crash of the server.
            if subscriber.is_pooled() { emptied::tables(subscriber, queue).await } else { Ok(Vec::new()) }
        };
        // Queries behind one that fails fail too, and their answers may be seen first: the first in their order says why.
        let (tables, emptied, position, skips, sequences) = futures_util::join!(
            tables::load(subscriber, queue),
            emptied,
            completed::position(subscriber, consumer),
            skips::pending(subscriber, job),
            subscribed::list(subscriber, queue),
        );
        Ok(Known { tables: tables?, emptied: emptied?, position: position?, skips: skips?, sequences: sequences? })
    }

    /// Whether there are only events to apply.
    fn is_plain(&self) -> bool {
        are_plain(&self.tables) && self.emptied.is_empty() && self.skips.is_empty()
    }
}

/// Whether each table just gets its events.
fn are_plain(tables: &[SubscribedTable]) -> bool {
    tables.iter().all(|table| table.state == TableState::Ok && table.snapshot.is_none())
}

impl Replay {
    /// Whether to try the short way at the next turn, to be asked at the end of a turn by the long way.
    pub(super) fn may_be_quick(&self, sessions: &Sessions, tables: &[SubscribedTable]) -> bool {
        sessions.abilities.batches_with_events
            && self.batches_are_small
            && self.config.mirror_queue.is_none()
            && are_plain(tables)
            && !self.capture.is_waiting()
    }

    /// One turn by the short way.
    pub(super) async fn quick_turn(&mut self, sessions: &mut Sessions) -> Result<Quick> {
        let started = Instant::now();
        let request = Request {
            finished: sessions.unfinished.as_ref(),
            join: self.pace.join(batch::join(&self.config)),
            most_events: self.applier.most_small(),
            waits: sessions.abilities.ticks_on_demand && self.demand.is_due(started),
        };
        let Sessions { provider, subscriber, .. } = &*sessions;
        let (opened, known) = futures_util::try_join!(
            self.consumer.next_batch_events(provider, &request),
            Known::read(subscriber, &self.job.queue, &self.consumer.name, &self.job.consumer),
        )?;
        let waits = request.waits;
        if sessions.unfinished.take().is_some() {
            failpoint!("quick::finished");
        }
        let Some(opened) = opened else {
            self.pace.recover();
            if waits {
                self.demand.said();
            }
            return Ok(if known.is_plain() { Quick::NoBatch } else { Quick::TakeLongWay });
        };
        failpoint!("quick::opened");
        if !known.is_plain() {
            return Ok(Quick::TakeLongWay);
        }
        self.apply_quickly(sessions, &opened, known, started).await
    }

    /// Steps 2 and 3.
    async fn apply_quickly(
        &mut self,
        sessions: &mut Sessions,
        opened: &Opened,
        known: Known,
        started: Instant,
    ) -> Result<Quick> {
        const ACTION: &str = "apply a small batch";
        let Opened { batch, ends, events: Some(events) } = opened else { return Ok(Quick::TakeLongWay) };
        let Sessions { provider, subscriber, .. } = &*sessions;
        let Some(position) = &known.position else { return Ok(Quick::TakeLongWay) };
        if completed::standing(known.position.as_ref(), batch, ends) != Standing::Apply {
            return Ok(Quick::TakeLongWay);
        }
        self.notice_other_reader(sessions, batch);
        let filters = filters(&known.tables);
        let Some(mut small) = self.applier.small_batch(events, &filters, subscriber.target()) else {
            return Ok(Quick::TakeLongWay);
        };
        // The values must be read after the batch's end tick was made.
        let values = if known.sequences.is_empty() {
            Vec::new()
        } else {
            self.sequences.read(provider, subscriber, &self.job.queue).await?
        };
        let mut message = format!("begin; {}; ", completed::mark(batch.cur_tick).as_str());
        if !values.is_empty() {
            message.push_str(subscribed::set_sql(&values).as_str());
            message.push_str("; ");
        }
        message.push_str(&small.statements(subscriber));
        let step = Advance {
            consumer: &self.consumer.name,
            from: Some(position.tick),
            to: batch.cur_tick,
            ends,
            counted: batch::counted(&self.job.queue, &small.applied),
        };
        // Sent one behind the other, without a wait. Each rests on what was sent before: after an error in an open transaction the
        // server refuses all others, and without an open transaction the tick does not move.
        let (begun, unchanged, advanced) = futures_util::join!(
            subscriber.begin_with(ACTION, &message),
            self.applier.knows_tables(subscriber),
            completed::advance_marked(subscriber, &step),
        );
        // The long way finds out what is the matter with a change.
        let (tx, answers) = match begun {
            Err(error) if error.code().is_some() => return Ok(Quick::TakeLongWay),
            begun => begun?,
        };
        let is_as_expected =
            small.has_found_rows(&answers) && matches!(unchanged, Ok(true)) && matches!(advanced, Ok(Advanced::Moved));
        if !is_as_expected {
            // Where the connection is at fault, this fails.
            tx.rollback("give up the batch").await?;
            if matches!(advanced, Ok(Advanced::Overtaken)) {
                completed::warn_of_overtaking(&self.consumer.name, batch.cur_tick);
            }
            return Ok(Quick::TakeLongWay);
        }
        failpoint!("quick::written");
        match tx.commit("commit the batch").await {
            // A deferred constraint. Whatever it is, the long way finds the tick stored if the commit was carried out.
            Err(error) if error.code().is_some() => return Ok(Quick::TakeLongWay),
            done => done?,
        }
        failpoint!("quick::committed");
        sessions.unfinished = Some(batch.clone());
        self.sequences.written(values);
        small.applied.tick_time.clone_from(&ends.cur_time);
        self.note_applied(sessions, batch, Some(&small.applied), started);
        Ok(Quick::Applied)
    }
}

impl Sessions {
    /// Finishes the batch that the short way has left to the next call.
    pub(super) async fn finish(&mut self, consumer: &crate::pgq::consumer::Consumer) -> Result<()> {
        if let Some(batch) = &self.unfinished {
            consumer.finish_batch(&self.provider, batch).await?;
            self.unfinished = None;
        }
        Ok(())
    }
}
