//! The ticker and the administration of queues: what `pgqadm.py` did.

mod admin;
pub(crate) mod captured_tables;
pub(crate) mod clock;
mod command;
mod database;
mod database_settings;
mod demand;
mod events;
mod failed;
mod fault;
mod figures;
mod inside_replay;
mod maintenance;
mod monitor;
mod queue_settings;
pub(crate) mod rebase;
mod reminders;
mod rights;
pub(crate) mod rotation;
mod server;
mod status;
pub(crate) mod tick_lock;
mod tick_rule;
mod tick_session;
mod ticker;
pub(crate) mod ticker_sessions;
pub(crate) mod warnings;

pub(crate) use command::{Command, Consumers, FailedAction};
pub(crate) use inside_replay::{Inside, tick_inside_replay};

use crate::config;
use crate::error::{Result, Role};
use crate::http::{Listener, Server};
use crate::job::{Control, Health, Output};
use crate::pg::Db;

use self::database_settings::DatabaseSettings;
use self::monitor::{Monitor, Served};
pub(crate) use self::rights::Right;

// What the doctor asks too, beside the modules above that are not private.
pub(crate) use self::database_settings::conninfo;
pub(crate) use self::server::candidates;
pub(crate) use self::ticker_sessions::TickerSession;

/// Runs a command. [`Command::Ticker`] returns when a stop is requested; the others when they are done. Opens its own
/// sessions; errors that a retry may mend are returned by all but the ticker. The ticker answers on `listener`.
pub(crate) async fn run(
    command: Command,
    config: &config::Pgqadm,
    control: &Control,
    listener: Option<Listener>,
) -> Result<Output> {
    if command == Command::Ticker {
        let health = Health::default();
        let _server = Server::start(Monitor::of_database(config, control), listener, health.clone(), control);
        database::tick_and_maintain(DatabaseSettings::of_database(config), control, &health).await?;
        return Ok(Output::none());
    }
    let db = Db::open(Role::Provider, &config.db, config.common.client(), control.abort()).await?;
    match command {
        Command::Ticker | Command::Status => Ok(Output::of(&status::read(&db).await?)),
        Command::Install => admin::install(&db).await,
        Command::Create { queue } => admin::create(&db, &queue).await,
        Command::Drop { queue, consumers } => admin::drop_queue(&db, &queue, consumers).await,
        Command::Register { queue, consumer } => admin::register(&db, &queue, &consumer).await,
        Command::Unregister { queue, consumer } => admin::unregister(&db, &queue, &consumer).await,
        Command::Grant { role, right } => rights::grant(&db, &role, right).await,
        Command::Revoke { role, right } => rights::revoke(&db, &role, right).await,
        Command::Config { queue, changes } => queue_settings::run(&db, queue.as_deref(), &changes).await,
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

/// Runs the ticker and the maintenance for all databases of a server until a stop is requested. Answers on `listener`.
pub(crate) async fn run_server(config: &config::Pgqd, control: &Control, listener: Option<Listener>) -> Result<Output> {
    let (health, served) = (Health::default(), Served::default());
    let monitor = Monitor::of_server(config, served.clone(), control);
    let _server = Server::start(monitor, listener, health.clone(), control);
    server::run(config, control, &health, served).await?;
    Ok(Output::none())
}
