//! What the meaning of a connection string depends on besides its text: variables, user, home directory, files.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// A file that a connection string refers to.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// The bytes as text, with replacement characters for bytes that are not UTF-8; empty where the file is not plain.
    pub(crate) text: String,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Whether it is a plain file.
    pub(crate) is_plain: bool,
}

/// The function that reads a file.
type Reader = Box<dyn Fn(&Path) -> io::Result<Content> + Send + Sync>;

/// The surroundings in which a connection string is read.
pub struct Environment {
    pub(super) variables: HashMap<String, String>,
    /// Name of the operating system's user, the default of `user`.
    pub(super) user: Option<String>,
    pub(super) home: Option<PathBuf>,
    pub(super) read: Reader,
}

impl Environment {
    /// The variables `PG*`, the effective user and the files of this process.
    pub fn of_process() -> Environment {
        use nix::unistd::{User, geteuid};
        let account = User::from_uid(geteuid()).ok().flatten();
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Environment {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| name.starts_with("PG"))
                .collect(),
            home: home.or_else(|| account.as_ref().map(|account| account.dir.clone())),
            user: account.map(|account| account.name),
            read: Box::new(read),
        }
    }

    /// The same environment with another value of one variable.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Environment {
        self.variables.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// An environment with these variables and files only.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn in_memory(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Environment {
        let files: HashMap<PathBuf, String> =
            files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        Environment {
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            user: Some("me".to_owned()),
            home: Some(PathBuf::from("/home/me")),
            read: Box::new(move |path| match files.get(path) {
                Some(text) => Ok(Content { text: text.clone(), mode: 0o600, is_plain: true }),
                None => Err(io::ErrorKind::NotFound.into()),
            }),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A path below the home directory.
    pub(super) fn in_home(&self, path: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(path))
    }
}

fn read(path: &Path) -> io::Result<Content> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path)?;
    let is_plain = metadata.is_file();
    // Opening a fifo would block.
    let bytes = if is_plain { std::fs::read(path)? } else { Vec::new() };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Content { text, mode: metadata.permissions().mode() & 0o7777, is_plain })
}
