//! Cuts a batch of several ticks that needs more memory or locks in one transaction than a server has.

use super::main_loop::Replay;
use super::sessions::Sessions;
use crate::error::{Error, Report, Result};
use crate::pgq::{Batch, consumer};
use crate::text::Lines;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The provider gives a smaller batch next, which begins at the same tick.
    Smaller,
    /// The batch cannot be smaller.
    Whole,
}

impl Replay {
    /// Gives up the batch, whose transaction was rolled back, so that the next one has about half of its events. The limit stays until
    /// replay has applied everything. A batch of one tick cannot be cut, nor one of a provider that joins no ticks.
    pub(super) async fn cut(&mut self, sessions: &Sessions, batch: &Batch, error: &Error) -> Result<Cut> {
        let Sessions { provider, abilities, .. } = sessions;
        let (ticks, events) = consumer::batch_size(provider, &self.consumer.queue, batch).await?;
        if ticks < 2 || self.most_events == Some(0) || !abilities.register_at {
            return Ok(Cut::Whole);
        }
        let events = u64::try_from(events).unwrap_or_default();
        let most = self.most_events.map_or(events, |most| most.min(events)) / 2;
        self.most_events = Some(most);
        // The provider gives an open batch again as it was: this closes the batch.
        self.consumer.register_at(provider, batch.prev_tick).await?;
        tracing::warn!(
            "batch {}..{} needs too much in one transaction, applying about {most} events at a time: {}",
            batch.prev_tick,
            batch.cur_tick,
            Lines(Report(error).to_string())
        );
        Ok(Cut::Smaller)
    }
}
