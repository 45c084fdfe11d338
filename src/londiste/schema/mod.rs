//! Schema `londiste` of a database: whether it is there and whose it is, and its installation.

mod files;

use tracing::info;

use crate::error::{Error, Result};
use crate::pg::Db;
use crate::pg::install::{Installed, Schema, Standing};

/// Our own schema. It takes the place of one of Londiste 2.1, whose tables it keeps.
const SCHEMA: Schema = Schema { name: "londiste", files: files::FILES };

/// What stands in schema `londiste` of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// There is no such schema, or it is empty.
    None,
    /// Our own.
    Own(Installed),
    /// Londiste 2.1 from SkyTools, with its version where it tells one.
    Genuine(String),
    /// Something else, in words.
    Foreign(&'static str),
}

/// Installs the schema, or brings an older one of ours or one of Londiste 2.1 up to date, inside the transaction that is
/// open. Logs what is done. Refuses a schema of a newer rlondiste and one that is not ours.
pub(crate) async fn install(tx: &Db) -> Result<()> {
    match find(tx).await? {
        Found::Own(installed) => return SCHEMA.upgrade(tx, &installed).await,
        Found::None => info!("Installing londiste"),
        Found::Genuine(version) => info!("Upgrading londiste from Londiste {version}"),
        Found::Foreign(what) => {
            let advice = "Take another database, or rename that schema if nothing needs it.";
            return Err(SCHEMA.foreign(tx, what, advice));
        }
    }
    SCHEMA.install(tx).await
}

/// Brings the schema of a subscriber up to date that SkyTools or an older rlondiste has made, in a transaction of its own,
/// so that its replication is taken over by starting replay. Refuses where there is no schema.
pub(crate) async fn take_over(subscriber: &Db) -> Result<()> {
    match find(subscriber).await? {
        Found::Own(installed) if SCHEMA.standing(&installed) == Standing::Current => Ok(()),
        Found::None => Err(Error::missing(
            format!("schema londiste is not installed on subscriber ({})", subscriber.target()),
            "Run \"rlondiste INI subscriber install\" first.",
        )),
        Found::Own(_) | Found::Genuine(_) | Found::Foreign(_) => {
            let tx = subscriber.begin("begin a transaction", "begin").await?;
            install(&tx).await?;
            tx.commit("commit the upgrade").await
        }
    }
}

async fn find(db: &Db) -> Result<Found> {
    const ACTION: &str = "look for schema londiste";
    const OBJECTS: &str = "select
       pg_catalog.to_regclass('londiste.provider_table') is not null
           and pg_catalog.to_regclass('londiste.subscriber_table') is not null
           and pg_catalog.to_regprocedure('londiste.subscriber_get_table_list(text)') is not null,
       pg_catalog.to_regclass('londiste.table_info') is not null,
       exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'londiste')
           or exists (select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                      where n.nspname = 'londiste'),
       pg_catalog.to_regprocedure('londiste.version()') is not null";
    if let Some(installed) = SCHEMA.installed(db).await? {
        return Ok(Found::Own(installed));
    }
    let row = db.query_one(ACTION, OBJECTS, &[]).await?;
    let (genuine, three, objects, has_version): (bool, bool, bool, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    if genuine && has_version {
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
