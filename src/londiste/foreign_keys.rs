//! Drops foreign keys for a copy and restores them after it: a key is added `not valid`, which holds its locks for a
//! moment only, then validated while writers go on. A key that fails stays pending and is tried again;
//! `londiste.fkey_failure` has the reason.
//!
//! | the process ends after | what the next try finds |
//! |---|---|
//! | adding the key | the key not valid and still pending: validates it |
//! | validating the key | the key valid and still pending: deletes the pending row |

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use crate::config;
use crate::error::{Error, Report, Result, Role};
use crate::failpoint::failpoint;
use crate::pg::{Db, FqName, Sql, sql, text};
use crate::task::Abort;
use crate::text::{Lines, shown};

use super::state::foreign_keys::{self as stored, PendingFkey, When};

/// How many values of the key without a referenced row a report shows.
const KEYS_SHOWN: usize = 10;

/// How long one try waits for a lock, and the pause between two tries. Less than the server's `deadlock_timeout` (by
/// default 1 s); meanwhile other sessions wait behind the try, and for the locks that the try holds already.
const LOCK_WAIT: Duration = Duration::from_millis(300);

/// How restoring a list of foreign keys ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// Every key is restored, or waits for a copy that has begun meanwhile.
    All,
    /// Some keys failed and stay pending; the reasons are in the log and in `londiste.fkey_failure`.
    SomeFailed,
}

/// Drops the foreign keys from and to the table, and keeps their definitions in `londiste.subscriber_pending_fkeys`.
///
/// Each key is dropped in a transaction of its own, which takes ACCESS EXCLUSIVE on both of its tables and waits at
/// most [`LOCK_WAIT`] for each. When a lock is not granted, fails with SQLSTATE 55P03; keys that were dropped before
/// stay dropped.
pub(crate) async fn drop_all(subscriber: &Db, name: &FqName) -> Result<()> {
    for fkey in stored::active(subscriber, name).await? {
        tracing::info!("Dropping fkey: {}", fkey.name);
        let tx = subscriber.begin("drop a foreign key", "begin").await?;
        tx.limit_lock_wait(Some(LOCK_WAIT)).await?;
        stored::put_aside(&tx, &fkey).await?;
        failpoint!("fkeys::put_aside");
        tx.commit("drop a foreign key").await?;
        failpoint!("fkeys::dropped");
    }
    Ok(())
}

/// Drops the keys from and to the table that were restored since [`drop_all`], in the transaction that takes the table out of `ok`:
///
/// 1. The keys of a table that is to be parked are dropped. The table is still `ok`.
/// 2. The task that restores keys finds them pending and their tables `ok`, and adds them.
/// 3. The table is parked, with a key that refuses rows of other tables.
///
/// Rule: the caller has stored the new state in `tx`, and the pending rows are locked here. Step 2 has a pending row locked while the
/// key is added, so it is over before this looks for keys, or it begins after the caller's commit and reads the new state.
///
/// Takes the locks of [`drop_all`] until the caller ends the transaction, and waits as long for each; a lock that is not granted is
/// SQLSTATE 55P03.
pub(crate) async fn drop_restored(tx: &Db, name: &FqName) -> Result<()> {
    tx.limit_lock_wait(Some(LOCK_WAIT)).await?;
    stored::lock_of(tx, name).await?;
    for fkey in stored::active(tx, name).await? {
        tracing::info!("Dropping fkey: {}", fkey.name);
        stored::put_aside(tx, &fkey).await?;
    }
    Ok(())
}

/// [`restore_in`] in a session of its own.
pub(crate) async fn restore(config: config::Londiste, pending: Vec<PendingFkey>, abort: Abort) -> Result<Restored> {
    let subscriber = Db::open(Role::Subscriber, &config.subscriber_db, config.common.client(), &abort).await?;
    restore_in(&subscriber, &config, &pending, "next try in a minute").await
}

/// Restores the keys one by one. Logs a key that fails, with `outlook` on its next try, and stores the reason. Returns
/// an error only when the session is closed or a stop was requested.
///
/// Adding a key locks both tables in SHARE ROW EXCLUSIVE mode for a moment; validating it locks the referencing table
/// in SHARE UPDATE EXCLUSIVE and the referenced one in ROW SHARE mode while the rows are checked.
pub(crate) async fn restore_in(
    subscriber: &Db,
    config: &config::Londiste,
    pending: &[PendingFkey],
    outlook: &str,
) -> Result<Restored> {
    let mut restored = Restored::All;
    for fkey in pending {
        tracing::info!("Creating fkey: {} ({} --> {})", fkey.name, fkey.from_table, fkey.to_table);
        if let Err(failure) = restore_one(subscriber, config, fkey).await {
            if subscriber.is_closed() || matches!(failure.error, Error::Aborted) {
                return Err(failure.error);
            }
            restored = Restored::SomeFailed;
            let reason = failure.to_string();
            tracing::error!(
                "foreign key {} ({} --> {}) stays pending, {outlook}: {}",
                fkey.name,
                fkey.from_table,
                fkey.to_table,
                Lines(&reason),
            );
            stored::remember_failure(subscriber, fkey, &reason).await?;
            failpoint!("fkeys::failure_stored");
        }
    }
    Ok(restored)
}

