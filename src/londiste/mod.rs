//! Replication of tables: the commands of SkyTools' `londiste.py`.

pub mod apply;
mod batch;
mod commands;
mod comparison;
mod context;
mod copy;
mod foreign_keys;
mod replay;
mod schema;
mod state;
mod table_lock;

pub(crate) use commands::command::{Command, CopyMode, Problems, Provider, Selection, Shown, Subscriber};
pub(crate) use comparison::{Compare, Lag, Repair, Tables};
pub(crate) use state::provider_queue::Truncate;

// What the doctor and up ask too.
pub(crate) use commands::provider::is_replication_function;
pub(crate) use commands::replay::run as replay;
pub(crate) use commands::seqs::missing as missing_sequences;
pub(crate) use commands::status::position;
pub(crate) use commands::structure::{Difference, Note, Structures};
pub(crate) use commands::verified;
pub(crate) use context::Job;
pub(crate) use schema::{Found, find as find_schema};
pub(crate) use state::foreign_keys as stored_foreign_keys;
pub(crate) use state::table_state::TableState;
pub(crate) use state::tables::SubscribedTable;
pub(crate) use state::triggers::{self as stored_triggers, Place};
pub(crate) use state::{conditions, made, overlaps, provider_queue, sequence_gap, sequences, tables};

// What a switchover does with both sides.
pub(crate) use commands::way_back;
pub(crate) use state::{completed, fence, queue_consumer, switchover, turned};

// What the health check of replay asks.
pub(crate) use commands::lag::{STANDS_STILL, Standstill, standstill};

use crate::config;
use crate::error::{Result, Role};
use crate::job::{Control, Output};
use commands::install::Maker;
use context::Context;

/// Installs on one side as `provider install` and `subscriber install` do, and notes what was not there, for `down`.
pub(crate) async fn install_for_up(role: Role, config: &config::Londiste, control: &Control) -> Result<()> {
    let context = Context::new(config, control);
    match role {
        Role::Provider => commands::install::provider(&context, Maker::Tool).await,
        Role::Subscriber => commands::install::subscriber(&context, Maker::Tool).await,
    }
}

/// Runs a command and returns what it prints.
pub(crate) async fn run(command: Command, config: &config::Londiste, control: &Control) -> Result<Output> {
    let context = Context::new(config, control);
    match command {
        Command::Provider(command) => commands::provider::run(command, &context).await,
        Command::Subscriber(command) => commands::subscriber::run(command, &context).await,
        Command::Copy => {
            context.refuse_turned().await?;
            commands::copy::run(config, control).await
        }
        Command::Rewind => commands::position::rewind(&context).await,
        Command::Reset => commands::position::reset(&context).await,
        Command::Compare(wanted) => comparison::compare(&wanted, context).await,
        Command::Repair(wanted) => comparison::repair(&wanted, context).await,
    }
}
