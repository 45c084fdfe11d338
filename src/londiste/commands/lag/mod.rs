//! Where the time goes while the subscriber is behind: `subscriber status` and `/status.json`.
//!
//! What stands still for good (no ticker, no replay, an error that comes again) shows in the queue and the log. What takes
//! time shows in the sessions of the job on both sides: they are looked at several times. The sessions of copies count too: their
//! application is the same, and replay waits for a copy at the hand-over.
//!
//! The functions of this room change nothing and lock nothing.

mod activity;
mod cause;
mod queue;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::cause::Cause;
pub(super) use self::cause::LagCause;
use self::queue::Queue;
use super::super::context::{Context, Job};
use super::super::state::table_state::TableState;
use super::super::state::tables::SubscribedTable;
use super::super::state::{completed, provider_queue, tables};
use crate::config;
use crate::error::Result;
use crate::job::{self, Control, pidfile};
use crate::pg::{Db, FqName, Role, text, text_array};
use crate::pgq::TickId;

/// How often the sessions are looked at, and the pause between two looks.
const LOOKS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(40);

/// A round trip of more than this is named: a batch takes several of them.
const SLOW_ROUND_TRIP: Duration = Duration::from_millis(25);

/// Seconds after which replay that has a batch to take, and does not finish it, stands still.
pub(crate) const STANDS_STILL: f64 = 10.0;

/// What is known already about the job.
pub(super) struct Known<'a> {
    pub(super) tables: &'a [SubscribedTable],
    /// The tick up to which the subscriber has all changes.
    pub(super) applied: Option<i64>,
    /// The error of the job's log since which no batch was applied.
    pub(super) error: Option<&'a str>,
    /// Whether the process of the job's pidfile is there. Between two tries after an error it has no session.
    pub(super) runs_here: bool,
    /// Whether the statements of other sessions may be shown. They may have values of rows, and passwords.
    pub(super) shows_queries: bool,
}

/// Why the subscriber is behind; empty when it is not. What takes the sessions' time comes last.
pub(super) async fn causes(job: &Job, provider: &Db, subscriber: &Db, known: &Known<'_>) -> Result<Vec<LagCause>> {
    let Some(queue) = Queue::read(provider, &job.queue, &job.consumer).await? else { return Ok(Vec::new()) };
    let mut causes: Vec<Cause> = queue.ticks_missing().into_iter().collect();
    causes.extend(queue::open_writer(provider, &job.queue).await?.map(Cause::OpenTransaction));
    let mut shown = Vec::new();
    if known.applied.is_none_or(|applied| applied < queue.newest_tick) {
        let looks = Looks::take(provider, subscriber, known.tables).await?;
        shown = looks.shares();
        let tries_again = known.runs_here && known.error.is_some();
        if !tries_again && looks.all.iter().all(Vec::is_empty) && has_no_session(provider, subscriber).await? {
            causes.push(Cause::ReplayDown { last_seen: queue.last_seen });
        } else {
            causes.extend(looks.slow_networks());
            causes.extend(missing_indexes(job, provider, subscriber, &shown).await?);
            causes.extend(queue.big_batch(provider).await?);
            causes.extend(hand_overs(known.tables));
            if let Some(message) = known.error {
                causes.push(Cause::Error { message: message.to_owned() });
            } else if shown.is_empty() && queue.last_seen.is_some_and(|seconds| seconds > STANDS_STILL) {
                causes.push(Cause::StandsStill { last_seen: queue.last_seen });
            }
        }
    }
    let causes = causes.into_iter().map(|cause| (None, cause));
    let all = causes.chain(shown.into_iter().map(|(share, cause)| (Some(share), cause)));
    Ok(all.map(|(share, cause)| if known.shows_queries { cause } else { cause.without_query() }.found(share)).collect())
}

/// Why replay does nothing although there is a tick that it has not applied; `None` while it works, and when it has nothing to do. Opens
/// sessions with the name of the job.
pub(crate) async fn standstill(config: &config::Londiste, control: &Control) -> Result<Option<Standstill>> {
    let context = Context::new(config, control);
    let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
    let tables = tables::load(&subscriber, &config.pgq_queue_name).await?;
    let applied = completed::last_tick(&subscriber, &config.pgq_consumer_id).await?;
    let last_error = config.common.logfile.as_deref().and_then(job::last_error).filter(|error| error.stands);
    let known = Known {
        tables: &tables,
        applied: applied.map(|TickId(tick)| tick),
        error: last_error.as_ref().map(|error| error.message.as_str()),
        runs_here: config.common.pidfile.as_deref().is_some_and(pidfile::is_running),
        shows_queries: false,
    };
    let causes = causes(&Job::of(config), &provider, &subscriber, &known).await?;
    Ok(causes.into_iter().find(|cause| cause.is_standstill).map(|LagCause { fact, fix, .. }| Standstill { fact, fix }))
}

