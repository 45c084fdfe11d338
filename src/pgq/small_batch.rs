//! Small batches in one call: `pgq.next_batch_events` of rlondiste's own schema finishes the last batch, opens the next and
//! gives its events.

use tokio_postgres::Row;

use super::consumer::{BatchEnds, Consumer, Join};
use super::event::Event;
use super::value_buffer::BIG;
use super::{Batch, BatchId, EventId, TickId};
use crate::error::Result;
use crate::pg::{Db, Param, RawText, boolean, int4, int8, text};

/// A batch that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) batch: Batch,
    pub(crate) ends: BatchEnds,
    /// The events in the order of their ids; `None` where there are more, or bigger ones, than were asked for.
    pub(crate) events: Option<Vec<Event>>,
}

/// What is asked for beside the next batch.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The batch to finish first. Its changes must be committed.
    pub(crate) finished: Option<&'a Batch>,
    /// How ticks are joined; `before` must be `None`.
    pub(crate) join: Join,
    /// The most events to read.
    pub(crate) most_events: usize,
    /// Whether to tell the ticker, when there is no batch, that this consumer waits for events.
    pub(crate) waits: bool,
}

const NEXT_BATCH_EVENTS: &str = "select b.batch_id, b.prev_tick_id, b.cur_tick_id, b.has_all_events,
       pg_catalog.to_char(b.prev_tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
       pg_catalog.to_char(b.cur_tick_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
       b.ev_id, b.ev_txid, b.ev_type, b.ev_data, b.ev_extra1,
       case when b.batch_id is not null then (select t.tick_snapshot::text from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                                               where q.queue_name = $1 and t.tick_id = b.cur_tick_id) end
  from pgq.next_batch_events($1, $2, $3, $4, $5, $6, $7, $8) b";

impl Consumer {
    /// Finishes a batch and opens the next one, or gives the batch that is open already; `None` when there is no newer tick.
    /// All of it is one transaction: after an error nothing was finished. Locks the subscription's row.
    ///
    /// A provider without `batches_with_events` lacks the function.
    pub(crate) async fn next_batch_events(&self, provider: &Db, request: &Request<'_>) -> Result<Option<Opened>> {
        const ACTION: &str = "read the next batch";
        let count = |events: u64| i64::try_from(events).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX));
        let (most, least) = (count(request.join.most_events), count(request.join.least_events));
        let finished = request.finished.map(|batch| batch.id.0);
        let (events, size) =
            (i32::try_from(request.most_events).unwrap_or(i32::MAX), i32::try_from(BIG).unwrap_or(i32::MAX));
        let params: [Param<'_>; 8] = [
            text(&self.queue),
            text(&self.name),
            int8(&finished),
            int8(&least),
            int8(&most),
            int4(&events),
            int4(&size),
            boolean(&request.waits),
        ];
        let rows = provider.query_kept(ACTION, NEXT_BATCH_EVENTS, &params).await.map_err(|e| e.about(self))?;
        let Some((last, events)) = rows.split_last() else { return Ok(None) };
        let (Some(id), Some(all)) = (last.get::<_, Option<i64>>(0), last.get::<_, Option<bool>>(3)) else {
            return Err(provider.unexpected(ACTION, "the last row has no batch"));
        };
        Ok(Some(Opened {
            batch: Batch { id: BatchId(id), prev_tick: TickId(last.get(1)), cur_tick: TickId(last.get(2)) },
            ends: BatchEnds { prev_time: last.get(4), cur_time: last.get(5), cur_snapshot: last.get(11) },
            events: all.then(|| events.iter().map(event).collect()),
        }))
    }
}

fn event(row: &Row) -> Event {
    let field = |column: usize| row.get::<_, Option<RawText>>(column);
    let (kind, data, extra1) = (field(8), field(9), field(10));
    Event::new(
        EventId(row.get(6)),
        row.get(7),
        kind.as_ref().map_or(&[], RawText::as_bytes),
        data.as_ref().map(RawText::as_bytes),
        extra1.as_ref().map(RawText::as_bytes),
    )
}
