//! Waits until the new side has everything, and compares.

use std::time::{Duration, Instant};

use super::command::Verify;
use super::sides::pause;
use super::task::Task;
use crate::error::{Error, Result};
use crate::londiste::{self, completed};
use crate::pg::catalog::{self, RelationKind};
use crate::pg::{FqName, sql};
use crate::pgq::TickId;
use crate::pgq::consumer::make_tick;

/// Time between two looks at the position of the running job.
const POLL: Duration = Duration::from_millis(5);

/// How fast replay has to apply a tick before writers are kept out for one.
const FAST: Duration = Duration::from_millis(500);

/// So often it is tried whether replay is that fast.
const LOOKS: u32 = 10;

impl Task<'_> {
    /// Fails unless replay applies a new tick within `--max-lag`. The age of the last tick would not tell: it is that of the writers.
    pub(super) async fn require_replay(&self) -> Result<()> {
        let last = make_tick(&self.sides.old, &self.way.running.pgq_queue_name).await?;
        self.wait_applied(last, Instant::now() + self.command.max_lag).await
    }

    /// Waits, while writers go on, until replay applies a new tick at once: the triggers of the way back and the arming have held it up,
    /// and after an error it pauses. A replay that is always slower goes on to be so while nobody can write.
    pub(super) async fn settle(&self) -> Result<()> {
        for _ in 0..LOOKS {
            let started = Instant::now();
            let last = make_tick(&self.sides.old, &self.way.running.pgq_queue_name).await?;
            self.wait_applied(last, started + self.command.timeout).await?;
            if started.elapsed() < FAST {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the running job has applied the tick.
    pub(super) async fn wait_applied(&self, last: TickId, deadline: Instant) -> Result<()> {
        let name = &self.way.running.pgq_consumer_id;
        loop {
            let reached = completed::last_tick(&self.sides.new, name).await?;
            if reached.is_some_and(|tick| tick >= last) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let at = reached.map_or_else(|| "no tick".to_owned(), |tick| format!("tick {tick}"));
                return Err(Error::blocked(
                    format!("replay of consumer {name} has not reached tick {last} in time: it stands at {at}"),
                    "Look into its log, and see that it runs; or raise --max-lag, --timeout.",
                ));
            }
            pause(self.control, POLL).await?;
        }
    }

    /// Compares the two sides as `--verify` says. Nobody must be able to write.
    pub(super) async fn verify(&self, deadline: Instant) -> Result<()> {
        let differ = |what: String| {
            Err(Error::diverged(
                format!("the two sides are not equal: {what}"),
                "Find the rows with \"rlondiste INI compare --online\", mend them with \"rlondiste INI repair --online --apply\".",
            ))
        };
        match self.command.verify {
            Verify::None => Ok(()),
            Verify::Quick => self.count_all(deadline).await?.map_or(Ok(()), differ),
            Verify::Full => {
                let wanted = londiste::Compare { online: true, jobs: 2, ..londiste::Compare::default() };
                let compared = londiste::run(londiste::Command::Compare(wanted), &self.way.running, self.control);
                let left = deadline.saturating_duration_since(Instant::now());
                match tokio::time::timeout(left, Box::pin(compared)).await {
                    Err(_) => Err(too_slow()),
                    Ok(output) if output.as_ref().is_ok_and(|output| output.code() != 0) => {
                        differ("the log says which tables".to_owned())
                    }
                    Ok(output) => output.map(drop),
                }
            }
        }
    }

    /// [`Task::verify`], while writers go on: only as long as it takes where a difference may be theirs.
    pub(super) async fn time_verify(&self, deadline: Instant) -> Result<()> {
        match self.command.verify {
            Verify::Quick => self.count_all(deadline).await.map(drop),
            Verify::None | Verify::Full => self.verify(deadline).await,
        }
    }

    /// Counts the rows of all tables. Returns what tells of the first table with another number on the new side.
    async fn count_all(&self, deadline: Instant) -> Result<Option<String>> {
        let mut differing = None;
        for table in &self.set.tables {
            let [old, new] = self.count(table).await?;
            if old != new && differing.is_none() {
                differing = Some(format!("table {table} has {old} rows on the old side and {new} on the new one"));
            }
            if Instant::now() > deadline {
                return Err(too_slow());
            }
        }
        Ok(differing)
    }

    /// How many rows the table has on the two sides.
    async fn count(&self, table: &FqName) -> Result<[i64; 2]> {
        const ACTION: &str = "count the rows of a table";
        let mut counts = [0; 2];
        for (count, db) in counts.iter_mut().zip([&self.sides.old, &self.sides.new]) {
            let kind = catalog::relations(db, std::slice::from_ref(table)).await?.remove(table);
            let only = if kind == Some(RelationKind::Partitioned) { "" } else { "only " };
            let sql = sql!("select pg_catalog.count(*) from {only}{table}", only = only, table = table);
            *count = db.query_one(ACTION, sql, &[]).await.map_err(|e| e.about(table))?.get(0);
        }
        Ok(counts)
    }
}

fn too_slow() -> Error {
    Error::blocked(
        "both sides could not be compared in time".to_owned(),
        "Raise --timeout, or compare before the switchover: \"rlondiste INI compare --online\".",
    )
}
