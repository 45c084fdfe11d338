//! Looks into a queue ahead of a consumer's position, without consuming.

use super::TickId;
use crate::error::Result;
use crate::pg::{Db, Sql, int8, sql, text};

const ACTION: &str = "look into the queue";

/// An event that a consumer has still to come to.
pub(crate) struct LaterEvent {
    /// `ev_txid`
    pub(crate) txid: i64,
    /// `ev_data`
    pub(crate) data: String,
}

/// All events of a type, with data, that are not visible in the snapshot of tick `from`, ticked or not, in the order of their ids; none when
/// the queue does not have the tick. Reads all events since the tick: the more events wait, the longer it takes.
pub(crate) async fn of_type(provider: &Db, queue: &str, kind: &str, from: TickId) -> Result<Vec<LaterEvent>> {
    let pinned = "select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
                    from pgq.queue q
                         join pg_catalog.pg_class c on c.oid = q.queue_data_pfx::pg_catalog.regclass
                         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                   where q.queue_name = $1";
    let Some(row) = provider.query_opt(ACTION, pinned, &[text(&queue)]).await? else { return Ok(Vec::new()) };
    let sql = sql!(
        "select e.ev_txid, e.ev_data
           from pgq.tick t
                join pgq.queue q on q.queue_id = t.tick_queue
                join {events} e on e.ev_txid >= pg_catalog.txid_snapshot_xmin(t.tick_snapshot)
          where q.queue_name = $1 and t.tick_id = $2 and e.ev_type = $3 and e.ev_data is not null
            and not pg_catalog.txid_visible_in_snapshot(e.ev_txid, t.tick_snapshot)
          order by e.ev_id",
        events = Sql::from_server(row.get(0))
    );
    let rows = provider.query(ACTION, sql, &[text(&queue), int8(&from.0), text(&kind)]).await?;
    Ok(rows.iter().map(|row| LaterEvent { txid: row.get(0), data: row.get(1) }).collect())
}
