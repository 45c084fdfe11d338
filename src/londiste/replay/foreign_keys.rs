//! Foreign keys that were dropped for a copy come back: first `not valid`, which needs its locks for a moment only,
//! then validated while writers go on. One that fails stays pending and is tried again.
//!
//! | the process ends after | what the next try finds |
//! |---|---|
//! | adding the key | key not valid, still pending: it is only validated |
//! | validating | key valid, still pending: the pending row is deleted |

use tokio_util::sync::CancellationToken;

use crate::config;
use crate::error::{Error, Report, Result, Role};
use crate::pg::{Db, FqName, name::quote_ident, text};

/// A foreign key in `londiste.subscriber_pending_fkeys`.
#[derive(Clone, Debug)]
pub(super) struct PendingFkey {
    from_table: FqName,
    to_table: FqName,
    name: String,
    /// The whole `alter table ... add constraint ...`.
    definition: String,
}

/// How a round of restoring ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restored {
    /// Nothing of the round is pending any more.
    All,
    /// Some stay pending; they have been reported.
    SomeFailed,
}

/// The pending keys whose two tables are in sync.
pub(super) async fn restorable(subscriber: &Db, queue: &str) -> Result<Vec<PendingFkey>> {
    let rows = subscriber
        .query(
            "look for pending foreign keys",
            "select from_table, to_table, fkey_name, fkey_def
               from londiste.subscriber_get_queue_valid_pending_fkeys($1)",
            &[text(&queue)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| PendingFkey {
            from_table: FqName::parse(row.get(0)),
            to_table: FqName::parse(row.get(1)),
            name: row.get(2),
            definition: row.get(3),
        })
        .collect())
}

/// Restores them one by one in a session of its own.
pub(super) async fn restore(
    config: config::Londiste,
    pending: Vec<PendingFkey>,
    abort: CancellationToken,
) -> Result<Restored> {
    let subscriber = Db::open(Role::Subscriber, &config.subscriber_db, &config.common.job_name, &abort).await?;
    let mut restored = Restored::All;
    for fkey in pending {
        tracing::info!("Creating fkey: {} ({} --> {})", fkey.name, fkey.from_table, fkey.to_table);
        if let Err(error) = restore_one(&subscriber, &config, &fkey).await {
            if abort.is_cancelled() {
                return Err(Error::Aborted);
            }
            restored = Restored::SomeFailed;
            tracing::error!(
                "foreign key {} ({} --> {}) stays pending, next try in a minute: {}",
                fkey.name,
                fkey.from_table,
                fkey.to_table,
                Report(&error)
            );
        }
    }
    Ok(restored)
}

async fn restore_one(subscriber: &Db, config: &config::Londiste, fkey: &PendingFkey) -> Result<()> {
    let about = |error: Error| error.about(format!("foreign key {} of {}", fkey.name, fkey.from_table));
    let validated = match validated(subscriber, fkey).await? {
        Some(validated) => validated,
        None => add(subscriber, config, fkey).await.map_err(about)?,
    };
    if !validated && let Err(error) = validate(subscriber, fkey).await {
        // A key that is not valid still refuses new rows, and so would stop replay.
        let tx = subscriber.begin("drop a foreign key", "begin").await?;
        tx.limit_lock_wait(config.lock_timeout).await?;
        let name = quote_ident(&fkey.name);
        tx.batch("drop a foreign key", &format!("alter table {} drop constraint {name}", fkey.from_table.quoted()))
            .await
            .map_err(about)?;
        tx.commit("drop a foreign key").await?;
        return Err(about(error));
    }
    forget(subscriber, fkey).await
}

/// Whether the key is there, and if so whether it is validated.
async fn validated(subscriber: &Db, fkey: &PendingFkey) -> Result<Option<bool>> {
    let row = subscriber
        .query_opt(
            "look for a foreign key",
            "select convalidated from pg_catalog.pg_constraint
              where contype = 'f' and conrelid = to_regclass($1) and conname = $2",
            &[text(&fkey.from_table.quoted()), text(&fkey.name)],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Adds the key. Returns whether it is validated already: a partitioned table takes no key that is not valid, and a
/// key that was not valid before the copy comes back as it was.
async fn add(subscriber: &Db, config: &config::Londiste, fkey: &PendingFkey) -> Result<bool> {
    let row = subscriber
        .query_one(
            "look for a table",
            "select coalesce((select relkind = 'p' from pg_catalog.pg_class where oid = to_regclass($1)), false)",
            &[text(&fkey.from_table.quoted())],
        )
        .await?;
    let at_once = row.get(0) || fkey.definition.to_lowercase().ends_with(" not valid");
    let not_valid = if at_once { "" } else { " not valid" };
    let tx = subscriber.begin("create a foreign key", "begin").await?;
    tx.limit_lock_wait(config.lock_timeout).await?;
    tx.batch("create a foreign key", &format!("{}{not_valid}", fkey.definition)).await?;
    tx.commit("create a foreign key").await?;
    Ok(at_once)
}

async fn validate(subscriber: &Db, fkey: &PendingFkey) -> Result<()> {
    let sql = format!("alter table {} validate constraint {}", fkey.from_table.quoted(), quote_ident(&fkey.name));
    subscriber.batch("validate a foreign key", &sql).await
}

async fn forget(subscriber: &Db, fkey: &PendingFkey) -> Result<()> {
    subscriber
        .execute(
            "forget a pending foreign key",
            "delete from londiste.subscriber_pending_fkeys where from_table = $1 and fkey_name = $2",
            &[text(&fkey.from_table.to_string()), text(&fkey.name)],
        )
        .await?;
    Ok(())
}
