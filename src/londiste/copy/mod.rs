//! The copy of one table: from `in-copy` to `ok`.
//!
//! 1. A consumer of the copy's own is registered on the provider, at the newest tick.
//! 2. After that, and not before, the snapshot of the COPY is taken. So whatever the snapshot does not show comes to the
//!    consumer as an event; what it does show is told by the event's transaction id and left out.
//! 3. COPY, state `catching-up`, snapshot and the consumer's tick are committed in one transaction of the subscriber.
//! 4. The consumer applies the table's events batch by batch until there is none left: `wanna-sync`.
//! 5. Replay says up to where to go (`do-sync`); when exactly this tick is reached, the table is `ok` and replay's.
//!
//! | the process ends | what the next start finds and does |
//! |---|---|
//! | before 3 is committed | `in-copy`, old rows and indexes; registers anew and copies |
//! | after 3 | `catching-up` and the tick: goes on with 4 |
//! | in 5, before `ok` is committed | `do-sync`: goes on with 5 |
//! | after `ok` is committed | a consumer without a copy: unregistered by replay |

mod catch_up;
mod columns;
mod load;
mod rebuild;
mod throttle;
mod transfer;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config;
use crate::error::{ApplyFault, Error, Result, Role};
use crate::pg::{Db, FqName, text};
use crate::pgq::consumer::{Abilities, Consumer};
use crate::pgq::{TickId, consumer};
use crate::task::Abort;

use super::completed;
use super::news::News;
use super::parking;
use super::replay;
use super::table_state::TableState;
use super::tables::{self, Actor, SubscribedTable};

pub(super) use throttle::Throttle;

/// How long to wait for another process that has the table in hand before looking again.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// The copy of one table.
pub(super) struct Copy {
    config: Arc<config::Londiste>,
    table: FqName,
    consumer: Consumer,
    stop: Abort,
    shared: Shared,
}

/// What all copies of a process have in common. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    /// Ends all copies.
    pub(super) stop: Abort,
    pub(super) news: News,
    pub(super) throttle: Throttle,
    pub(super) goal: Goal,
    pub(super) idle: IdleSessions,
}

/// Sessions that copies have left behind in good order, for the next ones: many small tables would otherwise cost
/// mostly logins. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct IdleSessions(Arc<Mutex<Vec<Sessions>>>);

impl IdleSessions {
    fn take(&self) -> Option<Sessions> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sessions) = idle.pop() {
            if !sessions.provider.is_closed() && !sessions.subscriber.is_closed() {
                return Some(sessions);
            }
        }
        None
    }

    fn keep(&self, sessions: Sessions) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sessions);
    }

    /// Closes them.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// How far to bring a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// `ok`; replay runs in this process.
    Ok,
    /// `wanna-sync`, from where only replay can go on.
    WannaSync,
}

/// The sessions of one copy.
struct Sessions {
    provider: Db,
    subscriber: Db,
    abilities: Abilities,
}

/// What a step of the copy came to.
enum Step {
    /// Look at the state again at once.
    Again,
    /// Nothing to do before a state changes.
    Wait,
    /// The table is in sync, or not ours any more.
    Done,
    /// The table is where others go on.
    Leave,
}

impl Copy {
    pub(super) fn new(config: Arc<config::Londiste>, table: &SubscribedTable, shared: Shared) -> Copy {
        let name = table.copy_consumer.clone().unwrap_or_else(|| format!("{}_copy", config.pgq_consumer_id));
        let consumer = Consumer { queue: config.pgq_queue_name.clone(), name };
        let stop = shared.stop.child_token();
        Copy { table: table.name.clone(), consumer, config, stop, shared }
    }

    /// Ends this copy.
    pub(super) fn stop(&self) -> &Abort {
        &self.stop
    }

    /// The consumer that brings the table's events until replay takes over.
    pub(super) fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// Works until the table has come to the goal, has been removed, or a stop is requested.
    pub(super) async fn run(self) -> Result<()> {
        tokio::select! {
            result = self.work() => if self.stop.is_cancelled() { Err(Error::Aborted) } else { result },
            // The sessions' drivers cancel the running statements.
            () = self.stop.cancelled() => Err(Error::Aborted),
        }
    }

