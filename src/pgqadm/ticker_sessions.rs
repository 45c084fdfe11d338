//! Finds the sessions of tickers in a database, by the statement that each of them has sent last: a ticker looks at the queues
//! all the time, whichever program it is.

use super::tick_session::{INSIDE_REPLAY, LOCK_TIMEOUT};
use crate::error::Result;
use crate::pg::{Db, text};
use crate::pgq::consumer::ONE_TICK;

/// A session of a ticker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TickerSession {
    pub(crate) pid: i32,
    pub(crate) application: String,
    /// Whether it is rlondiste's.
    pub(crate) is_own: bool,
    /// Whether it is one inside of replay.
    pub(crate) is_inside_replay: bool,
}

/// What a ticker of another program calls.
const ANY_TICKER: &str = "pgq.ticker(";

/// The call by which a replay gives a mirror queue the ticks of its provider.
const MIRROR: &str = "pgq.ticker($1, $2, $3";

/// The sessions that have looked for ticks within the last half minute. Those of other users are found only by a user who may see
/// their statements.
pub(crate) async fn find(db: &Db) -> Result<Vec<TickerSession>> {
    // The texts are parameters: a session that looks for tickers must not look like one.
    // rlondiste's ticker reads the queues, or their sequences, between two calls of pgq.ticker(), each with this limit before it.
    const SQL: &str = "select a.pid, coalesce(a.application_name, ''), pg_catalog.strpos(a.query, $1) = 1,
       pg_catalog.strpos(a.query, $2) = 1
from pg_catalog.pg_stat_activity a
where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
  and a.query_start > pg_catalog.clock_timestamp() - interval '30 seconds'
  and (pg_catalog.strpos(a.query, $1) = 1 or pg_catalog.strpos(a.query, $3) > 0 and pg_catalog.strpos(a.query, $4) = 0
       and pg_catalog.strpos(a.query, $5) = 0)
order by a.pid";
    let params = [text(&LOCK_TIMEOUT), text(&INSIDE_REPLAY), text(&ANY_TICKER), text(&MIRROR), text(&ONE_TICK)];
    let rows = db.query("look for tickers", SQL, &params).await?;
    let session = |row: &tokio_postgres::Row| TickerSession {
        pid: row.get(0),
        application: row.get(1),
        is_own: row.get(2),
        is_inside_replay: row.get(3),
    };
    Ok(rows.iter().map(session).collect())
}
