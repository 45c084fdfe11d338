//! `subscriber wait-sync`: waits until tables are in sync.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::context::Context;
use super::super::copy::read_progress;
use super::super::state::parking::Parked;
use super::super::state::table_state::TableState;
use super::super::state::tables::{self, SubscribedTable};
use super::bars::CopyBars;
use crate::error::{Error, Report, Result};
use crate::job::Output;
use crate::pg::{Db, FqName};
use crate::text::{Lines, shown};

/// How often the states are read.
const POLL: Duration = Duration::from_millis(200);

/// Waits until the tables, by default all subscribed ones, are `ok`; the output is failed after `timeout` seconds.
/// Draws bars on a terminal, else logs the progress every `copy_progress_delay`. Fails when a table is not subscribed,
/// or none is.
pub(crate) async fn wait_sync(context: &Context<'_>, tables: &[String], timeout: Option<u32>) -> Result<Output> {
    let started = Instant::now();
    let limit = timeout.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let wanted: Vec<FqName> = tables.iter().map(|t| FqName::parse(t)).collect();
    let mut db = context.subscriber().await?;
    let mut bars = CopyBars::open();
    let report = context.config.copy_progress_delay;
    let mut reported = Instant::now();
    let mut told = BTreeMap::new();
    loop {
        match waiting(context, &db, &wanted).await {
            Ok(Waiting { left, .. }) if left.is_empty() => return Ok(Output::none()),
            Ok(Waiting { left, all }) => {
                tell_parked(&left, &mut told);
                if limit.is_some_and(|limit| started.elapsed() >= limit) {
                    let seconds = started.elapsed().as_secs();
                    tracing::error!("Not in sync on subscriber after {seconds} s: {}", describe(&left));
                    return Ok(Output::none().failed(true));
                }
                if let Some(bars) = &mut bars {
                    bars.draw(context, &db, &left, all, "in sync").await.unwrap_or_else(no_progress);
                } else if !report.is_zero() && reported.elapsed() >= report {
                    tracing::info!("Waiting for {} tables: {}", left.len(), describe(&left));
                    tell_progress(context, &db, &left).await.unwrap_or_else(no_progress);
                    reported = Instant::now();
                }
            }
            // The subscriber may restart while a long copy is waited for.
            Err(error) if error.is_transient() && limit.is_none_or(|limit| started.elapsed() < limit) => {
                tracing::warn!("{}", Report(&error));
                context.pause(Duration::from_secs(1)).await?;
                if let Ok(again) = context.subscriber().await {
                    db = again;
                }
            }
            Err(error) => return Err(error),
        }
        context.pause(POLL).await?;
    }
}

/// Logs, at debug level, why no progress is shown; the wait goes on.
#[expect(clippy::needless_pass_by_value, reason = "an end of a result")]
fn no_progress(error: Error) {
    tracing::debug!("no progress to tell: {}", Report(&error));
}

/// Logs the progress of the copies of these tables, one line each.
async fn tell_progress(context: &Context<'_>, db: &Db, left: &[SubscribedTable]) -> Result<()> {
    // Without a provider only the estimates are missing.
    let provider = context.provider().await.ok();
    for (table, progress) in read_progress(db, provider.as_ref()).await? {
        if left.iter().any(|s| s.name == table) {
            tracing::info!("{table}: {progress}");
        }
    }
    Ok(())
}

/// The tables that the command waits for.
struct Waiting {
    /// The tables that are not in sync yet.
    left: Vec<SubscribedTable>,
    /// How many tables the command waits for, with those in sync.
    all: usize,
}

async fn waiting(context: &Context<'_>, db: &Db, wanted: &[FqName]) -> Result<Waiting> {
    let mut tables = tables::load(db, context.queue()).await?;
    if let Some(unknown) = wanted.iter().find(|name| !tables.iter().any(|t| t.name == **name)) {
        return Err(Error::missing(
            format!(
                "table {unknown} is not subscribed to queue \"{}\" on subscriber ({})",
                context.queue(),
                db.target()
            ),
            "Subscribe with \"rlondiste INI subscriber add\" first.",
        ));
    }
    // Success would tell a script that all tables are in sync.
    if tables.is_empty() {
        return Err(Error::missing(
            format!("no table is subscribed to queue \"{}\" on subscriber ({})", context.queue(), db.target()),
            "Subscribe with \"rlondiste INI subscriber add --all\" first.",
        ));
    }
    tables.retain(|t| wanted.is_empty() || wanted.contains(&t.name));
    let all = tables.len();
    tables.retain(|t| t.state != TableState::Ok);
    Ok(Waiting { left: tables, all })
}

/// Warns of parked tables, which wait for an operator, once for each reason.
fn tell_parked(left: &[SubscribedTable], told: &mut BTreeMap<FqName, Parked>) {
    for (table, why) in left.iter().filter_map(|t| Some((t, t.parked.as_ref()?))) {
        if told.get(&table.name) != Some(why) {
            let hint = why.mend.as_ref().map_or_else(String::new, |mend| format!("\nHINT: {}", shown(mend)));
            let text = format!("Table {} is parked on subscriber: {}{hint}", table.name, shown(&why.reason));
            tracing::warn!("{}", Lines(text));
            told.insert(table.name.clone(), why.clone());
        }
    }
}

/// The first few tables with their states, and the number of the rest.
fn describe(tables: &[SubscribedTable]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<String> = tables.iter().take(SHOWN).map(ToString::to_string).collect();
    if tables.len() > SHOWN {
        text.push(format!("and {} more", tables.len() - SHOWN));
    }
    text.join(", ")
}
