//! The task of one table's copy: reads the stored state, and does the step that follows from it.

use std::sync::Arc;
use std::time::Duration;

use super::super::apply::{Applier, Settings};
use super::super::batch::Pace;
use super::super::context::Job;
use super::super::foreign_keys;
use super::super::state::copy_consumer::{self, Hold};
use super::super::state::table_state::{Actor, TableState};
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::super::state::{completed, ledger, lost_changes, parking, pass, skips, verification};
use super::shared::{Sessions, Shared};
use super::{consumers, load, mend};
use crate::config;
use crate::error::{ApplyFault, Error, Result, Role};
use crate::failpoint::failpoint;
use crate::pg::{Db, FqName};
use crate::pgq::consumer::{self, Abilities, Consumer};
use crate::task::Abort;

/// The pause between two looks at a table whose copy another process is working on.
pub(super) const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// The copy of one table.
pub(super) struct Copy {
    pub(super) config: Arc<config::Londiste>,
    pub(super) job: Job,
    pub(super) table: FqName,
    pub(super) consumer: Consumer,
    stop: Abort,
    pub(super) shared: Shared,
}

/// What the task does after a step.
pub(super) enum Step {
    /// Reads the state again at once.
    Again,
    /// Waits until the state of a table changes.
    Wait,
    /// Reads the state again after this time.
    Pause(Duration),
    /// Ends, and unregisters the consumer if no copy needs it: the table is `ok`, `-` or removed, or has another
    /// consumer.
    Done,
    /// Ends with the consumer registered: the next step is replay's.
    Leave,
}

impl Copy {
    pub(super) fn new(config: Arc<config::Londiste>, job: &Job, table: &SubscribedTable, shared: Shared) -> Copy {
        let name = table.copy_consumer.clone().unwrap_or_else(|| copy_consumer::base_name(&job.consumer));
        let consumer = Consumer { queue: job.queue.clone(), name };
        let stop = shared.stop.child_token();
        Copy { table: table.name.clone(), job: job.clone(), consumer, config, stop, shared }
    }

    /// The request that ends this copy.
    pub(super) fn stop(&self) -> &Abort {
        &self.stop
    }

    /// The consumer that reads the table's events until replay takes over.
    pub(super) fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// Works until the table has reached the goal or its copy is void. Fails with `Error::Aborted` when the copy was
    /// told to end, and with the fault when the table was parked.
    pub(super) async fn run(self) -> Result<()> {
        tokio::select! {
            result = self.work() => if self.stop.is_cancelled() { Err(Error::Aborted) } else { result },
            // The request reaches the drivers of the sessions too, which cancel the running statements.
            () = self.stop.cancelled() => Err(Error::Aborted),
        }
    }

    async fn work(&self) -> Result<()> {
        let sessions = match self.shared.idle.take() {
            Some(sessions) => sessions,
            None => self.open().await?,
        };
        let mut applier = Applier::new(Settings::from(&*self.config));
        let mut pace = Pace::default();
        let mut told_busy = false;
        loop {
            let mut changes = self.shared.changes.listener();
            let table = tables::load_one(&sessions.subscriber, &self.consumer.queue, &self.table).await?;
            match Box::pin(self.step(&sessions, (&mut applier, &mut pace), table)).await {
                Ok(Step::Again) => {}
                Ok(Step::Wait) => changes.changed_or_timeout().await,
                Ok(Step::Pause(pause)) => {
                    if pause == BUSY_PAUSE && !std::mem::replace(&mut told_busy, true) {
                        tracing::info!("another process has the copy of {} in hand, waiting for it", self.table);
                    }
                    tokio::time::sleep(pause).await;
                }
                Ok(Step::Done) => break,
                Ok(Step::Leave) => {
                    self.shared.idle.keep(sessions);
                    return Ok(());
                }
                Err(Error::Apply(fault)) if fault.is_structure() => return Err(self.park(&sessions, fault).await?),
                Err(error) => return Err(self.explain(&sessions, error).await),
            }
        }
        consumers::forget(&sessions.provider, &sessions.subscriber, &self.consumer, &self.table).await?;
        self.shared.idle.keep(sessions);
        self.shared.changes.announce();
        Ok(())
    }

    async fn open(&self) -> Result<Sessions> {
        let (config, client) = (&self.config, self.config.common.client());
        let provider = Db::open(Role::Provider, &config.provider_db, client, &self.shared.stop).await?;
        let mut subscriber = Db::open(Role::Subscriber, &config.subscriber_db, client, &self.shared.stop).await?;
        pass::show(&mut subscriber).await?;
        let abilities = Abilities::of(&provider).await?;
        Ok(Sessions { provider, subscriber, abilities })
    }

    async fn step(
        &self,
        sessions: &Sessions,
        how: (&mut Applier, &mut Pace),
        table: Option<SubscribedTable>,
    ) -> Result<Step> {
        let Some(table) = table else { return Ok(Step::Done) };
        if table.copy_consumer.as_ref().is_some_and(|name| *name != self.consumer.name) {
            // Another process has begun a new copy, with another consumer.
            return Ok(Step::Done);
        }
        match table.state {
            TableState::Missing | TableState::Ok => Ok(Step::Done),
            TableState::InCopy => self.copy_rows(sessions, &table).await,
            TableState::CatchingUp => self.catch_up(sessions, how, &table).await,
            TableState::WannaSync(end) => self.wait_for_replay(sessions, &table, end).await,
            TableState::DoSync(end) => self.hand_over(sessions, how, &table, end).await,
        }
    }

