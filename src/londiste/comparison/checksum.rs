//! `compare --checksum`: compares a hash of every row, and lists the ranges of keys in which rows differ.
//!
//! The servers hash ranges of keys, as `compare --online` does ([`range_walk`](super::range_walk)), in the snapshots of a sync point.
//! Rows are compared one by one only in ranges of a thousand or so whose sums differ.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::job::Output;

use crate::pg::{Db, RawText};

use super::super::context::Context;
use super::arguments::Compare;
use super::fingerprint::Fingerprint;
use super::key_range::KeyRange;
use super::range_walk::{Amount, Looks, RangeWalk, Sessions, Sums};
use super::rows::{By, ComparedTable, RowText, Subject};
use super::sequences;
use super::subject::subjects;
use super::sync_point::{Reached, SyncPoint, SyncPoints};
use super::whole_rows::WholeRows;

/// Rows of a range that is hashed at once: a second or so for rows of usual width.
const HASHED: usize = 50_000;

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
    let mut sessions =
        Sessions { provider: context.provider().await?, subscriber: context.subscriber().await?, snapshots: None };
    let mut differing = Ranges::default();
    for table in tables {
        let point = match points.reach(&table).await? {
            Reached::Now(point) => point,
            Reached::NotThis => {
                failed.0 = true;
                continue;
            }
            Reached::Lagging => return Ok(Output::of(&differing).failed(true)),
        };
        let found = compare(&table, by, context, &point, &mut sessions).await;
        match failed.take(found, [&point.provider, &point.subscriber])? {
            Some(ranges) if !ranges.is_empty() => {
                failed.because(format_args!("{}: Results do not match!", table.name));
                differing.0.extend(ranges);
            }
            _ => {}
        }
    }
    sequences::compare(wanted, context, &points, &mut failed).await?;
    Ok(Output::of(&differing).failed(failed.0))
}

async fn compare(
    table: &Subject,
    by: By,
    context: Context<'_>,
    point: &SyncPoint<'_>,
    sessions: &mut Sessions,
) -> Result<Vec<Range>> {
    tracing::info!("Checking {}", table.name);
    let sides: [&Db; 2] = [&point.provider, &point.subscriber];
    let compared = ComparedTable::keyed_or_not(sides, table, context.queue(), by).await?;
    sessions.snapshots = Some([export(sides[0]).await?, export(sides[1]).await?]);
    let fingerprint = Fingerprint::of(sides[0], sides[1]).await?;
    let read = Amount::default();
    let walk = RangeWalk { sessions, compared: &compared, fingerprint, lock_wait: None, read: &read };
    let (mut totals, mut list) = (Sums::default(), Vec::new());
    let is_keyed = compared.key_len > 0;
    let mut rest = is_keyed.then(KeyRange::default);
    while let Some(range) = rest.take() {
        context.proceed()?;
        let (first, more) = walk.cut(range, HASHED).await?;
        let mut suspects = Vec::new();
        totals += walk.hash_and_sort_out(first, &mut suspects).await?;
        for suspect in suspects {
            let (look, rows, differing_rows) = walk.differing(&suspect).await?;
            list.extend(Range::of(&compared, &look, rows, differing_rows));
        }
        rest = more;
    }
    list.sort_by(|a, b| compared.order(&a.first, &b.first));
    if !is_keyed {
        let (rows, mut suspects) = (WholeRows { walk }, Vec::new());
        totals = rows.hash(&mut suspects).await?;
        let differing = rows.differing(suspects).await?;
        list = differing.into_iter().map(|(row, copies)| Range::of_copies(&compared, row, copies)).collect();
    }
    for (side, nr) in [("srcdb", 0), ("dstdb", 1)] {
        tracing::info!("{side}: res = {}, {:016x}", totals.rows[nr], totals.sums[nr]);
    }
    Ok(list)
}

/// Lets other sessions have the snapshot of an open transaction, until it ends.
async fn export(tx: &Db) -> Result<String> {
    Ok(tx.query_one("take a snapshot", "select pg_catalog.pg_export_snapshot()", &[]).await?.get(0))
}

/// Neighbouring keys, a thousand or so, some of which differ; or the copies of one row of a table without a key.
#[derive(Serialize)]
struct Range {
    table: String,
    /// The columns of the key; none where rows are told by all columns.
    key: Vec<String>,
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
    /// What was found in a range, with the number of rows of each side and of those that differ; `None` where all rows are equal.
    fn of(
        compared: &ComparedTable,
        look: &Looks,
        [provider_rows, subscriber_rows]: [u64; 2],
        differing_rows: u64,
    ) -> Option<Range> {
        let first = look.keys().min_by(|a, b| compared.order(a, b))?;
        let last = look.keys().max_by(|a, b| compared.order(a, b))?;
        let text = |value: &Option<RawText>| value.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
        let [from, to] = [first, last].map(|key| key.iter().map(text).collect());
        (differing_rows > 0).then(|| Range {
            table: compared.name.to_string(),
            key: compared.columns[..compared.key_len].to_vec(),
            from,
            to,
            provider_rows,
            subscriber_rows,
            differing_rows,
            first: first.clone(),
        })
    }

    /// A row of a table without a key.
    fn of_copies(compared: &ComparedTable, row: RowText, [provider_rows, subscriber_rows]: [u64; 2]) -> Range {
        let text: Vec<String> = row.iter().flatten().map(ToString::to_string).collect();
        Range {
            table: compared.name.to_string(),
            key: Vec::new(),
            from: text.clone(),
            to: text,
            provider_rows,
            subscriber_rows,
            differing_rows: provider_rows.abs_diff(subscriber_rows),
            first: row,
        }
    }
}

/// The output of the command: the ranges with differences.
#[derive(Default, Serialize)]
#[serde(transparent)]
struct Ranges(Vec<Range>);

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Range { table, key, from, to, provider_rows, subscriber_rows, differing_rows, .. } in &self.0 {
            if key.is_empty() {
                let row = from.join(", ");
                writeln!(f, "{table} row {row}: {provider_rows} on the provider, {subscriber_rows} on the subscriber")?;
                continue;
            }
            let [key, from, to] = [key, from, to].map(|values| values.join(", "));
            writeln!(
                f,
                "{table} ({key}) from ({from}) to ({to}): provider {provider_rows} rows, subscriber {subscriber_rows} \
                 rows, {differing_rows} differ"
            )?;
        }
        Ok(())
    }
}
