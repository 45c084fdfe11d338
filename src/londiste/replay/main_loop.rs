//! Replay's loop. A turn of [`Replay::work`] looks after the tables and their copies, then applies one batch, or waits
//! when there is none. [`super::super::batch`] has the protocol, and what happens when the process ends at each of its
//! steps. A small batch of plain changes takes the short way of `quick.rs`, which falls back on this one.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::apply::{Applied, Applier, Settings, is_unknown_type};
use super::super::batch::{self, BatchExtras, Pace, Processed, Reader, Turn, Wanted};
use super::super::context::Job;
use super::super::copy::{Copies, Goal, copy_void_again};
use super::super::state::changes::{ChangeListener, StateChanges};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::super::state::{conditions, emptied};
use super::capture_watch::CaptureWatch;
use super::demand::Demand;
use super::filters::filters;
use super::sequences::{self, Sequences};
use super::sessions::Sessions;
use super::tally::{Tally, stats};
use super::tidy::Tidy;
use super::{mirror, table_sets};
use crate::config;
use crate::error::{Error, Reaction, Report, Result};
use crate::failpoint::failpoint;
use crate::job::{self, Control, Health, Output, Work, Worked};
use crate::pg::{Db, Sql};
use crate::pgq::consumer::{Consumer, Join};
use crate::pgq::{Batch, failed_queue};

/// How often to look for consumers of copies that are over, and for tables that are not captured any more, when no
/// notification comes.
const UNUSED_PAUSE: Duration = Duration::from_secs(30);

/// The pause before a batch that another process has applied, or during which a table was altered.
const AGAIN_PAUSE: Duration = Duration::from_millis(100);

/// How often the log says that another process reads as the same consumer.
const OTHER_READER_PAUSE: Duration = Duration::from_mins(1);

/// Size in bytes of an event after which both sessions are closed: such an event makes their buffers grow, and the
/// buffers never shrink.
const BUFFER_LIMIT: usize = 16 * 1024 * 1024;

/// Applies batches until a stop is requested, then ends the copies of this process. `health` and `tally` are kept up to
/// date.
pub(crate) async fn run(config: &config::Londiste, control: &Control, health: &Health, tally: Tally) -> Result<Output> {
    let mut replay = Replay::new(config.clone(), control.clone(), tally);
    let result = Box::pin(job::run_loop(&mut replay, control, health)).await;
    replay.shut_down().await;
    result.map(|()| Output::none())
}

/// Whether replay may apply its open batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Replay may apply the batch.
    Open,
    /// A state was changed, or a copy is waited for: replay reads the states again first.
    Shut,
}

/// What came of a try of the short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    /// A batch was applied. It is not finished on the provider yet.
    Applied,
    /// There is no batch.
    NoBatch,
    /// The long way is to be taken; a batch may be open.
    TakeLongWay,
}

pub(super) struct Replay {
    pub(super) job: Job,
    pub(super) config: Arc<config::Londiste>,
    pub(super) control: Control,
    pub(super) consumer: Consumer,
    sessions: Option<Sessions>,
    /// An event of at least [`BUFFER_LIMIT`] has passed through the sessions.
    buffers_grown: bool,
    pub(super) applier: Applier,
    pub(super) copies: Copies,
    pub(super) sequences: Sequences,
    tidy: Tidy,
    pub(super) capture: CaptureWatch,
    pub(super) changes: StateChanges,
    /// When a tick was last forced for tables that wait for one.
    pub(super) tick_asked_at: Option<Instant>,
    /// When to look next for consumers of copies that are over, and for tables that are not captured any more.
    pub(super) look_for_unused_at: Instant,
    /// How big batches are, until replay has no more to do.
    pub(super) pace: Pace,
    pub(super) demand: Demand,
    /// Whether the next turn tries the short way.
    pub(super) may_be_quick: bool,
    /// Whether the last batch was small enough for the short way.
    pub(super) batches_are_small: bool,
    /// When the log last said that another process reads as the same consumer.
    other_reader_told_at: Option<Instant>,
    tally: Tally,
}

impl Replay {
    fn new(config: config::Londiste, control: Control, tally: Tally) -> Replay {
        let (job, config) = (Job::of(&config), Arc::new(config));
        let changes = StateChanges::new();
        Replay {
            consumer: job.main_consumer(),
            sessions: None,
            buffers_grown: false,
            applier: Applier::new(Settings::from(&*config)).telling(tally.open_batch()),
            copies: Copies::new(job.clone(), &config, &control, &changes, Goal::Ok),
            sequences: Sequences::default(),
            tidy: Tidy::default(),
            capture: CaptureWatch::default(),
            changes,
            tick_asked_at: None,
            look_for_unused_at: Instant::now(),
            pace: Pace::default(),
            demand: Demand::new(Instant::now()),
            may_be_quick: false,
            batches_are_small: true,
            other_reader_told_at: None,
            tally,
            job,
            config,
            control,
        }
    }

