//! Steps 4 and 5: the copy's consumer applies the table's events since the snapshot of the COPY, and hands the table
//! over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::apply::{Applied, Applier, Filter};
use super::super::batch::{self, BatchExtras, Pace, Processed, Reader, Turn, Wanted};
use super::super::state::copy_consumer::{self, Hold};
use super::super::state::table_state::TableState;
use super::super::state::tables::{Moved, SubscribedTable};
use super::super::state::{completed, parking};
use super::shared::{Goal, Sessions};
use super::table_copy::{BUSY_PAUSE, Copy, Step};
use crate::error::{Error, Reaction, Result};
use crate::failpoint::failpoint;
use crate::job::Stats;
use crate::pg::{Db, Sql};
use crate::pgq::consumer::{self, Join};
use crate::pgq::{Batch, TickId};

/// With at most so many ticks left the table is handed over although replay is ahead: replay waits while the copy
/// applies these ticks one by one. On a busy provider the copy would otherwise never come up to replay.
const LAST_TICKS: i64 = 10;

/// The pause between two looks for a tick that was forced.
const TICK_PAUSE: Duration = Duration::from_millis(50);

impl Copy {
    /// Step 4: applies one batch, or writes `wanna-sync` with the batch open.
    pub(super) async fn catch_up(
        &self,
        sessions: &Sessions,
        (applier, pace): (&mut Applier, &mut Pace),
        table: &SubscribedTable,
    ) -> Result<Step> {
        let Sessions { provider, subscriber, abilities } = sessions;
        if self.consumer.position(provider).await?.is_none() {
            return self.start_over(sessions, table).await;
        }
        let done = self.applied_tick(sessions).await?;
        let replay = completed::last_tick(subscriber, &self.job.consumer).await?;
        let newest = consumer::newest_tick(provider, &self.consumer.queue).await?;
        // A parked table has to apply a batch first, which shows that the table is mended.
        let is_close =
            !table.is_parked() && (replay.is_none_or(|replay| replay <= done) || newest.0 - done.0 <= LAST_TICKS);
        let join = if is_close { Join::NEVER } else { pace.join(batch::join(&self.config)) };
        let Some(batch) = self.consumer.next_batch(provider, *abilities, join).await? else {
            consumer::force_tick(provider, &self.consumer.queue).await?;
            return Ok(Step::Pause(TICK_PAUSE));
        };
        if !is_close || batch.prev_tick != done || !self.consumer.is_single_tick(provider, &batch).await? {
            return self.apply(sessions, (applier, pace), table, &batch).await;
        }
        if self.change_state(subscriber, table, TableState::WannaSync(batch.cur_tick)).await? == Moved::Moved {
            failpoint!("hand_over::wanna_sync");
            self.shared.changes.announce();
            if replay.is_some_and(|replay| replay >= batch.cur_tick) {
                // Replay is past this tick, and an idle queue may have no other one for it.
                consumer::force_tick(provider, &self.consumer.queue).await?;
            }
        }
        Ok(Step::Again)
    }

    /// Checks that the batch which ends at `end` is open and not applied: an older rlondiste wrote `wanna-sync` after
    /// it had applied the batch, and the consumer may be gone. If not, goes back to `catching-up`.
    pub(super) async fn wait_for_replay(
        &self,
        sessions: &Sessions,
        table: &SubscribedTable,
        end: TickId,
    ) -> Result<Step> {
        if self.consumer.position(&sessions.provider).await?.is_none() {
            return self.start_over(sessions, table).await;
        }
        let open = self.consumer.next_batch(&sessions.provider, sessions.abilities, Join::NEVER).await?;
        let stands = match open {
            Some(batch) => batch.cur_tick == end && batch.prev_tick == self.applied_tick(sessions).await?,
            None => false,
        };
        if !stands {
            let _ = self.change_state(&sessions.subscriber, table, TableState::CatchingUp).await?;
            return Ok(Step::Again);
        }
        Ok(if self.shared.goal == Goal::WannaSync { Step::Leave } else { Step::Wait })
    }

