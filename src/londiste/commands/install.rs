//! `provider install` and `subscriber install`: schema `londiste`, on the provider also `pgq` and the queue.
//!
//! Each is one transaction: it is all there or nothing is.

use tracing::info;

use super::super::context::Context;
use super::super::schema;
use super::super::state::provider_queue;
use crate::error::{Error, Result};
use crate::pg::{self, Db, text};
use crate::pgq;

/// Installs what is missing on the provider and creates the queue.
pub(crate) async fn provider(context: &Context<'_>) -> Result<()> {
    let db = context.provider().await?;
    context
        .change(&db, async |tx: &Db| {
            pgq::install::ensure_installed_in(tx).await?;
            schema::install(tx).await?;
            provider_queue::create(tx, context.queue()).await.map(drop)
        })
        .await?;
    if context.config.fake { Ok(()) } else { refresh_capture(&db).await }
}

/// Has capture functions that an older rlondiste generated made anew, of all queues: they share the schema. A transaction for each
/// table, so that no table stays locked while the next one is done. The ticker's maintenance does the same, and later takes
/// the tables that were in use here.
async fn refresh_capture(db: &Db) -> Result<()> {
    for (queue, table) in provider_queue::all_captured(db).await? {
        if provider_queue::maintain(db, &queue, &table).await? {
            info!("Refreshed the capture of {table} in queue {queue}");
        }
    }
    Ok(())
}

/// Installs what is missing on the subscriber.
pub(crate) async fn subscriber(context: &Context<'_>) -> Result<()> {
    let db = context.subscriber().await?;
    context
        .change(&db, async |tx: &Db| {
            match &context.config.mirror_queue {
                None => pg::install::plpgsql(tx).await?,
                Some(queue) => mirror_queue(tx, queue).await?,
            }
            schema::install(tx).await
        })
        .await
}

/// Creates the queue on the subscriber that applied events go on into. Its ticks come from replay.
async fn mirror_queue(tx: &Db, queue: &str) -> Result<()> {
    let found = pgq::install::ensure_installed_in(tx).await?;
    if !found.is_own() {
        return Err(Error::unsupported(
            format!("cannot create mirror_queue \"{queue}\" on subscriber ({}): schema pgq is {found}", tx.target()),
            "Its ticks would not have the events of their own batch. Use a subscriber with rlondiste's schema pgq.",
        ));
    }
    if provider_queue::create(tx, queue).await? {
        info!("Creating queue: {queue}");
        let sql = "update pgq.queue set queue_external_ticker = true where queue_name = $1";
        tx.execute("create the queue", sql, &[text(&queue)]).await.map_err(|e| e.about(format!("queue {queue}")))?;
    }
    Ok(())
}
