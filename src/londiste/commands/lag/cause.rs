//! The causes of a lag, and what to say about each.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::error::Role;
use crate::pg::{FqName, Sql};
use crate::text::one_line;

/// A cause of the lag, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct LagCause {
    /// The name of the cause, in kebab case.
    pub(in super::super) cause: &'static str,
    /// In which part of the looks at the sessions it showed, from 0 to 1; null for what the sessions do not tell.
    pub(in super::super) share: Option<f64>,
    /// What it is and where: a line.
    pub(in super::super) fact: String,
    /// What mends it: a command or a statement. Null where there is nothing to mend.
    pub(in super::super) fix: Option<String>,
    /// Replay does nothing, or nothing that succeeds.
    #[serde(skip)]
    pub(super) is_standstill: bool,
}

impl fmt::Display for LagCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.share.map(|share| format!(" ({:.0} % of the time)", share * 100.0)).unwrap_or_default();
        writeln!(f, "{}{share}: {}", self.cause, self.fact)?;
        self.fix.iter().try_for_each(|fix| writeln!(f, "             HINT: {fix}"))
    }
}

/// A batch of at least so many events is named.
pub(super) const BIG_BATCH: i64 = 50_000;

/// A session that holds a lock; or a prepared transaction, whose pid is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocker {
    pub(super) pid: i32,
    pub(super) application: String,
    pub(super) user: Option<String>,
    /// It is in a transaction and waits for its client.
    pub(super) idle: bool,
    pub(super) is_autovacuum: bool,
    pub(super) since: Option<String>,
    /// The server gives a remark in its place where this role may not see it.
    pub(super) query: Option<String>,
}

/// A session, or a prepared transaction without a session, that has written events and is still open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Writer {
    pub(super) pid: Option<i32>,
    pub(super) application: String,
    pub(super) seconds: Option<f64>,
    pub(super) query: Option<String>,
}

/// A cause of the lag. Ages are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cause {
    /// No tick comes although events wait for one.
    TickerDown { age: f64, paused: bool, limit: f64 },
    /// No session of the job on either side.
    ReplayDown { last_seen: Option<f64> },
    /// The sessions are there, and do nothing.
    StandsStill { last_seen: Option<f64> },
    /// The job failed, and has applied no batch since.
    Error { message: String },
    /// A session of the job waits for a lock.
    Lock { side: Role, relation: Option<String>, seconds: f64, blocker: Blocker },
    /// Events are read on the provider; `client_waits` when the provider waits until they are taken.
    Reading { client_waits: bool },
    /// Events are applied.
    Applying { table: Option<FqName>, disk: bool, seconds: f64 },
    /// The subscriber has no index that finds the rows of a table's events.
    MissingIndex { table: FqName, key: Vec<String> },
    /// The subscriber commits.
    Commit { seconds: f64 },
    /// The commit waits for a standby of the subscriber.
    SynchronousStandby { seconds: f64 },
    /// A round trip from this machine takes long.
    SlowNetwork { side: Role, took: Duration },
    /// A batch of many events is open.
    BigBatch { seconds: Option<f64> },
    /// Replay waits for the copy of a table at a tick.
    HandOver { table: FqName, state: String },
    /// A transaction that has written events is open: they come after its end.
    OpenTransaction(Writer),
}