    async fn work(&self) -> Result<()> {
        let sessions = match self.shared.idle.take() {
            Some(sessions) => sessions,
            None => self.open().await?,
        };
        self.lock(&sessions.subscriber).await?;
        let mut applier = super::apply::Applier::new(super::apply::Settings::from(&*self.config));
        loop {
            let mut news = self.shared.news.listener();
            let table = tables::load_one(&sessions.subscriber, &self.consumer.queue, &self.table).await?;
            match self.step(&sessions, &mut applier, table).await {
                Ok(Step::Again) => {}
                Ok(Step::Wait) => news.heard().await,
                Ok(Step::Done) => break,
                Ok(Step::Leave) => return self.unlock(sessions).await,
                Err(Error::Apply(fault)) if fault.is_structure() => return Err(self.park(&sessions, fault).await?),
                Err(error) => return Err(error),
            }
        }
        replay::copies::forget_consumer(&sessions.provider, &sessions.subscriber, &self.consumer, &self.table).await?;
        self.unlock(sessions).await?;
        self.shared.news.announce();
        Ok(())
    }

    async fn open(&self) -> Result<Sessions> {
        let (config, name) = (&self.config, &self.config.common.job_name);
        let provider = Db::open(Role::Provider, &config.provider_db, name, &self.shared.stop).await?;
        let subscriber = Db::open(Role::Subscriber, &config.subscriber_db, name, &self.shared.stop).await?;
        let abilities = Abilities::of(&provider).await?;
        Ok(Sessions { provider, subscriber, abilities })
    }

    async fn step(
        &self,
        sessions: &Sessions,
        applier: &mut super::apply::Applier,
        table: Option<SubscribedTable>,
    ) -> Result<Step> {
        let Some(table) = table else { return Ok(Step::Done) };
        if table.copy_consumer.as_ref().is_some_and(|name| *name != self.consumer.name) {
            // Another process has begun the copy anew, with a consumer of its own.
            return Ok(Step::Done);
        }
        match table.state {
            TableState::Missing | TableState::Ok => Ok(Step::Done),
            TableState::InCopy => {
                self.copy_rows(sessions, &table).await?;
                Ok(Step::Again)
            }
            TableState::CatchingUp => {
                if !self.catch_up(sessions, applier, &table, None).await? {
                    return self.start_over(sessions).await;
                }
                let reached = self.reached(sessions).await?;
                self.change_state(&sessions.subscriber, &table, TableState::WannaSync(reached)).await?;
                self.shared.news.announce();
                Ok(Step::Again)
            }
            TableState::WannaSync(_) => Ok(if self.shared.goal == Goal::WannaSync { Step::Leave } else { Step::Wait }),
            TableState::DoSync(tick) => {
                if !self.catch_up(sessions, applier, &table, Some(tick)).await? {
                    return self.start_over(sessions).await;
                }
                self.change_state(&sessions.subscriber, &table, TableState::Ok).await?;
                self.shared.news.announce();
                Ok(Step::Done)
            }
        }
    }

    /// Steps 1 to 3.
    async fn copy_rows(&self, sessions: &Sessions, table: &SubscribedTable) -> Result<()> {
        let Sessions { provider, subscriber, .. } = sessions;
        // What an earlier try left behind is of no use: its tick may be gone.
        if !self.consumer.register(provider).await? {
            self.consumer.unregister(provider).await?;
            self.consumer.register(provider).await?;
        }
        tracing::info!("Resetting queue tracking on dst side");
        let start = self.consumer.position(provider).await?.ok_or_else(|| {
            provider.unexpected("read the consumer's position", format!("{} is not registered", self.consumer))
        })?;
        tracing::info!("Starting full copy of {}", self.table);
        // Those that came after replay has dropped them: by hand, or restored at that moment. TRUNCATE would fail.
        replay::foreign_keys::drop_all(subscriber, &self.table).await?;
        let tx = subscriber.begin("start the copy", "begin").await?;
        let snapshot = load::copy_table(provider, &tx, &self.config, &self.shared, table).await?;
        tables::store_state(
            &tx,
            &self.consumer.queue,
            &self.table,
            TableState::CatchingUp,
            Some(&snapshot),
            Actor::Copy,
        )
        .await?;
        completed::set_last_tick(&tx, &self.consumer.name, Some(start)).await?;
        tx.commit("commit the copy").await.map_err(|e| e.about(format!("table {}", self.table)))?;
        load::analyze(subscriber, &self.table).await?;
        // Replay may be ahead of an idle queue's next tick, or wait for it.
        consumer::force_tick(provider, &self.consumer.queue).await
    }

