//! What `repair` has found and done: the statements that make the sides equal, and the output of the command.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::pg::{FqName, Sql};

use super::arguments::Repair;
use super::rows::Counts;

/// How many statements of a table `--dry-run` prints.
const LISTED: usize = 1000;

/// Where the statements for one table go.
pub(super) enum Statements {
    /// A file that is created with the first statement.
    File { path: PathBuf, file: Option<BufWriter<File>> },
    /// The first [`LISTED`] of them, for standard output.
    Listed(Vec<String>),
}

impl Statements {
    /// An old file of the same table is removed first, so that a file exists only if there are differences; not by `--dry-run`, and not
    /// where the table `is_repeated`.
    pub(super) fn open(wanted: &Repair, table: &FqName, is_repeated: bool) -> Result<Statements> {
        if wanted.dry_run {
            return Ok(Statements::Listed(Vec::new()));
        }
        // A slash in the name must not start another directory.
        let name = format!("fix.{}.sql", table.to_string().replace('/', "%2F"));
        let path = wanted.output_dir.as_deref().unwrap_or(Path::new("")).join(name);
        if is_repeated {
            return Ok(Statements::File { path, file: None });
        }
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove the old file of fixes", path, source })
            }
            _ => Ok(Statements::File { path, file: None }),
        }
    }

    pub(super) fn write(&mut self, sql: &Sql) -> Result<()> {
        match self {
            Statements::Listed(list) if list.len() < LISTED => list.push(sql.to_string()),
            Statements::Listed(_) => {}
            Statements::File { path, file } => {
                let failed = |source| Error::Io { action: "write the file of fixes", path: path.clone(), source };
                let open = || OpenOptions::new().create(true).append(true).open(&*path).map_err(failed);
                let file = match file {
                    Some(file) => file,
                    None => file.insert(BufWriter::new(open()?)),
                };
                writeln!(file, "{sql}").map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Writes the file to its end. Returns its path, if there are statements, and the statements that are listed.
    fn close(self) -> Result<(Option<PathBuf>, Vec<String>)> {
        match self {
            Statements::Listed(list) => Ok((None, list)),
            Statements::File { file: None, .. } => Ok((None, Vec::new())),
            Statements::File { path, file: Some(mut file) } => match file.flush() {
                Ok(()) => Ok((Some(path), Vec::new())),
                Err(source) => Err(Error::Io { action: "write the file of fixes", path, source }),
            },
        }
    }
}

/// The output of the command.
#[derive(Debug, Default, Serialize)]
pub(super) struct Repaired {
    pub(super) tables: Vec<RepairedTable>,
}

/// What was found and done in one table.
#[derive(Debug, Serialize)]
pub(super) struct RepairedTable {
    pub(super) table: String,
    pub(super) provider_rows: u64,
    pub(super) subscriber_rows: u64,
    /// The rows that differ.
    pub(super) found: Counts,
    /// Those of them that were changed.
    pub(super) applied: Counts,
    /// Rows that changed each time they were looked at.
    pub(super) unverified: u64,
    /// Rows whose change the subscriber refused.
    pub(super) refused: u64,
    /// The file of the statements, if there are some.
    pub(super) file: Option<PathBuf>,
    /// With `--dry-run`: the first statements.
    pub(super) statements: Vec<String>,
}

impl RepairedTable {
    /// Ends the statements of a table and logs what was found; `applied`: the rows that were changed, if any were to be.
    pub(super) fn finished(
        name: &FqName,
        [provider_rows, subscriber_rows]: [u64; 2],
        found: Counts,
        applied: Option<Counts>,
        statements: Statements,
    ) -> Result<RepairedTable> {
        let (file, statements) = statements.close()?;
        tracing::info!("finished {name}: src: {provider_rows} rows, dst: {subscriber_rows} rows, missed: {found}");
        if let Some(applied) = applied {
            tracing::info!("applied {name}: {applied}");
        }
        Ok(RepairedTable {
            table: name.to_string(),
            provider_rows,
            subscriber_rows,
            found,
            applied: applied.unwrap_or_default(),
            unverified: 0,
            refused: 0,
            file,
            statements,
        })
    }
}

impl Repaired {
    /// Whether the table was gone through, and all rows that differ were changed.
    pub(super) fn is_equal(&self, table: &FqName) -> bool {
        let name = table.to_string();
        let is_it = |done: &&RepairedTable| done.table == name;
        self.tables
            .iter()
            .find(is_it)
            .is_some_and(|done| done.applied == done.found && done.unverified == 0 && done.refused == 0)
    }

    /// Adds what was done in a table, which may have been gone through before.
    pub(super) fn add(&mut self, done: RepairedTable) {
        match self.tables.iter_mut().find(|earlier| earlier.table == done.table) {
            None => self.tables.push(done),
            Some(earlier) => {
                // What was found before and not changed is found again.
                let found = earlier.applied + done.found;
                let (applied, file) = (earlier.applied + done.applied, done.file.or(earlier.file.take()));
                *earlier = RepairedTable { found, applied, file, ..done };
            }
        }
    }
}

/// What `--dry-run` prints, as SQL.
impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for RepairedTable { table, found, statements, .. } in &self.tables {
            if statements.is_empty() {
                continue;
            }
            writeln!(f, "-- {table}: {found}")?;
            for statement in statements {
                writeln!(f, "{statement}")?;
            }
            let more = found.rows().saturating_sub(statements.len() as u64);
            if statements.len() == LISTED && more > 0 {
                writeln!(f, "-- {table}: the statements for about {more} rows more are not listed")?;
            }
        }
        Ok(())
    }
}
