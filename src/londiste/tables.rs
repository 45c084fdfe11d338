//! The subscribed tables of a queue, as the subscriber's schema `londiste` holds them.

use crate::error::Result;
use crate::pg::{Db, FqName, text};
use crate::pgq::snapshot::Snapshot;

use super::table_state::TableState;

/// One row of `londiste.subscriber_table`, with the position of its copy.
#[derive(Clone, Debug)]
pub(crate) struct SubscribedTable {
    /// The table.
    pub name: FqName,
    /// Where it stands.
    pub state: TableState,
    /// What the copy already holds: events of transactions visible in it are not applied again.
    pub snapshot: Option<Snapshot>,
    /// Copy on top of the rows that are there.
    pub skip_truncate: bool,
    /// The consumer of its copy; `None` before the first copy, and in what SkyTools left behind.
    pub copy_consumer: Option<String>,
    /// Its events cannot be applied before somebody mends the table.
    pub parked: bool,
}

/// Reads the tables of the queue, in the order of their registration.
pub(crate) async fn load(subscriber: &Db, queue: &str) -> Result<Vec<SubscribedTable>> {
    let action = "read the subscribed tables";
    let rows = subscriber
        .query(
            action,
            "select t.table_name, t.merge_state, t.snapshot, coalesce(t.skip_truncate, false), p.consumer_id,
                    p.parked_reason is not null
               from londiste.subscriber_get_table_list($1) with ordinality as
                        t(table_name, merge_state, snapshot, trigger_name, skip_truncate, nr)
                    left join londiste.table_position p on p.queue_name = $1 and p.table_name = t.table_name
              order by t.nr",
            &[text(&queue)],
        )
        .await?;
    let mut tables = Vec::with_capacity(rows.len());
    for row in rows {
        let name = FqName::parse(row.get(0));
        let bad = |what: String| subscriber.unexpected(action, format!("table {name}: {what}"));
        let state = TableState::parse(row.get(1)).map_err(|e| bad(e.to_string()))?;
        let snapshot = match row.get::<_, Option<&str>>(2) {
            Some(text) => Some(text.parse().map_err(|_| bad(format!("bad snapshot \"{text}\"")))?),
            None => None,
        };
        tables.push(SubscribedTable {
            name,
            state,
            snapshot,
            skip_truncate: row.get(3),
            copy_consumer: row.get(4),
            parked: row.get(5),
        });
    }
    Ok(tables)
}

/// The channel on which commands tell replay that the set of tables has changed.
const CHANNEL: &str = "rlondiste_tables";

/// Hears of changes of the set of tables. A transaction pooler refuses it or forgets it.
pub(crate) async fn listen(subscriber: &Db) -> Result<()> {
    subscriber.batch("listen for changes of tables", &format!("listen {CHANNEL}")).await
}

/// Tells replay, when the transaction commits, that tables have come, gone, or are to be copied again.
pub(crate) async fn announce(subscriber: &Db, queue: &str) -> Result<()> {
    let sql = "select pg_notify($1, $2)";
    subscriber.query("announce a change of tables", sql, &[text(&CHANNEL), text(&queue)]).await.map(drop)
}

/// Reads one table; `None` when it has been removed.
pub(crate) async fn load_one(subscriber: &Db, queue: &str, name: &FqName) -> Result<Option<SubscribedTable>> {
    Ok(load(subscriber, queue).await?.into_iter().find(|t| t.name == *name))
}

/// Writes `ok` where an old program has written `?`: loops that poll the states know only `ok`.
pub(crate) async fn spell_ok(subscriber: &Db, queue: &str) -> Result<()> {
    subscriber
        .query(
            "store the state of a table",
            "select londiste.subscriber_set_table_state(queue_name, table_name, snapshot, 'ok')
               from londiste.subscriber_table where queue_name = $1 and merge_state = '?'",
            &[text(&queue)],
        )
        .await?;
    Ok(())
}

/// Writes state and snapshot of a table, and logs it as SkyTools does. Becomes visible with the transaction.
pub(crate) async fn store_state(
    subscriber: &Db,
    queue: &str,
    name: &FqName,
    state: TableState,
    snapshot: Option<&Snapshot>,
    by: Actor,
) -> Result<()> {
    tracing::info!("storing state of {name}: copy:{} new_state:{state}", u8::from(by == Actor::Copy));
    subscriber
        .query(
            "store the state of a table",
            "select londiste.subscriber_set_table_state($1, $2, $3, $4)",
            &[
                text(&queue),
                text(&name.to_string()),
                text(&snapshot.map(ToString::to_string)),
                text(&state.to_column()),
            ],
        )
        .await
        .map_err(|e| e.about(format!("table {name}")))?;
    Ok(())
}

/// Who changes a table's state; shown in the log as `copy:0` or `copy:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The loop that applies the queue's batches.
    Replay,
    /// The copy of one table.
    Copy,
}

/// Remembers which consumer serves the copy of a table.
pub(crate) async fn store_copy_consumer(subscriber: &Db, queue: &str, name: &FqName, consumer: &str) -> Result<()> {
    subscriber
        .execute(
            "store the copy's consumer",
            "insert into londiste.table_position (queue_name, table_name, consumer_id) values ($1, $2, $3)
             on conflict (queue_name, table_name)
             do update set consumer_id = excluded.consumer_id,
                           parked_reason = null, parked_time = null, parked_mend = null",
            &[text(&queue), text(&name.to_string()), text(&consumer)],
        )
        .await
        .map_err(|e| e.about(format!("table {name}")))?;
    Ok(())
}

/// Forgets the consumer of a table's copy, unless another one has taken its place.
pub(crate) async fn forget_copy_consumer(subscriber: &Db, queue: &str, name: &FqName, consumer: &str) -> Result<()> {
    subscriber
        .execute(
            "forget the copy's consumer",
            "delete from londiste.table_position where queue_name = $1 and table_name = $2 and consumer_id = $3",
            &[text(&queue), text(&name.to_string()), text(&consumer)],
        )
        .await
        .map_err(|e| e.about(format!("table {name}")))?;
    Ok(())
}
