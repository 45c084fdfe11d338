//! Schema `londiste` of a database: which program has made it, and its installation.

mod files;

use tracing::info;

use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::pg::Db;
use crate::pg::install::{Installed, Schema, Standing};

/// rlondiste's schema. Installed over a schema of Londiste 2.1, it keeps the tables and their rows.
const SCHEMA: Schema = Schema { name: "londiste", files: files::FILES };

/// What schema `londiste` of a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no such schema, or it is empty.
    None,
    /// The schema of an rlondiste of any release.
    Own(Installed),
    /// The schema of SkyTools' Londiste 2.1, with the result of its `version()`, or `2.1` when it has no such function.
    Genuine(String),
    /// Another schema of this name; a description for the message.
    Foreign(&'static str),
}

/// Installs the schema, or upgrades a schema of Londiste 2.1 or of an older rlondiste, inside the open transaction.
/// Fails when schema `londiste` is that of a newer rlondiste or of another program.
///
/// Other installers wait, and what the files of the schema change is locked, until the caller commits.
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

/// Upgrades the subscriber's schema with [`install`] in a transaction of its own, unless it is current: so starting
/// replay is enough to take over from SkyTools or an older rlondiste. Fails when there is no schema, and as [`install`]
/// does.
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
            failpoint!("install::upgraded_by_replay");
            tx.commit("commit the upgrade").await
        }
    }
}

impl Found {
    /// How a schema of rlondiste compares with the files of this program; `None` for any other.
    pub(crate) fn standing(&self) -> Option<Standing> {
        match self {
            Found::Own(installed) => Some(SCHEMA.standing(installed)),
            Found::None | Found::Genuine(_) | Found::Foreign(_) => None,
        }
    }
}

/// Finds out what schema `londiste` is. Takes no lock.
pub(crate) async fn find(db: &Db) -> Result<Found> {
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
