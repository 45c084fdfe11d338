//! The conditions under which a table that is `ok` has the provider's rows, and what notices that one does not hold any
//! more.
//!
//! | condition | checked by | what follows |
//! |---|---|---|
//! | the position and the consumer's registration fit, and name the same tick | replay at its start and at each batch; [`position_objection`] for `check` and `status` | replay stops |
//! | the table under the captured name is the one that was added; it has exactly its triggers, enabled, calling the functions of its queue; its key columns are still a key | `londiste.capture_check()` at each maintenance; [`table_problems`] for `check` and `status` | captured anew, copied again; copied again at once when a later event cannot be applied |
//! | the provider does not get the table from this subscriber | `subscriber add`; replay at its start and [`table_problems`] for `check` and `status` | not added; a warning |
//! | the subscriber does not generate a column that the provider does not | `subscriber add` and `check`; `compare --checksum` shows the rows | a warning |
//! | no crash of the subscriber has emptied the table, which is unlogged | replay and `copy` in each new session; [`table_problems`] for `check` and `status` | copied again |
//! | the provider's transaction counter is not behind the snapshot of the table's copy | replay and `copy` in each new session; [`table_problems`] for `check` and `status` | copied again |
//! | replay's user sees all rows; the columns and the key exist | replay, at the table's first event after a change of the table | the table is parked |
//! | the queue and the schemas exist | [`require`]: replay at its start and each half minute, `check`; [`gone`] for `status` | replay stops |
//! | no event was left out by `skip-event` since the table was copied or repaired | [`table_problems`] for `check` and `status` | an error |
//! | the provider has had the table in the queue's set without a break since the copy | replay each half minute; [`table_problems`] for `check` and `status` | copied again, once the table is in the set |
//!
//! The functions of this file change nothing and lock nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::completed::{self, Position};
use super::sources::{self, Break};
use super::table_state::TableState;
use super::{emptied, overlaps, queue_consumer, skips, strange_snapshot, tables};
use crate::error::{Error, Result};
use crate::pg::{Db, FqName, text};
use crate::pgq::TickId;
use crate::pgq::consumer::{self, Consumer, Registration};

/// How many times both sides are read when replay moves its position between the reads.
const TRIES: usize = 5;

/// Fails with [`Error::Missing`] when something that all replication rests on is not there on the provider: schema `pgq`,
/// schema `londiste`, the queue.
pub(crate) async fn require(provider: &Db, queue: &str) -> Result<()> {
    gone(provider, queue).await?.map_or(Ok(()), Err)
}

/// The error of [`require`].
pub(crate) async fn gone(provider: &Db, queue: &str) -> Result<Option<Error>> {
    const ACTION: &str = "look for the schemas";
    const COPY_AGAIN: &str = "run \"rlondiste INI subscriber resync --all\", since its events are lost";
    let sql = "select pg_catalog.to_regclass('pgq.queue') is not null,
                      pg_catalog.to_regclass('londiste.provider_table') is not null";
    let row = provider.query_one(ACTION, sql, &[]).await?;
    let (pgq, londiste): (bool, bool) = (row.get(0), row.get(1));
    let place = provider.target();
    if !pgq {
        return Ok(Some(Error::missing(
            format!("schema pgq does not exist on provider ({place}), and no queue"),
            format!("Run \"rlondiste INI provider install\". If the queue was there before, then {COPY_AGAIN}."),
        )));
    }
    if !londiste {
        return Ok(Some(Error::missing(
            format!("schema londiste does not exist on provider ({place}): no change of its tables is captured"),
            "Run \"rlondiste INI provider install\" and \"rlondiste INI provider add\" for each table; tables that were \
             captured before are copied again.",
        )));
    }
    let sql = "select exists (select from pgq.queue q where q.queue_name = $1)";
    if provider.query_one("look for the queue", sql, &[text(&queue)]).await?.get(0) {
        return Ok(None);
    }
    Ok(Some(Error::missing(
        format!("queue {queue} does not exist on provider ({place})"),
        format!(
            "Check pgq_queue_name in the ini file. \"rlondiste INI provider install\" creates the queue; if it was there before, \
             then {COPY_AGAIN}."
        ),
    )))
}

/// Why position and registration do not fit, as a text for a message; to be asked when tables are `ok`. `None` when they fit, when
/// no consumer has a position, and when replay moved on during each of [`TRIES`] reads.
pub(crate) async fn position_objection(provider: &Db, subscriber: &Db, consumer: &Consumer) -> Result<Option<String>> {
    for _ in 0..TRIES {
        let Some(stored) = completed::position(subscriber, &consumer.name).await? else {
            let other = queue_consumer::other(provider, subscriber, consumer).await?;
            return Ok(other.map(|other| {
                format!("they are ok by consumer {other}, and consumer {} of this job has no position", consumer.name)
            }));
        };
        let Some(registered) = consumer.registration(provider).await? else {
            return Ok(Some(format!(
                "consumer {} is not registered on queue {} on provider any more: events may be lost. Run replay once with --rewind, \
                 if the queue still has them, else \"rlondiste INI subscriber resync --all\"",
                consumer.name, consumer.queue
            )));
        };
        let newest = consumer::newest_tick(provider, &consumer.queue).await?;
        let time = consumer::tick_time(provider, &consumer.queue, stored.tick).await?;
        // The two servers are read one after the other: the answers belong together when the first one still holds.
        if completed::position(subscriber, &consumer.name).await?.as_ref() == Some(&stored) {
            return Ok(compare(consumer, &stored, &registered, newest, time.as_deref()));
        }
    }
    Ok(None)
}

