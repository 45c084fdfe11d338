//! Rows that are written all the time, so that no two looks show the same.
//!
//! 1. The provider's row is read together with the newest tick, until a tick sees the same version of the row: the transaction that
//!    wrote it had ended at the tick.
//! 2. When replay stands at just this tick, the subscriber's row is read: it must be equal.
//!
//! A row that a transaction wrote in a savepoint has the id of the savepoint, which is not among the running transactions of a tick's
//! snapshot. So rows that differ count only where the id is older than all transactions that ran at the tick. Equal rows are equal in
//! either case.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::pg::{Db, Param, RawText, Sql, Tx, sql, text_array};
use crate::pgq::TickId;
use crate::pgq::consumer::Consumer;

use super::super::state::completed;
use super::range_walk::{Looks, RangeWalk, Seen, Settle};
use super::rows::{PIN, RowText, key_columns, values};

/// How many rows of one look are compared in this way: one after the other.
const MOST: usize = 50;

/// For how long a tick that sees the row is waited for, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(1);

/// For how long replay is waited for to stand at the tick.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);

/// After so many ticks that replay has passed unseen a row is not verified.
const TRIES: usize = 10;

const ACTION: &str = "compare a row at a tick";

/// A row of the provider at a tick.
struct AtTick {
    tick: TickId,
    row: Seen,
    /// Whether it is sure that the tick sees this version.
    is_certain: bool,
}

impl RangeWalk<'_> {
    /// Compares rows at a tick. Removes those that are equal, and those that differ and are settled.
    pub(super) async fn compare_at_a_tick(
        &self,
        consumer: &Consumer,
        open: &mut Looks,
        settle: &mut impl Settle,
    ) -> Result<()> {
        let keys: Vec<RowText> = open.keys().take(MOST).cloned().collect();
        for key in keys {
            for _ in 0..TRIES {
                let Some(theirs) = self.provider_at_a_tick(consumer, &key).await? else { break };
                let Some(ours) = self.subscriber_at(consumer, theirs.tick, &key).await? else { continue };
                let is_equal = ours.as_ref().is_some_and(|ours| ours.hash == theirs.row.hash);
                if is_equal {
                    open.remove(&key);
                    break;
                }
                if theirs.is_certain {
                    let differing = Looks::from([(key.clone(), [Some(theirs.row), ours])]);
                    if settle.settle(differing, theirs.tick).await?.is_empty() {
                        open.remove(&key);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// A transaction each statement of which has a snapshot of its own.
    async fn newest_data<'d>(&self, db: &'d Db) -> Result<Tx<'d>> {
        let tx = db.begin(ACTION, "begin isolation level read committed read only").await?;
        tx.batch(ACTION, PIN).await?;
        if self.lock_wait.is_some() {
            tx.limit_lock_wait(self.lock_wait).await?;
        }
        Ok(tx)
    }

    /// Step 1; `None` when there is no such row, or none that a tick sees in time.
    async fn provider_at_a_tick(&self, consumer: &Consumer, key: &RowText) -> Result<Option<AtTick>> {
        let (db, side) = self.side(0);
        let sql = sql!(
            "select {seen}, tick.tick_id::text, (row.id < pg_catalog.txid_snapshot_xmin(tick.tick_snapshot))::text {from} \
             cross join (select k.tick_id, k.tick_snapshot, pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) as now \
                         from pgq.tick k join pgq.queue q on q.queue_id = k.tick_queue \
                         where q.queue_name = {queue} order by k.tick_id desc limit 1) tick \
             cross join lateral (select ((tick.now >> 32) << 32) + t.xmin::text::bigint as id) written \
             cross join lateral (select case when written.id > tick.now then written.id - 4294967296 else written.id end as id) row \
             where pg_catalog.txid_visible_in_snapshot(row.id, tick.tick_snapshot)",
            seen = side.seen(self.fingerprint),
            from = side.keyed_rows(&self.compared.columns),
            queue = Sql::literal(&consumer.queue)
        );
        let tx = self.newest_data(db).await?;
        let columns = key_columns(self.compared, std::slice::from_ref(key));
        let params: Vec<Param<'_>> = columns.iter().map(text_array).collect();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let rows =
                tx.query(ACTION, &sql, &params).await.map_err(|e| e.about(format!("table {}", self.compared.name)))?;
            if let Some(row) = rows.first() {
                let mut texts = values(db, row)?.into_iter();
                let row = Seen { hash: texts.next().flatten(), version: texts.next().flatten() };
                let mut text = || texts.next().flatten();
                let tick = text().as_ref().and_then(RawText::as_str).and_then(|tick| tick.parse().ok());
                let is_certain = text().as_ref().and_then(RawText::as_str) == Some("true");
                tx.rollback("end the transaction").await?;
                return Ok(tick.map(|tick| AtTick { tick: TickId(tick), row, is_certain }));
            }
            tokio::time::sleep(POLL).await;
        }
        tx.rollback("end the transaction").await?;
        Ok(None)
    }

    /// Step 2: the subscriber's row while replay stands at the tick; `None` when it has passed, or does not come there in time.
    async fn subscriber_at(&self, consumer: &Consumer, tick: TickId, key: &RowText) -> Result<Option<Option<Seen>>> {
        let (db, side) = self.side(1);
        let rows = sql!(
            "select {seen}, true as is_there {from}",
            seen = side.seen(self.fingerprint),
            from = side.keyed_rows(&self.compared.columns)
        );
        let sql = completed::position_and_rows(&consumer.name, &rows);
        let tx = self.newest_data(db).await?;
        let columns = key_columns(self.compared, std::slice::from_ref(key));
        let params: Vec<Param<'_>> = columns.iter().map(text_array).collect();
        let (started, mut found) = (Instant::now(), None);
        while started.elapsed() < REPLAY_PATIENCE {
            let rows =
                tx.query(ACTION, &sql, &params).await.map_err(|e| e.about(format!("table {}", self.compared.name)))?;
            let Some(row) = rows.first() else { break };
            let text = |nr: usize| row.try_get(nr).map_err(|e| db.failed("read a table as text", e));
            let position: Option<RawText> = text(0)?;
            let position = position.as_ref().and_then(RawText::as_str).and_then(|tick| tick.parse().ok());
            if position.is_none_or(|position| TickId(position) > tick) {
                break;
            }
            if position.map(TickId) == Some(tick) {
                let is_there: Option<bool> = row.get(3);
                found = Some(match is_there {
                    Some(_) => Some(Seen { hash: text(1)?, version: text(2)? }),
                    None => None,
                });
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        tx.rollback("end the transaction").await?;
        Ok(found)
    }
}
