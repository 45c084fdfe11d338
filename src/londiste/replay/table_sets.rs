//! `T` events: the provider's list of tables has changed.
//!
//! A table that is not in the list is not replicated any more, and is unsubscribed. But the list is that of the moment
//! of `provider remove`. A table that was added again since then is still wanted, and changes in between were not
//! captured: the table is copied again. That goes for a table that is being copied too: its copy has missed the same
//! changes, unless it was begun later.

use std::collections::HashSet;

use super::super::state::provider_queue;
use super::super::state::tables::{self, Moved, SubscribedTable};
use crate::error::Result;
use crate::pg::{Db, FqName};

/// Unsubscribes from the tables that one of the lists does not have, or sets them to `-` when the provider has them
/// again. Their rows in `londiste.subscriber_table` are locked until the batch's transaction ends.
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
    let current: HashSet<FqName> = provider_queue::tables(provider, queue).await?.into_iter().collect();
    for table in tables.iter().filter(|t| gone.contains(&t.name)) {
        let name = &table.name;
        if current.contains(name) {
            if tables::take_back(tx, queue, name).await? == Moved::Moved {
                tracing::warn!("Table {name} was removed from the queue and added again: copying it again");
            }
        } else if tables::load_one(tx, queue, name).await?.is_some() {
            // A table that a command has removed since the turn began is passed over.
            tracing::info!("Removing table {name} from set");
            tables::unsubscribe(tx, queue, name).await?;
        }
    }
    Ok(())
}
