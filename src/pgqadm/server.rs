//! One process for all databases of a server, by an ini file with section `[pgqd]`.
//!
//! A loop looks each `check_period` which databases have queues, and starts and ends a ticker with its maintenance for
//! each. What goes wrong in one database does not concern the others.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::fault::is_local;
use super::{Settings, Source, tick_and_maintain};
use crate::config;
use crate::error::{Error, Report, Result, Role};
use crate::job::{Control, Work, Worked, run_loop};
use crate::pg::{Db, text_array};
use crate::pgq::install::{Found, find};

/// Ticks and maintains all databases until a stop is requested.
pub(super) async fn run(config: &config::Pgqd, control: &Control) -> Result<()> {
    let mut server = Server { config: config.clone(), control: control.clone(), databases: HashMap::new() };
    let end = Box::pin(run_loop(&mut server, control)).await;
    for (_, task) in server.databases.drain() {
        // Each ends by the same request.
        let _ = task.await;
    }
    end
}

/// The settings of one database.
pub(super) fn settings(config: &config::Pgqd, database: &str) -> Settings {
    Settings {
        source: Source::Pgqd(config.clone(), database.to_owned()),
        label: format!("{database}: "),
        job_name: format!("{} {database}", config.common.job_name),
        conninfo: conninfo(&config.base_connstr, database),
        connection_lifetime: config.common.connection_lifetime,
        loop_delay: config.ticker_period,
        log_delay: LOG_DELAY,
        refresh_period: config.check_period,
        maint_delay: config.maint_period,
        retry_delay: Some(config.retry_period),
        size_warn: 0,
    }
}

/// Time between two lines with the number of ticks.
const LOG_DELAY: Duration = Duration::from_mins(5);

/// The look at the databases, and the task of each that is served.
struct Server {
    config: config::Pgqd,
    control: Control,
    databases: HashMap<String, JoinHandle<Result<()>>>,
}

impl Server {
    /// The databases that are to be served if they have queues.
    async fn candidates(&self) -> Result<Vec<String>> {
        const SQL: &str = "select d.datname::text from pg_catalog.pg_database d
where d.datallowconn and not d.datistemplate
  and (pg_catalog.cardinality($1) = 0 or d.datname::text = any ($1))
order by 1";
        let db = self.open(&self.config.initial_database).await?;
        let wanted: Vec<&str> = self.config.databases().collect();
        let found = db.query("list the databases", SQL, &[text_array(&wanted)]).await?;
        let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
        for name in wanted.iter().filter(|name| !found.iter().any(|database| database == *name)) {
            debug!("Database {name} of database_list is not there");
        }
        Ok(found)
    }

    /// Whether a database has queues. One that cannot be looked at stays as it is.
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
        Db::open(Role::Provider, &conninfo, &self.config.common.job_name, self.control.abort()).await
    }

    fn serve(&mut self, database: &str) {
        info!("Serving database {database}");
        let (settings, control) = (settings(&self.config, database), self.control.clone());
        let task = tokio::spawn(async move { tick_and_maintain(settings, &control).await });
        self.databases.insert(database.to_owned(), task);
    }

    fn leave(&mut self, database: &str) {
        if let Some(task) = self.databases.remove(database) {
            info!("Leaving database {database}");
            // Its sessions close with it; a tick that is being made is rolled back.
            task.abort();
        }
    }
}

impl Work for Server {
    async fn work(&mut self) -> Result<Worked> {
        let candidates = self.candidates().await?;
        // A task that has ended by itself is started again.
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
        }
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

/// The connection string of one database: the base, which has no database, with its name.
fn conninfo(base: &str, database: &str) -> String {
    if base.starts_with("postgresql://") || base.starts_with("postgres://") {
        let (address, options) = base.split_once('?').map_or((base, String::new()), |(a, o)| (a, format!("?{o}")));
        let (scheme, rest) = address.split_once("://").unwrap_or(("postgresql", address));
        let host = rest.split('/').next().unwrap_or_default();
        return format!("{scheme}://{host}/{}{options}", percent_encode(database));
    }
    let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{base} dbname='{quoted}'")
}

fn percent_encode(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn database_is_added_to_keywords_and_uris() {
        for (base, database, expected) in [
            ("host=h port=1", "shop", "host=h port=1 dbname='shop'"),
            ("", "it's", " dbname='it\\'s'"),
            ("postgresql://u@h:1", "a b", "postgresql://u@h:1/a%20b"),
            ("postgres://u@h/?sslmode=require", "shop", "postgres://u@h/shop?sslmode=require"),
        ] {
            assert_eq!(conninfo(base, database), expected);
        }
    }
}
