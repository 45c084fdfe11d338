//! The ticker: makes ticks in all queues of a database, on a connection of its own.
//!
//! One queue never holds up the others: an error of a queue (it is being dropped, it was restored into another cluster, the
//! user may not tick it) is logged, and the round goes on. Reading and ticking a queue waits at most 200 ms for a
//! lock; a queue that was locked is left out for [`ASIDE`]. Each tick is a transaction of its own.

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio_postgres::Notification;
use tracing::{debug, error, info, warn};

use super::clock::{self, Clock};
use super::database_settings::DatabaseSettings;
use super::demand::Demand;
use super::fault::{is_local, is_lock_timeout};
use super::reminders::Reminders;
use super::tick_lock::{self, Wait};
use super::tick_rule::{LastTick, Ticked, need_tick, pause};
use super::tick_session::{Call, Row, Session, is_forced};
use crate::error::{Error, Report, Result};
use crate::failpoint::failpoint;
use crate::job::{Control, Stats, Work, Worked};

/// How long a queue that was locked, or that could not be ticked, is left out.
const ASIDE: Duration = Duration::from_secs(5);

/// The ticker of one database.
pub(super) struct Ticker<'a> {
    settings: DatabaseSettings,
    control: &'a Control,
    session: Option<Session>,
    queues: HashMap<i32, Queue>,
    stats: Stats,
    stats_logged: Option<Instant>,
    reminders: Reminders,
    clock: Clock,
}

/// What the ticker keeps of a queue between two checks.
#[derive(Default)]
struct Queue {
    /// The queue as it was read last; `None` before.
    row: Option<Row>,
    demand: Demand,
    last: Option<LastTick>,
    /// When `ticker_max_lag` after the last tick is over.
    due: Option<Instant>,
    /// Whether the queue fits the server's transaction counter, and when this was checked.
    counter: Option<(bool, Instant)>,
    /// Since when the queue is left out, because it was locked or could not be ticked.
    aside_at: Option<Instant>,
    /// Since when events wait for a tick that is not made.
    wait: Wait,
}