fn compare(
    consumer: &Consumer,
    stored: &Position,
    registered: &Registration,
    newest: TickId,
    time: Option<&str>,
) -> Option<String> {
    let Position { tick, time: made } = stored;
    if *tick > newest {
        return Some(format!(
            "the subscriber is ahead of the provider: it has applied tick {tick}, and the newest tick of queue {} is {newest}",
            consumer.queue
        ));
    }
    if let (Some(made), Some(time)) = (made.as_deref(), time)
        && made != time
    {
        return Some(format!(
            "tick {tick} of the subscriber was made at {made} UTC, and the provider's at {time}: they are not the same tick"
        ));
    }
    let fits = *tick == registered.last_tick || Some(*tick) == registered.next_tick;
    (!fits).then(|| {
        format!(
            "the subscriber has applied tick {tick}, but consumer {} stands at tick {} on provider: somebody has moved one of \
             them",
            consumer.name, registered.last_tick
        )
    })
}

/// Why the rows of a table may not be the provider's; the texts are clauses about the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Changes were not captured, or the rows are gone: a copy brings them.
    Lost(String),
    /// No change is captured; a copy waits until an operator has added the table on the provider.
    NotInSet(String),
    /// Changes go round between the two databases.
    Loop(String),
    /// A change was left out by order: a repair brings it.
    LeftOut(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Lost(text) | Problem::NotInSet(text) | Problem::Loop(text) | Problem::LeftOut(text) => {
                f.write_str(text)
            }
        }
    }
}

/// Why the rows of the queue's tables may not be the provider's although no state says so, by table: changes are not captured or
/// may not have been since the last maintenance or the copy, or the table's copy has become void.
pub(crate) async fn table_problems(provider: &Db, subscriber: &Db, queue: &str) -> Result<HashMap<FqName, Problem>> {
    let mut problems = capture_problems(provider, queue).await?;
    let breaks = sources::breaks(&sources::offered(provider, queue).await?, &sources::stored(subscriber, queue).await?);
    for (table, found) in breaks {
        let reason = found.reason(queue);
        let problem = match found {
            Break::Anew => Problem::Lost(reason),
            Break::NotInSet => {
                Problem::NotInSet(format!("{reason}: add it there with \"rlondiste INI provider add {table}\""))
            }
        };
        problems.insert(table, problem);
    }
    for (table, back) in overlaps::loops(provider, subscriber).await? {
        let text =
            format!("the provider gets it from queue {back} of this subscriber, so each change goes round for ever");
        problems.insert(table, Problem::Loop(text));
    }
    for table in emptied::tables(subscriber, queue).await? {
        problems.entry(table).or_insert_with(|| Problem::Lost(emptied::REASON.to_owned()));
    }
    for table in strange_snapshot::tables(provider, subscriber, queue).await? {
        problems.entry(table).or_insert_with(|| Problem::Lost(strange_snapshot::REASON.to_owned()));
    }
    for (table, events) in left_out(subscriber, queue).await? {
        problems.entry(table).or_insert_with(|| {
            let (noun, verb) = if events.len() == 1 { ("event", "was") } else { ("events", "were") };
            let list: Vec<String> = events.iter().map(i64::to_string).collect();
            Problem::LeftOut(format!("{noun} {} {verb} left out by \"subscriber skip-event\"", list.join(", ")))
        });
    }
    Ok(problems)
}

/// The events that were left out of the queue's tables. A copy that runs or comes has them.
async fn left_out(subscriber: &Db, queue: &str) -> Result<BTreeMap<FqName, Vec<i64>>> {
    let mut events: BTreeMap<FqName, Vec<i64>> = BTreeMap::new();
    for left_out in skips::left_out(subscriber).await? {
        events.entry(left_out.table).or_default().push(left_out.event);
    }
    if !events.is_empty() {
        let subscribed = tables::load(subscriber, queue).await?;
        let ok = subscribed.iter().filter(|table| table.state == TableState::Ok).map(|table| &table.name);
        let ok: BTreeSet<&FqName> = ok.collect();
        events.retain(|table, _| ok.contains(table));
    }
    Ok(events)
}

/// The part of [`table_problems`] that the provider knows. Empty on a provider with the schema of Londiste 2.1 or of an older
/// rlondiste, which cannot tell.
async fn capture_problems(provider: &Db, queue: &str) -> Result<HashMap<FqName, Problem>> {
    const ACTION: &str = "look for tables that are not captured";
    const KNOWN: &str = "select pg_catalog.to_regprocedure('londiste.provider_get_problems(text)') is not null";
    const PROBLEMS: &str = "select p.table_name, p.problem from londiste.provider_get_problems($1) p";
    if !provider.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Ok(HashMap::new());
    }
    let rows = provider.query(ACTION, PROBLEMS, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), Problem::Lost(row.get(1)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_fits_at_either_end_of_the_open_batch() {
        let consumer = Consumer { queue: "q".to_owned(), name: "c".to_owned() };
        let registered = Registration { last_tick: TickId(10), next_tick: Some(TickId(12)) };
        let check = |tick, made: Option<&str>, time| {
            let stored = Position { tick: TickId(tick), time: made.map(str::to_owned) };
            compare(&consumer, &stored, &registered, TickId(15), time).unwrap_or_default()
        };
        for tick in [10, 12] {
            assert_eq!(check(tick, None, Some("t1")), "");
            assert_eq!(check(tick, Some("t1"), None), "");
            assert_eq!(check(tick, Some("t1"), Some("t1")), "");
            assert!(check(tick, Some("t1"), Some("t2")).contains("not the same tick"));
        }
        for tick in [9, 11, 13, 15] {
            assert!(check(tick, None, None).contains("stands at tick 10"));
        }
        assert!(check(16, None, None).contains("ahead of the provider"));
    }
}
