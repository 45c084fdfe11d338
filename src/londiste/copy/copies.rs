//! The copies that run in this process: one task for each table, started again after a failure.
//!
//! Any process may continue a copy that another process has left unfinished: the stored state decides which step
//! follows, and each step checks the state. But a process ends only its own tasks, and unregisters at a stop only the
//! consumers of its own tasks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};
use tokio_postgres::error::SqlState;

use super::super::context::Job;
use super::super::foreign_keys;
use super::super::state::changes::StateChanges;
use super::super::state::copy_consumer;
use super::super::state::sources::{self, Break, Sources};
use super::super::state::table_state::{Actor, TableState};
use super::super::state::tables::{self, Moved, SubscribedTable};
use super::consumers;
use super::shared::{Goal, IdleSessions, Shared};
use super::table_copy::Copy;
use super::throttle::Throttle;
use crate::config;
use crate::error::{Error, Report, Result, Role};
use crate::failpoint::failpoint;
use crate::job::Control;
use crate::pg::{Db, FqName, text_array};
use crate::pgq::consumer::Consumer;
use crate::task::Abort;
use crate::text::Lines;

/// Pause after the first failure of a table's copy; doubled after each further failure, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a stop may take to unregister the consumers of copies that have to begin again anyway.
const CLEAN_UP_TIME: Duration = Duration::from_secs(3);

/// The pause before the next try for a table whose foreign keys could not be dropped because of a lock.
const LOCKED_PAUSE: Duration = Duration::from_secs(10);

/// The copies of this process.
pub(crate) struct Copies {
    job: Job,
    tasks: JoinSet<Result<()>>,
    running: HashMap<Id, Running>,
    failures: HashMap<FqName, Failure>,
    /// Tables that wait for their copies and whose foreign keys are dropped.
    freed: HashSet<FqName>,
    /// Tables whose foreign keys could not be dropped because of a lock, with the time of the next try.
    locked: HashMap<FqName, Instant>,
    /// Tables that wait because the provider does not have them in the queue's set any more: each is logged once.
    not_offered: HashSet<FqName>,
    shared: Shared,
}

struct Running {
    table: FqName,
    consumer: Consumer,
    stop: Abort,
}

/// What happens to a table whose copy has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterFailure {
    /// The copy is tried again after a pause.
    Retry,
    /// The table is parked until a person has mended its structure.
    Park,
}

struct Failure {
    pause: Duration,
    again_at: Instant,
    /// The text of the error, which has been logged.
    text: String,
}

impl Copies {
    /// No copy runs yet. All copies end when `control` is told to abort.
    pub(crate) fn new(
        job: Job,
        config: &config::Londiste,
        control: &Control,
        changes: &StateChanges,
        goal: Goal,
    ) -> Copies {
        Copies {
            job,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            failures: HashMap::new(),
            freed: HashSet::new(),
            locked: HashMap::new(),
            not_offered: HashSet::new(),
            shared: Shared {
                // Is cancelled with the process's abort request.
                stop: control.abort().child_token(),
                changes: changes.clone(),
                throttle: Throttle::new(config.copy_rate_limit),
                goal,
                idle: IdleSessions::default(),
            },
        }
    }

    /// Changes the limit of the rate of all copies together, in bytes a second (0: none), also for running copies.
    pub(crate) fn limit_rate(&self, bytes_per_second: u64) {
        self.shared.throttle.set(bytes_per_second);
    }

    /// Closes the sessions that wait for the next copy: connection strings may have changed.
    pub(crate) fn close_idle(&self) {
        self.shared.idle.clear();
    }

