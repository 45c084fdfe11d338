//! Replay: applies the queue's batches to the subscriber, and hands tables over between their copies and itself.
//!
//! A turn of [`Replay::work`] is one batch, or a look around when there is none. What happens at which point of the
//! protocol when the process dies is told in [`super::completed`].

pub(super) mod copies;
pub(super) mod foreign_keys;
mod hand_over;
mod mirror;
mod park;
mod sequences;
mod table_sets;
mod tidy;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config;
use crate::error::{Error, Result, Role};
use crate::job::{self, Control, Output, Stats, Work, Worked};
use crate::pg::{Db, FqName};
use crate::pgq::consumer::{self, Abilities, Consumer, Join};
use crate::pgq::{Batch, TickId, event, failed_queue};

use super::apply::{Applied, Applier, Filter, Settings, is_unknown_type};
use super::completed::{self, Standing};
use super::copy::Goal;
use super::install;
use super::news::News;
use super::setup::Setup;
use super::skip::{self, Skips};
use super::table_state::TableState;
use super::tables::{self, SubscribedTable};
use super::watch;
use copies::Copies;
use sequences::Sequences;
use tidy::Tidy;

/// How often to look for consumers of copies that are over, where nothing says that there may be one.
const ORPHANS_PAUSE: Duration = Duration::from_secs(30);

/// The size of an event from which on the sessions that it passed through are not kept.
const GROWN: usize = 16 * 1024 * 1024;

/// Applies batches until a stop is requested.
pub(crate) async fn run(config: &config::Londiste, control: &Control) -> Result<Output> {
    let mut replay = Replay::new(config.clone(), control.clone(), Goal::Ok);
    let result = job::run_loop(&mut replay, control).await;
    replay.shut_down().await;
    result.map(|()| Output::none())
}

/// The two sessions of replay and what is known about them.
struct Sessions {
    provider: Db,
    subscriber: Db,
    abilities: Abilities,
    /// Up to where batches are finished.
    position: TickId,
}

/// What is to be done for a batch.
struct Task<'a> {
    batch: &'a Batch,
    tables: &'a [SubscribedTable],
    filters: HashMap<FqName, Filter>,
    /// The tick up to where batches are applied.
    stored: Option<TickId>,
    skips: Skips,
    /// The statement that gives the events.
    sql: String,
    /// The sequences to set.
    values: Vec<sequences::Setting>,
}

struct Replay {
    config: Arc<config::Londiste>,
    control: Control,
    consumer: Consumer,
    sessions: Option<Sessions>,
    /// A big event has passed through the sessions.
    grown: bool,
    applier: Applier,
    copies: Copies,
    sequences: Sequences,
    tidy: Tidy,
    news: News,
    /// Tables whose foreign keys could not be dropped because of a lock, and until when to leave them alone.
    locked: HashMap<FqName, Instant>,
    /// When to look for consumers of copies that are over.
    look_for_orphans_at: Instant,
}

impl Replay {
    fn new(config: config::Londiste, control: Control, goal: Goal) -> Replay {
        let config = Arc::new(config);
        let news = News::new();
        Replay {
            consumer: Consumer { queue: config.pgq_queue_name.clone(), name: config.pgq_consumer_id.clone() },
            sessions: None,
            grown: false,
            applier: Applier::new(Settings::from(&*config)),
            copies: Copies::new(&config, &control, &news, goal),
            sequences: Sequences::default(),
            tidy: Tidy::default(),
            news,
            locked: HashMap::new(),
            look_for_orphans_at: Instant::now(),
            config,
            control,
        }
    }

