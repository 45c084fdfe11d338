//! `compare`: runs the same query on both sides of a table at a moment when they must be equal.

use crate::config;
use crate::error::Result;
use crate::job::{Control, Output};
use crate::pg::{Db, FqName, catalog};
use tokio_postgres::SimpleQueryMessage;

use super::sync_point::SyncPoints;
use super::table_state::TableState;
use super::{Comparison, tables};

/// The place of the table's name in `compare_sql`.
const PLACE: &str = "_TABLE_";

/// Compares the tables. The output is failed when any of them differs or could not be compared.
pub(super) async fn run(wanted: &Comparison, config: &config::Londiste, control: &Control) -> Result<Output> {
    let points = SyncPoints::open(config, control, wanted.force).await?;
    let mut failed = false;
    for table in comparable(wanted, config, &points, &mut failed).await? {
        let point = points.reach(&table).await?;
        tracing::info!("Counting {table}");
        let sql = config.compare_sql.replace(PLACE, &table.quoted());
        tracing::debug!("{sql}");
        let provider = first_row(&point.provider, &sql, &table).await?;
        tracing::info!("srcdb: res = {provider}");
        let subscriber = first_row(&point.subscriber, &sql, &table).await?;
        tracing::info!("dstdb: res = {subscriber}");
        if provider != subscriber {
            tracing::warn!("{table}: Results do not match!");
            failed = true;
        }
    }
    Ok(Output::none().failed(failed))
}

/// The tables that can be compared now; says why for the others.
pub(super) async fn comparable(
    wanted: &Comparison,
    config: &config::Londiste,
    points: &SyncPoints<'_>,
    failed: &mut bool,
) -> Result<Vec<FqName>> {
    let subscribed = tables::load(points.subscriber(), &config.pgq_queue_name).await?;
    let names = if wanted.tables.is_empty() {
        subscribed.iter().map(|t| t.name.clone()).collect()
    } else {
        wanted.tables.iter().map(|name| FqName::parse(name)).collect::<Vec<_>>()
    };
    let on_provider = catalog::relations(points.provider(), &names).await?;
    let on_subscriber = catalog::relations(points.subscriber(), &names).await?;
    let mut list = Vec::with_capacity(names.len());
    for name in names {
        match subscribed.iter().find(|t| t.name == name) {
            None => tracing::warn!("Table not subscribed: {name}"),
            Some(table) if table.state != TableState::Ok => tracing::info!("Table {name} not synced yet, no point"),
            Some(_) if !on_provider.contains_key(&name) => {
                tracing::warn!("Table {name} does not exist on provider side");
                *failed = true;
            }
            Some(_) if !on_subscriber.contains_key(&name) => {
                tracing::warn!("Table {name} does not exist on subscriber side");
                *failed = true;
            }
            Some(_) => list.push(name),
        }
    }
    Ok(list)
}

/// The values of the query's first row, separated by commas.
async fn first_row(db: &Db, sql: &str, table: &FqName) -> Result<String> {
    let answers =
        db.simple_query("compare a table", sql).await.map_err(|e| e.about(format!("table {table}, compare_sql")))?;
    let row = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.ok_or_else(|| db.unexpected("compare a table", "compare_sql gave no row"))?;
    let values: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect();
    Ok(values.join(", "))
}
