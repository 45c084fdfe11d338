//! Sequences of the queue, on both sides.

use std::collections::BTreeSet;

use super::Selection;
use super::provider::{NameList, notify_change, require_queue};
use super::selection;
use super::setup::{Setup, set_aside};
use crate::error::Result;
use crate::job::Output;
use crate::pg::catalog::{self, RelationKind};
use crate::pg::{Db, FqName, text};

/// The sequences of the provider's queue, in the order in which they were added.
pub(crate) async fn on_provider(db: &Db, queue: &str) -> Result<Vec<FqName>> {
    list(db, "select * from londiste.provider_get_seq_list($1)", queue).await
}

/// The sequences that the subscriber has, in the order in which they were added.
pub(crate) async fn on_subscriber(db: &Db, queue: &str) -> Result<Vec<FqName>> {
    list(db, "select * from londiste.subscriber_get_seq_list($1)", queue).await
}

async fn list(db: &Db, sql: &str, queue: &str) -> Result<Vec<FqName>> {
    let rows = db.query("list the sequences of the queue", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| FqName::parse(r.get(0))).collect())
}

pub(crate) async fn provider_list(setup: &Setup<'_>) -> Result<Output> {
    let db = setup.provider().await?;
    require_queue(&db, setup.queue()).await?;
    Ok(Output::of(&NameList::of(&on_provider(&db, setup.queue()).await?)))
}

pub(crate) async fn subscriber_list(setup: &Setup<'_>) -> Result<Output> {
    let db = setup.subscriber().await?;
    Ok(Output::of(&NameList::of(&on_subscriber(&db, setup.queue()).await?)))
}

pub(crate) async fn provider_add(setup: &Setup<'_>, sequences: &Selection) -> Result<Output> {
    if sequences.is_empty() {
        return Ok(Output::none());
    }
    let db = setup.provider().await?;
    require_queue(&db, setup.queue()).await?;
    let registered: BTreeSet<FqName> = on_provider(&db, setup.queue()).await?.into_iter().collect();
    let mut existing = catalog::sequences(&db).await?;
    existing.retain(FqName::is_plain);
    let matches = sequences.matches(&existing);
    let mut failed = false;
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !sequences.names.is_empty()) {
        failed = true;
        if let Some(name) = unmatched.pattern.name() {
            tracing::error!("Seq {name} does not exist on provider side");
        } else {
            tracing::error!("No sequence on provider matches {}", unmatched.pattern.typed());
        }
    }
    for seq in selection::union(&matches) {
        setup.proceed()?;
        if registered.contains(&seq) {
            tracing::info!("Seq {seq} already subscribed");
        } else {
            failed |= !change_one(setup, &db, ADD_TO_PROVIDER, &seq).await?;
        }
    }
    Ok(Output::none().failed(failed))
}

pub(crate) async fn provider_remove(setup: &Setup<'_>, sequences: &Selection) -> Result<Output> {
    let db = setup.provider().await?;
    require_queue(&db, setup.queue()).await?;
    let registered = on_provider(&db, setup.queue()).await?;
    let matches = sequences.matches(&registered);
    let mut failed = false;
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !sequences.names.is_empty()) {
        failed = true;
        if let Some(name) = unmatched.pattern.name() {
            tracing::error!("Seq {name} is not attached to queue {} on provider", setup.queue());
        } else {
            tracing::error!("No sequence of queue {} on provider matches {}", setup.queue(), unmatched.pattern.typed());
        }
    }
    for seq in selection::union(&matches) {
        setup.proceed()?;
        failed |= !change_one(setup, &db, REMOVE_FROM_PROVIDER, &seq).await?;
    }
    notify_change(setup, &db).await?;
    Ok(Output::none().failed(failed))
}

