//! Installs a schema: all of its files in one transaction. The first file, `upgrade.sql`, keeps two installers apart.

use super::Db;
use crate::error::{Error, Result};

/// Runs the files, given as (name, SQL), in their order inside the transaction that is open.
///
/// Every file is re-runnable, so this is the upgrade too. Fails with the name of the file and leaves nothing behind.
pub async fn run_files(tx: &Db, files: &[(&str, &str)]) -> Result<()> {
    // Notices of "if not exists" are noise; function bodies name objects of files that come later.
    tx.batch(
        "prepare the installation",
        "set local client_min_messages = warning; set local check_function_bodies = off",
    )
    .await?;
    for (name, sql) in files {
        tx.batch("install SQL", sql).await.map_err(|e: Error| e.about(format!("file {name}")))?;
    }
    Ok(())
}
