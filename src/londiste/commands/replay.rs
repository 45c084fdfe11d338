//! The `replay` command, and what it tells over HTTP while it runs, read from both sides when somebody asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::super::comparison::{ReadAmount, Verification};
use super::super::context::Job;
use super::super::copy::read_progress;
use super::super::replay::{self, Tally};
use super::super::state::parking::Parked;
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::catch_up;
use super::status::{self, Position};
use super::verified;
use crate::config::{self, Common, Listen};
use crate::error::{Result, Role};
use crate::http::metrics::{self, Program};
use crate::http::{Condition, Listener, Readiness, Samples, Server, Site};
use crate::job::{self, Control, Health, Output};
use crate::pg::Db;
use crate::text::one_line;

/// How long a statement of a scrape may run.
const STATEMENT_TIME: Duration = Duration::from_secs(2);

/// Applies batches until a stop is requested, and answers on `listener`. `health` is kept up to date; loops of others may count in it.
pub(crate) async fn run(
    config: &config::Londiste,
    control: &Control,
    listener: Option<Listener>,
    health: &Health,
) -> Result<Output> {
    let tally = Tally::default();
    let verified = ReadAmount::default();
    let monitor = Monitor::of(config.clone(), tally.clone(), verified.clone(), Pace::default(), control);
    let _server = Server::start(monitor, listener, health.clone(), control);
    let _verification = Verification::start(config, verified, control);
    replay::run(config, control, health, tally).await
}

/// The site of a replay.
struct Monitor {
    config: config::Londiste,
    job: Job,
    tally: Tally,
    /// What was read to verify it.
    verified: ReadAmount,
    pace: Pace,
    control: Control,
    /// The sessions of the last answers.
    sessions: Mutex<Kept>,
}

/// What was read of the queue lately, with the beginning of its clock. Clones share it.
#[derive(Clone)]
struct Pace {
    course: Arc<Mutex<catch_up::Course>>,
    clock: Instant,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { course: Arc::default(), clock: Instant::now() }
    }
}

impl Pace {
    /// Adds what was read now. Returns the seconds until the subscriber has all changes, if that can be told.
    fn after(&self, position: &Position, open: u64) -> Option<f64> {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        course.add(self.clock.elapsed().as_secs_f64(), position.reached?, open);
        course.estimate()
    }
}

#[derive(Default)]
struct Kept {
    provider: Option<Db>,
    subscriber: Option<Db>,
}

struct Sides {
    provider: Db,
    subscriber: Db,
}

impl Monitor {
    fn of(config: config::Londiste, tally: Tally, verified: ReadAmount, pace: Pace, control: &Control) -> Monitor {
        let (job, control) = (Job::of(&config), control.clone());
        Monitor { job, config, tally, verified, pace, control, sessions: Mutex::default() }
    }

    /// Sessions that only look: those of the last answers, or new ones. The caller gives them back after its last statement;
    /// sessions in which something failed, or may still run, are closed.
    async fn sides(&self) -> Result<Sides> {
        let kept = std::mem::take(&mut *self.kept());
        Ok(Sides {
            provider: self.session(kept.provider, Role::Provider, &self.config.provider_db).await?,
            subscriber: self.session(kept.subscriber, Role::Subscriber, &self.config.subscriber_db).await?,
        })
    }

    fn give_back(&self, Sides { provider, subscriber }: Sides) {
        *self.kept() = Kept { provider: Some(provider), subscriber: Some(subscriber) };
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn session(&self, kept: Option<Db>, role: Role, conninfo: &str) -> Result<Db> {
        let lifetime = self.config.common.connection_lifetime;
        let may_stay = |db: &Db| !db.is_closed() && lifetime.is_none_or(|lifetime| db.age() < lifetime);
        if let Some(db) = kept.filter(may_stay) {
            return Ok(db);
        }
        let db = Db::open(role, conninfo, self.config.common.client(), self.control.abort()).await?;
        db.only_look(STATEMENT_TIME).await?;
        Ok(db)
    }

    /// What this process counts by itself.
    #[expect(clippy::cast_precision_loss, reason = "figures that are far from 2^53")]
    fn add_tally(&self, samples: &mut Samples) {
        let done = self.tally.done();
        samples.add(&metrics::APPLIED_EVENTS, [], self.tally.events() as f64);
        samples.add(&metrics::BATCHES, [], done.batches as f64);
        samples.add(&metrics::BATCH_SECONDS, [], done.time.as_secs_f64());
        samples.add(&metrics::MISSING_ROWS, [], done.missing_rows as f64);
        for (op, count) in [
            ("insert", done.changes.inserts),
            ("update", done.changes.updates),
            ("delete", done.changes.deletes),
            ("truncate", done.changes.truncates),
        ] {
            samples.add(&metrics::ROWS, [op], count as f64);
        }
        let [rows, bytes] = self.verified.get();
        samples.add(&metrics::VERIFICATION_READ_ROWS, [], rows as f64);
        samples.add(&metrics::VERIFICATION_READ_BYTES, [], bytes as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "figures that are far from 2^53")]
    fn add_position(&self, position: Option<&Position>, samples: &mut Samples) {
        let labels = [self.job.queue.as_str(), self.job.consumer.as_str()];
        let Some(position) = position else { return };
        samples.add_known(&metrics::REPLAY_LAG, labels, position.lag_seconds);
        samples.add_known(&metrics::REPLAY_PENDING, labels, position.pending_events.map(|events| events as f64));
        samples.add_known(&metrics::REPLAY_WRITTEN, labels, position.reached.map(|reached| reached.written as f64));
        // Asked after the position: a batch that has ended meanwhile is in neither of them rather than in both.
        let open = self.tally.open_batch().events();
        samples.add_known(&metrics::CATCH_UP, labels, self.pace.after(position, open));
    }
}

impl Monitor {
    /// The lag, where it is more than `lag_warn`. Without anything to come, the age of the tick is that of an idle queue.
    fn lag(&self, position: &Position) -> Option<Condition> {
        let limit = self.config.lag_warn?.as_secs_f64();
        let lag = position.lag_seconds.filter(|lag| *lag > limit && position.has_more())?;
        Some(Condition {
            kind: "lag",
            object: self.job.consumer.clone(),
            fact: format!("the subscriber is {lag:.0} s behind, more than lag_warn ({limit} s)"),
            fix: Some("rlondiste INI subscriber status".to_owned()),
        })
    }
}

/// The tables that wait for an operator.
fn parked(tables: &[SubscribedTable]) -> Vec<Condition> {
    let parked = tables.iter().filter_map(|table| Some((table, table.parked.as_ref()?)));
    let condition = |(table, parked): (&SubscribedTable, &Parked)| Condition {
        kind: "table-parked",
        object: table.name.to_string(),
        fact: one_line(&parked.reason),
        fix: parked.mend.clone(),
    };
    parked.map(condition).collect()
}

impl Site for Monitor {
    const PROGRAM: Program = Program::Replay;

