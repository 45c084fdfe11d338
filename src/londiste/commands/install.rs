//! `provider install` and `subscriber install`: schema `londiste`, on the provider also `pgq` and the queue.
//!
//! Each of the two installs in one transaction: after an error nothing is installed.

use tracing::info;

use super::super::context::Context;
use super::super::schema;
use super::super::state::made::{self, Kind};
use super::super::state::provider_queue;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::pg::{self, Db, text};
use crate::pgq;

/// Who installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// An operator, by `provider install` or `subscriber install`.
    Operator,
    /// `up` or `switchover`: what was not there before is noted for `down`, in the same transaction.
    Tool,
}

/// The schemas that are not in a database.
async fn absent(tx: &Db) -> Result<Vec<String>> {
    let mut absent = Vec::new();
    if pgq::install::find(tx).await? == pgq::install::Found::None {
        absent.push("pgq".to_owned());
    }
    if schema::find(tx).await? == schema::Found::None {
        absent.push("londiste".to_owned());
    }
    Ok(absent)
}

/// Installs or upgrades the schemas on the provider and creates the queue, with the locks of [`schema::install`]; then
/// brings the capture of all tables up to date.
pub(crate) async fn provider(context: &Context<'_>, maker: Maker) -> Result<()> {
    let db = context.provider().await?;
    context
        .change(&db, async |tx: &Db| {
            let absent = absent(tx).await?;
            pgq::install::ensure_installed_in(tx).await?;
            failpoint!("install::provider_pgq");
            schema::install(tx).await?;
            failpoint!("install::provider_londiste");
            let is_new = provider_queue::create(tx, context.queue()).await?;
            failpoint!("install::provider_queue");
            if maker == Maker::Tool {
                made::note(tx, context.queue(), Kind::Schema, &absent).await?;
                let queue = is_new.then(|| context.queue().to_owned());
                made::note(tx, context.queue(), Kind::Queue, &Vec::from_iter(queue)).await?;
            }
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
pub(crate) async fn subscriber(context: &Context<'_>, maker: Maker) -> Result<()> {
    let db = context.subscriber().await?;
    context
        .change(&db, async |tx: &Db| {
            let mut absent = absent(tx).await?;
            match &context.config.mirror_queue {
                None => pg::install::plpgsql(tx).await?,
                Some(queue) => mirror_queue(tx, queue).await?,
            }
            schema::install(tx).await?;
            failpoint!("install::subscriber_londiste");
            if maker == Maker::Tool {
                // Schema pgq comes for a mirror queue only.
                absent.retain(|schema| schema != "pgq" || context.config.mirror_queue.is_some());
                made::note(tx, context.queue(), Kind::Schema, &absent).await?;
            }
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
