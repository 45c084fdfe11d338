//! The copy's consumer applies what has happened to the table since the snapshot of the COPY.

use std::collections::HashMap;
use std::time::Instant;

use crate::error::Result;
use crate::job::Stats;
use crate::londiste::apply::{Applier, Filter};
use crate::londiste::completed::{self, Standing};
use crate::londiste::parking;
use crate::londiste::replay;
use crate::londiste::skip::{self, Skips};
use crate::londiste::tables::SubscribedTable;
use crate::pg::FqName;
use crate::pg::name::quote_literal;
use crate::pgq::consumer::Join;
use crate::pgq::{Batch, TickId, consumer, event};

use super::{Copy, Sessions};

impl Copy {
    /// Applies batches until exactly the tick `until` is reached; without one, until replay can take over after a short
    /// wait (see [`Copy::is_close`]). Returns false when the provider does not know the consumer.
    pub(super) async fn catch_up(
        &self,
        sessions: &Sessions,
        applier: &mut Applier,
        table: &SubscribedTable,
        until: Option<TickId>,
    ) -> Result<bool> {
        let Sessions { provider, subscriber, abilities } = sessions;
        if self.consumer.position(provider).await?.is_none() {
            return Ok(false);
        }
        // A joined batch could end behind the tick where replay takes over, and its events would be applied twice.
        let join = if until.is_some() { Join::NEVER } else { replay::join(&self.config) };
        loop {
            let stored = completed::last_tick(subscriber, &self.consumer.name).await?;
            if until.is_some() && stored == until {
                return Ok(true);
            }
            match self.consumer.next_batch(provider, *abilities, join).await? {
                Some(batch) => {
                    self.apply(sessions, applier, table, &batch, stored).await?;
                    if until.is_none() && self.is_close(sessions, &batch).await? {
                        return Ok(true);
                    }
                }
                None if until.is_none() => return Ok(true),
                None => {
                    // Replay has seen this tick, so the provider has it.
                    let message = format!("{} finds no batch up to tick {until:?}", self.consumer);
                    return Err(provider.unexpected("read the next batch", message));
                }
            }
        }
    }

    /// Whether the end of this batch is as good a tick as any to hand the table over. On a busy provider the next tick
    /// is there before the batch of the one before is applied, so "no batch left" might never come. It is close when
    /// replay is not ahead, or when a batch that could have had more ticks had only one.
    async fn is_close(&self, sessions: &Sessions, batch: &Batch) -> Result<bool> {
        let replay = completed::last_tick(&sessions.subscriber, &self.config.pgq_consumer_id).await?;
        let last = sessions.abilities.custom_batches && batch.cur_tick.0 - batch.prev_tick.0 <= 1;
        Ok(last || replay.is_none_or(|replay| replay <= batch.cur_tick))
    }

    async fn apply(
        &self,
        sessions: &Sessions,
        applier: &mut Applier,
        table: &SubscribedTable,
        batch: &Batch,
        stored: Option<TickId>,
    ) -> Result<()> {
        let Sessions { provider, subscriber, .. } = sessions;
        let started = Instant::now();
        let mut stats = Stats::default();
        match completed::standing(stored, batch) {
            Standing::Done => stats.add("count", 0),
            Standing::Lost(tick) => return Err(completed::lost_position(batch, tick, &self.consumer.name)),
            Standing::Apply => {
                let job = &self.config.pgq_consumer_id;
                let skips = skip::pending(subscriber, job).await?;
                let ours = |table: &FqName| *table == self.table;
                let skips = Skips::of(provider, &self.consumer.queue, batch, skips, ours).await?;
                let all = skips.leave_out(consumer::batch_event_sql(provider, batch).await?);
                let name = quote_literal(&self.table.to_string());
                let sql = format!("select * from ({all}) e where e.ev_extra1 = {name} order by e.ev_id");
                let filter = table.snapshot.clone().map_or(Filter::Apply, Filter::ApplyUnlessVisibleIn);
                let tables = HashMap::from([(self.table.clone(), filter)]);
                let tx = subscriber.begin("start the batch's transaction", "begin").await?;
                let applied = applier.apply(event::stream(provider, &sql).await?, &tables, &tx).await?;
                if !completed::advance(&tx, &self.consumer.name, stored, batch.cur_tick).await? {
                    // The batch comes again, and is done.
                    return Ok(());
                }
                skips.mark(&tx, job, batch).await?;
                if table.parked {
                    parking::clear(&tx, &self.consumer.queue, &self.table).await?;
                }
                tx.commit("commit the batch").await?;
                stats.add("count", applied.count);
                stats.add("ignored", applied.ignored);
            }
        }
        self.consumer.finish_batch(provider, batch).await?;
        stats.set_duration("duration", started.elapsed());
        tracing::info!("{stats}");
        Ok(())
    }
}
