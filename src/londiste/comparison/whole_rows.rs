//! Tables without a key that is unique on both sides: a row is told by all its columns, and both sides must have the same number of
//! copies of it.
//!
//! 1. One query of each side puts the rows into buckets by their hash, and sums up the hashes of each. Buckets with equal sums are
//!    done.
//! 2. Of the other buckets the text of each row is read, with the number and the versions of its copies. From there on the steps are
//!    those of [`range_walk`](super::range_walk): copies of a row differ for good when both sides have the same versions of them as
//!    at the look before. A row that is written each time it is looked at is not verified.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join;

use crate::error::Result;
use crate::pg::{RawText, Sql, sql};

use super::fingerprint::Fingerprint;
use super::range_walk::{Looks, Passing, RangeWalk, Seen, Settle, Sums, differ};
use super::rows::{RowText, Side};

/// Buckets of the first query.
const BUCKETS: u64 = 4096;

/// Into how many parts a bucket is cut that has too many rows.
const FINER: u64 = 64;

/// Rows of buckets that are looked at together, and the most different rows that a look may have: they are in memory.
const LOOKED_AT: u64 = 50_000;
const MOST: usize = 200_000;

/// Some of the buckets.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    /// How many buckets there are.
    of: u64,
    numbers: Vec<u64>,
}

/// Compares the copies of rows, in the place of a walk by key.
pub(super) struct WholeRows<'a> {
    pub(super) walk: RangeWalk<'a>,
}

impl WholeRows<'_> {
    /// Sums up all rows of both sides; what differs goes to `suspects`.
    pub(super) async fn hash(&self, suspects: &mut Vec<Buckets>) -> Result<Sums> {
        self.sort_out(None, suspects).await
    }

    async fn sort_out(&self, within: Option<&Buckets>, suspects: &mut Vec<Buckets>) -> Result<Sums> {
        let of = within.map_or(BUCKETS, |within| within.of * FINER);
        let sums = async |nr: usize, side: &Side| {
            let rows = self.walk.read(nr, side.bucket_sums_sql(within, of, self.walk.fingerprint), &[]).await?;
            let entry = |row: RowText| {
                let mut texts = row.into_iter().map(|value| value.map(|text| text.to_string()).unwrap_or_default());
                let mut number = || texts.next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
                let (bucket, rows) = (number(), number());
                (bucket, (rows, texts.next().unwrap_or_default()))
            };
            Ok(rows.into_iter().map(entry).collect::<BTreeMap<u64, (u64, String)>>())
        };
        let compared = self.walk.compared;
        let (theirs, ours) = try_join(sums(0, &compared.provider), sums(1, &compared.subscriber)).await?;
        let (mut totals, mut rows_of_last) = (Sums::default(), u64::MAX);
        let none = (0, String::new());
        for bucket in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
            let [theirs, ours] = [&theirs, &ours].map(|side| side.get(bucket).unwrap_or(&none));
            totals += Sums::of([theirs.0, ours.0], [&theirs.1, &ours.1]);
            if theirs == ours {
                continue;
            }
            rows_of_last = rows_of_last.saturating_add(theirs.0.max(ours.0));
            match suspects.last_mut() {
                Some(last) if rows_of_last <= LOOKED_AT => last.numbers.push(*bucket),
                _ => {
                    rows_of_last = theirs.0.max(ours.0);
                    suspects.push(Buckets { of, numbers: vec![*bucket] });
                }
            }
        }
        Ok(totals)
    }

    /// Adds the copies of rows on one side, the provider if `nr` is 0; `false` when there are too many different rows.
    async fn add(&self, look: &mut Looks, nr: usize, buckets: &Buckets) -> Result<bool> {
        let compared = self.walk.compared;
        let side = if nr == 0 { &compared.provider } else { &compared.subscriber };
        let rows = self.walk.read(nr, side.copies_sql(buckets, self.walk.fingerprint), &[]).await?;
        let is_whole = rows.len() < MOST;
        for mut row in rows {
            let (versions, copies) = (row.pop().flatten(), row.pop().flatten());
            look.entry(row).or_default()[nr] = Some(Seen { hash: copies, version: versions });
        }
        Ok(is_whole)
    }

    /// The rows with the number of their copies, where it differs, while both sides have one snapshot for all queries.
    pub(super) async fn differing(&self, mut suspects: Vec<Buckets>) -> Result<Vec<DifferingCopies>> {
        let mut list = Vec::new();
        while let Some(buckets) = suspects.pop() {
            let mut look = Looks::new();
            if self.add(&mut look, 0, &buckets).await? && self.add(&mut look, 1, &buckets).await? {
                look.retain(|_, sides| differ(sides));
                list.extend(look.into_iter().map(|(row, sides)| DifferingCopies { row, copies: copies(&sides) }));
            } else {
                self.sort_out(Some(&buckets), &mut suspects).await?;
            }
        }
        list.sort_by(|a, b| a.row.cmp(&b.row));
        Ok(list)
    }

    /// Looks at some buckets of `suspects`. Returns the number of rows that are not verified.
    pub(super) async fn look(
        &self,
        replay: &impl Passing,
        looks: usize,
        suspects: &mut Vec<Buckets>,
        settle: &mut impl Settle,
    ) -> Result<u64> {
        let Some(buckets) = suspects.pop() else { return Ok(0) };
        let mut before: Option<Looks> = None;
        for _ in 0..looks {
            let mut look = Looks::new();
            let has_theirs = self.add(&mut look, 0, &buckets).await?;
            let passed = replay.pass().await?;
            if !has_theirs || !self.add(&mut look, 1, &buckets).await? {
                self.sort_out(Some(&buckets), suspects).await?;
                return Ok(0);
            }
            // Rows that came after the first look are not what was asked for.
            look.retain(|row, sides| differ(sides) && before.as_ref().is_none_or(|before| before.contains_key(row)));
            if let (Some(before), Some(tick)) = (&before, passed) {
                let stay: Looks = look.extract_if(.., |row, sides| before.get(row) == Some(&*sides)).collect();
                look.append(&mut settle.settle(stay, tick).await?);
            }
            let is_done = look.is_empty();
            before = Some(look);
            if is_done || passed.is_none() {
                break;
            }
        }
        Ok(before.map_or(0, |look| look.len() as u64))
    }
}

