//! `subscriber triggers` and `restore-triggers`: triggers of users that were put aside for a copy.

use super::Shown;
use super::fkeys::{common_tables, rows_of, shown_or_all};
use super::listing::{Section, Sections};
use super::setup::{Setup, TableLock, set_aside};
use super::subscriber::subscribed;
use crate::error::Result;
use crate::job::Output;
use crate::pg::{Db, FqName, text};

const PENDING: &str = "londiste.subscriber_get_table_pending_triggers(t.name)";
const ACTIVE: &str = "londiste.find_table_triggers(t.name)";

/// Shows the triggers of all tables that are registered on both sides.
pub(crate) async fn show(setup: &Setup<'_>, shown: &[Shown]) -> Result<Output> {
    let (db, tables) = common_tables(setup).await?;
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let mut sections = Vec::new();
    for which in shown_or_all(shown) {
        let (heading, source) = match which {
            Shown::Pending => ("pending triggers", PENDING),
            Shown::Active => ("active triggers", ACTIVE),
        };
        let columns = ["table_name", "trigger_name", "trigger_def"];
        sections.push(Section { heading, columns, rows: rows_of(&db, source, columns, &tables).await? });
    }
    Ok(Output::of(&Sections(sections)))
}

/// Brings back the named triggers of a table, or all of them.
pub(crate) async fn restore(setup: &Setup<'_>, table: &str, names: &[String]) -> Result<Output> {
    let db = setup.subscriber().await?;
    let table = FqName::parse(table);
    if !subscribed(&db, setup.queue()).await?.iter().any(|s| s.table == table) {
        tracing::error!("Table {table} is not in the subscriber queue.");
        return Ok(Output::none().failed(true));
    }
    let pending = names_of(&db, PENDING, &table).await?;
    if names.is_empty() {
        if pending.is_empty() {
            tracing::info!("No pending triggers found for {table}.");
        }
        return Ok(Output::none().failed(!restore_pending(setup, &db, &table).await?));
    }
    let active = names_of(&db, ACTIVE, &table).await?;
    let mut failed = false;
    for name in names {
        setup.proceed()?;
        if pending.contains(name) {
            let restored = restore_one(setup, &db, &table, name).await;
            failed |= !logged(&db, restored)?;
        } else if active.contains(name) {
            tracing::info!("Trigger {name} on {table} is already active.");
        } else {
            tracing::info!("Trigger {name} not found on {table}");
        }
    }
    Ok(Output::none().failed(failed))
}

/// Brings back all triggers of a table that are pending. Returns whether that was done; if not, it is in the log.
pub(super) async fn restore_pending(setup: &Setup<'_>, db: &Db, table: &FqName) -> Result<bool> {
    if names_of(db, PENDING, table).await?.is_empty() {
        return Ok(true);
    }
    let restored = restore_all(setup, db, table).await;
    logged(db, restored)
}

async fn names_of(db: &Db, source: &str, table: &FqName) -> Result<Vec<String>> {
    let rows = rows_of(db, source, ["trigger_name"], &[table.to_string()]).await?;
    Ok(rows.into_iter().map(|[name]| name).collect())
}

async fn restore_all(setup: &Setup<'_>, db: &Db, table: &FqName) -> Result<()> {
    setup
        .change_table(db, table, TableLock::Writers, async |tx: &Db| {
            let name = table.to_string();
            let sql = "select londiste.subscriber_restore_all_table_triggers($1)";
            let done = tx.query("restore the triggers of a table", sql, &[text(&name)]).await;
            done.map(drop).map_err(|e| e.about(table))
        })
        .await
}

async fn restore_one(setup: &Setup<'_>, db: &Db, table: &FqName, trigger: &str) -> Result<()> {
    setup
        .change_table(db, table, TableLock::Writers, async |tx: &Db| {
            let name = table.to_string();
            let sql = "select londiste.subscriber_restore_table_trigger($1, $2)";
            let done = tx.query("restore a trigger", sql, &[text(&name), text(&trigger)]).await;
            done.map(drop).map_err(|e| e.about(format!("{table}, trigger {trigger}")))
        })
        .await
}

/// Whether it was done; if not, it is in the log now.
fn logged(db: &Db, done: Result<()>) -> Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) => set_aside(db, error).map(|()| false),
    }
}
