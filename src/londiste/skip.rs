//! `subscriber skip-event`: one event is left out instead of applied. Nothing is left out otherwise.
//!
//! The order is a row of `londiste.skipped_events`, with the event. The batch that has the event marks the row in its
//! own transaction, so whatever happens in between, the event is left out once and stays there for people to look at.

use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::{Db, FqName, int4, int8, text};
use crate::pgq::snapshot::Snapshot;
use crate::pgq::{Batch, TickId};

use super::completed;
use super::setup::Setup;
use super::table_state::TableState;
use super::tables;

/// An event to be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    event: i64,
    txid: i64,
    /// Its table; `None` where it has none.
    table: Option<FqName>,
}

/// What the job has still to leave out. Which consumer an event comes to changes when its table is parked or copied, so
/// the orders are stored under the job's own consumer, and who applies a table's events takes the table's.
pub(super) async fn pending(subscriber: &Db, job: &str) -> Result<Vec<Skip>> {
    let rows = subscriber
        .query(
            "look for events to leave out",
            "select ev_id, ev_txid, ev_extra1 from londiste.skipped_events where consumer = $1 and done_tick is null",
            &[text(&job)],
        )
        .await?;
    let table = |row: &tokio_postgres::Row| row.get::<_, Option<&str>>(2).map(FqName::parse);
    Ok(rows.iter().map(|row| Skip { event: row.get(0), txid: row.get(1), table: table(row) }).collect())
}

