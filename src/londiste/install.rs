//! `provider install` and `subscriber install`: schema `londiste`, on the provider also `pgq` and the queue.
//!
//! Each is one transaction: it is all there or nothing is.

use tracing::info;

use super::schema;
use super::setup::Setup;
use crate::error::{Error, Result};
use crate::pg::{self, Db, text};
use crate::pgq;

/// Installs what is missing on the provider and creates the queue.
pub(crate) async fn provider(setup: &Setup<'_>) -> Result<()> {
    let db = setup.provider().await?;
    setup
        .change(&db, async |tx: &Db| {
            pgq::install::ensure_installed_in(tx).await?;
            schema::install(tx).await?;
            let sql = "select pgq.create_queue($1)";
            tx.query("create the queue", sql, &[text(&setup.queue())]).await.map_err(|e| e.about(setup.queue()))?;
            Ok(())
        })
        .await?;
    if setup.config.fake { Ok(()) } else { refresh_capture(&db).await }
}

/// Has capture functions that an older rlondiste generated made anew, of all queues: they share the schema. A transaction for each
/// table, so that none is locked while others are done. The ticker's maintenance does the same, and what is left over here.
async fn refresh_capture(db: &Db) -> Result<()> {
    const ACTION: &str = "refresh the capture of a table";
    const TABLES: &str = "select t.queue_name, t.table_name from londiste.provider_table t
       join pgq.queue q on q.queue_name = t.queue_name order by t.queue_name, t.table_name";
    for row in db.query("list the captured tables", TABLES, &[]).await? {
        let (queue, table): (String, String) = (row.get(0), row.get(1));
        let sql = "select londiste.provider_maintain($1, $2)";
        let refreshed = db.query_one(ACTION, sql, &[text(&queue), text(&table)]).await.map_err(|e| e.about(&table))?;
        if refreshed.get::<_, i32>(0) == 1 {
            info!("Refreshed the capture of {table} in queue {queue}");
        }
    }
    Ok(())
}

/// Installs what is missing on the subscriber.
pub(crate) async fn subscriber(setup: &Setup<'_>) -> Result<()> {
    let db = setup.subscriber().await?;
    setup
        .change(&db, async |tx: &Db| {
            match &setup.config.mirror_queue {
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
        return Err(Error::refused(
            format!("cannot create mirror_queue \"{queue}\" on subscriber ({}): schema pgq is {found}", tx.target()),
            "Its ticks would not have the events of their own batch. Use a subscriber with rlondiste's schema pgq.",
        ));
    }
    let about = |error: Error| error.about(format!("queue {queue}"));
    let row = tx.query_one("create the queue", "select pgq.create_queue($1)", &[text(&queue)]).await.map_err(about)?;
    if row.get::<_, i32>(0) == 1 {
        info!("Creating queue: {queue}");
        let sql = "update pgq.queue set queue_external_ticker = true where queue_name = $1";
        tx.execute("create the queue", sql, &[text(&queue)]).await.map_err(about)?;
    }
    Ok(())
}
