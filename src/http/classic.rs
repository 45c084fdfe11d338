//! The older text format of Prometheus, for clients that do not ask for OpenMetrics: `promtool`, and many collectors.

use super::metrics::{Kind, METRICS, Metric};

/// The same metrics in the older format: families have the names of their values, and there is no type `info`.
pub(super) fn of(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        text.push_str(&description(line).unwrap_or_else(|| line.to_owned()));
        text.push('\n');
    }
    text
}

/// The line that describes a family; `None` for a line with a value.
fn description(line: &str) -> Option<String> {
    let (what, rest) = line.strip_prefix("# ")?.split_once(' ')?;
    let (family, rest) = rest.split_once(' ')?;
    let metric: &Metric = METRICS.iter().find(|metric| metric.family() == family)?;
    let rest = if what == "TYPE" && metric.kind == Kind::Info { "gauge" } else { rest };
    Some(format!("# {what} {} {rest}", metric.name))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn families_have_the_names_of_their_values() {
        let open_metrics = "\
# HELP rlondiste_build Version.
# TYPE rlondiste_build info
rlondiste_build_info{version=\"1\"} 1
# HELP londiste_apply_batches Batches.
# TYPE londiste_apply_batches counter
londiste_apply_batches_total 2.0
# HELP londiste_table_parked Parked.
# TYPE londiste_table_parked gauge
londiste_table_parked{table=\"# EOF\"} 1.0
# EOF
";
        assert_eq!(
            of(open_metrics),
            "\
# HELP rlondiste_build_info Version.
# TYPE rlondiste_build_info gauge
rlondiste_build_info{version=\"1\"} 1
# HELP londiste_apply_batches_total Batches.
# TYPE londiste_apply_batches_total counter
londiste_apply_batches_total 2.0
# HELP londiste_table_parked Parked.
# TYPE londiste_table_parked gauge
londiste_table_parked{table=\"# EOF\"} 1.0
"
        );
    }
}
