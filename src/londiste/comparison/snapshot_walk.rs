//! [`range_walk`](super::range_walk) in the snapshots of a sync point: what differs there differs for good.

use crate::error::Result;
use crate::pg::Db;

use super::super::context::Context;
use super::fingerprint::Fingerprint;
use super::key_range::KeyRange;
use super::progress::Progress;
use super::range_walk::{Amount, DifferingRange, RangeWalk, Sessions, Sums};
use super::rows::ComparedTable;
use super::sync_point::SyncPoint;
use super::whole_rows::{DifferingCopies, WholeRows};

/// Rows of a range that is hashed at once: a second or so for rows of usual width.
const HASHED: usize = 50_000;

/// What differs in one part of a table.
pub(super) enum Part {
    /// Rows that have neighbouring keys.
    Range(DifferingRange),
    /// Rows of a table without a key.
    Copies(Vec<DifferingCopies>),
}

/// The way through one table.
pub(super) struct SnapshotWalk<'a> {
    context: Context<'a>,
    compared: &'a ComparedTable,
    sessions: &'a Sessions,
    fingerprint: Fingerprint,
    read: Amount,
    progress: Progress,
    /// What is not hashed yet; `None` at the end.
    rest: Option<KeyRange>,
    /// Ranges with differences that are not read yet.
    suspects: Vec<KeyRange>,
    /// What both sides have up to here.
    pub(super) totals: Sums,
}

impl<'a> SnapshotWalk<'a> {
    /// Lets the sessions have the snapshots of the sync point.
    pub(super) async fn open(
        context: Context<'a>,
        point: &SyncPoint<'_>,
        compared: &'a ComparedTable,
        sessions: &'a mut Sessions,
    ) -> Result<SnapshotWalk<'a>> {
        let progress = Progress::of(&point.provider, &compared.name).await?;
        sessions.snapshots = Some([export(&point.provider).await?, export(&point.subscriber).await?]);
        Ok(SnapshotWalk {
            context,
            compared,
            sessions,
            fingerprint: Fingerprint::of(&point.provider, &point.subscriber).await?,
            read: Amount::default(),
            progress,
            rest: Some(KeyRange::default()),
            suspects: Vec::new(),
            totals: Sums::default(),
        })
    }

    /// The next part in which rows differ, in the order of the provider's key; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Part>> {
        let walk = RangeWalk {
            sessions: self.sessions,
            compared: self.compared,
            fingerprint: self.fingerprint,
            lock_wait: None,
            read: &self.read,
        };
        loop {
            self.context.proceed()?;
            if let Some(suspect) = self.suspects.pop() {
                let found = walk.differing(&suspect).await?;
                if !found.differing.is_empty() {
                    return Ok(Some(Part::Range(found)));
                }
                continue;
            }
            let Some(range) = self.rest.take() else { return Ok(None) };
            if self.compared.key_len == 0 {
                let (rows, mut suspects) = (WholeRows { walk }, Vec::new());
                self.totals = rows.hash(&mut suspects).await?;
                let found = rows.differing(suspects).await?;
                return Ok((!found.is_empty()).then_some(Part::Copies(found)));
            }
            let (first, more) = walk.cut(range, HASHED).await?;
            let sums = walk.hash_and_sort_out(first, &mut self.suspects).await?;
            self.suspects.reverse();
            self.totals += sums;
            self.progress.add(sums.rows);
            self.rest = more;
        }
    }
}

/// Lets other sessions have the snapshot of an open transaction, until it ends.
async fn export(tx: &Db) -> Result<String> {
    Ok(tx.query_one("take a snapshot", "select pg_catalog.pg_export_snapshot()", &[]).await?.get(0))
}