/// The events that the job has still to leave out, for a person. A schema of 2.1 knows none.
pub(super) async fn ordered(subscriber: &Db, job: &str) -> Result<Vec<i64>> {
    const ACTION: &str = "look for events to leave out";
    let known = "select to_regclass('londiste.skipped_events') is not null";
    if !subscriber.query_one(ACTION, known, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    Ok(pending(subscriber, job).await?.iter().map(|skip| skip.event).collect())
}

/// The orders that concern a batch.
#[derive(Debug, Default)]
pub(super) struct Skips {
    /// The batch has these events.
    due: Vec<Skip>,
    /// These came in an earlier batch, before the order.
    late: Vec<Skip>,
}

impl Skips {
    /// Those of `pending` that the batch has, where `ours` says which tables' events are applied from it.
    pub(super) async fn of(
        provider: &Db,
        queue: &str,
        batch: &Batch,
        mut pending: Vec<Skip>,
        ours: impl Fn(&FqName) -> bool,
    ) -> Result<Skips> {
        pending.retain(|skip| skip.table.as_ref().is_none_or(&ours));
        if pending.is_empty() {
            return Ok(Skips::default());
        }
        let before = snapshot(provider, queue, batch.prev_tick).await?;
        let until = snapshot(provider, queue, batch.cur_tick).await?;
        let (late, rest): (Vec<Skip>, Vec<Skip>) = pending.into_iter().partition(|skip| before.contains(skip.txid));
        Ok(Skips { late, due: rest.into_iter().filter(|skip| until.contains(skip.txid)).collect() })
    }

    /// The batch's events without them.
    pub(super) fn leave_out(&self, batch_sql: String) -> String {
        if self.due.is_empty() {
            return batch_sql;
        }
        let pair = |skip: &Skip| format!("({}::int8, {}::int8)", skip.event, skip.txid);
        let list: Vec<String> = self.due.iter().map(pair).collect();
        format!(
            "select * from ({batch_sql}) e where (e.ev_id, e.ev_txid) not in ({}) order by e.ev_id",
            list.join(", ")
        )
    }

    /// Marks them as left out, with the batch.
    pub(super) async fn mark(&self, tx: &Db, job: &str, batch: &Batch) -> Result<()> {
        const WHERE: &str = "where consumer = $1 and ev_id = $2 and ev_txid = $3 and done_tick is null";
        let action = "store that an event was left out";
        for skip in &self.due {
            let sql = format!("update londiste.skipped_events set done_tick = $4 {WHERE}");
            let params = [text(&job), int8(&skip.event), int8(&skip.txid), int8(&batch.cur_tick.0)];
            tx.execute(action, &sql, &params).await?;
            tracing::warn!("event {} is skipped, as was ordered; londiste.skipped_events has it", skip.event);
        }
        for skip in &self.late {
            let sql = format!("delete from londiste.skipped_events {WHERE}");
            tx.execute(action, &sql, &[text(&job), int8(&skip.event), int8(&skip.txid)]).await?;
            tracing::warn!("event {} was applied before the order to skip it", skip.event);
        }
        Ok(())
    }
}

async fn snapshot(provider: &Db, queue: &str, tick: TickId) -> Result<Snapshot> {
    const ACTION: &str = "read a tick";
    let row = provider
        .query_opt(
            ACTION,
            "select t.tick_snapshot::text from pgq.queue q join pgq.tick t on t.tick_queue = q.queue_id
              where q.queue_name = $1 and t.tick_id = $2",
            &[text(&queue), int8(&tick.0)],
        )
        .await?;
    row.and_then(|row| row.get::<_, &str>(0).parse().ok())
        .ok_or_else(|| provider.unexpected(ACTION, format!("queue \"{queue}\" has no tick {tick} with a snapshot")))
}

/// An event as it stands in the queue.
struct Found {
    txid: i64,
    retry: Option<i32>,
    kind: String,
    table: Option<FqName>,
    /// Time, data, and the four extra fields.
    texts: [Option<String>; 6],
}

/// The command.
pub(crate) async fn run(setup: &Setup<'_>, event: i64) -> Result<Output> {
    let (provider, subscriber) = (setup.provider().await?, setup.subscriber().await?);
    let found = find(setup, &provider, event).await?;
    let consumer = consumer_of(setup, &subscriber, event, &found).await?;
    if is_past(setup, &provider, &subscriber, &consumer, found.txid).await? {
        return Err(Error::refused(
            format!("event {event} of queue \"{}\" is applied already by consumer {consumer}", setup.queue()),
            "There is nothing to skip.",
        ));
    }
    let order = Skip { event, txid: found.txid, table: found.table.clone() };
    if pending(&subscriber, setup.consumer()).await?.contains(&order) {
        tracing::warn!("Event {event} is to be skipped already");
        return Ok(Output::none());
    }
    setup.change(&subscriber, async |tx: &Db| store(tx, setup.consumer(), event, &found).await).await?;
    let table = found.table.as_ref().map(|table| format!(" of table {table}")).unwrap_or_default();
    tracing::info!("Event {event} ({}){table} will be skipped", found.kind);
    Ok(Output::none())
}

async fn find(setup: &Setup<'_>, provider: &Db, event: i64) -> Result<Found> {
    const ACTION: &str = "look for the event";
    let queue = setup.queue();
    let sql = "select queue_data_pfx from pgq.queue where queue_name = $1";
    let row = match provider.query_opt(ACTION, sql, &[text(&queue)]).await? {
        Some(prefix) => {
            let events = FqName::parse(prefix.get(0)).quoted();
            // An event that was put off for a time is there twice.
            let sql = format!(
                "select ev_txid, ev_retry, ev_type, ev_time::text, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
                   from {events} where ev_id = $1 order by ev_txid desc limit 1"
            );
            provider.query_opt(ACTION, &sql, &[int8(&event)]).await?
        }
        None => None,
    };
    let Some(row) = row else {
        return Err(Error::refused(
            format!("no event {event} in queue \"{queue}\" on provider ({})", provider.target()),
            "The message of replay that names the event has its id. Events that everybody has read are removed.",
        ));
    };
    let field = |i: usize| {
        row.try_get::<_, Option<String>>(i)
            .map_err(|_| provider.unexpected(ACTION, format!("event {event} has text that is not UTF-8")))
    };
    let texts = [field(3)?, field(4)?, field(5)?, field(6)?, field(7)?, field(8)?];
    let table = texts[2].as_deref().map(FqName::parse);
    Ok(Found { txid: row.get(0), retry: row.get(1), kind: field(2)?.unwrap_or_default(), table, texts })
}

/// The consumer that the event is to come to.
async fn consumer_of(setup: &Setup<'_>, subscriber: &Db, event: i64, found: &Found) -> Result<String> {
    let main = || Ok(setup.consumer().to_owned());
    let Some(name) = &found.table else { return main() };
    let table = tables::load_one(subscriber, setup.queue(), name).await?;
    let not_applied = |why: &str| {
        Err(Error::refused(
            format!("event {event} is not applied on subscriber ({}): {why}", subscriber.target()),
            "There is nothing to skip.",
        ))
    };
    match table {
        // An event of another kind may use the field for something else.
        None if matches!(found.kind.as_str(), "T" | "EXECUTE") => main(),
        None => not_applied(&format!("table {name} is not subscribed")),
        Some(table) if table.snapshot.as_ref().is_some_and(|s| s.contains(found.txid)) => {
            not_applied(&format!("the copy of table {name} has its effect"))
        }
        Some(table) => match table.state {
            TableState::Ok => main(),
            TableState::Missing | TableState::InCopy => not_applied(&format!("table {name} is to be copied first")),
            TableState::CatchingUp | TableState::WannaSync(_) | TableState::DoSync(_) => {
                Ok(table.copy_consumer.unwrap_or_else(|| format!("{}_copy", setup.consumer())))
            }
        },
    }
}

/// Whether the consumer has applied what the transaction wrote.
async fn is_past(setup: &Setup<'_>, provider: &Db, tx: &Db, consumer: &str, txid: i64) -> Result<bool> {
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
            &[text(&setup.queue()), text(&consumer), int8(&tick), int8(&txid)],
        )
        .await?;
    Ok(row.is_some_and(|row| row.get(0)))
}

async fn store(tx: &Db, job: &str, event: i64, found: &Found) -> Result<()> {
    let [time, data, extra1, extra2, extra3, extra4] = &found.texts;
    tx.execute(
        "store the event",
        "insert into londiste.skipped_events
                (consumer, reason, ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,
                 ev_extra1, ev_extra2, ev_extra3, ev_extra4)
         values ($1, 'subscriber skip-event', $2, $3::text::timestamptz, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            text(&job),
            int8(&event),
            text(time),
            int8(&found.txid),
            int4(&found.retry),
            text(&found.kind),
            text(data),
            text(extra1),
            text(extra2),
            text(extra3),
            text(extra4),
        ],
    )
    .await
    .map_err(|e| e.about(format!("event {event}")))?;
    Ok(())
}
