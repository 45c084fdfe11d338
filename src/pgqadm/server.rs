//! One process for all databases of a server, by an ini file with section `[pgqd]`.
//!
//! Each `check_period` a loop finds out which databases have schema `pgq`, and starts or ends the ticker and the
//! maintenance of each. An error in one database leaves the others alone.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, info, warn};

use super::database::tick_and_maintain;
use super::database_settings::{DatabaseSettings, conninfo};
use super::fault::is_local;
use super::monitor::Served;
use crate::config;
use crate::error::{Error, Report, Result, Role};
use crate::job::{Control, Health, Work, Worked, run_loop};
use crate::pg::{Db, text_array};
use crate::pgq::install::{Found, find};

/// Ticks and maintains all databases until a stop is requested. `health` and `served` are kept up to date.
pub(super) async fn run(config: &config::Pgqd, control: &Control, health: &Health, served: Served) -> Result<()> {
    let mut server = Server {
        config: config.clone(),
        control: control.clone(),
        health: health.clone(),
        served,
        tasks: JoinSet::new(),
        databases: HashMap::new(),
    };
    let end = Box::pin(run_loop(&mut server, control, health)).await;
    // The request that ended the loop ends each task.
    while server.tasks.join_next().await.is_some() {}
    end
}

/// The databases to be served if they have schema `pgq`: all that allow connections and are no template, or those of
/// `database_list`.
pub(crate) async fn candidates(config: &config::Pgqd, db: &Db) -> Result<Vec<String>> {
    const SQL: &str = "select d.datname::text from pg_catalog.pg_database d
where d.datallowconn and not d.datistemplate
  and (pg_catalog.cardinality($1) = 0 or d.datname::text = any ($1))
order by 1";
    let wanted: Vec<&str> = config.databases().collect();
    let found = db.query("list the databases", SQL, &[text_array(&wanted)]).await?;
    Ok(found.iter().map(|row| row.get(0)).collect())
}

/// The loop's state: the tasks of the databases that are served.
struct Server {
    config: config::Pgqd,
    control: Control,
    health: Health,
    served: Served,
    /// Dropping the set aborts the tasks.
    tasks: JoinSet<Result<()>>,
    /// The task of each database that is served.
    databases: HashMap<String, AbortHandle>,
}

impl Server {
    /// As [`candidates`].
    async fn candidates(&self) -> Result<Vec<String>> {
        let db = self.open(&self.config.initial_database).await?;
        let found = candidates(&self.config, &db).await?;
        for name in self.config.databases().filter(|name| !found.iter().any(|database| database == *name)) {
            debug!("Database {name} of database_list is not there");
        }
        Ok(found)
    }

    /// Whether a database has schema `pgq`. For a database that cannot be reached: whether it is served now.
    async fn has_queues(&self, database: &str) -> Result<bool> {
        let found = match self.open(database).await {
            Ok(db) => find(&db).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => Ok(!matches!(found, Found::None | Found::Foreign(_))),
            Err(Error::Aborted) => Err(Error::Aborted),
            Err(error) if is_local(&error) || matches!(error, Error::Connect { .. }) => {
                warn!("{database}: {}", Report(&error));
                Ok(self.databases.contains_key(database))
            }
            Err(error) => Err(error),
        }
    }

    async fn open(&self, database: &str) -> Result<Db> {
        let conninfo = conninfo(&self.config.base_connstr, database);
        Db::open(Role::Provider, &conninfo, self.config.common.client(), self.control.abort()).await
    }

    fn serve(&mut self, database: &str) {
        info!("Serving database {database}");
        let settings = DatabaseSettings::of_server(&self.config, database);
        let (control, health) = (self.control.clone(), self.health.clone());
        let task = self.tasks.spawn(async move { tick_and_maintain(settings, &control, &health).await });
        self.databases.insert(database.to_owned(), task);
    }

    fn leave(&mut self, database: &str) {
        if let Some(task) = self.databases.remove(database) {
            info!("Leaving database {database}");
            // Drops the sessions of the task, so a tick that is being made is cancelled or committed by the server.
            task.abort();
        }
    }
}

impl Work for Server {
    async fn work(&mut self) -> Result<Worked> {
        let candidates = self.candidates().await?;
        while self.tasks.try_join_next().is_some() {}
        // A task that has ended by itself is started again below.
        self.databases.retain(|_, task| !task.is_finished());
        let gone: Vec<String> = self.databases.keys().filter(|name| !candidates.contains(name)).cloned().collect();
        for name in gone {
            self.leave(&name);
        }
        for name in candidates {
            if self.control.stopping() {
                break;
            }
            match (self.has_queues(&name).await?, self.databases.contains_key(&name)) {
                (true, false) => self.serve(&name),
                (false, true) => self.leave(&name),
                _ => (),
            }
            self.served.set(self.databases.keys().cloned());
        }
        self.served.set(self.databases.keys().cloned());
        Ok(Worked::Idle)
    }

    fn disconnect(&mut self) {}

    fn reload(&mut self) -> Result<()> {
        self.config = self.config.reload()?;
        Ok(())
    }

    fn loop_delay(&self) -> Duration {
        self.config.check_period
    }

    fn name(&self) -> &str {
        &self.config.common.job_name
    }
}
