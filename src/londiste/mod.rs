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
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use state::table_state::TableState;

use crate::config;
use crate::error::Result;
use crate::http::Listener;
use crate::job::{Control, Output};
use context::Context;

/// Runs a command and returns what it prints. Replay answers on `listener`.
pub(crate) async fn run(
    command: Command,
    config: &config::Londiste,
    control: &Control,
    listener: Option<Listener>,
) -> Result<Output> {
    let context = Context::new(config, control);
    match command {
        Command::Provider(command) => commands::provider::run(command, &context).await,
        Command::Subscriber(command) => commands::subscriber::run(command, &context).await,
        Command::Replay => commands::replay::run(config, control, listener).await,
        Command::Copy => commands::copy::run(config, control).await,
        Command::Rewind => commands::position::rewind(&context).await,
        Command::Reset => commands::position::reset(&context).await,
        Command::Compare(wanted) => comparison::compare(&wanted, context).await,
        Command::Repair(wanted) => comparison::repair(&wanted, context).await,
    }
}
