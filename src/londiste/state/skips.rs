//! `londiste.skipped_events`: events that an operator has ordered to be left out instead of applied.
//!
//! An order is a row that holds the whole event. The batch that has the event marks the row in the batch's transaction:
//! so the event is left out exactly once, whenever a process ends, and the row keeps the event for the operator.

use crate::error::Result;
use crate::pg::{Db, FqName, Sql, int4, int8, sql, text};
use crate::pgq::json;
use crate::pgq::snapshot::Snapshot;
use crate::pgq::{Batch, TickId};

/// An event that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    nr: i64,
    /// `ev_id`
    pub(crate) event: i64,
    pub(crate) table: FqName,
}

/// An event to be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    /// `ev_id`
    pub(crate) event: i64,
    /// `ev_txid`
    pub(crate) txid: i64,
    /// The event's table; `None` when the event names none.
    pub(crate) table: Option<FqName>,
}

/// The table that an event names: in `ev_extra1`, or in a type in JSON where that is null.
pub(crate) fn table_of(kind: &str, extra1: Option<&str>) -> Option<FqName> {
    if let Some(name) = extra1 {
        return Some(FqName::parse(name));
    }
    let (schema, name) = json::parse_kind(kind.as_bytes())?.table;
    Some(FqName { schema, name })
}

/// The orders that are not carried out yet. They are stored under replay's consumer `job`, because the consumer that
/// reads an event changes when the table is parked or copied: each consumer carries out the orders for the tables that
/// it applies.
pub(crate) async fn pending(subscriber: &Db, job: &str) -> Result<Vec<Skip>> {
    let rows = subscriber
        .query_kept(
            "look for events to leave out",
            "select ev_id, ev_txid, ev_extra1, ev_type from londiste.skipped_events where consumer = $1 and done_tick is null",
            &[text(&job)],
        )
        .await?;
    let table = |row: &tokio_postgres::Row| table_of(row.get(3), row.get(2));
    Ok(rows.iter().map(|row| Skip { event: row.get(0), txid: row.get(1), table: table(row) }).collect())
}

/// The ids of the events that are still to be left out, for `status`. Empty on a schema of 2.1.
pub(crate) async fn ordered(subscriber: &Db, job: &str) -> Result<Vec<i64>> {
    if !is_known(subscriber).await? {
        return Ok(Vec::new());
    }
    Ok(pending(subscriber, job).await?.iter().map(|skip| skip.event).collect())
}

async fn is_known(subscriber: &Db) -> Result<bool> {
    let sql = "select pg_catalog.to_regclass('londiste.skipped_events') is not null";
    Ok(subscriber.query_one("look for table londiste.skipped_events", sql, &[]).await?.get(0))
}

/// The events that were left out of tables, and not forgotten: by whatever consumer, since a table outlives the name of one. Empty on a
/// schema of 2.1.
pub(crate) async fn left_out(subscriber: &Db) -> Result<Vec<LeftOut>> {
    if !is_known(subscriber).await? {
        return Ok(Vec::new());
    }
    let sql =
        "select nr, ev_id, ev_extra1, ev_type from londiste.skipped_events where done_tick is not null order by ev_id";
    let rows = subscriber.query("look for events that were left out", sql, &[]).await?;
    let read = |row: &tokio_postgres::Row| {
        let table = table_of(row.get(3), row.get(2))?;
        Some(LeftOut { nr: row.get(0), event: row.get(1), table })
    };
    Ok(rows.iter().filter_map(read).collect())
}

/// Forgets events that were left out: the table has the provider's rows again.
pub(crate) async fn forget<'a>(db: &Db, events: impl Iterator<Item = &'a LeftOut>) -> Result<()> {
    let numbers = Sql::join(events.map(|left_out| Sql::from(left_out.nr)), ", ");
    if numbers.is_empty() {
        return Ok(());
    }
    let sql = sql!("delete from londiste.skipped_events where nr in ({numbers})", numbers = numbers);
    db.execute("forget events that were left out", sql, &[]).await.map(drop)
}

/// Forgets the events that were left out of the table, in the transaction of its copy.
pub(crate) async fn forget_table(tx: &Db, table: &FqName) -> Result<()> {
    let events = left_out(tx).await?;
    forget(tx, events.iter().filter(|left_out| left_out.table == *table)).await
}

