//! Finds the rows that differ, and writes the statements that make the subscriber's rows those of the provider into
//! `fix.<schema>.<table>.sql`; with `--apply`, executes them.

use std::path::Path;

use crate::error::Result;
use crate::job::Output;

use super::super::setup::Setup;
use super::apply::{Applied, Apply};
use super::fix::{Change, Counts, FixFile};
use super::shape::Shape;
use super::sync_point::{Reached, SyncPoint, SyncPoints};
use super::walk::{Merge, Pair};
use super::{Repair, Subject, subjects};

/// Repairs the tables. The output is failed when a table could not be compared, or a statement not executed.
pub(super) async fn run(wanted: &Repair, setup: Setup<'_>) -> Result<Output> {
    let points = SyncPoints::open(setup, wanted.tables.force).await?;
    let applying = if wanted.apply { Some(SyncPoints::open(setup, wanted.tables.force).await?) } else { None };
    if !points.is_close().await? {
        return Ok(Output::none().failed(true));
    }
    let dir = wanted.output_dir.as_deref().unwrap_or(Path::new(""));
    let (tables, mut failed) = subjects(&wanted.tables, setup, &points).await?;
    for table in tables {
        let point = match points.reach(&table).await? {
            Reached::Now(point) => point,
            Reached::NotThis => {
                failed.0 = true;
                continue;
            }
            Reached::Lagging => return Ok(Output::none().failed(true)),
        };
        let done = repair(&table, setup, &point, applying.as_ref(), dir).await;
        match failed.take(done, [&point.provider, &point.subscriber])? {
            Some(Applied::All) | None => {}
            Some(Applied::NotThis) => failed.0 = true,
            Some(Applied::Lagging) => return Ok(Output::none().failed(true)),
        }
    }
    Ok(Output::none().failed(failed.0))
}

async fn repair(
    table: &Subject,
    setup: Setup<'_>,
    point: &SyncPoint<'_>,
    applying: Option<&SyncPoints<'_>>,
    dir: &Path,
) -> Result<Applied> {
    let name = &table.name;
    tracing::info!("Checking {name}");
    let shape = Shape::of(&point.provider, &point.subscriber, table, setup.queue()).await?;
    let mut file = FixFile::new(dir, name)?;
    let mut apply = applying.map(|points| Apply::new(setup, points, table, &shape));
    let provider = (&*point.provider, shape.provider.rows_sql());
    let subscriber = (&*point.subscriber, shape.subscriber.rows_sql());
    let mut merge = Merge::start(&shape, provider, subscriber).await?;
    let (mut theirs, mut ours, mut missed) = (0_u64, 0_u64, Counts::default());
    while let Some(pair) = merge.next().await? {
        theirs += u64::from(!matches!(pair, Pair::Subscriber(_)));
        ours += u64::from(!matches!(pair, Pair::Provider(_)));
        let Some(change) = Change::of(pair) else { continue };
        missed.add(&change);
        match &mut apply {
            None => file.write(&change.sql(&shape))?,
            Some(apply) => match apply.push(&change, &mut file).await? {
                Applied::All => {}
                not_applied => return Ok(not_applied),
            },
        }
    }
    let applied = match &mut apply {
        None => Applied::All,
        Some(apply) => apply.flush(&mut file).await?,
    };
    file.close()?;
    tracing::info!("finished {name}: src: {theirs} rows, dst: {ours} rows, missed: {missed}");
    if let Some(apply) = apply {
        tracing::info!("applied {name}: {}", apply.done());
    }
    Ok(applied)
}