/// Why a key could not be restored.
struct Failure {
    error: Error,
    /// For a violation: the values of the key that the referenced table does not have, as a text for the log.
    offending: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, offending: None }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Report(&self.error))?;
        self.offending.iter().try_for_each(|keys| write!(f, "\n{}", shown(keys)))
    }
}

async fn restore_one(subscriber: &Db, config: &config::Londiste, fkey: &PendingFkey) -> Result<(), Failure> {
    failpoint!("fkeys::due");
    let added = add_patiently(subscriber, config, fkey).await.map_err(|e| fkey.about(e))?;
    if added == Added::No {
        tell_that_it_waits(fkey);
        return Ok(());
    }
    if added == Added::NotValid
        && let Err(error) = validate(subscriber, fkey).await
    {
        if error.code() == Some(&SqlState::UNDEFINED_OBJECT) && validated(subscriber, fkey).await?.is_none() {
            tell_that_it_waits(fkey);
            return Ok(());
        }
        let is_violation = error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION);
        let offending = if is_violation { offending_keys(subscriber, fkey).await? } else { None };
        failpoint!("fkeys::violated");
        // A key that is not valid still refuses new rows, and so would stop replay: it is dropped.
        let tx = subscriber.begin("drop a foreign key", "begin").await?;
        tx.limit_lock_wait(config.lock_timeout).await?;
        let drop = sql!(
            "alter table {table} drop constraint if exists {name}",
            table = &fkey.from_table,
            name = Sql::ident(&fkey.name)
        );
        tx.with_users_path(tx.batch("drop a foreign key", drop)).await.map_err(|e| fkey.about(e))?;
        tx.commit("drop a foreign key").await?;
        failpoint!("fkeys::taken_back");
        return Err(Failure { error: fkey.about(error), offending });
    }
    Ok(forget(subscriber, config, fkey).await?)
}

/// What there is of a key after [`add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    /// The key as it was before the copy.
    Whole,
    /// The key, not validated yet.
    NotValid,
    /// No key: a copy has begun meanwhile.
    No,
}

impl Added {
    fn of(validated: bool) -> Added {
        if validated { Added::Whole } else { Added::NotValid }
    }
}

/// Whether the key is validated, or was not valid before the copy either; `None` when there is no such key.
async fn validated(subscriber: &Db, fkey: &PendingFkey) -> Result<Option<bool>> {
    let row = subscriber
        .query_opt(
            "look for a foreign key",
            "select convalidated from pg_catalog.pg_constraint
              where contype = 'f' and conrelid = to_regclass($1) and conname = $2",
            &[text(&fkey.from_table.quoted()), text(&fkey.name)],
        )
        .await?;
    Ok(row.map(|row| row.get::<_, bool>(0) || fkey.is_not_valid()))
}

/// Adds the key, for `lock_timeout` in tries of [`LOCK_WAIT`]. With one long try:
///
/// 1. A batch changes the referenced table and goes on.
/// 2. Adding the key locks the referencing table, and waits for the referenced one.
/// 3. The batch comes to the referencing table: a deadlock, and the server may cancel the batch.
///
/// No order of locks fits all batches, so a try ends before `deadlock_timeout`, when the server looks for deadlocks.
async fn add_patiently(subscriber: &Db, config: &config::Londiste, fkey: &PendingFkey) -> Result<Added> {
    let started = Instant::now();
    loop {
        match add(subscriber, config, fkey).await {
            Err(error)
                if matches!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED))
                    && config.lock_timeout.is_none_or(|limit| started.elapsed() < limit) =>
            {
                tracing::debug!("foreign key {} of {} waits for a lock", fkey.name, fkey.from_table);
                tokio::time::sleep(LOCK_WAIT).await;
            }
            done => return done,
        }
    }
}

/// Adds the key unless it is there: `not valid`, but valid at once on a partitioned table, where PostgreSQL refuses
/// `not valid`. A key that was not valid before the copy comes back so.
///
/// 1. The key is found to be restorable.
/// 2. One of its tables is to be copied again: the foreign keys of the table are dropped. This key is not there yet.
/// 3. The key is added, and refuses events that the copy's consumer applies while the other table is behind or ahead.
///
/// Rule: the states are read again under the locks that adding the key takes. A step 2 that comes later waits for these
/// locks and drops the key, or the copy drops it when it begins.
async fn add(subscriber: &Db, config: &config::Londiste, fkey: &PendingFkey) -> Result<Added> {
    let tx = subscriber.begin("create a foreign key", "begin").await?;
    tx.limit_lock_wait(Some(LOCK_WAIT)).await?;
    stored::lock(&tx, fkey).await?;
    if let Some(validated) = validated(&tx, fkey).await? {
        return Ok(Added::of(validated));
    }
    let row = tx
        .query_one(
            "look for a table",
            "select coalesce((select relkind = 'p' from pg_catalog.pg_class where oid = to_regclass($1)), false)",
            &[text(&fkey.from_table.quoted())],
        )
        .await?;
    let at_once = row.get(0) || fkey.is_not_valid();
    let not_valid = if at_once { "" } else { " not valid" };
    let (create, comment) = fkey.statements();
    let sql = sql!("{create}{not_valid}{comment}", create = create, not_valid = not_valid, comment = comment);
    tx.with_users_path(tx.batch("create a foreign key", sql)).await?;
    if fkey.when == When::InSync && !is_restorable(&tx, &config.pgq_queue_name, fkey).await? {
        tx.rollback("give up a foreign key").await?;
        return Ok(Added::No);
    }
    failpoint!("fkeys::created");
    tx.commit("create a foreign key").await?;
    failpoint!("fkeys::added");
    Ok(Added::of(at_once))
}