    /// One turn, in open sessions.
    async fn turn(&mut self, sessions: &mut Sessions) -> Result<Worked> {
        let mut changes = self.changes.listener();
        if self.may_be_quick && Instant::now() < self.look_for_unused_at && !self.tidy.is_due() {
            match Box::pin(self.quick_turn(sessions)).await? {
                Quick::Applied => return Ok(Worked::Again),
                Quick::NoBatch => {
                    self.wait(sessions, &mut changes).await?;
                    return Ok(Worked::Again);
                }
                Quick::TakeLongWay => {}
            }
        }
        self.may_be_quick = false;
        sessions.finish(&self.consumer).await?;
        let no_copies = self.copies.are_over();
        let tables = self.look_after_tables(sessions).await?;
        self.tidy.turn(&self.config, sessions, &tables, &self.control).await?;
        self.may_be_quick = no_copies && self.may_be_quick(sessions, &tables);
        let batch = self.consumer.next_batch(&sessions.provider, sessions.abilities, self.join(&tables)).await?;
        let Some(batch) = batch else {
            self.pace.recover();
            self.without_batch(sessions, &tables).await?;
            self.wait(sessions, &mut changes).await?;
            return Ok(Worked::Again);
        };
        self.notice_other_reader(sessions, &batch);
        if self.hand_over(sessions, &batch, &tables, &mut changes).await? == Gate::Shut {
            return Ok(Worked::Again);
        }
        failpoint!("hand_over::gate_open");
        self.applier.check_left_out(&sessions.provider).await?;
        match self.process(sessions, &batch, &tables).await {
            Err(Error::Apply(fault))
                if self.applier.adapts_to(&sessions.provider, &sessions.subscriber, &fault).await? => {}
            // The events that a parked table catches up with would be missing in the mirror queue: with a mirror,
            // replay stops.
            Err(Error::Apply(fault)) if fault.is_structure() && self.config.mirror_queue.is_none() => {
                self.park(sessions, &batch, &tables, fault).await?;
            }
            Err(error) if error.reaction() == Reaction::SmallerBatch => {
                let Sessions { provider, abilities, .. } = &*sessions;
                match self.pace.cut(provider, *abilities, &self.consumer, &batch, error).await {
                    Ok(()) => {}
                    Err(error) => self.take_back_lost(sessions, &batch, &tables, error).await?,
                }
            }
            Err(error) => self.take_back_lost(sessions, &batch, &tables, error).await?,
            Ok(()) => {}
        }
        Ok(Worked::Again)
    }

    /// Warns when the batch does not begin where this process has ended its last one: another process has finished a batch in between.
    /// On the same subscriber no batch is applied twice. On another one, each of the two lacks batches; the position tells.
    pub(super) fn notice_other_reader(&mut self, sessions: &Sessions, batch: &Batch) {
        if batch.prev_tick == sessions.position
            || self.other_reader_told_at.is_some_and(|at| at.elapsed() < OTHER_READER_PAUSE)
        {
            return;
        }
        self.other_reader_told_at = Some(Instant::now());
        tracing::warn!(
            "another process reads as consumer {} of queue {}, or has moved it: the batch begins at tick {}, and this process ended its \
             last one at tick {}. Stop the other process",
            self.consumer.name,
            self.consumer.queue,
            batch.prev_tick,
            sessions.position
        );
    }

    /// Begins, starts and ends copies, and unregisters their consumers; returns the subscribed tables as they are then.
    async fn look_after_tables(&mut self, sessions: &Sessions) -> Result<Vec<SubscribedTable>> {
        let Sessions { provider, subscriber, .. } = sessions;
        self.copies.reap();
        // A pooler may keep the session over a crash of the server.
        if subscriber.is_pooled() && !emptied::tables(subscriber, &self.job.queue).await?.is_empty() {
            copy_void_again(provider, subscriber, &self.job.queue).await?;
        }
        let mut tables = tables::load(subscriber, &self.job.queue).await?;
        self.copies.stop_void(&tables);
        let is_due = Instant::now() >= self.look_for_unused_at;
        if is_due {
            conditions::require(provider, &self.job.queue).await?;
            self.copies.forget_unused(provider, subscriber).await?;
            self.look_for_unused_at = Instant::now() + UNUSED_PAUSE;
        }
        if (is_due || self.capture.is_waiting()) && self.capture.look(sessions, &self.job.queue, &tables).await? {
            tables = tables::load(subscriber, &self.job.queue).await?;
        }
        self.copies.free_waiting(subscriber, &tables).await?;
        if !self.control.stopping() && self.copies.begin(&self.config, provider, subscriber, &tables).await? {
            tables = tables::load(subscriber, &self.job.queue).await?;
        }
        self.copies.start(&self.config, &tables);
        Ok(tables)
    }