    /// The provider does not know the copy's consumer any more, so events may be gone: copy again.
    async fn start_over(&self, sessions: &Sessions) -> Result<Step> {
        tracing::warn!("{} is not registered on the provider any more: copying {} again", self.consumer, self.table);
        let queue = &self.consumer.queue;
        tables::store_state(&sessions.subscriber, queue, &self.table, TableState::InCopy, None, Actor::Copy).await?;
        Ok(Step::Again)
    }

    /// The table's structure is at fault. Replay must not wait for it, so a table that stands at `do-sync` goes back
    /// to `catching-up`. Returns the error that says all that is known.
    async fn park(&self, sessions: &Sessions, mut fault: Box<ApplyFault>) -> Result<Error> {
        parking::find_mend(&sessions.provider, &mut fault).await?;
        let queue = &self.consumer.queue;
        let tx = sessions.subscriber.begin("park a table", "begin").await?;
        let table = tables::load_one(&tx, queue, &self.table).await?;
        if let Some(table) = table.filter(|t| matches!(t.state, TableState::CatchingUp | TableState::DoSync(_))) {
            if table.state != TableState::CatchingUp {
                self.change_state(&tx, &table, TableState::CatchingUp).await?;
            }
            parking::store(&tx, queue, &self.table, &self.consumer.name, &fault).await?;
            tx.commit("park a table").await?;
            self.shared.news.announce();
        }
        Ok(Error::Apply(fault))
    }

    async fn reached(&self, sessions: &Sessions) -> Result<TickId> {
        let action = "read the last applied tick";
        completed::last_tick(&sessions.subscriber, &self.consumer.name).await?.ok_or_else(|| {
            sessions.subscriber.unexpected(
                action,
                format!(
                    "consumer {} of the copy of {} has none; run \"subscriber resync {}\"",
                    self.consumer.name, self.table, self.table
                ),
            )
        })
    }

    async fn change_state(&self, subscriber: &Db, table: &SubscribedTable, state: TableState) -> Result<()> {
        let queue = &self.consumer.queue;
        tables::store_state(subscriber, queue, &self.table, state, table.snapshot.as_ref(), Actor::Copy).await?;
        tracing::info!("Table {} status changed to '{state}'", self.table);
        Ok(())
    }

    /// Keeps two processes from copying one table at the same time. The lock ends with the session.
    async fn lock(&self, subscriber: &Db) -> Result<()> {
        let mut told = false;
        loop {
            let row = subscriber
                .query_one(
                    "lock the table's copy",
                    "select pg_try_advisory_lock(hashtext('rlondiste copy ' || $1), hashtext($2))",
                    &[text(&self.consumer.queue), text(&self.table.to_string())],
                )
                .await?;
            if row.get(0) {
                return Ok(());
            }
            if !told {
                tracing::info!("another process has the copy of {} in hand, waiting for it", self.table);
                told = true;
            }
            tokio::time::sleep(BUSY_PAUSE).await;
        }
    }

    /// Gives the lock back, and the sessions to the next copy.
    async fn unlock(&self, sessions: Sessions) -> Result<()> {
        let sql = "select pg_advisory_unlock(hashtext('rlondiste copy ' || $1), hashtext($2))";
        let table = self.table.to_string();
        let params = [text(&self.consumer.queue), text(&table)];
        sessions.subscriber.query("unlock the table's copy", sql, &params).await?;
        self.shared.idle.keep(sessions);
        Ok(())
    }
}
