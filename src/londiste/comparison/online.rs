//! [`range_walk`](super::range_walk) for a command: several pairs of sessions hash ranges of one table at a time.

use futures_util::future::try_join_all;
use tokio::sync::Mutex;

use crate::error::Result;
use crate::pg::Db;
use crate::pgq::TickId;
use crate::pgq::consumer::Consumer;

use super::super::context::Context;
use super::arguments::Lag;
use super::fingerprint::Fingerprint;
use super::key_range::KeyRange;
use super::progress::Progress;
use super::range_walk::{Amount, Passing, RangeWalk, Sessions, Settle, Totals};
use super::rows::{ComparedTable, Subject};
use super::sync_point::SyncPoints;
use super::whole_rows::WholeRows;

/// Rows of a range that is hashed at once: a second or so for rows of usual width.
const RANGE: usize = 50_000;

/// After so many looks a row that changes each time is compared at a tick.
const LOOKS: usize = 10;

/// Waits with the patience of [`SyncPoints::pass`].
struct Reached<'a> {
    points: &'a SyncPoints<'a>,
    table: &'a Subject,
}

impl Passing for Reached<'_> {
    async fn pass(&self) -> Result<Option<TickId>> {
        self.points.pass(self.table).await
    }

    fn consumer(&self) -> &Consumer {
        self.points.consumer()
    }
}

/// The sessions by which tables are compared.
pub(super) struct Online<'a> {
    context: Context<'a>,
    points: SyncPoints<'a>,
    pairs: Vec<Sessions>,
}

impl<'a> Online<'a> {
    /// Opens `jobs` pairs of sessions, and one more for the looks; `None` when the consumer is not registered, which is logged.
    pub(super) async fn open(context: Context<'a>, lag: Lag, jobs: u32) -> Result<Option<Online<'a>>> {
        let points = SyncPoints::open(context, lag).await?;
        if !points.is_registered().await? {
            return Ok(None);
        }
        let pairs = try_join_all((0..jobs.max(1)).map(|_| Sessions::open(context))).await?;
        Ok(Some(Online { context, points, pairs }))
    }

    pub(super) fn points(&self) -> &SyncPoints<'a> {
        &self.points
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
        if compared.key_len == 0 {
            return self.examine_whole_rows(table, compared, settle).await;
        }
        let fingerprint = Fingerprint::of(self.points.provider(), self.points.subscriber()).await?;
        let progress = Progress::of(self.points.provider(), &compared.name).await?;
        let read = Amount::default();
        let walk = |sessions| RangeWalk { sessions, compared, fingerprint, lock_wait: None, read: &read };
        let cutter = Mutex::new(Some(KeyRange::default()));
        let done = try_join_all(self.pairs.iter().map(async |sessions| {
            let walk = walk(sessions);
            let (mut sums, mut suspects) = ([0, 0], Vec::new());
            while let Some(range) = next_range(&walk, &cutter).await? {
                let rows = walk.sort_out(range, &mut suspects).await?;
                sums = [sums[0] + rows[0], sums[1] + rows[1]];
                progress.add(rows);
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
        let (walk, replay) = (walk(&self.pairs[0]), Reached { points: &self.points, table });
        while !suspects.is_empty() {
            self.context.proceed()?;
            totals.unverified += walk.look(&replay, LOOKS, &mut suspects, settle).await?;
        }
        Ok(totals)
    }

    /// Goes through a table without a key.
    async fn examine_whole_rows(
        &self,
        table: &Subject,
        compared: &ComparedTable,
        settle: &mut impl Settle,
    ) -> Result<Totals> {
        let fingerprint = Fingerprint::of(self.points.provider(), self.points.subscriber()).await?;
        let _shown = Progress::of(self.points.provider(), &compared.name).await?;
        let read = Amount::default();
        let walk = RangeWalk { sessions: &self.pairs[0], compared, fingerprint, lock_wait: None, read: &read };
        let (rows, mut suspects) = (WholeRows { walk }, Vec::new());
        let [provider_rows, subscriber_rows] = rows.hash(&mut suspects).await?.rows;
        let mut totals = Totals { provider_rows, subscriber_rows, unverified: 0 };
        let replay = Reached { points: &self.points, table };
        while !suspects.is_empty() {
            self.context.proceed()?;
            totals.unverified += rows.look(&replay, LOOKS, &mut suspects, settle).await?;
        }
        Ok(totals)
    }
}

/// Cuts the next range off.
async fn next_range(walk: &RangeWalk<'_>, rest: &Mutex<Option<KeyRange>>) -> Result<Option<KeyRange>> {
    let mut rest = rest.lock().await;
    let Some(range) = rest.take() else { return Ok(None) };
    let (first, more) = walk.cut(range, RANGE).await?;
    *rest = more;
    Ok(Some(first))
}
