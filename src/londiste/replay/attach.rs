//! Opens replay's sessions, and checks that the position on the subscriber and the consumer on the provider fit.
//!
//! A table that is `ok` holds every event up to the tick in `londiste.completed`, where the next batch of the consumer
//! begins. When the position or the registration is missing, or belongs to another consumer, going on would lose events
//! silently.
//!
//! | consumer on the provider | position on the subscriber | tables `ok` | what replay does |
//! |---|---|---|---|
//! | any | any | none | begins anew, unless the two fit |
//! | registered | stored | some | goes on; each batch is compared with the position |
//! | registered or not | none | some | stops if another consumer has a position for the queue, else begins: the tables were added with `--expect-sync` |
//! | not registered | stored | some | stops: the consumer was unregistered |
//!
//! Replay stops too where a switchover has turned it round ([`turned`]).

use std::time::Instant;

use super::super::copy::copy_void_again;
use super::super::schema;
use super::super::state::copy_consumer::{self, Heirs};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::super::state::{completed, conditions, overlaps, pass, queue_consumer, turned};
use super::demand::Demand;
use super::main_loop::Replay;
use super::sessions::Sessions;
use crate::error::{Error, Result, Role};
use crate::pg::Db;
use crate::pgq::consumer::{self, Abilities, Consumer};

impl Replay {
    /// Opens the sessions, upgrades the subscriber's schema, takes over what SkyTools has left, and registers the
    /// consumer where the table above allows it. Fails with `Error::diverged` where replay has to stop. Holds no lock
    /// at its end.
    pub(super) async fn attach(&mut self) -> Result<Sessions> {
        tracing::debug!("Attaching");
        let (config, abort) = (&self.config, self.control.abort());
        let client = config.common.client();
        let provider = Db::open(Role::Provider, &config.provider_db, client, abort).await?;
        let mut subscriber = Db::open(Role::Subscriber, &config.subscriber_db, client, abort).await?;
        schema::take_over(&subscriber).await?;
        pass::show(&mut subscriber).await?;
        let queue = &self.job.queue;
        conditions::require(&provider, queue).await?;
        turned::refuse(&provider, &subscriber, queue).await?;
        for (table, back) in overlaps::loops(&provider, &subscriber).await? {
            if tables::load_one(&subscriber, queue, &table).await?.is_some() {
                tracing::warn!(
                    "Table {table} goes round: the provider gets it from queue {back} of this subscriber. Run \"subscriber remove \
                     {table}\" on one of the two sides"
                );
            }
        }
        tables::spell_ok(&subscriber, queue).await?;
        copy_void_again(&provider, &subscriber, queue).await?;
        let former_copy = Consumer { queue: queue.clone(), name: copy_consumer::base_name(&self.job.consumer) };
        let heirs = if former_copy.position(&provider).await?.is_some() { Heirs::Any } else { Heirs::Copying };
        copy_consumer::adopt(&subscriber, queue, &self.job.consumer, heirs).await?;
        let abilities = Abilities::of(&provider).await?;
        self.refuse_shared_position(&subscriber).await?;
        self.find_position(&provider, &subscriber).await?;
        let position = self.consumer.position(&provider).await?.ok_or_else(|| {
            provider.unexpected("read the consumer's position", format!("{} is not registered", self.consumer))
        })?;
        queue_consumer::set(&subscriber, queue, &self.job.consumer).await?;
        // Behind a transaction pooler, `listen` would stay on a server connection that the pooler gives to other
        // clients. Without notifications replay waits for `loop_delay`.
        if !provider.is_pooled() {
            provider.batch_alone("listen for ticks", "listen rlondiste_tick").await?;
        }
        if !subscriber.is_pooled() {
            tables::listen(&subscriber).await?;
        }
        self.look_for_unused_at = Instant::now();
        self.capture.forget();
        self.applier.forget();
        self.sequences.forget();
        self.demand = Demand::new(Instant::now());
        self.may_be_quick = false;
        Ok(Sessions { provider, subscriber, abilities, position, unfinished: None })
    }

