//! `--rewind` and `--reset`: the consumer's position on the provider and on the subscriber.

use super::super::context::{Context, Job};
use super::super::state::completed::{self, Position};
use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::Db;
use crate::pgq::consumer::{self, Abilities};

/// `--rewind`: moves the provider's consumer to the tick that the subscriber has applied; registers the consumer if
/// needed. Only warns when the subscriber has no position.
///
/// Fails with `Error::diverged`, with nothing changed, when the queue does not have this tick, made at the same time:
/// events in between would be lost, or events of another timeline applied.
pub(crate) async fn rewind(context: &Context<'_>) -> Result<Output> {
    context.refuse_turned().await?;
    tracing::info!("Rewinding queue");
    let subscriber = context.subscriber().await?;
    let Some(stored) = completed::position(&subscriber, context.consumer()).await? else {
        tracing::warn!("No tick found on dst side");
        return Ok(Output::none());
    };
    let provider = context.provider().await?;
    check_tick(context, &provider, &stored).await?;
    let abilities = Abilities::of(&provider).await?;
    let consumer = Job::of(context.config).main_consumer();
    let tx = provider.begin("begin a transaction", "begin").await?;
    if abilities.register_at {
        consumer.register_at(&tx, stored.tick).await?;
    } else {
        consumer.start_at(&tx, abilities, stored.tick).await?;
    }
    tx.commit("move the consumer").await?;
    Ok(Output::none())
}

async fn check_tick(context: &Context<'_>, provider: &Db, stored: &Position) -> Result<()> {
    let (queue, tick) = (context.queue(), stored.tick);
    let refused = |what: String| {
        Err(Error::diverged(
            format!("cannot rewind queue {queue} on provider ({}) to tick {tick}: {what}", provider.target()),
            "Nothing was changed. Events between the two sides may be lost: run \"rlondiste INI subscriber resync --all\".",
        ))
    };
    match consumer::tick_time(provider, queue, tick).await? {
        Some(time) if stored.time.as_ref().is_none_or(|stored| *stored == time) => Ok(()),
        Some(time) => refused(format!(
            "the provider made it at {time} UTC, the subscriber has applied one that was made at {} UTC: the provider was \
             restored or promoted without its last transactions",
            stored.time.as_deref().unwrap_or_default()
        )),
        None if consumer::newest_tick(provider, queue).await? < tick => {
            refused("the subscriber is ahead of the provider, whose newest tick is older".to_owned())
        }
        None => refused("the queue does not have this tick any more".to_owned()),
    }
}

/// `--reset`: deletes the subscriber's position, so that replay goes on from the provider's position. Tables may lack
/// the events between the two.
pub(crate) async fn reset(context: &Context<'_>) -> Result<Output> {
    context.refuse_turned().await?;
    tracing::info!("Resetting queue tracking on dst side");
    let subscriber = context.subscriber().await?;
    completed::set_last_tick(&subscriber, context.consumer(), None).await?;
    Ok(Output::none())
}
