//! How big batches may be: one of several ticks is cut when it needs more memory or locks in one transaction than a server has.

use crate::error::{Error, Report, Result};
use crate::pg::Db;
use crate::pgq::Batch;
use crate::pgq::consumer::{self, Abilities, Consumer, Join};
use crate::text::Lines;

/// The size of joined batches.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// About the most events of a batch, where a bigger one needed more than a server has.
    most_events: Option<u64>,
}

impl Pace {
    /// How ticks are joined: as `join` says, with fewer events after [`Pace::cut`].
    pub(crate) fn join(&self, join: Join) -> Join {
        self.most_events.map_or(join, |events| join.at_most(events))
    }

    /// Lets batches be as big as they were, to be called when there is none left.
    pub(crate) fn recover(&mut self) {
        self.most_events = None;
    }

    /// Gives up the batch, whose transaction was rolled back with `error`, so that the next one begins at the same tick and has about
    /// half of its events. Fails with this error for a batch that cannot be smaller: it has one tick, or the provider joins no ticks.
    pub(crate) async fn cut(
        &mut self,
        provider: &Db,
        abilities: Abilities,
        consumer: &Consumer,
        batch: &Batch,
        error: Error,
    ) -> Result<()> {
        let (ticks, events) = consumer::batch_size(provider, &consumer.queue, batch).await?;
        if ticks < 2 || self.most_events == Some(0) || !abilities.register_at {
            return Err(error);
        }
        let events = u64::try_from(events).unwrap_or_default();
        let most = self.most_events.map_or(events, |most| most.min(events)) / 2;
        // The provider gives an open batch again as it was: this closes the batch.
        consumer.register_at(provider, batch.prev_tick).await?;
        tracing::warn!(
            "{consumer}: batch {}..{} needs too much in one transaction, applying about {most} events at a time: {}",
            batch.prev_tick,
            batch.cur_tick,
            Lines(Report(&error).to_string())
        );
        self.most_events = Some(most);
        Ok(())
    }
}
