//! `subscriber wait-sync`: waits until tables are in sync.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::progress;
use super::setup::Setup;
use super::status::{Parked, parked};
use super::subscriber::{Subscribed, subscribed};
use crate::error::{Error, Result};
use crate::job::Output;
use crate::pg::{Db, FqName};

/// How often the states are read.
const POLL: Duration = Duration::from_millis(200);

/// How often what is still missing is said.
const REPORT: Duration = Duration::from_secs(10);

/// Waits until all of the tables, by default all that are subscribed, are `ok`. The result is a failure when the time is
/// over before.
pub(crate) async fn wait_sync(setup: &Setup<'_>, tables: &[String], timeout: Option<u32>) -> Result<Output> {
    let started = Instant::now();
    let limit = timeout.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let wanted: Vec<FqName> = tables.iter().map(|t| FqName::parse(t)).collect();
    let mut db = setup.subscriber().await?;
    let mut reported = Instant::now();
    let mut told = BTreeMap::new();
    loop {
        match waiting(setup, &db, &wanted).await {
            Ok(left) if left.is_empty() => return Ok(Output::none()),
            Ok(left) => {
                tell_parked(setup, &db, &left, &mut told).await?;
                if limit.is_some_and(|limit| started.elapsed() >= limit) {
                    let seconds = started.elapsed().as_secs();
                    tracing::error!("Not in sync on subscriber after {seconds} s: {}", describe(&left));
                    return Ok(Output::none().failed(true));
                }
                if reported.elapsed() >= REPORT {
                    tracing::info!("Waiting for {} tables: {}", left.len(), describe(&left));
                    tell_progress(setup, &db, &left).await?;
                    reported = Instant::now();
                }
            }
            // The subscriber may restart while a long copy is waited for.
            Err(error) if error.is_transient() && limit.is_none_or(|limit| started.elapsed() < limit) => {
                tracing::warn!("{}", crate::error::Report(&error));
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

/// The tables that are waited for and are not in sync yet.
async fn waiting(setup: &Setup<'_>, db: &Db, wanted: &[FqName]) -> Result<Vec<Subscribed>> {
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
    tables.retain(|t| !t.is_ok() && (wanted.is_empty() || wanted.contains(&t.table)));
    Ok(tables)
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
