//! The consumer of a table's copy, in `londiste.table_position`.
//!
//! A name belongs to one table at a time, in the whole database: a unique index refuses a second one, and the name is
//! chosen in the transaction that begins the table's copy. So two processes that begin copies at the same moment get
//! different names.

use crate::error::Result;
use crate::pg::{Db, FqName, boolean, int8, text};

/// The first of the names under which copies of consumer `job` read the queue: `JOB_copy`, then `JOB_copy2` and so on.
pub(crate) fn base_name(job: &str) -> String {
    format!("{job}_copy")
}

/// Whether a copy may work under its consumer's name in this transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It may: the row of the consumer is locked until the transaction ends.
    Held,
    /// Another transaction has the row locked: a process works under this name.
    Busy,
    /// The table has another consumer, or none.
    Gone,
}

/// Locks the row of a copy's consumer until the transaction ends. Never waits for the lock.
pub(crate) async fn hold(tx: &Db, queue: &str, name: &FqName, consumer: &str) -> Result<Hold> {
    const ACTION: &str = "lock the copy's consumer";
    let table = name.to_string();
    let params = [text(&queue), text(&table), text(&consumer)];
    let about = |e: crate::Error| e.about(format!("table {name}"));
    let lock = "select from londiste.table_position
                 where queue_name = $1 and table_name = $2 and consumer_id = $3 for update skip locked";
    if tx.query_opt(ACTION, lock, &params).await.map_err(about)?.is_some() {
        return Ok(Hold::Held);
    }
    let look = "select from londiste.table_position where queue_name = $1 and table_name = $2 and consumer_id = $3";
    let there = tx.query_opt(ACTION, look, &params).await.map_err(about)?;
    Ok(if there.is_some() { Hold::Busy } else { Hold::Gone })
}

/// Returns the consumer name of the table, or gives it one that no other table has; removes the mark of a parked table.
/// `None` when another process works under the table's name, or has just given the table one.
///
/// A name stays with its table until its consumer is forgotten: a task that still works under the name reads in the
/// table's state that its copy is over. Locks the row until the transaction ends; waits for a transaction that has
/// given the same name to another table and not ended.
pub(crate) async fn take(tx: &Db, queue: &str, name: &FqName, job: &str) -> Result<Option<String>> {
    const ACTION: &str = "store the copy's consumer";
    let (table, base) = (name.to_string(), base_name(job));
    let about = |e: crate::Error| e.about(format!("table {name}"));
    let look = "select consumer_id from londiste.table_position where queue_name = $1 and table_name = $2";
    if let Some(row) = tx.query_opt(ACTION, look, &[text(&queue), text(&table)]).await.map_err(about)? {
        let consumer: String = row.get(0);
        if hold(tx, queue, name, &consumer).await? != Hold::Held {
            return Ok(None);
        }
        let keep = "update londiste.table_position set parked_reason = null, parked_time = null, parked_mend = null
                     where queue_name = $1 and table_name = $2";
        tx.execute(ACTION, keep, &[text(&queue), text(&table)]).await.map_err(about)?;
        return Ok(Some(consumer));
    }
    let take = "insert into londiste.table_position (queue_name, table_name, consumer_id)
                values ($1, $2, $3 || case when $4 > 1 then $4::text else '' end)
                on conflict do nothing returning consumer_id";
    let mut nr: i64 = 1;
    loop {
        let params = [text(&queue), text(&table), text(&base), int8(&nr)];
        if let Some(row) = tx.query_opt(ACTION, take, &params).await.map_err(about)? {
            return Ok(Some(row.get(0)));
        }
        // Either another table has the name, or another process has just given this table a name.
        if tx.query_opt(ACTION, look, &[text(&queue), text(&table)]).await.map_err(about)?.is_some() {
            return Ok(None);
        }
        nr += 1;
    }
}

/// Which tables may get the consumer of a copy that SkyTools has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heirs {
    /// The table in the middle of its copy.
    Copying,
    /// The table in the middle of its copy, else one that needs none: then the consumer is found among the [`unused`] ones
    /// and unregistered.
    Any,
}

/// Gives the consumer of the copy that SkyTools has begun to a table. SkyTools copies one table at a time, and all of its
/// copies have the first name.
pub(crate) async fn adopt(db: &Db, queue: &str, job: &str, heirs: Heirs) -> Result<()> {
    let sql = "insert into londiste.table_position (queue_name, table_name, consumer_id)
               select t.queue_name, t.table_name, $2 from londiste.subscriber_table t
                where t.queue_name = $1 and ($3 or t.merge_state not in ('ok', '?'))
                  and not exists (select from londiste.table_position p
                                   where p.queue_name = t.queue_name and p.table_name = t.table_name)
                order by coalesce(t.merge_state, 'ok') in ('ok', '?'), t.nr
                limit 1
               on conflict do nothing";
    let (base, any) = (base_name(job), heirs == Heirs::Any);
    let params = [text(&queue), text(&base), boolean(&any)];
    db.execute("store the copy's consumer", sql, &params).await.map(drop)
}

/// Locks the consumer's row until the transaction ends, without waiting, so that no copy can begin under this name.
/// Returns false when there is no such row, when another transaction has it locked, and when a copy needs the consumer:
/// the table is neither `-` nor `ok` and still subscribed.
pub(crate) async fn hold_unused(tx: &Db, queue: &str, name: &FqName, consumer: &str) -> Result<bool> {
    let sql = "select not exists (select from londiste.subscriber_table t
                                   where t.queue_name = p.queue_name and t.table_name = p.table_name
                                     and t.merge_state not in ('ok', '?'))
                 from londiste.table_position p
                where p.queue_name = $1 and p.table_name = $2 and p.consumer_id = $3
                  for update skip locked";
    let table = name.to_string();
    let params = [text(&queue), text(&table), text(&consumer)];
    let row = tx.query_opt("lock the copy's consumer", sql, &params).await;
    Ok(row.map_err(|e| e.about(format!("table {name}")))?.is_some_and(|row| row.get(0)))
}

/// Deletes the consumer of a table, unless the table has another consumer meanwhile.
pub(crate) async fn forget(subscriber: &Db, queue: &str, name: &FqName, consumer: &str) -> Result<()> {
    let sql = "delete from londiste.table_position where queue_name = $1 and table_name = $2 and consumer_id = $3";
    let table = name.to_string();
    let params = [text(&queue), text(&table), text(&consumer)];
    let done = subscriber.execute("forget the copy's consumer", sql, &params).await;
    done.map(drop).map_err(|e| e.about(format!("table {name}")))
}

/// The consumers of copies that are over, with their tables: tables that are `-`, `ok` or not subscribed any more.
pub(crate) async fn unused(subscriber: &Db, queue: &str) -> Result<Vec<(FqName, String)>> {
    let sql = "select p.table_name, p.consumer_id from londiste.table_position p
                      left join londiste.subscriber_table t
                             on t.queue_name = p.queue_name and t.table_name = p.table_name
                where p.queue_name = $1 and coalesce(t.merge_state, 'ok') in ('ok', '?')";
    let rows = subscriber.query("look for consumers of former copies", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), row.get(1))).collect())
}
