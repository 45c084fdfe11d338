//! The course of one value over the last day: every reading of the last minutes, fewer with age.
//!
//! Time is cut into buckets whose width grows with age. Of the readings of a bucket the greatest stays: a peak of the lag is
//! seen also a day later, and of a counter the greatest reading is the last one. Where no reading was possible, the course
//! has a gap.

use std::collections::VecDeque;

/// Seconds that a course goes back.
pub(super) const DAY: f64 = 24.0 * 3600.0;

/// Most points of a course. Those that thinning leaves are about a thousand.
const MOST: usize = 1100;

/// Up to this age, in seconds, buckets have this width. Each width is a multiple of the one before it.
const WIDTHS: [(f64, f64); 3] = [(300.0, 2.0), (3600.0, 20.0), (DAY, 120.0)];

/// Seconds without a reading after which the course has a gap there, where buckets are narrow.
const PAUSE: f64 = 20.0;

/// A reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Seconds on the clock of the history.
    pub(super) at: f64,
    /// `None` where the value could not be read.
    pub(super) value: Option<f64>,
}

/// Lines of times and values, with gaps between them.
pub(super) type Lines = Vec<Vec<(f64, f64)>>;

/// The readings of a value, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    points: VecDeque<Point>,
}

impl Course {
    /// Adds a reading. One that is not younger than the newest replaces that.
    pub(super) fn add(&mut self, at: f64, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        if let Some(newest) = self.points.back_mut().filter(|newest| newest.at >= at) {
            newest.value = value;
            return;
        }
        self.points.push_back(Point { at, value });
        while self.points.front().is_some_and(|point| at - point.at > DAY) {
            self.points.pop_front();
        }
        if self.points.len() > MOST {
            self.thin(at);
        }
    }

    /// Leaves one point of each bucket, and the newest point.
    fn thin(&mut self, now: f64) {
        let mut kept: VecDeque<Point> = VecDeque::with_capacity(MOST);
        let Some(newest) = self.points.pop_back() else { return };
        for point in self.points.drain(..) {
            match kept.back_mut().filter(|last| bucket(last.at, now) == bucket(point.at, now)) {
                Some(last) if point.value >= last.value => *last = point,
                Some(_) => {}
                None => kept.push_back(point),
            }
        }
        kept.push_back(newest);
        self.points = kept;
    }

    /// Whether no reading is left, only gaps.
    pub(super) fn is_void(&self) -> bool {
        self.points.iter().all(|point| point.value.is_none())
    }

    /// The oldest point.
    pub(super) fn begins(&self) -> Option<f64> {
        self.points.front().map(|point| point.at)
    }

    /// The readings from `from` on as lines that gaps part, of each `step` seconds the greatest.
    pub(super) fn lines(&self, from: f64, step: f64) -> Lines {
        let mut lines = Vec::new();
        for run in self.runs(from, step) {
            let mut line: Vec<(f64, f64)> = Vec::new();
            for (at, value) in run {
                match line.last_mut().filter(|last| is_same(last.0, at, step)) {
                    Some(last) if value >= last.1 => *last = (at, value),
                    Some(_) => {}
                    None => line.push((at, value)),
                }
            }
            lines.push(line);
        }
        lines
    }