    /// Opens the sessions and finds out where the consumer stands.
    async fn attach(&mut self) -> Result<Sessions> {
        tracing::debug!("Attaching");
        let (config, abort) = (&self.config, self.control.abort());
        let job_name = &config.common.job_name;
        let provider = Db::open(Role::Provider, &config.provider_db, job_name, abort).await?;
        let subscriber = Db::open(Role::Subscriber, &config.subscriber_db, job_name, abort).await?;
        install::take_over(&subscriber).await?;
        tables::spell_ok(&subscriber, &self.consumer.queue).await?;
        let abilities = Abilities::of(&provider).await?;
        // A new registration begins at the newest tick, whatever the subscriber had before. The old position goes first:
        // if the process ends in between, the next start finds neither.
        if self.consumer.position(&provider).await?.is_none() {
            tracing::info!("Resetting queue tracking on dst side");
            completed::set_last_tick(&subscriber, &self.consumer.name, None).await?;
            self.consumer.register(&provider).await?;
        }
        let position = self.consumer.position(&provider).await?.ok_or_else(|| {
            provider.unexpected("read the consumer's position", format!("{} is not registered", self.consumer))
        })?;
        // A transaction pooler refuses it or forgets it; then the loop's delay is the wait.
        if let Err(error) = provider.batch("listen for ticks", "listen rlondiste_tick").await {
            tracing::debug!("no notifications: {error}");
        }
        if let Err(error) = tables::listen(&subscriber).await {
            tracing::debug!("no notifications: {error}");
        }
        self.look_for_orphans_at = Instant::now();
        self.applier.forget();
        self.sequences.forget();
        Ok(Sessions { provider, subscriber, abilities, position })
    }

    /// One turn, with the sessions in hand.
    async fn turn(&mut self, sessions: &mut Sessions) -> Result<Worked> {
        let mut news = self.news.listener();
        self.copies.reap();
        let mut tables = tables::load(&sessions.subscriber, &self.consumer.queue).await?;
        self.copies.stop_removed(&tables);
        if Instant::now() >= self.look_for_orphans_at {
            self.copies.forget_orphans(&self.config, &sessions.provider, &sessions.subscriber).await?;
            self.look_for_orphans_at = Instant::now() + ORPHANS_PAUSE;
        }
        let begun = self.begin_copies(&sessions.provider, &sessions.subscriber, &mut tables).await?;
        if self.order_sync(sessions, &tables).await? || begun {
            tables = tables::load(&sessions.subscriber, &self.consumer.queue).await?;
        }
        self.copies.start_missing(&self.config, &tables);
        if tables.iter().any(|t| matches!(t.state, TableState::DoSync(_))) {
            // What comes after this tick belongs to replay: wait until the copy has reached it.
            tokio::select! {
                () = news.heard() => {}
                () = self.control.stopped() => {}
            }
            return Ok(Worked::Again);
        }
        self.tidy.turn(&self.config, sessions, &mut tables, &self.control).await?;
        // The mirror has each of the provider's ticks.
        let join = if self.config.mirror_queue.is_some() { Join::NEVER } else { join(&self.config) };
        match self.consumer.next_batch(&sessions.provider, sessions.abilities, join).await? {
            Some(batch) => match self.process(sessions, &batch, &tables).await {
                // What a parked table catches up with would not reach the mirror.
                Err(Error::Apply(fault)) if fault.is_structure() && self.config.mirror_queue.is_none() => {
                    self.park(sessions, &batch, &tables, fault).await?;
                }
                done => done?,
            },
            None => self.wait(sessions, &mut news).await,
        }
        Ok(Worked::Again)
    }

    /// Waits for the next tick, a change of a table's state, or the end of `loop_delay`.
    async fn wait(&mut self, sessions: &mut Sessions, news: &mut super::news::Listener) {
        tokio::select! {
            _ = self.control.sleep(self.config.common.loop_delay) => {}
            // The session may end while we wait; the next statement says so.
            Some(_) = sessions.provider.notification() => sessions.provider.drain_notifications(),
            Some(_) = sessions.subscriber.notification() => {
                // A command has changed the set of tables.
                sessions.subscriber.drain_notifications();
                self.look_for_orphans_at = Instant::now();
                self.tidy.look_again();
            }
            () = news.changed() => {}
        }
    }