    /// Removes the copies that have ended, and logs the failed ones. Closes idle sessions when no copy runs.
    pub(crate) fn reap(&mut self) {
        if self.running.is_empty() {
            self.close_idle();
        }
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let (id, failure) = match ended {
                Ok((id, Ok(()))) => (id, None),
                Ok((id, Err(error))) => {
                    let parks = matches!(&error, Error::Apply(fault) if fault.is_structure());
                    let next = if parks { AfterFailure::Park } else { AfterFailure::Retry };
                    (id, Some((Report(&error).to_string(), next)))
                }
                Err(error) => (error.id(), Some((error.to_string(), AfterFailure::Retry))),
            };
            let Some(Running { table, stop, .. }) = self.running.remove(&id) else { continue };
            match failure {
                None => {
                    self.failures.remove(&table);
                }
                Some(_) if stop.is_cancelled() => {}
                Some((text, next)) => self.note_failure(table, text, next),
            }
        }
    }

    /// Tells the copies to end that a command has made void: the table is not subscribed any more, or is to be copied
    /// anew.
    pub(crate) fn stop_void(&mut self, tables: &[SubscribedTable]) {
        for running in self.running.values().filter(|r| !r.stop.is_cancelled()) {
            match tables.iter().find(|t| t.name == running.table).map(|t| t.state) {
                None => tracing::info!("Table {} has been removed, ending its copy", running.table),
                Some(TableState::Missing) => tracing::info!("Table {} is to be copied again", running.table),
                Some(_) => continue,
            }
            running.stop.cancel();
        }
        self.failures.retain(|name, _| tables.iter().any(|t| t.name == *name && t.state.is_copying()));
    }

    fn note_failure(&mut self, table: FqName, text: String, next: AfterFailure) {
        let last = self.failures.get(&table);
        let pause = last.map_or(FIRST_PAUSE, |f| (f.pause * 2).min(LONGEST_PAUSE));
        let seconds = pause.as_secs();
        match next {
            AfterFailure::Retry => {
                crate::job::critical(format_args!("copy of {table} failed, next try in {seconds} s: {}", Lines(&text)));
            }
            // The table waits for an operator: one line for each new reason is enough.
            AfterFailure::Park if last.is_some_and(|f| f.text == text) => {}
            AfterFailure::Park => {
                crate::job::critical(format_args!("Table {table} is parked, the other tables go on: {}", Lines(&text)));
            }
        }
        self.failures.insert(table, Failure { pause, again_at: Instant::now() + pause, text });
    }

    /// Delays the first try of a table that replay has parked and logged with this text: the text is not logged again.
    pub(crate) fn note_parked(&mut self, table: FqName, text: String) {
        self.failures.insert(table, Failure { pause: FIRST_PAUSE, again_at: Instant::now() + FIRST_PAUSE, text });
    }

    /// Whether no copy runs or is to be tried again.
    pub(crate) fn are_over(&self) -> bool {
        self.running.is_empty() && self.failures.is_empty()
    }

    fn is_running(&self, table: &FqName) -> bool {
        self.running.values().any(|r| r.table == *table)
    }

    /// Whether the table's copy has failed and waits for its next try.
    pub(crate) fn failed_lately(&self, table: &FqName) -> bool {
        self.failures.get(table).is_some_and(|f| Instant::now() < f.again_at) && !self.is_running(table)
    }

    /// Whether the table is not copied because the provider does not have it in the queue's set any more.
    pub(crate) fn leaves_out(&self, table: &FqName) -> bool {
        self.not_offered.contains(table)
    }

    /// Drops the foreign keys from and to every table that waits for its copy, with the locks of
    /// [`foreign_keys::drop_all`]. Events of such a table are left out, and a row of another table may refer to the row
    /// of such an event: the keys must be gone when the first event is left out, not only when a place for the copy is
    /// free.
    ///
    /// Returns whether the keys of all such tables are dropped. A table whose lock is not granted is tried again after
    /// [`LOCKED_PAUSE`].
    pub(crate) async fn free_waiting(&mut self, subscriber: &Db, tables: &[SubscribedTable]) -> Result<bool> {
        let waits = |name: &FqName| tables.iter().any(|t| t.name == *name && t.state == TableState::Missing);
        self.freed.retain(waits);
        self.locked.retain(|name, _| waits(name));
        let mut all = true;
        for table in tables.iter().filter(|t| t.state == TableState::Missing) {
            let name = &table.name;
            if self.freed.contains(name) {
                continue;
            }
            if self.locked.get(name).is_some_and(|until| Instant::now() < *until) {
                all = false;
                continue;
            }
            match foreign_keys::drop_all(subscriber, name).await {
                Ok(()) => {
                    self.freed.insert(name.clone());
                }
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    tracing::warn!("copy of {name} has to wait: {}", Report(&error));
                    self.locked.insert(name.clone(), Instant::now() + LOCKED_PAUSE);
                    all = false;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Changes waiting tables from `-` to `in-copy`, the biggest first, up to `parallel_copies`, and gives each a
    /// consumer name. Passes over tables whose foreign keys are not dropped, whose void copy still runs, or which the
    /// provider had in the queue's set and has no more. Returns whether a state was changed.
    pub(crate) async fn begin(
        &mut self,
        config: &config::Londiste,
        provider: &Db,
        subscriber: &Db,
        tables: &[SubscribedTable],
    ) -> Result<bool> {
        let room = self.room(config, tables);
        // A copy that a command has made void uses the table's consumer until the copy has ended.
        let may_begin = |t: &&SubscribedTable| {
            t.state == TableState::Missing && self.freed.contains(&t.name) && !self.is_running(&t.name)
        };
        let waiting: Vec<&SubscribedTable> = tables.iter().filter(may_begin).collect();
        if room == 0 || waiting.is_empty() || self.shared.stop.is_cancelled() {
            return Ok(false);
        }
        let offered = sources::offered(provider, &self.job.queue).await?;
        let waiting = self.keep_offered(subscriber, &offered, waiting).await?;
        let mut begun = 0;
        for table in biggest_first(provider, waiting).await? {
            let since = offered.get(&table.name);
            begun += usize::from(self.begin_one(subscriber, table, since).await? == Moved::Moved);
            if begun == room || self.shared.stop.is_cancelled() {
                break;
            }
        }
        Ok(begun > 0)
    }

    /// Leaves out the tables that the provider had in the set and has no more: nothing captures their changes. A table that was
    /// never in the set is one whose events another program writes.
    async fn keep_offered<'a>(
        &mut self,
        subscriber: &Db,
        offered: &Sources,
        waiting: Vec<&'a SubscribedTable>,
    ) -> Result<Vec<&'a SubscribedTable>> {
        let queue = &self.job.queue;
        self.not_offered.retain(|name| !offered.contains_key(name));
        if waiting.iter().all(|t| offered.contains_key(&t.name)) {
            return Ok(waiting);
        }
        let stored = sources::stored(subscriber, queue).await?;
        let (kept, left): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|t| offered.contains_key(&t.name) || !stored.contains_key(&t.name));
        for table in left {
            if self.not_offered.insert(table.name.clone()) {
                let (name, reason) = (&table.name, Break::NotInSet.reason(queue));
                tracing::warn!(
                    "Table {name} is not copied: {reason}. Add it there with \"rlondiste INI provider add {name}\", or run \
                     \"rlondiste INI subscriber remove {name}\""
                );
            }
        }
        Ok(kept)
    }

    /// Stores state, consumer name and, where it is known, since when the table is captured, in one transaction: a `copy`
    /// command that runs beside replay may have read the same `-` and stored its change first. Then nothing is changed.
    async fn begin_one(&self, subscriber: &Db, table: &SubscribedTable, since: Option<&String>) -> Result<Moved> {
        let queue = &self.job.queue;
        let tx = subscriber.begin("start the copy", "begin").await?;
        if copy_consumer::take(&tx, queue, &table.name, &self.job.consumer).await?.is_none() {
            tracing::info!("another process has the copy of {} in hand, waiting for it", table.name);
            return Ok(Moved::Changed);
        }
        if tables::transition(&tx, queue, table, TableState::InCopy, Actor::Replay).await? == Moved::Changed {
            return Ok(Moved::Changed);
        }
        if let Some(since) = since {
            sources::store(&tx, queue, &[(&table.name, since)]).await?;
        }
        failpoint!("copy::named");
        tx.commit("start the copy").await?;
        failpoint!("copy::begun");
        tracing::info!("Table {} status changed to '{}'", table.name, TableState::InCopy);
        Ok(Moved::Moved)
    }

    /// How many more copies may begin: `parallel_copies`, less the tables that are being copied by any process. Parked
    /// tables and tables that wait for the next try of their copy do not count.
    fn room(&self, config: &config::Londiste, tables: &[SubscribedTable]) -> usize {
        let goal = self.shared.goal;
        let is_busy = |t: &&SubscribedTable| match t.state {
            _ if t.is_parked() => false,
            TableState::InCopy | TableState::CatchingUp => !self.failed_lately(&t.name),
            TableState::WannaSync(_) | TableState::DoSync(_) => goal == Goal::Ok,
            TableState::Missing | TableState::Ok => false,
        };
        parallel_copies(config).saturating_sub(tables.iter().filter(is_busy).count())
    }

    /// Starts a task for each table that needs one and has none in this process, up to `parallel_copies` tasks of each
    /// [`Lane`]. A table that waits for replay needs no task.
    pub(crate) fn start(&mut self, config: &Arc<config::Londiste>, tables: &[SubscribedTable]) {
        let goal = self.shared.goal;
        for table in tables {
            let Some(lane) = Lane::of(table).filter(|lane| *lane != Lane::Urgent || goal == Goal::Ok) else { continue };
            let in_lane = |t: &&SubscribedTable| Lane::of(t) == Some(lane) && self.is_running(&t.name);
            let held_up = self.is_running(&table.name) || self.failed_lately(&table.name);
            let full = tables.iter().filter(in_lane).count() >= parallel_copies(config);
            if held_up || full || self.shared.stop.is_cancelled() {
                continue;
            }
            tracing::info!("Launching copy process");
            let copy = Copy::new(config.clone(), &self.job, table, self.shared.clone());
            let (consumer, stop) = (copy.consumer().clone(), copy.stop().clone());
            let running = Running { table: table.name.clone(), consumer, stop };
            let id = self.tasks.spawn(copy.run()).id();
            self.running.insert(id, running);
        }
    }

    /// Unregisters the consumers of copies that are over and whose process ended before it could: such a consumer keeps
    /// the provider from rotating its event tables. Locks and errors are those of [`consumers::forget`].
    pub(crate) async fn forget_unused(&self, provider: &Db, subscriber: &Db) -> Result<()> {
        let queue = &self.job.queue;
        for (table, name) in copy_consumer::unused(subscriber, queue).await? {
            if !self.running.values().any(|r| r.consumer.name == name) {
                let consumer = Consumer { queue: queue.clone(), name };
                consumers::forget(provider, subscriber, &consumer, &table).await?;
            }
        }
        Ok(())
    }

    /// Ends all copies of this process and waits until their tasks are over. A table at `in-copy` has to be copied from
    /// the beginning, so its consumer is unregistered, in at most [`CLEAN_UP_TIME`]; a table in a later state keeps its
    /// consumer and continues at the next start. Errors are only logged.
    pub(crate) async fn stop(&mut self, config: &config::Londiste) {
        self.shared.stop.cancel();
        if self.tasks.is_empty() {
            return;
        }
        while self.tasks.join_next().await.is_some() {}
        let own: Vec<Running> = self.running.drain().map(|(_, running)| running).collect();
        let abort = self.shared.stop.for_clean_up();
        match tokio::time::timeout(CLEAN_UP_TIME, unregister_unfinished(config, &own, &abort)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("consumers of copies stay registered: {}", Report(&error)),
            Err(_) => tracing::warn!("consumers of copies stay registered: the provider does not answer"),
        }
    }
}

