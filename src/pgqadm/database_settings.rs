//! The settings of the ticker and the maintenance of one database.

use std::time::Duration;

use crate::config;
use crate::error::{Result, Role};
use crate::job::Control;
use crate::pg::{ClientSettings, Db};

/// Time between two lines with the number of ticks.
const LOG_DELAY: Duration = Duration::from_mins(5);

/// `queue_refresh_period` where the ini file has no such key.
const REFRESH_PERIOD: Duration = Duration::from_secs(30);

/// The settings of ticker and maintenance of one database, from a section `[pgqadm]` or `[pgqd]`, or `[londiste]` for a ticker inside
/// of replay.
#[derive(Clone)]
pub(super) struct DatabaseSettings {
    source: Source,
    /// The beginning of each log line: empty, or the database's name where one process serves many.
    pub(super) label: String,
    pub(super) job_name: String,
    conninfo: String,
    connection_lifetime: Option<Duration>,
    connection_check: Option<Duration>,
    pub(super) loop_delay: Duration,
    pub(super) log_delay: Duration,
    pub(super) refresh_period: Duration,
    pub(super) maint_delay: Duration,
    /// Time between two moves of retry events into their queues; `None` moves them in each round of maintenance only.
    pub(super) retry_delay: Option<Duration>,
    /// Bytes of a queue's event tables above which maintenance warns; 0 for never.
    pub(super) size_warn: u64,
}

/// The configuration that settings are made of, and read again by.
#[derive(Clone)]
enum Source {
    Pgqadm(config::Pgqadm),
    Pgqd(config::Pgqd, String),
    Londiste(config::Londiste),
}

impl DatabaseSettings {
    /// The settings by an ini file with section `[pgqadm]`.
    pub(super) fn of_database(config: &config::Pgqadm) -> DatabaseSettings {
        DatabaseSettings {
            source: Source::Pgqadm(config.clone()),
            label: String::new(),
            job_name: config.common.job_name.clone(),
            conninfo: config.db.clone(),
            connection_lifetime: config.common.connection_lifetime,
            connection_check: config.common.connection_check,
            loop_delay: config.common.loop_delay,
            log_delay: config.ticker_log_delay,
            refresh_period: config.queue_refresh_period,
            maint_delay: config.maint_delay,
            retry_delay: None,
            size_warn: config.queue_size_warn,
        }
    }

    /// The settings of one database by an ini file with section `[pgqd]`.
    pub(super) fn of_server(config: &config::Pgqd, database: &str) -> DatabaseSettings {
        DatabaseSettings {
            source: Source::Pgqd(config.clone(), database.to_owned()),
            label: format!("{database}: "),
            job_name: format!("{} {database}", config.common.job_name),
            conninfo: conninfo(&config.base_connstr, database),
            connection_lifetime: config.common.connection_lifetime,
            connection_check: config.common.connection_check,
            loop_delay: config.ticker_period,
            log_delay: LOG_DELAY,
            refresh_period: config.check_period,
            maint_delay: config.maint_period,
            retry_delay: Some(config.retry_period),
            size_warn: 0,
        }
    }

    /// The settings of a ticker inside of replay, for the provider's database.
    pub(super) fn of_replay(config: &config::Londiste) -> DatabaseSettings {
        DatabaseSettings {
            source: Source::Londiste(config.clone()),
            label: "ticker: ".to_owned(),
            job_name: format!("{} ticker", config.common.job_name),
            conninfo: config.provider_db.clone(),
            connection_lifetime: config.common.connection_lifetime,
            connection_check: config.common.connection_check,
            loop_delay: config.common.loop_delay,
            log_delay: LOG_DELAY,
            refresh_period: REFRESH_PERIOD,
            maint_delay: config.maint_delay,
            retry_delay: None,
            size_warn: 0,
        }
    }

    /// Whether the ticker is one inside of replay.
    pub(super) fn is_inside_replay(&self) -> bool {
        matches!(self.source, Source::Londiste(_))
    }

    /// Reads the ini file again.
    pub(super) fn reload(&self) -> Result<DatabaseSettings> {
        match &self.source {
            Source::Pgqadm(config) => Ok(DatabaseSettings::of_database(&config.reload()?)),
            Source::Pgqd(config, database) => Ok(DatabaseSettings::of_server(&config.reload()?, database)),
            Source::Londiste(config) => Ok(DatabaseSettings::of_replay(&config.reload()?)),
        }
    }

    /// Opens a session, whose statement is cancelled when an abort is requested.
    pub(super) async fn open(&self, control: &Control) -> Result<Db> {
        let client = ClientSettings { application_name: &self.job_name, connection_check: self.connection_check };
        Db::open(Role::Provider, &self.conninfo, client, control.abort()).await
    }

    /// Whether a session may be used for another turn.
    pub(super) fn may_keep(&self, db: &Db) -> bool {
        !db.is_closed() && self.connection_lifetime.is_none_or(|lifetime| db.age() < lifetime)
    }
}

/// The connection string of one database: `base`, which names none, with the name of the database.
pub(crate) fn conninfo(base: &str, database: &str) -> String {
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
