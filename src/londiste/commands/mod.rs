//! The commands of an operator, one file for each family of commands. Replay and copies use none of these files.

mod bars;
mod catch_up;
pub(super) mod command;
pub(super) mod copy;
pub(super) mod install;
pub(super) mod lag;
mod listing;
mod pace;
pub(super) mod position;
pub(super) mod provider;
mod put_aside;
mod registration;
pub(super) mod replay;
mod selection;
pub(super) mod seqs;
mod skip_event;
pub(super) mod status;
pub(super) mod structure;
mod subscribe;
pub(super) mod subscriber;
mod verified;
mod wait;
pub(crate) mod way_back;

use super::context::Context;
use super::state::turned;
use crate::error::Result;

/// Fails when a switchover has turned replication round, before a command makes the job copy or apply old rows. The provider is asked
/// only where that may be.
pub(super) async fn refuse_turned(context: &Context<'_>) -> Result<()> {
    let subscriber = context.subscriber().await?;
    if turned::may_be(&subscriber, context.queue()).await? {
        turned::objection(&context.provider().await?, &subscriber, context.queue()).await?.map_or(Ok(()), Err)?;
    }
    Ok(())
}
