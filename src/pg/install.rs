//! Installs schema `pgq` or `londiste`: all of its files in one transaction. The first file, `upgrade.sql`, creates the
//! schema or locks one of its tables (SHARE UPDATE EXCLUSIVE), so a second installer waits until the first one's
//! transaction ends.
//!
//! The schema's function `rlondiste_version()` tells which release has installed it; a comment on that function holds a
//! hash over the names and texts of all files. A schema is up to date when both are those of this program, so a changed
//! file is installed without a new release.

use std::cmp::Ordering;

use tracing::info;

use super::{Db, Sql, sql, text};
use crate::error::{Error, INSTALL, Result};
use crate::failpoint::failpoint;

/// The release of this program, which is also the version of the schemas that it installs.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A schema that this program can install.
pub(crate) struct Schema {
    /// Its name.
    pub(crate) name: &'static str,
    /// Name and text of each file, in the order in which they are run. Each file may be run again.
    pub(crate) files: &'static [(&'static str, &'static str)],
}

/// A schema that rlondiste has installed in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// The release that has installed it.
    pub(crate) version: String,
    /// The hash of that release's files; `None` where that release did not store one.
    hash: Option<String>,
}

/// How a schema in a database compares with the files of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was made by these files.
    Current,
    /// It was made by an older release.
    Older,
    /// It was made by other files of this release.
    Changed,
    /// It was made by a newer release.
    Newer,
}

impl Schema {
    /// The schema as it is in the database; `None` where it is missing or was not installed by rlondiste.
    pub(crate) async fn installed(&self, db: &Db) -> Result<Option<Installed>> {
        const ACTION: &str = "read the version of a schema";
        let function = format!("{}.rlondiste_version()", self.name);
        let exists = "select pg_catalog.to_regprocedure($1) is not null";
        if !db.query_one(ACTION, exists, &[text(&function)]).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        let sql = sql!(
            "select {schema}.rlondiste_version(),
                    pg_catalog.obj_description(pg_catalog.to_regprocedure($1), 'pg_proc')",
            schema = Sql::ident(self.name)
        );
        let row = db.query_one(ACTION, sql, &[text(&function)]).await?;
        Ok(Some(Installed { version: row.get(0), hash: row.get(1) }))
    }

    /// Compares what is installed with the files of this program.
    pub(crate) fn standing(&self, installed: &Installed) -> Standing {
        match numbers(&installed.version).cmp(&numbers(OWN_VERSION)) {
            Ordering::Less => Standing::Older,
            Ordering::Greater => Standing::Newer,
            Ordering::Equal if installed.hash.as_deref() == Some(&self.hash()) => Standing::Current,
            Ordering::Equal => Standing::Changed,
        }
    }

    /// Brings an installed schema up to date, as [`Schema::install`]; does nothing where it is current. Logs what is
    /// done. A schema of a newer release is an [`Error::Unsupported`].
    pub(crate) async fn upgrade(&self, tx: &Db, installed: &Installed) -> Result<()> {
        match self.standing(installed) {
            Standing::Current => {
                info!("{} is installed", self.name);
                return Ok(());
            }
            Standing::Older => info!("Upgrading {} from rlondiste {}", self.name, installed.version),
            Standing::Changed => info!("Upgrading {}: its files have changed", self.name),
            Standing::Newer => return Err(self.newer(tx, &installed.version)),
        }
        self.install(tx).await
    }

    /// Runs the files inside the open transaction. An error names the file.
    ///
    /// Holds the lock of `upgrade.sql`, and locks on all objects that the files change, until the caller commits. Leaves
    /// `search_path`, `client_min_messages` and `check_function_bodies` changed until then.
    pub(crate) async fn install(&self, tx: &Db) -> Result<()> {
        info!("  Reading from rlondiste {OWN_VERSION}");
        // "if not exists" gives a notice each time; function bodies name objects of later files.
        tx.batch(
            "prepare the installation",
            "set local client_min_messages = warning; set local check_function_bodies = off",
        )
        .await?;
        for (name, sql) in self.files {
            tx.batch(INSTALL, *sql).await.map_err(|e: Error| e.about(format!("file {name}")))?;
            failpoint!("install::file");
        }
        let sql = sql!(
            "comment on function {schema}.rlondiste_version() is {hash}",
            schema = Sql::ident(self.name),
            hash = Sql::literal(&self.hash())
        );
        tx.batch("note which files are installed", sql).await
    }

