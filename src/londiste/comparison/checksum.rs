//! `compare --checksum`: compares a hash of every row, and lists the ranges of keys in which rows differ.
//!
//! The servers hash ranges of keys, as `compare --online` does ([`snapshot_walk`](super::snapshot_walk)), in the snapshots of a sync
//! point. Rows are compared one by one only in ranges of a thousand or so whose sums differ.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::job::Output;
use crate::pg::{Db, RawText};

use super::super::context::Context;
use super::arguments::Compare;
use super::range_walk::{DifferingRange, Sessions};
use super::rows::{By, ComparedTable, RowText, Subject};
use super::sequences::{self, DifferingSequence};
use super::snapshot_walk::{Part, SnapshotWalk};
use super::subject::subjects;
use super::sync_point::{Reached, SyncPoint, SyncPoints};
use super::whole_rows::DifferingCopies;

/// Compares the tables. The output has the ranges that differ, and is failed when a table differs or could not be
/// compared.
pub(super) async fn run(wanted: &Compare, context: Context<'_>) -> Result<Output> {
    let by = if wanted.exact { By::Text } else { By::Value };
    let wanted = &wanted.tables;
    let points = SyncPoints::open(context, wanted.lag).await?;
    if !points.is_close().await? {
        return Ok(Output::none().failed(true));
    }
    let (tables, mut failed) = subjects(wanted, context, points.provider(), points.subscriber()).await?;
    let mut sessions = Sessions::open(context).await?;
    let mut report = Report::default();
    for table in tables {
        let point = match points.reach(&table).await? {
            Reached::Now(point) => point,
            Reached::NotThis => {
                failed.0 = true;
                continue;
            }
            Reached::Lagging => return Ok(Output::of(&report).failed(true)),
        };
        let found = compare(&table, by, context, &point, &mut sessions).await;
        let Some(found) = failed.take(found, [&point.provider, &point.subscriber])? else { continue };
        if found.differing_rows > 0 {
            failed.because(format_args!("{}: Results do not match!", table.name));
        }
        report.tables.push(found);
    }
    report.sequences = sequences::compare(wanted, context, &points, &mut failed).await?;
    Ok(Output::of(&report).failed(failed.0))
}

async fn compare(
    table: &Subject,
    by: By,
    context: Context<'_>,
    point: &SyncPoint<'_>,
    sessions: &mut Sessions,
) -> Result<TableReport> {
    tracing::info!("Checking {}", table.name);
    let sides: [&Db; 2] = [&point.provider, &point.subscriber];
    let compared = ComparedTable::keyed_or_not(sides, table, context.queue(), by).await?;
    let mut walk = SnapshotWalk::open(context, point, &compared, sessions).await?;
    let mut ranges = Vec::new();
    while let Some(part) = walk.next().await? {
        match part {
            Part::Range(found) => ranges.push(Range::of(found)),
            Part::Copies(found) => ranges.extend(found.into_iter().map(Range::of_copies)),
        }
    }
    for (side, nr) in [("srcdb", 0), ("dstdb", 1)] {
        tracing::info!("{side}: res = {}, {:016x}", walk.totals.rows[nr], walk.totals.sums[nr]);
    }
    ranges.sort_by(|a, b| compared.order(&a.first, &b.first));
    let [provider_rows, subscriber_rows] = walk.totals.rows;
    Ok(TableReport {
        table: compared.name.to_string(),
        key: compared.columns[..compared.key_len].to_vec(),
        provider_rows,
        subscriber_rows,
        differing_rows: ranges.iter().map(|range| range.differing_rows).sum(),
        ranges,
    })
}

/// The output of the command.
#[derive(Default, Serialize)]
struct Report {
    tables: Vec<TableReport>,
    /// The sequences whose values differ.
    sequences: Vec<DifferingSequence>,
}

#[derive(Serialize)]
struct TableReport {
    table: String,
    /// The columns of the key; none where rows are told by all columns.
    key: Vec<String>,
    provider_rows: u64,
    subscriber_rows: u64,
    differing_rows: u64,
    ranges: Vec<Range>,
}

/// Neighbouring keys, a thousand or so, some of which differ; or the copies of one row of a table without a key.
#[derive(Serialize)]
struct Range {
    from: Vec<String>,
    to: Vec<String>,
    provider_rows: u64,
    subscriber_rows: u64,
    /// Keys whose row only one side has, or whose rows differ.
    differing_rows: u64,
    /// The first key.
    #[serde(skip)]
    first: RowText,
}

impl Range {
    fn of(DifferingRange { ends, rows, differing }: DifferingRange) -> Range {
        let text = |value: &Option<RawText>| value.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
        let [from, to] = ends.each_ref().map(|key| key.iter().map(text).collect());
        let [first, _] = ends;
        let [provider_rows, subscriber_rows] = rows;
        Range { from, to, provider_rows, subscriber_rows, differing_rows: differing.len() as u64, first }
    }

    /// A row of a table without a key.
    fn of_copies(DifferingCopies { row, copies: [provider_rows, subscriber_rows] }: DifferingCopies) -> Range {
        let text: Vec<String> = row.iter().flatten().map(ToString::to_string).collect();
        Range {
            from: text.clone(),
            to: text,
            provider_rows,
            subscriber_rows,
            differing_rows: provider_rows.abs_diff(subscriber_rows),
            first: row,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TableReport { table, key, ranges, .. } in &self.tables {
            for Range { from, to, provider_rows, subscriber_rows, differing_rows, .. } in ranges {
                if key.is_empty() {
                    let row = from.join(", ");
                    writeln!(
                        f,
                        "{table} row {row}: {provider_rows} on the provider, {subscriber_rows} on the subscriber"
                    )?;
                    continue;
                }
                let [key, from, to] = [key, from, to].map(|values| values.join(", "));
                writeln!(
                    f,
                    "{table} ({key}) from ({from}) to ({to}): provider {provider_rows} rows, subscriber \
                     {subscriber_rows} rows, {differing_rows} differ"
                )?;
            }
        }
        Ok(())
    }
}
