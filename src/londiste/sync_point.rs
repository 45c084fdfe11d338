//! A moment at which both sides of a table must hold the same rows; shared by `compare` and `repair`.
//!
//! 1. The table is locked against writers on the provider.
//! 2. Two ticks are waited for. The first may have been begun before the lock, the second was not: every change of the
//!    table is in a batch that ends there or earlier.
//! 3. Replay is waited for until it has finished the batch of this tick.
//! 4. A snapshot is taken on both sides, and the lock released: from here on only the snapshots are read.

use std::time::{Duration, Instant};

use crate::config;
use crate::error::{Error, Result};
use crate::job::{Control, Wake};
use crate::pg::{Db, FqName, Role, Tx, text};
use crate::pgq::consumer::Consumer;
use crate::pgq::{TickId, consumer};

/// How often to look for the tick and for replay.
const POLL: Duration = Duration::from_millis(100);

/// A ticker that makes no tick in this time although it is asked to is taken for dead.
const TICKER_PATIENCE: Duration = Duration::from_secs(10);

/// Takes the snapshot, and makes values look the same on both sides.
const PIN: &str = "set local datestyle = 'ISO, YMD'; set local timezone = 'UTC';
     set local intervalstyle = postgres; set local extra_float_digits = 3; set local bytea_output = hex; select 1";

/// How far replay may be behind the ticker at the start.
const MOST_LAG: f64 = 10.0;

/// The sessions and settings of a comparison.
pub(super) struct SyncPoints<'a> {
    config: &'a config::Londiste,
    control: &'a Control,
    consumer: Consumer,
    /// Wait for replay without a limit.
    force: bool,
    locker: Db,
    provider: Db,
    subscriber: Db,
}

/// Two transactions that read one moment of the queue.
pub(super) struct SyncPoint<'a> {
    pub(super) provider: Tx<'a>,
    pub(super) subscriber: Tx<'a>,
}

impl<'a> SyncPoints<'a> {
    pub(super) async fn open(config: &'a config::Londiste, control: &'a Control, force: bool) -> Result<Self> {
        let (name, abort) = (&config.common.job_name, control.abort());
        Ok(SyncPoints {
            locker: Db::open(Role::Provider, &config.provider_db, name, abort).await?,
            provider: Db::open(Role::Provider, &config.provider_db, name, abort).await?,
            subscriber: Db::open(Role::Subscriber, &config.subscriber_db, name, abort).await?,
            consumer: Consumer { queue: config.pgq_queue_name.clone(), name: config.pgq_consumer_id.clone() },
            config,
            control,
            force,
        })
    }

    pub(super) fn provider(&self) -> &Db {
        &self.provider
    }

    pub(super) fn subscriber(&self) -> &Db {
        &self.subscriber
    }

    /// Brings a table to such a moment.
    pub(super) async fn reach(&self, table: &FqName) -> Result<SyncPoint<'_>> {
        tracing::info!("Locking {table}");
        let lock = self.locker.begin("lock the table", "begin").await?;
        lock.limit_lock_wait(self.config.lock_timeout).await?;
        lock.batch("lock the table", &format!("lock table only {} in share mode", table.quoted()))
            .await
            .map_err(|e| e.about(format!("table {table}")))?;
        tracing::info!("Syncing {table}");
        self.check_lag().await?;
        let tick = self.tick_after_now().await?;
        self.wait_for_replay(tick).await?;
        let begin = "begin isolation level repeatable read read only";
        let provider = self.provider.begin("take a snapshot", begin).await?;
        let subscriber = self.subscriber.begin("take a snapshot", begin).await?;
        provider.batch("take a snapshot", PIN).await?;
        subscriber.batch("take a snapshot", PIN).await?;
        lock.rollback("release the table").await?;
        Ok(SyncPoint { provider, subscriber })
    }

    async fn check_lag(&self) -> Result<()> {
        let row = self
            .provider
            .query_opt(
                "read the consumer's lag",
                "select extract(epoch from c.lag)::float8, extract(epoch from q.ticker_lag)::float8
                   from pgq.get_consumer_info($1, $2) c, pgq.get_queue_info($1) q where c.lag is not null",
                &[text(&self.consumer.queue), text(&self.consumer.name)],
            )
            .await?;
        let Some(row) = row else {
            return Err(Error::refused(
                format!("No such consumer: {} on provider ({})", self.consumer, self.provider.target()),
                "Run \"subscriber register\", or start replay once.",
            ));
        };
        let (lag, ticker_lag): (f64, Option<f64>) = (row.get(0), row.get(1));
        if !self.force && lag > ticker_lag.unwrap_or(0.0) + MOST_LAG {
            return Err(lagging("cannot proceed"));
        }
        Ok(())
    }

    /// A tick that was begun after this call.
    async fn tick_after_now(&self) -> Result<TickId> {
        let first = self.newest_tick().await?;
        let mut asked = Instant::now();
        let mut last = first;
        loop {
            consumer::force_tick(&self.provider, &self.consumer.queue).await?;
            self.pause().await?;
            let tick = self.newest_tick().await?;
            if tick.0 >= first.0 + 2 {
                return Ok(tick);
            }
            if tick > last {
                last = tick;
                asked = Instant::now();
            } else if !self.force && asked.elapsed() > TICKER_PATIENCE {
                return Err(Error::refused(
                    format!("Ticker seems dead: queue {} got no tick in 10 s", self.consumer.queue),
                    "Start it with \"rlondiste TICKER-INI ticker -d\", or look into its log.",
                ));
            }
        }
    }

    async fn newest_tick(&self) -> Result<TickId> {
        let row = self
            .provider
            .query_one(
                "read the newest tick",
                "select coalesce(max(t.tick_id), 0) from pgq.tick t, pgq.queue q
                  where t.tick_queue = q.queue_id and q.queue_name = $1",
                &[text(&self.consumer.queue)],
            )
            .await?;
        Ok(TickId(row.get(0)))
    }

    async fn wait_for_replay(&self, tick: TickId) -> Result<()> {
        let started = Instant::now();
        while self.consumer.position(&self.provider).await?.is_none_or(|position| position < tick) {
            if !self.force && self.config.lock_timeout.is_some_and(|limit| started.elapsed() > limit) {
                return Err(lagging("exiting"));
            }
            self.pause().await?;
        }
        Ok(())
    }

    async fn pause(&self) -> Result<()> {
        match self.control.sleep(POLL).await {
            Wake::Stop => Err(Error::Aborted),
            Wake::Elapsed | Wake::Reload => Ok(()),
        }
    }
}

fn lagging(what: &str) -> Error {
    Error::refused(
        format!("Consumer lagging too much, {what}"),
        "Wait until replay has caught up, or use --force to wait here without a limit (writers of the table wait too).",
    )
}
