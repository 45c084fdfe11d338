//! The copy's consumer applies what has happened to the table since the snapshot of the COPY.

use std::collections::HashMap;
use std::time::Instant;

use crate::error::Result;
use crate::job::Stats;
use crate::londiste::apply::{Applier, Filter};
use crate::londiste::completed::{self, Standing};
use crate::londiste::tables::SubscribedTable;
use crate::pg::name::quote_literal;
use crate::pgq::{Batch, TickId, consumer, event};

use super::{Copy, Sessions};

impl Copy {
    /// Applies batches until there is none left, or until exactly the tick `until` is reached. Returns false when the
    /// provider does not know the consumer.
    pub(super) async fn catch_up(
        &self,
        sessions: &Sessions,
        applier: &mut Applier,
        table: &SubscribedTable,
        until: Option<TickId>,
    ) -> Result<bool> {
        if self.consumer.position(&sessions.provider).await?.is_none() {
            return Ok(false);
        }
        loop {
            let stored = completed::last_tick(&sessions.subscriber, &self.consumer.name).await?;
            if until.is_some() && stored == until {
                return Ok(true);
            }
            // One tick at a time when there is a tick to stop at.
            let Some(batch) = self.consumer.next_batch(&sessions.provider, sessions.abilities, 0).await? else {
                if let Some(until) = until {
                    // Replay has seen this tick, so the provider has it.
                    let message = format!("{} finds no batch although tick {until} exists", self.consumer);
                    return Err(sessions.provider.unexpected("read the next batch", message));
                }
                return Ok(true);
            };
            self.apply(sessions, applier, table, &batch, stored).await?;
        }
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
                let all = consumer::batch_event_sql(provider, batch).await?;
                let name = quote_literal(&self.table.to_string());
                let sql = format!("select * from ({all}) e where e.ev_extra1 = {name} order by e.ev_id");
                let filter = table.snapshot.clone().map_or(Filter::Apply, Filter::ApplyUnlessVisibleIn);
                let tables = HashMap::from([(self.table.clone(), filter)]);
                let tx = subscriber.begin("start the batch's transaction", "begin").await?;
                let applied = applier.apply(event::stream(provider, &sql).await?, &tables, &tx).await?;
                completed::set_last_tick(&tx, &self.consumer.name, Some(batch.cur_tick)).await?;
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
