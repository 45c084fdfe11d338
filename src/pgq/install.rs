//! Finds out which schema `pgq` a database has, and installs rlondiste's own.
//!
//! A database may have another PgQ: the `pgq` extension, a PgQ 3 that was installed by a script, or the genuine PgQ 2.1
//! with its C functions. The first two are used as they are. The genuine 2.1 is used as it is by replication and
//! upgraded in place by `pgqadm install`.

use std::fmt;

use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::pg::Db;
use crate::pg::install::{Installed, Schema, Standing, plpgsql};

use super::rights::open_to_every_role;
use super::schema;

/// rlondiste's own schema.
const SCHEMA: Schema = Schema { name: "pgq", files: schema::FILES };

/// Which PgQ is in schema `pgq` of a database; the texts are its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no such schema, or it is empty.
    None,
    /// rlondiste's own.
    Own(Installed),
    /// PgQ 2.1 from SkyTools, with C functions.
    Genuine21(String),
    /// The `pgq` extension.
    Extension(String),
    /// PgQ 3, installed by an SQL script.
    Plain3(String),
    /// No PgQ, or one that rlondiste does not know; the text says what was found.
    Foreign(String),
}

impl Found {
    /// Whether this is rlondiste's own schema, whose functions send the notifications of ticks themselves.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Found::Own(_))
    }

    /// How rlondiste's own schema compares with the files of this program; `None` for any other.
    pub(crate) fn standing(&self) -> Option<Standing> {
        match self {
            Found::Own(installed) => Some(SCHEMA.standing(installed)),
            Found::None | Found::Genuine21(_) | Found::Extension(_) | Found::Plain3(_) | Found::Foreign(_) => None,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::None => f.write_str("no pgq"),
            Found::Own(installed) => write!(f, "pgq of rlondiste {}", installed.version),
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

/// Finds out which PgQ is in schema `pgq`. Takes no lock.
pub(crate) async fn find(db: &Db) -> Result<Found> {
    const ACTION: &str = "look for schema pgq";
    const OBJECTS: &str = "select (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pgq'),
       exists (select 1 from pg_catalog.pg_depend d where d.refclassid = 'pg_catalog.pg_namespace'::regclass
               and d.refobjid = pg_catalog.to_regnamespace('pgq')),
       pg_catalog.to_regclass('pgq.queue') is not null and pg_catalog.to_regprocedure('pgq.version()') is not null";
    let row = db.query_one(ACTION, OBJECTS, &[]).await?;
    let (extension, objects, pgq): (Option<String>, bool, bool) = (row.get(0), row.get(1), row.get(2));
    if let Some(version) = extension {
        return Ok(Found::Extension(version));
    }
    if !objects {
        return Ok(Found::None);
    }
    if !pgq {
        return Ok(Found::Foreign("a schema without pgq.queue and pgq.version()".to_owned()));
    }
    if let Some(installed) = SCHEMA.installed(db).await? {
        return Ok(Found::Own(installed));
    }
    let version: String = db.query_one(ACTION, "select pgq.version()", &[]).await?.get(0);
    Ok(match version.split('.').next() {
        Some("2") => Found::Genuine21(version),
        Some("3") => Found::Plain3(version),
        _ => Found::Foreign(format!("PgQ {version}")),
    })
}

/// Installs rlondiste's schema where there is none, and upgrades an older one and a genuine PgQ 2.1 in place: queues,
/// ticks, events and consumers stay. An extension and a PgQ 3 stay as they are. Logs what is found. Returns what is
/// there afterwards.
///
/// One transaction, with the locks of [`Schema::install`] until its end. Fails with [`Error::Unsupported`] for a server
/// before PostgreSQL 10, an unknown schema `pgq` and one of a newer rlondiste.
pub(crate) async fn install(db: &Db) -> Result<Found> {
    let tx = db.begin("start the installation", "begin").await?;
    let found = install_in(&tx, Old::Upgrade).await?;
    failpoint!("install::pgq");
    tx.commit("commit the installation").await?;
    failpoint!("install::pgq_committed");
    Ok(found)
}

/// As [`install`], but inside the caller's transaction, whose end releases the locks, and a genuine PgQ 2.1 stays as it is.
pub(crate) async fn ensure_installed_in(tx: &Db) -> Result<Found> {
    install_in(tx, Old::Keep).await
}

async fn install_in(tx: &Db, old: Old) -> Result<Found> {
    prepare_server(tx).await?;
    let found = find(tx).await?;
    match &found {
        Found::None => info!("Installing pgq"),
        Found::Own(installed) => {
            SCHEMA.upgrade(tx, installed).await?;
            warn_of_open_rights(tx).await?;
            return find(tx).await;
        }
        Found::Genuine21(_) if old == Old::Upgrade => info!("Upgrading pgq from {found}"),
        Found::Genuine21(_) | Found::Extension(_) | Found::Plain3(_) => {
            info!("pgq is installed: {found}, which is used as it is");
            return Ok(found);
        }
        Found::Foreign(what) => {
            let what = format!("{what}, which rlondiste does not know");
            return Err(SCHEMA.foreign(tx, &what, "Rename or drop that schema if nothing needs it."));
        }
    }
    SCHEMA.install(tx).await?;
    warn_of_open_rights(tx).await?;
    find(tx).await
}

/// Warns of the rights that every role has where a schema of PgQ 2 was upgraded.
async fn warn_of_open_rights(tx: &Db) -> Result<()> {
    for open in open_to_every_role(tx).await? {
        warn!("{open}");
    }
    Ok(())
}

/// Checks the version of the server and that it has plpgsql. The log line about snapshots is one of SkyTools' installer.
async fn prepare_server(tx: &Db) -> Result<()> {
    const FACTS: &str = "select pg_catalog.current_setting('server_version_num')::int4,
       pg_catalog.current_setting('server_version')";
    let row = tx.query_one("look at the server", FACTS, &[]).await?;
    let (number, version): (i32, String) = (row.get(0), row.get(1));
    if number < 100_000 {
        return Err(Error::unsupported(
            format!("cannot install pgq on {} ({}): PostgreSQL {version} is too old", tx.role(), tx.target()),
            "PostgreSQL 10 or newer is needed.",
        ));
    }
    plpgsql(tx).await?;
    info!("txid_current_snapshot is installed");
    Ok(())
}
