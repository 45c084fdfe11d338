//! Which range is looked at next, and when. Pure: the caller passes the time.
//!
//! The range whose last look is longest ago comes next, and a range that was never looked at comes first. Looks are spread over
//! [`SHARE`] of the interval by the bytes of the ranges, and none begins later than [`LATEST`] of it after the look before, whatever
//! the bytes are: a row that is changed by hand is found within the interval, unless `verify_rate` is too low for that. All of this
//! follows from the stored times, so a process that begins anew goes on where the last one stood.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::londiste::state::verification::VerifiedRange;
use crate::pg::FqName;

/// The part of the interval that a round takes. What is left is for looks that take their time.
const SHARE: f64 = 0.75;

/// The part of the interval after which a range is looked at again at the latest.
const LATEST: f64 = 0.9;

/// A range with rows that differ is looked at again after this part of the interval, and after [`SOON`] at the latest.
const AGAIN: f64 = 0.1;
const SOON: Duration = Duration::from_mins(1);

/// What looking at a range costs beside its rows, in bytes.
const EACH: u64 = 8192;

/// Rows of a range, for tables with few of them.
const FEWEST: u64 = 50_000;

/// Ranges of a table, about.
const RANGES: u64 = 1000;

/// The ranges of the tables that can be looked at now.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tables: BTreeMap<FqName, Table>,
}

/// The ranges of one table, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) ranges: Vec<VerifiedRange>,
    /// Not before this moment: the last look failed.
    pub(super) retry_at: Option<Instant>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look at the range with this number.
    Look(FqName, usize),
    /// Nothing for so long.
    Wait(Duration),
    /// There is no range.
    Nothing,
}

impl Plan {
    pub(super) fn next(&self, interval: Duration, now: Instant) -> Next {
        let may_go = |table: &&Table| table.retry_at.is_none_or(|at| at <= now);
        let all = || {
            let tables = self.tables.iter().filter(|(_, table)| may_go(table));
            tables.flat_map(|(name, table)| table.ranges.iter().enumerate().map(move |(nr, range)| (name, nr, range)))
        };
        let again = interval.mul_f64(AGAIN).min(SOON);
        let differing = all().filter(|(.., range)| range.differing > 0);
        let differing = differing.filter_map(|(name, nr, range)| Some((range.looked? + again, name, nr))).min();
        let Some((oldest, name, nr)) = all().map(|(name, nr, range)| (range.looked, name, nr)).min() else {
            return Next::Nothing;
        };
        // What was looked at last has its share of the time.
        let weight = |range: &VerifiedRange| range.bytes + EACH;
        let total: u64 = all().map(|(.., range)| weight(range)).sum();
        let looks = || all().filter_map(|(.., range)| Some((range.looked?, weight(range), range.differing > 0)));
        // Those at ranges that differ come in between.
        let last = looks().filter(|(.., differs)| !differs).max().or_else(|| looks().max());
        let paced = last.map_or(now, |(looked, weight, _)| {
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let share = weight as f64 / total as f64;
            looked + interval.mul_f64(SHARE * share)
        });
        let latest = oldest.map(|looked| looked + interval.mul_f64(LATEST));
        let due = (latest.map_or(paced, |latest| latest.min(paced)), name, nr);
        let (at, name, nr) = differing.map_or(due, |differing| differing.min(due));
        if at <= now { Next::Look(name.clone(), nr) } else { Next::Wait(at - now) }
    }
}

impl Table {
    /// Rows of a range, for a table that has so many by its statistics.
    pub(super) fn rows_of_a_range(&self, estimate: u64) -> u64 {
        let known: u64 = self.ranges.iter().map(|range| range.rows).sum();
        (known.max(estimate) / RANGES).max(FEWEST)
    }