    /// Steps 2 to 5 of the protocol: apply, commit, finish.
    async fn process(&mut self, sessions: &mut Sessions, batch: &Batch, tables: &[SubscribedTable]) -> Result<()> {
        let started = Instant::now();
        for table in tables {
            let snapshot = table.snapshot.as_ref().map_or_else(|| "None".to_owned(), ToString::to_string);
            tracing::debug!("loaded_state: {}: {} / {snapshot}", table.name, table.state);
        }
        let Sessions { provider, subscriber, .. } = &*sessions;
        // What does not depend on each other is asked for at once: a small batch is little more than round trips.
        let (stored, skips, sql, values) = tokio::try_join!(
            completed::last_tick(subscriber, &self.consumer.name),
            skip::pending(subscriber, &self.consumer.name),
            consumer::batch_event_sql(provider, batch),
            self.sequences.read(provider, subscriber, &self.consumer.queue),
        )?;
        let applied = match completed::standing(stored, batch) {
            Standing::Apply => {
                let filters = filters(tables);
                let ours = |table: &FqName| filters.contains_key(table);
                let skips = Skips::of(provider, &self.consumer.queue, batch, skips, ours).await?;
                let sql = skips.leave_out(sql);
                let task = Task { batch, tables, filters, stored, skips, sql, values };
                let Some(applied) = self.apply(sessions, task).await? else {
                    // The batch comes again, and is done.
                    return Ok(());
                };
                Some(applied)
            }
            Standing::Done => None,
            Standing::Lost(tick) => return Err(completed::lost_position(batch, tick, &self.consumer.name)),
        };
        self.consumer.finish_batch(&sessions.provider, batch).await?;
        sessions.position = batch.cur_tick;
        tracing::info!("{}", stats(applied.as_ref(), started.elapsed()));
        Ok(())
    }

    /// Applies the batch and stores its end tick, in one transaction on the subscriber. Returns nothing, with
    /// nothing changed, when somebody else has done so meanwhile.
    async fn apply(&mut self, sessions: &Sessions, task: Task<'_>) -> Result<Option<Applied>> {
        let Sessions { provider, subscriber, .. } = sessions;
        let Task { batch, tables, filters, stored, skips, sql, values } = task;
        let start = async {
            let tx = subscriber.begin("start the batch's transaction", "begin").await?;
            self.sequences.write(&tx, &values).await?;
            self.applier.prepare(&tx).await?;
            Ok(tx)
        };
        let (events, tx) = tokio::try_join!(event::stream(provider, &sql), start)?;
        let applied = self.applier.apply(events, &filters, &tx).await?;
        table_sets::follow(provider, &tx, &self.consumer.queue, &applied.table_sets, tables).await?;
        put_aside(sessions, batch, &sql, &applied).await?;
        if let Some(queue) = &self.config.mirror_queue {
            mirror::repeat(queue, &self.consumer.queue, provider, &tx, &mirror::Source { batch, sql: &sql, tables })
                .await?;
        }
        skips.mark(&tx, &self.consumer.name, batch).await?;
        if !completed::advance(&tx, &self.consumer.name, stored, batch.cur_tick).await? {
            return Ok(None);
        }
        tx.commit("commit the batch").await?;
        self.sequences.written(values);
        self.grown |= applied.biggest >= GROWN;
        Ok(Some(applied))
    }

    /// Closes sessions that have lived long enough, or that have grown: their buffers never shrink.
    fn limit_lifetime(&mut self) {
        if std::mem::take(&mut self.grown) {
            self.sessions = None;
        }
        let Some(lifetime) = self.config.common.connection_lifetime else { return };
        let too_old = |db: &Db| lifetime > Duration::ZERO && db.age() > lifetime;
        if self.sessions.as_ref().is_some_and(|s| too_old(&s.provider) || too_old(&s.subscriber)) {
            self.sessions = None;
        }
    }

    /// Ends the copies and takes back what would stay in the way of the provider's rotation.
    async fn shut_down(&mut self) {
        self.copies.stop(&self.config).await;
        self.tidy.stop();
    }
}

/// How ticks are joined into batches.
pub(super) fn join(config: &config::Londiste) -> Join {
    Join { least_events: config.batch_min_events, most_events: config.batch_max_events }
}

