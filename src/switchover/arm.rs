//! Arms and disarms tables under load.
//!
//! All tables at once do not go: a transaction that waits for one table's lock while it holds another's stops writers, and deadlocks
//! with those that take the tables in another order. So each table has a transaction of its own, which waits for its lock only a moment,
//! again and again:
//!
//! * A try stands in the table's lock queue, and all writers of the table behind it. So it is made only when no transaction has been
//!   seen with a lock on the table in two looks, one after the other: short transactions end within [`TRY`], a long one would not.
//! * An autovacuum gives way only to a longer try ([`crate::pg::autovacuum`]). It gets one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::sides::{pause, proceed};
use crate::error::{Error, Result};
use crate::job::Control;
use crate::londiste::fence::{self, Holder, Relation};
use crate::pg::Db;
use crate::pg::autovacuum::LONG_TRY;

/// How long a try waits for its lock.
const TRY: Duration = Duration::from_millis(100);

/// Time between two looks at the locks of a table.
const LOOK: Duration = Duration::from_millis(250);

/// How long the arming of all tables may take.
const ARM_LIMIT: Duration = Duration::from_mins(2);

/// How long disarming may take, which long readers hold up, too. Tables that stay armed are open and lose little.
const DISARM_LIMIT: Duration = Duration::from_secs(10);

/// What is to become of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Armed,
    /// Needs a lock that readers are in the way of, too.
    Disarmed,
}

impl Goal {
    fn limit(self) -> Duration {
        match self {
            Goal::Armed => ARM_LIMIT,
            Goal::Disarmed => DISARM_LIMIT,
        }
    }
}

/// Arms all tables of the queue, or of the database, that are not armed. Returns how many.
pub(super) async fn arm(db: &Db, queue: Option<&str>, control: &Control) -> Result<usize> {
    let mut left = fence::relations(db, queue).await?;
    left.retain(|relation| !relation.is_armed && relation.problem.is_none());
    each(db, left, Goal::Armed, control).await
}

/// Disarms all tables that are armed. Returns how many.
pub(super) async fn disarm(db: &Db, control: &Control) -> Result<usize> {
    each(db, fence::armed(db).await?, Goal::Disarmed, control).await
}

/// What the looks at the tables have shown.
#[derive(Default)]
struct Seen {
    /// Who had a lock on the table at the last look.
    holders: BTreeMap<u32, Vec<Holder>>,
    /// The autovacuums of a table that have had their longer try.
    asked: BTreeSet<(u32, i32)>,
}

impl Seen {
    /// How long a try may wait for the lock of a table with these holders. `None`: it would wait for a long transaction.
    fn wait(&mut self, relation: &Relation, holders: &[Holder]) -> Option<Duration> {
        let before = self.holders.insert(relation.oid, holders.to_vec());
        let stays = |holder: &&Holder| {
            let is_it = |other: &Holder| other.transaction == holder.transaction;
            before.as_ref().is_none_or(|before| before.iter().any(is_it))
        };
        let (vacuums, others): (Vec<_>, Vec<_>) = holders.iter().partition(|holder| holder.is_autovacuum);
        if others.iter().any(stays) {
            return None;
        }
        if vacuums.is_empty() {
            return Some(TRY);
        }
        let is_new = |holder: &&Holder| self.asked.insert((relation.oid, holder.pid));
        (vacuums.into_iter().filter(is_new).count() > 0).then_some(LONG_TRY)
    }
}

async fn each(db: &Db, mut left: Vec<Relation>, goal: Goal, control: &Control) -> Result<usize> {
    let started = Instant::now();
    let number = left.len();
    let mut seen = Seen::default();
    loop {
        let mut waiting = Vec::new();
        for relation in left {
            // Disarming cleans up: it is tried once also when a stop was requested.
            if goal == Goal::Armed {
                proceed(control)?;
            }
            if !try_one(db, &relation, goal, &mut seen).await? {
                waiting.push(relation);
            }
        }
        left = waiting;
        let Some(first) = left.first() else { return Ok(number) };
        if started.elapsed() > goal.limit() {
            return Err(too_long(db, first, goal, seen.holders.get(&first.oid), left.len()));
        }
        pause(control, LOOK).await?;
    }
}

/// Returns whether the table is done.
async fn try_one(db: &Db, relation: &Relation, goal: Goal, seen: &mut Seen) -> Result<bool> {
    let holders = fence::lock_holders(db, relation, goal == Goal::Disarmed).await?;
    let Some(wait) = seen.wait(relation, &holders) else { return Ok(false) };
    let done = match goal {
        Goal::Armed => fence::arm(db, relation, wait).await,
        Goal::Disarmed => fence::disarm(db, relation, wait).await,
    };
    match done {
        // A deadlock with the writer that was waited for: the server has ended one of the two.
        Err(error)
            if matches!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED)) =>
        {
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

fn too_long(db: &Db, first: &Relation, goal: Goal, holders: Option<&Vec<Holder>>, number: usize) -> Error {
    let what = match goal {
        Goal::Armed => "armed",
        Goal::Disarmed => "disarmed",
    };
    let pids: Vec<String> = holders.into_iter().flatten().map(|holder| holder.pid.to_string()).collect();
    Error::blocked(
        format!(
            "{number} tables on {} were not {what} within {} s: {} is locked by processes {}",
            db.target(),
            goal.limit().as_secs(),
            first.name,
            pids.join(", ")
        ),
        "Wait for the end of these transactions, or end them with pg_terminate_backend, and repeat the command.",
    )
}
