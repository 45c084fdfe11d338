//! `compare --online`: proof that both sides are equal while writers and replay go on, without a lock.
//!
//! 1. The keys are cut into ranges, and the servers hash the rows of each, both sides at once. Ranges with equal sums are done;
//!    the others are cut until they have at most [`SUSPECT`] rows.
//! 2. What is left is looked at key by key: the rows of the provider are read, replay is waited for until it has passed a tick
//!    made after that, and the rows of the subscriber are read.
//! 3. A key with equal rows is done. One with different rows is looked at again, and differs for good when both rows are the same
//!    versions as at the look before: the provider's row did not change between its two looks, so the subscriber's, which has every
//!    change before the first of them and did not change either, is not what replay would have made.
//! 4. A key whose rows change between any two looks is not verified, which is never counted as equal.

use std::collections::BTreeMap;

use futures_util::future::{join, try_join_all};
use tokio::sync::Mutex;

use crate::error::Result;
use crate::job::Output;
use crate::pg::{Db, RawText, Sql};

use super::super::context::Context;
use super::arguments::Compare;
use super::fingerprint::Fingerprint;
use super::key_range::KeyRange;
use super::report::{Report, TableReport};
use super::rows::{By, ComparedTable, PIN, RowText, Side, Subject, values};
use super::subject::subjects;
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

/// Compares the tables. The output has the keys that differ. Exit status 1 when a table differs or could not be compared, else 3
/// when a row could not be verified.
pub(super) async fn run(wanted: &Compare, context: Context<'_>) -> Result<Output> {
    let by = if wanted.exact { By::Text } else { By::Value };
    let points = SyncPoints::open(context, wanted.tables.lag).await?;
    if !points.is_close().await? {
        return Ok(Output::none().with_code(3));
    }
    let pairs =
        try_join_all((0..wanted.jobs.max(1)).map(async |_| {
            Ok(Sessions { provider: context.provider().await?, subscriber: context.subscriber().await? })
        }))
        .await?;
    let (tables, mut failed) = subjects(&wanted.tables, context, points.provider(), points.subscriber()).await?;
    let mut report = Report::default();
    for table in tables {
        tracing::info!("Checking {}", table.name);
        let found = compare(&table, by, context, &points, &pairs).await;
        let Some(found) = failed.take(found, [points.provider(), points.subscriber()])? else { continue };
        tracing::info!("srcdb: res = {} rows", found.provider_rows);
        tracing::info!("dstdb: res = {} rows", found.subscriber_rows);
        if found.differs() {
            failed.because(format_args!("{}: Results do not match!", table.name));
        } else if found.unverified > 0 {
            tracing::warn!("{}: {} rows could not be verified", table.name, found.unverified);
        }
        report.tables.push(found);
    }
    let code = if failed.0 {
        1
    } else if report.tables.iter().any(|table| table.unverified > 0) {
        3
    } else {
        0
    };
    Ok(Output::of(&report).with_code(code))
}

/// One session on each side.
struct Sessions {
    provider: Db,
    subscriber: Db,
}

async fn compare(
    table: &Subject,
    by: By,
    context: Context<'_>,
    points: &SyncPoints<'_>,
    pairs: &[Sessions],
) -> Result<TableReport> {
    let compared = ComparedTable::of(points.provider(), points.subscriber(), table, context.queue(), by).await?;
    let fingerprint = Fingerprint::of(points.provider(), points.subscriber()).await?;
    let cutter = Mutex::new(Some(KeyRange::default()));
    let done = try_join_all(pairs.iter().map(async |sessions| {
        let walk = Walk { sessions, compared: &compared, fingerprint };
        let (mut sums, mut suspects) = ([0, 0], Vec::new());
        while let Some(range) = walk.next_range(&cutter).await? {
            let rows = walk.sort_out(range, &mut suspects).await?;
            sums = [sums[0] + rows[0], sums[1] + rows[1]];
            context.proceed()?;
        }
        Ok((sums, suspects))
    }))
    .await?;
    let mut report = TableReport::of(&compared);
    let mut suspects = Vec::new();
    for (rows, found) in done {
        report.provider_rows += rows[0];
        report.subscriber_rows += rows[1];
        suspects.extend(found);
    }
    let walk = Walk { sessions: &pairs[0], compared: &compared, fingerprint };
    while !suspects.is_empty() {
        context.proceed()?;
        walk.look(table, points, &mut suspects, &mut report).await?;
    }
    Ok(report)
}