/// The orders that concern a batch.
#[derive(Debug, Default)]
pub(crate) struct Skips {
    /// Orders whose events are in the batch.
    due: Vec<Skip>,
    /// Orders whose events came in an earlier batch: the order was given too late.
    late: Vec<Skip>,
}

impl Skips {
    /// The orders of `pending` whose events are in this batch or an earlier one, for tables that `applied` names and
    /// for events without a table. Fails when the queue does not have the ticks at the ends of the batch.
    pub(crate) async fn of(
        provider: &Db,
        queue: &str,
        batch: &Batch,
        mut pending: Vec<Skip>,
        applied: impl Fn(&FqName) -> bool,
    ) -> Result<Skips> {
        pending.retain(|skip| skip.table.as_ref().is_none_or(&applied));
        if pending.is_empty() {
            return Ok(Skips::default());
        }
        let before = snapshot(provider, queue, batch.prev_tick).await?;
        let until = snapshot(provider, queue, batch.cur_tick).await?;
        let (late, rest): (Vec<Skip>, Vec<Skip>) = pending.into_iter().partition(|skip| before.contains(skip.txid));
        Ok(Skips { late, due: rest.into_iter().filter(|skip| until.contains(skip.txid)).collect() })
    }

    /// The statement `batch_sql`, which selects the events of the batch, less the events to leave out.
    pub(crate) fn leave_out(&self, batch_sql: Sql) -> Sql {
        if self.due.is_empty() {
            return batch_sql;
        }
        let pair = |skip: &Skip| sql!("({event}::int8, {txid}::int8)", event = skip.event, txid = skip.txid);
        sql!(
            "select * from ({batch}) e where (e.ev_id, e.ev_txid) not in ({list}) order by e.ev_id",
            batch = batch_sql,
            list = Sql::join(self.due.iter().map(pair), ", ")
        )
    }

    /// Marks the orders as carried out, in the batch's transaction; deletes and logs those that came too late.
    pub(crate) async fn mark(&self, tx: &Db, job: &str, batch: &Batch) -> Result<()> {
        const WHERE: &str = "where consumer = $1 and ev_id = $2 and ev_txid = $3 and done_tick is null";
        let action = "store that an event was left out";
        for skip in &self.due {
            let sql = sql!("update londiste.skipped_events set done_tick = $4 {condition}", condition = WHERE);
            let params = [text(&job), int8(&skip.event), int8(&skip.txid), int8(&batch.cur_tick.0)];
            tx.execute(action, sql, &params).await?;
            tracing::warn!("event {} is skipped, as was ordered; londiste.skipped_events has it", skip.event);
        }
        for skip in &self.late {
            let sql = sql!("delete from londiste.skipped_events {condition}", condition = WHERE);
            tx.execute(action, sql, &[text(&job), int8(&skip.event), int8(&skip.txid)]).await?;
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

/// An event as it is stored in the queue.
pub(crate) struct QueuedEvent {
    pub(crate) id: i64,
    pub(crate) txid: i64,
    pub(crate) retry: Option<i32>,
    pub(crate) kind: String,
    pub(crate) table: Option<FqName>,
    /// `ev_time`, `ev_data`, `ev_extra1` to `ev_extra4`.
    pub(crate) texts: [Option<String>; 6],
}

/// Stores the order to leave an event out, with the event.
pub(crate) async fn order(tx: &Db, job: &str, event: &QueuedEvent) -> Result<()> {
    let [time, data, extra1, extra2, extra3, extra4] = &event.texts;
    tx.execute(
        "store the event",
        "insert into londiste.skipped_events
                (consumer, reason, ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,
                 ev_extra1, ev_extra2, ev_extra3, ev_extra4)
         values ($1, 'subscriber skip-event', $2, $3::text::timestamptz, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            text(&job),
            int8(&event.id),
            text(time),
            int8(&event.txid),
            int4(&event.retry),
            text(&event.kind),
            text(data),
            text(extra1),
            text(extra2),
            text(extra3),
            text(extra4),
        ],
    )
    .await
    .map_err(|e| e.about(format!("event {}", event.id)))?;
    Ok(())
}
