//! Proof that both sides of a table are equal, or which rows are not, while writers and replay go on, without a lock.
//!
//! 1. The keys are cut into ranges, and the servers hash the rows of each, both sides at once. Ranges with equal sums are done;
//!    the others are cut until they have at most [`SUSPECT`] rows.
//! 2. What is left is looked at: the rows of the provider are read, replay is waited for until it has passed a tick made after that,
//!    and the rows of the subscriber are read.
//! 3. A key with equal rows is done. One with different rows is looked at again, alone, and differs for good when both rows are the same
//!    versions as at the look before: the provider's row did not change between its two looks, so the subscriber's, which has every
//!    change before the first of them and did not change either, is not what replay would have made.
//! 4. A row that changes between any two looks is compared at a tick ([`at_a_tick`](super::at_a_tick)). If that fails too, it is not
//!    verified, which is never counted as equal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join;
use serde::Serialize;

use crate::error::Result;
use crate::pg::{Db, Param, RawText, Sql, Tx, sql, text_array};
use crate::pgq::TickId;
use crate::pgq::consumer::Consumer;

use super::super::context::Context;
use super::fingerprint::Fingerprint;
use super::key_range::KeyRange;
use super::rows::{ComparedTable, PIN, RowText, Side, key_columns, values};

/// Makes reading in key order use an index if there is one: a sort of a big table writes temporary files. Queries of the
/// catalog must come before: without sorts they read it whole.
const WALK: &str = "set local enable_sort = off";

/// Rows of a range that is looked at key by key.
const SUSPECT: usize = 1000;

/// Suspect ranges of one look: their keys are in memory, and replay is waited for once for all.
const GROUP: usize = 50;

/// Knows when replay has applied what the provider had.
pub(super) trait Passing {
    /// Waits until replay has passed a tick that is made after this call, and returns the tick; `None` when it does not get there in
    /// time.
    fn pass(&self) -> impl Future<Output = Result<Option<TickId>>> + Send;

    /// Which consumer replay is.
    fn consumer(&self) -> &Consumer;
}

/// One session on each side.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) provider: Db,
    pub(super) subscriber: Db,
    /// Exported snapshots that all queries have; `None`: each query has a snapshot of its own.
    pub(super) snapshots: Option<[String; 2]>,
}

impl Sessions {
    pub(super) async fn open(context: Context<'_>) -> Result<Sessions> {
        let (provider, subscriber) = (context.provider().await?, context.subscriber().await?);
        Ok(Sessions { provider, subscriber, snapshots: None })
    }
}

/// What both sides have: rows, and the sums of one half of their hashes modulo 2^64.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) rows: [u64; 2],
    pub(super) sums: [u64; 2],
}

impl Sums {
    /// The totals of one part, by what its query says of each side.
    pub(super) fn of(rows: [u64; 2], sums: [&str; 2]) -> Sums {
        let half = |sums: &str| sums.split(' ').next().and_then(|sum| sum.parse::<i128>().ok()).unwrap_or(0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^64")]
        Sums { rows, sums: sums.map(|sums| half(sums) as u64) }
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, more: Sums) {
        for nr in [0, 1] {
            self.rows[nr] += more.rows[nr];
            self.sums[nr] = self.sums[nr].wrapping_add(more.sums[nr]);
        }
    }
}

/// How much was read: of the two sides the one that had more counts.
#[derive(Debug, Default)]
pub(super) struct Amount {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Amount {
    /// The rows, and the bytes of their text.
    pub(super) fn get(&self) -> [u64; 2] {
        [&self.rows, &self.bytes].map(|number| number.load(Ordering::Relaxed))
    }

    fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds rows of which only the number is known.
    fn add_rows(&self, rows: u64) {
        let [all, bytes] = self.get();
        self.add(rows, bytes.checked_div(all).unwrap_or(0).saturating_mul(rows));
    }
}

/// What is done with rows that differ.
pub(super) trait Settle {
    /// Takes rows that differ for good: replay has passed the tick, which was made after the first of two looks at which both sides
    /// were what they are. Returns those that are to be looked at again.
    async fn settle(&mut self, rows: Looks, passed: TickId) -> Result<Looks>;
}

/// How many rows a table has, and how many of them changed each time they were looked at.
#[derive(Debug, Default, Serialize)]
pub(super) struct Totals {
    pub(super) provider_rows: u64,
    pub(super) subscriber_rows: u64,
    pub(super) unverified: u64,
}

/// Rows by their keys, as both sides have them.
pub(super) type Looks = BTreeMap<RowText, [Option<Seen>; 2]>;

/// A row at a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) hash: Option<RawText>,
    /// What every change of the row makes another.
    pub(super) version: Option<RawText>,
}

/// What differs in a range of keys.
pub(super) struct DifferingRange {
    /// The first and the last key that one of the sides has.
    pub(super) ends: [RowText; 2],
    /// How many rows each side has.
    pub(super) rows: [u64; 2],
    /// The keys whose row only one side has, or whose rows differ.
    pub(super) differing: Vec<RowText>,
}

/// The work of one pair of sessions on one table.
pub(super) struct RangeWalk<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) compared: &'a ComparedTable,
    pub(super) fingerprint: Fingerprint,
    /// How long to wait for a lock of the table; `None`: without a limit.
    pub(super) lock_wait: Option<Duration>,
    pub(super) read: &'a Amount,
}

