//! `compare`: runs the ini file's `compare_sql` on both sides of a table, and compares the first rows.

use crate::error::Result;
use crate::job::Output;
use crate::pg::catalog::RelationKind;
use crate::pg::{Db, FqName, Sql};
use tokio_postgres::SimpleQueryMessage;

use super::super::context::Context;
use super::arguments::Tables;
use super::rows::Subject;
use super::sequences;
use super::subject::subjects;
use super::sync_point::{Reached, SyncPoint, SyncPoints};

/// The place of the table's name in `compare_sql`.
const PLACE: &str = "_TABLE_";

/// Compares the tables. The output is failed when a table differs or could not be compared.
pub(super) async fn run(wanted: &Tables, context: Context<'_>) -> Result<Output> {
    let points = SyncPoints::open(context, wanted.lag).await?;
    if !points.is_close().await? {
        return Ok(Output::none().failed(true));
    }
    let (tables, mut failed) = subjects(wanted, context, points.provider(), points.subscriber()).await?;
    for table in tables {
        let point = match points.reach(&table).await? {
            Reached::Now(point) => point,
            Reached::NotThis => {
                failed.0 = true;
                continue;
            }
            Reached::Lagging => return Ok(Output::none().failed(true)),
        };
        let same = compare(&table, &context.config.compare_sql, &point).await;
        if failed.take(same, [&point.provider, &point.subscriber])? == Some(false) {
            failed.because(format_args!("{}: Results do not match!", table.name));
        }
    }
    sequences::compare(wanted, context, &points, &mut failed).await?;
    Ok(Output::none().failed(failed.0))
}

async fn compare(table: &Subject, compare_sql: &str, point: &SyncPoint<'_>) -> Result<bool> {
    tracing::info!("Counting {}", table.name);
    let sql = query(compare_sql, &table.name, table.on_provider);
    tracing::debug!("srcdb: {sql}");
    let provider = first_row(&point.provider, &sql, &table.name).await?;
    tracing::info!("srcdb: res = {provider}");
    let sql = query(compare_sql, &table.name, table.on_subscriber);
    tracing::debug!("dstdb: {sql}");
    let subscriber = first_row(&point.subscriber, &sql, &table.name).await?;
    tracing::info!("dstdb: res = {subscriber}");
    Ok(provider == subscriber)
}

/// The query for one side. `only` is left out before a partitioned table, which has no row of its own: both sides would
/// always look equal.
fn query(compare_sql: &str, name: &FqName, kind: RelationKind) -> Sql {
    let partitioned = kind == RelationKind::Partitioned;
    let mut sql = String::with_capacity(compare_sql.len());
    let mut parts = compare_sql.split(PLACE).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            sql += part;
            break;
        }
        let before = part.trim_end();
        match before.len().checked_sub(4).and_then(|at| before.split_at_checked(at)) {
            Some((rest, only))
                if partitioned && only.eq_ignore_ascii_case("only") && rest.ends_with(char::is_whitespace) =>
            {
                sql += rest;
            }
            _ => sql += part,
        }
        sql += &name.quoted();
    }
    Sql::from_operator(&sql)
}

/// The values of the query's first row, separated by commas.
async fn first_row(db: &Db, sql: &Sql, table: &FqName) -> Result<String> {
    let answers = db
        .with_users_path(db.simple_query("compare a table", sql))
        .await
        .map_err(|e| e.about(format!("table {table}, compare_sql")))?;
    let row = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.ok_or_else(|| db.unexpected("compare a table", "compare_sql gave no row"))?;
    let values: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect();
    Ok(values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stands_for_its_place() {
        let name = FqName::parse("a.b\"c");
        for (compare_sql, kind, expected) in [
            ("select count(1) from only _TABLE_", RelationKind::Table, "select count(1) from only \"a\".\"b\"\"c\""),
            ("select count(1) from only _TABLE_", RelationKind::Partitioned, "select count(1) from \"a\".\"b\"\"c\""),
            ("x ONLY\n_TABLE_ y _TABLE_", RelationKind::Partitioned, "x \"a\".\"b\"\"c\" y \"a\".\"b\"\"c\""),
            ("commonly _TABLE_", RelationKind::Partitioned, "commonly \"a\".\"b\"\"c\""),
            ("select 1", RelationKind::Table, "select 1"),
        ] {
            assert_eq!(query(compare_sql, &name, kind).as_str(), expected, "{compare_sql}");
        }
    }
}
