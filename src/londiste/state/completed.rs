//! `londiste.completed`: up to which tick a consumer's batches are applied on this subscriber.
//!
//! The number does not identify a tick: a provider that lost its last transactions (a standby that was promoted too
//! early, a restored backup) gives the same number to another tick. So `londiste.completed_tick` keeps the time at
//! which the tick was made. Programs of SkyTools do not write this table, so its row counts only while it has the same
//! number as the row of `londiste.completed`.

use tokio_postgres::error::SqlState;

use super::ledger::{self, Counted};
use crate::error::Result;
use crate::pg::{Db, Sql, int8, sql, text};
use crate::pgq::consumer::BatchEnds;
use crate::pgq::{Batch, TickId};

/// The tick up to which a consumer's batches are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The number of the tick.
    pub(crate) tick: TickId,
    /// When the provider made the tick, in UTC with microseconds; `None` when no rlondiste has stored the time.
    pub(crate) time: Option<String>,
}

/// What is to be done with a batch, given the position stored on the subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The batch begins at the stored tick: it is to be applied.
    Apply,
    /// The batch ends at the stored tick: it is applied already.
    Done,
    /// The batch neither begins nor ends at the stored tick, which is given: events would be lost or applied twice.
    Lost(TickId),
    /// The batch begins or ends at a tick that has the number of the stored one and was made at another time.
    OtherTick {
        /// The number of both ticks.
        tick: TickId,
        /// When the subscriber's tick was made.
        stored: String,
        /// When the provider's tick was made.
        provider: String,
    },
}

/// The query for the consumer's last tick as text, with each row of another query behind it, or nulls where that has none: both as of
/// one moment.
pub(crate) fn position_and_rows(consumer: &str, rows: &Sql) -> Sql {
    sql!(
        "select c.last_tick_id::text, found.* from londiste.completed c left join ({rows}) found on true \
         where c.consumer_id = {consumer}",
        rows = rows,
        consumer = Sql::literal(consumer)
    )
}

/// What is to be done with the batch. Without a stored position nothing was applied so far. A time that is not known on
/// one of the sides is not compared.
pub(crate) fn standing(stored: Option<&Position>, batch: &Batch, ends: &BatchEnds) -> Standing {
    let Some(stored) = stored else { return Standing::Apply };
    let (standing, time) = if stored.tick == batch.prev_tick {
        (Standing::Apply, &ends.prev_time)
    } else if stored.tick == batch.cur_tick {
        (Standing::Done, &ends.cur_time)
    } else {
        return Standing::Lost(stored.tick);
    };
    match (&stored.time, time) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            Standing::OtherTick { tick: stored.tick, stored: ours.clone(), provider: theirs.clone() }
        }
        _ => standing,
    }
}

/// The number of a consumer's stored tick; `None` when there is none.
pub(crate) async fn last_tick(subscriber: &Db, consumer: &str) -> Result<Option<TickId>> {
    let sql = "select londiste.get_last_tick($1)";
    let row = subscriber.query_one("read the last applied tick", sql, &[text(&consumer)]).await?;
    Ok(row.get::<_, Option<i64>>(0).map(TickId))
}

/// The stored position of a consumer; `None` when there is none. Works on a schema of 2.1, which keeps no times, only
/// outside of a transaction: the first statement fails there.
pub(crate) async fn position(subscriber: &Db, consumer: &str) -> Result<Option<Position>> {
    let sql = "select c.last_tick_id, t.tick_time
                 from londiste.completed c
                      left join londiste.completed_tick t
                             on t.consumer_id = c.consumer_id and t.tick_id = c.last_tick_id
                where c.consumer_id = $1";
    match subscriber.query_kept("read the last applied tick", sql, &[text(&consumer)]).await {
        Ok(rows) => Ok(rows.first().map(|row| Position { tick: TickId(row.get(0)), time: row.get(1) })),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
            Ok(last_tick(subscriber, consumer).await?.map(|tick| Position { tick, time: None }))
        }
        Err(error) => Err(error),
    }
}

