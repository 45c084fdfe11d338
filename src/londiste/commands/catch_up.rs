//! How long a subscriber needs until it has all changes.

use std::collections::VecDeque;

/// Rates are those of the last so many seconds, or of the last batches when these take longer.
const MINUTE: f64 = 60.0;
const BATCHES: usize = 4;

/// Readings are kept for so many seconds: batches may be long.
const LONGEST: f64 = 600.0;

/// A batch that takes so many times the time of the others did not begin when the one before it ended: the subscriber paused.
const PAUSE: f64 = 3.0;

/// An estimate that may be wrong by more than this part is none.
const MOST_WRONG: f64 = 0.25;

/// Changes that have waited for less than so many seconds belong to the ordinary work of a subscriber that is up to date.
const PROMPT: f64 = 10.0;

/// Seconds until a backlog of events is applied, while others are written: 0 without a backlog, `None` when it does not shrink.
/// Rates are in events a second.
pub(super) fn seconds_to_catch_up(backlog: f64, applied: f64, written: f64) -> Option<f64> {
    if backlog <= 0.0 {
        return Some(0.0);
    }
    let shrinks = applied - written;
    (shrinks > 0.0).then(|| backlog / shrinks).filter(|seconds| seconds.is_finite())
}

/// Where writers and subscriber are, as numbers of the queue's event sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// The newest event.
    pub(super) written: i64,
    /// The newest event before the newest tick.
    pub(super) ticked: i64,
    /// The last event of the last finished batch.
    pub(super) finished: i64,
}

/// What was read of a queue and its subscriber lately.
#[derive(Debug, Default)]
pub(super) struct Course {
    readings: VecDeque<Reading>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: f64,
    reached: Reached,
    /// Up to which event the subscriber has executed events, those of the open batch included.
    applied: i64,
}

impl Course {
    /// Adds a reading; `at` is in seconds on a clock that is never set, `open` the number of executed events of the open batch.
    /// After a minute without a reading, or when the queue's sequence was set back, all begins anew.
    pub(super) fn add(&mut self, at: f64, reached: Reached, open: u64) {
        let fits = |last: &Reading| {
            last.reached.written <= reached.written
                && last.reached.finished <= reached.finished
                && at - last.at < MINUTE
        };
        if !self.readings.back().is_some_and(fits) {
            self.readings.clear();
        }
        if self.readings.back().is_none_or(|last| last.at < at) {
            // A batch that was given up is executed again: that is no progress.
            let before = self.readings.back().map_or(i64::MIN, |last| last.applied);
            let applied = reached.finished.saturating_add_unsigned(open).min(reached.written).max(before);
            self.readings.push_back(Reading { at, reached, applied });
        }
        while self.readings.front().is_some_and(|first| at - first.at > LONGEST) {
            self.readings.pop_front();
        }
    }

    /// Seconds until the subscriber has all changes: 0 when it is up to date, `None` when that cannot be told.
    pub(super) fn estimate(&self) -> Option<f64> {
        let newest = self.readings.back()?;
        if self.is_up_to_date(newest) {
            return Some(0.0);
        }
        let Applied { rate, uncertainty, since_batch } = self.applied(newest)?;
        let written = self.written(newest)?;
        if rate * uncertainty > MOST_WRONG * (rate - written) {
            return None;
        }
        // What the open batch has applied so far is not finished yet.
        let backlog = events(newest.reached.written - newest.applied) - rate * since_batch;
        seconds_to_catch_up(backlog, rate, written)
    }

    /// Whether everything is finished that was in a tick some seconds ago.
    fn is_up_to_date(&self, newest: &Reading) -> bool {
        let before = self.readings.iter().rfind(|reading| newest.at - reading.at >= PROMPT).or(self.readings.front());
        before.is_some_and(|before| newest.reached.finished >= before.reached.ticked)
    }

