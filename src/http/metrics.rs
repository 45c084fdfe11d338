//! The table of all metrics: names, types, labels and meanings. The answers of `/metrics` and the reference in
//! `docs/metrics.md` are made from it.

use std::fmt::Write as _;

/// The program that has a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The ticker.
    Ticker,
    /// Replay.
    Replay,
}

impl Program {
    pub(super) fn name(self) -> &'static str {
        match self {
            Program::Ticker => "ticker",
            Program::Replay => "replay",
        }
    }
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows, but for a restart. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1; the labels are what it says. Its name ends in `_info`.
    Info,
}

/// A metric. Durations are in seconds, sizes in bytes.
#[derive(Debug)]
pub(crate) struct Metric {
    /// The name of its values.
    pub(crate) name: &'static str,
    pub(super) kind: Kind,
    /// The program that has it; `None` for all.
    program: Option<Program>,
    pub(super) labels: &'static [&'static str],
    pub(super) meaning: &'static str,
}

impl Metric {
    pub(super) fn is_of(&self, program: Program) -> bool {
        self.program.is_none_or(|only| only == program)
    }

    /// The name without what the type adds to it.
    pub(super) fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.trim_end_matches("_total"),
            Kind::Gauge => self.name,
            Kind::Info => self.name.trim_end_matches("_info"),
        }
    }
}

const fn ticker(name: &'static str, kind: Kind, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind, program: Some(Program::Ticker), labels, meaning }
}

const fn replay(name: &'static str, kind: Kind, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind, program: Some(Program::Replay), labels, meaning }
}

use self::Kind::{Counter, Gauge, Info};

const DATABASE: &[&str] = &["database"];
const QUEUE: &[&str] = &["database", "queue"];
const CONSUMER: &[&str] = &["database", "queue", "consumer"];
const BLOCKER: &[&str] = &["database", "queue", "kind", "blocker", "pid"];
const READER: &[&str] = &["queue", "consumer"];
const TABLE: &[&str] = &["table"];

/// The version of the program.
pub(crate) static BUILD_INFO: Metric = Metric {
    name: "rlondiste_build_info",
    kind: Info,
    program: None,
    labels: &["version", "program"],
    meaning: "Version of rlondiste, and the program: ticker or replay.",
};

// Group: ticker
pub(crate) static DATABASE_UP: Metric =
    ticker("pgq_database_up", Gauge, DATABASE, "1 where the database of the queues answers, 0 where it does not.");
pub(crate) static TICKER_LAG: Metric = ticker("pgq_queue_ticker_lag_seconds", Gauge, QUEUE, "Age of the newest tick.");
pub(crate) static EVENTS: Metric = ticker(
    "pgq_queue_events_total",
    Counter,
    QUEUE,
    "Events written into the queue since it was created, by its event sequence, which pgq.force_tick() moves ahead too.",
);
pub(crate) static EVENTS_NEW: Metric =
    ticker("pgq_queue_events_new", Gauge, QUEUE, "Events since the newest tick, by the event sequence.");
pub(crate) static SIZE: Metric =
    ticker("pgq_queue_size_bytes", Gauge, QUEUE, "Size of the event tables with their indexes and TOAST.");
pub(crate) static ROTATION_AGE: Metric =
    ticker("pgq_queue_rotation_age_seconds", Gauge, QUEUE, "Time since the last rotation of the event tables.");
pub(crate) static ROTATION_PERIOD: Metric = ticker(
    "pgq_queue_rotation_period_seconds",
    Gauge,
    QUEUE,
    "Setting rotation_period of the queue: a rotation that is older is due.",
);
pub(crate) static ROTATION_BLOCKED: Metric = ticker(
    "pgq_queue_rotation_blocked_seconds",
    Gauge,
    BLOCKER,
    "How late the rotation is that this session (kind session, with its application and pid), prepared transaction (prepared) or consumer (consumer) blocks; kind unknown where none is found.",
);
pub(crate) static BLOCKER_AGE: Metric = ticker(
    "pgq_queue_rotation_blocker_age_seconds",
    Gauge,
    BLOCKER,
    "Age of the blocker: of the transaction of a session, of a prepared transaction, of the tick that a consumer stands at.",
);
pub(crate) static CONSUMER_LAG: Metric =
    ticker("pgq_consumer_lag_seconds", Gauge, CONSUMER, "Age of the tick up to which the consumer has finished.");
pub(crate) static CONSUMER_LAST_SEEN: Metric = ticker(
    "pgq_consumer_last_seen_seconds",
    Gauge,
    CONSUMER,
    "Time since the consumer last opened or finished a batch.",
);
pub(crate) static CONSUMER_PENDING: Metric = ticker(
    "pgq_consumer_pending_events",
    Gauge,
    CONSUMER,
    "Events of the queue that the consumer has not finished, by the event sequence.",
);
pub(crate) static CONSUMER_RETRY: Metric = ticker(
    "pgq_consumer_retry_events",
    Gauge,
    CONSUMER,
    "Events that wait for their retry, counted up to 100000; absent where the ticker's role may not read pgq.retry_queue.",
);

// Group: replay
pub(crate) static REPLAY_LAG: Metric =
    replay("londiste_lag_seconds", Gauge, READER, "Age of the tick up to which the subscriber has all changes.");
pub(crate) static REPLAY_PENDING: Metric =
    replay("londiste_pending_events", Gauge, READER, "Events of the queue after this tick, by the event sequence.");
