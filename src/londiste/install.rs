//! `provider install` and `subscriber install`: schema `londiste`, on the provider also `pgq` and the queue.
//!
//! Each is one transaction: it is all there or nothing is.

use tracing::info;

use super::context::Context;
use super::schema;
use super::state::provider_queue;
use crate::error::{Error, Result};
use crate::pg::{self, Db, text};
use crate::pgq;

/// The version of the schema that this program brings, as `londiste.rlondiste_version()` gives it.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What stands in schema `londiste` of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// There is no such schema, or it is empty.
    None,
    /// Our own, with the version of rlondiste that made it.
    Own(String),
    /// Londiste 2.1 from SkyTools, with its version where it tells one.
    Genuine(String),
    /// Something else, in words.
    Foreign(&'static str),
}

/// Installs what is missing on the provider and creates the queue.
pub(crate) async fn provider(context: &Context<'_>) -> Result<()> {
    let db = context.provider().await?;
    context
        .change(&db, async |tx: &Db| {
            pgq::install::ensure_installed_in(tx).await?;
            londiste(tx).await?;
            provider_queue::create(tx, context.queue()).await.map(drop)
        })
        .await?;
    if context.config.fake { Ok(()) } else { refresh_capture(&db).await }
}

/// Has capture functions that an older rlondiste generated made anew, of all queues: they share the schema. A transaction for each
/// table, so that no table stays locked while the next one is done. The ticker's maintenance does the same, and later takes
/// the tables that were in use here.
async fn refresh_capture(db: &Db) -> Result<()> {
    for (queue, table) in provider_queue::all_captured(db).await? {
        if provider_queue::maintain(db, &queue, &table).await? {
            info!("Refreshed the capture of {table} in queue {queue}");
        }
    }
    Ok(())
}

/// Installs what is missing on the subscriber.
pub(crate) async fn subscriber(context: &Context<'_>) -> Result<()> {
    let db = context.subscriber().await?;
    context
        .change(&db, async |tx: &Db| {
            match &context.config.mirror_queue {
                None => plpgsql(tx).await?,
                Some(queue) => mirror_queue(tx, queue).await?,
            }
            londiste(tx).await
        })
        .await
}

/// Creates the queue on the subscriber that applied events go on into. Its ticks come from replay.
async fn mirror_queue(tx: &Db, queue: &str) -> Result<()> {
    let found = pgq::install::ensure_installed_in(tx).await?;
    if !found.is_own() {
        return Err(Error::refused(
            format!("cannot create mirror_queue \"{queue}\" on subscriber ({}): schema pgq is {found}", tx.target()),
            "Its ticks would not have the events of their own batch. Use a subscriber with rlondiste's schema pgq.",
        ));
    }
    if provider_queue::create(tx, queue).await? {
        info!("Creating queue: {queue}");
        let sql = "update pgq.queue set queue_external_ticker = true where queue_name = $1";
        tx.execute("create the queue", sql, &[text(&queue)]).await.map_err(|e| e.about(format!("queue {queue}")))?;
    }
    Ok(())
}

/// Brings the schema of a subscriber up to date that SkyTools or an older rlondiste has made, so that its replication is
/// taken over by starting replay. Refuses where there is no schema.
pub(crate) async fn take_over(subscriber: &Db) -> Result<()> {
    match find(subscriber).await? {
        Found::Own(version) if version_of(&version) == version_of(OWN_VERSION) => Ok(()),
        Found::None => Err(Error::refused(
            format!("schema londiste is not installed on subscriber ({})", subscriber.target()),
            "Run \"rlondiste INI subscriber install\" first.",
        )),
        _ => {
            let tx = subscriber.begin("begin a transaction", "begin").await?;
            londiste(&tx).await?;
            tx.commit("commit the upgrade").await
        }
    }
}

/// Every database has plpgsql unless it was dropped.
async fn plpgsql(tx: &Db) -> Result<()> {
    const ACTION: &str = "look for plpgsql";
    let sql = "select exists (select from pg_catalog.pg_language l where l.lanname = 'plpgsql')";
    if tx.query_one(ACTION, sql, &[]).await?.get(0) {
        info!("plpgsql is installed");
        return Ok(());
    }
    info!("Installing plpgsql");
    tx.batch("install plpgsql", "create extension plpgsql").await
}

async fn londiste(tx: &Db) -> Result<()> {
    match find(tx).await? {
        Found::None => info!("Installing londiste"),
        Found::Own(version) => match version_of(&version).cmp(&version_of(OWN_VERSION)) {
            std::cmp::Ordering::Equal => {
                info!("londiste is installed");
                return Ok(());
            }
            std::cmp::Ordering::Less => info!("Upgrading londiste from rlondiste {version}"),
            std::cmp::Ordering::Greater => return Err(newer(tx, &version)),
        },
        Found::Genuine(version) => info!("Upgrading londiste from Londiste {version}"),
        Found::Foreign(what) => return Err(foreign(tx, what)),
    }
    info!("  Reading from rlondiste {OWN_VERSION}");
    pg::install::run_files(tx, schema::FILES).await
}

async fn find(db: &Db) -> Result<Found> {
    const ACTION: &str = "look for schema londiste";
    const OBJECTS: &str = "select
       pg_catalog.to_regprocedure('londiste.rlondiste_version()') is not null,
       pg_catalog.to_regclass('londiste.provider_table') is not null
           and pg_catalog.to_regclass('londiste.subscriber_table') is not null
           and pg_catalog.to_regprocedure('londiste.subscriber_get_table_list(text)') is not null,
       pg_catalog.to_regclass('londiste.table_info') is not null,
       exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'londiste')
           or exists (select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                      where n.nspname = 'londiste'),
       pg_catalog.to_regprocedure('londiste.version()') is not null";
    let row = db.query_one(ACTION, OBJECTS, &[]).await?;
    let (own, genuine, three, objects): (bool, bool, bool, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
    if own {
        let row = db.query_one(ACTION, "select londiste.rlondiste_version()", &[]).await?;
        return Ok(Found::Own(row.get(0)));
    }
    if genuine && row.get(4) {
        let row = db.query_one(ACTION, "select londiste.version()", &[]).await?;
        return Ok(Found::Genuine(row.get(0)));
    }
    Ok(match (genuine, three, objects) {
        (true, _, _) => Found::Genuine("2.1".to_owned()),
        (_, true, _) => Found::Foreign("that of Londiste 3, which has other tables"),
        (_, _, true) => Found::Foreign("not that of Londiste 2.1"),
        _ => Found::None,
    })
}

fn newer(db: &Db, version: &str) -> Error {
    Error::refused(
        format!(
            "cannot install londiste on {} ({}): the schema there was made by rlondiste {version}, which is newer than \
             this program ({OWN_VERSION})",
            db.role(),
            db.target()
        ),
        "Nothing was changed. Use that version of rlondiste or a newer one.",
    )
}

fn foreign(db: &Db, what: &str) -> Error {
    Error::refused(
        format!(
            "cannot install londiste on {} ({}): schema londiste is there, but it is {what}",
            db.role(),
            db.target()
        ),
        "Nothing was changed. Take another database, or rename that schema if nothing needs it.",
    )
}

/// The numbers of a version, for comparison; what is no number counts as 0.
fn version_of(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
