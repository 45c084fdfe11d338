//! One consumer of one queue: registration, batches, position. Works with the `pgq` schema of every generation.

use crate::error::Result;
use crate::pg::{Db, int4, int8, text};

use super::{Batch, BatchId, TickId};

/// A name under which events of a queue are consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The queue.
    pub queue: String,
    /// The name, unique in the queue.
    pub name: String,
}

/// What the provider's `pgq` schema can do; read once per session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// `next_batch_custom` and `next_batch_info` exist (PgQ 3).
    pub custom_batches: bool,
    /// `event_failed` exists (PgQ 2 and rlondiste).
    pub failed_queue: bool,
    /// `register_consumer_at` exists (PgQ 3 and rlondiste).
    pub register_at: bool,
}

impl Abilities {
    /// Reads them from the catalog.
    pub async fn of(provider: &Db) -> Result<Abilities> {
        let row = provider
            .query_one(
                "look into schema pgq",
                "select to_regprocedure('pgq.next_batch_custom(text,text,interval,integer,interval)') is not null,
                        to_regprocedure('pgq.event_failed(bigint,bigint,text)') is not null,
                        to_regprocedure('pgq.register_consumer_at(text,text,bigint)') is not null",
                &[],
            )
            .await?;
        Ok(Abilities { custom_batches: row.get(0), failed_queue: row.get(1), register_at: row.get(2) })
    }
}

impl Consumer {
    /// Registers at the queue's newest tick. Returns whether it was not registered before; if it was, nothing changes.
    pub async fn register(&self, provider: &Db) -> Result<bool> {
        let row = provider
            .query_one(
                "register the consumer",
                "select pgq.register_consumer($1, $2)",
                &[text(&self.queue), text(&self.name)],
            )
            .await
            .map_err(|e| e.about(self))?;
        Ok(row.get::<_, i32>(0) == 1)
    }

    /// Moves the registration to a tick and closes the open batch; registers if needed.
    pub async fn register_at(&self, provider: &Db, tick: TickId) -> Result<()> {
        provider
            .query_one(
                "register the consumer at a tick",
                "select pgq.register_consumer_at($1, $2, $3)",
                &[text(&self.queue), text(&self.name), int8(&tick.0)],
            )
            .await
            .map_err(|e| e.about(self))?;
        Ok(())
    }

    /// Ends the registration. Fails when there is none.
    pub async fn unregister(&self, provider: &Db) -> Result<()> {
        provider
            .query_one(
                "unregister the consumer",
                "select pgq.unregister_consumer($1, $2)",
                &[text(&self.queue), text(&self.name)],
            )
            .await
            .map_err(|e| e.about(self))?;
        Ok(())
    }

    /// The tick up to which this consumer has finished its batches; `None` when it is not registered.
    pub async fn position(&self, provider: &Db) -> Result<Option<TickId>> {
        let row = provider
            .query_opt(
                "read the consumer's position",
                "select s.sub_last_tick from pgq.subscription s, pgq.queue q, pgq.consumer c
                  where q.queue_id = s.sub_queue and c.co_id = s.sub_consumer
                    and q.queue_name = $1 and c.co_name = $2",
                &[text(&self.queue), text(&self.name)],
            )
            .await?;
        Ok(row.map(|row| TickId(row.get(0))))
    }

    /// The next batch, or the one that is open already; `None` when there is no newer tick.
    ///
    /// With `min_events` above 0 the batch spans so many ticks that it has at least that many events, if there are
    /// that many; a provider without that ability ignores it.
    pub async fn next_batch(&self, provider: &Db, abilities: Abilities, min_events: i32) -> Result<Option<Batch>> {
        if !abilities.custom_batches {
            return self.next_single_batch(provider).await;
        }
        if min_events > 0
            && let Some(batch) = self.next_custom_batch(provider, min_events).await?
        {
            return Ok(Some(batch));
        }
        self.next_custom_batch(provider, 0).await
    }

    async fn next_custom_batch(&self, provider: &Db, min_events: i32) -> Result<Option<Batch>> {
        let count = Some(min_events).filter(|n| *n > 0);
        let row = provider
            .query_one(
                "read the next batch",
                "select batch_id, prev_tick_id, cur_tick_id from pgq.next_batch_custom($1, $2, null, $3, null)",
                &[text(&self.queue), text(&self.name), int4(&count)],
            )
            .await
            .map_err(|e| e.about(self))?;
        let id: Option<i64> = row.get(0);
        Ok(id.map(|id| Batch { id: BatchId(id), prev_tick: TickId(row.get(1)), cur_tick: TickId(row.get(2)) }))
    }

    async fn next_single_batch(&self, provider: &Db) -> Result<Option<Batch>> {
        let action = "read the next batch";
        let row = provider
            .query_one(action, "select pgq.next_batch($1, $2)", &[text(&self.queue), text(&self.name)])
            .await
            .map_err(|e| e.about(self))?;
        let Some(id) = row.get::<_, Option<i64>>(0) else { return Ok(None) };
        let row = provider
            .query_one(action, "select prev_tick_id, tick_id from pgq.get_batch_info($1)", &[int8(&id)])
            .await
            .map_err(|e| e.about(self))?;
        Ok(Some(Batch { id: BatchId(id), prev_tick: TickId(row.get(0)), cur_tick: TickId(row.get(1)) }))
    }

    /// Closes a batch: the position moves to its end. Safe to repeat.
    pub async fn finish_batch(&self, provider: &Db, batch: &Batch) -> Result<()> {
        provider
            .query_one("finish the batch", "select pgq.finish_batch($1)", &[int8(&batch.id.0)])
            .await
            .map_err(|e| e.about(self))?;
        Ok(())
    }
}

impl std::fmt::Display for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "queue {}, consumer {}", self.queue, self.name)
    }
}

/// The statement whose rows are the events of the batch, in order.
pub async fn batch_event_sql(provider: &Db, batch: &Batch) -> Result<String> {
    let row = provider
        .query_one("read the batch's events", "select pgq.batch_event_sql($1)", &[int8(&batch.id.0)])
        .await
        .map_err(|e| e.about(format!("batch {}", batch.id)))?;
    Ok(row.get(0))
}

/// Asks for a tick as soon as possible, also when nothing has been written.
pub async fn force_tick(provider: &Db, queue: &str) -> Result<()> {
    provider.query_one("force a tick", "select pgq.force_tick($1)", &[text(&queue)]).await?;
    Ok(())
}