    /// Steps 1 to 3. Locks the consumer's row until the rows are committed: no other process can work under the
    /// consumer's name.
    async fn copy_rows(&self, sessions: &Sessions, table: &SubscribedTable) -> Result<Step> {
        let Sessions { provider, subscriber, .. } = sessions;
        let queue = &self.consumer.queue;
        // Foreign keys that were added after `Copies::free_waiting`, by hand or by a restore at that moment, would make
        // TRUNCATE fail.
        foreign_keys::drop_all(subscriber, &self.table).await?;
        let tx = subscriber.begin("start the copy", "begin").await?;
        match copy_consumer::hold(&tx, queue, &self.table, &self.consumer.name).await? {
            Hold::Held => {}
            Hold::Busy => return Ok(Step::Pause(BUSY_PAUSE)),
            Hold::Gone => return Ok(Step::Done),
        }
        // A registration of an earlier try is of no use: the queue may not have its tick any more.
        if !self.consumer.register(provider).await? {
            self.consumer.unregister(provider).await?;
            failpoint!("copy::unregistered_old");
            self.consumer.register(provider).await?;
        }
        failpoint!("copy::registered");
        tracing::info!("Resetting queue tracking on dst side");
        let start = self.consumer.position(provider).await?.ok_or_else(|| {
            provider.unexpected("read the consumer's position", format!("{} is not registered", self.consumer))
        })?;
        tracing::info!("Starting full copy of {}", self.table);
        let snapshot = load::copy_table(provider, &tx, &self.config, &self.shared, table).await?;
        let to = TableState::CatchingUp;
        if tables::transition_with(&tx, queue, table, to, Some(&snapshot), Actor::Copy).await? == Moved::Changed {
            return Ok(Step::Again);
        }
        completed::set_last_tick(&tx, &self.consumer.name, Some(start)).await?;
        ledger::begin(&tx, queue, &self.table).await?;
        verification::forget(&tx, queue, &self.table).await?;
        skips::forget_table(&tx, &self.table).await?;
        failpoint!("copy::stored");
        tx.commit("commit the copy").await.map_err(|e| e.about(format!("table {}", self.table)))?;
        failpoint!("copy::committed");
        load::analyze(subscriber, &self.table).await?;
        failpoint!("copy::analyzed");
        // An idle queue may have no tick for the hand-over.
        consumer::force_tick(provider, queue).await?;
        Ok(Step::Again)
    }

    /// Goes back to `in-copy`: the copy's consumer is not registered on the provider any more, so events may be lost.
    pub(super) async fn start_over(&self, sessions: &Sessions, table: &SubscribedTable) -> Result<Step> {
        tracing::warn!("{} is not registered on the provider any more: copying {} again", self.consumer, self.table);
        let (db, queue) = (&sessions.subscriber, &self.consumer.queue);
        // The state is read again, whether it was changed here or not.
        let _ = tables::transition_with(db, queue, table, TableState::InCopy, None, Actor::Copy).await?;
        self.shared.changes.announce();
        Ok(Step::Again)
    }

    /// Parks the table, whose structure is at fault, and returns the error with the mend added. Replay must not wait
    /// for a parked table, so a table at `do-sync` goes back to `catching-up`.
    async fn park(&self, sessions: &Sessions, mut fault: Box<ApplyFault>) -> Result<Error> {
        mend::find(&sessions.provider, &sessions.subscriber, &mut fault).await?;
        let queue = &self.consumer.queue;
        let tx = sessions.subscriber.begin("park a table", "begin").await?;
        let Some(table) = tables::load_one(&tx, queue, &self.table).await? else { return Ok(Error::Apply(fault)) };
        let stands = match table.state {
            TableState::CatchingUp => true,
            TableState::DoSync(_) => self.change_state(&tx, &table, TableState::CatchingUp).await? == Moved::Moved,
            _ => false,
        };
        if stands && table.copy_consumer.as_ref() == Some(&self.consumer.name) {
            parking::store(&tx, queue, &self.table, &fault).await?;
            failpoint!("parking::stored_by_copy");
            tx.commit("park a table").await?;
            failpoint!("parking::parked_by_copy");
            self.shared.changes.announce();
        }
        Ok(Error::Apply(fault))
    }

    /// The error of the copy, with another hint when lost changes of the table explain why its events cannot be applied: the copy
    /// tries again until replay comes to the event by which the table is copied again.
    async fn explain(&self, sessions: &Sessions, mut error: Error) -> Error {
        if let Ok(Some(reason)) = self.lost_changes(sessions, &error).await {
            error.replace_hint(format!(
                "Changes of table {} before this event were not captured ({reason}). Maintenance on the provider has the table copied \
                 again.",
                self.table
            ));
        }
        error
    }

    /// Why changes of the table may have been lost since its copy, when lost changes explain the error.
    async fn lost_changes(&self, sessions: &Sessions, error: &Error) -> Result<Option<String>> {
        let Sessions { provider, subscriber, .. } = sessions;
        let queue = &self.consumer.queue;
        let Some(table) = tables::load_one(subscriber, queue, &self.table).await? else { return Ok(None) };
        let Some(from) = completed::last_tick(subscriber, &self.consumer.name).await? else { return Ok(None) };
        let tables = std::iter::once(&table);
        let mut reasons = lost_changes::explaining(provider, subscriber, queue, error, tables, from).await?;
        Ok(reasons.remove(&self.table))
    }

    pub(super) async fn change_state(
        &self,
        subscriber: &Db,
        table: &SubscribedTable,
        state: TableState,
    ) -> Result<Moved> {
        let moved = tables::transition(subscriber, &self.consumer.queue, table, state, Actor::Copy).await?;
        if moved == Moved::Moved {
            tracing::info!("Table {} status changed to '{state}'", self.table);
        }
        Ok(moved)
    }
}
