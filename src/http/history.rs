//! The history of the metrics that the page shows as plots, in the memory of the process.

use std::collections::BTreeMap;
use std::time::Instant;

use super::course::Course;
use super::metrics::{self, Metric};
use super::samples::Samples;

/// The metrics with a history.
static KEPT: [&Metric; 8] = [
    &metrics::TICKER_LAG,
    &metrics::EVENTS,
    &metrics::SIZE,
    &metrics::REPLAY_LAG,
    &metrics::REPLAY_WRITTEN,
    &metrics::APPLIED_EVENTS,
    &metrics::ROWS,
    &metrics::CATCH_UP,
];

/// Most courses at the same time; each takes up to 50 kB. A program with more queues keeps those that it saw first.
const MOST: usize = 200;

/// The courses of metrics, by the name of the metric and the values of its labels.
#[derive(Debug)]
pub(super) struct History {
    started: Instant,
    recorded: Option<f64>,
    courses: BTreeMap<(&'static str, Vec<String>), Course>,
}

impl Default for History {
    fn default() -> Self {
        History { started: Instant::now(), recorded: None, courses: BTreeMap::new() }
    }
}

impl History {
    /// Seconds on the clock of the history.
    pub(super) fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Seconds since the newest readings, or the newest attempt to read; `None` before the first.
    pub(super) fn age(&self) -> Option<f64> {
        Some(self.now() - self.recorded?)
    }

    /// Adds readings of this moment; `None` when they could not be read. A course whose metric is not among them has a gap.
    pub(super) fn record(&mut self, samples: Option<&Samples>) {
        let now = self.now();
        self.record_at(now, samples);
    }

    fn record_at(&mut self, now: f64, samples: Option<&Samples>) {
        self.recorded = Some(now);
        let mut values = BTreeMap::new();
        for metric in KEPT {
            for (labels, value) in samples.into_iter().flat_map(|samples| samples.values(metric)) {
                values.insert((metric.name, labels.iter().map(|(_, label)| label.clone()).collect::<Vec<_>>()), value);
            }
        }
        for (key, course) in &mut self.courses {
            course.add(now, values.remove(key));
        }
        self.courses.retain(|_, course| !course.is_void());
        // All metrics of one queue before those of the next one.
        let mut new: Vec<_> = values.into_iter().collect();
        new.sort_by(|((_, one), _), ((_, other), _)| one.cmp(other));
        for (key, value) in new {
            if self.courses.len() < MOST {
                self.courses.entry(key).or_default().add(now, Some(value));
            }
        }
    }

    /// The courses of a metric, with the values of its labels.
    pub(super) fn courses<'a>(&'a self, metric: &Metric) -> impl Iterator<Item = (&'a [String], &'a Course)> + use<'a> {
        let name = metric.name;
        self.courses
            .iter()
            .filter(move |((metric, _), _)| *metric == name)
            .map(|((_, labels), course)| (labels.as_slice(), course))
    }

    /// When the oldest course begins.
    pub(super) fn begins(&self) -> Option<f64> {
        self.courses.values().filter_map(Course::begins).reduce(f64::min)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::course::Lines;
    use super::super::metrics::Program;
    use super::*;

    fn lags(values: &[(&str, f64)]) -> Samples {
        let mut samples = Samples::of(Program::Ticker);
        for (queue, value) in values {
            samples.add(&metrics::TICKER_LAG, ["db", queue], *value);
            samples.add(&metrics::SIZE, ["db", queue], *value);
            samples.add(&metrics::EVENTS_NEW, ["db", queue], *value);
        }
        samples
    }

    fn lines(history: &History) -> Vec<(String, Lines)> {
        history
            .courses(&metrics::TICKER_LAG)
            .map(|(labels, course)| (labels[1].clone(), course.lines(0.0, 1.0)))
            .collect()
    }

    #[test]
    fn what_is_not_read_is_a_gap() {
        let mut history = History::default();
        history.record_at(0.0, Some(&lags(&[("a", 1.0), ("b", 2.0)])));
        history.record_at(5.0, Some(&lags(&[("b", 3.0)])));
        history.record_at(10.0, None);
        history.record_at(15.0, Some(&lags(&[("a", 4.0), ("b", 5.0)])));
        let expected = vec![
            ("a".to_owned(), vec![vec![(0.0, 1.0)], vec![(15.0, 4.0)]]),
            ("b".to_owned(), vec![vec![(0.0, 2.0), (5.0, 3.0)], vec![(15.0, 5.0)]]),
        ];
        assert_eq!(lines(&history), expected);
        assert_eq!(history.courses(&metrics::EVENTS_NEW).count(), 0);
        assert_eq!(history.begins(), Some(0.0));
    }

    #[test]
    fn courses_are_bounded_in_number_and_go_when_they_are_a_day_old() {
        let mut history = History::default();
        let names: Vec<String> = (0..2 * MOST).map(|number| format!("q{number:04}")).collect();
        let all: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        history.record_at(0.0, Some(&lags(&all)));
        history.record_at(5.0, Some(&lags(&all)));
        for metric in [&metrics::TICKER_LAG, &metrics::SIZE] {
            assert_eq!(history.courses(metric).count(), MOST / 2, "{}", metric.name);
        }
        history.record_at(100_000.0, Some(&lags(&[("new", 1.0)])));
        assert_eq!(lines(&history), [("new".to_owned(), vec![vec![(100_000.0, 1.0)]])]);
    }
}
