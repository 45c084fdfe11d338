//! `londiste.subscriber_pending_fkeys`: foreign keys that are dropped while their tables are copied; and
//! `londiste.fkey_failure`: why a key could not be restored at the last try.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::error::{Error, Result};
use crate::pg::{Db, FqName, Sql, text, text_array};

use super::triggers::{Place, rows_of};

/// When a pending foreign key may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// When both tables of the key are in sync.
    InSync,
    /// At once: the tables of the key are not copied any more.
    Now,
}

/// A foreign key in `londiste.subscriber_pending_fkeys`.
#[derive(Clone, Debug)]
pub(crate) struct PendingFkey {
    pub(crate) from_table: FqName,
    pub(crate) to_table: FqName,
    pub(crate) name: String,
    /// The whole `alter table ... add constraint ...`, with a second statement for a comment.
    definition: String,
    pub(crate) when: When,
}

impl PendingFkey {
    /// Whether the key is from or to one of `tables`.
    pub(crate) fn touches(&self, tables: &[FqName]) -> bool {
        tables.contains(&self.from_table) || tables.contains(&self.to_table)
    }

    /// The statement that adds the constraint; and, with a leading semicolon, the statement for its comment, or
    /// nothing.
    pub(crate) fn statements(&self) -> (Sql, Sql) {
        let end = self.definition.find("; comment on constraint ").unwrap_or(self.definition.len());
        let (constraint, comment) = self.definition.split_at(end);
        (Sql::from_server(constraint.to_owned()), Sql::from_server(comment.to_owned()))
    }

    /// Whether the key was not valid before the copy, or was not enforced, which no statement makes valid: it is restored so.
    pub(crate) fn is_not_valid(&self) -> bool {
        let definition = self.statements().0.as_str().to_lowercase();
        [" not valid", " not enforced"].iter().any(|end| definition.ends_with(end))
    }

    /// The error with the name of the key.
    pub(crate) fn about(&self, error: Error) -> Error {
        error.about(format!("foreign key {} of {}", self.name, self.from_table))
    }
}

/// Columns of [`list`].
pub(crate) const COLUMNS: [&str; 4] = ["from_table", "to_table", "fkey_name", "fkey_def"];

/// Both tables, name and definition of the foreign keys from and to these tables, sorted.
pub(crate) async fn list(db: &Db, place: Place, tables: &[String]) -> Result<Vec<[String; 4]>> {
    let function = match place {
        Place::Pending => "londiste.subscriber_get_table_pending_fkeys(t.name)",
        Place::Active => "londiste.find_table_fkeys(t.name)",
    };
    rows_of(db, function, COLUMNS, tables).await
}

/// Columns of [`failures`].
pub(crate) const FAILURE_COLUMNS: [&str; 4] = ["from_table", "fkey_name", "failed_at", "reason"];

/// Why pending keys of these tables could not be restored at the last try, sorted; `None` on a schema of 2.1, which
/// does not store reasons.
pub(crate) async fn failures(db: &Db, tables: &[String]) -> Result<Option<Vec<[String; 4]>>> {
    const FAILED: &str = "(select p.from_table, p.fkey_name,
                                  pg_catalog.date_trunc('second', e.fail_time)::text as failed_at, e.reason
                             from londiste.subscriber_get_table_pending_fkeys(t.name) p
                                  join londiste.fkey_failure e using (from_table, fkey_name))";
    if !remembers_failures(db).await? {
        return Ok(None);
    }
    let mut rows = rows_of(db, FAILED, FAILURE_COLUMNS, tables).await?;
    for [_, _, _, reason] in &mut rows {
        *reason = reason.replace('\n', "; ");
    }
    Ok(Some(rows))
}

/// A foreign key that exists: the referencing table and the name.
pub(crate) struct ActiveFkey {
    pub(crate) from_table: String,
    pub(crate) name: String,
}

/// The foreign keys from and to the table that exist. Fails when there is no such table.
pub(crate) async fn active(subscriber: &Db, name: &FqName) -> Result<Vec<ActiveFkey>> {
    let sql = "select from_table, fkey_name from londiste.find_table_fkeys($1)";
    let rows = subscriber.query("look for foreign keys", sql, &[text(&name.to_string())]).await;
    let rows = rows.map_err(|e| e.about(format!("table {name}")))?;
    Ok(rows.iter().map(|row| ActiveFkey { from_table: row.get(0), name: row.get(1) }).collect())
}

/// One end of a foreign key: the table, and the tables that it is a partition of.
pub(crate) type FkeyEnd = Vec<FqName>;

/// Both ends of a foreign key, or one when it refers to its own table; the end of the table alone when the table has no foreign key of
/// this name. Names as the server gives them in an error.
pub(crate) async fn ends(subscriber: &Db, schema: &str, table: &str, constraint: &str) -> Result<Vec<FkeyEnd>> {
    let sql = "with recursive place (origin, relation) as (
                   select r.relation, r.relation
                     from pg_catalog.pg_class c
                          join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                          left join pg_catalog.pg_constraint k
                            on k.conrelid = c.oid and k.conname = $3::text::name and k.contype = 'f'
                          cross join lateral pg_catalog.unnest(array[c.oid, k.confrelid]) r (relation)
                    where n.nspname = $1::text::name and c.relname = $2::text::name and r.relation is not null
                   union
                   select p.origin, i.inhparent from place p join pg_catalog.pg_inherits i on i.inhrelid = p.relation)
               select p.origin, n.nspname::text, c.relname::text
                 from place p
                      join pg_catalog.pg_class c on c.oid = p.relation
                      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                order by p.origin, p.relation <> p.origin";
    let params = [text(&schema), text(&table), text(&constraint)];
    let rows = subscriber.query("look for the tables of a constraint", sql, &params).await?;
    let mut ends: BTreeMap<u32, FkeyEnd> = BTreeMap::new();
    for row in &rows {
        ends.entry(row.get(0)).or_default().push(FqName { schema: row.get(1), name: row.get(2) });
    }
    Ok(ends.into_values().collect())
}