/// That replay does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standstill {
    /// Why, on one line.
    pub(crate) fact: String,
    /// What mends it, if it is known.
    pub(crate) fix: Option<String>,
}

/// What several looks at the sessions of both sides show.
struct Looks {
    all: Vec<Vec<Cause>>,
    /// The shortest round trip to each side.
    round_trips: [(Role, Duration); 2],
}

impl Looks {
    async fn take(provider: &Db, subscriber: &Db, tables: &[SubscribedTable]) -> Result<Looks> {
        let mut looks =
            Looks { all: Vec::new(), round_trips: [provider, subscriber].map(|db| (db.role(), Duration::MAX)) };
        for n in 0..LOOKS {
            if n > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let mut causes = Vec::new();
            for (i, db) in [provider, subscriber].into_iter().enumerate() {
                let started = Instant::now();
                causes.extend(activity::look(db, tables).await?);
                looks.round_trips[i].1 = looks.round_trips[i].1.min(started.elapsed());
            }
            looks.all.push(causes);
        }
        Ok(looks)
    }

    /// In which part of the looks each cause showed, the most frequent one first. While the subscriber works, the provider waits
    /// for it: what its sessions do counts in looks in which the subscriber does nothing.
    fn shares(&self) -> Vec<(f64, Cause)> {
        let mut counts: BTreeMap<(&'static str, String), (u32, &Cause)> = BTreeMap::new();
        for look in &self.all {
            let is_reading = |cause: &Cause| matches!(cause, Cause::Reading { .. });
            let subscriber_works = !look.iter().all(is_reading);
            for cause in look.iter().filter(|cause| !(subscriber_works && is_reading(cause))) {
                counts.entry((cause.name(), cause.subject())).or_insert((0, cause)).0 += 1;
            }
        }
        let mut counts: Vec<(u32, &Cause)> = counts.into_values().collect();
        counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        counts.into_iter().map(|(count, cause)| (f64::from(count) / f64::from(LOOKS), cause.clone())).collect()
    }

    fn slow_networks(&self) -> impl Iterator<Item = Cause> {
        let slow = self.round_trips.iter().filter(|(_, took)| *took > SLOW_ROUND_TRIP);
        slow.map(|(side, took)| Cause::SlowNetwork { side: *side, took: *took })
    }
}

async fn has_no_session(provider: &Db, subscriber: &Db) -> Result<bool> {
    Ok(activity::sessions(provider).await? + activity::sessions(subscriber).await? == 0)
}

/// The tables that changes are being applied to, and whose rows no index of the subscriber finds.
async fn missing_indexes(job: &Job, provider: &Db, subscriber: &Db, shown: &[(f64, Cause)]) -> Result<Vec<Cause>> {
    let applied_to: Vec<&FqName> = shown
        .iter()
        .filter_map(|(_, cause)| if let Cause::Applying { table, .. } = cause { table.as_ref() } else { None })
        .collect();
    let mut causes = Vec::new();
    if applied_to.is_empty() {
        return Ok(causes);
    }
    let mut chosen = provider_queue::chosen_keys(provider, &job.queue).await?;
    for table in applied_to {
        let key = match chosen.remove(table) {
            Some(key) => key,
            None => primary_key(provider, table).await?,
        };
        let sql = "select exists (
                       select from pg_catalog.pg_index i
                              join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                        where i.indrelid = pg_catalog.to_regclass($1) and i.indisvalid and i.indpred is null
                          and a.attname::text = any ($2))";
        let name = table.quoted();
        let params = [text(&name), text_array(&key)];
        if !key.is_empty()
            && !subscriber.query_one("look for an index of the key", sql, &params).await?.get::<_, bool>(0)
        {
            causes.push(Cause::MissingIndex { table: table.clone(), key });
        }
    }
    Ok(causes)
}

async fn primary_key(provider: &Db, table: &FqName) -> Result<Vec<String>> {
    let sql = "select a.attname::text
                 from pg_catalog.pg_index i
                      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
                where i.indrelid = pg_catalog.to_regclass($1) and i.indisprimary
                order by pg_catalog.array_position(i.indkey, a.attnum)";
    let rows = provider.query("read the key of the table", sql, &[text(&table.quoted())]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn hand_overs(tables: &[SubscribedTable]) -> impl Iterator<Item = Cause> {
    let waits = tables.iter().filter(|table| matches!(table.state, TableState::DoSync(_) | TableState::WannaSync(_)));
    waits.map(|table| Cause::HandOver { table: table.name.clone(), state: table.state.to_string() })
}
