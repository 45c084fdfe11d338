//! The copies that run as tasks of this process: one task a table, started again after a failure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};

use crate::config;
use crate::error::{Error, Report, Result, Role};
use crate::job::Control;
use crate::pg::{Db, FqName, text};
use crate::pgq::consumer::Consumer;
use crate::task::Abort;
use crate::text::Lines;

use super::super::completed;
use super::super::copy::{Copy, Goal, IdleSessions, Shared, Throttle};
use super::super::news::News;
use super::super::table_state::TableState;
use super::super::tables::{self, SubscribedTable};

/// Pause after the first failure of a table's copy; doubled with each further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a stop may take for taking back the consumers of copies that have to start over anyway.
const CLEAN_UP_TIME: Duration = Duration::from_secs(3);

/// The running copies.
pub(super) struct Copies {
    tasks: JoinSet<Result<()>>,
    running: HashMap<Id, Running>,
    failures: HashMap<FqName, Failure>,
    shared: Shared,
}

struct Running {
    table: FqName,
    consumer: String,
    stop: Abort,
}

struct Failure {
    pause: Duration,
    again_at: Instant,
    /// What is known and logged.
    text: String,
}

impl Copies {
    pub(super) fn new(config: &config::Londiste, control: &Control, news: &News, goal: Goal) -> Copies {
        Copies {
            tasks: JoinSet::new(),
            running: HashMap::new(),
            failures: HashMap::new(),
            shared: Shared {
                // Fires by itself on an abort.
                stop: control.abort().child_token(),
                news: news.clone(),
                throttle: Throttle::new(config.copy_rate_limit),
                goal,
                idle: IdleSessions::default(),
            },
        }
    }

    /// Changes the limit of the copies' rate, also for those that run.
    pub(super) fn limit_rate(&self, bytes_per_second: u64) {
        self.shared.throttle.set(bytes_per_second);
    }

    /// Whether a task that has not ended yet uses this consumer name.
    pub(super) fn has_consumer(&self, name: &str) -> bool {
        self.running.values().any(|r| r.consumer == name)
    }

    /// Closes the sessions that wait for the next copy: connection strings may have changed.
    pub(super) fn close_idle(&self) {
        self.shared.idle.clear();
    }

    /// Takes note of the copies that have ended, and reports those that failed.
    pub(super) fn reap(&mut self) {
        if self.running.is_empty() {
            self.close_idle();
        }
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let (id, failure) = match ended {
                Ok((id, Ok(()))) => (id, None),
                Ok((id, Err(error))) => {
                    let parks = matches!(&error, Error::Apply(fault) if fault.is_structure());
                    (id, Some((Report(&error).to_string(), parks)))
                }
                Err(error) => (error.id(), Some((error.to_string(), false))),
            };
            let Some(Running { table, stop, .. }) = self.running.remove(&id) else { continue };
            match failure {
                None => {
                    self.failures.remove(&table);
                }
                Some(_) if stop.is_cancelled() => {}
                Some((text, parks)) => self.note_failure(table, text, parks),
            }
        }
    }

    /// Ends the copies of tables that are not subscribed any more.
    pub(super) fn stop_removed(&mut self, tables: &[SubscribedTable]) {
        let gone = |name: &FqName| !tables.iter().any(|t| t.name == *name);
        for running in self.running.values().filter(|r| gone(&r.table) && !r.stop.is_cancelled()) {
            tracing::info!("Table {} has been removed, ending its copy", running.table);
            running.stop.cancel();
        }
        self.failures.retain(|name, _| tables.iter().any(|t| t.name == *name && t.state.is_copying()));
    }

    fn note_failure(&mut self, table: FqName, text: String, parks: bool) {
        let last = self.failures.get(&table);
        let pause = last.map_or(FIRST_PAUSE, |f| (f.pause * 2).min(LONGEST_PAUSE));
        let seconds = pause.as_secs();
        if !parks {
            crate::job::critical(format_args!("copy of {table} failed, next try in {seconds} s: {}", Lines(&text)));
        } else if last.is_none_or(|f| f.text != text) {
            // It waits for a person: to say so once is enough.
            crate::job::critical(format_args!("Table {table} is parked, the other tables go on: {}", Lines(&text)));
        }
        self.failures.insert(table, Failure { pause, again_at: Instant::now() + pause, text });
    }

    /// A table was parked, which has been logged with this text.
    pub(super) fn note_parked(&mut self, table: FqName, text: String) {
        self.failures.insert(table, Failure { pause: FIRST_PAUSE, again_at: Instant::now() + FIRST_PAUSE, text });
    }

    /// How many more copies may begin. One that waits for its next try leaves its place to others.
    pub(super) fn room(&self, config: &config::Londiste, tables: &[SubscribedTable]) -> usize {
        let goal = self.shared.goal;
        let is_busy = |t: &&SubscribedTable| match t.state {
            _ if t.parked => false,
            TableState::InCopy | TableState::CatchingUp => !self.failed_lately(&t.name),
            TableState::WannaSync(_) | TableState::DoSync(_) => goal == Goal::Ok,
            TableState::Missing | TableState::Ok => false,
        };
        most(config).saturating_sub(tables.iter().filter(is_busy).count())
    }

    fn is_running(&self, table: &FqName) -> bool {
        self.running.values().any(|r| r.table == *table)
    }

    /// Whether the table's copy has failed and waits for its next try.
    fn failed_lately(&self, table: &FqName) -> bool {
        self.failures.get(table).is_some_and(|f| Instant::now() < f.again_at) && !self.is_running(table)
    }

    /// Starts tasks for tables that a copy should have in hand and none has, up to `parallel_copies` of each
    /// [`Lane`] at a time. There is nothing to do for a table that waits for replay.
    pub(super) fn start_missing(&mut self, config: &Arc<config::Londiste>, tables: &[SubscribedTable]) {
        let goal = self.shared.goal;
        for table in tables {
            let Some(lane) = Lane::of(table).filter(|lane| *lane != Lane::Urgent || goal == Goal::Ok) else { continue };
            let in_lane = |t: &&SubscribedTable| Lane::of(t) == Some(lane) && self.is_running(&t.name);
            let held_up = self.is_running(&table.name) || self.failed_lately(&table.name);
            let full = tables.iter().filter(in_lane).count() >= most(config);
            if held_up || full || self.shared.stop.is_cancelled() {
                continue;
            }
            tracing::info!("Launching copy process");
            let copy = Copy::new(config.clone(), table, self.shared.clone());
            let (consumer, stop) = (copy.consumer().name.clone(), copy.stop().clone());
            let running = Running { table: table.name.clone(), consumer, stop };
            let id = self.tasks.spawn(copy.run()).id();
            self.running.insert(id, running);
        }
    }

    /// Unregisters the consumers of copies that are over, where the process ended before it could do so: they would
    /// keep the provider from rotating its event tables.
    pub(super) async fn forget_orphans(&self, config: &config::Londiste, provider: &Db, subscriber: &Db) -> Result<()> {
        let queue = &config.pgq_queue_name;
        let rows = subscriber
            .query(
                "look for consumers of former copies",
                "select p.table_name, p.consumer_id from londiste.table_position p
                        left join londiste.subscriber_table t using (queue_name, table_name)
                  where p.queue_name = $1 and coalesce(t.merge_state, 'ok') in ('ok', '?')",
                &[text(queue)],
            )
            .await?;
        for row in rows {
            let (name, consumer) = (FqName::parse(row.get(0)), row.get::<_, String>(1));
            if !self.has_consumer(&consumer) {
                forget_consumer(provider, subscriber, &Consumer { queue: queue.clone(), name: consumer }, &name)
                    .await?;
            }
        }
        Ok(())
    }

    /// Ends all copies. Those that were in the middle of the COPY have to start over, so their consumers are taken
    /// back; all others keep theirs and go on at the next start.
    pub(super) async fn stop(&mut self, config: &config::Londiste) {
        self.shared.stop.cancel();
        if self.tasks.is_empty() {
            return;
        }
        while self.tasks.join_next().await.is_some() {}
        self.running.clear();
        match tokio::time::timeout(CLEAN_UP_TIME, unregister_unfinished(config, &self.shared.stop.for_clean_up())).await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("consumers of copies stay registered: {}", Report(&error)),
            Err(_) => tracing::warn!("consumers of copies stay registered: the provider does not answer"),
        }
    }
}

