//! A log file for each day or hour (of UTC), `x.log.2026-11-22` or `x.log.2026-11-22-06`, with `x.log` as a link to the
//! newest.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::log_file::{LOG_MODE, append_whole, shift};
use super::safe_file::{self, Kind};
use crate::error::{Error, Result};

/// How long one file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Day,
    Hour,
}

impl Period {
    /// The end of the name of the file for this time.
    fn suffix(self, time: Timestamp) -> String {
        let format = match self {
            Period::Day => "%Y-%m-%d",
            Period::Hour => "%Y-%m-%d-%H",
        };
        time.strftime(format).to_string()
    }
}

/// An open log of dated files.
#[derive(Debug)]
pub(super) struct DatedLog {
    path: PathBuf,
    period: Period,
    /// Number of old files that are kept; 0 keeps all.
    count: u32,
    suffix: String,
    file: File,
}

impl DatedLog {
    /// Opens the file of the present period. A plain file of the bare name is renamed to `x.log.1`. Fails with
    /// [`Error::Io`].
    pub(super) fn open(path: &Path, period: Period, count: u32) -> Result<DatedLog> {
        let failed = |path: PathBuf, source| Error::Io { action: "open log file", path, source };
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            shift(path, count.max(1)).map_err(|source| failed(path.to_owned(), source))?;
        }
        let suffix = period.suffix(Timestamp::now());
        let file = append(&dated(path, &suffix)).map_err(|source| failed(dated(path, &suffix), source))?;
        let log = DatedLog { path: path.to_owned(), period, count, suffix, file };
        log.tidy();
        Ok(log)
    }

    /// Appends whole lines, to a new file where a new period has begun. Where a new file cannot be made, the old one stays.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.write_at(Timestamp::now(), lines)
    }

    fn write_at(&mut self, now: Timestamp, lines: &[u8]) -> io::Result<()> {
        let suffix = self.period.suffix(now);
        if suffix != self.suffix
            && let Ok(file) = append(&dated(&self.path, &suffix))
        {
            (self.suffix, self.file) = (suffix, file);
            self.tidy();
        }
        // On a file system without locks the lines are written unlocked.
        let locked = self.file.lock().is_ok();
        let result = append_whole(&self.file, lines);
        if locked {
            let _ = self.file.unlock();
        }
        result
    }

    /// Makes the bare name a link to the newest file and removes the oldest files. Failures are ignored, since no line
    /// is lost by them.
    fn tidy(&self) {
        let newest = dated(&self.path, &self.suffix);
        let (Some(name), Some(directory)) = (newest.file_name(), newest.parent()) else { return };
        let new_link = dated(&self.path, &format!("link-{}", std::process::id()));
        let _ = symlink(name, &new_link).and_then(|()| fs::rename(&new_link, &self.path));
        if self.count == 0 {
            return;
        }
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let Ok(entries) = fs::read_dir(directory) else { return };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let mut old: Vec<OsString> = names.filter(|other| other != name && self.is_dated(other)).collect();
        // The names sort in the order of their times.
        old.sort();
        for name in old.iter().rev().skip(self.count as usize) {
            let _ = fs::remove_file(directory.join(name));
        }
    }

    fn is_dated(&self, name: &OsStr) -> bool {
        let bare = self.path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let suffix = name.to_str().and_then(|name| name.strip_prefix(bare)?.strip_prefix('.'));
        let has_shape = |suffix: &str, shape: &str| {
            let fits = |(c, s): (u8, u8)| if s == b'd' { c.is_ascii_digit() } else { c == s };
            suffix.len() == shape.len() && suffix.bytes().zip(shape.bytes()).all(fits)
        };
        suffix.is_some_and(|suffix| has_shape(suffix, "dddd-dd-dd") || has_shape(suffix, "dddd-dd-dd-dd"))
    }
}

/// `x.log` and `2026-11-22` make `x.log.2026-11-22`.
fn dated(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn append(path: &Path) -> io::Result<File> {
    safe_file::open(OpenOptions::new().append(true).create(true).mode(LOG_MODE), path, Kind::Plain)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use pretty_assertions::assert_eq;

    use super::*;

    fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
        let entries: io::Result<Vec<_>> = fs::read_dir(dir)?.collect();
        let mut names: Vec<_> = entries?.iter().map(|entry| entry.file_name().display().to_string()).collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn each_period_has_its_file_and_the_oldest_go() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        for other in ["x.log.1", "x.log.old", "y.log.2000-01-01", "x.log.2000-01-01"] {
            fs::write(dir.path().join(other), "")?;
        }
        let mut log = DatedLog::open(&path, Period::Hour, 2)?;
        let start: Timestamp = "2100-01-01T22:30:00Z".parse()?;
        for hour in 0..4 {
            log.write_at(start + hour.hours(), format!("{hour}\n").as_bytes())?;
            assert_eq!(fs::read_to_string(&path)?, format!("{hour}\n"));
        }
        log.write_at(start + 3.hours(), b"again\n")?;
        assert_eq!(fs::read_to_string(&path)?, "3\nagain\n");
        let expected = [
            "x.log",
            "x.log.1",
            "x.log.2100-01-01-23",
            "x.log.2100-01-02-00",
            "x.log.2100-01-02-01",
            "x.log.old",
            "y.log.2000-01-01",
        ];
        assert_eq!(names(dir.path())?, expected);
        assert_eq!(Period::Day.suffix(start), "2100-01-01");
        Ok(())
    }

    #[test]
    fn without_a_count_all_are_kept() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        let mut log = DatedLog::open(&path, Period::Day, 0)?;
        for day in 1..=5 {
            let time: Timestamp = format!("2100-01-0{day}T00:00:00Z").parse()?;
            log.write_at(time, b"x\n")?;
        }
        // The link, and the file of today.
        assert_eq!(names(dir.path())?.len(), 2 + 5);
        Ok(())
    }
}
