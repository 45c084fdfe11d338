//! Which tables explain that an event cannot be applied: tables whose changes before the event never became events.
//!
//! 1. A table's triggers are disabled for a load, or a crash of the provider empties an unlogged table.
//! 2. Later changes of the table are captured again. They refer to rows that the subscriber does not have, or has still.
//! 3. Maintenance on the provider finds that changes were lost, and writes event `T`, so that the table is copied again.
//! 4. Replay comes to the events of step 2 before it comes to the `T` of step 3. The subscriber may refuse such an event; or, because
//!    of a foreign key, an event of another table.
//!
//! Replay that stopped at this event would never reach the `T`.

use std::collections::{BTreeMap, HashSet};

use tokio_postgres::error::SqlState;

use super::conditions::{self, Problem};
use super::foreign_keys::{self, FkeyEnd};
use super::provider_queue;
use super::tables::SubscribedTable;
use crate::error::{Error, FaultKind, Result};
use crate::pg::{Db, FqName};
use crate::pgq::{TickId, later_events};

/// Those of `tables` that may have caused the error, and of which changes were lost, each with the reason in words. Empty when the
/// error has nothing to do with the rows that the subscriber has or lacks.
///
/// A table may have caused the error when the event is the table's, or when the table is at one end of the violated foreign key.
/// Changes of the table were lost when the provider says so now, or when the queue has an event `T`, not visible in the snapshot of
/// tick `from`, by which the table is to be copied again or is taken out of the queue. A `T` that the snapshot of the table's copy
/// shows does not count: the copy has the lost changes.
///
/// Changes nothing and locks nothing. Reads all events since the tick, unless the provider knows a reason.
pub(crate) async fn explaining(
    provider: &Db,
    subscriber: &Db,
    queue: &str,
    error: &Error,
    tables: impl Iterator<Item = &SubscribedTable>,
    from: TickId,
) -> Result<BTreeMap<FqName, String>> {
    if !is_about_rows(error) {
        return Ok(BTreeMap::new());
    }
    let suspects = suspects(subscriber, error).await?;
    let tables: Vec<&SubscribedTable> = tables.filter(|table| suspects.contains(&table.name)).collect();
    if tables.is_empty() {
        return Ok(BTreeMap::new());
    }
    let known = known_reasons(provider, subscriber, queue, &tables).await?;
    if !known.is_empty() {
        return Ok(known);
    }
    let mut reasons = BTreeMap::new();
    for event in later_events::of_type(provider, queue, "T", from).await? {
        let listed: HashSet<FqName> = FqName::parse_list(&event.data).into_iter().collect();
        for table in &tables {
            let is_copied = table.snapshot.as_ref().is_some_and(|snapshot| snapshot.contains(event.txid));
            if !is_copied && !listed.contains(&table.name) {
                let reason = "a later event of the queue says that it has to be copied again, or is removed";
                reasons.insert(table.name.clone(), reason.to_owned());
            }
        }
    }
    Ok(reasons)
}

/// Whether the subscriber refused a change because of the rows that it has or lacks: integrity constraints, SQLSTATE class 23, and
/// missing rows.
fn is_about_rows(error: &Error) -> bool {
    let is_missing = matches!(error, Error::Apply(fault) if fault.kind == FaultKind::MissingRow);
    is_missing || error.code().is_some_and(|code| code.code().starts_with("23"))
}

/// The event's table, and the tables of the violated constraint. For a constraint that is checked at the commit the event is not known.
async fn suspects(subscriber: &Db, error: &Error) -> Result<HashSet<FqName>> {
    let mut names: HashSet<FqName> = violated(subscriber, error).await?.into_iter().flatten().collect();
    if let Error::Apply(fault) = error {
        names.insert(FqName::parse(&fault.table));
    }
    Ok(names)
}

/// A table at one end of the violated foreign key that is not subscribed: its rows are not those of the provider. `None` when the error is
/// not about a foreign key, and when both ends are subscribed.
pub(crate) async fn not_replicated(
    subscriber: &Db,
    error: &Error,
    subscribed: &[SubscribedTable],
) -> Result<Option<FqName>> {
    if error.code() != Some(&SqlState::FOREIGN_KEY_VIOLATION) {
        return Ok(None);
    }
    let is_subscribed = |name: &FqName| subscribed.iter().any(|table| table.name == *name);
    let mut ends = violated(subscriber, error).await?.into_iter();
    Ok(ends.find(|end| !end.iter().any(is_subscribed)).and_then(|end| end.into_iter().next()))
}

/// The ends of the foreign key that the error names; the table alone for another constraint; nothing when the error names no table.
async fn violated(subscriber: &Db, error: &Error) -> Result<Vec<FkeyEnd>> {
    let Some((server, schema, table)) = error.server().and_then(|e| Some((e, e.schema()?, e.table()?))) else {
        return Ok(Vec::new());
    };
    foreign_keys::ends(subscriber, schema, table, server.constraint().unwrap_or_default()).await
}

/// What the provider, or the subscriber after a crash, says about the tables without looking into the queue. A table that does not exist
/// on the provider has no lost changes: it is dropped, or has another name and is captured all the same.
async fn known_reasons(
    provider: &Db,
    subscriber: &Db,
    queue: &str,
    tables: &[&SubscribedTable],
) -> Result<BTreeMap<FqName, String>> {
    let mut problems = conditions::table_problems(provider, subscriber, queue).await?;
    let lost =
        tables.iter().map(|table| &table.name).filter(|name| matches!(problems.get(name), Some(Problem::Lost(_))));
    let there = provider_queue::existing(provider, &lost.cloned().collect::<Vec<_>>()).await?;
    Ok(there.into_iter().filter_map(|name| problems.remove(&name).map(|problem| (name, problem.to_string()))).collect())
}
