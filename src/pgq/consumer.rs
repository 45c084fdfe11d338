//! One consumer of one queue: registration, batches, position. Works with the `pgq` schema of every generation.

use tokio_postgres::error::SqlState;

use crate::error::Result;
use crate::pg::{Db, Sql, int8, text, text_array};

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

/// Where a consumer stands in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The tick up to which its batches are finished.
    pub(crate) last_tick: TickId,
    /// The end of its open batch.
    pub(crate) next_tick: Option<TickId>,
}

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

    /// Ends the registration. Done as well when there is none: of two processes that end it at the same moment, one comes
    /// too late. A transaction that came too late can only be rolled back.
    pub(crate) async fn unregister(&self, provider: &Db) -> Result<()> {
        let sql = "select pgq.unregister_consumer($1, $2)";
        match provider.query_one("unregister the consumer", sql, &[text(&self.queue), text(&self.name)]).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Ok(()),
            done => done.map(drop).map_err(|e| e.about(self)),
        }
    }

    /// Where the consumer stands; `None` when it is not registered.
    pub(crate) async fn registration(&self, provider: &Db) -> Result<Option<Registration>> {
        let sql = "select s.sub_last_tick, s.sub_next_tick from pgq.subscription s, pgq.queue q, pgq.consumer c
                    where q.queue_id = s.sub_queue and c.co_id = s.sub_consumer
                      and q.queue_name = $1 and c.co_name = $2";
        let params = [text(&self.queue), text(&self.name)];
        let row = provider.query_opt("read the consumer's position", sql, &params).await?;
        Ok(row.map(|row| Registration {
            last_tick: TickId(row.get(0)),
            next_tick: row.get::<_, Option<i64>>(1).map(TickId),
        }))
    }

    /// The tick up to which this consumer has finished its batches; `None` when it is not registered.
    pub(crate) async fn position(&self, provider: &Db) -> Result<Option<TickId>> {
        Ok(self.registration(provider).await?.map(|registration| registration.last_tick))
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

/// When the ticks at the ends of a batch were made, in UTC with microseconds; `None` for a tick that is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchEnds {
    /// Of the tick where the batch begins.
    pub(crate) prev_time: Option<String>,
    /// Of the tick where it ends.
    pub(crate) cur_time: Option<String>,
}

const BATCH: &str = "select pgq.batch_event_sql($1),
        (select pg_catalog.to_char(t.tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') from pgq.tick t
          where t.tick_queue = q.queue_id and t.tick_id = $3),
        (select pg_catalog.to_char(t.tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') from pgq.tick t
          where t.tick_queue = q.queue_id and t.tick_id = $4)
   from pgq.queue q where q.queue_name = $2";

impl Consumer {
    /// The statement whose rows are the events of the batch, in order; and the times of the batch's ends.
    pub(crate) async fn batch_events(&self, provider: &Db, batch: &Batch) -> Result<(Sql, BatchEnds)> {
        let params = [int8(&batch.id.0), text(&self.queue), int8(&batch.prev_tick.0), int8(&batch.cur_tick.0)];
        let row = provider
            .query_one("read the batch's events", BATCH, &params)
            .await
            .map_err(|e| e.about(format!("batch {}", batch.id)))?;
        Ok((Sql::from_server(row.get(0)), BatchEnds { prev_time: row.get(1), cur_time: row.get(2) }))
    }

    /// Whether no tick lies between the ends of the batch.
    pub(crate) async fn is_single_tick(&self, provider: &Db, batch: &Batch) -> Result<bool> {
        if batch.cur_tick.0 - batch.prev_tick.0 <= 1 {
            return Ok(true);
        }
        let sql = "select not exists (select from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                                       where q.queue_name = $1 and t.tick_id > $2 and t.tick_id < $3)";
        let params = [text(&self.queue), int8(&batch.prev_tick.0), int8(&batch.cur_tick.0)];
        Ok(provider.query_one("look for ticks", sql, &params).await?.get(0))
    }
}

/// Asks for a tick as soon as possible, also when nothing has been written.
pub(crate) async fn force_tick(provider: &Db, queue: &str) -> Result<()> {
    provider.query_one("force a tick", "select pgq.force_tick($1)", &[text(&queue)]).await?;
    Ok(())
}

/// The newest tick of the queue; 0 when it has none.
pub(crate) async fn newest_tick(provider: &Db, queue: &str) -> Result<TickId> {
    let sql = "select coalesce(pg_catalog.max(t.tick_id), 0) from pgq.tick t, pgq.queue q
                where t.tick_queue = q.queue_id and q.queue_name = $1";
    let row = provider.query_one("read the newest tick", sql, &[text(&queue)]).await?;
    Ok(TickId(row.get(0)))
}

/// When a tick was made, in UTC with microseconds; `None` when the queue does not have it any more.
pub(crate) async fn tick_time(provider: &Db, queue: &str, tick: TickId) -> Result<Option<String>> {
    let sql = "select pg_catalog.to_char(t.tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
                 from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                where q.queue_name = $1 and t.tick_id = $2";
    let row = provider.query_opt("read a tick", sql, &[text(&queue), int8(&tick.0)]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// The first of these names that is a consumer of the queue.
pub(crate) async fn registered_among(provider: &Db, queue: &str, names: &[String]) -> Result<Option<String>> {
    let sql = "select c.co_name from pgq.subscription s
                      join pgq.queue q on q.queue_id = s.sub_queue
                      join pgq.consumer c on c.co_id = s.sub_consumer
                where q.queue_name = $1 and c.co_name = any ($2)
                order by 1 limit 1";
    let row = provider.query_opt("look for consumers", sql, &[text(&queue), text_array(&names)]).await?;
    Ok(row.map(|row| row.get(0)))
}
