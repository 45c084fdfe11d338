//! One consumer of one queue: registration, batches, position. Works with PgQ 2, PgQ 3 and rlondiste's own schema `pgq`.
//!
//! Errors are [`Error::Query`](crate::error::Error::Query). Locks are those of rlondiste's own schema; they are held until
//! the transaction of the call ends.

use tokio_postgres::error::SqlState;

use crate::error::Result;
use crate::pg::{Db, Sql, int8, text, text_array};

use super::{Batch, BatchId, TickId};

/// A consumer: a name under which the batches of a queue are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumer {
    /// The queue.
    pub(crate) queue: String,
    /// The name, unique in the queue.
    pub(crate) name: String,
}

/// Which functions the provider's schema `pgq` has; read once per session.
#[expect(clippy::struct_excessive_bools, reason = "each tells of one function, independent of the others")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// `next_batch_custom` and `next_batch_info` exist (PgQ 3 and rlondiste).
    pub(crate) custom_batches: bool,
    /// `event_failed` exists (PgQ 2 and rlondiste).
    pub(crate) failed_queue: bool,
    /// `register_consumer_at` exists (PgQ 3 and rlondiste).
    pub(crate) register_at: bool,
    /// `tick_new_events` exists (rlondiste): a ticker may listen for consumers that wait.
    pub(crate) ticks_on_demand: bool,
    /// `next_batch_events` exists (rlondiste): small batches take one call.
    pub(crate) batches_with_events: bool,
}

impl Abilities {
    /// Reads the abilities from the catalog.
    pub(crate) async fn of(provider: &Db) -> Result<Abilities> {
        let row = provider
            .query_one(
                "look into schema pgq",
                "select to_regprocedure('pgq.next_batch_custom(text,text,interval,integer,interval)') is not null,
                        to_regprocedure('pgq.event_failed(bigint,bigint,text)') is not null,
                        to_regprocedure('pgq.register_consumer_at(text,text,bigint)') is not null,
                        to_regprocedure('pgq.tick_new_events(text)') is not null,
                        to_regprocedure(
                            'pgq.next_batch_events(text,text,bigint,bigint,bigint,integer,integer,boolean)') is not null",
                &[],
            )
            .await?;
        Ok(Abilities {
            custom_batches: row.get(0),
            failed_queue: row.get(1),
            register_at: row.get(2),
            ticks_on_demand: row.get(3),
            batches_with_events: row.get(4),
        })
    }
}

/// Counts the events between the consumer's tick and the newest one, or the newest one before tick $5. If they are $4 or more, asks for a batch of about $3
/// events: next_batch_custom takes a tick after at least so many events, not always the first such tick. Otherwise passes
/// null, with which it takes the next tick.
const NEXT_BATCH: &str = "select b.batch_id, b.prev_tick_id, b.cur_tick_id
       from pgq.next_batch_custom($1, $2, null,
            (select least(l.tick_event_seq - p.tick_event_seq, $3)::int4
               from pgq.queue q
                    join pgq.consumer c on c.co_name = $2
                    join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
                    join pgq.tick p on p.tick_queue = q.queue_id and p.tick_id = s.sub_last_tick
                    cross join lateral (
                        select t.tick_event_seq from pgq.tick t
                         where t.tick_queue = q.queue_id and ($5 is null or t.tick_id < $5)
                         order by t.tick_id desc limit 1) l
              where q.queue_name = $1 and l.tick_event_seq - p.tick_event_seq >= $4), null) b";

/// The position of a consumer in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The tick up to which its batches are finished.
    pub(crate) last_tick: TickId,
    /// The tick at the end of its open batch; `None` without an open batch.
    pub(crate) next_tick: Option<TickId>,
}

/// When waiting ticks are joined into one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    /// Number of waiting events from which on ticks are joined.
    pub(crate) least_events: u64,
    /// About the most events of a joined batch; more where one tick has more.
    pub(crate) most_events: u64,
    /// The consumer is to stop at this tick: a joined batch ends before it.
    pub(crate) before: Option<TickId>,
}

impl Join {
    /// Each tick is a batch.
    pub(crate) const NEVER: Join = Join { least_events: u64::MAX, most_events: 1, before: None };

