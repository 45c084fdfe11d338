//! Sequences of the queue, on both sides.

use std::collections::BTreeSet;

use super::super::context::{Context, Outcome};
use super::super::state::{provider_queue, sequences};
use super::command::Selection;
use super::listing::NameList;
use super::selection;
use crate::error::Result;
use crate::job::Output;
use crate::pg::catalog::{self, RelationKind};
use crate::pg::{Db, FqName};

pub(crate) async fn provider_list(context: &Context<'_>) -> Result<Output> {
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    Ok(Output::of(&NameList::of(&sequences::list(&db, context.queue()).await?)))
}

pub(crate) async fn subscriber_list(context: &Context<'_>) -> Result<Output> {
    let db = context.subscriber().await?;
    Ok(Output::of(&NameList::of(&sequences::list(&db, context.queue()).await?)))
}

pub(crate) async fn provider_add(context: &Context<'_>, wanted: &Selection) -> Result<Output> {
    if wanted.is_empty() {
        return Ok(Output::none());
    }
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    let registered: BTreeSet<FqName> = sequences::list(&db, context.queue()).await?.into_iter().collect();
    let mut existing = catalog::sequences(&db).await?;
    existing.retain(FqName::is_plain);
    let matches = wanted.matches(&existing);
    let mut failed = false;
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !wanted.names.is_empty()) {
        failed = true;
        if let Some(name) = unmatched.pattern.name() {
            tracing::error!("Seq {name} does not exist on provider side");
        } else {
            tracing::error!("No sequence on provider matches {}", unmatched.pattern.typed());
        }
    }
    for seq in selection::union(&matches) {
        context.proceed()?;
        if registered.contains(&seq) {
            tracing::info!("Seq {seq} already subscribed");
        } else {
            failed |= change_one(context, &db, async |tx: &Db| sequences::add(tx, context.queue(), &seq).await)
                .await?
                .is_failed();
        }
    }
    Ok(Output::none().failed(failed))
}

pub(crate) async fn provider_remove(context: &Context<'_>, wanted: &Selection) -> Result<Output> {
    let db = context.provider().await?;
    provider_queue::require(&db, context.queue()).await?;
    let registered = sequences::list(&db, context.queue()).await?;
    let matches = wanted.matches(&registered);
    let mut failed = false;
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !wanted.names.is_empty()) {
        failed = true;
        if let Some(name) = unmatched.pattern.name() {
            tracing::error!("Seq {name} is not attached to queue {} on provider", context.queue());
        } else {
            tracing::error!(
                "No sequence of queue {} on provider matches {}",
                context.queue(),
                unmatched.pattern.typed()
            );
        }
    }
    for seq in selection::union(&matches) {
        context.proceed()?;
        failed |= change_one(context, &db, async |tx: &Db| sequences::remove(tx, context.queue(), &seq).await)
            .await?
            .is_failed();
    }
    context.change(&db, async |tx: &Db| provider_queue::notify_change(tx, context.queue()).await).await?;
    Ok(Output::none().failed(failed))
}

/// Subscribes to sequences. The exit status is 0 even when a sequence does not exist, as in SkyTools: set-up scripts
/// name sequences that only one side has.
pub(crate) async fn subscriber_add(context: &Context<'_>, wanted: &Selection) -> Result<Output> {
    if wanted.is_empty() {
        return Ok(Output::none());
    }
    let provider = context.provider().await?;
    let db = context.subscriber().await?;
    let offered = sequences::list(&provider, context.queue()).await?;
    let subscribed: BTreeSet<FqName> = sequences::list(&db, context.queue()).await?.into_iter().collect();
    let mut chosen: Vec<FqName> = Vec::new();
    for found in wanted.matches(&offered) {
        let one = found.pattern.name().filter(|_| found.names.is_empty());
        chosen.extend(found.names.into_iter().chain(one).filter(|n| !chosen.contains(n)).collect::<Vec<_>>());
    }
    let existing = catalog::relations(&db, &chosen).await?;
    let mut failed = false;
    for seq in chosen {
        context.proceed()?;
        if subscribed.contains(&seq) {
            tracing::info!("Seq {seq} already subscribed");
        } else if !offered.contains(&seq) {
            tracing::error!("Seq {seq} does not exist on provider side");
        } else if existing.get(&seq) != Some(&RelationKind::Sequence) {
            tracing::error!("Seq {seq} does not exist on subscriber side");
        } else {
            tracing::info!("Adding sequence: {seq}");
            failed |= change_one(context, &db, async |tx: &Db| sequences::add(tx, context.queue(), &seq).await)
                .await?
                .is_failed();
        }
    }
    Ok(Output::none().failed(failed))
}

pub(crate) async fn subscriber_remove(context: &Context<'_>, wanted: &Selection) -> Result<Output> {
    let db = context.subscriber().await?;
    let subscribed = sequences::list(&db, context.queue()).await?;
    let matches = wanted.matches(&subscribed);
    for unmatched in matches.iter().filter(|m| m.names.is_empty() && !wanted.names.is_empty()) {
        let name = unmatched.pattern.name().map_or_else(|| unmatched.pattern.typed().to_owned(), |n| n.to_string());
        tracing::warn!("Seq {name} not subscribed");
    }
    let mut failed = false;
    for seq in selection::union(&matches) {
        context.proceed()?;
        tracing::info!("Removing sequence: {seq}");
        failed |= change_one(context, &db, async |tx: &Db| sequences::remove(tx, context.queue(), &seq).await)
            .await?
            .is_failed();
    }
    Ok(Output::none().failed(failed))
}

/// Does one change of a sequence in a transaction of its own.
async fn change_one(context: &Context<'_>, db: &Db, change: impl AsyncFnOnce(&Db) -> Result<()>) -> Result<Outcome> {
    Outcome::of(db, context.change(db, change).await)
}

/// The sequences of the provider's queue that are not subscribed.
pub(crate) async fn missing(provider: &Db, subscriber: &Db, queue: &str) -> Result<Vec<FqName>> {
    let have = sequences::list(subscriber, queue).await?;
    let mut missing = sequences::list(provider, queue).await?;
    missing.retain(|seq| !have.contains(seq));
    Ok(missing)
}
