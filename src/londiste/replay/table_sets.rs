//! `T` events: the provider's list of tables has changed.
//!
//! A table that is not in the list is not replicated any more, and leaves the subscriber's set. But the event tells of
//! the moment of `provider remove`. A table that was added again since is wanted, and has changed uncaptured in between:
//! it is copied again. So is one that is being copied: its copy has missed the same changes, unless it was begun later.

use std::collections::HashSet;

use super::super::state::provider_queue;
use super::super::state::tables::{self, Moved, SubscribedTable};
use crate::error::Result;
use crate::pg::{Db, FqName};

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
    let current: HashSet<FqName> = provider_queue::tables(provider, queue).await?.into_iter().collect();
    for table in tables.iter().filter(|t| gone.contains(&t.name)) {
        let name = &table.name;
        if current.contains(name) {
            if tables::take_back(tx, queue, name).await? == Moved::Moved {
                tracing::warn!("Table {name} was removed from the queue and added again: copying it again");
            }
        } else if tables::load_one(tx, queue, name).await?.is_some() {
            // A command may have removed it since the turn began; then there is nothing to do.
            tracing::info!("Removing table {name} from set");
            tables::unsubscribe(tx, queue, name).await?;
        }
    }
    Ok(())
}