/// Where a consumer stood before, with how many seconds ago, the latest first. Empty on a schema of Londiste 2.1 or of an older rlondiste.
pub(crate) async fn past(subscriber: &Db, consumer: &str) -> Result<Vec<(TickId, f64)>> {
    const ACTION: &str = "read where the consumer stood";
    let sql = "select pg_catalog.to_regclass('londiste.completed_tick') is not null";
    if !subscriber.query_one(ACTION, sql, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "select p.tick, extract(epoch from pg_catalog.now() - p.at)::float8
                 from londiste.completed_tick k
                      cross join lateral (values
                          ((to_jsonb(k) ->> 'past_tick')::bigint, (to_jsonb(k) ->> 'past_at')::timestamptz),
                          ((to_jsonb(k) ->> 'older_tick')::bigint, (to_jsonb(k) ->> 'older_at')::timestamptz)) p (tick, at)
                where k.consumer_id = $1 and p.tick is not null
                order by p.at desc";
    let rows = subscriber.query(ACTION, sql, &[text(&consumer)]).await?;
    Ok(rows.iter().map(|row| (TickId(row.get(0)), row.get(1))).collect())
}

/// The number of a consumer's stored tick, whose row is locked until the transaction ends: no batch is committed meanwhile.
pub(crate) async fn hold(tx: &Db, consumer: &str) -> Result<Option<TickId>> {
    let sql = "select last_tick_id from londiste.completed where consumer_id = $1 for no key update";
    let rows = tx.query_kept("keep the last applied tick", sql, &[text(&consumer)]).await?;
    Ok(rows.first().map(|row| TickId(row.get(0))))
}

/// The consumers that have a position on this subscriber, other than `job` and the consumers of its copies; sorted.
pub(crate) async fn consumers(subscriber: &Db, job: &str) -> Result<Vec<String>> {
    let sql = "select c.consumer_id from londiste.completed c
                where c.consumer_id <> $1 and pg_catalog.left(c.consumer_id, pg_catalog.length($1) + 5) <> $1 || '_copy'
                order by 1";
    let rows = subscriber.query("look for positions", sql, &[text(&job)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Stores the tick of a consumer, `None` deletes it. Locks the row of the consumer until the transaction ends.
pub(crate) async fn set_last_tick(subscriber: &Db, consumer: &str, tick: Option<TickId>) -> Result<()> {
    let sql = "select londiste.set_last_tick($1, $2)";
    let tick = tick.map(|t| t.0);
    let params = [text(&consumer), int8(&tick)];
    subscriber.query("store the last applied tick", sql, &params).await.map(drop)
}

const FIRST: &str = "with moved as (
           insert into londiste.completed (consumer_id, last_tick_id)
           select $1, $2 where $3::bigint is null
           on conflict (consumer_id) do nothing returning last_tick_id)";

const NEXT: &str = "with moved as (
           update londiste.completed set last_tick_id = $2 where consumer_id = $1 and last_tick_id = $3
              and ($5 is null or pg_catalog.current_setting('rlondiste.batch', true) = $5)
           returning last_tick_id)";

/// After [`FIRST`] or [`NEXT`]: stores the tick's time and snapshot, and once a minute where the consumer stood until then.
const TIMED: &str = ", timed as (
           insert into londiste.completed_tick as k (consumer_id, tick_id, tick_time, tick_snapshot)
           select $1, m.last_tick_id, $4, $14::pg_catalog.txid_snapshot from moved m where $4 is not null
           on conflict (consumer_id) do update
               set tick_id = excluded.tick_id, tick_time = excluded.tick_time, tick_snapshot = excluded.tick_snapshot,
                   past_tick = case when k.past_at > pg_catalog.now() - interval '1 minute' then k.past_tick else k.tick_id end,
                   past_at = case when k.past_at > pg_catalog.now() - interval '1 minute' then k.past_at else pg_catalog.now() end,
                   older_tick = case when k.past_at > pg_catalog.now() - interval '1 minute' then k.older_tick else k.past_tick end,
                   older_at = case when k.past_at > pg_catalog.now() - interval '1 minute' then k.older_at else k.past_at end)";

/// Behind all: counts the rows that were moved.
const COUNT: &str = " select pg_catalog.count(*) from moved";

/// A consumer's step from one tick to the next, in the transaction that applies the batch between them.
pub(crate) struct Advance<'a> {
    pub(crate) consumer: &'a str,
    pub(crate) from: Option<TickId>,
    pub(crate) to: TickId,
    /// What is known of the tick `to`.
    pub(crate) ends: &'a BatchEnds,
    /// What the batch did to the tables of the queue.
    pub(crate) counted: Counted,
}

/// Whether a batch's transaction may be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advanced {
    /// Yes: the consumer's tick was moved to the end of the batch.
    Moved,
    /// No, the transaction is to be rolled back: another process has applied the batch. The log says so.
    Overtaken,
}