impl RangeWalk<'_> {
    /// The part of the range with the provider's first `rows` rows, and the rest if there is one.
    pub(super) async fn cut(&self, range: KeyRange, rows: usize) -> Result<(KeyRange, Option<KeyRange>)> {
        self.cut_on(0, range, rows).await
    }

    async fn cut_on(&self, nr: usize, range: KeyRange, rows: usize) -> Result<(KeyRange, Option<KeyRange>)> {
        let found = self.read(nr, self.side(nr).1.cut_sql(&range, rows), &[]).await?;
        let Some(key) = found.into_iter().next() else { return Ok((range, None)) };
        let first = KeyRange { after: range.after, to: Some(key.clone()) };
        Ok((first, Some(KeyRange { after: Some(key), to: range.to })))
    }

    /// Hashes the range on both sides; what differs in it goes to `suspects`, in ranges of at most about [`SUSPECT`] rows. Returns the
    /// number of rows on both sides.
    pub(super) async fn sort_out(&self, range: KeyRange, suspects: &mut Vec<KeyRange>) -> Result<[u64; 2]> {
        Ok(self.hash_and_sort_out(range, suspects).await?.rows)
    }

    /// As [`RangeWalk::sort_out`], with the sums of the range.
    pub(super) async fn hash_and_sort_out(&self, range: KeyRange, suspects: &mut Vec<KeyRange>) -> Result<Sums> {
        let (totals, equal) = self.hash(&range).await?;
        if equal {
            return Ok(totals);
        }
        let rows = totals.rows;
        let mut open = vec![(range, rows)];
        while let Some((range, rows)) = open.pop() {
            if rows[0].max(rows[1]) <= SUSPECT as u64 {
                suspects.push(range);
                continue;
            }
            // The side that has more rows makes the cuts.
            let nr = usize::from(rows[0] < rows[1]);
            let mut rest = Some(range);
            while let Some(range) = rest.take() {
                let (first, more) = self.cut_on(nr, range, SUSPECT).await?;
                let (Sums { rows, .. }, equal) = self.hash(&first).await?;
                match (equal, &more) {
                    (true, _) => {}
                    // The rest of a range that cannot be cut: rows came meanwhile.
                    (false, None) if rows[0].max(rows[1]) <= 4 * SUSPECT as u64 => suspects.push(first),
                    (false, _) => open.push((first, rows)),
                }
                rest = more;
            }
        }
        Ok(totals)
    }

    /// The totals of the range, and whether they are equal.
    async fn hash(&self, range: &KeyRange) -> Result<(Sums, bool)> {
        let sum = async |nr: usize| {
            let (side, tx) = (self.side(nr).1, self.snapshot(nr).await?);
            let row = tx
                .query_one("hash a range of a table", side.sums_sql(range, self.fingerprint), &[])
                .await
                .map_err(|e| e.about(format!("table {}", self.compared.name)))?;
            tx.rollback("end the snapshot").await?;
            let (rows, sums, bytes): (i64, String, i64) = (row.get(0), row.get(1), row.get(2));
            Ok((rows.unsigned_abs(), sums, bytes.unsigned_abs()))
        };
        let (theirs, ours) = join(sum(0), sum(1)).await;
        let (theirs, ours): ((u64, String, u64), (u64, String, u64)) = (theirs?, ours?);
        self.read.add(theirs.0.max(ours.0), theirs.2.max(ours.2));
        let equal = theirs.0 == ours.0 && theirs.1 == ours.1;
        Ok((Sums::of([theirs.0, ours.0], [&theirs.1, &ours.1]), equal))
    }

    /// The rows of a query on one side, the provider if `nr` is 0.
    pub(super) async fn read(&self, nr: usize, sql: Sql, params: &[Param<'_>]) -> Result<Vec<RowText>> {
        let tx = self.snapshot(nr).await?;
        let rows = tx
            .query("read a table", sql, params)
            .await
            .map_err(|e| e.about(format!("table {}", self.compared.name)))?;
        tx.rollback("end the snapshot").await?;
        rows.iter().map(|row| values(self.side(nr).0, row)).collect()
    }

    /// What differs in a range, while both sides have one snapshot for all queries.
    pub(super) async fn differing(&self, range: &KeyRange) -> Result<DifferingRange> {
        let mut all = Looks::new();
        for nr in [0, 1] {
            self.add_range(&mut all, nr, range).await?;
        }
        let rows = [0, 1].map(|nr| all.values().filter(|sides| sides[nr].is_some()).count() as u64);
        let keys: Vec<RowText> = all.iter().filter(|(_, sides)| differ(sides)).map(|(key, _)| key.clone()).collect();
        let mut look = Looks::new();
        for nr in [0, 1] {
            self.add_keys(&mut look, nr, &keys).await?;
        }
        look.retain(|key, sides| differ(sides) && is_of_range(all.get(key), sides));
        let order = |a: &RowText, b: &RowText| self.compared.order(a, b);
        let mut differing: Vec<RowText> = look.into_keys().collect();
        differing.sort_by(order);
        let ends = [all.keys().min_by(|a, b| order(a, b)), all.keys().max_by(|a, b| order(a, b))];
        Ok(DifferingRange { ends: ends.map(|end| end.cloned().unwrap_or_default()), rows, differing })
    }

    /// Steps 2 to 4 for some ranges, with at most so many looks at a key. What has grown too big for a look meanwhile goes back to `suspects`. Returns the number of rows
    /// that are not verified.
    pub(super) async fn look(
        &self,
        replay: &impl Passing,
        looks: usize,
        suspects: &mut Vec<KeyRange>,
        settle: &mut impl Settle,
    ) -> Result<u64> {
        let mut looked = Vec::new();
        for range in suspects.split_off(suspects.len().saturating_sub(GROUP)) {
            let mut look = Looks::new();
            if self.add_range(&mut look, 0, &range).await? {
                looked.push((range, look));
            } else {
                self.sort_out(range, suspects).await?;
            }
        }
        let mut is_passed = replay.pass().await?.is_some();
        let mut open = Looks::new();
        for (range, mut look) in looked {
            if self.add_range(&mut look, 1, &range).await? {
                open.extend(look.extract_if(.., |_, sides| differ(sides)));
            } else {
                self.sort_out(range, suspects).await?;
            }
        }
        for _ in 0..looks {
            if open.is_empty() || !is_passed {
                break;
            }
            let keys: Vec<RowText> = open.keys().cloned().collect();
            let mut look = Looks::new();
            self.add_keys(&mut look, 0, &keys).await?;
            let passed = replay.pass().await?;
            self.add_keys(&mut look, 1, &keys).await?;
            look.retain(|key, sides| differ(sides) && is_of_range(open.get(key), sides));
            if let Some(tick) = passed {
                let stay: Looks = look.extract_if(.., |key, sides| open.get(key) == Some(&*sides)).collect();
                look.append(&mut settle.settle(stay, tick).await?);
            }
            (open, is_passed) = (look, passed.is_some());
        }
        if is_passed && !open.is_empty() {
            self.compare_at_a_tick(replay.consumer(), &mut open, settle).await?;
        }
        Ok(open.len() as u64)
    }

    /// Reads one side of the range; `false` when it has too many rows.
    async fn add_range(&self, look: &mut Looks, nr: usize, range: &KeyRange) -> Result<bool> {
        let side = self.side(nr).1;
        let most = 20 * SUSPECT;
        let rows = self.read(nr, side.versions_sql(range, self.fingerprint, most), &[]).await?;
        let is_whole = rows.len() < most;
        self.add(look, nr, rows);
        Ok(is_whole)
    }

    /// Reads the rows of these keys on one side.
    async fn add_keys(&self, look: &mut Looks, nr: usize, keys: &[RowText]) -> Result<()> {
        let side = self.side(nr).1;
        for keys in keys.chunks(SUSPECT) {
            let columns = key_columns(self.compared, keys);
            let params: Vec<Param<'_>> = columns.iter().map(text_array).collect();
            let sql = side.versions_by_key_sql(&self.compared.columns, self.fingerprint);
            self.add(look, nr, self.read(nr, sql, &params).await?);
        }
        Ok(())
    }

    /// Adds rows of one side, which end with hash and version.
    fn add(&self, look: &mut Looks, nr: usize, rows: Vec<RowText>) {
        if nr == 0 {
            self.read.add_rows(rows.len() as u64);
        }
        for mut row in rows {
            let (version, hash) = (row.pop().flatten(), row.pop().flatten());
            look.entry(self.compared.normal_key(row)).or_default()[nr] = Some(Seen { hash, version });
        }
    }

    /// A snapshot for one query on one side.
    async fn snapshot(&self, nr: usize) -> Result<Tx<'_>> {
        let tx = self.side(nr).0.begin("take a snapshot", "begin isolation level repeatable read read only").await?;
        if let Some(snapshots) = &self.sessions.snapshots {
            let sql = sql!("set transaction snapshot {id}", id = Sql::literal(&snapshots[nr]));
            tx.batch("take a snapshot", sql).await?;
        }
        tx.batch("take a snapshot", PIN).await?;
        tx.batch("read a table", WALK).await?;
        if self.lock_wait.is_some() {
            tx.limit_lock_wait(self.lock_wait).await?;
        }
        Ok(tx)
    }

    /// Provider or subscriber.
    pub(super) fn side(&self, nr: usize) -> (&Db, &Side) {
        match nr {
            0 => (&self.sessions.provider, &self.compared.provider),
            _ => (&self.sessions.subscriber, &self.compared.subscriber),
        }
    }
}

pub(super) fn differ([theirs, ours]: &[Option<Seen>; 2]) -> bool {
    theirs.as_ref().map(|seen| &seen.hash) != ours.as_ref().map(|seen| &seen.hash)
}

/// Whether a key is looked at where it was found. Where the orders of the two sides differ, a key may be in one range here and in
/// another there: the range in which the provider has it has to do with it.
fn is_of_range(found: Option<&[Option<Seen>; 2]>, now: &[Option<Seen>; 2]) -> bool {
    found.is_some_and(|found| found[0].is_some() || now[0].is_none())
}
