//! What became of a batch.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::pg::FqName;
use crate::pgq::fragment::Verb;
use crate::pgq::printable::printable;
use crate::pgq::{EventId, TickId};

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Applied {
    /// Events read.
    pub count: u64,
    /// Those of them that were not for this subscriber.
    pub ignored: u64,
    /// Those of them that change a table, by what they do.
    pub changes: Changes,
    /// What the batch did to each table.
    pub(crate) tables: BTreeMap<FqName, TableCounts>,
    /// Updates and deletes that found no row.
    pub missing_rows: u64,
    /// Events that were applied one by one.
    pub row_by_row: u64,
    /// The size of the biggest event, as it came, in bytes.
    pub biggest: usize,
    /// The lists of the provider's tables that `T` events brought.
    pub table_sets: Vec<Vec<FqName>>,
    /// Events of an unknown type, which change nothing.
    pub unknown: LeftOut,
    /// Events of type `EXECUTE`, which are not applied. They are among the ignored ones.
    pub scripts: LeftOut,
    /// The time of the tick where the batch ends, in UTC by the provider's clock; once the batch is committed.
    pub(crate) tick_time: Option<String>,
}

impl Applied {
    /// What the service manager shows of the last batch, which ends at `tick`; `None` for one that had been applied before.
    pub(crate) fn status(applied: Option<&Applied>, tick: TickId) -> String {
        let events = applied.map_or(0, |applied| applied.count);
        let age = applied.and_then(|applied| applied.tick_time.as_deref()).and_then(|time| age(time, Timestamp::now()));
        let behind = age.map(|seconds| format!(", {seconds:.1} s behind")).unwrap_or_default();
        format!("tick {tick} is applied{behind}; the last batch had {events} events")
    }
}

/// Seconds since a time in UTC as PostgreSQL writes it; 0 for a time in the future, by a clock that is ahead.
fn age(time: &str, now: Timestamp) -> Option<f64> {
    let time = time.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(now.duration_since(time).as_secs_f64().max(0.0))
}

/// Numbers of events by what they do to a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows inserted.
    pub inserts: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Tables emptied.
    pub truncates: u64,
}

/// The events of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableCounts {
    /// Those that were applied.
    pub(crate) changes: Changes,
    /// Those that were left out, since the table's copy has their effects.
    pub(crate) in_copy: u64,
    /// Those of the applied ones that found no row.
    pub(crate) missing: u64,
}

impl Changes {
    /// Counts the change of a row.
    pub(super) fn add(&mut self, verb: Verb) {
        match verb {
            Verb::Insert => self.inserts += 1,
            Verb::Update => self.updates += 1,
            Verb::Delete => self.deletes += 1,
        }
    }
}

impl AddAssign for Changes {
    fn add_assign(&mut self, more: Changes) {
        self.inserts += more.inserts;
        self.updates += more.updates;
        self.deletes += more.deletes;
        self.truncates += more.truncates;
    }
}

/// Events that were left out, for one line of the log: how many of which types, and some of their ids. Takes little
/// memory whatever their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    count: u64,
    first: Vec<EventId>,
    types: BTreeMap<String, u64>,
    /// How many have a type that is not in `types`.
    other_types: u64,
}

/// So many ids, and so many types, of events that were left out are named.
const NAMED: usize = 5;
/// How many characters of a type are shown.
const SHOWN: usize = 40;

impl LeftOut {
    /// How many events were left out.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds an event.
    pub(super) fn add(&mut self, id: EventId, event_type: &[u8]) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(id);
        }
        let shown = printable(event_type, SHOWN);
        if self.types.len() < NAMED || self.types.contains_key(&shown) {
            *self.types.entry(shown).or_default() += 1;
        } else {
            self.other_types += 1;
        }
    }
}

/// `X (event 7)`, or `X (2 events), Y (1 event); first event ids 7, 8, 9`.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (1, [id]) = (self.count, &self.first[..]) {
            return write!(f, "{} (event {id})", self.types.keys().next().map_or("", String::as_str));
        }
        let events = |count: u64| if count == 1 { "1 event".to_owned() } else { format!("{count} events") };
        let mut types: Vec<String> =
            self.types.iter().map(|(shown, count)| format!("{shown} ({})", events(*count))).collect();
        if self.other_types > 0 {
            types.push(format!("other types ({})", events(self.other_types)));
        }
        let ids: Vec<String> = self.first.iter().map(ToString::to_string).collect();
        write!(f, "{}; first event ids {}", types.join(", "), ids.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(events: &[(i64, &str)]) -> LeftOut {
        let mut left_out = LeftOut::default();
        for (id, event_type) in events {
            left_out.add(EventId(*id), event_type.as_bytes());
        }
        left_out
    }

    #[test]
    fn age_is_in_seconds_and_never_negative() {
        let now: Timestamp = "2026-11-30T12:31:05.5Z".parse().unwrap_or_default();
        assert_eq!(age("2026-11-30 12:31:05.123456", now), Some(0.376_544));
        assert_eq!(age("2026-11-30 12:31:06.000000", now), Some(0.0));
        assert_eq!(age("infinity", now), None);
    }

    #[test]
    fn one_event_is_named_and_many_are_counted() {
        assert_eq!(left_out(&[(7, "X")]).to_string(), "X (event 7)");
        let some = left_out(&[(7, "X"), (8, "Y\n"), (9, "X")]);
        assert_eq!(
            (some.count(), some.to_string().as_str()),
            (3, r"X (2 events), Y\n (1 event); first event ids 7, 8, 9")
        );
    }

    #[test]
    fn many_types_take_little_room() {
        let list: Vec<(i64, String)> = (1..1000).map(|id| (id, format!("{}{id}", "x".repeat(100)))).collect();
        let list: Vec<(i64, &str)> = list.iter().map(|(id, text)| (*id, text.as_str())).collect();
        let many = left_out(&list);
        assert_eq!(many.count(), 999);
        assert_eq!((many.first.len(), many.types.len()), (NAMED, 3), "types are told apart as they are shown");
        let x = "x".repeat(40);
        let expected = format!(
            "{x}... (101 bytes) (9 events), {x}... (102 bytes) (90 events), {x}... (103 bytes) (900 events); \
             first event ids 1, 2, 3, 4, 5"
        );
        assert_eq!(many.to_string(), expected);
        let list: Vec<(i64, String)> = (1..1000).map(|id| (id, id.to_string())).collect();
        let list: Vec<(i64, &str)> = list.iter().map(|(id, text)| (*id, text.as_str())).collect();
        assert_eq!(
            left_out(&list).to_string(),
            "1 (1 event), 2 (1 event), 3 (1 event), 4 (1 event), 5 (1 event), other types (994 events); \
             first event ids 1, 2, 3, 4, 5"
        );
    }
}
