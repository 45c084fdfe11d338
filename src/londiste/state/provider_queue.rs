//! The queue on the provider and the tables that are captured into it: `londiste.provider_table`, `londiste.capture`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::{Capture, EventFormat};
use crate::error::{Error, Result};
use crate::pg::{Db, FqName, text, text_array};

/// The tables of the queue, in the order in which they were added.
pub(crate) async fn tables(db: &Db, queue: &str) -> Result<Vec<FqName>> {
    let sql = "select table_name from londiste.provider_get_table_list($1)";
    let rows = db.query("list the tables of the queue", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| FqName::parse(r.get(0))).collect())
}

/// How a table of the queue is captured.
#[derive(Debug, Serialize)]
pub(crate) struct TableCapture {
    pub(crate) table_name: String,
    /// `auto`, `statement` or `row`; `None` for a table that the original tools added.
    pub(crate) capture: Option<String>,
    /// By which kind of trigger inserts are captured: `statement`, `row`, or `early`, a row trigger before those of others. `None`
    /// when the table is gone, as in the next two.
    pub(crate) insert: Option<String>,
    pub(crate) update: Option<String>,
    pub(crate) delete: Option<String>,
    /// Why updates are captured so.
    pub(crate) why: Option<String>,
    /// Since when, in the time zone of the session.
    pub(crate) since: Option<String>,
    /// The columns that most updates change; `None` when that is not known.
    pub(crate) hot_columns: Option<Vec<String>>,
}

/// How the tables of the queue are captured, in the order in which they were added.
pub(crate) async fn captures(db: &Db, queue: &str) -> Result<Vec<TableCapture>> {
    let sql = "select table_name, capture, op_insert, op_update, op_delete, why,
                      pg_catalog.to_char(since, 'YYYY-MM-DD HH24:MI:SS'), hot_columns
                 from londiste.provider_get_capture_list($1)";
    let rows = db.query("list how the tables of the queue are captured", sql, &[text(&queue)]).await?;
    Ok(rows
        .iter()
        .map(|row| TableCapture {
            table_name: row.get(0),
            capture: row.get(1),
            insert: row.get(2),
            update: row.get(3),
            delete: row.get(4),
            why: row.get(5),
            since: row.get(6),
            hot_columns: row.get(7),
        })
        .collect())
}

/// A captured table whose triggers or capture functions would be made otherwise today.
pub(crate) struct Outdated {
    pub(crate) table: FqName,
    /// Its triggers do not fit the other triggers of the table.
    pub(crate) is_misfit: bool,
    /// In words.
    pub(crate) problem: String,
}

/// The tables of the queue whose capture the next maintenance would make anew, in the order in which they were added. Fails with
/// [`Error::Unsupported`] on the schema of Londiste 2.1 or of an older rlondiste, which cannot tell.
pub(crate) async fn outdated(db: &Db, queue: &str) -> Result<Vec<Outdated>> {
    const ACTION: &str = "look for capture functions that are out of date";
    const KNOWN: &str = "select pg_catalog.to_regprocedure('londiste.provider_get_outdated(text)') is not null";
    const OUTDATED: &str = "select o.table_name, o.is_misfit, o.problem from londiste.provider_get_outdated($1) o";
    if !db.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Err(Error::unsupported(
            format!("cannot {ACTION} on {} ({}): schema londiste is too old", db.role(), db.target()),
            "Upgrade it with \"rlondiste INI provider install\".",
        ));
    }
    let rows = db.query(ACTION, OUTDATED, &[text(&queue)]).await?;
    let outdated = |row: &tokio_postgres::Row| Outdated {
        table: FqName::parse(row.get(0)),
        is_misfit: row.get(1),
        problem: row.get(2),
    };
    Ok(rows.iter().map(outdated).collect())
}

/// Those of the tables that exist in the provider's database.
pub(crate) async fn existing(db: &Db, tables: &[FqName]) -> Result<Vec<FqName>> {
    let quoted: Vec<String> = tables.iter().map(FqName::quoted).collect();
    let sql = "select t.nr from pg_catalog.unnest($1) with ordinality t (name, nr)
                where pg_catalog.to_regclass(t.name) is not null";
    let rows = db.query("look for tables", sql, &[text_array(&quoted)]).await?;
    let at = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0) - 1).ok();
    Ok(rows.iter().filter_map(|row| tables.get(at(row)?).cloned()).collect())
}