    /// Puts what a look has found in the place of a range, of which `rest`, if there is one, was not looked at. Returns whether other
    /// ranges than this one are to be stored.
    pub(super) fn put(&mut self, nr: usize, found: VerifiedRange, rest: Option<VerifiedRange>, most: u64) -> bool {
        let is_cut = rest.is_some();
        self.ranges.splice(nr..=nr, [found].into_iter().chain(rest));
        // Where most rows were deleted, ranges are joined again.
        let is_small = |one: &VerifiedRange, other: &VerifiedRange| {
            one.rows + other.rows <= most / 2
                && [one, other].iter().all(|range| range.differing == 0 && range.looked.is_some())
        };
        let is_joined = nr > 0 && is_small(&self.ranges[nr - 1], &self.ranges[nr]);
        if is_joined {
            let last = self.ranges.remove(nr);
            let first = &mut self.ranges[nr - 1];
            first.to = last.to;
            first.rows += last.rows;
            first.bytes += last.bytes;
            first.unverified += last.unverified;
            first.looked = first.looked.min(last.looked);
            first.equal = first.equal.min(last.equal);
        }
        is_cut || is_joined
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn range(bytes: u64, looked: Option<Instant>) -> VerifiedRange {
        VerifiedRange { bytes, looked, rows: bytes / 100, ..VerifiedRange::default() }
    }

    fn plan(tables: Vec<(&str, Vec<VerifiedRange>)>) -> Plan {
        let table = |(name, ranges)| (FqName::parse(name), Table { ranges, retry_at: None });
        Plan { tables: tables.into_iter().map(table).collect() }
    }

    fn look(name: &str, nr: usize) -> Next {
        Next::Look(FqName::parse(name), nr)
    }

    #[test]
    fn looks_are_spread_by_bytes_and_go_on_where_the_last_process_stood() {
        let start = Instant::now() + HOUR;
        assert_eq!(plan(vec![]).next(HOUR, start), Next::Nothing);
        let (big, small) = (10_000_000 - EACH, 5_000_000 - EACH);
        let new = |bytes| range(bytes, None);
        let mut plan = plan(vec![("a", vec![new(big), new(small)]), ("b", vec![new(small)])]);
        assert_eq!(plan.next(HOUR, start), look("a", 0));
        let set = |plan: &mut Plan, name: &str, nr: usize, looked: Instant| {
            plan.tables.get_mut(&FqName::parse(name)).expect("a table").ranges[nr].looked = Some(looked);
        };
        set(&mut plan, "a", 0, start);
        // The half of 45 minutes.
        assert_eq!(plan.next(HOUR, start + seconds(10)), Next::Wait(seconds(1340)));
        assert_eq!(plan.next(HOUR, start + seconds(1350)), look("a", 1));
        set(&mut plan, "a", 1, start + seconds(1350));
        assert_eq!(plan.next(HOUR, start + seconds(1350)), Next::Wait(seconds(675)));
        assert_eq!(plan.next(HOUR, start + seconds(2025)), look("b", 0));
        set(&mut plan, "b", 0, start + seconds(2025));
        assert_eq!(plan.next(HOUR, start + seconds(2700)), look("a", 0));
        // However big the last range: the first one is due after 54 minutes.
        plan.tables.get_mut(&FqName::parse("b")).expect("a table").ranges[0].bytes = u64::from(u32::MAX) << 10;
        set(&mut plan, "b", 0, start + seconds(2700));
        assert_eq!(plan.next(HOUR, start + seconds(2700)), Next::Wait(seconds(540)));
    }

    #[test]
    fn range_that_differs_is_looked_at_again_soon_and_table_that_failed_later() {
        let start = Instant::now() + HOUR;
        let mut plan =
            plan(vec![("a", vec![range(100, Some(start))]), ("b", vec![range(100, Some(start + seconds(1)))])]);
        plan.tables.get_mut(&FqName::parse("b")).expect("a table").ranges[0].differing = 1;
        assert_eq!(plan.next(HOUR, start + seconds(1)), Next::Wait(seconds(60)));
        assert_eq!(plan.next(HOUR, start + seconds(61)), look("b", 0));
        assert_eq!(plan.next(seconds(100), start + seconds(11)), look("b", 0));
        plan.tables.get_mut(&FqName::parse("b")).expect("a table").retry_at = Some(start + seconds(100));
        assert_eq!(plan.next(HOUR, start), Next::Wait(seconds(2700)));
        assert_eq!(plan.next(HOUR, start + seconds(100)), look("b", 0));
    }

    #[test]
    fn ranges_are_cut_and_joined_again() {
        let now = Instant::now();
        let mut table = Table { ranges: vec![VerifiedRange::default()], retry_at: None };
        assert_eq!(table.rows_of_a_range(0), FEWEST);
        assert_eq!(table.rows_of_a_range(200_000_000), 200_000);
        let part = |rows: u64| VerifiedRange { rows, looked: Some(now), equal: Some(now), ..VerifiedRange::default() };
        assert!(table.put(0, part(60), Some(part(70)), 100));
        assert!(!table.put(1, part(70), None, 100));
        assert!(!table.put(0, part(10), None, 100));
        let later = VerifiedRange { looked: Some(now + HOUR), equal: Some(now + HOUR), ..part(20) };
        assert!(table.put(1, later, None, 100));
        assert_eq!(table.ranges.len(), 1);
        assert_eq!((table.ranges[0].rows, table.ranges[0].looked, table.ranges[0].equal), (30, Some(now), Some(now)));
    }
}
