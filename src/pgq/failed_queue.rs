//! The failed queue of PgQ 2: events that a consumer could not use, kept for the operator.

use futures_util::StreamExt;
use tokio_postgres::types::Type;

use super::{Batch, event};
use crate::error::Result;
use crate::pg::{Db, Param, Sql, int8, sql, text};

/// Most ids of events in memory, and in one insert.
const IDS: usize = 100_000;

const ACTION: &str = "put events aside";

/// Puts the events of an open batch for whose type `is_failed` is true into the failed queue. `sql` is the statement
/// that gives the events of the batch. Events that are in the failed queue already stay as they are. Returns how many
/// were added.
///
/// For each 100,000 of these events it reads the types of the later events of the batch, and then inserts by one statement
/// that reads the batch again. A user without the right to insert into `pgq.failed_queue` goes through `pgq.event_failed`,
/// which reads the batch for each event. Outside of a transaction each insert commits by itself.
pub(crate) async fn put_aside(
    provider: &Db,
    batch: &Batch,
    sql: &Sql,
    is_failed: impl Fn(&[u8]) -> bool,
    reason: &str,
) -> Result<u64> {
    let row = provider
        .query_one(
            ACTION,
            "select pg_catalog.has_table_privilege('pgq.failed_queue'::pg_catalog.regclass, 'insert')",
            &[],
        )
        .await?;
    let statement = if row.get(0) { bulk(sql) } else { Sql::from(ONE_BY_ONE) };
    let (mut after, mut added) = (None, 0);
    loop {
        let ids = read_ids(provider, sql, after, &is_failed).await?;
        let Some(last) = ids.last() else { return Ok(added) };
        after = Some(*last);
        let list: Param<'_> = (&ids, Type::INT8_ARRAY);
        added += provider.execute(ACTION, &statement, &[int8(&batch.id.0), list, text(&reason)]).await?;
    }
}

/// The ids of the next [`IDS`] events to put aside, above `after`, ascending.
async fn read_ids(provider: &Db, sql: &Sql, after: Option<i64>, is_failed: impl Fn(&[u8]) -> bool) -> Result<Vec<i64>> {
    let later = after.map_or_else(|| Sql::from(""), |id| sql!("where b.ev_id operator(pg_catalog.>) {id}", id = id));
    // The five columns that `event::stream` reads, without the data.
    let types = sql!(
        "select b.ev_id, b.ev_txid, b.ev_type, null::pg_catalog.text as ev_data, null::pg_catalog.text as ev_extra1
           from ({events}) b {later}",
        events = sql,
        later = later
    );
    let mut events = event::stream(provider, &types).await?;
    let mut ids = Vec::new();
    while ids.len() < IDS
        && let Some(event) = events.next().await
    {
        let event = event?;
        if is_failed(event.kind()) && ids.last() != Some(&event.id.0) {
            ids.push(event.id.0);
        }
    }
    Ok(ids)
}

fn bulk(sql: &Sql) -> Sql {
    sql!(
        "insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_owner, ev_id, ev_time, ev_txid, ev_retry,
                                       ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
         select $3, pg_catalog.now(), s.sub_id, b.ev_id, b.ev_time, b.ev_txid, b.ev_retry,
                b.ev_type, b.ev_data, b.ev_extra1, b.ev_extra2, b.ev_extra3, b.ev_extra4
           from ({events}) b
                join pg_catalog.unnest($2) u(id) on u.id operator(pg_catalog.=) b.ev_id
                join pgq.subscription s on s.sub_batch operator(pg_catalog.=) $1
         on conflict (ev_owner, ev_id) do nothing",
        events = sql
    )
}

const ONE_BY_ONE: &str = "select pgq.event_failed($1, u.id, $3) from pg_catalog.unnest($2) u(id)";
