//! `subscriber fkeys`, `triggers` and `restore-triggers`: foreign keys and triggers of the replicated tables, active,
//! or dropped for a copy.

use super::super::context::{Context, Outcome};
use super::super::foreign_keys::{self, Restored};
use super::super::state::foreign_keys::{self as stored_fkeys, PendingFkey};
use super::super::state::triggers::{self, Place};
use super::super::state::{provider_queue, tables};
use super::super::table_lock::TableLock;
use super::command::Shown;
use super::listing::{Section, Sections};
use crate::error::Result;
use crate::job::Output;
use crate::pg::{Db, FqName};

/// Shows the foreign keys of all tables that are registered on both sides.
pub(super) async fn show_fkeys(context: &Context<'_>, shown: &[Shown]) -> Result<Output> {
    let (db, tables) = common_tables(context).await?;
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let mut sections = Vec::new();
    for (place, heading) in places(shown, "pending fkeys", "active fkeys") {
        let rows = stored_fkeys::list(&db, place, &tables).await?;
        sections.push(Section { heading, columns: stored_fkeys::COLUMNS, rows });
        if place == Place::Pending
            && let Some(rows) = stored_fkeys::failures(&db, &tables).await?
        {
            sections.push(Section { heading: "failed fkeys", columns: stored_fkeys::FAILURE_COLUMNS, rows });
        }
    }
    Ok(Output::of(&Sections(sections)))
}

/// Shows the triggers of all tables that are registered on both sides.
pub(super) async fn show_triggers(context: &Context<'_>, shown: &[Shown]) -> Result<Output> {
    let (db, tables) = common_tables(context).await?;
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let mut sections = Vec::new();
    for (place, heading) in places(shown, "pending triggers", "active triggers") {
        let rows = triggers::list(&db, place, &tables).await?;
        sections.push(Section { heading, columns: triggers::COLUMNS, rows });
    }
    Ok(Output::of(&Sections(sections)))
}

/// The sections in the order asked for, with their headings; both by default.
fn places(shown: &[Shown], pending: &'static str, active: &'static str) -> Vec<(Place, &'static str)> {
    let of = |shown: &Shown| match shown {
        Shown::Pending => (Place::Pending, pending),
        Shown::Active => (Place::Active, active),
    };
    if shown.is_empty() {
        [Shown::Pending, Shown::Active].iter().map(of).collect()
    } else {
        shown.iter().map(of).collect()
    }
}

/// A session on the subscriber, and the names of the tables that are registered on both sides. Logs a line when there
/// are none.
async fn common_tables(context: &Context<'_>) -> Result<(Db, Vec<String>)> {
    let (provider_db, db) = (context.provider().await?, context.subscriber().await?);
    let offered = provider_queue::tables(&provider_db, context.queue()).await?;
    let subscribed = tables::load(&db, context.queue()).await?;
    let tables: Vec<String> =
        subscribed.iter().filter(|t| offered.contains(&t.name)).map(|t| t.name.to_string()).collect();
    if tables.is_empty() {
        tracing::info!("No tables, no fkeys");
    }
    Ok((db, tables))
}

/// Restores foreign keys that were dropped for copies which will not come, as [`foreign_keys::restore_in`] does.
pub(super) async fn restore_fkeys(context: &Context<'_>, db: &Db, pending: &[PendingFkey]) -> Result<Restored> {
    let outlook = "replay tries again while it runs";
    foreign_keys::restore_in(db, context.config, pending, outlook).await
}

/// `restore-triggers`: restores the named triggers of a table, or all of them without names, with the locks of
/// [`triggers::restore`].
pub(super) async fn restore_named(context: &Context<'_>, table: &str, names: &[String]) -> Result<Output> {
    let db = context.subscriber().await?;
    let table = FqName::parse(table);
    if tables::load_one(&db, context.queue(), &table).await?.is_none() {
        tracing::error!("Table {table} is not in the subscriber queue.");
        return Ok(Output::none().failed(true));
    }
    let pending = names_of(&db, Place::Pending, &table).await?;
    if names.is_empty() {
        if pending.is_empty() {
            tracing::info!("No pending triggers found for {table}.");
        }
        return Ok(Output::none().failed(restore_triggers(context, &db, &table).await?.is_failed()));
    }
    let active = names_of(&db, Place::Active, &table).await?;
    let mut failed = false;
    for name in names {
        context.proceed()?;
        if pending.contains(name) {
            let restored = context
                .change_table(&db, &table, TableLock::Writers, async |tx: &Db| {
                    triggers::restore(tx, &table, name).await
                })
                .await;
            failed |= Outcome::of(&db, restored)?.is_failed();
        } else if active.contains(name) {
            tracing::info!("Trigger {name} on {table} is already active.");
        } else {
            tracing::info!("Trigger {name} not found on {table}");
        }
    }
    Ok(Output::none().failed(failed))
}

/// Restores all pending triggers of a table in one transaction, with the locks of [`triggers::restore_all`].
pub(super) async fn restore_triggers(context: &Context<'_>, db: &Db, table: &FqName) -> Result<Outcome> {
    if names_of(db, Place::Pending, table).await?.is_empty() {
        return Ok(Outcome::Done);
    }
    let restored = context
        .change_table(db, table, TableLock::Writers, async |tx: &Db| triggers::restore_all(tx, table).await)
        .await;
    Outcome::of(db, restored)
}

async fn names_of(db: &Db, place: Place, table: &FqName) -> Result<Vec<String>> {
    let rows = triggers::list(db, place, &[table.to_string()]).await?;
    Ok(rows.into_iter().map(|[_, name, _]| name).collect())
}
