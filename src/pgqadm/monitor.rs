//! What a running ticker tells over HTTP, read from its databases when somebody asks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::database_settings::DatabaseSettings;
use super::{figures, rotation, status};
use crate::config::{self, Common, Listen};
use crate::error::{Report, Result};
use crate::http::metrics::{self, Program};
use crate::http::{Condition, Readiness, Samples, Site};
use crate::job::{self, Control};
use crate::pg::Db;
use crate::text::one_line;

/// How long a statement of a scrape may run.
const STATEMENT_TIME: Duration = Duration::from_secs(2);

/// The names of the databases that a ticker of a whole server serves now. Clones share the names.
#[derive(Clone, Debug, Default)]
pub(super) struct Served(Arc<Mutex<BTreeSet<String>>>);

impl Served {
    pub(super) fn set(&self, names: impl Iterator<Item = String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = names.collect();
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// The site of a ticker.
pub(super) struct Monitor {
    source: Source,
    control: Control,
    /// The sessions of the last answer, by [`Database::key`].
    sessions: Mutex<HashMap<String, Session>>,
}

/// A session that only looks, and the name of its database.
struct Session {
    db: Db,
    name: String,
}

/// Where the databases are found.
enum Source {
    One(config::Pgqadm),
    Server(config::Pgqd, Served),
}

/// A database of the ticker.
struct Database {
    settings: DatabaseSettings,
    /// Its name, for a ticker that serves several.
    key: String,
}

impl Monitor {
    /// Of the ticker of one database.
    pub(super) fn of_database(config: &config::Pgqadm, control: &Control) -> Monitor {
        Monitor::of(Source::One(config.clone()), control)
    }

    /// Of the ticker of a server.
    pub(super) fn of_server(config: &config::Pgqd, served: Served, control: &Control) -> Monitor {
        Monitor::of(Source::Server(config.clone(), served), control)
    }

    fn of(source: Source, control: &Control) -> Monitor {
        Monitor { source, control: control.clone(), sessions: Mutex::default() }
    }

    fn databases(&self) -> Vec<Database> {
        match &self.source {
            Source::One(config) => {
                vec![Database { settings: DatabaseSettings::of_database(config), key: String::new() }]
            }
            Source::Server(config, served) => {
                let of = |key: String| Database { settings: DatabaseSettings::of_server(config, &key), key };
                served.names().into_iter().map(of).collect()
            }
        }
    }

    /// A session that only looks: that of the last answer, or a new one. The caller puts it back after its last statement; a
    /// session in which something failed, or may still run, is closed.
    async fn session(&self, database: &Database) -> Result<Session> {
        const NAME: &str = "select pg_catalog.current_database()::text";
        let kept = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&database.key);
        if let Some(session) = kept.filter(|session| database.settings.may_keep(&session.db)) {
            return Ok(session);
        }
        let db = database.settings.open(&self.control).await?;
        db.only_look(STATEMENT_TIME).await?;
        let name = db.query_one("read the name of the database", NAME, &[]).await?.get(0);
        Ok(Session { db, name })
    }

    /// Asks each database in turn. Fails when none answers.
    async fn ask<T: Figure>(&self) -> Result<Round<T>> {
        let mut round = Round { answers: Vec::new(), failures: Vec::new() };
        let mut first = None;
        for database in self.databases() {
            let key = database.key.clone();
            match self.ask_one(database).await {
                Ok(answer) => round.answers.push(answer),
                Err(error) => {
                    round.failures.push((key, Report(&error).message()));
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(error) if round.answers.is_empty() => Err(error),
            _ => Ok(round),
        }
    }

    async fn ask_one<T: Figure>(&self, database: Database) -> Result<(String, T)> {
        let session = self.session(&database).await?;
        let answer = T::read(&session.db, &session.name).await?;
        let name = session.name.clone();
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(database.key, session);
        Ok((name, answer))
    }
}

/// Something that is read from each database.
trait Figure: Sized + Send {
    /// Reads it from the database of this name.
    fn read(db: &Db, name: &str) -> impl Future<Output = Result<Self>> + Send;
}

/// What the databases answered.
struct Round<T> {
    /// By database.
    answers: Vec<(String, T)>,
    /// The databases that did not answer, and why, on one line.
    failures: Vec<(String, String)>,
}

impl Figure for Samples {
    async fn read(db: &Db, name: &str) -> Result<Samples> {
        figures::read(db, name).await
    }
}

/// The figures that have a history.
struct OfQueues(Samples);

impl Figure for OfQueues {
    async fn read(db: &Db, name: &str) -> Result<OfQueues> {
        let mut samples = Samples::of(Program::Ticker);
        figures::queues(db, name, &mut samples).await?;
        Ok(OfQueues(samples))
    }
}

impl Figure for Value {
    async fn read(db: &Db, _: &str) -> Result<Value> {
        Ok(job::document(&status::read(db).await?).unwrap_or_default())
    }
}

/// The queues whose rotation is blocked.
impl Figure for Vec<Condition> {
    async fn read(db: &Db, name: &str) -> Result<Vec<Condition>> {
        let late = rotation::late(db, &rotation::due(db).await?).await?;
        let condition = |late: &rotation::Late| Condition {
            kind: "rotation-blocked",
            object: format!("queue {} in database {name}", late.queue),
            fact: one_line(&late.describe()),
            fix: None,
        };
        Ok(late.iter().map(condition).collect())
    }
}

impl Figure for Readiness {
    async fn read(db: &Db, name: &str) -> Result<Readiness> {
        let lags = status::ticker_lags(db).await?;
        let of = |(queue, lag)| (format!("the ticker of queue {queue} in database {name}"), lag);
        Ok(Readiness { obstacle: None, lags: lags.into_iter().map(of).collect() })
    }
}

impl Site for Monitor {
    const PROGRAM: Program = Program::Ticker;

    fn common(&self) -> &Common {
        match &self.source {
            Source::One(config) => &config.common,
            Source::Server(config, _) => &config.common,
        }
    }

    async fn metrics(&self) -> Result<Samples> {
        let round = self.ask::<Samples>().await?;
        let mut samples = Samples::of(Program::Ticker);
        round.answers.into_iter().for_each(|(_, found)| samples.append(found));
        for (name, _) in round.failures {
            samples.add(&metrics::DATABASE_UP, [&name], 0.0);
        }
        Ok(samples)
    }

    async fn figures(&self) -> Result<Samples> {
        let mut samples = Samples::of(Program::Ticker);
        self.ask::<OfQueues>().await?.answers.into_iter().for_each(|(_, OfQueues(found))| samples.append(found));
        Ok(samples)
    }

    async fn status(&self) -> Result<Value> {
        let round = self.ask::<Value>().await?;
        Ok(match &self.source {
            Source::One(_) => round.answers.into_iter().map(|(_, status)| status).next().unwrap_or_default(),
            Source::Server(..) => {
                let error = |(name, why)| (name, serde_json::json!({ "error": why }));
                let databases: Map<String, Value> =
                    round.answers.into_iter().chain(round.failures.into_iter().map(error)).collect();
                job::document(&serde_json::json!({ "databases": databases })).unwrap_or_default()
            }
        })
    }

    async fn conditions(&self) -> Result<Vec<Condition>> {
        Ok(self.ask::<Vec<Condition>>().await?.answers.into_iter().flat_map(|(_, conditions)| conditions).collect())
    }

    async fn readiness(&self) -> Result<Readiness> {
        let round = self.ask::<Readiness>().await?;
        let obstacle = round.failures.into_iter().map(|(_, why)| why).next();
        let lags = round.answers.into_iter().flat_map(|(_, readiness)| readiness.lags).collect();
        Ok(Readiness { obstacle, lags })
    }

    fn reload(&self) -> Result<(Self, Option<Listen>)> {
        let (source, listen) = match &self.source {
            Source::One(config) => {
                let config = config.reload()?;
                let listen = config.common.http_listen;
                (Source::One(config), listen)
            }
            Source::Server(config, served) => {
                let config = config.reload()?;
                let listen = config.common.http_listen;
                (Source::Server(config, served.clone()), listen)
            }
        };
        Ok((Monitor::of(source, &self.control), listen))
    }
}
