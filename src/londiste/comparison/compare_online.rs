//! `compare --online`: proof that both sides are equal while writers and replay go on, without a lock.

use crate::error::Result;
use crate::job::Output;

use super::super::context::Context;
use super::arguments::Compare;
use super::online::Online;
use super::report::{Report, TableReport};
use super::rows::{By, ComparedTable};
use super::sequences;
use super::subject::subjects;

/// Compares the tables. The output has the keys that differ. Exit status 1 when a table differs or could not be compared, else 3
/// when a row could not be verified.
pub(super) async fn run(wanted: &Compare, context: Context<'_>) -> Result<Output> {
    let by = if wanted.exact { By::Text } else { By::Value };
    let Some(online) = Online::open(context, wanted.tables.lag, wanted.jobs).await? else {
        return Ok(Output::none().with_code(3));
    };
    let (provider, subscriber) = online.sessions();
    let (tables, mut failed) = subjects(&wanted.tables, context, provider, subscriber).await?;
    let mut report = Report::default();
    for table in tables {
        tracing::info!("Checking {}", table.name);
        let compare = async {
            let compared = ComparedTable::keyed_or_not([provider, subscriber], &table, context.queue(), by).await?;
            let mut found = TableReport::of(&compared);
            found.totals = online.examine(&table, &compared, &mut found).await?;
            Ok(found)
        };
        let Some(found) = failed.take(compare.await, [provider, subscriber])? else { continue };
        tracing::info!("srcdb: res = {} rows", found.totals.provider_rows);
        tracing::info!("dstdb: res = {} rows", found.totals.subscriber_rows);
        if found.differs() {
            failed.because(format_args!("{}: Results do not match!", table.name));
        } else if found.totals.unverified > 0 {
            tracing::warn!("{}: {} rows could not be verified", table.name, found.totals.unverified);
        }
        report.tables.push(found);
    }
    report.sequences = sequences::compare(&wanted.tables, context, online.points(), &mut failed).await?;
    let code = if failed.0 {
        1
    } else if report.tables.iter().any(|table| table.totals.unverified > 0) {
        3
    } else {
        0
    };
    Ok(Output::of(&report).with_code(code))
}
