//! One look at one range of a table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::super::copy::Throttle;
use super::super::fingerprint::Fingerprint;
use super::super::key_range::KeyRange;
use super::super::range_walk::{Amount, RangeWalk, Sessions};
use super::super::report::TableReport;
use super::super::rows::ComparedTable;
use super::watch::ReplayWatch;
use crate::error::Result;
use crate::londiste::state::verification::VerifiedRange;
use crate::pgq::consumer::Consumer;

/// Rows of the first query, when it is not known how wide they are.
const FIRST: u64 = 100;

/// The most rows of a query, and about the most bytes.
const MOST_ROWS: u64 = 50_000;
const MOST_BYTES: u64 = 8 << 20;

/// After so many looks a row that changes each time is compared at a tick.
const LOOKS: usize = 5;

/// Rows that differ and are named, of one range.
const NAMED: usize = 10;

/// What a look needs.
pub(super) struct Look<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) compared: &'a ComparedTable,
    pub(super) fingerprint: Fingerprint,
    pub(super) consumer: &'a Consumer,
    pub(super) lock_wait: Option<Duration>,
    pub(super) throttle: &'a Throttle,
    /// Bytes a second, 0 for no limit.
    pub(super) rate: u64,
    pub(super) read: &'a Amount,
}

/// What a look found.
pub(super) enum Looked {
    /// The range, and the rest of it that was not looked at: it had grown too big.
    At(Box<VerifiedRange>, Option<VerifiedRange>),
    /// Replay is behind.
    Later,
}

impl Look<'_> {
    /// Looks at the range, or at about its first `most` rows when it has many more.
    pub(super) async fn at(&self, before: &VerifiedRange, most: u64) -> Result<Looked> {
        let Look { sessions, compared, fingerprint, lock_wait, read, .. } = *self;
        let walk = RangeWalk { sessions, compared, fingerprint, lock_wait, read };
        let started = Instant::now();
        let mut found =
            VerifiedRange { after: before.after.clone(), looked: Some(started), ..VerifiedRange::default() };
        let (mut suspects, mut portion) = (Vec::new(), FIRST);
        let mut rest = Some(KeyRange { after: before.after.clone(), to: before.to.clone() });
        while let Some(range) = rest.take() {
            let goes_on = |rows: u64| rows < most || rows < 2 * most && before.rows.saturating_sub(rows) <= most / 2;
            if !goes_on(found.rows) {
                rest = Some(range);
                break;
            }
            let [_, bytes] = read.get();
            let (piece, more) = walk.cut(range, usize::try_from(portion).unwrap_or(usize::MAX)).await?;
            found.to.clone_from(&piece.to);
            let [rows, _] = walk.sort_out(piece, &mut suspects).await?;
            let bytes = self.pay(bytes).await;
            found.rows += rows;
            found.bytes += bytes;
            let wanted = if self.rate == 0 { MOST_BYTES } else { self.rate.min(MOST_BYTES) };
            portion = (wanted / (found.bytes / found.rows.max(1)).max(1)).clamp(1, MOST_ROWS.min(portion * 10));
            rest = more;
        }
        let replay =
            ReplayWatch { provider: &sessions.provider, consumer: self.consumer, is_behind: AtomicBool::new(false) };
        let mut report = TableReport::of(compared);
        while !suspects.is_empty() {
            let [_, bytes] = read.get();
            let unverified = walk.look(&replay, LOOKS, &mut suspects, &mut report).await?;
            report.totals.unverified += unverified;
            self.pay(bytes).await;
            if replay.is_behind.load(Ordering::Relaxed) {
                return Ok(Looked::Later);
            }
        }
        found.unverified = report.totals.unverified;
        found.differing = report.differing_rows();
        found.examples = report.named(NAMED);
        found.equal = if found.differing == 0 { Some(started) } else { before.equal };
        let rest = rest.map(|range| VerifiedRange {
            after: range.after,
            to: range.to,
            rows: before.rows.saturating_sub(found.rows),
            bytes: before.bytes.saturating_sub(found.bytes),
            examples: Vec::new(),
            ..before.clone()
        });
        Ok(Looked::At(Box::new(found), rest))
    }

    /// Waits until what was read since there were `before` bytes may have been read. Returns their number.
    async fn pay(&self, before: u64) -> u64 {
        let [_, now] = self.read.get();
        let bytes = now - before;
        self.throttle.spend(usize::try_from(bytes).unwrap_or(usize::MAX)).await;
        bytes
    }
}
