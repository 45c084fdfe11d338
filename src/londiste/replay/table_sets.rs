//! `T` events: the provider's list of tables has changed.
//!
//! A table that is not in the list is not replicated any more, and leaves the subscriber's set. But the event tells of
//! the moment of `provider remove`. A table that was added again since is wanted, and has changed uncaptured in between:
//! it is copied again.

use std::collections::HashSet;

use crate::error::Result;
use crate::londiste::table_state::TableState;
use crate::londiste::tables::{self, Actor, SubscribedTable};
use crate::pg::{Db, FqName, text};

/// Brings the subscriber's tables in line with the lists, inside the batch's transaction.
pub(super) async fn follow(
    provider: &Db,
    tx: &Db,
    queue: &str,
    lists: &[Vec<FqName>],
    tables: &[SubscribedTable],
) -> Result<()> {
    let mut gone: HashSet<&FqName> = HashSet::new();
    for list in lists {
        let names: Vec<String> = list.iter().map(ToString::to_string).collect();
        tracing::info!("got new table event: {}", names.join(","));
        gone.extend(tables.iter().map(|t| &t.name).filter(|name| !list.contains(name)));
    }
    if gone.is_empty() {
        return Ok(());
    }
    let current = current_list(provider, queue).await?;
    for table in tables.iter().filter(|t| gone.contains(&t.name)) {
        let name = &table.name;
        if !current.contains(name) {
            tracing::info!("Removing table {name} from set");
            tx.query(
                "remove a table",
                "select londiste.subscriber_remove_table($1, $2)",
                &[text(&queue), text(&name.to_string())],
            )
            .await
            .map_err(|e| e.about(format!("table {name}")))?;
        } else if table.state == TableState::Ok {
            tracing::warn!("Table {name} was removed from the queue and added again: copying it again");
            tables::store_state(tx, queue, name, TableState::Missing, None, Actor::Replay).await?;
        }
    }
    Ok(())
}

async fn current_list(provider: &Db, queue: &str) -> Result<HashSet<FqName>> {
    let sql = "select table_name from londiste.provider_get_table_list($1)";
    let rows = provider.query("read the provider's tables", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| FqName::parse(row.get(0))).collect())
}