/// Moves the tick of a consumer from `from` to `to`, in the transaction that applies the batch. The row of the consumer in
/// `londiste.completed` is locked until that transaction ends. [`Advanced::Overtaken`] when the stored tick is not `from` any more:
///
/// 1. A process is killed while its commit is under way on the server.
/// 2. The next process reads the old tick, which locks nothing, and begins to apply the same batch.
/// 3. The commit of step 1 ends, and the batch is applied.
/// 4. This update, which waits for a commit that has not ended yet, finds the new tick and changes no row.
pub(crate) async fn advance(tx: &Db, step: &Advance<'_>) -> Result<Advanced> {
    if step.store(tx, None).await? {
        return Ok(Advanced::Moved);
    }
    warn_of_overtaking(step.consumer, step.to);
    Ok(Advanced::Overtaken)
}

/// Says that another process has applied the batch up to tick `to`.
pub(crate) fn warn_of_overtaking(consumer: &str, to: TickId) {
    tracing::warn!(
        "another process reads as consumer {consumer}, or has until now: it has applied the batch up to tick {to}"
    );
}

/// The statement by which a transaction is marked for [`advance_marked`].
pub(crate) fn mark(to: TickId) -> Sql {
    sql!("set local rlondiste.batch = '{to}'", to = to.0)
}

/// [`advance`] of a consumer that has a tick, sent before it is known that the transaction has begun. Outside of a transaction
/// that was marked for the tick it changes nothing: where `begin` was cancelled, the statements behind it are transactions of
/// their own. Logs nothing.
pub(crate) async fn advance_marked(tx: &Db, step: &Advance<'_>) -> Result<Advanced> {
    Ok(if step.store(tx, Some(step.to.0.to_string())).await? { Advanced::Moved } else { Advanced::Overtaken })
}

impl Advance<'_> {
    /// Stores the tick and what was counted, if the consumer stands at `from`. Returns whether it does.
    async fn store(&self, tx: &Db, mark: Option<String>) -> Result<bool> {
        let first = if self.from.is_none() { FIRST } else { NEXT };
        let sql = sql!(
            "{first}{timed}{counted}{count}",
            first = first,
            timed = TIMED,
            counted = ledger::COUNTED,
            count = COUNT
        );
        let from = self.from.map(|t| t.0);
        let mut params =
            vec![text(&self.consumer), int8(&self.to.0), int8(&from), text(&self.ends.cur_time), text(&mark)];
        params.extend(self.counted.params());
        params.push(text(&self.ends.cur_snapshot));
        let rows = tx.query_kept("store the last applied tick", sql, &params).await?;
        Ok(rows.iter().any(|row| row.get::<_, i64>(0) > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgq::BatchId;

    fn at(tick: i64, time: Option<&str>) -> Position {
        Position { tick: TickId(tick), time: time.map(ToOwned::to_owned) }
    }

    #[test]
    fn a_batch_is_applied_once() {
        let batch = Batch { id: BatchId(1), prev_tick: TickId(10), cur_tick: TickId(11) };
        let ends =
            BatchEnds { prev_time: Some("10:00".to_owned()), cur_time: Some("11:00".to_owned()), cur_snapshot: None };
        for (stored, expected) in [
            (None, Standing::Apply),
            (Some(at(10, None)), Standing::Apply),
            (Some(at(10, Some("10:00"))), Standing::Apply),
            (Some(at(11, None)), Standing::Done),
            (Some(at(11, Some("11:00"))), Standing::Done),
            (Some(at(9, Some("10:00"))), Standing::Lost(TickId(9))),
            (Some(at(12, None)), Standing::Lost(TickId(12))),
        ] {
            assert_eq!(standing(stored.as_ref(), &batch, &ends), expected, "{stored:?}");
        }
    }

    #[test]
    fn a_tick_of_the_same_number_that_was_made_at_another_time_is_another_tick() {
        let batch = Batch { id: BatchId(1), prev_tick: TickId(10), cur_tick: TickId(11) };
        let ends =
            BatchEnds { prev_time: Some("10:00".to_owned()), cur_time: Some("11:00".to_owned()), cur_snapshot: None };
        for (tick, provider) in [(10, "10:00"), (11, "11:00")] {
            let other =
                Standing::OtherTick { tick: TickId(tick), stored: "12:00".to_owned(), provider: provider.to_owned() };
            assert_eq!(standing(Some(&at(tick, Some("12:00"))), &batch, &ends), other);
        }
        let unknown = BatchEnds::default();
        assert_eq!(standing(Some(&at(10, Some("12:00"))), &batch, &unknown), Standing::Apply);
    }
}
