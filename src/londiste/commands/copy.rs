//! The `copy` command: brings every table that is `-`, `in-copy` or `catching-up` to `wanna-sync`, in the foreground,
//! and ends. Replay may run at the same time.

use std::sync::Arc;

use super::super::context::{Context, Job};
use super::super::copy::{Copies, Goal, copy_void_again};
use super::super::schema;
use super::super::state::changes::StateChanges;
use super::super::state::copy_consumer::{self, Heirs};
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::bars;
use crate::config;
use crate::error::Result;
use crate::job::{Control, Output};

/// Runs the command until no table is left to copy, or a stop is requested. Parked tables, and those that are not in the
/// queue's set any more, are not waited for.
pub(crate) async fn run(config: &config::Londiste, control: &Control) -> Result<Output> {
    let context = Context::new(config, control);
    let (job, changes) = (Job::of(config), StateChanges::new());
    let mut copies = Copies::new(job.clone(), config, control, &changes, Goal::WannaSync);
    let result = tokio::select! {
        result = copy_all(&context, control, &job, &changes, &mut copies) => result,
        never = bars::copies(&context) => match never {},
    };
    copies.stop(config).await;
    result.map(|()| Output::none())
}

async fn copy_all(
    context: &Context<'_>,
    control: &Control,
    job: &Job,
    changes: &StateChanges,
    copies: &mut Copies,
) -> Result<()> {
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    schema::take_over(&subscriber).await?;
    copy_void_again(&provider, &subscriber, &job.queue).await?;
    copy_consumer::adopt(&subscriber, &job.queue, &job.consumer, Heirs::Copying).await?;
    let config = Arc::new(context.config.clone());
    loop {
        let mut changed = changes.listener();
        copies.reap();
        let mut tables = tables::load(&subscriber, &job.queue).await?;
        copies.stop_void(&tables);
        copies.free_waiting(&subscriber, &tables).await?;
        if !control.stopping() && copies.begin(&config, &provider, &subscriber, &tables).await? {
            tables = tables::load(&subscriber, &job.queue).await?;
        }
        copies.start(&config, &tables);
        if control.stopping() || !tables.iter().any(|t| is_unfinished(t) && !copies.leaves_out(&t.name)) {
            return Ok(());
        }
        tokio::select! {
            () = changed.changed_or_timeout() => {}
            () = control.stopped() => {}
        }
    }
}

fn is_unfinished(table: &SubscribedTable) -> bool {
    let copying = matches!(table.state, TableState::Missing | TableState::InCopy | TableState::CatchingUp);
    copying && !table.is_parked()
}
