//! Registers and unregisters the job's consumer on the provider's queue.
//!
//! Both sides must agree: a position on the subscriber whose consumer is not registered on the provider is a lost
//! position, and tables that are `ok` lose events silently without a consumer. No transaction spans both databases, so
//! the order of the changes is such that the command can be repeated after it ended between two of them.

use super::super::context::{Context, Job};
use super::super::foreign_keys::Restored;
use super::super::state::foreign_keys as stored_fkeys;
use super::super::state::table_state::TableState;
use super::super::state::{completed, provider_queue, tables};
use super::put_aside;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::job::Output;
use crate::pg::{Db, FqName, text};
use crate::pgq::consumer::Consumer;

/// Registers the consumer, at the newest tick; does nothing when it is registered. The position on the subscriber is
/// deleted before the registration is committed. Fails when the queue does not exist, and when tables are `ok` by a position of
/// the consumer: they would lose the events between that position and the newest tick.
pub(crate) async fn register(context: &Context<'_>) -> Result<Output> {
    context.refuse_turned().await?;
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    provider_queue::require(&provider, context.queue()).await?;
    let consumer = Job::of(context.config).main_consumer();
    refuse_to_skip(&provider, &subscriber, &consumer).await?;
    context
        .change(&provider, async |tx: &Db| {
            if consumer.register(tx).await? {
                failpoint!("registration::registered");
                let name = context.consumer();
                context.change(&subscriber, async |tx: &Db| completed::set_last_tick(tx, name, None).await).await?;
                failpoint!("registration::position_deleted");
            }
            Ok(())
        })
        .await?;
    Ok(Output::none())
}

/// Fails when tables are `ok` by a position of the consumer, and the consumer is not registered: somebody else has unregistered it.
async fn refuse_to_skip(provider: &Db, subscriber: &Db, consumer: &Consumer) -> Result<()> {
    let Some(position) = completed::last_tick(subscriber, &consumer.name).await? else { return Ok(()) };
    let tables = tables::load(subscriber, &consumer.queue).await?;
    let ok = tables.iter().filter(|t| t.state == TableState::Ok).count();
    if ok == 0 || consumer.position(provider).await?.is_some() {
        return Ok(());
    }
    Err(Error::refused(
        format!(
            "cannot register consumer {} at the newest tick: {ok} tables are ok up to tick {position}, and would lose the events since",
            consumer.name
        ),
        "Run replay once with --rewind, which goes on at that tick if the queue still has it. Else run \"rlondiste INI subscriber \
         resync --all\", and register then. Nothing was changed.",
    ))
}

/// Unregisters the consumer and those of its copies. First sets all tables to `-`, since the queue keeps no events for
/// them any more, and restores their foreign keys and triggers. The job's own consumer is unregistered last: without it the
/// command fails, so until then the command can be repeated. Fails when the consumer is not registered.
pub(crate) async fn unregister(context: &Context<'_>) -> Result<Output> {
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    let consumers = registered(context, &provider).await?;
    if !consumers.iter().any(|c| c.name == context.consumer()) {
        return Err(Error::missing(
            format!(
                "consumer not registered on queue: no consumer \"{}\" on queue \"{}\" on provider ({})",
                context.consumer(),
                context.queue(),
                provider.target()
            ),
            "Check job_name, pgq_consumer_id and pgq_queue_name in the ini file. Nothing was changed.",
        ));
    }
    let tables: Vec<FqName> = tables::load(&subscriber, context.queue()).await?.into_iter().map(|t| t.name).collect();
    context
        .change(&subscriber, async |tx: &Db| {
            tables::reset(tx, context.queue(), &tables).await?;
            for consumer in &consumers {
                completed::set_last_tick(tx, &consumer.name, None).await?;
            }
            Ok(())
        })
        .await?;
    failpoint!("registration::tables_reset");
    let (own, of_copies): (Vec<_>, Vec<_>) = consumers.iter().partition(|c| c.name == context.consumer());
    unregister_each(context, &provider, &of_copies).await?;
    let failed = !context.config.fake && restore(context, &subscriber, &tables).await?;
    failpoint!("registration::restored");
    unregister_each(context, &provider, &own).await?;
    failpoint!("registration::unregistered");
    Ok(Output::none().failed(failed))
}

/// Each in a transaction of its own: a copy that ends at this moment unregisters its consumer itself.
async fn unregister_each(context: &Context<'_>, provider: &Db, consumers: &[&Consumer]) -> Result<()> {
    for consumer in consumers {
        if context.config.fake {
            context.change(provider, async |tx: &Db| consumer.unregister(tx).await).await?;
        } else {
            consumer.unregister(provider).await?;
        }
    }
    Ok(())
}

/// Restores the foreign keys and triggers that were dropped for copies of these tables. The tables stay subscribed: their next copy
/// drops them again. Returns whether some failed.
async fn restore(context: &Context<'_>, subscriber: &Db, tables: &[FqName]) -> Result<bool> {
    let pending = stored_fkeys::pending_of(subscriber, tables).await?;
    let mut failed = put_aside::restore_fkeys(context, subscriber, &pending).await? == Restored::SomeFailed;
    for table in tables {
        context.proceed()?;
        failed |= put_aside::restore_triggers(context, subscriber, table).await?.is_failed();
    }
    Ok(failed)
}

/// The registered consumers of this job: those of copies, whether they run or not, and last the job's own.
async fn registered(context: &Context<'_>, provider: &Db) -> Result<Vec<Consumer>> {
    let sql = "select c.co_name from pgq.subscription s \
               join pgq.queue q on q.queue_id = s.sub_queue \
               join pgq.consumer c on c.co_id = s.sub_consumer \
               where q.queue_name = $1 \
                 and (c.co_name = $2 or left(c.co_name, length($2) + 5) = $2 || '_copy' \
                      and substr(c.co_name, length($2) + 6) ~ '^[0-9]*$') \
               order by length(c.co_name) desc, 1 desc";
    let params = [text(&context.config.pgq_queue_name), text(&context.config.pgq_consumer_id)];
    let rows = provider.query("look for the consumer", sql, &params).await?;
    Ok(rows.iter().map(|r| Consumer { queue: context.queue().to_owned(), name: r.get(0) }).collect())
}