    /// The error for a schema of this name that rlondiste must not change: `what` it is, and `advice` for the operator.
    pub(crate) fn foreign(&self, db: &Db, what: &str, advice: &str) -> Error {
        Error::unsupported(
            format!(
                "cannot install {0} on {1} ({2}): schema {0} is there, but it is {what}",
                self.name,
                db.role(),
                db.target()
            ),
            format!("Nothing was changed. {advice}"),
        )
    }

    fn newer(&self, db: &Db, version: &str) -> Error {
        Error::unsupported(
            format!(
                "cannot install {} on {} ({}): the schema there was made by rlondiste {version}, which is newer than this \
                 program ({OWN_VERSION})",
                self.name,
                db.role(),
                db.target()
            ),
            "Nothing was changed. Use that version of rlondiste or a newer one.",
        )
    }

    /// 64 bits of FNV-1a over the names and texts of the files, in hexadecimal digits. It does not protect against
    /// forgery: a role that may change the schema may change the comment too.
    fn hash(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for text in self.files.iter().flat_map(|(name, text)| [name, text]) {
            // A byte that UTF-8 never has ends each name and text.
            for byte in text.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}

/// Creates the extension `plpgsql` where it was dropped: the language of the schemas' functions, which new databases have.
pub(crate) async fn plpgsql(tx: &Db) -> Result<()> {
    let sql = "select exists (select from pg_catalog.pg_language l where l.lanname = 'plpgsql')";
    if tx.query_one("look for plpgsql", sql, &[]).await?.get(0) {
        info!("plpgsql is installed");
        return Ok(());
    }
    info!("Installing plpgsql");
    tx.batch("install plpgsql", "create extension plpgsql").await
}

/// The numbers of a version, for comparison; a part that is not a number counts as 0.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema { name: "x", files: &[("a", "select 1"), ("b", "select 2")] };

    fn standing(version: &str, hash: Option<&str>) -> Standing {
        SCHEMA.standing(&Installed { version: version.to_owned(), hash: hash.map(str::to_owned) })
    }

    #[test]
    fn version_decides_and_then_the_files() {
        let hash = SCHEMA.hash();
        assert_eq!(standing(OWN_VERSION, Some(&hash)), Standing::Current);
        assert_eq!(standing(OWN_VERSION, Some("0")), Standing::Changed);
        assert_eq!(standing(OWN_VERSION, None), Standing::Changed);
        assert_eq!(standing("0.0.99", Some(&hash)), Standing::Older);
        assert_eq!(standing("99.0", Some(&hash)), Standing::Newer);
        assert!(numbers("0.10.0") > numbers("0.9.1"));
    }

    #[test]
    fn hash_knows_each_byte_of_names_and_texts() {
        let files: [&'static [(&'static str, &'static str)]; 5] = [
            SCHEMA.files,
            &[("a", "select 1"), ("b", "select 3")],
            &[("a", "select 1"), ("c", "select 2")],
            &[("b", "select 2"), ("a", "select 1")],
            &[("a", "select 1b"), ("", "select 2")],
        ];
        let hashes: std::collections::BTreeSet<String> =
            files.iter().map(|files| Schema { name: "x", files }.hash()).collect();
        assert_eq!(hashes.len(), files.len());
        // The same on every machine and in every release: FNV-1a of "a", 255, "b", 255.
        assert_eq!(Schema { name: "x", files: &[("a", "b")] }.hash(), "d2b371819297f98a");
    }
}