    /// Fails when tables of another queue rest on the position of this consumer, which is stored by the consumer's name alone.
    async fn refuse_shared_position(&self, subscriber: &Db) -> Result<()> {
        let own = &self.job.consumer;
        for (queue, consumer) in queue_consumer::all(subscriber).await? {
            if queue == self.job.queue || consumer != *own {
                continue;
            }
            if tables::load(subscriber, &queue).await?.iter().any(rests_on_position) {
                return Err(Error::diverged(
                    format!(
                        "tables of queue {queue} on subscriber ({}) are ok by the position of consumer {own}, which this job for queue \
                         {} would move",
                        subscriber.target(),
                        self.job.queue
                    ),
                    "Give the two jobs different pgq_consumer_id. If \"subscriber follow\" was ended half-way, run it again.",
                ));
            }
        }
        Ok(())
    }

    /// Decides by the table at the head of this file.
    async fn find_position(&self, provider: &Db, subscriber: &Db) -> Result<()> {
        let tables = tables::load(subscriber, &self.job.queue).await?;
        let registration = self.consumer.registration(provider).await?;
        let stored = completed::position(subscriber, &self.job.consumer).await?;
        if !tables.iter().any(rests_on_position) {
            let fits = match (&registration, &stored) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(registered), Some(stored)) => {
                    let time = consumer::tick_time(provider, &self.job.queue, stored.tick).await?;
                    (stored.tick == registered.last_tick || Some(stored.tick) == registered.next_tick)
                        && (stored.time.is_none() || time.is_none() || stored.time == time)
                }
            };
            return if fits { Ok(()) } else { self.begin_anew(provider, subscriber).await };
        }
        match (registration, stored) {
            (Some(_), Some(_)) => Ok(()),
            (None, Some(stored)) => Err(Error::diverged(
                format!(
                    "consumer {} is not registered on queue {} on provider ({}) any more, although tables are ok up to \
                     tick {}: somebody has unregistered it",
                    self.job.consumer,
                    self.job.queue,
                    provider.target(),
                    stored.tick
                ),
                "Events may be gone. Stop replay and run it once with --rewind, which registers the consumer at this tick \
                 if the queue still has it; else run \"rlondiste INI subscriber resync --all\".",
            )),
            (registration, None) => {
                self.refuse_other_consumer(provider, subscriber).await?;
                if registration.is_some() { Ok(()) } else { self.begin_anew(provider, subscriber).await }
            }
        }
    }

    /// Registers the consumer, at the newest tick, unless it is registered. Deletes the old position first: when the
    /// process ends in between, the next start finds no position and begins anew too.
    async fn begin_anew(&self, provider: &Db, subscriber: &Db) -> Result<()> {
        tracing::info!("Resetting queue tracking on dst side");
        completed::set_last_tick(subscriber, &self.job.consumer, None).await?;
        self.consumer.register(provider).await.map(drop)
    }

    /// Fails when the `ok` tables rest on the position of another consumer.
    async fn refuse_other_consumer(&self, provider: &Db, subscriber: &Db) -> Result<()> {
        let Some(other) = queue_consumer::other(provider, subscriber, &self.consumer).await? else { return Ok(()) };
        let Consumer { queue, name: own } = &self.consumer;
        Err(Error::diverged(
            format!(
                "tables of queue {queue} on subscriber ({}) are ok by consumer {other}, but this job is consumer {own}, \
                 which has no position",
                subscriber.target()
            ),
            format!(
                "Set pgq_consumer_id = {other} in the ini file, or run \"rlondiste INI subscriber resync --all\" to copy the \
                 tables for the new consumer."
            ),
        ))
    }
}

/// Whether the table's rows are right only together with the position of replay's consumer.
fn rests_on_position(table: &SubscribedTable) -> bool {
    matches!(table.state, TableState::Ok | TableState::DoSync(_))
}
