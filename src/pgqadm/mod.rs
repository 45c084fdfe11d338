//! The ticker and the administration of queues: what `pgqadm.py` did.

mod admin;
mod clock;
mod events;
mod failed;
mod fault;
mod maint;
mod rebase;
mod reminders;
mod rights;
mod rotation;
mod server;
mod settings;
mod status;
mod tick_lock;
mod tick_rule;
mod ticker;
mod watch;

use std::time::Duration;

use crate::config;
use crate::error::{Result, Role};
use crate::job::{Control, Output, run_loop};
use crate::pg::Db;

use self::maint::Maintenance;
pub use self::rights::Right;
use self::ticker::Ticker;

/// A command of the ticker program, as the command line gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make ticks and do the maintenance until stopped.
    Ticker,
    /// Overview of queues and consumers.
    Status,
    /// Install schema `pgq`.
    Install,
    /// Create a queue.
    Create {
        /// Its name.
        queue: String,
    },
    /// Drop a queue.
    Drop {
        /// Its name.
        queue: String,
        /// Unregister its consumers too.
        force: bool,
    },
    /// Register a consumer at the newest tick.
    Register {
        /// Queue name.
        queue: String,
        /// Consumer name.
        consumer: String,
    },
    /// Unregister a consumer.
    Unregister {
        /// Queue name.
        queue: String,
        /// Consumer name.
        consumer: String,
    },
    /// Give a role a right in the database.
    Grant {
        /// Name of the role, or `public`.
        role: String,
        /// The right.
        right: Right,
    },
    /// Take a right back from a role.
    Revoke {
        /// Name of the role, or `public`.
        role: String,
        /// The right.
        right: Right,
    },
    /// Show or change the settings of queues.
    Config {
        /// Queue name; all queues when absent.
        queue: Option<String>,
        /// `VAR=VAL` as typed.
        changes: Vec<String>,
    },
    /// Reset ticks and event tables after a restore into a cluster with a smaller transaction counter.
    Rebase {
        /// Queue name.
        queue: String,
    },
    /// Show pending events without consuming them.
    Events {
        /// Queue name.
        queue: String,
        /// Pending for this consumer; everything that is still stored when absent.
        consumer: Option<String>,
        /// Show at most so many.
        limit: Option<u32>,
    },
    /// Show, retry or delete failed events of a consumer.
    Failed {
        /// Queue name.
        queue: String,
        /// Consumer name.
        consumer: String,
        /// What to do with which event; list them when absent.
        action: Option<FailedAction>,
    },
}

/// What to do with a failed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedAction {
    /// Put it back into the queue.
    Retry(i64),
    /// Forget it.
    Delete(i64),
}

/// Runs a command. [`Command::Ticker`] returns when a stop is requested; the others when they are done.
pub async fn run(command: Command, config: &config::Pgqadm, control: &Control) -> Result<Output> {
    if command == Command::Ticker {
        tick_and_maintain(Settings::of_database(config), control).await?;
        return Ok(Output::none());
    }
    let db = Db::open(Role::Provider, &config.db, &config.common.job_name, control.abort()).await?;
    match command {
        Command::Ticker | Command::Status => Ok(Output::of(&status::read(&db).await?)),
        Command::Install => admin::install(&db).await,
        Command::Create { queue } => admin::create(&db, &queue).await,
        Command::Drop { queue, force } => admin::drop_queue(&db, &queue, force).await,
        Command::Register { queue, consumer } => admin::register(&db, &queue, &consumer).await,
        Command::Unregister { queue, consumer } => admin::unregister(&db, &queue, &consumer).await,
        Command::Grant { role, right } => rights::grant(&db, &role, right).await,
        Command::Revoke { role, right } => rights::revoke(&db, &role, right).await,
        Command::Config { queue, changes } => settings::run(&db, queue.as_deref(), &changes).await,
        Command::Rebase { queue } => rebase::run(&db, &queue).await,
        Command::Events { queue, consumer, limit } => {
            let list = events::read(&db, &queue, consumer.as_deref(), limit).await?;
            Ok(Output::of(&list))
        }
        Command::Failed { queue, consumer, action: None } => {
            Ok(Output::of(&failed::read(&db, &queue, &consumer).await?))
        }
        Command::Failed { queue, consumer, action: Some(action) } => failed::act(&db, &queue, &consumer, action).await,
    }
}

/// Runs the ticker for all databases of a server until a stop is requested.
pub async fn run_server(config: &config::Pgqd, control: &Control) -> Result<Output> {
    server::run(config, control).await?;
    Ok(Output::none())
}

/// Ticks and maintenance of one database: two loops on two connections, so that neither a slow nor a failing
/// maintenance ever holds up a tick. Both are polled here, by one task, and end together.
async fn tick_and_maintain(settings: Settings, control: &Control) -> Result<()> {
    let mut ticker = Ticker::new(settings.clone(), control);
    let mut maintenance = Maintenance::new(settings, control);
    let ticks = Box::pin(run_loop(&mut ticker, control));
    let upkeep = Box::pin(run_loop(&mut maintenance, control));
    let ends = tokio::join!(ticks, upkeep);
    ends.0.and(ends.1)
}

/// What ticker and maintenance of one database need to know, from either kind of ini file.
#[derive(Clone)]
struct Settings {
    source: Source,
    /// Begins each log line: empty, or the database's name where one process serves many.
    label: String,
    job_name: String,
    conninfo: String,
    connection_lifetime: Option<Duration>,
    loop_delay: Duration,
    log_delay: Duration,
    refresh_period: Duration,
    maint_delay: Duration,
    /// When set, events are retried in a rhythm of their own between the rounds of maintenance.
    retry_delay: Option<Duration>,
    /// Bytes, 0 for never.
    size_warn: u64,
}

/// Where settings are read again from.
#[derive(Clone)]
enum Source {
    Pgqadm(config::Pgqadm),
    Pgqd(config::Pgqd, String),
}

impl Settings {
    fn of_database(config: &config::Pgqadm) -> Settings {
        Settings {
            source: Source::Pgqadm(config.clone()),
            label: String::new(),
            job_name: config.common.job_name.clone(),
            conninfo: config.db.clone(),
            connection_lifetime: config.common.connection_lifetime,
            loop_delay: config.common.loop_delay,
            log_delay: config.ticker_log_delay,
            refresh_period: config.queue_refresh_period,
            maint_delay: config.maint_delay,
            retry_delay: None,
            size_warn: config.queue_size_warn,
        }
    }

    /// The settings as the ini file has them now.
    fn reload(&self) -> Result<Settings> {
        match &self.source {
            Source::Pgqadm(config) => Ok(Settings::of_database(&config.reload()?)),
            Source::Pgqd(config, database) => Ok(server::settings(&config.reload()?, database)),
        }
    }

    async fn open(&self, control: &Control) -> Result<Db> {
        Db::open(Role::Provider, &self.conninfo, &self.job_name, control.abort()).await
    }

    /// Whether a session may be used for another turn.
    fn may_keep(&self, db: &Db) -> bool {
        !db.is_closed() && self.connection_lifetime.is_none_or(|lifetime| db.age() < lifetime)
    }
}