    /// Joins no ticks while a table is handed over, which takes a batch of one tick, and those before the tick where a table waits for
    /// its hand-over. With a mirror queue, which gets each of the provider's ticks, joins none.
    fn join(&self, tables: &[SubscribedTable]) -> Join {
        let is_handed_over = tables.iter().any(|t| matches!(t.state, TableState::DoSync(_)));
        if self.config.mirror_queue.is_some() || is_handed_over {
            return Join::NEVER;
        }
        let reached = |t: &SubscribedTable| if let TableState::WannaSync(end) = t.state { Some(end) } else { None };
        Join { before: tables.iter().filter_map(reached).min(), ..self.pace.join(batch::join(&self.config)) }
    }

    /// Waits for the queue's next tick, a change of a table's state, or the end of `loop_delay`.
    async fn wait(&mut self, sessions: &mut Sessions, changes: &mut ChangeListener) -> Result<()> {
        let mut pause = self.config.common.loop_delay;
        if sessions.abilities.ticks_on_demand {
            if self.demand.is_due(Instant::now()) {
                self.consumer.wait_for_events(&sessions.provider).await?;
                self.demand.said();
            }
            pause = self.demand.pause(pause, Instant::now());
        }
        let mut sleep = pin!(self.control.sleep(pause));
        loop {
            tokio::select! {
                _ = &mut sleep => {}
                // `None` means that the session has ended; the next statement in it fails.
                Some(tick) = sessions.provider.notification() => {
                    if tick.payload() != self.job.queue {
                        continue;
                    }
                    sessions.provider.drain_notifications();
                }
                Some(_) = sessions.subscriber.notification() => {
                    // A command has changed the set of tables.
                    sessions.subscriber.drain_notifications();
                    self.look_for_unused_at = Instant::now();
                    self.tidy.look_again();
                }
                () = changes.changed() => {}
            }
            return Ok(());
        }
    }

    /// Steps 2 to 5 of the protocol.
    async fn process(&mut self, sessions: &mut Sessions, batch: &Batch, tables: &[SubscribedTable]) -> Result<()> {
        let started = Instant::now();
        for table in tables {
            let snapshot = table.snapshot.as_ref().map_or_else(|| "None".to_owned(), ToString::to_string);
            tracing::debug!("loaded_state: {}: {} / {snapshot}", table.name, table.state);
        }
        let Sessions { provider, subscriber, .. } = &*sessions;
        let reader = Reader { provider, subscriber, consumer: &self.consumer, job: &self.job.consumer };
        let wanted = Wanted { filters: filters(tables), only: None };
        let mirror_queue = self.config.mirror_queue.as_deref();
        let mut extras =
            WithBatch { job: &self.job, mirror_queue, sequences: &mut self.sequences, sessions, batch, tables };
        let applied = match Box::pin(batch::process(&reader, batch, &wanted, &mut self.applier, &mut extras)).await? {
            Processed::Applied(applied) => Some(applied),
            Processed::AlreadyDone => None,
            // The provider gives the batch again, and it is done then. What does not end costs no whole core.
            Processed::ComesAgain => {
                self.control.sleep(AGAIN_PAUSE).await;
                return Ok(());
            }
        };
        self.buffers_grown |= applied.as_ref().is_some_and(|a| a.biggest >= BUFFER_LIMIT);
        // After a big batch, the next one may be big too: it would be looked at twice.
        let most = u64::try_from(self.applier.most_small()).unwrap_or(u64::MAX);
        self.batches_are_small = applied.as_ref().is_none_or(|a| a.count <= most);
        self.may_be_quick &= self.batches_are_small;
        self.note_applied(sessions, batch, applied.as_deref(), started);
        Ok(())
    }

    /// Counts and logs a batch; `applied` is `None` for one that had been applied before.
    pub(super) fn note_applied(
        &mut self,
        sessions: &mut Sessions,
        batch: &Batch,
        applied: Option<&Applied>,
        started: Instant,
    ) {
        sessions.position = batch.cur_tick;
        self.demand.batch(applied.is_none_or(|a| a.count > 0), Instant::now());
        self.tally.add(applied, started.elapsed());
        job::service::status(|| Applied::status(applied, batch.cur_tick));
        tracing::info!("{}", stats(applied, started.elapsed()));
    }