    /// Events written a second.
    fn written(&self, newest: &Reading) -> Option<f64> {
        let oldest = self.readings.iter().find(|reading| newest.at - reading.at <= MINUTE)?;
        let span = newest.at - oldest.at;
        (span > 0.0).then(|| events(newest.reached.written - oldest.reached.written) / span)
    }

    /// The rate between two readings at which a batch had ended since the reading before: what was before the first of them may
    /// have been a pause.
    fn applied(&self, newest: &Reading) -> Option<Applied> {
        let pairs = || self.readings.iter().zip(self.readings.iter().skip(1));
        let ends: Vec<&Reading> =
            pairs().filter(|(one, next)| next.applied > one.applied).map(|(_, next)| next).collect();
        let last = *ends.last()?;
        let recent = pairs().filter(|(one, _)| newest.at - one.at <= 2.0 * MINUTE);
        let longest_gap = recent.map(|(one, next)| next.at - one.at).fold(0.0, f64::max);
        if let [.., one, two, three] = &*ends
            && three.at - two.at > PAUSE * longest_gap.max(two.at - one.at)
        {
            return None;
        }
        let (mut first, mut count, mut longest) = (last, 0, 0.0_f64);
        for pair in ends.windows(2).rev() {
            let took = pair[1].at - pair[0].at;
            let is_pause = took > PAUSE * longest.max(longest_gap);
            if count > 0 && (is_pause || (newest.at - pair[0].at > MINUTE && count >= BATCHES)) {
                break;
            }
            (first, count, longest) = (pair[0], count + 1, longest.max(took));
        }
        let span = last.at - first.at;
        if span <= 0.0 {
            return None;
        }
        let applied = events(last.applied - first.applied);
        let since_batch = newest.at - last.at;
        // Perhaps nothing is applied any more.
        if since_batch > PAUSE * longest.max(longest_gap) {
            return None;
        }
        // When did the first and the last batch end? Where each reading finds one ended, batches are short, and soon before.
        let readings = self.readings.iter().filter(|reading| reading.at > first.at && reading.at <= last.at).count();
        let unknown = if readings == count && count > 3 { 0.25 * longest_gap } else { longest_gap };
        Some(Applied { rate: applied / span, uncertainty: unknown / span, since_batch })
    }
}

/// How fast events are applied.
struct Applied {
    /// Events a second.
    rate: f64,
    /// The part of the rate by which it may be wrong.
    uncertainty: f64,
    /// Seconds since a batch ended.
    since_batch: f64,
}

