//! The file of the statements that `repair` finds for a table.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::pg::{FqName, Sql};

/// The file of the statements for one table, which is created with the first statement. An old file of the same table
/// is removed first, so that a file exists only if there are differences.
pub(crate) struct FixFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl FixFile {
    pub(crate) fn new(dir: &Path, table: &FqName) -> Result<FixFile> {
        // A slash in the name must not start another directory.
        let path = dir.join(format!("fix.{}.sql", table.to_string().replace('/', "%2F")));
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove the old file of fixes", path, source })
            }
            _ => Ok(FixFile { path, file: None }),
        }
    }

    pub(crate) fn write(&mut self, sql: &Sql) -> Result<()> {
        let failed = |source| Error::Io { action: "write the file of fixes", path: self.path.clone(), source };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(File::create(&self.path).map_err(failed)?)),
        };
        writeln!(file, "{sql}").map_err(failed)
    }

    pub(crate) fn close(self) -> Result<()> {
        let Some(mut file) = self.file else { return Ok(()) };
        file.flush().map_err(|source| Error::Io { action: "write the file of fixes", path: self.path, source })
    }
}
