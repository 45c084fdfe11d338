//! Proof that both sides of a table are equal, or which rows are not, while writers and replay go on, without a lock.
//!
//! 1. The keys are cut into ranges, and the servers hash the rows of each, both sides at once. Ranges with equal sums are done;
//!    the others are cut until they have at most [`SUSPECT`] rows.
//! 2. What is left is looked at: the rows of the provider are read, replay is waited for until it has passed a tick made after that,
//!    and the rows of the subscriber are read.
//! 3. A key with equal rows is done. One with different rows is looked at again, alone, and differs for good when both rows are the same
//!    versions as at the look before: the provider's row did not change between its two looks, so the subscriber's, which has every
//!    change before the first of them and did not change either, is not what replay would have made.
//! 4. A key whose rows change between any two looks is not verified, which is never counted as equal.

use std::collections::BTreeMap;

use futures_util::future::{join, try_join_all};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::error::Result;
use crate::pg::{Db, Param, RawText, Sql, text_array};
use crate::pgq::TickId;

use super::super::context::Context;
use super::arguments::Lag;
use super::fingerprint::Fingerprint;
use super::key_range::KeyRange;
use super::rows::{ComparedTable, PIN, RowText, Side, Subject, key_columns, values};
use super::sync_point::SyncPoints;
use super::walk::WALK;

/// Rows of a range that is hashed at once: a second or so for rows of usual width.
const RANGE: usize = 50_000;

/// Rows of a range that is looked at key by key.
const SUSPECT: usize = 1000;

/// Suspect ranges of one look: their keys are in memory, and replay is waited for once for all.
const GROUP: usize = 50;

/// After so many looks a key that changes each time is not verified.
const LOOKS: usize = 30;

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

/// The sessions by which tables are compared.
pub(super) struct Online<'a> {
    context: Context<'a>,
    points: SyncPoints<'a>,
    pairs: Vec<Sessions>,
}

/// One session on each side.
struct Sessions {
    provider: Db,
    subscriber: Db,
}

impl<'a> Online<'a> {
    /// Opens `jobs` pairs of sessions, and one more for the looks; `None` when the consumer is not registered, which is logged.
    pub(super) async fn open(context: Context<'a>, lag: Lag, jobs: u32) -> Result<Option<Online<'a>>> {
        let points = SyncPoints::open(context, lag).await?;
        if !points.is_registered().await? {
            return Ok(None);
        }
        let sessions =
            async |_| Ok(Sessions { provider: context.provider().await?, subscriber: context.subscriber().await? });
        let pairs = try_join_all((0..jobs.max(1)).map(sessions)).await?;
        Ok(Some(Online { context, points, pairs }))
    }

    /// The sessions that no look uses, provider and subscriber.
    pub(super) fn sessions(&self) -> (&Db, &Db) {
        (self.points.provider(), self.points.subscriber())
    }

    /// Goes through a table, and has those rows settled that differ.
    pub(super) async fn examine(
        &self,
        table: &Subject,
        compared: &ComparedTable,
        settle: &mut impl Settle,
    ) -> Result<Totals> {
        let fingerprint = Fingerprint::of(self.points.provider(), self.points.subscriber()).await?;
        let cutter = Mutex::new(Some(KeyRange::default()));
        let done = try_join_all(self.pairs.iter().map(async |sessions| {
            let walk = Walk { sessions, compared, fingerprint };
            let (mut sums, mut suspects) = ([0, 0], Vec::new());
            while let Some(range) = walk.next_range(&cutter).await? {
                let rows = walk.sort_out(range, &mut suspects).await?;
                sums = [sums[0] + rows[0], sums[1] + rows[1]];
                self.context.proceed()?;
            }
            Ok((sums, suspects))
        }))
        .await?;
        let mut totals = Totals::default();
        let mut suspects = Vec::new();
        for (rows, found) in done {
            totals.provider_rows += rows[0];
            totals.subscriber_rows += rows[1];
            suspects.extend(found);
        }
        let walk = Walk { sessions: &self.pairs[0], compared, fingerprint };
        while !suspects.is_empty() {
            self.context.proceed()?;
            totals.unverified += walk.look(table, &self.points, &mut suspects, settle).await?;
        }
        Ok(totals)
    }
}

/// Rows by their keys, as both sides have them.
pub(super) type Looks = BTreeMap<RowText, [Option<Seen>; 2]>;

/// A row at a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    hash: Option<RawText>,
    /// What every change of the row makes another.
    pub(super) version: Option<RawText>,
}

