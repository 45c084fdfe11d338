//! `provider install` and `subscriber install`: schema `londiste`, on the provider also `pgq` and the queue.
//!
//! Each of the two installs in one transaction: after an error nothing is installed.

use tracing::info;

use super::super::context::Context;
use super::super::schema;
use super::super::state::provider_queue;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::pg::{self, Db, text};
use crate::pgq;

/// Installs or upgrades the schemas on the provider and creates the queue, with the locks of [`schema::install`]; then
/// brings the capture of all tables up to date.
pub(crate) async fn provider(context: &Context<'_>) -> Result<()> {
    let db = context.provider().await?;
    context
        .change(&db, async |tx: &Db| {
            pgq::install::ensure_installed_in(tx).await?;
            failpoint!("install::provider_pgq");
            schema::install(tx).await?;
            failpoint!("install::provider_londiste");
            provider_queue::create(tx, context.queue()).await?;
            failpoint!("install::provider_queue");
            Ok(())
        })
        .await?;
    failpoint!("install::provider_committed");
    if context.config.fake { Ok(()) } else { refresh_capture(&db).await }
}

/// Generates capture functions of an older rlondiste anew, for the tables of all queues, since all queues share the
/// schema. Each table has a transaction of its own, so that no table stays locked while the next one is done. A table
/// that is in use is left to the ticker's maintenance, which does the same.
async fn refresh_capture(db: &Db) -> Result<()> {
    for (queue, table) in provider_queue::all_captured(db).await? {
        if provider_queue::maintain(db, &queue, &table).await? {
            failpoint!("install::capture_refreshed");
            info!("Refreshed the capture of {table} in queue {queue}");
        }
    }
    Ok(())
}

/// Installs or upgrades the schema on the subscriber, with the locks of [`schema::install`]; with `mirror_queue` also
/// `pgq` and the queue.
pub(crate) async fn subscriber(context: &Context<'_>) -> Result<()> {
    let db = context.subscriber().await?;
    context
        .change(&db, async |tx: &Db| {
            match &context.config.mirror_queue {
                None => pg::install::plpgsql(tx).await?,
                Some(queue) => mirror_queue(tx, queue).await?,
            }
            schema::install(tx).await?;
            failpoint!("install::subscriber_londiste");
            Ok(())
        })
        .await?;
    failpoint!("install::subscriber_committed");
    Ok(())
}

/// Creates the queue on the subscriber that replay writes applied events and ticks into; a new queue has no ticker of
/// its own. Fails when schema `pgq` is not rlondiste's.
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