    /// The same with at most so many events in a joined batch; for 0 each tick is a batch.
    pub(crate) fn at_most(self, events: u64) -> Join {
        if events == 0 { Join::NEVER } else { Join { most_events: self.most_events.min(events), ..self } }
    }
}

impl Consumer {
    /// Registers the consumer at the queue's newest tick. Returns true if it was not registered before; if it was, nothing
    /// changes. Locks the queue's row for share: rotation is put off meanwhile.
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

    /// Moves the consumer to a tick and closes its open batch; registers the consumer if needed. Locks as
    /// [`Self::register`].
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

    /// Registers the consumer at a tick, anew if it is registered. Another consumer must still need the tick, or its events
    /// may be gone. Up to three calls, each a transaction of its own unless the caller has one open. Locks as
    /// [`Self::unregister`] and [`Self::register`].
    pub(crate) async fn start_at(&self, provider: &Db, abilities: Abilities, tick: TickId) -> Result<()> {
        if self.position(provider).await?.is_some() {
            self.unregister(provider).await?;
        }
        if abilities.register_at {
            return self.register_at(provider, tick).await;
        }
        // The name of this function in PgQ 2.
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

    /// Unregisters the consumer. Returns `Ok` also where it is not registered, since another process may have
    /// unregistered it at the same moment; an open transaction is then aborted and can only be rolled back. Locks the
    /// subscription's row.
    pub(crate) async fn unregister(&self, provider: &Db) -> Result<()> {
        let sql = "select pgq.unregister_consumer($1, $2)";
        match provider.query_one("unregister the consumer", sql, &[text(&self.queue), text(&self.name)]).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Ok(()),
            done => done.map(drop).map_err(|e| e.about(self)),
        }
    }

    /// The position of the consumer; `None` when it is not registered.
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

    /// The next batch, or the batch that is open already; `None` when there is no newer tick. Locks the subscription's row.
    ///
    /// `join` says from how many waiting events on a batch spans several ticks: a consumer that is behind catches up in few
    /// batches, another one gets each tick by itself. A provider without `custom_batches` gives one tick at a time.
    pub(crate) async fn next_batch(&self, provider: &Db, abilities: Abilities, join: Join) -> Result<Option<Batch>> {
        if !abilities.custom_batches {
            return self.next_single_batch(provider).await;
        }
        let count = |events: u64| i64::try_from(events).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX));
        let (most, least) = (count(join.most_events), count(join.least_events));
        let before = join.before.map(|tick| tick.0);
        let params = [text(&self.queue), text(&self.name), int8(&most), int8(&least), int8(&before)];
        let row = provider.query_one("read the next batch", NEXT_BATCH, &params).await.map_err(|e| e.about(self))?;
        let id: Option<i64> = row.get(0);
        Ok(id.map(|id| Batch { id: BatchId(id), prev_tick: TickId(row.get(1)), cur_tick: TickId(row.get(2)) }))
    }

    /// Tells the ticker that this consumer has read everything and waits: the next events get a tick at once.
    pub(crate) async fn wait_for_events(&self, provider: &Db) -> Result<()> {
        let sql = "select pg_catalog.pg_notify('rlondiste_wait', $1)";
        provider.query_one("say that events are waited for", sql, &[text(&self.queue)]).await?;
        Ok(())
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

    /// Closes a batch: the consumer's position moves to the batch's end. Safe to repeat: a batch that is not open changes
    /// nothing. Locks the subscription's row.
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

/// The ticks at the ends of a batch, with times in UTC with microseconds; `None` for a tick that is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchEnds {
    /// The time of the tick where the batch begins.
    pub(crate) prev_time: Option<String>,
    /// The time of the tick where the batch ends.
    pub(crate) cur_time: Option<String>,
    /// Which transactions had ended at the tick where the batch ends, as text of `txid_snapshot`.
    pub(crate) cur_snapshot: Option<String>,
}