    /// Closes sessions that are older than `connection_lifetime`, or whose buffers have grown.
    async fn limit_lifetime(&mut self) -> Result<()> {
        let lifetime = self.config.common.connection_lifetime.unwrap_or_default();
        let too_old = |db: &Db| lifetime > Duration::ZERO && db.age() > lifetime;
        let is_over = std::mem::take(&mut self.buffers_grown)
            || self.sessions.as_ref().is_some_and(|s| too_old(&s.provider) || too_old(&s.subscriber));
        if let Some(mut sessions) = self.sessions.take_if(|_| is_over) {
            sessions.finish(&self.consumer).await?;
        }
        Ok(())
    }

    /// Ends the copies, unregisters consumers that would keep the provider from rotating, and gives up restoring
    /// foreign keys.
    async fn shut_down(&mut self) {
        if let Some(sessions) = &mut self.sessions
            && let Err(error) = sessions.finish(&self.consumer).await
        {
            // The next start finds the batch applied, and finishes it.
            tracing::debug!("{}", Report(&error));
        }
        self.copies.stop(&self.config).await;
        self.tidy.stop().await;
    }
}

/// What replay adds to the transaction of a batch: sequences, the provider's list of tables, unknown events, the mirror
/// queue.
struct WithBatch<'a> {
    job: &'a Job,
    mirror_queue: Option<&'a str>,
    sequences: &'a mut Sequences,
    sessions: &'a Sessions,
    batch: &'a Batch,
    tables: &'a [SubscribedTable],
}

impl BatchExtras for WithBatch<'_> {
    type Found = Vec<sequences::Setting>;

    async fn read(&mut self) -> Result<Self::Found> {
        let Sessions { provider, subscriber, .. } = self.sessions;
        self.sequences.read(provider, subscriber, &self.job.queue).await
    }

    async fn before(&mut self, tx: &Db, values: &Self::Found) -> Result<Turn> {
        self.sequences.write(tx, values).await?;
        Ok(Turn::Ours)
    }

    async fn is_outdated(&mut self, values: &Self::Found) -> Result<bool> {
        let Sessions { provider, subscriber, .. } = self.sessions;
        self.sequences.are_outdated(provider, subscriber, &self.job.queue, values).await
    }

    async fn after(&mut self, tx: &Db, applied: &Applied, events_sql: &Sql) -> Result<()> {
        let (provider, queue) = (&self.sessions.provider, &self.job.queue);
        table_sets::follow(provider, tx, queue, &applied.table_sets, self.tables).await?;
        put_aside(self.sessions, self.batch, events_sql, applied).await?;
        if let Some(mirror) = self.mirror_queue {
            let source = mirror::Source { batch: self.batch, sql: events_sql, tables: self.tables };
            mirror::repeat(mirror, queue, provider, tx, &source).await?;
        }
        Ok(())
    }

    fn committed(&mut self, values: Self::Found) {
        self.sequences.written(values);
    }
}

impl Work for Replay {
    async fn work(&mut self) -> Result<Worked> {
        self.limit_lifetime().await?;
        // After an error the sessions are dropped: a transaction may still be open in one of them.
        let mut sessions = match self.sessions.take() {
            Some(sessions) => sessions,
            None => self.attach().await?,
        };
        let worked = self.turn(&mut sessions).await?;
        self.sessions = Some(sessions);
        Ok(worked)
    }

    fn disconnect(&mut self) {
        self.sessions = None;
    }

    fn reload(&mut self) -> Result<()> {
        let config = self.config.reload()?;
        self.job.check_reload(&config)?;
        self.applier = Applier::new(Settings::from(&config)).telling(self.tally.open_batch());
        self.copies.limit_rate(config.copy_rate_limit);
        self.copies.close_idle();
        self.config = Arc::new(config);
        // Connection strings may have changed.
        self.sessions = None;
        Ok(())
    }

    fn loop_delay(&self) -> Duration {
        self.config.common.loop_delay
    }

    fn name(&self) -> &str {
        &self.config.common.job_name
    }
}

/// Puts events of unknown types into the provider's failed queue, if its PgQ has one. Commits there at once; safe to
/// repeat.
async fn put_aside(sessions: &Sessions, batch: &Batch, events_sql: &Sql, applied: &Applied) -> Result<()> {
    if applied.unknown.count() > 0 {
        tracing::warn!("Unknown op {}", applied.unknown);
        if sessions.abilities.failed_queue {
            let reason = "Unknown operation";
            failed_queue::put_aside(&sessions.provider, batch, events_sql, is_unknown_type, reason).await?;
        }
    }
    Ok(())
}
