//! The two jobs of a switchover, and the ini file of the way back.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::command::Direction;
use crate::config::{self, File, back_path};
use crate::error::{Error, Result};

/// The two jobs.
pub(super) struct Way {
    pub(super) direction: Direction,
    /// The queue of the ini file, under which the state is stored.
    pub(super) queue: String,
    /// Replicates from the old side to the new one.
    pub(super) running: config::Londiste,
    /// Replicates from the new side to the old one.
    pub(super) next: config::Londiste,
    back: Back,
}

/// The ini file of the way back.
struct Back {
    path: PathBuf,
    /// `None` when there is such a file already.
    text: Option<String>,
}

impl Way {
    /// Reads the ini file of the way back, or makes its text.
    pub(super) fn of(home: &config::Londiste, direction: Direction) -> Result<Way> {
        let path = back_path(&home.path);
        let (file, text) = if path.exists() {
            (File::read(&path)?, None)
        } else {
            let text = back_text(home)?;
            (File::read_text(&path, &text)?, Some(text))
        };
        let back = config::Londiste::load(&file)?;
        let (running, next) = match direction {
            Direction::There => (home.clone(), back),
            Direction::Back => (back, home.clone()),
        };
        Ok(Way { direction, queue: home.pgq_queue_name.clone(), running, next, back: Back { path, text } })
    }

    pub(super) fn is_back(&self) -> bool {
        self.direction == Direction::Back
    }

    /// Writes the ini file of the way back, unless there is one.
    pub(super) fn write_back_ini(&self) -> Result<()> {
        let Some(text) = &self.back.text else { return Ok(()) };
        write_private(&self.back.path, text)
    }

    /// Removes the ini file of the way back.
    pub(super) fn remove_back_ini(&self) -> Result<()> {
        match fs::remove_file(&self.back.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove the ini file of the way back", path: self.back.path.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

/// Writes an ini file as a whole or not at all. It may hold passwords, so that only its owner may read it.
pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
    let failed = |source| Error::Io { action: "write the ini file", path: path.to_owned(), source };
    let new = path.with_extension("ini.new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    tracing::info!("Wrote {}", path.display());
    Ok(())
}

/// The ini file with its two databases exchanged, and with a queue, a consumer and a name of its own.
fn back_text(home: &config::Londiste) -> Result<String> {
    const SECTION: &str = "londiste";
    let file = File::read(&home.path)?;
    if home.path.extension().is_some_and(|extension| extension == "toml") {
        return Err(Error::unsupported(
            format!("cannot write the file of the way back of {}: it is no ini file", home.path.display()),
            format!(
                "Write {} by hand, with the two databases exchanged and another queue.",
                back_path(&home.path).display()
            ),
        ));
    }
    let raw = |key: &str| file.raw(SECTION, key).unwrap_or_default().to_owned();
    let job = Some(raw("job_name")).filter(|name| !name.is_empty()).unwrap_or_else(|| home.common.job_name.clone());
    let mut changes = vec![
        ("provider_db", raw("subscriber_db")),
        ("subscriber_db", raw("provider_db")),
        ("pgq_queue_name", format!("{}_back", raw("pgq_queue_name"))),
        ("pgq_consumer_id", format!("{}_back", home.pgq_consumer_id.replace('%', "%%"))),
        ("job_name", format!("{job}_back")),
    ];
    for key in ["pidfile", "logfile"] {
        let value = raw(key);
        // A name that has the job's name in it is another one already.
        if !value.is_empty() && !value.contains("%(job_name)s") {
            changes.push((key, format!("{value}.back")));
        }
    }
    Ok(file.rewritten(SECTION, &changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_exchanges_the_databases() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("shop.ini");
        fs::write(
            &path,
            "[DEFAULT]\nhost = db1\n[londiste]\njob_name = shop\nprovider_db = host=%(host)s dbname=a\nsubscriber_db = host=b\n  dbname=b\n\
             pgq_queue_name = q\npidfile = ~/%(job_name)s.pid\nlogfile = /tmp/x.log\nloop_delay = 0.5\n",
        )?;
        let home = config::Londiste::load(&File::read(&path)?)?;
        let way = Way::of(&home, Direction::There)?;
        assert_eq!(
            (way.next.provider_db.as_str(), way.next.subscriber_db.as_str()),
            (home.subscriber_db.as_str(), "host=db1 dbname=a")
        );
        let names = [&way.next.pgq_queue_name, &way.next.pgq_consumer_id, &way.next.common.job_name];
        assert_eq!(names, ["q_back", "shop_back", "shop_back"]);
        assert!(way.next.common.pidfile.as_ref().is_some_and(|path| path.ends_with("shop_back.pid")));
        assert_eq!(way.next.common.logfile, Some(PathBuf::from("/tmp/x.log.back")));
        assert_eq!(way.next.common.loop_delay, std::time::Duration::from_millis(500));
        way.write_back_ini()?;
        let back = Way::of(&home, Direction::Back)?;
        assert!(back.back.text.is_none());
        assert_eq!((back.running.pgq_queue_name.as_str(), back.next.pgq_queue_name.as_str()), ("q_back", "q"));
        back.remove_back_ini()?;
        back.remove_back_ini()?;
        assert!(!dir.path().join("shop-back.ini").exists());
        Ok(())
    }
}
