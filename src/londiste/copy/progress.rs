//! The progress of copies, read from the servers, so that every process can show it.
//!
//! The rows that a copy has written and the work on an index are in the subscriber's progress views, which show them to
//! sessions of the same user; the number of rows to come is the provider's estimate. On servers without the views
//! (PostgreSQL before 14 for COPY, before 12 for indexes) there is no progress.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::pg::{Db, FqName, text_array};

/// The step that a copy is at, and how far the step is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Progress {
    step: Step,
    /// Rows copied so far; null while an index is built.
    rows: Option<i64>,
    /// Rows to copy, where it is estimated.
    #[serde(skip)]
    expected: Option<i64>,
    /// Bytes copied so far; null while an index is built.
    bytes: Option<i64>,
    /// The part of this step that is done, 0 to 1, where it can be estimated.
    share: Option<f64>,
    /// Seconds since the beginning of this step.
    seconds: f64,
    /// Seconds until the end of this step, at the average rate so far.
    seconds_left: Option<f64>,
}

/// The rows of a copy that is at them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rows {
    /// Rows copied so far.
    pub(crate) copied: i64,
    /// Rows that the provider's table has, where that is estimated.
    pub(crate) expected: Option<i64>,
    /// Seconds since the first of them.
    pub(crate) seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Rows,
    Index,
}

impl Progress {
    fn new(step: Step, share: Option<f64>, seconds: f64) -> Progress {
        let share = share.filter(|s| s.is_finite()).map(|s| s.clamp(0.0, 1.0));
        let seconds_left = share.filter(|s| *s > 0.0).map(|s| seconds * (1.0 - s) / s);
        Progress { step, rows: None, expected: None, bytes: None, share, seconds, seconds_left }
    }

    /// The rows; `None` while an index is built.
    pub(crate) fn rows(&self) -> Option<Rows> {
        self.rows.map(|copied| Rows { copied, expected: self.expected, seconds: self.seconds })
    }

    /// The part of this step that is done, 0 to 1, where it can be estimated.
    pub(crate) fn share(&self) -> Option<f64> {
        self.share
    }

    /// `, 40 %, 18 s left`, as the end of a log line; empty without an estimate.
    pub(crate) fn estimate(&self) -> String {
        let share = self.share.map(|share| format!(", {:.0} %", 100.0 * share)).unwrap_or_default();
        self.seconds_left.map_or(share.clone(), |left| format!("{share}, {left:.0} s left"))
    }
}

impl fmt::Display for Progress {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Rows => {
                let (rows, megabytes) = (self.rows.unwrap_or(0), self.bytes.unwrap_or(0) as f64 / 1e6);
                write!(f, "{rows} rows, {megabytes:.1} MB")?;
                if self.seconds > 0.0 {
                    write!(f, ", {:.1} MB/s", megabytes / self.seconds)?;
                }
            }
            Step::Index => write!(f, "building an index for {:.0} s", self.seconds)?,
        }
        f.write_str(&self.estimate())
    }
}

/// The progress of all copies in the subscriber's database, by table. The share of the rows is known only with
/// `provider`, whose catalog has the estimated number of rows. Takes no locks on tables.
pub(crate) async fn read(subscriber: &Db, provider: Option<&Db>) -> Result<BTreeMap<FqName, Progress>> {
    let mut progress = BTreeMap::new();
    if has(subscriber, "pg_catalog.pg_stat_progress_copy").await? {
        let rows = subscriber.query("read the progress of copies", COPIES, &[]).await?;
        let names: Vec<FqName> = rows.iter().map(|r| FqName { schema: r.get(0), name: r.get(1) }).collect();
        let estimates = match provider {
            Some(provider) if !names.is_empty() => estimates(provider, &names).await?,
            _ => BTreeMap::new(),
        };
        for (row, name) in rows.iter().zip(names) {
            let (copied, bytes): (i64, i64) = (row.get(2), row.get(3));
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let share = estimates.get(&name).filter(|all| **all >= copied).map(|all| copied as f64 / *all as f64);
            let state = Progress {
                rows: Some(copied),
                expected: estimates.get(&name).copied(),
                bytes: Some(bytes),
                ..Progress::new(Step::Rows, share, row.get(4))
            };
            progress.insert(name, state);
        }
    }
    if has(subscriber, "pg_catalog.pg_stat_progress_create_index").await? {
        for row in subscriber.query("read the progress of indexes", INDEXES, &[]).await? {
            let name = FqName { schema: row.get(0), name: row.get(1) };
            progress.insert(name, Progress::new(Step::Index, row.get(2), row.get(3)));
        }
    }
    Ok(progress)
}

const COPIES: &str = "
select n.nspname::text, c.relname::text, p.tuples_processed, p.bytes_processed,
       extract(epoch from clock_timestamp() - a.query_start)::float8
  from pg_catalog.pg_stat_progress_copy p
       join pg_catalog.pg_stat_activity a on a.pid = p.pid
       join pg_catalog.pg_class c on c.oid = p.relid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where p.datname = pg_catalog.current_database() and p.command = 'COPY FROM'";

/// Reading the table counts as one half of the work, loading the sorted entries as the other half. The indexes of a
/// table's partitions are built one after the other.
const INDEXES: &str = "
select n.nspname::text, c.relname::text,
       (p.partitions_done + coalesce(
            case when p.phase like '%scanning table%' and p.blocks_total > 0 then 0.5 * p.blocks_done / p.blocks_total
                 when p.phase like '%sorting%' then 0.5
                 when p.phase like '%loading%' and p.tuples_total > 0 then 0.5 + 0.5 * p.tuples_done / p.tuples_total
            end, case when p.partitions_total > 0 then 0 end)
       )::float8 / greatest(p.partitions_total, 1),
       extract(epoch from clock_timestamp() - a.query_start)::float8
  from pg_catalog.pg_stat_progress_create_index p
       join pg_catalog.pg_stat_activity a on a.pid = p.pid
       join pg_catalog.pg_class c on c.oid = p.relid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where p.datname = pg_catalog.current_database()";

async fn has(db: &Db, view: &str) -> Result<bool> {
    let sql = "select to_regclass($1) is not null";
    Ok(db.query_one("look for a progress view", sql, &[crate::pg::text(&view)]).await?.get(0))
}

/// The provider's estimates of the numbers of rows, for tables that have statistics.
async fn estimates(provider: &Db, tables: &[FqName]) -> Result<BTreeMap<FqName, i64>> {
    let names: Vec<String> = tables.iter().map(FqName::quoted).collect();
    let sql = "select u.nr, c.reltuples::bigint from unnest($1) with ordinality as u(name, nr)
                      join pg_catalog.pg_class c on c.oid = to_regclass(u.name) where c.reltuples > 0";
    let rows = provider.query("read the sizes of tables", sql, &[text_array(&names)]).await?;
    let place = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0) - 1).ok();
    Ok(rows.iter().filter_map(|row| Some((tables.get(place(row)?)?.clone(), row.get(1)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_share() {
        let rows = Progress { rows: Some(250), bytes: Some(2_500_000), ..Progress::new(Step::Rows, Some(0.25), 5.0) };
        assert_eq!(rows.to_string(), "250 rows, 2.5 MB, 0.5 MB/s, 25 %, 15 s left");
        assert_eq!(Progress::new(Step::Index, Some(0.5), 4.0).to_string(), "building an index for 4 s, 50 %, 4 s left");
        assert_eq!(Progress::new(Step::Index, None, 4.0).to_string(), "building an index for 4 s");
    }
}