impl<'a> Ticker<'a> {
    pub(super) fn new(settings: DatabaseSettings, control: &'a Control) -> Ticker<'a> {
        Ticker {
            settings,
            control,
            session: None,
            queues: HashMap::new(),
            stats: Stats::default(),
            stats_logged: None,
            reminders: Reminders::default(),
            clock: Clock::default(),
        }
    }

    /// Looks at all queues once and makes the ticks that are due.
    async fn check(&mut self, session: &Session) -> Result<()> {
        let rows = self.read_queues(session).await?;
        if let Some(back) = rows.first().and_then(|row| self.clock.read(row.clock, Instant::now())) {
            warn!("{}{}", self.settings.label, clock::warning(&session.db, back).text);
        }
        for row in rows {
            if self.control.stopping() {
                break;
            }
            self.serve(session, row).await?;
        }
        Ok(())
    }

    /// Looks at the event sequences of the queues whose consumers wait while events come, and makes the ticks that they wait for.
    async fn look(&mut self, session: &Session) -> Result<()> {
        let now = Instant::now();
        let watched = self.queues.values().filter(|queue| queue.demand.is_watched(now) && !queue.is_aside(now));
        let rows: Vec<Row> = watched.filter_map(|queue| queue.row.clone()).collect();
        let now_at = match session.look(&rows).await {
            // One queue was dropped, or is locked: the next check finds out which.
            Err(error) if is_local(&error) => return Ok(()),
            looked => looked?,
        };
        for (row, event_seq) in rows.into_iter().zip(now_at) {
            self.serve(session, Row { event_seq, ..row }).await?;
        }
        Ok(())
    }

    /// Makes the tick of a queue that is due or waited for.
    async fn serve(&mut self, session: &Session, row: Row) -> Result<()> {
        let queue = self.queues.entry(row.id).or_default();
        let now = Instant::now();
        queue.demand.see(row.event_seq, now);
        queue.row = Some(row.clone());
        let call = if session.on_demand && queue.demand.asks(now) {
            Call::OnDemand
        } else if need_tick(&row.rule, queue.last.as_ref(), row.event_seq, now) {
            Call::Due
        } else {
            return Ok(());
        };
        if queue.is_aside(now) {
            return Ok(());
        }
        let has_events = queue.last.is_some_and(|last| last.event_seq != row.event_seq);
        let ticked = self.tick(session, &row, call).await;
        if let Some(queue) = self.queues.get_mut(&row.id) {
            queue.due = queue.last.map(|last| last.at + row.rule.max_lag);
        }
        let made = matches!(ticked, Ok(Ticked::Made));
        if let Err(error) = ticked {
            self.set_aside(session, &row, error).await?;
        }
        if has_events && !made {
            self.watch_wait(session, &row).await?;
        } else if let Some(queue) = self.queues.get_mut(&row.id) {
            queue.wait.end();
        }
        Ok(())
    }

    /// Warns of the sessions that keep a queue whose events wait from its tick.
    async fn watch_wait(&mut self, session: &Session, row: &Row) -> Result<()> {
        let now = Instant::now();
        let Some(queue) = self.queues.get_mut(&row.id) else { return Ok(()) };
        let Some(waited) = queue.wait.went_on(now).filter(|_| session.schema.is_own()) else { return Ok(()) };
        if let Some(warning) = tick_lock::blocked(&session.db, &row.name, waited).await?
            && self.reminders.due(&warning.about, now)
        {
            warn!("{}{}", self.settings.label, warning.text);
        }
        Ok(())
    }

    /// Asks the server for a tick of a queue whose counter is right.
    async fn tick(&mut self, session: &Session, row: &Row, call: Call) -> Result<Ticked> {
        if !self.counter_is_right(session, row).await? {
            return Ok(Ticked::NotDue);
        }
        failpoint!("tick::due");
        let ticked = session.tick(&row.name, call).await?;
        failpoint!("tick::made");
        let queue = self.queues.entry(row.id).or_default();
        let now = Instant::now();
        match (ticked, call) {
            (Ticked::Made, _) => queue.demand.is_met(now),
            (Ticked::NotDue, Call::OnDemand) => queue.demand.is_refused(now),
            (Ticked::NotDue, Call::Due) => {}
        }
        // Not due on demand says nothing about the rules of the queue.
        if call == Call::Due || ticked == Ticked::Made {
            queue.last = Some(LastTick::after(&row.rule, queue.last, row.event_seq, ticked, now));
        }
        self.stats.add("ticks", u64::from(ticked == Ticked::Made));
        Ok(ticked)
    }

    /// Whether the queue's last tick and rotation lie in the past of this server's transaction counter. They do not after a
    /// restore into a cluster with a smaller counter: the snapshot of a new tick would be older than that of the last tick,
    /// and consumers would never get the new events. Checked when a queue is new to this session, and again after
    /// `queue_refresh_period` while false.
    async fn counter_is_right(&mut self, session: &Session, row: &Row) -> Result<bool> {
        let queue = self.queues.entry(row.id).or_default();
        let now = Instant::now();
        match queue.counter {
            Some((true, _)) => return Ok(true),
            Some((false, at)) if now.saturating_duration_since(at) < self.settings.refresh_period => {
                return Ok(false);
            }
            _ => (),
        }
        if queue.counter.is_none()
            && let Some(warning) = clock::future_tick(&session.db, row.id, &row.name).await?
            && self.reminders.due(&warning.about, now)
        {
            warn!("{}{}", self.settings.label, warning.text);
        }
        let problem = super::rebase::counter_problem(&session.db, row.id).await?;
        let queue = self.queues.entry(row.id).or_default();
        queue.counter = Some((problem.is_none(), now));
        let Some(problem) = problem else { return Ok(true) };
        if self.reminders.due(&format!("counter {}", row.id), now) {
            error!("{}{}", self.settings.label, Report(&problem.refusal(&row.name)));
        }
        Ok(false)
    }

    /// Leaves a queue out for [`ASIDE`] after an error that concerns only this queue; returns any other error.
    async fn set_aside(&mut self, session: &Session, row: &Row, error: Error) -> Result<()> {
        if !is_local(&error) || self.control.abort().is_cancelled() {
            return Err(error);
        }
        let now = Instant::now();
        if is_lock_timeout(&error) {
            debug!("Queue {} is locked", row.name);
            self.queues.entry(row.id).or_default().aside_at = Some(now);
        } else if session.has_queue(row.id).await? {
            if self.reminders.due(&format!("tick {} {error}", row.id), now) {
                error!("{}{}", self.settings.label, Report(&error));
            }
            // An error that lasts would otherwise come back at every check.
            self.queues.entry(row.id).or_default().aside_at = Some(now);
        } else {
            debug!("Queue {} has been dropped", row.name);
        }
        Ok(())
    }

    /// All queues that get ticks from this ticker and are not left out.
    async fn read_queues(&mut self, session: &Session) -> Result<Vec<Row>> {
        let now = Instant::now();
        if self.queues.values().all(|queue| !queue.is_aside(now)) {
            match session.read_queues(None).await {
                // One queue was dropped while it was read, or is locked.
                Err(error) if is_local(&error) => debug!("Reading the queues one by one: {}", Report(&error)),
                Err(error) => return Err(error),
                Ok(rows) => {
                    self.queues.retain(|id, _| rows.iter().any(|row| row.id == *id));
                    return Ok(rows);
                }
            }
        }
        let ids = session.queue_ids().await?;
        self.queues.retain(|id, _| ids.contains(id));
        let mut rows = Vec::new();
        for id in ids {
            if self.queues.get(&id).is_some_and(|queue| queue.is_aside(now)) {
                continue;
            }
            match session.read_queues(Some(id)).await {
                Ok(read) => rows.extend(read),
                Err(error) if is_local(&error) => {
                    if !is_lock_timeout(&error) && self.reminders.due(&format!("read {id} {error}"), now) {
                        error!("{}{}", self.settings.label, Report(&error));
                    }
                    self.queues.entry(id).or_default().aside_at = Some(now);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    /// Logs the number of ticks: at once, and then each `ticker_log_delay`.
    fn log_stats(&mut self) {
        let now = Instant::now();
        let delay = self.settings.log_delay;
        if self.stats_logged.is_none_or(|at| now.saturating_duration_since(at) >= delay) {
            self.stats_logged = Some(now);
            self.stats.add("ticks", 0);
            info!("{}{}", self.settings.label, self.stats.take());
        }
    }

    /// Waits `loop_delay` before the next check, or less: until a tick may be due, a tick is asked for by
    /// `pgq.force_tick()`, or a stop or reload is requested. Meanwhile makes the ticks that consumers wait for.
    async fn wait(&mut self, session: &mut Session) -> Result<()> {
        let control = self.control;
        let dues = self.queues.values().filter_map(|queue| queue.due);
        let mut next_check = pin!(control.sleep(pause(self.settings.loop_delay, dues, Instant::now())));
        loop {
            let now = Instant::now();
            let look = self.queues.values().filter_map(|queue| queue.demand.pause(now)).min();
            tokio::select! {
                _ = &mut next_check => return Ok(()),
                notification = session.db.notification(), if session.listens => match notification {
                    None => session.listens = false,
                    Some(first) => {
                        let mut forced = self.hear(&first);
                        while let Some(next) = session.db.next_notification() {
                            forced |= self.hear(&next);
                        }
                        if forced {
                            return Ok(());
                        }
                    }
                },
                () = tokio::time::sleep(look.unwrap_or_default()), if look.is_some() => {}
            }
            self.look(session).await?;
        }
    }

    /// Takes a notification. Returns true when it asks for a check of all queues.
    fn hear(&mut self, notification: &Notification) -> bool {
        if is_forced(notification) {
            return true;
        }
        let is_meant = |queue: &&mut Queue| queue.row.as_ref().is_some_and(|row| row.name == notification.payload());
        if let Some(queue) = self.queues.values_mut().find(is_meant) {
            queue.demand.arises();
        }
        false
    }

    /// The open session, or a new one where it is closed or older than `connection_lifetime`.
    async fn connect(&mut self) -> Result<Session> {
        if let Some(session) = self.session.take_if(|session| self.settings.may_keep(&session.db)) {
            return Ok(session);
        }
        self.session = None;
        self.clock.forget();
        Session::open(&self.settings, self.control).await
    }
}

impl Work for Ticker<'_> {
    async fn work(&mut self) -> Result<Worked> {
        let mut session = self.connect().await?;
        self.check(&session).await?;
        self.log_stats();
        self.wait(&mut session).await?;
        self.session = Some(session);
        // The pause is in `wait`, where a notification can end it.
        Ok(Worked::Again)
    }

    fn disconnect(&mut self) {
        self.session = None;
        // The next session may be one of another server.
        self.queues.clear();
        self.clock.forget();
    }

    fn reload(&mut self) -> Result<()> {
        self.settings = self.settings.reload()?;
        Ok(())
    }

    fn loop_delay(&self) -> Duration {
        self.settings.loop_delay
    }

    fn name(&self) -> &str {
        &self.settings.job_name
    }
}

impl Queue {
    fn is_aside(&self, now: Instant) -> bool {
        self.aside_at.is_some_and(|at| now.saturating_duration_since(at) < ASIDE)
    }
}