/// A key with what both sides have of it: the hash and the version of the row.
type Looks = BTreeMap<RowText, Sides>;
type Sides = [Option<(Option<RawText>, Option<RawText>)>; 2];

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
        let found = self.read(db, side.cut_sql(&range, rows)).await?;
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

    async fn read(&self, db: &Db, sql: Sql) -> Result<Vec<RowText>> {
        let tx = begin(db).await?;
        let rows =
            tx.query("read a table", sql, &[]).await.map_err(|e| e.about(format!("table {}", self.compared.name)))?;
        tx.rollback("end the snapshot").await?;
        rows.iter().map(|row| values(db, row)).collect()
    }

    /// Steps 2 to 4 for some ranges. What has grown too big for a look meanwhile goes back to `suspects`.
    async fn look(
        &self,
        table: &Subject,
        points: &SyncPoints<'_>,
        suspects: &mut Vec<KeyRange>,
        report: &mut TableReport,
    ) -> Result<()> {
        let ranges = suspects.split_off(suspects.len().saturating_sub(GROUP));
        let mut open: Vec<(KeyRange, Option<Looks>)> = ranges.into_iter().map(|range| (range, None)).collect();
        let mut looks_left = LOOKS;
        while !open.is_empty() && looks_left > 0 {
            looks_left -= 1;
            let mut looked = Vec::with_capacity(open.len());
            for (range, before) in open {
                let mut look = Looks::new();
                if self.add(&mut look, 0, &range).await? {
                    looked.push((range, before, look));
                } else {
                    self.sort_out(range, suspects).await?;
                }
            }
            let has_passed = points.pass(table).await?;
            open = Vec::new();
            for (range, before, mut look) in looked {
                if !self.add(&mut look, 1, &range).await? {
                    self.sort_out(range, suspects).await?;
                    continue;
                }
                // Rows that came after the first look are not what was asked for.
                look.retain(|key, [theirs, ours]| {
                    hash(theirs.as_ref()) != hash(ours.as_ref())
                        && before.as_ref().is_none_or(|before| before.contains_key(key))
                });
                if has_passed && let Some(before) = before {
                    let stays = |key: &RowText, sides: &mut Sides| before.get(key) == Some(&*sides);
                    report.add(look.extract_if(.., stays).map(|(key, sides)| (key, sides.map(|side| side.is_some()))));
                }
                if !look.is_empty() {
                    open.push((range, Some(look)));
                }
            }
            if !has_passed {
                break;
            }
        }
        report.unverified +=
            open.iter().map(|(_, look)| look.as_ref().map_or(1, |look| look.len() as u64)).sum::<u64>();
        Ok(())
    }

    /// Reads one side of the range; `false` when it has too many rows.
    async fn add(&self, look: &mut Looks, nr: usize, range: &KeyRange) -> Result<bool> {
        let (db, side) = match nr {
            0 => (&self.sessions.provider, &self.compared.provider),
            _ => (&self.sessions.subscriber, &self.compared.subscriber),
        };
        let most = 20 * SUSPECT;
        let rows = self.read(db, side.versions_sql(range, self.fingerprint, most)).await?;
        let is_whole = rows.len() < most;
        for mut row in rows {
            let (version, hash) = (row.pop().flatten(), row.pop().flatten());
            look.entry(row).or_default()[nr] = Some((hash, version));
        }
        Ok(is_whole)
    }
}

fn hash(side: Option<&(Option<RawText>, Option<RawText>)>) -> Option<&RawText> {
    side.and_then(|(hash, _)| hash.as_ref())
}

/// A snapshot for one query.
async fn begin(db: &Db) -> Result<crate::pg::Tx<'_>> {
    let tx = db.begin("take a snapshot", "begin isolation level repeatable read read only").await?;
    tx.batch("take a snapshot", PIN).await?;
    tx.batch("read a table", WALK).await?;
    Ok(tx)
}
