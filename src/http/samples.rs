//! The values of metrics, and their text.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::metrics::{BUILD_INFO, Kind, METRICS, Metric, Program};

/// The name of a label, and its value.
pub(super) type Label = (&'static str, String);

/// The values of a program's metrics at one moment.
#[derive(Debug)]
pub(crate) struct Samples {
    program: Program,
    values: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    metric: &'static str,
    labels: Vec<Label>,
    value: f64,
}

impl Samples {
    /// The version of the program, and no other values yet.
    pub(crate) fn of(program: Program) -> Samples {
        let mut samples = Samples { program, values: Vec::new() };
        samples.add(&BUILD_INFO, [env!("CARGO_PKG_VERSION"), program.name()], 1.0);
        samples
    }

    /// Adds the values of `others`.
    pub(crate) fn append(&mut self, others: Samples) {
        self.values.extend(others.values.into_iter().filter(|sample| sample.metric != BUILD_INFO.name));
    }

    /// Adds a value. The values of labels come in the order of [`Metric`]'s.
    pub(crate) fn add<const N: usize>(&mut self, metric: &'static Metric, labels: [&str; N], value: f64) {
        debug_assert_eq!(metric.labels.len(), N, "the labels of {}", metric.name);
        let labels = metric.labels.iter().copied().zip(labels.map(str::to_owned)).collect();
        self.values.push(Sample { metric: metric.name, labels, value });
    }

    /// Adds a value if it is known.
    pub(crate) fn add_known<const N: usize>(&mut self, metric: &'static Metric, labels: [&str; N], value: Option<f64>) {
        if let Some(value) = value {
            self.add(metric, labels, value);
        }
    }

    /// The values of a metric, with the names and values of its labels.
    pub(super) fn values<'a>(&'a self, metric: &Metric) -> impl Iterator<Item = (&'a [Label], f64)> + use<'a> {
        let name = metric.name;
        self.values.iter().filter(move |sample| sample.metric == name).map(|sample| (&*sample.labels, sample.value))
    }

    /// The sum of the values of a metric; `None` without any.
    pub(super) fn sum(&self, metric: &Metric) -> Option<f64> {
        self.values(metric).map(|(_, value)| value).reduce(|sum, value| sum + value)
    }

    /// The greatest value of a metric; `None` without any.
    pub(super) fn greatest(&self, metric: &Metric) -> Option<f64> {
        self.values(metric).map(|(_, value)| value).reduce(f64::max)
    }

    /// The OpenMetrics text: all metrics of the program, also those without a value.
    pub(super) fn to_text(self: &Arc<Self>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for metric in METRICS.iter().filter(|metric| metric.is_of(self.program)) {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Info => MetricType::Info,
            };
            let mut family = encoder.encode_descriptor(metric.family(), metric.meaning, None, kind)?;
            for Sample { labels, value, .. } in self.values.iter().filter(|sample| sample.metric == metric.name) {
                match metric.kind {
                    Kind::Counter => {
                        family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(value, None)?;
                    }
                    Kind::Gauge => family.encode_family(labels)?.encode_gauge(value)?,
                    Kind::Info => family.encode_info(labels)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::metrics;
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut samples = Samples::of(Program::Replay);
        samples.add(&metrics::TABLE_STATE, ["public.a\"b\\c\nd", "ok"], 1.0);
        let text = Arc::new(samples).to_text();
        let line = text.lines().find(|line| line.starts_with("londiste_table_state{"));
        assert_eq!(line, Some(r#"londiste_table_state{table="public.a\"b\\c\nd",state="ok"} 1.0"#), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
