//! `londiste.subscriber_pending_triggers`: triggers of users that are dropped while their table is copied.

use crate::error::Result;
use crate::pg::{Db, FqName, Sql, sql, text, text_array};

/// Where a trigger or foreign key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Dropped; the definition is stored.
    Pending,
    /// In the database.
    Active,
}

/// Columns of [`list`].
pub(crate) const COLUMNS: [&str; 3] = ["table_name", "trigger_name", "trigger_def"];

/// Table, name and definition of the triggers of these tables, sorted. Tables that do not exist have none.
pub(crate) async fn list(db: &Db, place: Place, tables: &[String]) -> Result<Vec<[String; 3]>> {
    let function = match place {
        Place::Pending => "londiste.subscriber_get_table_pending_triggers(t.name)",
        Place::Active => "londiste.find_table_triggers(t.name)",
    };
    rows_of(db, function, COLUMNS, tables).await
}

/// Drops all triggers of users of the table, and stores their definitions. Takes ACCESS EXCLUSIVE on the table until
/// the transaction ends, if the table has such triggers.
pub(crate) async fn put_aside(tx: &Db, table: &FqName) -> Result<()> {
    let sql = "select londiste.subscriber_drop_all_table_triggers($1)";
    let done = tx.query("put aside the triggers of a table", sql, &[text(&table.to_string())]).await;
    done.map(drop).map_err(|e| e.about(table))
}

/// The tables that no queue subscribes to any more and whose triggers are still dropped, sorted by name. Tables that do not exist are
/// left out.
pub(crate) async fn abandoned(db: &Db) -> Result<Vec<FqName>> {
    let sql = "select distinct p.table_name from londiste.subscriber_pending_triggers p
                where not exists (select from londiste.subscriber_table t where t.table_name = p.table_name)
                  and pg_catalog.to_regclass(londiste.quote_fqname(p.table_name)) is not null
                order by 1";
    let rows = db.query("look for dropped triggers of tables that are not subscribed", sql, &[]).await?;
    Ok(rows.iter().map(|row| FqName::parse(row.get(0))).collect())
}

/// Restores all pending triggers of the table. Takes SHARE ROW EXCLUSIVE on the table, which writers wait for, until
/// the transaction ends.
pub(crate) async fn restore_all(tx: &Db, table: &FqName) -> Result<()> {
    let sql = "select londiste.subscriber_restore_all_table_triggers($1)";
    let name = table.to_string();
    // Definitions that SkyTools stored have names without schemas.
    let done = tx.with_users_path(tx.query("restore the triggers of a table", sql, &[text(&name)])).await;
    done.map(drop).map_err(|e| e.about(table))
}

/// Restores one pending trigger, with the lock of [`restore_all`].
pub(crate) async fn restore(tx: &Db, table: &FqName, trigger: &str) -> Result<()> {
    let sql = "select londiste.subscriber_restore_table_trigger($1, $2)";
    let name = table.to_string();
    let params = [text(&name), text(&trigger)];
    let done = tx.with_users_path(tx.query("restore a trigger", sql, &params)).await;
    done.map(drop).map_err(|e| e.about(format!("{table}, trigger {trigger}")))
}

/// The rows that `function` returns for each of the tables, without duplicates, sorted. The function fails for a table
/// that does not exist, so such tables are left out first (`offset 0` keeps the server from merging the two steps).
pub(super) async fn rows_of<const N: usize>(
    db: &Db,
    function: &'static str,
    columns: [&'static str; N],
    tables: &[String],
) -> Result<Vec<[String; N]>> {
    let sql = sql!(
        "select distinct {columns} from ( \
             select w.name from pg_catalog.unnest($1) w(name) \
             where pg_catalog.to_regclass(londiste.quote_fqname(w.name)) is not null offset 0 \
         ) t, lateral {function} f order by {order}",
        columns = Sql::join(columns.map(|c| sql!("f.{column}", column = c)), ", "),
        function = function,
        order = Sql::join((1..=N).map(Sql::from), ", ")
    );
    let rows = db.query("read what belongs to the tables", sql, &[text_array(&tables)]).await?;
    Ok(rows.iter().map(|row| std::array::from_fn(|i| row.get::<_, Option<String>>(i).unwrap_or_default())).collect())
}
