//! One consumer of one queue: registration, batches, position. Works with the `pgq` schema of every generation.

use crate::error::Result;
use crate::pg::{Db, int8, text};

use super::{Batch, BatchId, TickId};

/// A name under which events of a queue are consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumer {
    /// The queue.
    pub(crate) queue: String,
    /// The name, unique in the queue.
    pub(crate) name: String,
}

/// What the provider's `pgq` schema can do; read once per session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// `next_batch_custom` and `next_batch_info` exist (PgQ 3).
    pub(crate) custom_batches: bool,
    /// `event_failed` exists (PgQ 2 and rlondiste).
    pub(crate) failed_queue: bool,
    /// `register_consumer_at` exists (PgQ 3 and rlondiste).
    pub(crate) register_at: bool,
}

impl Abilities {
    /// Reads them from the catalog.
    pub(crate) async fn of(provider: &Db) -> Result<Abilities> {
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

/// What waits are the events between the consumer's tick and the last one. next_batch_custom takes a tick that has so
/// many events, not always the first one; with null it takes the next tick.
const NEXT_BATCH: &str = "select b.batch_id, b.prev_tick_id, b.cur_tick_id
       from pgq.next_batch_custom($1, $2, null,
            (select least(l.tick_event_seq - p.tick_event_seq, $3)::int4
               from pgq.queue q
                    join pgq.consumer c on c.co_name = $2
                    join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
                    join pgq.tick p on p.tick_queue = q.queue_id and p.tick_id = s.sub_last_tick
                    cross join lateral (
                        select t.tick_event_seq from pgq.tick t
                         where t.tick_queue = q.queue_id
                         order by t.tick_id desc limit 1) l
              where q.queue_name = $1 and l.tick_event_seq - p.tick_event_seq >= $4), null) b";

/// When waiting ticks are joined into one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    /// Only when at least so many events wait.
    pub(crate) least_events: u64,
    /// Up to about so many events, unless one tick has more.
    pub(crate) most_events: u64,
}

impl Join {
    /// Each tick is a batch: for who must stop at a certain tick.
    pub(crate) const NEVER: Join = Join { least_events: u64::MAX, most_events: 1 };
}

impl Consumer {
    /// Registers at the queue's newest tick. Returns whether it was not registered before; if it was, nothing changes.
    pub(crate) async fn register(&self, provider: &Db) -> Result<bool> {
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
    pub(crate) async fn register_at(&self, provider: &Db, tick: TickId) -> Result<()> {
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

    /// Begins at a tick that another consumer still needs, whatever was there under this name.
    pub(crate) async fn start_at(&self, provider: &Db, abilities: Abilities, tick: TickId) -> Result<()> {
        if self.position(provider).await?.is_some() {
            self.unregister(provider).await?;
        }
        if abilities.register_at {
            return self.register_at(provider, tick).await;
        }
        // PgQ 2 has it under this name.
        provider
            .query_one(
                "register the consumer at a tick",
                "select pgq.register_consumer($1, $2, $3)",
                &[text(&self.queue), text(&self.name), int8(&tick.0)],
            )
            .await
            .map_err(|e| e.about(self))?;
        Ok(())
    }

    /// Ends the registration. Fails when there is none.
    pub(crate) async fn unregister(&self, provider: &Db) -> Result<()> {
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
    pub(crate) async fn position(&self, provider: &Db) -> Result<Option<TickId>> {
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
    /// When many ticks are waiting, a batch spans as many of them as `join` says: who is behind catches up in few steps,
    /// who is not gets each tick as it comes. A provider without that ability gives one tick at a time.
    pub(crate) async fn next_batch(&self, provider: &Db, abilities: Abilities, join: Join) -> Result<Option<Batch>> {
        if !abilities.custom_batches {
            return self.next_single_batch(provider).await;
        }
        let count = |events: u64| i64::try_from(events).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX));
        let (most, least) = (count(join.most_events), count(join.least_events));
        let params = [text(&self.queue), text(&self.name), int8(&most), int8(&least)];
        let row = provider.query_one("read the next batch", NEXT_BATCH, &params).await.map_err(|e| e.about(self))?;
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
    pub(crate) async fn finish_batch(&self, provider: &Db, batch: &Batch) -> Result<()> {
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
pub(crate) async fn batch_event_sql(provider: &Db, batch: &Batch) -> Result<String> {
    let row = provider
        .query_one("read the batch's events", "select pgq.batch_event_sql($1)", &[int8(&batch.id.0)])
        .await
        .map_err(|e| e.about(format!("batch {}", batch.id)))?;
    Ok(row.get(0))
}

/// Asks for a tick as soon as possible, also when nothing has been written.
pub(crate) async fn force_tick(provider: &Db, queue: &str) -> Result<()> {
    provider.query_one("force a tick", "select pgq.force_tick($1)", &[text(&queue)]).await?;
    Ok(())
}
