//! `subscriber wait-sync`: waits until tables are in sync.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::progress;
use super::setup::Setup;
use super::status::{Parked, parked};
use super::subscriber::{Subscribed, subscribed};
use super::watch::Watch;
use crate::error::{Error, Report, Result};
use crate::job::Output;
use crate::pg::{Db, FqName};

/// How often the states are read.
const POLL: Duration = Duration::from_millis(200);

/// Waits until all of the tables, by default all that are subscribed, are `ok`. The result is a failure when the time is
/// over before. How far they are is shown as bars on a terminal, else said every `copy_progress_delay`.
pub(crate) async fn wait_sync(setup: &Setup<'_>, tables: &[String], timeout: Option<u32>) -> Result<Output> {
    let started = Instant::now();
    let limit = timeout.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let wanted: Vec<FqName> = tables.iter().map(|t| FqName::parse(t)).collect();
    let mut db = setup.subscriber().await?;
    let mut watch = Watch::open();
    let report = setup.config.copy_progress_delay;
    let mut reported = Instant::now();
    let mut told = BTreeMap::new();
    loop {
        match waiting(setup, &db, &wanted).await {
            Ok(Waiting { left, .. }) if left.is_empty() => return Ok(Output::none()),
            Ok(Waiting { left, all }) => {
                tell_parked(setup, &db, &left, &mut told).await?;
                if limit.is_some_and(|limit| started.elapsed() >= limit) {
                    let seconds = started.elapsed().as_secs();
                    tracing::error!("Not in sync on subscriber after {seconds} s: {}", describe(&left));
                    return Ok(Output::none().failed(true));
                }
                if let Some(watch) = &mut watch {
                    watch.draw(setup, &db, &left, all, "in sync").await.unwrap_or_else(no_progress);
                } else if !report.is_zero() && reported.elapsed() >= report {
                    tracing::info!("Waiting for {} tables: {}", left.len(), describe(&left));
                    tell_progress(setup, &db, &left).await.unwrap_or_else(no_progress);
                    reported = Instant::now();
                }
            }
            // The subscriber may restart while a long copy is waited for.
            Err(error) if error.is_transient() && limit.is_none_or(|limit| started.elapsed() < limit) => {
                tracing::warn!("{}", Report(&error));
                setup.pause(Duration::from_secs(1)).await?;
                if let Ok(again) = setup.subscriber().await {
                    db = again;
                }
            }
            Err(error) => return Err(error),
        }
        setup.pause(POLL).await?;
    }
}

/// Nobody has to wait longer for it.
#[expect(clippy::needless_pass_by_value, reason = "an end of a result")]
fn no_progress(error: Error) {
    tracing::debug!("no progress to tell: {}", Report(&error));
}

/// How far the copies of these tables are, a line each.
async fn tell_progress(setup: &Setup<'_>, db: &Db, left: &[Subscribed]) -> Result<()> {
    // The estimates are a help, not a must.
    let provider = setup.provider().await.ok();
    for (table, progress) in progress::read(db, provider.as_ref()).await? {
        if left.iter().any(|s| s.table == table) {
            tracing::info!("{table}: {progress}");
        }
    }
    Ok(())
}

/// What is waited for.
struct Waiting {
    /// The tables that are not in sync yet.
    left: Vec<Subscribed>,
    /// How many there are altogether.
    all: usize,
}

async fn waiting(setup: &Setup<'_>, db: &Db, wanted: &[FqName]) -> Result<Waiting> {
    let mut tables = subscribed(db, setup.queue()).await?;
    if let Some(unknown) = wanted.iter().find(|name| !tables.iter().any(|t| t.table == **name)) {
        return Err(Error::refused(
            format!("table {unknown} is not subscribed to queue \"{}\" on subscriber ({})", setup.queue(), db.target()),
            "Subscribe with \"rlondiste INI subscriber add\" first.",
        ));
    }
    // None would be "all in sync" to the script that asks.
    if tables.is_empty() {
        return Err(Error::refused(
            format!("no table is subscribed to queue \"{}\" on subscriber ({})", setup.queue(), db.target()),
            "Subscribe with \"rlondiste INI subscriber add --all\" first.",
        ));
    }
    tables.retain(|t| wanted.is_empty() || wanted.contains(&t.table));
    let all = tables.len();
    tables.retain(|t| !t.is_ok());
    Ok(Waiting { left: tables, all })
}

/// A parked table waits for a person: says so once for each reason.
async fn tell_parked(
    setup: &Setup<'_>,
    db: &Db,
    left: &[Subscribed],
    told: &mut BTreeMap<FqName, Parked>,
) -> Result<()> {
    let mut parked = parked(db, setup.queue()).await?;
    parked.retain(|table, _| left.iter().any(|s| s.table == *table));
    for (table, why) in parked {
        if told.get(&table) != Some(&why) {
            tracing::warn!("Table {table} is parked on subscriber: {why}");
            told.insert(table, why);
        }
    }
    Ok(())
}

/// The first few of them with their states.
fn describe(tables: &[Subscribed]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<String> = tables.iter().take(SHOWN).map(|t| format!("{} ({})", t.table, t.shown())).collect();
    if tables.len() > SHOWN {
        text.push(format!("and {} more", tables.len() - SHOWN));
    }
    text.join(", ")
}
