//! The `replay` command, and what it tells over HTTP while it runs, read from both sides when somebody asks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::super::context::Job;
use super::super::copy::read_progress;
use super::super::replay::{self, Tally};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::status::{self, Position};
use crate::config::{self, Listen};
use crate::error::{Result, Role};
use crate::http::metrics::{self, Program};
use crate::http::{Listener, Readiness, Samples, Server, Site};
use crate::job::{Control, Health, Output};
use crate::pg::Db;

/// How long a statement of a scrape may run.
const STATEMENT_TIME: Duration = Duration::from_secs(2);

/// Applies batches until a stop is requested, and answers on `listener`.
pub(crate) async fn run(config: &config::Londiste, control: &Control, listener: Option<Listener>) -> Result<Output> {
    let (health, tally) = (Health::default(), Tally::default());
    let monitor = Monitor::of(config.clone(), tally.clone(), control);
    let _server = Server::start(monitor, listener, health.clone(), control);
    replay::run(config, control, &health, tally).await
}

/// The site of a replay.
struct Monitor {
    config: config::Londiste,
    job: Job,
    tally: Tally,
    control: Control,
    /// The sessions of the last answer.
    sessions: Mutex<Option<Sides>>,
}

struct Sides {
    provider: Db,
    subscriber: Db,
}

impl Monitor {
    fn of(config: config::Londiste, tally: Tally, control: &Control) -> Monitor {
        Monitor { job: Job::of(&config), config, tally, control: control.clone(), sessions: Mutex::default() }
    }

    /// Sessions that only look: those of the last answer, or new ones. The caller gives them back after its last statement;
    /// sessions in which something failed, or may still run, are closed.
    async fn sides(&self) -> Result<Sides> {
        let kept = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).take();
        match kept.filter(|sides| self.may_keep(&sides.provider) && self.may_keep(&sides.subscriber)) {
            Some(sides) => Ok(sides),
            None => Ok(Sides {
                provider: self.open(Role::Provider, &self.config.provider_db).await?,
                subscriber: self.open(Role::Subscriber, &self.config.subscriber_db).await?,
            }),
        }
    }

    fn give_back(&self, sides: Sides) {
        *self.sessions.lock().unwrap_or_else(PoisonError::into_inner) = Some(sides);
    }

    async fn open(&self, role: Role, conninfo: &str) -> Result<Db> {
        let db = Db::open(role, conninfo, self.config.common.client(), self.control.abort()).await?;
        db.only_look(STATEMENT_TIME).await?;
        Ok(db)
    }

    fn may_keep(&self, db: &Db) -> bool {
        !db.is_closed() && self.config.common.connection_lifetime.is_none_or(|lifetime| db.age() < lifetime)
    }

    /// What this process counts by itself.
    #[expect(clippy::cast_precision_loss, reason = "figures that are far from 2^53")]
    fn add_tally(&self, samples: &mut Samples) {
        let done = self.tally.done();
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
    }

    #[expect(clippy::cast_precision_loss, reason = "figures that are far from 2^53")]
    fn add_position(&self, position: Option<&Position>, samples: &mut Samples) {
        let labels = [self.job.queue.as_str(), self.job.consumer.as_str()];
        samples.add_known(&metrics::REPLAY_LAG, labels, position.and_then(|p| p.lag_seconds));
        samples.add_known(&metrics::REPLAY_PENDING, labels, position.and_then(|p| p.pending_events).map(|n| n as f64));
    }
}

impl Site for Monitor {
    async fn metrics(&self) -> Result<Samples> {
        let mut samples = Samples::of(Program::Replay);
        self.add_tally(&mut samples);
        let sides = self.sides().await?;
        self.add_position(status::position(&self.config, &sides.provider).await?.as_ref(), &mut samples);
        add_tables(&sides, &self.job.queue, &mut samples).await?;
        self.give_back(sides);
        Ok(samples)
    }

    async fn status(&self) -> Result<Value> {
        let sides = self.sides().await?;
        let status = status::read(&self.config, &sides.provider, &sides.subscriber).await?;
        self.give_back(sides);
        Ok(serde_json::to_value(status).unwrap_or_default())
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
        Ok((Monitor::of(config, self.tally.clone(), &self.control), listen))
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
