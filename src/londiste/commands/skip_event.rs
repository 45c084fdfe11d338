//! `subscriber skip-event`: one event is left out instead of applied. No event is left out without this order.

use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::{Db, FqName, RawText, int8, sql, text};
use crate::pgq::TickId;

use super::super::context::Context;
use super::super::state::skips::{self, QueuedEvent, Skip};
use super::super::state::table_state::TableState;
use super::super::state::{completed, copy_consumer, tables};

/// Stores the order to skip the event with this `ev_id`. Fails when the queue does not have the event, when it is
/// applied already, and when it will not be applied.
pub(crate) async fn run(context: &Context<'_>, event: i64) -> Result<Output> {
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    let found = find(context, &provider, event).await?;
    let consumer = consumer_of(context, &subscriber, event, &found).await?;
    if is_past(context, &provider, &subscriber, &consumer, found.txid).await? {
        return Err(Error::refused(
            format!("event {event} of queue \"{}\" is applied already by consumer {consumer}", context.queue()),
            "There is nothing to skip.",
        ));
    }
    let order = Skip { event, txid: found.txid, table: found.table.clone() };
    if skips::pending(&subscriber, context.consumer()).await?.contains(&order) {
        tracing::warn!("Event {event} is to be skipped already");
        return Ok(Output::none());
    }
    context.change(&subscriber, async |tx: &Db| skips::order(tx, context.consumer(), &found).await).await?;
    let table = found.table.as_ref().map(|table| format!(" of table {table}")).unwrap_or_default();
    tracing::info!("Event {event} ({}){table} will be skipped", found.kind);
    Ok(Output::none())
}

async fn find(context: &Context<'_>, provider: &Db, event: i64) -> Result<QueuedEvent> {
    const ACTION: &str = "look for the event";
    let queue = context.queue();
    let sql = "select queue_data_pfx from pgq.queue where queue_name = $1";
    let row = match provider.query_opt(ACTION, sql, &[text(&queue)]).await? {
        Some(prefix) => {
            let events = FqName::parse(prefix.get(0));
            // An event that came from the retry queue is stored twice under its id.
            let sql = sql!(
                "select ev_txid, ev_retry, ev_type, ev_time::text, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
                   from {events} where ev_id = $1 order by ev_txid desc limit 1",
                events = &events
            );
            provider.query_opt(ACTION, sql, &[int8(&event)]).await?
        }
        None => None,
    };
    let Some(row) = row else {
        return Err(Error::missing(
            format!("no event {event} in queue \"{queue}\" on provider ({})", provider.target()),
            "The message of replay that names the event has its id. Events that everybody has read are removed.",
        ));
    };
    // Bytes that are not UTF-8 are stored as U+FFFD: the subscriber may take no others.
    let field = |i: usize| row.get::<_, Option<RawText>>(i).map(|text| text.to_string());
    let texts = [field(3), field(4), field(5), field(6), field(7), field(8)];
    let kind = field(2).unwrap_or_default();
    let table = skips::table_of(&kind, texts[2].as_deref());
    Ok(QueuedEvent { id: event, txid: row.get(0), retry: row.get(1), kind, table, texts })
}

/// The consumer that is to apply the event. Fails when none will: the table is not subscribed, or a copy has the
/// event's effect.
async fn consumer_of(context: &Context<'_>, subscriber: &Db, event: i64, found: &QueuedEvent) -> Result<String> {
    let main = || Ok(context.consumer().to_owned());
    let Some(name) = &found.table else { return main() };
    let table = tables::load_one(subscriber, context.queue(), name).await?;
    let not_applied = |why: &str| {
        Err(Error::refused(
            format!("event {event} is not applied on subscriber ({}): {why}", subscriber.target()),
            "There is nothing to skip.",
        ))
    };
    match table {
        // In an event of these types, ev_extra1 may be something else than the name of a table.
        None if matches!(found.kind.as_str(), "T" | "EXECUTE") => main(),
        None => not_applied(&format!("table {name} is not subscribed")),
        Some(table) if table.snapshot.as_ref().is_some_and(|s| s.contains(found.txid)) => {
            not_applied(&format!("the copy of table {name} has its effect"))
        }
        Some(table) => match table.state {
            TableState::Ok => main(),
            TableState::Missing | TableState::InCopy => not_applied(&format!("table {name} is to be copied first")),
            TableState::CatchingUp | TableState::WannaSync(_) | TableState::DoSync(_) => {
                Ok(table.copy_consumer.unwrap_or_else(|| copy_consumer::base_name(context.consumer())))
            }
        },
    }
}

/// Whether the consumer has applied the events of transaction `txid`.
async fn is_past(context: &Context<'_>, provider: &Db, tx: &Db, consumer: &str, txid: i64) -> Result<bool> {
    let tick = completed::last_tick(tx, consumer).await?.map(|TickId(tick)| tick);
    let row = provider
        .query_opt(
            "read the consumer's tick",
            "select txid_visible_in_snapshot($4, t.tick_snapshot)
               from pgq.queue q
                    left join pgq.consumer c on c.co_name = $2
                    left join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
                    join pgq.tick t on t.tick_queue = q.queue_id and t.tick_id = coalesce($3, s.sub_last_tick)
              where q.queue_name = $1",
            &[text(&context.queue()), text(&consumer), int8(&tick), int8(&txid)],
        )
        .await?;
    Ok(row.is_some_and(|row| row.get(0)))
}
