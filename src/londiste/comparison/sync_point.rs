//! A moment at which both sides of a table must hold the same rows.
//!
//! 1. The provider's table is locked in SHARE mode, which writers wait for.
//! 2. Two ticks are waited for. The first may have been begun before the lock, the second was not: every change of the
//!    table is in a batch that ends at the second tick or earlier.
//! 3. Replay is waited for until it has finished the batch that ends there.
//! 4. A snapshot is taken on both sides, and the lock is released: from here on only the snapshots are read.
//! 5. Where a command came between that shows older snapshots an empty table (TRUNCATE, an ALTER TABLE that writes the table
//!    anew), the steps are repeated.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::pg::catalog::RelationKind;
use crate::pg::{Db, FqName, Tx, boolean, sql, text};
use crate::pgq::consumer::Consumer;
use crate::pgq::{TickId, consumer};
use crate::text::{Lines, shown};

use super::super::context::{Context, Outcome};
use super::super::table_lock::TableLock;
use super::arguments::Lag;
use super::rows::{PIN, Subject, source};

/// The pause between two looks for the tick, or for replay's position.
const POLL: Duration = Duration::from_millis(10);

/// After this time without a tick, although ticks are forced, the comparison fails: the ticker seems dead.
const TICKER_PATIENCE: Duration = Duration::from_secs(10);

/// How long a table stays locked while no server connection of a pool is free.
const POOL_PATIENCE: Duration = Duration::from_secs(10);

/// By how many seconds the consumer's lag may be greater than the ticker's at the start.
const MOST_LAG: f64 = 10.0;

const LAG_HINT: &str = "HINT: Wait until replay has caught up, or use --force to wait here without a limit (writers of the \
                        table wait too).";

/// For how long replay may stand still where nobody waits for the comparison.
const REPLAY_PATIENCE: Duration = Duration::from_mins(1);

/// The sessions and settings of a comparison.
pub(super) struct SyncPoints<'a> {
    context: Context<'a>,
    consumer: Consumer,
    /// How long to wait for replay.
    lag: Lag,
    locker: Db,
    provider: Db,
    subscriber: Db,
}

/// Two read-only transactions with snapshots of one sync point, which hold vacuum back on both servers until they end.
pub(super) struct SyncPoint<'a> {
    pub(super) provider: Tx<'a>,
    pub(super) subscriber: Tx<'a>,
}

/// How an attempt to reach a sync point ended; the reason is in the log unless `Now`.
pub(super) enum Reached<T> {
    Now(T),
    /// This table could not be locked; the next one may be.
    NotThis,
    /// Replay does not catch up: the next table would fail too.
    Lagging,
}

impl<'a> SyncPoints<'a> {
    pub(super) async fn open(context: Context<'a>, lag: Lag) -> Result<Self> {
        Ok(SyncPoints {
            locker: context.provider().await?,
            provider: context.provider().await?,
            subscriber: context.subscriber().await?,
            consumer: Consumer { queue: context.queue().to_owned(), name: context.consumer().to_owned() },
            context,
            lag,
        })
    }

    /// The consumer that replay is.
    pub(super) fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    pub(super) fn provider(&self) -> &Db {
        &self.provider
    }

    pub(super) fn subscriber(&self) -> &Db {
        &self.subscriber
    }

