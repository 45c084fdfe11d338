//! Finds queues that were restored from a dump into a cluster with a smaller transaction counter, and repairs one.

use tracing::{info, warn};

use super::captured_tables;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::job::Output;
use crate::pg::{Db, int4, text};
use crate::pgq;

/// A queue that was restored into a cluster whose transaction counter is behind the queue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CounterProblem {
    /// The newest transaction in the queue's rotation and newest tick.
    stored: i64,
    /// The next transaction of this server.
    current: i64,
}

/// Compares the newest tick and rotation of a queue with this server's transaction counter; `None` when they do not lie
/// ahead of it, or the queue does not exist.
pub(crate) async fn counter_problem(db: &Db, queue_id: i32) -> Result<Option<CounterProblem>> {
    // The end of a snapshot, since txid_current() would use up a transaction id.
    const SQL: &str = "select greatest(q.queue_switch_step1, q.queue_switch_step2,
           (select txid_snapshot_xmax(t.tick_snapshot) from pgq.tick t
            where t.tick_queue = q.queue_id order by t.tick_id desc limit 1)),
       txid_snapshot_xmax(txid_current_snapshot())
from pgq.queue q
where q.queue_id = $1";
    let row = db.query_opt("compare the queue with the transaction counter", SQL, &[int4(&queue_id)]).await?;
    Ok(row.map(|row| CounterProblem { stored: row.get(0), current: row.get(1) }).filter(|p| p.stored > p.current))
}

impl CounterProblem {
    /// The error that says why the queue gets no tick, and what to do.
    pub(crate) fn refusal(self, queue: &str) -> Error {
        Error::diverged(
            format!(
                "no tick is made in queue \"{queue}\": it knows of transaction {}, but this server's counter stands at {}. \
                 The database was restored into another cluster, and consumers would miss new events",
                self.stored, self.current
            ),
            format!("Run \"rlondiste ticker INI rebase {queue}\"; consumers go on where they are."),
        )
    }
}

/// `rebase`: gives the queue's ticks and unread events transaction ids of this cluster; consumers keep their positions.
/// Locks the event tables in ACCESS EXCLUSIVE mode until it returns; fails with SQLSTATE 55P03 when they are not free
/// within 10 s.
pub(super) async fn run(db: &Db, queue: &str) -> Result<Output> {
    const ACTION: &str = "rebase the queue";

    let found = pgq::install::find(db).await?;
    if !found.is_own() && found != pgq::install::Found::None {
        return Err(Error::unsupported(
            format!("cannot rebase a queue of {found} on {} ({})", db.role(), db.target()),
            "\"rlondiste ticker INI install\" replaces PgQ 2.1 by a schema that can. With another PgQ, unregister the \
             consumers, drop the queue and create it anew.",
        ));
    }
    info!("Rebasing queue {queue}");
    let tx = db.begin(ACTION, "begin").await?;
    // New writers queue up behind the ACCESS EXCLUSIVE lock while it is waited for.
    tx.batch(ACTION, "set local lock_timeout = '10s'").await?;
    let changed: i32 = tx
        .query_one(ACTION, "select pgq.rebase_queue($1)", &[text(&queue)])
        .await
        .map_err(|e| e.about(format!("queue \"{queue}\"")))?
        .get(0);
    failpoint!("rebase::changed");
    tx.commit(ACTION).await?;
    failpoint!("rebase::committed");
    if changed == 0 {
        info!("Queue {queue} is in order, nothing was changed");
        return Ok(Output::none());
    }
    info!("Queue {queue} is rebased, its consumers go on where they were");
    if captured_tables::any_in(db, queue).await? {
        // The snapshots of such tables' copies have transaction ids of the old cluster.
        warn!(
            "Start replay of each subscriber now: it finds the tables whose copy belongs to the old cluster, and copies them again. \
             With londiste.py, run \"subscriber resync TBL\" for each table that is not ok, or was copied last"
        );
    }
    Ok(Output::none())
}
