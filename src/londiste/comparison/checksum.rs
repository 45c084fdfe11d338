//! `compare --checksum`: compares a hash of every row, and lists the ranges of keys in which rows differ. The servers
//! send only keys and hashes.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::job::Output;

use crate::pg::RawText;

use super::super::context::Context;
use super::arguments::Compare;
use super::rows::{By, ComparedTable, Pair, RowText, Subject};
use super::subject::subjects;
use super::sync_point::{Reached, SyncPoint, SyncPoints};
use super::walk::Merge;

/// The number of keys in a range.
const RANGE: u64 = 1000;

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
        let found = compare(&table, by, context, &point).await;
        match failed.take(found, [&point.provider, &point.subscriber])? {
            Some(ranges) if !ranges.is_empty() => {
                failed.because(format_args!("{}: Results do not match!", table.name));
                differing.0.extend(ranges);
            }
            _ => {}
        }
    }
    Ok(Output::of(&differing).failed(failed.0))
}

async fn compare(table: &Subject, by: By, context: Context<'_>, point: &SyncPoint<'_>) -> Result<Vec<Range>> {
    tracing::info!("Checking {}", table.name);
    let compared = ComparedTable::of(&point.provider, &point.subscriber, table, context.queue(), by).await?;
    let provider = (&*point.provider, compared.provider.hashes_sql());
    let subscriber = (&*point.subscriber, compared.subscriber.hashes_sql());
    let mut merge = Merge::start(&compared, provider, subscriber).await?;
    let (mut theirs, mut ours) = (Sum::default(), Sum::default());
    let mut list = Vec::new();
    let mut range = Range::of(&compared);
    while let Some(pair) = merge.next().await? {
        range.add(&pair);
        match &pair {
            Pair::Provider(row) => theirs.add(row),
            Pair::Subscriber(row) => ours.add(row),
            Pair::Both { provider, subscriber } => {
                theirs.add(provider);
                ours.add(subscriber);
            }
        }
        if range.keys == RANGE {
            let full = std::mem::replace(&mut range, Range::of(&compared));
            list.extend(full.if_differing());
        }
    }
    list.extend(range.if_differing());
    tracing::info!("srcdb: res = {theirs}");
    tracing::info!("dstdb: res = {ours}");
    Ok(list)
}

/// The number of rows, and the sum of their hashes modulo 2^64, which does not depend on the order of the rows.
#[derive(Default)]
struct Sum {
    rows: u64,
    hash: u64,
}

impl Sum {
    fn add(&mut self, row: &RowText) {
        let hash = row.last().and_then(Option::as_ref).and_then(RawText::as_str).and_then(|hash| hash.get(..16));
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hash.and_then(|h| u64::from_str_radix(h, 16).ok()).unwrap_or_default());
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {:016x}", self.rows, self.hash)
    }
}

/// Up to [`RANGE`] neighbouring keys, each on one side or on both.
#[derive(Serialize)]
struct Range {
    table: String,
    /// The columns of the key.
    key: Vec<String>,
    from: Vec<String>,
    to: Vec<String>,
    provider_rows: u64,
    subscriber_rows: u64,
    /// Keys whose row only one side has, or whose rows differ.
    differing_rows: u64,
    #[serde(skip)]
    keys: u64,
}

impl Range {
    fn of(compared: &ComparedTable) -> Range {
        Range {
            table: compared.name.to_string(),
            key: compared.columns[..compared.key_len].to_vec(),
            from: Vec::new(),
            to: Vec::new(),
            provider_rows: 0,
            subscriber_rows: 0,
            differing_rows: 0,
            keys: 0,
        }
    }

    fn if_differing(self) -> Option<Range> {
        (self.differing_rows > 0).then_some(self)
    }

    fn add(&mut self, pair: &Pair) {
        let (row, differs) = match pair {
            Pair::Provider(row) | Pair::Subscriber(row) => (row, true),
            Pair::Both { provider, subscriber } => (provider, provider.last() != subscriber.last()),
        };
        let text = |value: &Option<RawText>| value.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string);
        self.to = row[..self.key.len()].iter().map(text).collect();
        if self.keys == 0 {
            self.from.clone_from(&self.to);
        }
        self.keys += 1;
        self.provider_rows += u64::from(!matches!(pair, Pair::Subscriber(_)));
        self.subscriber_rows += u64::from(!matches!(pair, Pair::Provider(_)));
        self.differing_rows += u64::from(differs);
    }
}

/// The output of the command: the ranges with differences.
#[derive(Default, Serialize)]
#[serde(transparent)]
struct Ranges(Vec<Range>);

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Range { table, key, from, to, provider_rows, subscriber_rows, differing_rows, .. } in &self.0 {
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
