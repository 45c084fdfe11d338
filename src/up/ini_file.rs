//! The ini file that `up` makes of two connection strings.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::File;
use crate::error::{Error, Result, Role};
use crate::pg;

/// A file that is there as it should be, or still to be written.
#[derive(Debug)]
pub(crate) struct IniFile {
    path: PathBuf,
    text: String,
}

impl IniFile {
    /// The file of a queue, in the current directory. The queue has the name of the provider's database where `queue` is not given. Fails
    /// when a connection string cannot be used, or when the queue's name cannot be that of a file.
    pub(crate) fn of(provider: &str, subscriber: &str, queue: Option<&str>) -> Result<IniFile> {
        let database = pg::database(Role::Provider, provider)?;
        pg::database(Role::Subscriber, subscriber)?;
        let name = queue.map(str::to_owned).or(database).unwrap_or_default();
        let is_plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.starts_with(['-', '.']) || !name.chars().all(is_plain) {
            return Err(Error::refused(
                format!("the queue, the job and their files cannot be called \"{name}\""),
                "Give another name with --queue: letters, digits, \"_\", \"-\" and \".\".",
            ));
        }
        let directory =
            env::current_dir().map_err(|source| Error::System { action: "find the current directory", source })?;
        let text = format!(
            "; made by \"rlondiste up\"; from now on: rlondiste {name}.ini COMMAND
[londiste]
job_name = {name}
provider_db = {}
subscriber_db = {}
pgq_queue_name = {name}
ticker = auto
logfile = {}
pidfile = {}
",
            value(provider)?,
            value(subscriber)?,
            value(&directory.join(format!("{name}.log")).display().to_string())?,
            value(&directory.join(format!("{name}.pid")).display().to_string())?,
        );
        Ok(IniFile { path: directory.join(format!("{name}.ini")), text })
    }

    /// Writes the file, which only this user may read; does nothing when it is there with the same text. A file with another text is
    /// an error: none is ever overwritten.
    pub(crate) fn write(&self) -> Result<()> {
        let failed = |source| Error::Io { action: "write the ini file", path: self.path.clone(), source };
        // Written whole under another name, so that a file of this name always has the whole text.
        let mut draft = self.path.clone().into_os_string();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let linked = write_new(&draft, &self.text).and_then(|()| fs::hard_link(&draft, &self.path));
        let _ = fs::remove_file(&draft);
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.compare(),
            linked => linked.map_err(failed),
        }
    }

    /// The content, also when the file is not there. Fails when a file with another text is.
    pub(crate) fn content(&self) -> Result<File> {
        if self.path.exists() {
            self.compare()?;
        }
        File::parse(&self.path, self.text.as_bytes(), "localhost")
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn compare(&self) -> Result<()> {
        let failed = |source| Error::Io { action: "read the ini file", path: self.path.clone(), source };
        if fs::read(&self.path).map_err(failed)? == self.text.as_bytes() {
            return Ok(());
        }
        let path = self.path.display();
        Err(Error::refused(
            format!("{path} exists, and is not what \"up\" would write for these connection strings"),
            format!("Run \"rlondiste {path} up\" to use it as it is, or give another name with --queue."),
        ))
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// A text as the value of a key.
fn value(text: &str) -> Result<String> {
    let text = text.trim().replace(['\n', '\r'], " ");
    // A semicolon after a blank begins a comment, and nothing can be put before it.
    if text.contains(" ;") || text.contains("\t;") {
        return Err(Error::refused(
            "a connection string with a semicolon after a blank cannot stand in an ini file",
            "Put the password into ~/.pgpass, or the string into a service file.",
        ));
    }
    Ok(text.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_files_are_refused() {
        for (provider, queue, name) in [
            ("dbname=shop host=a", None, Some("shop.ini")),
            ("postgresql://u@h/shop", None, Some("shop.ini")),
            ("dbname=shop", Some("q1"), Some("q1.ini")),
            ("dbname='a/b'", None, None),
            ("dbname=shop", Some("-x"), None),
            ("dbname=shop", Some(""), None),
        ] {
            let made = IniFile::of(provider, "dbname=x", queue).ok();
            let found = made.as_ref().and_then(|ini| ini.path().file_name()).map(|n| n.to_string_lossy().into_owned());
            assert_eq!(found.as_deref(), name, "{provider} {queue:?}");
        }
    }

    #[test]
    fn values_come_back_as_they_were() -> anyhow::Result<()> {
        for provider in ["dbname=shop password='50%d #;x'", "postgresql://u:p%40x@h/shop?options=-c%20x%3D1"] {
            let ini = IniFile::of(provider, "dbname=x", Some("q"))?;
            let config = crate::config::Londiste::load(&ini.content()?)?;
            assert_eq!(config.provider_db, provider);
        }
        assert!(IniFile::of("dbname=shop password='a ;b'", "dbname=x", None).is_err());
        Ok(())
    }
}