/// A row of which the two sides do not have the same number of copies.
pub(super) struct DifferingCopies {
    /// The text of the row, as one value.
    pub(super) row: RowText,
    pub(super) copies: [u64; 2],
}

/// How many copies of a row the sides have, by looks of [`WholeRows`].
pub(super) fn copies(sides: &[Option<Seen>; 2]) -> [u64; 2] {
    sides.each_ref().map(|side| {
        let copies = side.as_ref().and_then(|seen| seen.hash.as_ref());
        copies.and_then(RawText::as_str).and_then(|text| text.parse().ok()).unwrap_or(0)
    })
}

impl Side {
    /// The query for the number of each bucket with its number of rows and the sums of the halves of their hashes, all as text.
    fn bucket_sums_sql(&self, within: Option<&Buckets>, of: u64, fingerprint: Fingerprint) -> Sql {
        sql!(
            "select bucket::text, pg_catalog.count(*)::text, \
                    pg_catalog.concat(pg_catalog.sum(high), ' ', pg_catalog.sum(low)) \
             from (select high, low, (high & 9223372036854775807) % {of} as bucket from {hashed} where {within}) numbered \
             group by bucket",
            of = of,
            hashed = self.hashed_sql(fingerprint),
            within = within.map_or_else(|| Sql::from("true"), Buckets::condition)
        )
    }

    /// The query for the text of the rows in some buckets, each with the number of its copies and a hash of their versions.
    fn copies_sql(&self, buckets: &Buckets, fingerprint: Fingerprint) -> Sql {
        sql!(
            "select line, pg_catalog.count(*)::text, {version} from {hashed} where {within} group by line limit {most}",
            version = Side::version_of_copies(),
            hashed = self.hashed_sql(fingerprint),
            within = buckets.condition(),
            most = MOST
        )
    }

    fn hashed_sql(&self, fingerprint: Fingerprint) -> Sql {
        let [high, low] = fingerprint.halves(&Sql::from("h"));
        sql!(
            "(select line, version, {high} as high, {low} as low \
              from (select line, version, {material} as h \
                    from (select {row} as line, {version} as version from {source} t offset 0) read offset 0) hashed offset 0) rows",
            high = high,
            low = low,
            material = fingerprint.material(&Sql::from("line")),
            row = self.row_text(),
            version = Side::version(),
            source = &self.source
        )
    }
}

impl Buckets {
    fn condition(&self) -> Sql {
        let numbers = Sql::join(self.numbers.iter().map(|number| sql!("{number}", number = *number)), ", ");
        sql!("(high & 9223372036854775807) % {of} in ({numbers})", of = self.of, numbers = numbers)
    }
}
