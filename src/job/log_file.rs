//! A log file that several processes append to and that is rotated at a size, as Python's `RotatingFileHandler` does it:
//! `x.log` becomes `x.log.1`, `x.log.1` becomes `x.log.2`, and so on to the last file that is kept.
//!
//! Every line is one `write` to a file opened for appending, so lines never mix. Rotation without a lock would fail so:
//!
//! 1. Processes A and B have `x.log` open and both find that their line does not fit.
//! 2. A renames `x.log` to `x.log.1` and creates a new `x.log`.
//! 3. B renames the new, nearly empty `x.log` to `x.log.1` and the full file to `x.log.2`: one rotation too many.
//! 4. Process C still has the first file open and writes to it under its names `x.log.1`, `x.log.2`, ..., until it is
//!    deleted.
//!
//! The rule: lock the open file, then check that the path still names this file, and open the path again if not; only
//! then measure, rotate, write. Rotation ends with the rename of `x.log`, so a process that gets the lock of a new file
//! finds all old files renamed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::safe_file::{self, Kind};
use crate::error::{Error, Result};

/// Permission bits of a new log file, less those of the umask: its lines may hold keys of rows, so others may not read it.
pub(super) const LOG_MODE: u32 = 0o640;

/// When a new file begins and how many old ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a file; 0 for no limit.
    pub(crate) size: u64,
    /// Number of old files that are kept; with 0 the file is never rotated.
    pub(crate) count: u32,
}

/// An open log file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    limits: Limits,
    file: File,
}

impl LogFile {
    /// Opens the file for appending, creates it if needed. Fails with [`Error::Io`].
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<LogFile> {
        let file = append(path).map_err(|source| open_failed(path, source))?;
        Ok(LogFile { path: path.to_owned(), limits, file })
    }

    /// Appends whole lines; begins a new file first if they do not fit. Holds the lock of the file meanwhile. Where only a
    /// part of the lines can be written, as on a full disk, the part is taken back.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        // On a file system without locks the line is written unlocked.
        let mut locked = self.lock();
        while self.is_full(lines.len())? && self.rotate() {
            locked = self.lock();
        }
        let result = append_whole(&self.file, lines);
        if locked {
            let _ = self.file.unlock();
        }
        result
    }

    /// Takes the lock of the file that the path names, and opens the path again first if its file was renamed or removed.
    /// Returns whether the lock is held.
    fn lock(&mut self) -> bool {
        loop {
            if self.file.lock().is_err() {
                return false;
            }
            if is_same(&self.file, &self.path) {
                return true;
            }
            // Where no new file can be created, lines go on to the old one, so that none is lost.
            let Ok(file) = append(&self.path) else { return true };
            self.file = file;
        }
    }

    fn is_full(&self, more: usize) -> io::Result<bool> {
        if self.limits.size == 0 || self.limits.count == 0 {
            return Ok(false);
        }
        let metadata = self.file.metadata()?;
        let size = metadata.len();
        Ok(metadata.is_file() && size > 0 && size.saturating_add(more as u64) > self.limits.size)
    }

    /// Renames the old files and opens a new one; closing the old one releases its lock. Returns whether this was done:
    /// where the directory does not allow it, the old file grows beyond its size.
    fn rotate(&mut self) -> bool {
        match shift(&self.path, self.limits.count).and_then(|()| append(&self.path)) {
            Ok(file) => {
                self.file = file;
                true
            }
            Err(_) => false,
        }
    }
}

