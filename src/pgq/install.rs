//! Which `pgq` a database has, and the installation of our own.
//!
//! A database may already have PgQ from elsewhere: the `pgq` extension, a plain PgQ 3, or the genuine PgQ 2.1 with its C
//! functions. The first two are used as they are. The genuine 2.1 is used as it is by replication and upgraded in place
//! by `pgqadm install`.

use std::fmt;

use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::pg::{self, Db};

use super::rights::open_to_every_role;
use super::schema;

/// The version of the schema that this program brings, as `pgq.rlondiste_version()` gives it.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What stands in schema `pgq` of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is no such schema, or it is empty.
    None,
    /// Our own, with the version of rlondiste that made it.
    Own(String),
    /// PgQ 2.1 from SkyTools, with C functions.
    Genuine21(String),
    /// The `pgq` extension.
    Extension(String),
    /// PgQ 3, installed by an SQL script.
    Plain3(String),
    /// Something that is no PgQ, or one that we do not know; the text says what was found.
    Foreign(String),
}

impl Found {
    /// Whether this is our own schema, whose functions send the notifications of ticks themselves.
    pub fn is_own(&self) -> bool {
        matches!(self, Found::Own(_))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::None => f.write_str("no pgq"),
            Found::Own(version) => write!(f, "pgq of rlondiste {version}"),
            Found::Genuine21(version) | Found::Plain3(version) => write!(f, "PgQ {version}"),
            Found::Extension(version) => write!(f, "extension pgq {version}"),
            Found::Foreign(what) => f.write_str(what),
        }
    }
}

/// What to do with a genuine PgQ 2.1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Keep,
    Upgrade,
}

/// Looks at schema `pgq`.
pub async fn find(db: &Db) -> Result<Found> {
    const ACTION: &str = "look for schema pgq";
    const OBJECTS: &str = "select (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pgq'),
       exists (select 1 from pg_catalog.pg_depend d where d.refclassid = 'pg_catalog.pg_namespace'::regclass
               and d.refobjid = pg_catalog.to_regnamespace('pgq')),
       pg_catalog.to_regclass('pgq.queue') is not null and pg_catalog.to_regprocedure('pgq.version()') is not null,
       pg_catalog.to_regprocedure('pgq.rlondiste_version()') is not null";
    let row = db.query_one(ACTION, OBJECTS, &[]).await?;
    let (extension, objects, pgq, own): (Option<String>, bool, bool, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    if let Some(version) = extension {
        return Ok(Found::Extension(version));
    }
    if !objects {
        return Ok(Found::None);
    }
    if !pgq {
        return Ok(Found::Foreign("a schema without pgq.queue and pgq.version()".to_owned()));
    }
    let call = if own { "select pgq.rlondiste_version()" } else { "select pgq.version()" };
    let version: String = db.query_one(ACTION, call, &[]).await?.get(0);
    Ok(match version.split('.').next() {
        _ if own => Found::Own(version),
        Some("2") => Found::Genuine21(version),
        Some("3") => Found::Plain3(version),
        _ => Found::Foreign(format!("PgQ {version}")),
    })
}

/// Installs our schema where there is none, upgrades an older one of ours, and leaves alone and uses any other PgQ.
/// One transaction. Says in the log what is there. Returns what is there afterwards.
pub async fn ensure_installed(db: &Db) -> Result<Found> {
    in_transaction(db, Old::Keep).await
}

/// As [`ensure_installed`], but upgrades a genuine PgQ 2.1 in place; its queues, ticks, events and consumers stay.
pub async fn install(db: &Db) -> Result<Found> {
    in_transaction(db, Old::Upgrade).await
}

/// As [`ensure_installed`], inside a transaction that the caller has opened and commits.
pub async fn ensure_installed_in(tx: &Db) -> Result<Found> {
    install_in(tx, Old::Keep).await
}

async fn in_transaction(db: &Db, old: Old) -> Result<Found> {
    let tx = db.begin("start the installation", "begin").await?;
    let found = install_in(&tx, old).await?;
    tx.commit("commit the installation").await?;
    Ok(found)
}

async fn install_in(tx: &Db, old: Old) -> Result<Found> {
    prepare_server(tx).await?;
    let found = find(tx).await?;
    match &found {
        Found::None => info!("Installing pgq"),
        Found::Own(version) => match version_of(version).cmp(&version_of(OWN_VERSION)) {
            std::cmp::Ordering::Equal => {
                info!("pgq is installed");
                warn_of_open_rights(tx).await?;
                return Ok(found);
            }
            std::cmp::Ordering::Less => info!("Upgrading pgq from rlondiste {version}"),
            std::cmp::Ordering::Greater => return Err(newer(tx, version)),
        },
        Found::Genuine21(_) if old == Old::Upgrade => info!("Upgrading pgq from {found}"),
        Found::Genuine21(_) | Found::Extension(_) | Found::Plain3(_) => {
            info!("pgq is installed: {found}, which is used as it is");
            return Ok(found);
        }
        Found::Foreign(what) => return Err(foreign(tx, what)),
    }
    info!("  Reading from rlondiste {OWN_VERSION}");
    pg::install::run_files(tx, schema::FILES).await?;
    warn_of_open_rights(tx).await?;
    Ok(Found::Own(OWN_VERSION.to_owned()))
}

/// Says what every role may do where a schema of PgQ 2 was upgraded.
async fn warn_of_open_rights(tx: &Db) -> Result<()> {
    for open in open_to_every_role(tx).await? {
        warn!("{open}");
    }
    Ok(())
}

/// What the schema needs of the server. Both are there in every supported server unless somebody took plpgsql away.
async fn prepare_server(tx: &Db) -> Result<()> {
    const ACTION: &str = "look at the server";
    const FACTS: &str = "select pg_catalog.current_setting('server_version_num')::int4,
       pg_catalog.current_setting('server_version'),
       exists (select 1 from pg_catalog.pg_language l where l.lanname = 'plpgsql')";
    let row = tx.query_one(ACTION, FACTS, &[]).await?;
    let (number, version, plpgsql): (i32, String, bool) = (row.get(0), row.get(1), row.get(2));
    if number < 100_000 {
        return Err(Error::refused(
            format!("cannot install pgq on {} ({}): PostgreSQL {version} is too old", tx.role(), tx.target()),
            "PostgreSQL 10 or newer is needed.",
        ));
    }
    if plpgsql {
        info!("plpgsql is installed");
    } else {
        info!("Installing plpgsql");
        tx.batch("install plpgsql", "create extension plpgsql").await?;
    }
    info!("txid_current_snapshot is installed");
    Ok(())
}

fn newer(db: &Db, version: &str) -> Error {
    Error::refused(
        format!(
            "cannot install pgq on {} ({}): the schema there was made by rlondiste {version}, which is newer than this \
             program ({OWN_VERSION})",
            db.role(),
            db.target()
        ),
        "Nothing was changed. Use that version of rlondiste or a newer one.",
    )
}

fn foreign(db: &Db, what: &str) -> Error {
    Error::refused(
        format!(
            "cannot install pgq on {} ({}): schema pgq is there, but it is {what}, which rlondiste does not know",
            db.role(),
            db.target()
        ),
        "Nothing was changed. Rename or drop that schema if nothing needs it.",
    )
}

/// The numbers of a version, for comparison; what is no number counts as 0.
fn version_of(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version_of("0.10.0") > version_of("0.9.1"));
        assert_eq!(version_of(OWN_VERSION), version_of(OWN_VERSION));
    }
}
