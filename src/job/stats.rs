//! Counters of a job, logged as one line: `{count: 14, ignored: 0, duration: 0.0181279182434}`.

use std::fmt;
use std::time::Duration;

/// One number of a stats line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Count(u64),
    Seconds(f64),
}

/// Named numbers in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stats(Vec<(&'static str, Value)>);

impl Stats {
    /// Adds to a counter, which starts at 0.
    pub(crate) fn add(&mut self, name: &'static str, count: u64) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, Value::Count(value))) => *value += count,
            Some((_, value)) => *value = Value::Count(count),
            None => self.0.push((name, Value::Count(count))),
        }
    }

    /// Sets a duration, shown in seconds.
    pub(crate) fn set_duration(&mut self, name: &'static str, duration: Duration) {
        let value = Value::Seconds(duration.as_secs_f64());
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Returns the numbers and removes them.
    #[must_use]
    pub(crate) fn take(&mut self) -> Stats {
        std::mem::take(self)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match value {
                Value::Count(n) => write!(f, "{name}: {n}")?,
                Value::Seconds(s) => write!(f, "{name}: {}", significant(*s))?,
            }
        }
        f.write_str("}")
    }
}

/// Python 2's `str(float)`: at most 12 significant digits, no trailing zeros, but always a decimal point.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0.0".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a finite f64 is small")]
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(11 - magnitude).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return format!("{text}.0");
    }
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_as_scripts_know_it() {
        let mut stats = Stats::default();
        stats.add("count", 14);
        stats.add("ignored", 0);
        stats.set_duration("duration", Duration::from_nanos(18_127_918));
        assert_eq!(stats.to_string(), "{count: 14, ignored: 0, duration: 0.018127918}");
        assert_eq!(stats.take().to_string(), "{count: 14, ignored: 0, duration: 0.018127918}");
        assert_eq!(stats, Stats::default());
    }

    #[test]
    fn seconds_have_at_most_twelve_digits_and_a_point() {
        for (value, text) in [(0.0, "0.0"), (3.0, "3.0"), (3.067_133_188_25, "3.06713318825"), (1234.5, "1234.5")] {
            assert_eq!(significant(value), text);
        }
    }
}
