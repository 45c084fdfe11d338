//! The PostgreSQL server programs that the tests use.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One installed PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binaries {
    dir: PathBuf,
    version: String,
}

impl Binaries {
    /// `PG_BINDIR`, else what `pg_config` names, else the newest below `/usr/lib/postgresql`.
    #[track_caller]
    pub fn find() -> Self {
        if let Some(dir) = env::var_os("PG_BINDIR") {
            return Self::at(Path::new(&dir)).unwrap_or_else(|error| panic!("PG_BINDIR: {error}"));
        }
        candidates().iter().find_map(|dir| Self::at(dir).ok()).expect(
            "no PostgreSQL server programs found: run tests/run.sh, or set PG_BINDIR to the directory of initdb",
        )
    }

    /// The programs of a major version: those of [`Binaries::find`], those of the distribution, or an archive that is
    /// fetched at the first use. The error says why there are none.
    pub fn of_major(major: u32) -> Result<Self, String> {
        let usual = Self::find();
        if usual.major() == major {
            return Ok(usual);
        }
        if let Ok(installed) = Self::at(&PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))) {
            return Ok(installed);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fetch-postgresql.sh");
        let output = Command::new(&script).arg(major.to_string()).output();
        let output = output.map_err(|error| format!("could not run {}: {error}", script.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Self::at(Path::new(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// The programs in `dir`.
    pub fn at(dir: &Path) -> Result<Self, String> {
        if !dir.join("initdb").is_file() {
            return Err(format!("no initdb in {}", dir.display()));
        }
        let output = Command::new(dir.join("postgres"))
            .arg("--version")
            .output()
            .map_err(|error| format!("could not run {}: {error}", dir.join("postgres").display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().nth(2).ok_or_else(|| format!("strange version \"{text}\""))?;
        Ok(Binaries { dir: dir.to_owned(), version: version.to_owned() })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The path of a client program, by its name: archives of server programs come without clients, and have the machine's.
    pub fn client(&self, name: &str) -> PathBuf {
        let beside = self.program(name);
        if beside.is_file() { beside } else { PathBuf::from(name) }
    }

    /// As in `15.20`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// As in `15`.
    pub fn major(&self) -> u32 {
        let digits = self.version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().unwrap_or_else(|_| panic!("strange version \"{}\"", self.version))
    }
}

/// Whether this machine's `pg_dump` is of the server's major version: an older one refuses to dump, and what a newer one
/// writes an older server cannot read. Archives of server programs come without clients.
pub fn server_and_client_fit(binaries: &Binaries) -> bool {
    client_major(binaries) == Some(binaries.major())
}

/// Whether this machine's `pg_dump` is not older than the server, so that it can dump.
pub fn client_reads(binaries: &Binaries) -> bool {
    client_major(binaries) >= Some(binaries.major())
}

fn client_major(binaries: &Binaries) -> Option<u32> {
    let program = binaries.client("pg_dump");
    let output = Command::new(&program).arg("--version").output();
    let output = output.unwrap_or_else(|error| panic!("could not run {}: {error}", program.display()));
    let text = String::from_utf8_lossy(&output.stdout);
    // As in "pg_dump (PostgreSQL) 15.20 (Debian ...)".
    text.split_whitespace().nth(2).and_then(|version| version.split('.').next())?.parse().ok()
}

fn candidates() -> Vec<PathBuf> {
    let configured = Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success());
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .collect();
    installed.sort_by(|a, b| b.cmp(a));
    configured.into_iter().chain(installed.into_iter().map(|(_, dir)| dir)).collect()
}
