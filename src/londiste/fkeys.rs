//! `subscriber fkeys`: foreign keys of the replicated tables, in place or waiting for the end of a copy.

use super::listing::{Section, Sections};
use super::replay::foreign_keys;
use super::setup::Setup;
use super::subscriber::subscribed;
use super::{Shown, provider};
use crate::error::Result;
use crate::job::Output;
use crate::pg::{Db, text_array};

/// Why pending keys could not be made again at the last try. The section is there only when there are such.
const FAILED: &str = "(select p.from_table, p.fkey_name, date_trunc('second', e.fail_time)::text as failed_at, e.reason \
    from londiste.subscriber_get_table_pending_fkeys(t.name) p \
    join londiste.fkey_failure e using (from_table, fkey_name))";

/// Shows the foreign keys of all tables that are registered on both sides.
pub(crate) async fn show(setup: &Setup<'_>, shown: &[Shown]) -> Result<Output> {
    let (db, tables) = common_tables(setup).await?;
    if tables.is_empty() {
        return Ok(Output::none());
    }
    let mut sections = Vec::new();
    for which in shown_or_all(shown) {
        let (heading, source) = match which {
            Shown::Pending => ("pending fkeys", "londiste.subscriber_get_table_pending_fkeys(t.name)"),
            Shown::Active => ("active fkeys", "londiste.find_table_fkeys(t.name)"),
        };
        let columns = ["from_table", "to_table", "fkey_name", "fkey_def"];
        sections.push(Section { heading, columns, rows: rows_of(&db, source, columns, &tables).await? });
        if which == Shown::Pending && foreign_keys::remembers_failures(&db).await? {
            let columns = ["from_table", "fkey_name", "failed_at", "reason"];
            let mut rows = rows_of(&db, FAILED, columns, &tables).await?;
            for [_, _, _, reason] in &mut rows {
                *reason = reason.replace('\n', "; ");
            }
            sections.push(Section { heading: "failed fkeys", columns, rows });
        }
    }
    Ok(Output::of(&Sections(sections)))
}

/// The subscriber, and the names of the tables that are registered on both sides. None is said in the log.
pub(super) async fn common_tables(setup: &Setup<'_>) -> Result<(Db, Vec<String>)> {
    let (provider_db, db) = (setup.provider().await?, setup.subscriber().await?);
    let offered = provider::registered(&provider_db, setup.queue()).await?;
    let subscribed = subscribed(&db, setup.queue()).await?;
    let tables: Vec<String> =
        subscribed.iter().filter(|s| offered.contains(&s.table)).map(|s| s.table.to_string()).collect();
    if tables.is_empty() {
        tracing::info!("No tables, no fkeys");
    }
    Ok((db, tables))
}

/// The sections in the order asked for; both by default.
pub(super) fn shown_or_all(shown: &[Shown]) -> Vec<Shown> {
    if shown.is_empty() { vec![Shown::Pending, Shown::Active] } else { shown.to_vec() }
}

/// What a function that takes a table returns for all of the tables, each row once, sorted. Tables that have been
/// dropped are left out, as the function would fail for them; `offset 0` keeps it from being called first.
pub(super) async fn rows_of<const N: usize>(
    db: &Db,
    source: &str,
    columns: [&str; N],
    tables: &[String],
) -> Result<Vec<[String; N]>> {
    let sql = format!(
        "select distinct {} from ( \
             select w.name from unnest($1) w(name) \
             where to_regclass(londiste.quote_fqname(w.name)) is not null offset 0 \
         ) t, lateral {source} f order by {}",
        columns.map(|c| format!("f.{c}")).join(", "),
        (1..=N).map(|i| i.to_string()).collect::<Vec<_>>().join(", "),
    );
    let rows = db.query("read what belongs to the tables", &sql, &[text_array(&tables)]).await?;
    Ok(rows.iter().map(|row| std::array::from_fn(|i| row.get::<_, Option<String>>(i).unwrap_or_default())).collect())
}
