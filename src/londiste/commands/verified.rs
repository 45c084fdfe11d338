//! What `verify_interval` has found, as status, metrics and events tell it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::super::state::table_state::TableState;
use super::super::state::tables::SubscribedTable;
use super::super::state::verification::{self, Verified};
use crate::config;
use crate::error::Result;
use crate::http::metrics;
use crate::http::{Condition, Samples};
use crate::pg::{Db, FqName};
use crate::text::one_line;

/// How far the tables together are verified.
#[derive(Debug, Serialize)]
pub(super) struct Verification {
    /// `verify_interval`
    interval_seconds: f64,
    /// Rows of the tables that are `ok`; an estimate until all were looked at.
    rows: i64,
    /// Those that were found equal at the last look.
    equal_rows: i64,
    /// Rows of either side that differed at the last look.
    differing_rows: i64,
    /// Every row was looked at, at this time or later, in UTC; null before the end of the first round.
    verified_up_to: Option<String>,
    /// The seconds since then.
    age_seconds: Option<f64>,
    /// Tables that are `ok` and could not be looked at.
    unverified_tables: usize,
}

impl Verification {
    pub(super) fn of(
        interval: Duration,
        tables: &[SubscribedTable],
        verified: &BTreeMap<FqName, Verified>,
    ) -> Verification {
        let ok = tables.iter().filter(|table| table.state == TableState::Ok && !table.is_parked());
        let (failed, ok): (Vec<_>, Vec<_>) =
            ok.map(|table| verified.get(&table.name)).partition(|table| table.is_some_and(|v| v.problem.is_some()));
        let known = || ok.iter().copied().flatten();
        let is_complete = ok.iter().all(|table| table.is_some_and(|verified| verified.age_seconds.is_some()));
        let oldest = known().filter(|_| is_complete).max_by(|a, b| f64::total_cmp(&age(a), &age(b)));
        Verification {
            interval_seconds: interval.as_secs_f64(),
            rows: known().map(|verified| verified.rows).sum(),
            equal_rows: known().map(|verified| verified.equal_rows).sum(),
            differing_rows: known().map(|verified| verified.differing_rows).sum(),
            verified_up_to: oldest.and_then(|verified| verified.verified_up_to.clone()),
            age_seconds: oldest.and_then(|verified| verified.age_seconds),
            unverified_tables: failed.len(),
        }
    }
}

fn age(verified: &Verified) -> f64 {
    verified.age_seconds.unwrap_or(f64::INFINITY)
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.verified_up_to, self.age_seconds) {
            (Some(time), Some(age)) => {
                let (share, age) = (percent(self.equal_rows, self.rows), duration(age));
                write!(f, "up to {time} UTC, {share} % of rows within {age}")?;
            }
            _ => write!(f, "{} % of rows, the first round goes on", percent(self.equal_rows, self.rows))?,
        }
        if self.differing_rows > 0 {
            write!(f, "; {} rows differ", self.differing_rows)?;
        }
        if self.unverified_tables > 0 {
            write!(f, "; {} tables are not verified", self.unverified_tables)?;
        }
        Ok(())
    }
}

/// How far the tables are verified; nothing where `verify_interval` is off. Keys of rows are left out unless they are asked for.
pub(crate) async fn read(
    config: &config::Londiste,
    subscriber: &Db,
    with_keys: bool,
) -> Result<BTreeMap<FqName, Verified>> {
    if config.verify_interval.is_none() {
        return Ok(BTreeMap::new());
    }
    let mut verified = verification::read(subscriber, &config.pgq_queue_name).await?;
    if !with_keys {
        for table in verified.values_mut() {
            table.differing.clear();
        }
    }
    Ok(verified)
}

/// The line of a table in the status: always of one with rows that differ or that cannot be verified, of others on demand.
pub(super) fn write(f: &mut fmt::Formatter<'_>, table: &FqName, verified: &Verified, is_wanted: bool) -> fmt::Result {
    if let Some(problem) = &verified.problem {
        writeln!(f, "    not verified: {problem}")?;
    }
    if verified.differing_rows > 0 {
        let since = verified.last_equal.as_ref().map(|time| format!(", equal at {time} UTC still")).unwrap_or_default();
        writeln!(
            f,
            "    {} from the provider's{since}: {}",
            differ(verified.differing_rows),
            verified.differing.join(", ")
        )?;
        writeln!(f, "    HINT: rlondiste INI repair --online --apply {table}")?;
    }
    if is_wanted
        && verified.problem.is_none()
        && let Some(age) = verified.age_seconds
    {
        let share = percent(verified.equal_rows, verified.rows);
        writeln!(f, "    verified: {share} % of {} rows within {}", verified.rows, duration(age))?;
    }
    Ok(())
}

fn differ(rows: i64) -> String {
    if rows == 1 { "1 row differs".to_owned() } else { format!("{rows} rows differ") }
}

/// The event that rows of a table differ.
pub(crate) fn condition(table: &FqName, verified: &Verified) -> Option<Condition> {
    (verified.differing_rows > 0).then(|| Condition {
        kind: "rows-differ",
        object: table.to_string(),
        fact: one_line(&format!(
            "{} from the provider's: {}",
            differ(verified.differing_rows),
            verified.differing.join(", ")
        )),
        fix: Some(format!("rlondiste INI repair --online --apply {table}")),
    })
}

/// Adds the metrics.
#[expect(clippy::cast_precision_loss, reason = "figures that are far from 2^53")]
pub(super) fn add(verified: &BTreeMap<FqName, Verified>, samples: &mut Samples) {
    for (table, verified) in verified {
        let name = table.to_string();
        samples.add(&metrics::VERIFIED_ROWS, [&name], verified.equal_rows as f64);
        samples.add_known(&metrics::VERIFIED_AGE, [&name], verified.age_seconds);
        samples.add(&metrics::DIFFERING_ROWS, [&name], verified.differing_rows as f64);
        samples.add(&metrics::UNVERIFIED_ROWS, [&name], verified.unverified_rows as f64);
    }
}

/// A share of rows with one digit after the point, never rounded up: 100 means all.
fn percent(part: i64, whole: i64) -> String {
    let thousandths = if whole <= 0 { 1000 } else { i128::from(part) * 1000 / i128::from(whole) };
    if thousandths >= 1000 { "100".to_owned() } else { format!("{}.{}", thousandths / 10, thousandths % 10) }
}

/// A time in the greatest unit that has a whole number of at least two.
fn duration(seconds: f64) -> String {
    let (seconds, minutes, hours) = (seconds.ceil(), (seconds / 60.0).ceil(), (seconds / 3600.0).ceil());
    if seconds < 120.0 {
        format!("{seconds} s")
    } else if minutes < 120.0 {
        format!("{minutes} minutes")
    } else {
        format!("{hours} hours")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundred_percent_is_all_and_a_time_has_one_unit() {
        let shares = [(0, 0), (0, 7), (999_999, 1_000_000), (5, 5), (1, 3)].map(|(part, whole)| percent(part, whole));
        assert_eq!(shares, ["100", "0.0", "99.9", "100", "33.3"]);
        let times = [0.2, 119.0, 121.0, 3480.0, 7201.0].map(duration);
        assert_eq!(times, ["1 s", "119 s", "3 minutes", "58 minutes", "3 hours"]);
    }
}