/// The exit status is 0 even when a sequence does not exist: so it is in the original, and set-up scripts name
/// sequences of one side only.
pub(crate) async fn subscriber_add(setup: &Setup<'_>, sequences: &Selection) -> Result<Output> {
    if sequences.is_empty() {
        return Ok(Output::none());
    }
    let provider = setup.provider().await?;
    let db = setup.subscriber().await?;
    let offered = on_provider(&provider, setup.queue()).await?;
    let subscribed: BTreeSet<FqName> = on_subscriber(&db, setup.queue()).await?.into_iter().collect();
    let mut wanted: Vec<FqName> = Vec::new();
    for found in sequences.matches(&offered) {
        let one = found.pattern.name().filter(|_| found.names.is_empty());
        wanted.extend(found.names.into_iter().chain(one).filter(|n| !wanted.contains(n)).collect::<Vec<_>>());
    }
    if sequences.names.is_empty() {
        wanted.retain(|seq| !subscribed.contains(seq));
    }
    let existing = catalog::relations(&db, &wanted).await?;
    let mut failed = false;
    for seq in wanted {
        setup.proceed()?;
        if subscribed.contains(&seq) {
            tracing::info!("Seq {seq} already subscribed");
        } else if !offered.contains(&seq) {
            tracing::error!("Seq {seq} does not exist on provider side");
        } else if existing.get(&seq) != Some(&RelationKind::Sequence) {
            tracing::error!("Seq {seq} does not exist on subscriber side");
        } else {
            tracing::info!("Adding sequence: {seq}");
            failed |= !change_one(setup, &db, ADD_TO_SUBSCRIBER, &seq).await?;
        }
    }
    Ok(Output::none().failed(failed))
}

pub(crate) async fn subscriber_remove(setup: &Setup<'_>, sequences: &Selection) -> Result<Output> {
    let db = setup.subscriber().await?;
    let subscribed = on_subscriber(&db, setup.queue()).await?;
    let matches = sequences.matches(&subscribed);
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !sequences.names.is_empty()) {
        let name = unmatched.pattern.name().map_or_else(|| unmatched.pattern.typed().to_owned(), |n| n.to_string());
        tracing::warn!("Seq {name} not subscribed");
    }
    let mut failed = false;
    for seq in selection::union(&matches) {
        setup.proceed()?;
        tracing::info!("Removing sequence: {seq}");
        failed |= !change_one(setup, &db, REMOVE_FROM_SUBSCRIBER, &seq).await?;
    }
    Ok(Output::none().failed(failed))
}

/// What is done with a sequence: words for errors, and the call.
struct Change {
    action: &'static str,
    sql: &'static str,
}

const ADD_TO_PROVIDER: &Change =
    &Change { action: "add a sequence to the queue", sql: "select londiste.provider_add_seq($1, $2)" };
const REMOVE_FROM_PROVIDER: &Change =
    &Change { action: "remove a sequence from the queue", sql: "select londiste.provider_remove_seq($1, $2)" };
const ADD_TO_SUBSCRIBER: &Change =
    &Change { action: "subscribe to a sequence", sql: "select londiste.subscriber_add_seq($1, $2)" };
const REMOVE_FROM_SUBSCRIBER: &Change =
    &Change { action: "unsubscribe from a sequence", sql: "select londiste.subscriber_remove_seq($1, $2)" };

/// Returns whether it was done; if not, it has been logged.
async fn change_one(setup: &Setup<'_>, db: &Db, change: &Change, seq: &FqName) -> Result<bool> {
    let done = setup
        .change(db, async |tx: &Db| {
            let name = seq.to_string();
            let done = tx.query(change.action, change.sql, &[text(&setup.queue()), text(&name)]).await;
            done.map(drop).map_err(|e| e.about(seq))
        })
        .await;
    match done {
        Ok(()) => Ok(true),
        Err(error) => set_aside(db, error).map(|()| false),
    }
}

/// Sequences of the provider that the subscriber does not have.
pub(crate) async fn missing(provider: &Db, subscriber: &Db, queue: &str) -> Result<Vec<FqName>> {
    let have = on_subscriber(subscriber, queue).await?;
    let mut missing = on_provider(provider, queue).await?;
    missing.retain(|seq| !have.contains(seq));
    Ok(missing)
}
