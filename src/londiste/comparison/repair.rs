//! `repair`: finds the rows that differ, and writes the statements that make the subscriber's rows equal to the
//! provider's into `fix.<schema>.<table>.sql`; with `--apply` executes them.

use std::path::Path;

use crate::error::Result;
use crate::job::Output;
use crate::pg::FqName;

use super::super::context::Context;
use super::arguments::Repair;
use super::execute::{Executed, Executor};
use super::fix_file::FixFile;
use super::rows::{By, Compared, ComparedTable, Counts, Pair, RowFix, Subject};
use super::subject::subjects;
use super::sync_point::{Reached, SyncPoint, SyncPoints};
use super::walk::Merge;

/// Repairs the tables. The output is failed when a table could not be compared, or a statement could not be executed.
pub(super) async fn run(wanted: &Repair, context: Context<'_>) -> Result<Output> {
    let points = SyncPoints::open(context, wanted.tables.lag).await?;
    let applying = if wanted.apply { Some(SyncPoints::open(context, wanted.tables.lag).await?) } else { None };
    if !points.is_close().await? {
        return Ok(Output::none().failed(true));
    }
    let dir = wanted.output_dir.as_deref().unwrap_or(Path::new(""));
    let (tables, mut failed) = subjects(&wanted.tables, context, points.provider(), points.subscriber()).await?;
    for table in tables {
        let point = match points.reach(&table).await? {
            Reached::Now(point) => point,
            Reached::NotThis => {
                failed.0 = true;
                continue;
            }
            Reached::Lagging => return Ok(Output::none().failed(true)),
        };
        let done = repair(&table, context, &point, applying.as_ref(), dir).await;
        match failed.take(done, [&point.provider, &point.subscriber])? {
            Some(Executed::All) | None => {}
            Some(Executed::NotThis) => failed.0 = true,
            Some(Executed::Lagging) => return Ok(Output::none().failed(true)),
        }
    }
    Ok(Output::none().failed(failed.0))
}

async fn repair(
    table: &Subject,
    context: Context<'_>,
    point: &SyncPoint<'_>,
    applying: Option<&SyncPoints<'_>>,
    dir: &Path,
) -> Result<Executed> {
    let name = &table.name;
    tracing::info!("Checking {name}");
    let compared = ComparedTable::of(&point.provider, &point.subscriber, table, context.queue(), By::Value).await?;
    let mut file = FixFile::new(dir, name)?;
    let mut apply = applying.map(|points| Executor::new(context, points, table, &compared));
    let provider = (&*point.provider, compared.provider.rows_sql());
    let subscriber = (&*point.subscriber, compared.subscriber.rows_sql());
    let mut merge = Merge::start(&compared, provider, subscriber).await?;
    let (mut theirs, mut ours, mut generated, mut missed) = (0_u64, 0_u64, 0_u64, Counts::default());
    while let Some(pair) = merge.next().await? {
        theirs += u64::from(!matches!(pair, Pair::Subscriber(_)));
        ours += u64::from(!matches!(pair, Pair::Provider(_)));
        let change = match RowFix::of(pair, &compared) {
            Compared::Equal => continue,
            Compared::GeneratedDiffer => {
                generated += 1;
                continue;
            }
            Compared::Differ(change) => change,
        };
        missed.add(&change);
        match &mut apply {
            None => file.write(&change.sql(&compared))?,
            Some(apply) => match apply.push(&change, &mut file).await? {
                Executed::All => {}
                not_applied => return Ok(not_applied),
            },
        }
    }
    let applied = match &mut apply {
        None => Executed::All,
        Some(apply) => apply.flush(&mut file).await?,
    };
    file.close()?;
    tracing::info!("finished {name}: src: {theirs} rows, dst: {ours} rows, missed: {missed}");
    if let Some(apply) = apply {
        tracing::info!("applied {name}: {}", apply.done());
    }
    if generated > 0 {
        tracing::error!("{}", generated_differ(name, generated));
        return Ok(Executed::NotThis);
    }
    Ok(applied)
}

/// What is said of rows that differ only in columns that the subscriber generates.
pub(super) fn generated_differ(table: &FqName, rows: u64) -> String {
    format!("{table}: {rows} rows differ in columns that the subscriber generates, which no statement can set")
}