pub(crate) static REPLAY_WRITTEN: Metric = replay(
    "londiste_queue_events_total",
    Counter,
    READER,
    "Events written into the queue since it was created, by the event sequence.",
);
pub(crate) static CATCH_UP: Metric = replay(
    "londiste_estimated_seconds_to_catch_up",
    Gauge,
    READER,
    "Time until the subscriber has all changes, at the rates at which events were applied and written in the last minute; 0 when it is up to date, absent when it cannot be told: nothing is applied, or less than is written.",
);
pub(crate) static APPLIED_EVENTS: Metric = replay(
    "londiste_apply_events_total",
    Counter,
    &[],
    "Events that this process has applied, those of the open batch and those for other subscribers included.",
);
pub(crate) static BATCHES: Metric =
    replay("londiste_apply_batches_total", Counter, &[], "Batches that this process has finished.");
pub(crate) static ROWS: Metric = replay(
    "londiste_apply_rows_total",
    Counter,
    &["op"],
    "Changes that this process has applied: insert, update, delete and truncate.",
);
pub(crate) static MISSING_ROWS: Metric =
    replay("londiste_apply_missing_rows_total", Counter, &[], "Updates and deletes of this process that found no row.");
pub(crate) static BATCH_SECONDS: Metric =
    replay("londiste_apply_seconds_total", Counter, &[], "Time that this process has spent on its batches.");
pub(crate) static TABLE_STATE: Metric = replay(
    "londiste_table_state",
    Gauge,
    &["table", "state"],
    "1 for the state that the table is in, as `subscriber tables` shows it without its tick; `-` is to be copied.",
);
pub(crate) static TABLE_PARKED: Metric = replay(
    "londiste_table_parked",
    Gauge,
    TABLE,
    "1 for a table that waits for an operator: an event cannot be applied to it. Other tables have no value.",
);
pub(crate) static COPY_ROWS: Metric = replay(
    "londiste_copy_rows_total",
    Counter,
    TABLE,
    "Rows that the running copy of the table has written (PostgreSQL 14 or newer on the subscriber).",
);
pub(crate) static COPY_EXPECTED: Metric =
    replay("londiste_copy_expected_rows", Gauge, TABLE, "Rows that the table has on the provider, by its statistics.");
pub(crate) static COPY_START: Metric = replay(
    "londiste_copy_start_timestamp_seconds",
    Gauge,
    TABLE,
    "When the running copy of the table began to write rows.",
);

pub(crate) static VERIFIED_ROWS: Metric = replay(
    "londiste_verified_rows",
    Gauge,
    TABLE,
    "Rows of the table that were equal on both sides when they were last looked at (`verify_interval`).",
);
pub(crate) static VERIFIED_AGE: Metric = replay(
    "londiste_verification_age_seconds",
    Gauge,
    TABLE,
    "Time within which every row of the table was looked at; absent before the first round has ended.",
);
pub(crate) static DIFFERING_ROWS: Metric = replay(
    "londiste_differing_rows",
    Gauge,
    TABLE,
    "Rows of the table that differed from the provider's when they were last looked at.",
);
pub(crate) static UNVERIFIED_ROWS: Metric = replay(
    "londiste_unverified_rows",
    Gauge,
    TABLE,
    "Rows of the table that changed each time they were last looked at, so that they could not be compared.",
);
pub(crate) static VERIFICATION_READ_ROWS: Metric = replay(
    "londiste_verification_read_rows_total",
    Counter,
    &[],
    "Rows that this process has read to verify them, of the side that had more.",
);
pub(crate) static VERIFICATION_READ_BYTES: Metric = replay(
    "londiste_verification_read_bytes_total",
    Counter,
    &[],
    "Bytes of the text of these rows, which `verify_rate` bounds.",
);

/// Every metric, in the order of the reference.
pub(super) static METRICS: [&Metric; 34] = [
    &BUILD_INFO,
    &DATABASE_UP,
    &TICKER_LAG,
    &EVENTS,
    &EVENTS_NEW,
    &SIZE,
    &ROTATION_AGE,
    &ROTATION_PERIOD,
    &ROTATION_BLOCKED,
    &BLOCKER_AGE,
    &CONSUMER_LAG,
    &CONSUMER_LAST_SEEN,
    &CONSUMER_PENDING,
    &CONSUMER_RETRY,
    &REPLAY_LAG,
    &REPLAY_PENDING,
    &REPLAY_WRITTEN,
    &CATCH_UP,
    &APPLIED_EVENTS,
    &BATCHES,
    &ROWS,
    &MISSING_ROWS,
    &BATCH_SECONDS,
    &TABLE_STATE,
    &TABLE_PARKED,
    &COPY_ROWS,
    &COPY_EXPECTED,
    &COPY_START,
    &VERIFIED_ROWS,
    &VERIFIED_AGE,
    &DIFFERING_ROWS,
    &UNVERIFIED_ROWS,
    &VERIFICATION_READ_ROWS,
    &VERIFICATION_READ_BYTES,
];

/// The table as Markdown, for `docs/metrics.md`.
pub fn reference() -> String {
    let mut text = String::from("| metric | of | type | labels | meaning |\n|---|---|---|---|---|\n");
    for metric in METRICS {
        let of = metric.program.map_or("both", Program::name);
        let kind = match metric.kind {
            Counter => "counter",
            Gauge => "gauge",
            Info => "info",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{}` | {of} | {kind} | {} | {} |", metric.name, labels.join(", "), metric.meaning);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        for metric in METRICS {
            let ending = match metric.kind {
                Counter => "_total",
                Gauge => "",
                Info => "_info",
            };
            assert!(metric.name.ends_with(ending), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Counter, "{}", metric.name);
            assert_eq!(METRICS.iter().filter(|other| other.name == metric.name).count(), 1, "{}", metric.name);
        }
    }
}