/// Tables that do not wait for each other's places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Replay waits for it.
    Urgent,
    /// It has been copied long ago and may be mended at any time.
    Parked,
    /// It is copied, or catches up after it.
    Copy,
}

impl Lane {
    fn of(table: &SubscribedTable) -> Option<Lane> {
        match table.state {
            TableState::DoSync(_) => Some(Lane::Urgent),
            TableState::InCopy | TableState::CatchingUp if table.parked => Some(Lane::Parked),
            TableState::InCopy | TableState::CatchingUp => Some(Lane::Copy),
            TableState::Missing | TableState::WannaSync(_) | TableState::Ok => None,
        }
    }
}

/// How many tables may be copied at a time.
fn most(config: &config::Londiste) -> usize {
    usize::try_from(config.parallel_copies.max(1)).unwrap_or(1)
}

/// Unregisters a copy's consumer and forgets its position. Safe to repeat.
pub(in crate::londiste) async fn forget_consumer(
    provider: &Db,
    subscriber: &Db,
    consumer: &Consumer,
    table: &FqName,
) -> Result<()> {
    if consumer.position(provider).await?.is_some() {
        consumer.unregister(provider).await?;
    }
    let tx = subscriber.begin("forget the copy's consumer", "begin").await?;
    completed::set_last_tick(&tx, &consumer.name, None).await?;
    tables::forget_copy_consumer(&tx, &consumer.queue, table, &consumer.name).await?;
    tx.commit("forget the copy's consumer").await
}

async fn unregister_unfinished(config: &config::Londiste, abort: &Abort) -> Result<(), Error> {
    // The sessions of replay are gone or cancelled by now.
    let name = &config.common.job_name;
    let subscriber = Db::open(Role::Subscriber, &config.subscriber_db, name, abort).await?;
    let provider = Db::open(Role::Provider, &config.provider_db, name, abort).await?;
    let queue = &config.pgq_queue_name;
    for table in tables::load(&subscriber, queue).await? {
        if let (TableState::InCopy, Some(name)) = (table.state, table.copy_consumer) {
            let consumer = Consumer { queue: queue.clone(), name };
            if consumer.position(&provider).await?.is_some() {
                consumer.unregister(&provider).await?;
            }
        }
    }
    Ok(())
}