    fn common(&self) -> &Common {
        &self.config.common
    }

    /// Asks the provider only: its queue grows also while the subscriber is away.
    async fn figures(&self) -> Result<Samples> {
        let mut samples = Samples::of(Program::Replay);
        self.add_tally(&mut samples);
        let kept = self.kept().provider.take();
        let provider = self.session(kept, Role::Provider, &self.config.provider_db).await?;
        self.add_position(status::position(&self.config, &provider).await?.as_ref(), &mut samples);
        self.kept().provider = Some(provider);
        Ok(samples)
    }

    async fn metrics(&self) -> Result<Samples> {
        let mut samples = Samples::of(Program::Replay);
        self.add_tally(&mut samples);
        let sides = self.sides().await?;
        self.add_position(status::position(&self.config, &sides.provider).await?.as_ref(), &mut samples);
        add_tables(&sides, &self.job.queue, &mut samples).await?;
        verified::add(&verified::read(&self.config, &sides.subscriber, false).await?, &mut samples);
        self.give_back(sides);
        Ok(samples)
    }

    async fn status(&self) -> Result<Value> {
        let sides = self.sides().await?;
        // Whoever can reach the port gets this.
        let status = status::read(&self.config, &sides.provider, &sides.subscriber, false).await?;
        self.give_back(sides);
        Ok(job::document(&status).unwrap_or_default())
    }

    async fn conditions(&self) -> Result<Vec<Condition>> {
        let sides = self.sides().await?;
        let position = status::position(&self.config, &sides.provider).await?;
        let tables = tables::load(&sides.subscriber, &self.job.queue).await?;
        let verified = verified::read(&self.config, &sides.subscriber, true).await?;
        self.give_back(sides);
        let mut conditions = parked(&tables);
        conditions.extend(verified.iter().filter_map(|(table, verified)| verified::condition(table, verified)));
        conditions.extend(position.and_then(|position| self.lag(&position)));
        Ok(conditions)
    }

    async fn readiness(&self) -> Result<Readiness> {
        let sides = self.sides().await?;
        let position = status::position(&self.config, &sides.provider).await?;
        let tables = tables::load(&sides.subscriber, &self.job.queue).await?;
        self.give_back(sides);
        let obstacle = match position {
            Some(_) => unfinished(&tables),
            None => Some(format!("{} is not registered", self.job.main_consumer())),
        };
        let lag = position.and_then(|position| position.lag_seconds);
        Ok(Readiness { obstacle, lags: vec![("the subscriber".to_owned(), lag)] })
    }

    fn reload(&self) -> Result<(Self, Option<Listen>)> {
        let config = self.config.reload()?;
        self.job.check_reload(&config)?;
        let listen = config.common.http_listen;
        Ok((Monitor::of(config, self.tally.clone(), self.verified.clone(), self.pace.clone(), &self.control), listen))
    }
}

/// How many tables are not `ok`, with the first of them; `None` when all are.
fn unfinished(tables: &[SubscribedTable]) -> Option<String> {
    let others: Vec<_> = tables.iter().filter(|table| table.state != TableState::Ok).collect();
    let first = others.first()?;
    let state = if first.is_parked() { "parked" } else { first.state.word() };
    Some(format!("{} of {} tables are not ok: {} is {state}", others.len(), tables.len(), first.name))
}

/// The states of the tables, and how far their copies are.
#[expect(clippy::cast_precision_loss, reason = "figures that are far from 2^53")]
async fn add_tables(sides: &Sides, queue: &str, samples: &mut Samples) -> Result<()> {
    let tables = tables::load(&sides.subscriber, queue).await?;
    let mut copies = read_progress(&sides.subscriber, Some(&sides.provider)).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    for table in tables {
        let name = table.name.to_string();
        samples.add(&metrics::TABLE_STATE, [&name, table.state.word()], 1.0);
        if table.is_parked() {
            samples.add(&metrics::TABLE_PARKED, [&name], 1.0);
        }
        if let Some(rows) = copies.remove(&table.name).and_then(|copy| copy.rows()) {
            samples.add(&metrics::COPY_ROWS, [&name], rows.copied as f64);
            samples.add_known(&metrics::COPY_EXPECTED, [&name], rows.expected.map(|rows| rows as f64));
            samples.add(&metrics::COPY_START, [&name], now - rows.seconds);
        }
    }
    Ok(())
}
