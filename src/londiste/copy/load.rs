//! The COPY itself: indexes and constraints away, rows over, indexes and constraints back, in one transaction of the
//! subscriber. Until it commits, the old rows and indexes are what everybody sees.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt};

use crate::config;
use crate::error::{Error, Result};
use crate::londiste::tables::SubscribedTable;
use crate::pg::catalog::{self, Dependent};
use crate::pg::name::quote_ident;
use crate::pg::{Db, FqName, text};
use crate::pgq::snapshot::Snapshot;

/// Rows are sent on when so many bytes of them have come together.
const FLUSH_BYTES: usize = 256 * 1024;

/// Copies the table inside the subscriber's open transaction. Returns the provider's snapshot that the rows are of.
pub(super) async fn copy_table(
    provider: &Db,
    tx: &Db,
    config: &config::Londiste,
    table: &SubscribedTable,
) -> Result<Snapshot> {
    let name = &table.name;
    let about = |e: Error| e.about(format!("table {name}"));
    tx.batch("prepare the copy", "set local statement_timeout = 0").await?;
    if let Some(memory) = &config.copy_maintenance_work_mem {
        let memory = crate::pg::name::quote_literal(memory);
        tx.batch("prepare the copy", &format!("set local maintenance_work_mem = {memory}")).await?;
    }
    let snapshot_tx =
        provider.begin("start the copy's snapshot", "begin isolation level repeatable read read only").await?;
    let snapshot = current_snapshot(&snapshot_tx).await?;
    let columns = shared_columns(&snapshot_tx, tx, name).await?;
    tx.query(
        "drop the table's triggers",
        "select londiste.subscriber_drop_all_table_triggers($1)",
        &[text(&name.to_string())],
    )
    .await
    .map_err(about)?;
    let dependents = catalog::dependent_objects(tx, name).await?;
    for dependent in dependents.iter().rev() {
        tracing::info!("Dropping {}", dependent.name);
        tx.batch("drop an index or constraint", &dependent.drop_sql).await.map_err(about)?;
    }
    if table.skip_truncate {
        tracing::info!("{name}: skipping truncate");
    } else {
        tracing::info!("{name}: truncating");
        tx.batch("truncate", &format!("truncate only {}", name.quoted())).await.map_err(about)?;
    }
    copy_rows(&snapshot_tx, tx, table, &columns).await?;
    snapshot_tx.commit("end the copy's snapshot").await?;
    create(tx, &dependents).await.map_err(about)?;
    Ok(snapshot)
}

/// Collects the statistics that the planner needs at once.
pub(super) async fn analyze(subscriber: &Db, name: &FqName) -> Result<()> {
    let sql = format!("analyze {}", name.quoted());
    subscriber.batch("analyze", &sql).await.map_err(|e| e.about(format!("table {name}")))
}

async fn current_snapshot(provider: &Db) -> Result<Snapshot> {
    let action = "take the copy's snapshot";
    let row = provider.query_one(action, "select txid_current_snapshot()::text", &[]).await?;
    let text: &str = row.get(0);
    text.parse().map_err(|_| provider.unexpected(action, format!("bad snapshot \"{text}\"")))
}

/// The provider's columns, by name; the subscriber must have them all, and may have more.
async fn shared_columns(provider: &Db, subscriber: &Db, name: &FqName) -> Result<Vec<String>> {
    let theirs = catalog::columns(provider, name).await?;
    let ours = catalog::columns(subscriber, name).await?;
    for (db, columns) in [(provider, &theirs), (subscriber, &ours)] {
        if columns.is_empty() {
            return Err(Error::refused(
                format!("could not copy {name}: Table not found: {name} on {} ({})", db.role(), db.target()),
                "Create it there, or remove it with \"subscriber remove\".",
            ));
        }
    }
    let mut columns = Vec::with_capacity(theirs.len());
    for column in theirs.iter().filter(|c| !c.generated) {
        match ours.iter().find(|c| c.name == column.name) {
            Some(our) if our.generated => {}
            Some(_) => columns.push(column.name.clone()),
            None => {
                return Err(Error::refused(
                    format!("could not copy {name}: Column {} does not exist on dest side", column.name),
                    format!(
                        "Run on subscriber ({}): alter table {} add column {} {}",
                        subscriber.target(),
                        name.quoted(),
                        quote_ident(&column.name),
                        column.type_name
                    ),
                ));
            }
        }
    }
    Ok(columns)
}

async fn copy_rows(provider: &Db, tx: &Db, table: &SubscribedTable, columns: &[String]) -> Result<()> {
    let (name, action) = (&table.name, "copy rows");
    let about = |e: Error| e.about(format!("table {name}"));
    let started = Instant::now();
    tracing::info!("{name}: start copy");
    let list = columns.iter().map(|c| quote_ident(c)).collect::<Vec<_>>().join(", ");
    let (from_provider, to_subscriber) = (relation_kind(provider, name).await?, relation_kind(tx, name).await?);
    let out = if from_provider == 'p' {
        format!("copy (select {list} from {}) to stdout", name.quoted())
    } else {
        format!("copy {} ({list}) to stdout", name.quoted())
    };
    // A table that was emptied in this transaction can take rows that need no freezing later.
    let freeze = if table.skip_truncate || to_subscriber != 'r' { "" } else { " with (freeze)" };
    let into = format!("copy {} ({list}) from stdin{freeze}", name.quoted());
    let mut rows = std::pin::pin!(provider.copy_out(action, &out).await.map_err(about)?);
    let mut sink = std::pin::pin!(tx.copy_in(action, &into).await.map_err(about)?);
    let (mut bytes, mut waiting) = (0_u64, 0_usize);
    let from_provider = |e| provider.failed(action, e).about(format!("table {name}"));
    let to_subscriber = |e| tx.failed(action, e).about(format!("table {name}"));
    while let Some(row) = rows.try_next().await.map_err(from_provider)? {
        let row: Bytes = row;
        bytes += row.len() as u64;
        waiting += row.len();
        sink.feed(row).await.map_err(to_subscriber)?;
        if waiting >= FLUSH_BYTES {
            sink.flush().await.map_err(to_subscriber)?;
            waiting = 0;
        }
    }
    let count = sink.as_mut().finish().await.map_err(to_subscriber)?;
    tracing::info!("{name}: copy finished: {bytes} bytes, {count} rows");
    tracing::debug!("{name}: copied in {:.3} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// `pg_class.relkind`: `r` for a table, `p` for a partitioned one.
async fn relation_kind(db: &Db, name: &FqName) -> Result<char> {
    let row = db
        .query_opt(
            "look for a table",
            "select relkind::text from pg_catalog.pg_class where oid = to_regclass($1)",
            &[text(&name.quoted())],
        )
        .await?;
    Ok(row.and_then(|row| row.get::<_, &str>(0).chars().next()).unwrap_or('r'))
}

async fn create(tx: &Db, dependents: &[Dependent]) -> Result<()> {
    for dependent in dependents {
        tracing::info!("Creating {}", dependent.name);
        tx.batch("create an index or constraint", &dependent.create_sql).await?;
    }
    Ok(())
}
