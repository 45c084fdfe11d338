//! `mirror_queue`: the events that replay applies are written into a queue on the subscriber, with the provider's
//! ticks, so that the queue's consumers can follow the subscriber in place of the provider.
//!
//! Events and tick are written in the subscriber's transaction of the batch, so the mirror queue has the events of the
//! tables, whenever the process ends. The rows of a copy, and the events that a copy applies, are not written.

use futures_util::{SinkExt, TryStreamExt};

use crate::error::{Error, Result};
use crate::pg::{Db, Sql, int8, sql, text};
use crate::pgq::Batch;

use super::super::state::table_state::TableState;
use super::super::state::tables::SubscribedTable;

const ACTION: &str = "write events into the mirror queue";
const COLUMNS: &str = "ev_id, ev_time, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// The batch whose events are written.
pub(super) struct Source<'a> {
    pub(super) batch: &'a Batch,
    /// The statement that reads the batch's events.
    pub(super) sql: &'a Sql,
    pub(super) tables: &'a [SubscribedTable],
}

/// Writes the events of the batch that were applied, then its end tick. Fails with the errors of [`event_table`].
pub(super) async fn repeat(
    mirror: &str,
    provider_queue: &str,
    provider: &Db,
    tx: &Db,
    source: &Source<'_>,
) -> Result<()> {
    let about = |error: Error| error.about(format!("mirror_queue {mirror}, tick {}", source.batch.cur_tick));
    let table = event_table(mirror, tx, source.batch).await?;
    if let Some(events) = source.events_sql() {
        let from = sql!("copy ({events}) to stdout (format binary)", events = events);
        let into = sql!("copy {table} ({columns}) from stdin (format binary)", table = table, columns = COLUMNS);
        transfer(provider, &from, tx, &into).await.map_err(about)?;
    }
    let sql = "select t.tick_time::text, (to_jsonb(t) ->> 'tick_event_seq')::bigint
                 from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                where q.queue_name = $1 and t.tick_id = $2";
    let tick =
        provider.query_one("read the tick", sql, &[text(&provider_queue), int8(&source.batch.cur_tick.0)]).await?;
    let (time, seq): (String, Option<i64>) = (tick.get(0), tick.get(1));
    let sql = "select pgq.ticker($1, $2, $3::timestamptz, $4)";
    let params = [text(&mirror), int8(&source.batch.cur_tick.0), text(&time), int8(&seq)];
    tx.query("write the tick into the mirror queue", sql, &params).await.map_err(about)?;
    Ok(())
}

/// The event table that the queue writes to now. Fails when there is no such queue of rlondiste's schema `pgq`, when it
/// has a ticker of its own, and when it has the end tick of the batch already.
async fn event_table(mirror: &str, tx: &Db, batch: &Batch) -> Result<Sql> {
    let refused = |why: String, hint: &str| {
        Err(Error::refused(
            format!("cannot write to mirror_queue \"{mirror}\" on subscriber ({}): {why}", tx.target()),
            hint,
        ))
    };
    let own = "select to_regprocedure('pgq.rlondiste_version()') is not null";
    if !tx.query_one(ACTION, own, &[]).await?.get::<_, bool>(0) {
        return refused("rlondiste's schema pgq is not there".to_owned(), "Run \"rlondiste INI subscriber install\".");
    }
    let sql = "select q.queue_data_pfx || '_' || q.queue_cur_table, q.queue_external_ticker,
                      (select max(t.tick_id) from pgq.tick t where t.tick_queue = q.queue_id)
                 from pgq.queue q where q.queue_name = $1";
    let Some(row) = tx.query_opt(ACTION, sql, &[text(&mirror)]).await? else {
        return refused(
            "there is no such queue".to_owned(),
            "Run \"rlondiste INI subscriber install\", which creates it.",
        );
    };
    if !row.get::<_, bool>(1) {
        return refused(
            "it has a ticker of its own".to_owned(),
            "Choose the name of another queue, or set queue_external_ticker when only replay is to write to it.",
        );
    }
    match row.get::<_, Option<i64>>(2) {
        Some(last) if last >= batch.cur_tick.0 => refused(
            format!("it has tick {last} already, the batch ends at tick {}", batch.cur_tick),
            "The provider's queue was made anew: drop the mirror, and run \"rlondiste INI subscriber install\".",
        ),
        _ => Ok(Sql::from_server(row.get(0))),
    }
}

impl Source<'_> {
    /// The statement that selects the changes of tables that are `ok`, less the events that the snapshot of the table's
    /// copy shows; `None` when no table is `ok`.
    fn events_sql(&self) -> Option<Sql> {
        let mut tables = Vec::new();
        for table in self.tables.iter().filter(|t| t.state == TableState::Ok) {
            let snapshot = table.snapshot.as_ref().map_or_else(|| Sql::from("null"), |s| Sql::literal(&s.to_string()));
            let name = Sql::literal(&table.name.to_string());
            tables.push(sql!("({name}, {snapshot}::txid_snapshot)", name = name, snapshot = snapshot));
        }
        if tables.is_empty() {
            return None;
        }
        Some(sql!(
            "select {columns} from ({events}) e join (values {tables}) f (table_name, snapshot) on f.table_name = e.ev_extra1 \
              where e.ev_type ~ '^([IUD](:|$)|R$|[{])' \
                and (f.snapshot is null or not txid_visible_in_snapshot(e.ev_txid, f.snapshot)) order by ev_id",
            columns = COLUMNS,
            events = self.sql,
            tables = Sql::join(tables, ", ")
        ))
    }
}

async fn transfer(provider: &Db, from: &Sql, tx: &Db, into: &Sql) -> Result<()> {
    let mut events = std::pin::pin!(provider.copy_out("read events for the mirror queue", from).await?);
    let mut sink = std::pin::pin!(tx.copy_in(ACTION, into).await?);
    while let Some(bytes) =
        events.try_next().await.map_err(|e| provider.failed("read events for the mirror queue", e))?
    {
        sink.feed(bytes).await.map_err(|e| tx.failed(ACTION, e))?;
    }
    sink.finish().await.map_err(|e| tx.failed(ACTION, e))?;
    Ok(())
}
