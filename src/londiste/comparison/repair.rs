//! `repair`: finds the rows that differ, and writes the statements that make the subscriber's rows equal to the
//! provider's into `fix.<schema>.<table>.sql`; with `--apply` executes them.

use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::FqName;

use super::super::context::Context;
use super::arguments::Repair;
use super::execute::{Executed, Executor};
use super::passes::Passes;
use super::range_walk::Sessions;
use super::repaired::{RepairedTable, Statements};
use super::rows::{self, By, ComparedTable, Counts, RowText, Subject};
use super::snapshot_walk::{Part, SnapshotWalk};
use super::subject::subjects;
use super::sync_point::{Reached, SyncPoint, SyncPoints};

/// Rows that are read at once.
const READ: usize = 1000;

/// Repairs the tables. The output is failed when a table could not be compared, or a statement could not be executed.
pub(super) async fn run(wanted: &Repair, context: Context<'_>) -> Result<Output> {
    let points = SyncPoints::open(context, wanted.tables.lag).await?;
    let applying = if wanted.apply { Some(SyncPoints::open(context, wanted.tables.lag).await?) } else { None };
    if !points.is_close().await? {
        return Ok(Output::none().failed(true));
    }
    let (tables, mut failed) = subjects(&wanted.tables, context, points.provider(), points.subscriber()).await?;
    let mut sessions = Sessions::open(context).await?;
    let mut passes = Passes::begin(tables, wanted, context, points.subscriber()).await?;
    let mut is_behind = false;
    while let Some(table) = passes.next() {
        let point = match points.reach(&table).await? {
            Reached::Now(point) => point,
            Reached::NotThis => {
                failed.0 = true;
                continue;
            }
            Reached::Lagging => {
                is_behind = true;
                break;
            }
        };
        let is_repeated = passes.is_repeated();
        let done = repair(&table, context, &point, &mut sessions, applying.as_ref(), wanted, is_repeated).await;
        let Some((done, executed)) = failed.take(done, [&point.provider, &point.subscriber])? else { continue };
        if let Some((done, refused)) = done {
            passes.add(table, done, refused);
        }
        match executed {
            Executed::All => {}
            Executed::NotThis => failed.0 = true,
            Executed::Lagging => {
                is_behind = true;
                break;
            }
        }
    }
    let (repaired, refused) = passes.end(points.subscriber()).await?;
    Ok(Output::of(&repaired).failed(failed.0 || refused || is_behind))
}

/// Repairs one table. Returns what was done, with the reason if rows were refused, and nothing where it was not gone through to its end.
async fn repair(
    table: &Subject,
    context: Context<'_>,
    point: &SyncPoint<'_>,
    sessions: &mut Sessions,
    applying: Option<&SyncPoints<'_>>,
    wanted: &Repair,
    is_repeated: bool,
) -> Result<(Option<(RepairedTable, Option<Error>)>, Executed)> {
    let name = &table.name;
    tracing::info!("Checking {name}");
    let sides = [&*point.provider, &*point.subscriber];
    let compared = ComparedTable::keyed_or_not(sides, table, context.queue(), By::Value).await?;
    let mut file = Statements::open(wanted, name, is_repeated)?;
    let mut apply = applying.map(|points| Executor::new(context, points, table, &compared));
    let (mut generated, mut missed) = (0, Counts::default());
    let mut walk = SnapshotWalk::open(context, point, &compared, sessions).await?;
    while let Some(part) = walk.next().await? {
        let keys: Vec<RowText> = match part {
            Part::Range(found) => found.differing,
            Part::Copies(found) => found.into_iter().map(|copies| copies.row).collect(),
        };
        for keys in keys.chunks(READ) {
            let theirs = rows::read(&point.provider, &compared, &compared.provider, "", keys).await?;
            let ours = rows::read(&point.subscriber, &compared, &compared.subscriber, "", keys).await?;
            let found = rows::fixes(&compared, keys, theirs, ours);
            generated += found.generated;
            for change in &found.changes {
                missed.add(change);
                if apply.is_none() {
                    file.write(&change.sql(&compared))?;
                }
            }
            if let Some(apply) = &mut apply {
                match apply.push(keys, &mut file).await? {
                    Executed::All => {}
                    not_applied => return Ok((None, not_applied)),
                }
            }
        }
    }
    let mut executed = match &mut apply {
        None => Executed::All,
        Some(apply) => apply.flush(&mut file).await?,
    };
    let applied = apply.as_ref().map(Executor::done);
    let mut done = RepairedTable::finished(name, walk.totals.rows, missed, applied, file)?;
    let (refused, reason) = apply.map_or((0, None), Executor::refused);
    done.refused = refused;
    if generated > 0 {
        tracing::error!("{}", generated_differ(name, generated));
        executed = Executed::NotThis;
    }
    Ok((Some((done, reason)), executed))
}

/// What is said of rows that differ only in columns that the subscriber generates.
pub(super) fn generated_differ(table: &FqName, rows: u64) -> String {
    format!("{table}: {rows} rows differ in columns that the subscriber generates, which no statement can set")
}