/// Drops a foreign key and stores its definition as pending; does nothing when there is no such key. Takes ACCESS
/// EXCLUSIVE on both tables of the key until the transaction ends.
pub(crate) async fn put_aside(tx: &Db, fkey: &ActiveFkey) -> Result<()> {
    let ActiveFkey { from_table, name } = fkey;
    let sql = "select londiste.subscriber_drop_table_fkey($1, $2)";
    let done = tx.query("drop a foreign key", sql, &[text(from_table), text(name)]).await;
    done.map(drop).map_err(|e| e.about(format!("foreign key {name} of {from_table}")))
}

/// The pending keys of the queue whose subscribed tables are all `ok` and without a copy's snapshot. A key whose tables
/// were both removed counts to every queue.
pub(crate) async fn restorable(subscriber: &Db, queue: &str) -> Result<Vec<PendingFkey>> {
    let sql = "select from_table, to_table, fkey_name, fkey_def
                 from londiste.subscriber_get_queue_valid_pending_fkeys($1)";
    let rows = subscriber.query("look for pending foreign keys", sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| pending(row, When::InSync)).collect())
}

/// The pending keys from and to these tables, whatever the states of the tables.
pub(crate) async fn pending_of(subscriber: &Db, tables: &[FqName]) -> Result<Vec<PendingFkey>> {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let sql = "select from_table, to_table, fkey_name, fkey_def from londiste.subscriber_pending_fkeys
                where from_table = any ($1) or to_table = any ($1) order by from_table, fkey_name";
    let rows = subscriber.query("look for pending foreign keys", sql, &[text_array(&names)]).await?;
    Ok(rows.iter().map(|row| pending(row, When::Now)).collect())
}

fn pending(row: &Row, when: When) -> PendingFkey {
    PendingFkey {
        from_table: FqName::parse(row.get(0)),
        to_table: FqName::parse(row.get(1)),
        name: row.get(2),
        definition: row.get(3),
        when,
    }
}

/// Locks the row of a pending key until the transaction ends. A command and replay may restore the same key: the second
/// one waits here, and then finds the key restored.
pub(crate) async fn lock(tx: &Db, fkey: &PendingFkey) -> Result<()> {
    let sql = "select from londiste.subscriber_pending_fkeys where from_table = $1 and fkey_name = $2 for update";
    let table = fkey.from_table.to_string();
    tx.query("lock a pending foreign key", sql, &[text(&table), text(&fkey.name)]).await.map(drop)
}

/// Locks the rows of all pending keys from and to the table until the transaction ends: waits for those who are adding one of them.
pub(crate) async fn lock_of(tx: &Db, name: &FqName) -> Result<()> {
    let sql = "select from londiste.subscriber_pending_fkeys where $1 in (from_table, to_table)
                order by from_table, fkey_name for update";
    tx.query("lock pending foreign keys", sql, &[text(&name.to_string())]).await.map(drop)
}

/// Deletes the key from the pending ones, with the reason of its last failure.
pub(crate) async fn forget(tx: &Db, fkey: &PendingFkey) -> Result<()> {
    let table = fkey.from_table.to_string();
    let params = [text(&table), text(&fkey.name)];
    let sql = "delete from londiste.subscriber_pending_fkeys where from_table = $1 and fkey_name = $2";
    tx.execute("forget a pending foreign key", sql, &params).await?;
    if remembers_failures(tx).await? {
        let sql = "delete from londiste.fkey_failure where from_table = $1 and fkey_name = $2";
        tx.execute("forget why a foreign key was pending", sql, &params).await?;
    }
    Ok(())
}

/// Whether the schema has `londiste.fkey_failure`; a schema of 2.1 does not.
async fn remembers_failures(subscriber: &Db) -> Result<bool> {
    let sql = "select pg_catalog.to_regclass('londiste.fkey_failure') is not null";
    Ok(subscriber.query_one("look for reasons of pending foreign keys", sql, &[]).await?.get(0))
}

/// Stores why a pending key could not be restored. Does nothing on a schema of 2.1.
pub(crate) async fn remember_failure(subscriber: &Db, fkey: &PendingFkey, reason: &str) -> Result<()> {
    if !remembers_failures(subscriber).await? {
        return Ok(());
    }
    subscriber
        .execute(
            "store why a foreign key is pending",
            "insert into londiste.fkey_failure (from_table, fkey_name, reason)
             select p.from_table, p.fkey_name, $3 from londiste.subscriber_pending_fkeys p
              where p.from_table = $1 and p.fkey_name = $2
             on conflict (from_table, fkey_name) do update set reason = excluded.reason, fail_time = excluded.fail_time",
            &[text(&fkey.from_table.to_string()), text(&fkey.name), text(&reason)],
        )
        .await?;
    Ok(())
}
