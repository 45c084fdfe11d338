//! Registers and unregisters the job's consumer on the provider's queue.
//!
//! Both sides must agree: a position on the subscriber without its consumer on the provider is a lost position, and
//! tables that are `ok` without a consumer lose events unseen. There is no transaction over both databases, so the
//! order is such that a crash between the two leaves only work to be done again.

use super::completed;
use super::provider::require_queue;
use super::replay::foreign_keys::{self, Restored};
use super::setup::Setup;
use super::subscriber::{forget_states, restore_fkeys, subscribed};
use super::triggers;
use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::{Db, FqName, text};
use crate::pgq::consumer::Consumer;

/// Registers the consumer. One that is new starts at the newest tick, so the old position on the subscriber goes first.
pub(crate) async fn register(setup: &Setup<'_>) -> Result<Output> {
    let (provider, subscriber) = (setup.provider().await?, setup.subscriber().await?);
    require_queue(&provider, setup.queue()).await?;
    let consumer = Consumer { queue: setup.queue().to_owned(), name: setup.consumer().to_owned() };
    setup
        .change(&provider, async |tx: &Db| {
            if consumer.register(tx).await? {
                let name = setup.consumer();
                setup.change(&subscriber, async |tx: &Db| completed::set_last_tick(tx, name, None).await).await?;
            }
            Ok(())
        })
        .await?;
    Ok(Output::none())
}

/// Unregisters the consumer and those of its copies. All tables are to be copied again first, since what happens
/// from now on is not kept for them.
pub(crate) async fn unregister(setup: &Setup<'_>) -> Result<Output> {
    let (provider, subscriber) = (setup.provider().await?, setup.subscriber().await?);
    let consumers = registered(setup, &provider).await?;
    if !consumers.iter().any(|c| c.name == setup.consumer()) {
        return Err(Error::refused(
            format!(
                "consumer not registered on queue: no consumer \"{}\" on queue \"{}\" on provider ({})",
                setup.consumer(),
                setup.queue(),
                provider.target()
            ),
            "Check job_name, pgq_consumer_id and pgq_queue_name in the ini file. Nothing was changed.",
        ));
    }
    let tables: Vec<FqName> = subscribed(&subscriber, setup.queue()).await?.into_iter().map(|s| s.table).collect();
    setup
        .change(&subscriber, async |tx: &Db| {
            forget_states(tx, setup.queue(), &tables.iter().collect::<Vec<_>>()).await?;
            for consumer in &consumers {
                completed::set_last_tick(tx, &consumer.name, None).await?;
            }
            Ok(())
        })
        .await?;
    setup
        .change(&provider, async |tx: &Db| {
            for consumer in &consumers {
                consumer.unregister(tx).await?;
            }
            Ok(())
        })
        .await?;
    if setup.config.fake {
        return Ok(Output::none());
    }
    // What was dropped for copies. The tables stay subscribed: when they are copied again, it is dropped again.
    let pending = foreign_keys::pending_of(&subscriber, &tables).await?;
    let restored = restore_fkeys(setup, &subscriber, &pending).await?;
    let mut failed = restored == Restored::SomeFailed;
    for table in &tables {
        setup.proceed()?;
        failed |= !triggers::restore_pending(setup, &subscriber, table).await?;
    }
    Ok(Output::none().failed(failed))
}

/// The consumers of this job on the queue: its own, and those of copies that were cut off.
async fn registered(setup: &Setup<'_>, provider: &Db) -> Result<Vec<Consumer>> {
    let sql = "select c.co_name from pgq.subscription s \
               join pgq.queue q on q.queue_id = s.sub_queue \
               join pgq.consumer c on c.co_id = s.sub_consumer \
               where q.queue_name = $1 \
                 and (c.co_name = $2 or left(c.co_name, length($2) + 5) = $2 || '_copy' \
                      and substr(c.co_name, length($2) + 6) ~ '^[0-9]*$') \
               order by length(c.co_name) desc, 1 desc";
    let params = [text(&setup.config.pgq_queue_name), text(&setup.config.pgq_consumer_id)];
    let rows = provider.query("look for the consumer", sql, &params).await?;
    Ok(rows.iter().map(|r| Consumer { queue: setup.queue().to_owned(), name: r.get(0) }).collect())
}
