//! Cuts a batch of several ticks that needs more memory or locks in one transaction than a server has.

use super::sessions::Sessions;
use crate::error::{Error, Report, Result};
use crate::pgq::Batch;
use crate::pgq::consumer::{self, Consumer};
use crate::text::Lines;

/// Gives up the batch, whose transaction was rolled back, so that the next one begins at the same tick and has about half of its
/// events. Returns how many events joined batches may have from now on; `None` for a batch that cannot be smaller: it has one tick,
/// or the provider joins no ticks.
pub(super) async fn cut(
    sessions: &Sessions,
    consumer: &Consumer,
    batch: &Batch,
    most_events: Option<u64>,
    error: &Error,
) -> Result<Option<u64>> {
    let Sessions { provider, abilities, .. } = sessions;
    let (ticks, events) = consumer::batch_size(provider, &consumer.queue, batch).await?;
    if ticks < 2 || most_events == Some(0) || !abilities.register_at {
        return Ok(None);
    }
    let events = u64::try_from(events).unwrap_or_default();
    let most = most_events.map_or(events, |most| most.min(events)) / 2;
    // The provider gives an open batch again as it was: this closes the batch.
    consumer.register_at(provider, batch.prev_tick).await?;
    tracing::warn!(
        "batch {}..{} needs too much in one transaction, applying about {most} events at a time: {}",
        batch.prev_tick,
        batch.cur_tick,
        Lines(Report(error).to_string())
    );
    Ok(Some(most))
}