/// Groups of tables; each group has `parallel_copies` places of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// The table stands at `do-sync`: replay waits for it.
    Urgent,
    /// The table is parked: its copy tries again after pauses, until an operator has mended the table.
    Parked,
    /// The table is copied, or catches up after its copy.
    Copy,
}

impl Lane {
    fn of(table: &SubscribedTable) -> Option<Lane> {
        match table.state {
            TableState::DoSync(_) => Some(Lane::Urgent),
            TableState::InCopy | TableState::CatchingUp if table.is_parked() => Some(Lane::Parked),
            TableState::InCopy | TableState::CatchingUp => Some(Lane::Copy),
            TableState::Missing | TableState::WannaSync(_) | TableState::Ok => None,
        }
    }
}

fn parallel_copies(config: &config::Londiste) -> usize {
    usize::try_from(config.parallel_copies.max(1)).unwrap_or(1)
}

/// The tables by descending size on the provider: when the biggest table starts last, all others have to wait for it
/// alone.
async fn biggest_first<'a>(provider: &Db, tables: Vec<&'a SubscribedTable>) -> Result<Vec<&'a SubscribedTable>> {
    if tables.len() < 2 {
        return Ok(tables);
    }
    let names: Vec<String> = tables.iter().map(|t| t.name.quoted()).collect();
    let sql = "select nr - 1 from pg_catalog.unnest($1) with ordinality as u(name, nr)
                order by coalesce(pg_catalog.pg_table_size(pg_catalog.to_regclass(name)), 0) desc, nr";
    let rows = provider.query("read the sizes of tables", sql, &[text_array(&names)]).await?;
    Ok(rows.iter().filter_map(|row| tables.get(usize::try_from(row.get::<_, i64>(0)).ok()?).copied()).collect())
}

async fn unregister_unfinished(config: &config::Londiste, own: &[Running], abort: &Abort) -> Result<(), Error> {
    // Replay's sessions are closed or cancelled when this runs.
    let client = config.common.client();
    let subscriber = Db::open(Role::Subscriber, &config.subscriber_db, client, abort).await?;
    let provider = Db::open(Role::Provider, &config.provider_db, client, abort).await?;
    for Running { table, consumer, .. } in own {
        let tx = subscriber.begin("take back a copy's consumer", "begin").await?;
        let Some(stored) = tables::load_one(&tx, &consumer.queue, table).await? else { continue };
        let is_own = stored.state == TableState::InCopy
            && copy_consumer::hold(&tx, &consumer.queue, table, &consumer.name).await? == copy_consumer::Hold::Held;
        if is_own && consumer.position(&provider).await?.is_some() {
            consumer.unregister(&provider).await?;
        }
        tx.commit("take back a copy's consumer").await?;
    }
    Ok(())
}
