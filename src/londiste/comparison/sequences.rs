//! `compare` without names of tables compares the subscribed sequences, too.
//!
//! Replay sets a sequence to the value that the provider has when a batch is read. So the provider's values are read, replay is waited
//! for until it has passed a tick made after that, the subscriber's values are read, and the provider's once more: the subscriber's
//! value must not be outside of those two. A sequence that is outside at each of some looks differs.

use std::collections::HashMap;

use serde::Serialize;

use crate::error::Result;
use crate::pg::FqName;
use crate::pg::catalog::RelationKind;

use super::super::context::Context;
use super::super::state::sequences::{self, Value};
use super::arguments::Tables;
use super::rows::Subject;
use super::subject::Failed;
use super::sync_point::SyncPoints;

/// A sequence that cycles may be outside once.
const LOOKS: usize = 3;

/// A sequence whose value on the subscriber is not the provider's.
#[derive(Debug, Serialize)]
pub(super) struct DifferingSequence {
    sequence: String,
    /// `last_value` on both sides.
    provider: i64,
    subscriber: i64,
    /// Whether the subscriber's value is less than the provider's, or as much and not given out yet.
    is_less: bool,
}

/// Compares the subscribed sequences, unless tables were named. Logs each that differs, or whose value the subscriber does not get,
/// and counts it as failed.
pub(super) async fn compare(
    wanted: &Tables,
    context: Context<'_>,
    points: &SyncPoints<'_>,
    failed: &mut Failed,
) -> Result<Vec<DifferingSequence>> {
    let mut differing = Vec::new();
    if !wanted.names.is_empty() {
        return Ok(differing);
    }
    let mut open: Option<Vec<FqName>> = None;
    for look in 1..=LOOKS {
        let mut before: Vec<(FqName, Value)> = Vec::new();
        for found in sequences::subscribed(points.provider(), points.subscriber(), context.queue()).await? {
            match found.value {
                Ok(value) if open.as_ref().is_none_or(|open| open.contains(&found.name)) => {
                    before.push((found.name, value));
                }
                Err(objection) if open.is_none() => failed.because(format_args!("{}", objection.describe(&found.name))),
                _ => {}
            }
        }
        let Some((first, _)) = before.first() else { break };
        let (on_provider, on_subscriber) = (RelationKind::Sequence, RelationKind::Sequence);
        if points.pass(&Subject { name: first.clone(), on_provider, on_subscriber }).await?.is_none() {
            failed.0 = true;
            break;
        }
        let names: Vec<&FqName> = before.iter().map(|(name, _)| name).collect();
        let ours: HashMap<FqName, Value> = sequences::values(points.subscriber(), &names).await?;
        let after: HashMap<FqName, Value> = sequences::values(points.provider(), &names).await?;
        let mut outside = Vec::new();
        for (name, before) in before {
            let (Some(our), Some(after)) = (ours.get(&name), after.get(&name)) else { continue };
            if (before.min(*after)..=before.max(*after)).contains(our) {
                continue;
            }
            if look == LOOKS {
                let (provider, subscriber) = (after.0, our.0);
                let word = if our < after { "less" } else { "more" };
                failed.because(format_args!(
                    "Sequence {name}: the subscriber's value is {word} than the provider's: srcdb: {provider}, dstdb: {subscriber}"
                ));
                let is_less = our < after;
                differing.push(DifferingSequence { sequence: name.to_string(), provider, subscriber, is_less });
            }
            outside.push(name);
        }
        open = Some(outside);
    }
    Ok(differing)
}