impl Cause {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Cause::TickerDown { .. } => "ticker-down",
            Cause::ReplayDown { .. } => "replay-down",
            Cause::StandsStill { .. } => "replay-stands-still",
            Cause::Error { .. } => "error",
            Cause::Lock { .. } => "lock",
            Cause::Reading { .. } => "reading",
            Cause::Applying { .. } => "applying",
            Cause::MissingIndex { .. } => "missing-index",
            Cause::Commit { .. } => "commit",
            Cause::SynchronousStandby { .. } => "synchronous-standby",
            Cause::SlowNetwork { .. } => "slow-network",
            Cause::BigBatch { .. } => "big-batch",
            Cause::HandOver { .. } => "hand-over",
            Cause::OpenTransaction(_) => "open-transaction",
        }
    }

    /// What tells causes of one name apart.
    pub(super) fn subject(&self) -> String {
        match self {
            Cause::Lock { blocker, .. } => blocker.pid.to_string(),
            Cause::Applying { table: Some(table), .. } => table.to_string(),
            _ => String::new(),
        }
    }

    /// The same without the statement of another session.
    pub(super) fn without_query(mut self) -> Cause {
        match &mut self {
            Cause::Lock { blocker, .. } => blocker.query = None,
            Cause::OpenTransaction(writer) => writer.query = None,
            _ => {}
        }
        self
    }

    pub(super) fn found(&self, share: Option<f64>) -> LagCause {
        let is_standstill = matches!(self, Cause::ReplayDown { .. } | Cause::StandsStill { .. } | Cause::Error { .. });
        LagCause { cause: self.name(), share, fact: one_line(&self.fact()), fix: self.fix(), is_standstill }
    }

    fn fact(&self) -> String {
        match self {
            Cause::TickerDown { age, paused: true, .. } => {
                format!("the ticks of the queue are paused; the newest one is {age:.0} s old")
            }
            Cause::TickerDown { age, limit, .. } => format!(
                "no ticker works: events wait, and the newest tick is {age:.0} s old, where {limit:.1} s are allowed"
            ),
            Cause::ReplayDown { last_seen } => {
                format!("replay does not run: it has no session on either side, {}", seen(*last_seen))
            }
            Cause::StandsStill { last_seen } => {
                format!("replay has sessions and does nothing: {}", seen(*last_seen))
            }
            Cause::Error { message } => format!("no batch was applied since the error: {message}"),
            Cause::Lock { side, relation, seconds, blocker } => {
                let what = relation.as_ref().map_or_else(|| "a lock".to_owned(), |name| format!("a lock on {name}"));
                format!("waits since {seconds:.0} s for {what} on {side}, which is held by {}", blocker.describe())
            }
            Cause::Reading { client_waits: false } => "reads events on provider".to_owned(),
            Cause::Reading { client_waits: true } => {
                "reads events; provider waits until the network, or this machine, has taken them".to_owned()
            }
            Cause::Applying { table, disk, seconds } => {
                let to = table.as_ref().map_or_else(String::new, |table| format!(" to {table}"));
                let disk = if *disk { ", waiting for the disk" } else { "" };
                format!("applies changes{to}{disk}, in a transaction of {seconds:.1} s")
            }
            Cause::MissingIndex { table, key } => format!(
                "{table} has no index on subscriber that begins with a column of its key ({}): each update and delete reads \
                 the whole table",
                key.join(", ")
            ),
            Cause::Commit { seconds } => format!("commits on subscriber, a transaction of {seconds:.1} s"),
            Cause::SynchronousStandby { seconds } => format!(
                "the commit waits since {seconds:.1} s for a standby of subscriber that synchronous_standby_names names"
            ),
            Cause::SlowNetwork { side, took } => {
                format!("a round trip from this machine to {side} takes {} ms", took.as_millis())
            }
            Cause::BigBatch { seconds } => {
                let since = seconds.map(|s| format!(", and is open since {s:.0} s")).unwrap_or_default();
                format!("the batch in hand has at least {BIG_BATCH} events{since}")
            }
            Cause::HandOver { table, state } => {
                format!("replay waits at a tick for the copy of {table} ({state})")
            }
            Cause::OpenTransaction(writer) => writer.describe(),
        }
    }

    fn fix(&self) -> Option<String> {
        match self {
            Cause::TickerDown { paused: true, .. } => Some("rlondiste TICKER-INI config QUEUE ticker_paused=0".to_owned()),
            Cause::TickerDown { .. } => Some("rlondiste TICKER-INI ticker -d".to_owned()),
            Cause::ReplayDown { .. } => Some("rlondiste INI replay -d".to_owned()),
            Cause::StandsStill { .. } => Some(
                "look at the process of the pidfile: is it stopped (kill -CONT), or is its connection cut? Else restart it"
                    .to_owned(),
            ),
            Cause::Lock { blocker, .. } => blocker.fix(),
            Cause::MissingIndex { table, key } => {
                let key: Vec<String> = key.iter().map(|column| Sql::ident(column).as_str().to_owned()).collect();
                let name = Sql::from(table);
                Some(format!("create index concurrently on {} ({})", name.as_str(), key.join(", ")))
            }
            Cause::SynchronousStandby { .. } => {
                Some("bring the standby back, or take it out of synchronous_standby_names on subscriber".to_owned())
            }
            Cause::OpenTransaction(writer) => Some(writer.fix()),
            Cause::Error { .. }
            | Cause::Reading { .. }
            | Cause::Applying { .. }
            | Cause::Commit { .. }
            | Cause::SlowNetwork { .. }
            | Cause::BigBatch { .. }
            | Cause::HandOver { .. } => None,
        }
    }
}

fn seen(last_seen: Option<f64>) -> String {
    last_seen.map_or_else(|| "and was never seen".to_owned(), |s| format!("it was at the queue {s:.0} s ago"))
}

/// The longest part of a query that is shown, in characters.
const QUERY: usize = 80;

fn beginning(query: &str) -> String {
    one_line(query).chars().take(QUERY).collect()
}

impl Blocker {
    fn describe(&self) -> String {
        if self.pid == 0 {
            return "a prepared transaction (pg_prepared_xacts)".to_owned();
        }
        let mut text = format!(
            "pid {} ({}",
            self.pid,
            if self.application.is_empty() { "no application_name" } else { &self.application }
        );
        if let Some(user) = &self.user {
            text.push_str(&format!(", user {user}"));
        }
        text.push(')');
        if let Some(since) = &self.since {
            text.push_str(&format!(", in a transaction since {since}"));
        }
        if let Some(query) = &self.query {
            let doing = if self.idle { "idle after" } else { "running" };
            text.push_str(&format!(", {doing}: {}", beginning(query)));
        }
        text
    }

    fn fix(&self) -> Option<String> {
        match self.pid {
            0 => Some("commit prepared or rollback prepared".to_owned()),
            _ if self.is_autovacuum => None,
            pid => Some(format!("let it end, or: select pg_terminate_backend({pid})")),
        }
    }
}

impl Writer {
    fn describe(&self) -> String {
        let Some(pid) = self.pid else {
            return "a prepared transaction on provider has written events, which come after its end".to_owned();
        };
        let seconds = self.seconds.unwrap_or(0.0);
        let query = self.query.as_ref().map(|query| format!(", last query: {}", beginning(query))).unwrap_or_default();
        format!(
            "a transaction on provider is open since {seconds:.0} s, and its events come after its end: pid {pid} ({}){query}",
            self.application
        )
    }

    fn fix(&self) -> String {
        match self.pid {
            None => "commit prepared or rollback prepared: see pg_prepared_xacts on provider".to_owned(),
            Some(pid) => format!("let it end, or on provider: select pg_terminate_backend({pid})"),
        }
    }
}