/// The work of one pair of sessions on one table.
struct Walk<'a> {
    sessions: &'a Sessions,
    compared: &'a ComparedTable,
    fingerprint: Fingerprint,
}

impl Walk<'_> {
    /// Cuts the next range off.
    async fn next_range(&self, rest: &Mutex<Option<KeyRange>>) -> Result<Option<KeyRange>> {
        let mut rest = rest.lock().await;
        let Some(range) = rest.take() else { return Ok(None) };
        let (first, more) = self.cut(&self.sessions.provider, &self.compared.provider, range, RANGE).await?;
        *rest = more;
        Ok(Some(first))
    }

    /// The part of the range with its first `rows` rows, and the rest if there is one.
    async fn cut(&self, db: &Db, side: &Side, range: KeyRange, rows: usize) -> Result<(KeyRange, Option<KeyRange>)> {
        let found = self.read(db, side.cut_sql(&range, rows), &[]).await?;
        let Some(key) = found.into_iter().next() else { return Ok((range, None)) };
        let first = KeyRange { after: range.after, to: Some(key.clone()) };
        Ok((first, Some(KeyRange { after: Some(key), to: range.to })))
    }

    /// Hashes the range on both sides; what differs in it goes to `suspects`, in ranges of at most about [`SUSPECT`] rows. Returns the
    /// number of rows on both sides.
    async fn sort_out(&self, range: KeyRange, suspects: &mut Vec<KeyRange>) -> Result<[u64; 2]> {
        let (rows, equal) = self.hash(&range).await?;
        if equal {
            return Ok(rows);
        }
        let mut open = vec![(range, rows)];
        while let Some((range, rows)) = open.pop() {
            if rows[0].max(rows[1]) <= SUSPECT as u64 {
                suspects.push(range);
                continue;
            }
            // The side that has more rows makes the cuts.
            let (db, side) = if rows[0] >= rows[1] {
                (&self.sessions.provider, &self.compared.provider)
            } else {
                (&self.sessions.subscriber, &self.compared.subscriber)
            };
            let mut rest = Some(range);
            while let Some(range) = rest.take() {
                let (first, more) = self.cut(db, side, range, SUSPECT).await?;
                let (rows, equal) = self.hash(&first).await?;
                match (equal, &more) {
                    (true, _) => {}
                    // The rest of a range that cannot be cut: rows came meanwhile.
                    (false, None) if rows[0].max(rows[1]) <= 4 * SUSPECT as u64 => suspects.push(first),
                    (false, _) => open.push((first, rows)),
                }
                rest = more;
            }
        }
        Ok(rows)
    }

    /// The number of rows of the range on both sides, and whether their sums are equal.
    async fn hash(&self, range: &KeyRange) -> Result<([u64; 2], bool)> {
        let sum = async |db: &Db, side: &Side| {
            let tx = begin(db).await?;
            let row = tx
                .query_one("hash a range of a table", side.sums_sql(range, self.fingerprint), &[])
                .await
                .map_err(|e| e.about(format!("table {}", self.compared.name)))?;
            tx.rollback("end the snapshot").await?;
            let (rows, sums): (i64, String) = (row.get(0), row.get(1));
            Ok((rows.unsigned_abs(), sums))
        };
        let (theirs, ours) = join(
            sum(&self.sessions.provider, &self.compared.provider),
            sum(&self.sessions.subscriber, &self.compared.subscriber),
        )
        .await;
        let (theirs, ours): ((u64, String), (u64, String)) = (theirs?, ours?);
        Ok(([theirs.0, ours.0], theirs == ours))
    }

    async fn read(&self, db: &Db, sql: Sql, params: &[Param<'_>]) -> Result<Vec<RowText>> {
        let tx = begin(db).await?;
        let rows = tx
            .query("read a table", sql, params)
            .await
            .map_err(|e| e.about(format!("table {}", self.compared.name)))?;
        tx.rollback("end the snapshot").await?;
        rows.iter().map(|row| values(db, row)).collect()
    }

    /// Steps 2 to 4 for some ranges. What has grown too big for a look meanwhile goes back to `suspects`. Returns the number of rows
    /// that are not verified.
    async fn look(
        &self,
        table: &Subject,
        points: &SyncPoints<'_>,
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
        let mut is_passed = points.pass(table).await?.is_some();
        let mut open = Looks::new();
        for (range, mut look) in looked {
            if self.add_range(&mut look, 1, &range).await? {
                open.extend(look.extract_if(.., |_, sides| differ(sides)));
            } else {
                self.sort_out(range, suspects).await?;
            }
        }
        for _ in 0..LOOKS {
            if open.is_empty() || !is_passed {
                break;
            }
            let keys: Vec<RowText> = open.keys().cloned().collect();
            let mut look = Looks::new();
            self.add_keys(&mut look, 0, &keys).await?;
            let passed = points.pass(table).await?;
            self.add_keys(&mut look, 1, &keys).await?;
            look.retain(|_, sides| differ(sides));
            if let Some(tick) = passed {
                let stay: Looks = look.extract_if(.., |key, sides| open.get(key) == Some(&*sides)).collect();
                look.append(&mut settle.settle(stay, tick).await?);
            }
            (open, is_passed) = (look, passed.is_some());
        }
        Ok(open.len() as u64)
    }

    /// Reads one side of the range; `false` when it has too many rows.
    async fn add_range(&self, look: &mut Looks, nr: usize, range: &KeyRange) -> Result<bool> {
        let (db, side) = self.side(nr);
        let most = 20 * SUSPECT;
        let rows = self.read(db, side.versions_sql(range, self.fingerprint, most), &[]).await?;
        let is_whole = rows.len() < most;
        add(look, nr, rows);
        Ok(is_whole)
    }

    /// Reads the rows of these keys on one side.
    async fn add_keys(&self, look: &mut Looks, nr: usize, keys: &[RowText]) -> Result<()> {
        let (db, side) = self.side(nr);
        for keys in keys.chunks(SUSPECT) {
            let columns = key_columns(self.compared, keys);
            let params: Vec<Param<'_>> = columns.iter().map(text_array).collect();
            let sql = side.versions_by_key_sql(&self.compared.columns, self.fingerprint);
            add(look, nr, self.read(db, sql, &params).await?);
        }
        Ok(())
    }

    /// Provider or subscriber.
    fn side(&self, nr: usize) -> (&Db, &Side) {
        match nr {
            0 => (&self.sessions.provider, &self.compared.provider),
            _ => (&self.sessions.subscriber, &self.compared.subscriber),
        }
    }
}

/// Adds rows of [`Side::versions_sql`] of one side.
fn add(look: &mut Looks, nr: usize, rows: Vec<RowText>) {
    for mut row in rows {
        let (version, hash) = (row.pop().flatten(), row.pop().flatten());
        look.entry(row).or_default()[nr] = Some(Seen { hash, version });
    }
}

fn differ([theirs, ours]: &[Option<Seen>; 2]) -> bool {
    theirs.as_ref().map(|seen| &seen.hash) != ours.as_ref().map(|seen| &seen.hash)
}

/// A snapshot for one query.
pub(super) async fn begin(db: &Db) -> Result<crate::pg::Tx<'_>> {
    let tx = db.begin("take a snapshot", "begin isolation level repeatable read read only").await?;
    tx.batch("take a snapshot", PIN).await?;
    tx.batch("read a table", WALK).await?;
    Ok(tx)
}