async fn is_restorable(tx: &Db, queue: &str, fkey: &PendingFkey) -> Result<bool> {
    let restorable = stored::restorable(tx, queue).await?;
    Ok(restorable.iter().any(|other| (&other.from_table, &other.name) == (&fkey.from_table, &fkey.name)))
}

async fn validate(subscriber: &Db, fkey: &PendingFkey) -> Result<()> {
    const ACTION: &str = "validate a foreign key";
    let (table, name) = (&fkey.from_table, Sql::ident(&fkey.name));
    let sql = sql!("alter table {table} validate constraint {name}", table = table, name = name);
    let tx = subscriber.begin(ACTION, "begin").await?;
    tx.with_users_path(tx.batch(ACTION, sql)).await?;
    failpoint!("fkeys::checked");
    tx.commit(ACTION).await?;
    failpoint!("fkeys::validated");
    Ok(())
}

/// The first [`KEYS_SHOWN`] values of the key that the referenced table does not have, as a text for the log; `None`
/// when the values cannot be listed. The constraint must exist.
async fn offending_keys(subscriber: &Db, fkey: &PendingFkey) -> Result<Option<String>> {
    let row = subscriber
        .query_opt(
            "read the columns of a foreign key",
            "select string_agg(format('%I', fa.attname), ', ' order by k.n),
                    string_agg(format('f.%I', fa.attname), ', ' order by k.n),
                    string_agg(format('f.%I is not null', fa.attname), ' and ' order by k.n),
                    string_agg(format('t.%I = f.%I', ta.attname, fa.attname), ' and ' order by k.n)
               from pg_catalog.pg_constraint c,
                    unnest(c.conkey, c.confkey) with ordinality as k(from_nr, to_nr, n),
                    pg_catalog.pg_attribute fa, pg_catalog.pg_attribute ta
              where c.contype = 'f' and c.conrelid = to_regclass($1) and c.conname = $2
                and fa.attrelid = c.conrelid and fa.attnum = k.from_nr
                and ta.attrelid = c.confrelid and ta.attnum = k.to_nr
             having count(*) > 0",
            &[text(&fkey.from_table.quoted()), text(&fkey.name)],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let names: String = row.get(0);
    let sql = sql!(
        "select distinct row({columns})::text from {from} f
          where {present} and not exists (select from {to} t where {equal}) order by 1 limit {limit}",
        columns = Sql::from_server(row.get(1)),
        from = &fkey.from_table,
        present = Sql::from_server(row.get(2)),
        to = &fkey.to_table,
        equal = Sql::from_server(row.get(3)),
        limit = KEYS_SHOWN + 1
    );
    // Fails for types without `=` or an order. Then the log has only the one value in the DETAIL of the server's error.
    let Ok(rows) = subscriber.query("read the keys without a row", sql, &[]).await else { return Ok(None) };
    let mut keys: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    if keys.len() > KEYS_SHOWN {
        keys[KEYS_SHOWN] = "and more";
    }
    Ok(Some(format!("keys ({names}) of {} that {} does not have: {}", fkey.from_table, fkey.to_table, keys.join(", "))))
}

/// Deletes the pending row if the key is there and validated: a new copy may have dropped the key meanwhile.
async fn forget(subscriber: &Db, config: &config::Londiste, fkey: &PendingFkey) -> Result<()> {
    let tx = subscriber.begin("forget a pending foreign key", "begin").await?;
    tx.limit_lock_wait(config.lock_timeout).await?;
    // Who drops the key holds ACCESS EXCLUSIVE until the commit that stores the key as pending.
    let lock = sql!("lock table only {table} in access share mode", table = &fkey.from_table);
    tx.batch("forget a pending foreign key", lock).await?;
    if validated(&tx, fkey).await? == Some(true) {
        stored::forget(&tx, fkey).await?;
    }
    failpoint!("fkeys::deleted");
    tx.commit("forget a pending foreign key").await?;
    failpoint!("fkeys::forgotten");
    Ok(())
}

fn tell_that_it_waits(fkey: &PendingFkey) {
    let PendingFkey { from_table, to_table, name, .. } = fkey;
    tracing::info!("foreign key {name} ({from_table} --> {to_table}) waits for a copy that has begun");
}