    /// Reaches a sync point for the table and returns its snapshots. The lock of [`SyncPoints::hold`] is released
    /// before the return. Holds ACCESS SHARE on both sides until the transactions end.
    pub(super) async fn reach(&self, table: &Subject) -> Result<Reached<SyncPoint<'_>>> {
        loop {
            let lock = match self.hold(table).await? {
                Reached::Now(lock) => lock,
                Reached::NotThis => return Ok(Reached::NotThis),
                Reached::Lagging => return Ok(Reached::Lagging),
            };
            let begin = "begin isolation level repeatable read read only";
            let provider = self.soon(table, self.provider.begin("take a snapshot", begin)).await?;
            let subscriber = self.subscriber.begin("take a snapshot", begin).await?;
            for tx in [&provider, &subscriber] {
                // The snapshot is taken by the query.
                tx.batch("take a snapshot", sql!("{pin}; select 1", pin = PIN)).await?;
            }
            // Before the lock is released, ours would wait behind those that wait for it.
            lock.rollback("release the table").await?;
            let has_rows_on_provider = shows_rows(&provider, &table.name, table.on_provider).await?;
            if has_rows_on_provider && shows_rows(&subscriber, &table.name, table.on_subscriber).await? {
                return Ok(Reached::Now(SyncPoint { provider, subscriber }));
            }
            tracing::info!("{} was written anew meanwhile", table.name);
            provider.rollback("end the snapshot").await?;
            subscriber.rollback("end the snapshot").await?;
        }
    }

    /// Steps 1 to 3: returns the provider's transaction that holds SHARE on the table. Both sides must have the same
    /// rows until this transaction ends, and writers wait as long. The lock is waited for as in
    /// [`Context::lock_table`].
    ///
    /// Fails when the queue gets no tick for [`TICKER_PATIENCE`], unless `force`.
    pub(super) async fn hold(&self, table: &Subject) -> Result<Reached<Tx<'_>>> {
        let name = &table.name;
        tracing::info!("Locking {name}");
        let sql = sql!("lock table {source} in share mode", source = source(name, table.on_provider));
        let locked = self.context.lock_table(&self.locker, name, TableLock::Writers, async |tx: &Db| {
            tx.batch("lock a table", &sql).await.map_err(|e| e.about(format!("table {name}")))
        });
        let lock = match locked.await {
            Ok((lock, ())) => lock,
            Err(error) => {
                Outcome::of(&self.locker, Err(error))?;
                return Ok(Reached::NotThis);
            }
        };
        tracing::info!("Syncing {name}");
        let tick = self.tick_after_now(table).await?;
        Ok(if self.replay_reaches(table, tick).await? { Reached::Now(lock) } else { Reached::Lagging })
    }

    /// Waits until replay has passed a tick that is made after this call, and returns the tick. Takes no lock, so nobody waits for
    /// it: without `--force` gives up only when replay stands still for [`REPLAY_PATIENCE`], which is logged, and returns `None`.
    pub(super) async fn pass(&self, table: &Subject) -> Result<Option<TickId>> {
        let tick = self.tick_after_now(table).await?;
        let (mut stood_at, mut since) = (None, Instant::now());
        loop {
            let position = self.consumer.position(&self.provider).await?;
            if position.is_some_and(|position| position >= tick) {
                return Ok(Some(tick));
            }
            if position != stood_at {
                (stood_at, since) = (position, Instant::now());
            } else if self.lag == Lag::Limited && since.elapsed() > REPLAY_PATIENCE {
                tracing::error!(
                    "{}",
                    Lines(format!(
                        "Consumer {} has made no progress for {} s, exiting\nHINT: Look into replay's log whether it runs and what it \
                         waits for, or use --force to wait here without a limit.",
                        self.consumer,
                        REPLAY_PATIENCE.as_secs()
                    ))
                );
                return Ok(None);
            }
            self.context.pause(POLL).await?;
        }
    }

    /// Bounds a statement on the provider while the table is locked. Behind a pooler it may have to wait for a server
    /// connection: writers that wait for our lock may have them all, and would wait for each other and us.
    async fn soon<T>(&self, table: &Subject, statement: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.provider.is_pooled() {
            return statement.await;
        }
        tokio::time::timeout(POOL_PATIENCE, statement).await.unwrap_or_else(|_| {
            Err(Error::blocked(
                format!(
                    "no server connection to {} ({}) got free in {} s while {} was locked: the clients that wait for the lock \
                     may have them all",
                    self.provider.role(),
                    self.provider.target(),
                    POOL_PATIENCE.as_secs(),
                    table.name
                ),
                "Give rlondiste a pool of its own: another user, or a database entry of the pooler for rlondiste alone.",
            ))
        })
    }

    /// Whether the consumer is registered, and its lag is small enough (whatever the lag when replay is waited for). If not, the
    /// reason is logged.
    pub(super) async fn is_close(&self) -> Result<bool> {
        let Some(near) = self.is_near().await? else { return Ok(false) };
        let close = self.lag == Lag::WaitedFor || near;
        if !close {
            tracing::error!("{}", Lines(format!("Consumer lagging too much, cannot proceed\n{LAG_HINT}")));
        }
        Ok(close)
    }

    /// Whether the consumer is registered. If not, the reason is logged.
    pub(super) async fn is_registered(&self) -> Result<bool> {
        Ok(self.is_near().await?.is_some())
    }

    /// As the function [`is_near`]; that the consumer is not registered is logged.
    async fn is_near(&self) -> Result<Option<bool>> {
        let near = is_near(&self.provider, &self.consumer).await?;
        if near.is_none() {
            let text = format!("No such consumer: {} on provider ({})", self.consumer, self.provider.target());
            let hint = "HINT: Run \"subscriber register\", or start replay once.";
            tracing::error!("{}", Lines(format!("{}\n{hint}", shown(text))));
        }
        Ok(near)
    }

    /// A tick that was begun after this call. Forces ticks until there are two new ones.
    async fn tick_after_now(&self, table: &Subject) -> Result<TickId> {
        let (provider, queue) = (&self.provider, &self.consumer.queue);
        let first = self.soon(table, consumer::newest_tick(provider, queue)).await?;
        let mut asked = Instant::now();
        let mut last = first;
        loop {
            self.soon(table, consumer::force_tick(provider, queue)).await?;
            self.context.pause(POLL).await?;
            let tick = self.soon(table, consumer::newest_tick(provider, queue)).await?;
            if tick.0 >= first.0 + 2 {
                return Ok(tick);
            }
            if tick > last {
                last = tick;
                asked = Instant::now();
            } else if self.lag == Lag::Limited && asked.elapsed() > TICKER_PATIENCE {
                return Err(Error::blocked(
                    format!("Ticker seems dead: queue {} got no tick in 10 s", self.consumer.queue),
                    "Start it with \"rlondiste TICKER-INI ticker -d\", or look into its log.",
                ));
            }
        }
    }

    /// Waits until replay has finished the batch that ends at this tick, at most `lock_timeout` unless replay is waited for
    /// without a limit. When the time is over, logs an error and returns false.
    async fn replay_reaches(&self, table: &Subject, tick: TickId) -> Result<bool> {
        let started = Instant::now();
        let position = || self.soon(table, self.consumer.position(&self.provider));
        while position().await?.is_none_or(|position| position < tick) {
            if self.lag == Lag::Limited
                && self.context.config.lock_timeout.is_some_and(|limit| started.elapsed() > limit)
            {
                tracing::error!("{}", Lines(format!("Consumer lagging too much, exiting\n{LAG_HINT}")));
                return Ok(false);
            }
            self.context.pause(POLL).await?;
        }
        Ok(true)
    }
}

