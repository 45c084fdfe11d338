//! `londiste.subscriber_table`: the tables of a queue that the subscriber has, with their states.

use std::fmt;

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::error::{Error, Result};
use crate::pg::{Db, FqName, boolean, int4, sql, text, text_array};
use crate::pgq::snapshot::Snapshot;

use super::parking::Parked;
use super::table_state::{Actor, TableState};

/// One row of `londiste.subscriber_table`, with the consumer of its copy.
#[derive(Clone, Debug)]
pub(crate) struct SubscribedTable {
    /// The table.
    pub(crate) name: FqName,
    /// The state of the table.
    pub(crate) state: TableState,
    /// The provider snapshot of the copy's rows: events of transactions that are visible in it are not applied again.
    pub(crate) snapshot: Option<Snapshot>,
    /// The copy adds its rows to those that the table has.
    pub(crate) skip_truncate: bool,
    /// The consumer of the table's copy; `None` before the first copy, and for tables that SkyTools copied.
    pub(crate) copy_consumer: Option<String>,
    /// Why the table is parked; `None` when it is not.
    pub(crate) parked: Option<Parked>,
    /// What [`transition`] compares with the stored row.
    stored: Stored,
}

/// The columns that identify a subscription of the table and its state, as they were read.
#[derive(Clone, Debug)]
struct Stored {
    /// The number of the row: a table that is removed and added again gets another one.
    nr: i32,
    merge_state: Option<String>,
    snapshot: Option<String>,
}

impl SubscribedTable {
    /// Whether the table's events are held back until an operator mends the table.
    pub(crate) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }
}

const COLUMNS: &str = "t.table_name, t.merge_state, t.snapshot, coalesce(t.skip_truncate, false), t.nr";

const FROM: &str = "from londiste.subscriber_get_table_list($1) l
       join londiste.subscriber_table t on t.queue_name = $1 and t.table_name = l.table_name";

const WHERE: &str = "where $2 is null or t.table_name = $2 order by t.nr";

/// Reads the tables of the queue, in the order in which they were added.
///
/// Works on a schema of 2.1, which has no copy consumers and no parked tables, only outside of a transaction: the first
/// statement fails there.
pub(crate) async fn load(subscriber: &Db, queue: &str) -> Result<Vec<SubscribedTable>> {
    read(subscriber, queue, None).await
}

/// Reads one table, as [`load`] does; `None` when the table is not subscribed.
pub(crate) async fn load_one(subscriber: &Db, queue: &str, name: &FqName) -> Result<Option<SubscribedTable>> {
    Ok(read(subscriber, queue, Some(name)).await?.into_iter().next())
}

async fn read(subscriber: &Db, queue: &str, name: Option<&FqName>) -> Result<Vec<SubscribedTable>> {
    const ACTION: &str = "list the subscribed tables";
    let name = name.map(ToString::to_string);
    let params = [text(&queue), text(&name)];
    // The schema of an older rlondiste has no column parked_mend.
    let sql = sql!(
        "select {columns}, p.consumer_id, p.parked_reason, pg_catalog.to_jsonb(p) ->> 'parked_mend'
           {from}
                left join londiste.table_position p on p.queue_name = t.queue_name and p.table_name = t.table_name
          {condition}",
        columns = COLUMNS,
        from = FROM,
        condition = WHERE
    );
    let rows = match subscriber.query_kept(ACTION, sql, &params).await {
        // In a transaction, which is at its end now, the question fails; the reason is what failed first.
        Err(error)
            if error.code() == Some(&SqlState::UNDEFINED_TABLE)
                && matches!(is_installed(subscriber).await, Ok(false)) =>
        {
            let sql = sql!(
                "select {columns}, null::text, null::text, null::text {from} {condition}",
                columns = COLUMNS,
                from = FROM,
                condition = WHERE
            );
            subscriber.query(ACTION, sql, &params).await?
        }
        rows => rows?,
    };
    rows.iter().map(|row| of_row(row).map_err(|what| subscriber.unexpected(ACTION, what))).collect()
}