/// Fails when the queue does not exist. For an unknown queue, `pgq.get_queue_info` returns no row in PgQ 3, and a row
/// of nulls in PgQ 2.1.
pub(crate) async fn require(db: &Db, queue: &str) -> Result<()> {
    let sql = "select pg_catalog.count(queue_name) from pgq.get_queue_info($1)";
    let row = db.query_one("look for the queue", sql, &[text(&queue)]).await?;
    if row.get::<_, i64>(0) > 0 {
        return Ok(());
    }
    Err(Error::missing(
        format!("Event queue does not exist yet: no queue \"{queue}\" on provider ({})", db.target()),
        "Check pgq_queue_name in the ini file, or create the queue with \"rlondiste INI provider install\".",
    ))
}

/// Creates the queue if it does not exist. Returns whether it was created.
pub(crate) async fn create(tx: &Db, queue: &str) -> Result<bool> {
    let sql = "select pgq.create_queue($1)";
    let row = tx.query_one("create the queue", sql, &[text(&queue)]).await.map_err(|e| e.about(queue))?;
    Ok(row.get::<_, i32>(0) == 1)
}

/// The keys that were chosen by `--key` when tables were added, by table. Empty on a schema of 2.1, and on one of an older rlondiste
/// when the user may not read `londiste.capture`.
pub(crate) async fn chosen_keys(db: &Db, queue: &str) -> Result<BTreeMap<FqName, Vec<String>>> {
    const ACTION: &str = "read the keys of the tables";
    const KNOWN: &str = "select pg_catalog.to_regprocedure('londiste.provider_get_keys(text)') is not null,
        coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('londiste.capture')::oid, 'select'), false)";
    const KEYS: &str = "select table_name, key_columns from londiste.provider_get_keys($1)";
    const OF_OLDER: &str =
        "select table_name, key_columns from londiste.capture where queue_name = $1 and key_columns is not null";
    let row = db.query_one(ACTION, KNOWN, &[]).await?;
    let sql = match (row.get(0), row.get(1)) {
        (true, _) => KEYS,
        (false, true) => OF_OLDER,
        (false, false) => return Ok(BTreeMap::new()),
    };
    let rows = db.query(ACTION, sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|r| (FqName::parse(r.get(0)), r.get(1))).collect())
}

/// Which functions capture the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Functions {
    /// Functions of rlondiste, generated for each table.
    Generated,
    /// The C trigger function of SkyTools 2.1.
    Classic,
}

/// Which capture functions the provider's schema has.
pub(crate) async fn functions(db: &Db) -> Result<Functions> {
    let sql =
        "select pg_catalog.to_regprocedure('londiste.provider_add_table_as(text,text,text,text,text[])') is not null";
    let row = db.query_one("look for the capture functions", sql, &[]).await?;
    Ok(if row.get(0) { Functions::Generated } else { Functions::Classic })
}

/// How a table is to be captured.
pub(crate) struct HowToCapture {
    pub(crate) capture: Capture,
    pub(crate) format: EventFormat,
    /// The columns that identify a row; `None`: the primary key, else a suitable unique index.
    pub(crate) key: Option<Vec<String>>,
    pub(crate) truncate: Truncate,
}

/// What a TRUNCATE of a captured table does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Truncate {
    /// It makes an event.
    #[default]
    Event,
    /// It makes no event: `--no-truncate`.
    Nothing,
}

/// The word of the schema for a way to capture.
fn word(capture: Capture) -> &'static str {
    match capture {
        Capture::Auto => "auto",
        Capture::Statement => "statement",
        Capture::Row => "row",
    }
}

