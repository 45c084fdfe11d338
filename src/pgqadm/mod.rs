//! The ticker and the administration of queues: what `pgqadm.py` did.

mod admin;
mod captured_tables;
mod clock;
mod command;
mod database;
mod database_settings;
mod demand;
mod events;
mod failed;
mod fault;
mod maintenance;
mod queue_settings;
mod rebase;
mod reminders;
mod rights;
mod rotation;
mod server;
mod status;
mod tick_lock;
mod tick_rule;
mod tick_session;
mod ticker;
mod warnings;

pub(crate) use command::{Command, Consumers, FailedAction};

use crate::config;
use crate::error::{Result, Role};
use crate::job::{Control, Output};
use crate::pg::Db;

use self::database_settings::DatabaseSettings;
pub(crate) use self::rights::Right;

/// Runs a command. [`Command::Ticker`] returns when a stop is requested; the others when they are done. Opens its own
/// sessions; errors that a retry may mend are returned by all but the ticker.
pub(crate) async fn run(command: Command, config: &config::Pgqadm, control: &Control) -> Result<Output> {
    if command == Command::Ticker {
        database::tick_and_maintain(DatabaseSettings::of_database(config), control).await?;
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

/// Runs the ticker and the maintenance for all databases of a server until a stop is requested.
pub(crate) async fn run_server(config: &config::Pgqd, control: &Control) -> Result<Output> {
    server::run(config, control).await?;
    Ok(Output::none())
}