impl Work for Replay {
    async fn work(&mut self) -> Result<Worked> {
        self.limit_lifetime();
        // The sessions are put back only after a good turn: what is open in them after an error is unknown.
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
        self.applier = Applier::new(Settings::from(&config));
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

/// The line of a batch, with its numbers in the order of the original; nothing was applied when it had been before.
fn stats(applied: Option<&Applied>, duration: Duration) -> Stats {
    let mut stats = Stats::default();
    stats.add("count", applied.map_or(0, |a| a.count));
    if let Some(applied) = applied {
        stats.add("ignored", applied.ignored);
    }
    stats.set_duration("duration", duration);
    let unknown = applied.map_or(0, |a| a.unknown.count());
    for (name, number) in [("failed-events", unknown), ("missing-rows", applied.map_or(0, |a| a.missing_rows))] {
        if number > 0 {
            stats.add(name, number);
        }
    }
    stats
}

/// Events of a type that nobody knows go to the provider's failed queue, where it has one.
async fn put_aside(sessions: &Sessions, batch: &Batch, sql: &str, applied: &Applied) -> Result<()> {
    if applied.unknown.count() > 0 {
        tracing::warn!("Unknown op {}", applied.unknown);
        if sessions.abilities.failed_queue {
            let reason = "Unknown operation";
            failed_queue::put_aside(&sessions.provider, batch, sql, is_unknown_type, reason).await?;
        }
    }
    Ok(())
}

/// Which events to apply: those of tables that are `ok`, less what their copy holds already.
fn filters(tables: &[SubscribedTable]) -> HashMap<FqName, Filter> {
    tables
        .iter()
        .filter(|t| t.state == TableState::Ok)
        .map(|t| (t.name.clone(), t.snapshot.clone().map_or(Filter::Apply, Filter::ApplyUnlessVisibleIn)))
        .collect()
}

/// The `copy` command: brings every table that is `-`, `in-copy` or `catching-up` to where only replay can go on, and
/// ends. Replay may run at the same time.
pub(crate) async fn run_copies(config: &config::Londiste, control: &Control) -> Result<Output> {
    let mut replay = Replay::new(config.clone(), control.clone(), Goal::WannaSync);
    let setup = Setup::new(config, control);
    let result = tokio::select! {
        result = replay.copy_all() => result,
        never = watch::copies(&setup) => match never {},
    };
    replay.shut_down().await;
    result.map(|()| Output::none())
}

impl Replay {
    async fn copy_all(&mut self) -> Result<()> {
        let (name, abort) = (&self.config.common.job_name, self.control.abort());
        let provider = Db::open(Role::Provider, &self.config.provider_db, name, abort).await?;
        let subscriber = Db::open(Role::Subscriber, &self.config.subscriber_db, name, abort).await?;
        install::take_over(&subscriber).await?;
        loop {
            let mut news = self.news.listener();
            self.copies.reap();
            let mut tables = tables::load(&subscriber, &self.consumer.queue).await?;
            self.copies.stop_removed(&tables);
            self.begin_copies(&provider, &subscriber, &mut tables).await?;
            self.copies.start_missing(&self.config, &tables);
            let unfinished = |t: &SubscribedTable| {
                matches!(t.state, TableState::Missing | TableState::InCopy | TableState::CatchingUp) && !t.parked
            };
            if self.control.stopping() || !tables.iter().any(unfinished) {
                return Ok(());
            }
            tokio::select! {
                () = news.heard() => {}
                () = self.control.stopped() => {}
            }
        }
    }
}

/// Moves the provider's consumer to where the subscriber stands (`--rewind`).
pub(crate) async fn rewind(config: &config::Londiste, control: &Control) -> Result<Output> {
    tracing::info!("Rewinding queue");
    let (name, abort) = (&config.common.job_name, control.abort());
    let subscriber = Db::open(Role::Subscriber, &config.subscriber_db, name, abort).await?;
    let Some(tick) = completed::last_tick(&subscriber, &config.pgq_consumer_id).await? else {
        tracing::warn!("No tick found on dst side");
        return Ok(Output::none());
    };
    let provider = Db::open(Role::Provider, &config.provider_db, name, abort).await?;
    if !Abilities::of(&provider).await?.register_at {
        return Err(Error::refused(
            format!("cannot rewind on provider ({}): its schema pgq has no register_consumer_at()", provider.target()),
            "Run \"rlondiste TICKER-INI install\" to bring the schema up to date in place.",
        ));
    }
    let consumer = Consumer { queue: config.pgq_queue_name.clone(), name: config.pgq_consumer_id.clone() };
    consumer.register_at(&provider, tick).await?;
    Ok(Output::none())
}

/// Forgets where the subscriber stands (`--reset`): replay goes on from the provider's position.
pub(crate) async fn reset(config: &config::Londiste, control: &Control) -> Result<Output> {
    tracing::info!("Resetting queue tracking on dst side");
    let subscriber =
        Db::open(Role::Subscriber, &config.subscriber_db, &config.common.job_name, control.abort()).await?;
    completed::set_last_tick(&subscriber, &config.pgq_consumer_id, None).await?;
    Ok(Output::none())
}