/// Whether the schema is rlondiste's: one of 2.1 has no `londiste.table_position`.
async fn is_installed(subscriber: &Db) -> Result<bool> {
    let sql = "select pg_catalog.to_regclass('londiste.table_position') is not null";
    Ok(subscriber.query_one("look into schema londiste", sql, &[]).await?.get(0))
}

fn of_row(row: &Row) -> Result<SubscribedTable, String> {
    let name = FqName::parse(row.get(0));
    let stored = Stored { nr: row.get(4), merge_state: row.get(1), snapshot: row.get(2) };
    let state = TableState::parse(stored.merge_state.as_deref()).map_err(|e| format!("table {name}: {e}"))?;
    let snapshot = match stored.snapshot.as_deref() {
        Some(text) => Some(text.parse().map_err(|_| format!("table {name}: bad snapshot \"{text}\""))?),
        None => None,
    };
    let parked = row.get::<_, Option<String>>(6).map(|reason| Parked { reason, mend: row.get(7) });
    Ok(SubscribedTable { name, state, snapshot, skip_truncate: row.get(3), copy_consumer: row.get(5), parked, stored })
}

/// The result of a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Moved {
    /// The new state is written in the caller's transaction.
    Moved,
    /// The row is not as it was read any more: nothing was changed.
    Changed,
}

/// Changes the state of a table, if its row still has the number, state and snapshot of `seen`. Keeps the snapshot.
/// Fails when [`TableState::may_become`] does not allow the step.
///
/// Locks the row until the transaction ends; waits for a transaction that has it locked.
pub(crate) async fn transition(
    db: &Db,
    queue: &str,
    seen: &SubscribedTable,
    to: TableState,
    by: Actor,
) -> Result<Moved> {
    transition_with(db, queue, seen, to, seen.snapshot.as_ref(), by).await
}

/// [`transition`] with another snapshot; `None` stores that there is none.
pub(crate) async fn transition_with(
    db: &Db,
    queue: &str,
    seen: &SubscribedTable,
    to: TableState,
    snapshot: Option<&Snapshot>,
    by: Actor,
) -> Result<Moved> {
    const ACTION: &str = "store the state of a table";
    let SubscribedTable { name, state, stored, .. } = seen;
    if !state.may_become(to, by) {
        return Err(db.unexpected(ACTION, format!("table {name}: '{to}' does not follow '{state}' by {by}")));
    }
    tracing::info!("storing state of {name}: copy:{} new_state:{to}", u8::from(by == Actor::Copy));
    let sql = "with seen as (
                   select t.nr from londiste.subscriber_table t
                    where t.queue_name = $1 and t.table_name = $2 and t.nr = $3
                      and t.merge_state is not distinct from $4 and t.snapshot is not distinct from $5
                      for update)
               select londiste.subscriber_set_table_state($1, $2, $6, $7) from seen";
    let (table, snapshot, to) = (name.to_string(), snapshot.map(ToString::to_string), to.to_column());
    let params = [
        text(&queue),
        text(&table),
        int4(&stored.nr),
        text(&stored.merge_state),
        text(&stored.snapshot),
        text(&snapshot),
        text(&to),
    ];
    let moved = db.query_opt(ACTION, sql, &params).await.map_err(|e| about(name, e))?;
    if moved.is_none() {
        tracing::info!("Table {name} was changed by somebody else meanwhile, its state stays");
        return Ok(Moved::Changed);
    }
    Ok(Moved::Moved)
}

/// Sets the tables to `-`, whatever their states, without a snapshot, and notifies replay: each is copied again. For
/// commands. Locks their rows until the transaction ends.
pub(crate) async fn reset(db: &Db, queue: &str, tables: &[FqName]) -> Result<()> {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let sql = "select londiste.subscriber_set_table_state($1, t, null, null) from pg_catalog.unnest($2) t";
    db.query("reset the state of tables", sql, &[text(&queue), text_array(&names)]).await?;
    announce(db, queue).await
}