#[expect(clippy::cast_precision_loss, reason = "numbers that are far from 2^53")]
fn events(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn backlog_shrinks_by_what_is_applied_more_than_written() {
        for (backlog, applied, written, expected) in [
            (0.0, 0.0, 0.0, Some(0.0)),
            (0.0, 10.0, 100.0, Some(0.0)),
            (1000.0, 110.0, 10.0, Some(10.0)),
            (1000.0, 100.0, 0.0, Some(10.0)),
            (1000.0, 100.0, 100.0, None),
            (1000.0, 0.0, 0.0, None),
            (1000.0, 0.0, 5.0, None),
            (1000.0, f64::NAN, 5.0, None),
        ] {
            assert_eq!(seconds_to_catch_up(backlog, applied, written), expected, "{backlog} {applied} {written}");
        }
    }

    fn at(written: i64, ticked: i64, finished: i64) -> Reached {
        Reached { written, ticked, finished }
    }

    #[test]
    fn subscriber_that_finishes_each_tick_is_up_to_date() {
        let mut course = Course::default();
        assert_eq!(course.estimate(), None);
        for second in 0..100_i64 {
            let written = 1000 * second;
            // Ticks come each three seconds and take a second or two.
            course.add(events(second), at(written, written / 3000 * 3000, (written - 2000).max(0) / 3000 * 3000), 0);
            assert_eq!(course.estimate(), Some(0.0), "after {second} s");
        }
    }

    #[test]
    fn nothing_is_told_of_a_subscriber_that_stands_still() {
        let mut course = Course::default();
        for reading in 0..100_i64 {
            course.add(events(5 * reading), at(1000 * reading, 1000 * reading, 0), 0);
        }
        assert_eq!(course.estimate(), None);
    }

    /// The first batch after a pause tells nothing: it may have begun at any time of the pause.
    #[test]
    fn pause_does_not_count() {
        let mut course = Course::default();
        for second in 0..330_i64 {
            let finished = 1000 * (second.min(20) + (second - 320).max(0));
            course.add(events(second), at(500_000, 500_000, finished), 0);
            let estimate = course.estimate();
            let left = events((500_000 - finished) / 1000);
            assert!(
                second < 320 || estimate.is_none_or(|estimate| (estimate - left).abs() < 2.0),
                "{estimate:?} at {second}"
            );
            assert!(second < 326 || estimate.is_some(), "none at {second}");
        }
    }

    /// A big batch: what is executed of it counts, also when the batch is given up and begins anew.
    #[test]
    fn open_batch_counts_while_it_grows() {
        let mut course = Course::default();
        for second in 0..60_i64 {
            let done = if second < 30 { 1000 * second } else { (1000 * (second - 30)).max(0) };
            course.add(events(second), at(100_000, 100_000, 0), done.unsigned_abs());
            let estimate = course.estimate();
            if (10..30).contains(&second) {
                assert!(estimate.is_some_and(|estimate| (estimate - events(100 - second)).abs() < 2.0), "{estimate:?}");
            }
            assert!(second < 40 || estimate.is_none(), "{estimate:?} at {second}");
        }
        assert_eq!(course.readings.back().map(|reading| reading.applied), Some(29_000));
    }

    #[test]
    fn sequence_that_was_set_back_begins_anew() {
        let mut course = Course::default();
        course.add(0.0, at(1000, 1000, 500), 0);
        course.add(5.0, at(10, 10, 10), 0);
        assert_eq!(course.estimate(), Some(0.0));
        assert_eq!(course.readings.len(), 1);
    }

    /// A subscriber that stood still for some time applies batch after batch, while others write.
    struct Catching {
        backlog: f64,
        applied: f64,
        written: f64,
        batch: f64,
    }

    impl Catching {
        /// The events after so many seconds.
        fn at(&self, seconds: f64) -> Reached {
            #[expect(clippy::cast_possible_truncation, reason = "a number of events")]
            let whole = |events: f64| events as i64;
            let finished = (seconds.max(0.0) * self.applied / self.batch).floor() * self.batch;
            // The writers began long ago.
            let written = 1e9 + self.backlog + seconds * self.written;
            at(whole(written), whole(written), whole((1e9 + finished).min(written)))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Read each five seconds, give or take one, the estimate is right within 30 % or ten seconds whenever there is one;
        /// and there is one after a minute and some batches.
        #[test]
        fn estimate_is_right_within_30_percent_or_ten_seconds(
            takes in 60.0..3000.0_f64,
            applied in 500.0..50_000.0_f64,
            share_written in 0.0..0.4_f64,
            batch_seconds in prop_oneof![0.1..1.0_f64, 8.0..30.0_f64],
            pauses in prop::collection::vec(4.0..6.0_f64, 1..50),
        ) {
            let written = applied * share_written;
            let catching = Catching { backlog: takes * (applied - written), applied, written, batch: batch_seconds * applied };
            let mut course = Course::default();
            let mut now = -60.0;
            for pause in pauses.iter().cycle() {
                now += pause;
                let left = takes - now;
                if left < 3.0 * batch_seconds + 3.0 * PROMPT {
                    break;
                }
                course.add(now, catching.at(now), 0);
                let estimate = course.estimate();
                if let Some(estimate) = estimate {
                    prop_assert!(now > 0.0, "{estimate} after {now}");
                    let wrong = (estimate - left).abs();
                    prop_assert!(wrong < 0.3 * left + PROMPT, "{estimate} for {left} after {now}");
                }
                prop_assert!(estimate.is_some() || now < 60.0 + 8.0 * batch_seconds, "none after {now}");
            }
        }
    }
}