/// Renames the oldest file first, and `x.log` to `x.log.1` last; file `count` is overwritten.
pub(super) fn shift(path: &Path, count: u32) -> io::Result<()> {
    for number in (1..count).rev() {
        match fs::rename(numbered(path, number), numbered(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Writes to the end of a file whose lock the caller holds. After an error, what was written of the lines is cut off, since
/// the next line would stand behind it.
pub(super) fn append_whole(mut file: &File, lines: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(lines).inspect_err(|_| {
        let is_part = |metadata: &fs::Metadata| metadata.is_file() && metadata.len() < before + lines.len() as u64;
        if file.metadata().is_ok_and(|metadata| is_part(&metadata)) {
            let _ = file.set_len(before);
        }
    })
}

fn append(path: &Path) -> io::Result<File> {
    safe_file::open(OpenOptions::new().append(true).create(true).mode(LOG_MODE), path, Kind::PlainOrDevice)
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn open_failed(path: &Path, source: io::Error) -> Error {
    Error::Io { action: "open log file", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use pretty_assertions::assert_eq;

    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|e| format!("{}: {e}", path.display()))
    }

    #[test]
    fn line_that_does_not_fit_begins_a_new_file() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        let mut log = LogFile::open(&path, Limits { size: 10, count: 2 })?;
        for line in ["11111\n", "22\n", "33333\n", "a line longer than the limit\n", "55555\n"] {
            log.write(line.as_bytes())?;
        }
        assert_eq!(read(&path), "55555\n");
        assert_eq!(read(&numbered(&path, 1)), "a line longer than the limit\n");
        assert_eq!(read(&numbered(&path, 2)), "33333\n");
        assert_eq!(fs::read_dir(dir.path())?.count(), 3);
        Ok(())
    }

    #[test]
    fn file_of_exactly_the_limit_is_not_rotated() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        let mut log = LogFile::open(&path, Limits { size: 6, count: 3 })?;
        log.write(b"12\n")?;
        log.write(b"34\n")?;
        assert_eq!(read(&path), "12\n34\n");
        Ok(())
    }

    #[test]
    fn without_size_or_count_the_file_grows() -> anyhow::Result<()> {
        for limits in [Limits { size: 4, count: 0 }, Limits { size: 0, count: 3 }] {
            let dir = tempfile::tempdir()?;
            let path = dir.path().join("x.log");
            let mut log = LogFile::open(&path, limits)?;
            log.write(b"first\n")?;
            log.write(b"second\n")?;
            assert_eq!(read(&path), "first\nsecond\n", "{limits:?}");
        }
        Ok(())
    }

    #[test]
    fn file_moved_away_by_others_is_left() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        let mut log = LogFile::open(&path, Limits { size: 1000, count: 3 })?;
        log.write(b"before\n")?;
        fs::rename(&path, dir.path().join("moved"))?;
        log.write(b"after\n")?;
        assert_eq!(read(&path), "after\n");
        fs::remove_file(&path)?;
        log.write(b"again\n")?;
        assert_eq!(read(&path), "again\n");
        assert_eq!(read(&dir.path().join("moved")), "before\n");
        Ok(())
    }

    #[test]
    fn device_is_written_and_never_renamed() -> anyhow::Result<()> {
        let mut log = LogFile::open(Path::new("/dev/null"), Limits { size: 1, count: 3 })?;
        log.write(b"nothing\n")?;
        log.write(b"at all\n")?;
        assert!(Path::new("/dev/null").exists());
        Ok(())
    }

    #[test]
    fn file_that_cannot_be_opened_is_named() {
        let limits = Limits { size: 1, count: 1 };
        let error = LogFile::open(Path::new("/nonexistent/x.log"), limits).expect_err("no such directory");
        let text = "could not open log file \"/nonexistent/x.log\": No such file or directory (os error 2)";
        assert_eq!(error.to_string(), text);
    }

    /// Each thread has its own open file, as each process would: locks belong to the open file.
    #[test]
    fn many_writers_that_rotate_lose_no_line() -> anyhow::Result<()> {
        const WRITERS: usize = 6;
        const LINES: usize = 300;
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        let limits = Limits { size: 500, count: 1000 };
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let path = &path;
                    scope.spawn(move || -> anyhow::Result<()> {
                        let mut log = LogFile::open(path, limits)?;
                        (0..LINES)
                            .try_for_each(|line| Ok(log.write(format!("writer {writer} line {line}\n").as_bytes())?))
                    })
                })
                .collect();
            writers.into_iter().try_for_each(|writer| writer.join().expect("no writer panics"))
        })?;
        let mut lines = BTreeSet::new();
        let mut files = 0;
        for entry in fs::read_dir(dir.path())? {
            let text = read(&entry?.path());
            assert!(text.len() <= 500, "{text}");
            files += 1;
            for line in text.lines() {
                assert!(lines.insert(line.to_owned()), "twice: {line}");
            }
        }
        assert_eq!(lines.len(), WRITERS * LINES);
        assert!(files > 50, "{files}");
        Ok(())
    }
}