const BATCH: &str = "select pgq.batch_event_sql($1),
        (select pg_catalog.to_char(t.tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') from pgq.tick t
          where t.tick_queue = q.queue_id and t.tick_id = $3),
        (select pg_catalog.to_char(t.tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') from pgq.tick t
          where t.tick_queue = q.queue_id and t.tick_id = $4),
        (select t.tick_snapshot::text from pgq.tick t where t.tick_queue = q.queue_id and t.tick_id = $4)
   from pgq.queue q where q.queue_name = $2";

impl Consumer {
    /// The statement that selects the events of the batch, from `pgq.batch_event_sql`, and the times of the batch's ends.
    pub(crate) async fn batch_events(&self, provider: &Db, batch: &Batch) -> Result<(Sql, BatchEnds)> {
        let params = [int8(&batch.id.0), text(&self.queue), int8(&batch.prev_tick.0), int8(&batch.cur_tick.0)];
        let row = provider
            .query_one("read the batch's events", BATCH, &params)
            .await
            .map_err(|e| e.about(format!("batch {}", batch.id)))?;
        let ends = BatchEnds { prev_time: row.get(1), cur_time: row.get(2), cur_snapshot: row.get(3) };
        Ok((Sql::from_server(row.get(0)), ends))
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

/// Asks the ticker for a tick at its next look, also when nothing has been written: `pgq.force_tick` advances the
/// queue's event sequence, which no rollback takes back.
pub(crate) async fn force_tick(provider: &Db, queue: &str) -> Result<()> {
    provider.query_one("force a tick", "select pgq.force_tick($1)", &[text(&queue)]).await?;
    Ok(())
}

/// The statement by which a command makes one tick. The comment tells its session from that of a ticker, which makes all of them.
///
/// It forces the tick itself. In two transactions the ticker, which the first one wakes, is mostly there before the second one: each
/// try then wakes it for the next race.
pub(crate) const ONE_TICK: &str =
    "/* one tick */ select pgq.ticker($1) from (select pgq.force_tick($1) offset 0) forced";

/// Makes a tick that shows everything that was committed before the call, beside a ticker that may be making others: tries until the
/// call itself has made it. Locks the row of the newest tick for a moment.
pub(crate) async fn make_tick(provider: &Db, queue: &str) -> Result<TickId> {
    loop {
        let row = provider.query_one("make a tick", ONE_TICK, &[text(&queue)]).await?;
        if let Some(tick) = row.get::<_, Option<i64>>(0) {
            return Ok(TickId(tick));
        }
    }
}

/// The newest tick of the queue; 0 when it has none.
pub(crate) async fn newest_tick(provider: &Db, queue: &str) -> Result<TickId> {
    let sql = "select coalesce(pg_catalog.max(t.tick_id), 0) from pgq.tick t, pgq.queue q
                where t.tick_queue = q.queue_id and q.queue_name = $1";
    let row = provider.query_one("read the newest tick", sql, &[text(&queue)]).await?;
    Ok(TickId(row.get(0)))
}

/// The time of a tick, in UTC with microseconds; `None` when the queue does not have the tick any more.
pub(crate) async fn tick_time(provider: &Db, queue: &str, tick: TickId) -> Result<Option<String>> {
    let sql = "select pg_catalog.to_char(t.tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
                 from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                where q.queue_name = $1 and t.tick_id = $2";
    let row = provider.query_opt("read a tick", sql, &[text(&queue), int8(&tick.0)]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// How many ticks a batch has, and about how many events.
pub(crate) async fn batch_size(provider: &Db, queue: &str, batch: &Batch) -> Result<(i64, i64)> {
    let sql = "select count(*) - 1, coalesce(max(t.tick_event_seq) - min(t.tick_event_seq), 0)
                 from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                where q.queue_name = $1 and t.tick_id between $2 and $3";
    let params = [text(&queue), int8(&batch.prev_tick.0), int8(&batch.cur_tick.0)];
    let row = provider.query_one("read the ticks of a batch", sql, &params).await?;
    Ok((row.get(0), row.get(1)))
}

/// The first, in the order of the alphabet, of these names that is a consumer of the queue.
pub(crate) async fn registered_among(provider: &Db, queue: &str, names: &[String]) -> Result<Option<String>> {
    let sql = "select c.co_name from pgq.subscription s
                      join pgq.queue q on q.queue_id = s.sub_queue
                      join pgq.consumer c on c.co_id = s.sub_consumer
                where q.queue_name = $1 and c.co_name = any ($2)
                order by 1 limit 1";
    let row = provider.query_opt("look for consumers", sql, &[text(&queue), text_array(&names)]).await?;
    Ok(row.map(|row| row.get(0)))
}