/// Adds a table to the queue and creates its triggers; does nothing when the table is there. Takes SHARE ROW EXCLUSIVE
/// on the table, which writers wait for, until the transaction ends.
pub(crate) async fn add(tx: &Db, queue: &str, table: &FqName, functions: Functions, how: &HowToCapture) -> Result<()> {
    const ACTION: &str = "add a table to the queue";
    let name = table.to_string();
    let added = match functions {
        Functions::Generated => {
            // The default of the schema: auto, or statement in one of an older version.
            let capture = Some(word(how.capture)).filter(|_| how.capture != Capture::Auto);
            let format = match how.format {
                EventFormat::Sql => "sql",
                EventFormat::Urlenc => "urlenc",
                EventFormat::Json => "json",
            };
            let params = [text(&queue), text(&name), text(&capture), text(&format), text_array(&how.key)];
            // A schema of an older version of rlondiste has the first form only.
            let sql = match how.truncate {
                Truncate::Event => "select londiste.provider_add_table_as($1, $2, $3, $4, $5)",
                Truncate::Nothing => "select londiste.provider_add_table_as($1, $2, $3, $4, $5, false)",
            };
            tx.query(ACTION, sql, &params).await
        }
        Functions::Classic => {
            let sql = "select londiste.provider_add_table($1, $2)";
            tx.query(ACTION, sql, &[text(&queue), text(&name)]).await
        }
    };
    added.map(drop).map_err(|e| e.about(table))
}

/// Removes a table from the queue and drops its triggers. Takes ACCESS EXCLUSIVE on the table and its partitions until
/// the transaction ends.
pub(crate) async fn remove(tx: &Db, queue: &str, table: &FqName) -> Result<()> {
    let sql = "select londiste.provider_remove_table($1, $2)";
    let done = tx.query("remove a table from the queue", sql, &[text(&queue), text(&table.to_string())]).await;
    done.map(drop).map_err(|e| e.about(table))
}

/// Brings the triggers and capture functions of a table up to date, and takes another way to capture when one is given. Until the transaction ends, takes SHARE ROW
/// EXCLUSIVE on a relation that gets a trigger and ACCESS EXCLUSIVE on one that loses a trigger.
pub(crate) async fn refresh(
    tx: &Db,
    queue: &str,
    table: &FqName,
    functions: Functions,
    capture: Option<Capture>,
) -> Result<()> {
    const ACTION: &str = "refresh the capture of a table";
    let name = table.to_string();
    let done = match (functions, capture) {
        (Functions::Generated, None) => {
            // A table that the original tools added gets functions in place of its trigger.
            tx.query(ACTION, "select londiste.provider_refresh_trigger($1, $2)", &[text(&queue), text(&name)]).await
        }
        (Functions::Generated, Some(capture)) => {
            let way = word(capture);
            let params = [text(&queue), text(&name), text(&way)];
            tx.query(ACTION, "select londiste.provider_refresh_table($1, $2, $3)", &params).await
        }
        (Functions::Classic, _) => {
            tx.query(ACTION, "select londiste.provider_refresh_trigger($1, $2)", &[text(&queue), text(&name)]).await
        }
    };
    done.map(drop).map_err(|e| e.about(table))
}

/// The captured tables of all queues, as queue and table.
pub(crate) async fn all_captured(db: &Db) -> Result<Vec<(String, String)>> {
    let sql = "select t.queue_name, t.table_name from londiste.provider_table t
                      join pgq.queue q on q.queue_name = t.queue_name
                order by t.queue_name, t.table_name";
    let rows = db.query("list the captured tables", sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Brings the capture of a table up to date, with the locks of [`refresh`], each waited for at most 100 ms. Returns
/// whether something was changed: a table that is in use or cannot be captured now is left for the next call.
pub(crate) async fn maintain(db: &Db, queue: &str, table: &str) -> Result<bool> {
    const ACTION: &str = "refresh the capture of a table";
    let sql = "select londiste.provider_maintain($1, $2)";
    let row = db.query_one(ACTION, sql, &[text(&queue), text(&table)]).await.map_err(|e| e.about(table))?;
    Ok(row.get::<_, i32>(0) == 1)
}

/// Writes an event that lists the tables of the queue; subscribers unsubscribe from tables that are not in the list.
pub(crate) async fn notify_change(tx: &Db, queue: &str) -> Result<()> {
    let sql = "select londiste.provider_notify_change($1)";
    tx.query("tell subscribers of the change", sql, &[text(&queue)]).await.map(drop)
}