/// Takes one table back to its beginning for replay, whatever anybody else makes of its state at the same time: it is to be copied
/// again. [`Moved::Changed`] when it is there already, or not subscribed.
pub(crate) async fn take_back(tx: &Db, queue: &str, name: &FqName) -> Result<Moved> {
    while let Some(table) = load_one(tx, queue, name).await? {
        let to = TableState::Missing;
        if table.state == to {
            break;
        }
        if transition_with(tx, queue, &table, to, None, Actor::Replay).await? == Moved::Moved {
            return Ok(Moved::Moved);
        }
    }
    Ok(Moved::Changed)
}

/// How `subscriber add` treats the rows that a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// The copy truncates the table.
    Truncated,
    /// The copy puts its rows on top (`--skip-truncate`).
    Kept,
    /// The rows equal the provider's already (`--expect-sync`): the table is `ok` at once.
    Equal,
}

/// Subscribes to a table and notifies replay. When the subscriber captures the table for a queue of its own, takes
/// SHARE ROW EXCLUSIVE on the table and its partitions until the transaction ends.
pub(crate) async fn subscribe(db: &Db, queue: &str, name: &FqName, rows: Rows) -> Result<()> {
    let table = name.to_string();
    let about = |error| about(name, error);
    let sql = "select londiste.subscriber_add_table($1, $2)";
    db.query("subscribe to a table", sql, &[text(&queue), text(&table)]).await.map_err(about)?;
    match rows {
        Rows::Truncated => {}
        Rows::Kept => {
            let sql = "select londiste.subscriber_set_skip_truncate($1, $2, $3)";
            let params = [text(&queue), text(&table), boolean(&true)];
            db.query("mark a table", sql, &params).await.map_err(about)?;
        }
        Rows::Equal => {
            let sql = "select londiste.subscriber_set_table_state($1, $2, null, 'ok')";
            db.query("set the state of a table", sql, &[text(&queue), text(&table)]).await.map_err(about)?;
        }
    }
    announce(db, queue).await
}

/// Unsubscribes from a table and notifies replay. Fails when the table is not subscribed.
pub(crate) async fn unsubscribe(db: &Db, queue: &str, name: &FqName) -> Result<()> {
    let sql = "select londiste.subscriber_remove_table($1, $2)";
    let table = name.to_string();
    let params = [text(&queue), text(&table)];
    db.query("unsubscribe from a table", sql, &params).await.map_err(|e| about(name, e))?;
    announce(db, queue).await
}

/// Replaces the old spelling `?` by `ok`: scripts that poll the states know only `ok`.
pub(crate) async fn spell_ok(subscriber: &Db, queue: &str) -> Result<()> {
    let sql = "select londiste.subscriber_set_table_state(t.queue_name, t.table_name, t.snapshot, 'ok')
                 from londiste.subscriber_table t where t.queue_name = $1 and t.merge_state = '?'";
    subscriber.query("store the state of a table", sql, &[text(&queue)]).await.map(drop)
}

/// The channel on which commands tell replay that the set of tables has changed.
const CHANNEL: &str = "rlondiste_tables";

/// Makes the session receive the notifications of [`announce`].
pub(crate) async fn listen(subscriber: &Db) -> Result<()> {
    subscriber.batch_alone("listen for changes of tables", sql!("listen {channel}", channel = CHANNEL)).await
}

/// Notifies replay, when the transaction commits, that tables were added, removed, or are to be copied again.
async fn announce(subscriber: &Db, queue: &str) -> Result<()> {
    let sql = "select pg_catalog.pg_notify($1, $2)";
    subscriber.query("announce a change of tables", sql, &[text(&CHANNEL), text(&queue)]).await.map(drop)
}

fn about(name: &FqName, error: Error) -> Error {
    error.about(format!("table {name}"))
}

/// The state as commands show it.
impl fmt::Display for SubscribedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.state)
    }
}
