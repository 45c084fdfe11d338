//! One-shot changes of queues and consumers: install, create, drop, register, unregister.

use tracing::info;

use super::captured_tables;
use super::command::Consumers;
use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::{Db, boolean, text};
use crate::pgq;

/// Installs or upgrades schema `pgq`, see [`pgq::install::install`].
pub(super) async fn install(db: &Db) -> Result<Output> {
    pgq::install::install(db).await?;
    Ok(Output::none())
}

/// Creates a queue. As in SkyTools, a queue that exists stays as it is and is no error.
pub(super) async fn create(db: &Db, queue: &str) -> Result<Output> {
    info!("Creating queue: {queue}");
    db.query("create the queue", "select pgq.create_queue($1)", &[text(&queue)])
        .await
        .map_err(|e| e.about(format!("queue \"{queue}\"")))?;
    Ok(Output::none())
}

/// Drops a queue. A queue that tables are captured into is an [`Error::Refused`], or an error of `pgq.drop_queue()`. Locks the
/// event tables in ACCESS EXCLUSIVE mode and thus waits for transactions that have written into them.
pub(super) async fn drop_queue(db: &Db, queue: &str, consumers: Consumers) -> Result<Output> {
    const ACTION: &str = "drop the queue";
    const HAS_FORCE: &str = "select pg_catalog.to_regprocedure('pgq.drop_queue(text, boolean)') is not null";
    const UNREGISTER: &str = "select pgq.unregister_consumer(q.queue_name, c.co_name)
from pgq.queue q
join pgq.subscription s on s.sub_queue = q.queue_id
join pgq.consumer c on c.co_id = s.sub_consumer
where q.queue_name = $1";

    info!("Dropping queue: {queue}");
    let about = |e: Error| e.about(format!("queue \"{queue}\""));
    refuse_captured(db, queue).await?;
    if consumers == Consumers::Refuse {
        db.query(ACTION, "select pgq.drop_queue($1)", &[text(&queue)]).await.map_err(about)?;
        return Ok(Output::none());
    }
    let has_force: bool = db.query_one(ACTION, HAS_FORCE, &[]).await?.get(0);
    if has_force {
        let params = [text(&queue), boolean(&true)];
        db.query(ACTION, "select pgq.drop_queue($1, $2)", &params).await.map_err(about)?;
        return Ok(Output::none());
    }
    // PgQ 2.1 cannot drop a queue with consumers.
    let tx = db.begin(ACTION, "begin").await?;
    tx.query("unregister the consumers", UNREGISTER, &[text(&queue)]).await.map_err(about)?;
    tx.query(ACTION, "select pgq.drop_queue($1)", &[text(&queue)]).await.map_err(about)?;
    tx.commit(ACTION).await?;
    Ok(Output::none())
}

/// Refuses to drop a queue that tables are captured into. `pgq.drop_queue()` of rlondiste's own schema does that itself.
async fn refuse_captured(db: &Db, queue: &str) -> Result<()> {
    if pgq::install::find(db).await?.is_own() {
        return Ok(());
    }
    let tables = captured_tables::with_triggers(db, queue).await?;
    if tables.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        format!(
            "cannot drop queue \"{queue}\" on {} ({}): tables are captured into it, and writing to them would fail without it: {}",
            db.role(),
            db.target(),
            tables.join(", ")
        ),
        "Take them out first: \"rlondiste INI provider remove TABLE ...\".",
    ))
}

/// Registers a consumer at the newest tick. A consumer that is registered keeps its position.
pub(super) async fn register(db: &Db, queue: &str, consumer: &str) -> Result<Output> {
    info!("Registering consumer {consumer} on queue {queue}");
    let params = [text(&queue), text(&consumer)];
    db.query("register the consumer", "select pgq.register_consumer($1, $2)", &params)
        .await
        .map_err(|e| e.about(format!("consumer \"{consumer}\" of queue \"{queue}\"")))?;
    Ok(Output::none())
}

/// Unregisters a consumer: its open batch, its retry events and its failed events go with it.
pub(super) async fn unregister(db: &Db, queue: &str, consumer: &str) -> Result<Output> {
    info!("Unregistering consumer {consumer} from queue {queue}");
    let params = [text(&queue), text(&consumer)];
    db.query("unregister the consumer", "select pgq.unregister_consumer($1, $2)", &params)
        .await
        .map_err(|e| e.about(format!("consumer \"{consumer}\" of queue \"{queue}\"")))?;
    Ok(Output::none())
}