    /// Step 5: applies the batches before the one that ends at `end`, the tick where replay waits, and writes `ok` with
    /// this batch open.
    pub(super) async fn hand_over(
        &self,
        sessions: &Sessions,
        (applier, pace): (&mut Applier, &mut Pace),
        table: &SubscribedTable,
        end: TickId,
    ) -> Result<Step> {
        let Sessions { provider, subscriber, abilities } = sessions;
        if self.consumer.position(provider).await?.is_none() {
            return self.start_over(sessions, table).await;
        }
        let batch = self.consumer.next_batch(provider, *abilities, Join::NEVER).await?;
        let to = match batch {
            Some(batch) if batch.cur_tick < end => return self.apply(sessions, (applier, pace), table, &batch).await,
            Some(batch) if batch.cur_tick == end && batch.prev_tick == self.applied_tick(sessions).await? => {
                TableState::Ok
            }
            // The copy is past the tick: an older rlondiste has written the state, or a consumer was moved by hand.
            _ => {
                tracing::warn!(
                    "{} has no batch that ends at tick {end}: {} catches up again",
                    self.consumer,
                    self.table
                );
                TableState::CatchingUp
            }
        };
        if self.change_state(subscriber, table, to).await? == Moved::Moved {
            failpoint!("hand_over::ok");
            self.shared.changes.announce();
        }
        Ok(Step::Again)
    }

    async fn apply(
        &self,
        sessions: &Sessions,
        (applier, pace): (&mut Applier, &mut Pace),
        table: &SubscribedTable,
        batch: &Batch,
    ) -> Result<Step> {
        let started = Instant::now();
        let Sessions { provider, subscriber, .. } = sessions;
        let reader = Reader { provider, subscriber, consumer: &self.consumer, job: &self.job.consumer };
        let filter = table.snapshot.clone().map_or(Filter::Apply, Filter::ApplyUnlessVisibleIn);
        let wanted = Wanted { filters: HashMap::from([(self.table.clone(), filter)]), only: Some(self.table.clone()) };
        let mut extras = CatchUp { copy: self, table, expected: batch.prev_tick };
        applier.check_left_out(provider).await?;
        let done = match Box::pin(batch::process(&reader, batch, &wanted, applier, &mut extras)).await {
            Err(Error::Apply(fault)) if applier.adapts_to(provider, subscriber, &fault).await? => {
                return Ok(Step::Again);
            }
            Err(error) if error.reaction() == Reaction::SmallerBatch => {
                pace.cut(provider, sessions.abilities, &self.consumer, batch, error).await?;
                return Ok(Step::Again);
            }
            done => done?,
        };
        let applied = match done {
            Processed::Applied(applied) => Some(applied),
            Processed::AlreadyDone => None,
            Processed::ComesAgain => return Ok(Step::Pause(BUSY_PAUSE)),
        };
        let mut stats = Stats::default();
        stats.add("count", applied.as_ref().map_or(0, |a| a.count));
        if let Some(applied) = applied {
            stats.add("ignored", applied.ignored);
        }
        stats.set_duration("duration", started.elapsed());
        tracing::info!("{stats}");
        Ok(Step::Again)
    }

    /// The tick up to which the copy has applied the table's events. A copy of SkyTools stores no tick before its first
    /// batch: then the tick at which its consumer was registered.
    async fn applied_tick(&self, sessions: &Sessions) -> Result<TickId> {
        let Sessions { provider, subscriber, .. } = sessions;
        if let Some(tick) = completed::last_tick(subscriber, &self.consumer.name).await? {
            return Ok(tick);
        }
        self.consumer.position(provider).await?.ok_or_else(|| {
            let message = format!("{} of the copy of {} is not registered", self.consumer, self.table);
            provider.unexpected("read the consumer's position", message)
        })
    }
}

/// What a copy adds to the transaction of a batch.
struct CatchUp<'a> {
    copy: &'a Copy,
    table: &'a SubscribedTable,
    /// The tick where the batch begins.
    expected: TickId,
}

impl BatchExtras for CatchUp<'_> {
    type Found = ();

    async fn read(&mut self) -> Result<()> {
        Ok(())
    }

    /// Locks the consumer's row until the transaction ends, and compares the tick: of two processes that work on the
    /// table's copy, the second one would apply the same rows again and fail, before it could find that the tick has
    /// moved.
    async fn before(&mut self, tx: &Db, (): &()) -> Result<Turn> {
        let Copy { consumer, table, .. } = self.copy;
        let held = copy_consumer::hold(tx, &consumer.queue, table, &consumer.name).await? == Hold::Held;
        let ours = held && completed::last_tick(tx, &consumer.name).await?.is_none_or(|tick| tick == self.expected);
        Ok(if ours { Turn::Ours } else { Turn::Overtaken })
    }

    async fn is_outdated(&mut self, (): &()) -> Result<bool> {
        Ok(false)
    }

    async fn after(&mut self, tx: &Db, _: &Applied, _: &Sql) -> Result<()> {
        if self.table.is_parked() {
            parking::clear(tx, &self.copy.consumer.queue, &self.copy.table).await?;
            failpoint!("parking::cleared");
        }
        Ok(())
    }

    fn committed(&mut self, (): ()) {}
}