/// Whether the consumer is not far behind the ticker; `None` when it is not registered.
pub(super) async fn is_near(provider: &Db, consumer: &Consumer) -> Result<Option<bool>> {
    let sql = "select extract(epoch from c.lag)::float8, extract(epoch from q.ticker_lag)::float8
                 from pgq.get_consumer_info($1, $2) c, pgq.get_queue_info($1) q where c.lag is not null";
    let params = [text(&consumer.queue), text(&consumer.name)];
    let row = provider.query_opt("read the consumer's lag", sql, &params).await?;
    Ok(row.map(|row| {
        let (lag, ticker_lag): (f64, Option<f64>) = (row.get(0), row.get(1));
        lag <= ticker_lag.unwrap_or(0.0) + MOST_LAG
    }))
}

/// Locks the table in ACCESS SHARE mode, and returns whether the snapshot of the open transaction shows its rows. For a snapshot
/// that is older than a TRUNCATE, or than an ALTER TABLE that writes the table anew, the table is empty: its file is another one.
async fn shows_rows(tx: &Db, name: &FqName, kind: RelationKind) -> Result<bool> {
    let about = |e: Error| e.about(format!("table {name}"));
    let action = "lock a table for reading";
    tx.batch(action, sql!("lock table {source} in access share mode", source = source(name, kind)))
        .await
        .map_err(about)?;
    // The function reads the newest state of the catalog, the query that of the snapshot.
    let sql = "with recursive tree(relation) as ( \
                   select pg_catalog.to_regclass($1)::oid \
                   union all \
                   select i.inhrelid from pg_catalog.pg_inherits i join tree on i.inhparent = tree.relation where $2) \
               select not exists ( \
                   select from tree join pg_catalog.pg_class c on c.oid = tree.relation \
                   where c.relkind = 'r' and pg_catalog.pg_relation_filenode(c.oid) is distinct from c.relfilenode)";
    let is_partitioned = kind == RelationKind::Partitioned;
    let row = tx.query_one(action, sql, &[text(&name.quoted()), boolean(&is_partitioned)]).await.map_err(about)?;
    Ok(row.get(0))
}