    /// The growth a second of a counter from `from` on, as lines that gaps part, over `step` seconds or more each.
    pub(super) fn growth(&self, from: f64, step: f64) -> Lines {
        let mut lines = Vec::new();
        for run in self.runs(from - step, step) {
            let (mut line, mut start) = (Vec::new(), run[0]);
            for (at, value) in run {
                // Half a second less: readings are not made on the second.
                if at - start.0 < step - 0.5 {
                    continue;
                }
                if value >= start.1 {
                    line.push((at, (value - start.1) / (at - start.0)));
                } else if !line.is_empty() {
                    // The counter was set back.
                    lines.push(std::mem::take(&mut line));
                }
                start = (at, value);
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        lines
    }

    /// The growth a second of a counter in the last `seconds`.
    pub(super) fn pace(&self, seconds: f64) -> Option<f64> {
        let newest = self.points.back()?;
        let oldest = self.points.iter().find(|point| point.value.is_some() && newest.at - point.at <= seconds)?;
        let (span, grown) = (newest.at - oldest.at, newest.value? - oldest.value?);
        (span > 0.0 && grown >= 0.0).then(|| grown / span)
    }

    /// Readings without a gap between them.
    fn runs(&self, from: f64, step: f64) -> Lines {
        let now = self.points.back().map_or(0.0, |newest| newest.at);
        let mut runs = Lines::new();
        let mut last = f64::NEG_INFINITY;
        for Point { at, value } in self.points.iter().filter(|point| point.at >= from) {
            let Some(value) = *value else {
                last = f64::NEG_INFINITY;
                continue;
            };
            let pause = PAUSE.max(2.5 * width(now - at)).max(step);
            match runs.last_mut().filter(|_| at - last <= pause) {
                Some(run) => run.push((*at, value)),
                None => runs.push(vec![(*at, value)]),
            }
            last = *at;
        }
        runs
    }
}

fn width(age: f64) -> f64 {
    WIDTHS.iter().find(|(oldest, _)| age <= *oldest).map_or(WIDTHS[2].1, |(_, width)| *width)
}

/// The width of the bucket of a time, and its number.
fn bucket(at: f64, now: f64) -> (f64, f64) {
    let width = width(now - at);
    (width, (at / width).floor())
}

fn is_same(one: f64, other: f64, step: f64) -> bool {
    (one / step).floor() >= (other / step).floor()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn course(readings: &[(f64, Option<f64>)]) -> Course {
        let mut course = Course::default();
        for (at, value) in readings {
            course.add(*at, *value);
        }
        course
    }

    #[test]
    fn gaps_part_the_lines() {
        let some = |at: f64| (at, Some(at));
        let course = course(&[some(0.0), some(5.0), (10.0, None), some(15.0), some(20.0), some(200.0), (205.0, None)]);
        let expected = vec![vec![(0.0, 0.0), (5.0, 5.0)], vec![(15.0, 15.0), (20.0, 20.0)], vec![(200.0, 200.0)]];
        assert_eq!(course.lines(0.0, 1.0), expected);
        assert_eq!(course.lines(17.0, 1.0), [vec![(20.0, 20.0)], vec![(200.0, 200.0)]]);
    }

    #[test]
    fn greatest_of_a_step_is_shown() {
        let course = course(&[(0.0, Some(1.0)), (4.0, Some(9.0)), (8.0, Some(2.0)), (12.0, Some(3.0))]);
        assert_eq!(course.lines(0.0, 10.0), [vec![(4.0, 9.0), (12.0, 3.0)]]);
    }

    #[test]
    fn growth_of_a_counter_has_a_gap_where_it_was_set_back() {
        let readings = [(0.0, 0.0), (10.0, 100.0), (20.0, 100.0), (30.0, 5.0), (40.0, 25.0)];
        let course = course(&readings.map(|(at, value)| (at, Some(value))));
        assert_eq!(course.growth(0.0, 10.0), [vec![(10.0, 10.0), (20.0, 0.0)], vec![(40.0, 2.0)]]);
        assert_eq!(course.pace(10.0), Some(2.0));
        assert_eq!(course.pace(100.0), Some(25.0 / 40.0));
        assert_eq!(course.pace(5.0), None);
    }

    #[test]
    fn counter_whose_process_began_anew_has_no_pace() {
        assert_eq!(course(&[(0.0, Some(7.0)), (10.0, Some(5.0))]).pace(60.0), None);
        assert_eq!(course(&[(0.0, Some(7.0)), (10.0, None)]).pace(60.0), None);
        assert_eq!(Course::default().pace(60.0), None);
    }

    #[test]
    fn day_of_readings_is_fine_at_its_end_and_coarse_before() {
        let mut course = Course::default();
        for reading in 0..40_000 {
            let at = f64::from(reading) * 5.0;
            course.add(at, Some(at));
        }
        course.thin(199_995.0);
        let ages: Vec<f64> = course.points.iter().map(|point| 199_995.0 - point.at).collect();
        let between = |from: f64, to: f64| ages.iter().filter(|age| (from..to).contains(*age)).count();
        assert_eq!(between(0.0, 300.0), 60);
        assert!((164..=166).contains(&between(300.0, 3600.0)), "{}", between(300.0, 3600.0));
        assert!((688..=693).contains(&between(3600.0, DAY)), "{}", between(3600.0, DAY));
        assert!(ages[0] > DAY - 120.0 && ages[0] <= DAY, "{}", ages[0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Pauses of all lengths, many readings, some of which failed.
        #[test]
        fn thinned_course_is_bounded_and_keeps_newest_and_greatest(
            readings in prop::collection::vec(
                (prop_oneof![9 => 0.1..6.0, 1 => 6.0..4000.0_f64], prop::option::weighted(0.9, 0.0..1000.0_f64)),
                1..4000,
            )
        ) {
            let (mut course, mut all, mut now) = (Course::default(), Vec::new(), 0.0);
            for (pause, value) in readings {
                now += pause;
                course.add(now, value);
                all.push(Point { at: now, value });
            }
            let kept: Vec<Point> = course.points.iter().copied().collect();
            prop_assert!(kept.len() <= MOST, "{}", kept.len());
            prop_assert_eq!(kept.last(), all.last());
            prop_assert!(kept.is_sorted_by(|a, b| a.at < b.at));
            prop_assert!(kept.iter().all(|point| all.contains(point) && now - point.at <= DAY));
            let young: Vec<Point> = all.into_iter().filter(|point| now - point.at <= DAY).collect();
            let greatest = |points: &[Point]| points.iter().filter_map(|point| point.value).fold(f64::MIN, f64::max);
            // The greatest reading may have been thinned together with one that is older than a day only at the very edge.
            let edge = young.iter().filter(|point| now - point.at > DAY - 120.0).copied().collect::<Vec<_>>();
            let inner = young.iter().filter(|point| now - point.at <= DAY - 120.0).copied().collect::<Vec<_>>();
            prop_assert!(greatest(&kept) >= greatest(&inner) && greatest(&kept) <= greatest(&young).max(greatest(&edge)));
            for point in inner {
                let near = kept.iter().any(|other| (other.at - point.at).abs() <= width(now - point.at).max(width(now - other.at)));
                prop_assert!(near, "nothing near {:?}", point);
            }
        }
    }
}
