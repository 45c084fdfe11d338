//! Which tables can be compared now.

use super::super::context::{Context, Outcome};
use super::super::state::table_state::TableState;
use super::super::state::tables;
use super::arguments::Tables;
use super::rows::Subject;
use crate::error::Result;
use crate::pg::catalog;
use crate::pg::{Db, FqName};

/// The tables that can be compared now. Logs each wanted table that is left out; a table that is `ok` but does not
/// exist on one of the sides counts as failed.
pub(super) async fn subjects(
    wanted: &Tables,
    context: Context<'_>,
    provider: &Db,
    subscriber: &Db,
) -> Result<(Vec<Subject>, Failed)> {
    let subscribed = tables::load(subscriber, context.queue()).await?;
    let names = if wanted.names.is_empty() {
        subscribed.iter().map(|t| t.name.clone()).collect()
    } else {
        wanted.names.iter().map(|name| FqName::parse(name)).collect::<Vec<_>>()
    };
    let on_provider = catalog::relations(provider, &names).await?;
    let on_subscriber = catalog::relations(subscriber, &names).await?;
    let (mut list, mut failed) = (Vec::with_capacity(names.len()), Failed(false));
    for name in names {
        let kinds = (on_provider.get(&name).copied(), on_subscriber.get(&name).copied());
        match (subscribed.iter().find(|t| t.name == name), kinds) {
            (None, _) => tracing::warn!("Table not subscribed: {name}"),
            (Some(table), _) if table.state != TableState::Ok => {
                tracing::info!("Table {name} not synced yet, no point");
            }
            (_, (None, _)) => failed.because(format_args!("Table {name} does not exist on provider side")),
            (_, (_, None)) => failed.because(format_args!("Table {name} does not exist on subscriber side")),
            (_, (Some(on_provider), Some(on_subscriber))) => list.push(Subject { name, on_provider, on_subscriber }),
        }
    }
    Ok((list, failed))
}

/// Whether a table failed, which is in the log already: the exit status is 1 then.
pub(super) struct Failed(pub(super) bool);

impl Failed {
    pub(super) fn because(&mut self, warning: std::fmt::Arguments<'_>) {
        tracing::warn!("{warning}");
        self.0 = true;
    }

    /// Takes the result of one table, `None` for an error, which is logged. Returns the error when one of the sessions
    /// is closed or a stop was requested: then the command ends.
    pub(super) fn take<T>(&mut self, result: Result<T>, sessions: [&Db; 2]) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.0 = true;
                let closed = sessions.iter().find(|db| db.is_closed());
                Outcome::of(closed.unwrap_or(&sessions[0]), Err(error)).map(|_| None)
            }
        }
    }
}
