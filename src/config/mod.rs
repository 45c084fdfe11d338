//! Configuration files and what they mean: typed structs that are built once and handed down. Knows nothing of databases;
//! connection strings are text here.
//!
//! [`File`] is a file split into sections; [`Pgqadm`], [`Londiste`] and [`Pgqd`] are the sections' meaning. All keys with
//! their defaults stand in [`keys::KEYS`].

mod choice;
mod file;
mod ini;
pub mod keys;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::choice::{Apply, ApplyRole, Capture, EventFormat, LogFormat, LogRotation, Method, MissingRow};
pub use self::file::File;
use self::keys::Program;
use crate::error::Result;

/// A commented `[pgqadm]` file, for `--ini pgqadm`.
pub const PGQADM_SAMPLE: &str = include_str!("../../examples/pgqadm.ini");

/// A commented `[londiste]` file, for `--ini londiste`.
pub const LONDISTE_SAMPLE: &str = include_str!("../../examples/londiste.ini");

/// Keys of every program, about the process itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the keys are described in keys::KEYS")]
pub struct Common {
    #[serde(default)]
    pub job_name: String,
    pub pidfile: Option<PathBuf>,
    pub logfile: Option<PathBuf>,
    pub log_size: u64,
    pub log_count: u32,
    pub log_format: LogFormat,
    pub log_rotation: LogRotation,
    pub use_skylog: bool,
    pub loop_delay: Duration,
    pub connection_lifetime: Option<Duration>,
    pub http_listen: Option<String>,
}

/// The `[pgqadm]` section.
#[derive(Clone, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the keys are described in keys::KEYS")]
pub struct Pgqadm {
    #[serde(skip)]
    pub path: PathBuf,
    /// Remarks about the file that are no errors.
    #[serde(skip)]
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub common: Common,
    #[serde(skip_serializing)]
    pub db: String,
    pub maint_delay: Duration,
    pub maint_delay_min: Option<Duration>,
    pub ticker_log_delay: Duration,
    pub queue_refresh_period: Duration,
    /// Bytes, 0 for never.
    pub queue_size_warn: u64,
}

/// The `[londiste]` section.
#[derive(Clone, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the keys are described in keys::KEYS")]
pub struct Londiste {
    #[serde(skip)]
    pub path: PathBuf,
    /// Remarks about the file that are no errors.
    #[serde(skip)]
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub common: Common,
    #[serde(skip_serializing)]
    pub provider_db: String,
    #[serde(skip_serializing)]
    pub subscriber_db: String,
    pub pgq_queue_name: String,
    #[serde(default)]
    pub pgq_consumer_id: String,
    pub lock_timeout: Option<Duration>,
    pub capture: Capture,
    pub event_format: EventFormat,
    pub apply: Apply,
    pub apply_role: ApplyRole,
    pub apply_memory: u64,
    pub on_missing_row: MissingRow,
    pub batch_min_events: u64,
    pub batch_max_events: u64,
    pub parallel_copies: u32,
    pub copy_progress_delay: Duration,
    pub copy_maintenance_work_mem: Option<String>,
    /// Bytes a second, 0 for no limit.
    pub copy_rate_limit: u64,
    /// SQL condition by `schema.table`.
    #[serde(default)]
    pub copy_condition: BTreeMap<String, String>,
    pub pgq_lazy_fetch: u64,
    pub compare_sql: String,
    pub fake: bool,
    pub method: Method,
    pub mirror_queue: Option<String>,
    pub maint_delay: Duration,
}

/// The `[pgqd]` section: one ticker for all databases of a server.
#[derive(Clone, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the keys are described in keys::KEYS")]
pub struct Pgqd {
    #[serde(skip)]
    pub path: PathBuf,
    /// Remarks about the file that are no errors.
    #[serde(skip)]
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub common: Common,
    #[serde(default, skip_serializing)]
    pub base_connstr: String,
    pub initial_database: String,
    /// Names separated by commas or blanks; see [`Pgqd::databases`].
    #[serde(default)]
    pub database_list: String,
    pub check_period: Duration,
    pub ticker_period: Duration,
    pub maint_period: Duration,
    pub retry_period: Duration,
    pub syslog: bool,
}

impl Pgqadm {
    /// Reads the `[pgqadm]` section.
    pub fn load(file: &File) -> Result<Pgqadm> {
        let (common, warnings) = load_common(file, Program::Pgqadm)?;
        let mut config: Pgqadm = value::read(file, Program::Pgqadm)?;
        if file.value(Program::Pgqadm.section(), "maint_delay")?.is_none()
            && let Some(delay) = config.maint_delay_min
        {
            config.maint_delay = delay;
        }
        file.path().clone_into(&mut config.path);
        config.common = common;
        config.warnings = warnings;
        Ok(config)
    }

    /// Reads the same file again; a key that is gone goes back to its default.
    pub fn reload(&self) -> Result<Pgqadm> {
        Pgqadm::load(&File::read(&self.path)?)
    }
}

impl Londiste {
    /// Reads the `[londiste]` section.
    pub fn load(file: &File) -> Result<Londiste> {
        let (common, warnings) = load_common(file, Program::Londiste)?;
        let mut config: Londiste = value::read(file, Program::Londiste)?;
        if config.pgq_consumer_id.is_empty() {
            config.pgq_consumer_id.clone_from(&common.job_name);
        }
        file.path().clone_into(&mut config.path);
        config.common = common;
        config.warnings = warnings;
        Ok(config)
    }

    /// Reads the same file again; a key that is gone goes back to its default.
    pub fn reload(&self) -> Result<Londiste> {
        Londiste::load(&File::read(&self.path)?)
    }
}

impl Pgqd {
    /// Reads the `[pgqd]` section.
    pub fn load(file: &File) -> Result<Pgqd> {
        let (common, warnings) = load_common(file, Program::Pgqd)?;
        let mut config: Pgqd = value::read(file, Program::Pgqd)?;
        file.path().clone_into(&mut config.path);
        config.common = common;
        config.warnings = warnings;
        Ok(config)
    }

    /// Reads the same file again; a key that is gone goes back to its default.
    pub fn reload(&self) -> Result<Pgqd> {
        Pgqd::load(&File::read(&self.path)?)
    }

    /// The databases to serve; empty means all that have queues.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        self.database_list.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty())
    }
}

/// Without the connection strings, because they may hold passwords.
impl fmt::Debug for Pgqadm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pgqadm").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Without the connection strings, because they may hold passwords.
impl fmt::Debug for Londiste {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Londiste").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Without the connection string, because it may hold a password.
impl fmt::Debug for Pgqd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pgqd").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The pidfile of a program's job. It is all that a signal needs: whatever else the file lacks, a running job can be stopped.
pub fn pidfile(file: &File, program: Program) -> Result<Option<PathBuf>> {
    #[derive(Deserialize)]
    struct Place {
        pidfile: Option<PathBuf>,
    }
    need_section(file, program)?;
    value::read(file, program).map(|place: Place| place.pidfile)
}

fn need_section(file: &File, program: Program) -> Result<()> {
    let section = program.section();
    if file.has_section(section) {
        return Ok(());
    }
    let others: Vec<_> = file.section_names().map(|name| format!("[{name}]")).collect();
    let found = if others.is_empty() { "it is empty".to_owned() } else { format!("it has {}", others.join(", ")) };
    let message = format!("Wrong config file, no section '{section}': {found}; put the keys below a line [{section}]");
    Err(file.error(None, "", "", message))
}

/// The keys of every program, and remarks about the section.
fn load_common(file: &File, program: Program) -> Result<(Common, Vec<String>)> {
    need_section(file, program)?;
    let section = program.section();
    let mut common: Common = value::read(file, program)?;
    if common.job_name.is_empty() {
        section.clone_into(&mut common.job_name);
    }
    let mut warnings = unknown_keys(file, program);
    if common.use_skylog {
        warnings.push(format!(
            "{}: use_skylog is not supported: skylog.ini is not read; use \"logfile\" and \"log_format\" instead",
            file.path().display()
        ));
    }
    if common.http_listen.is_some() {
        warnings.push(format!(
            "{}: http_listen is not supported: nothing is served over HTTP; use \"status --json\" and \"subscriber status \
             --json\" instead",
            file.path().display()
        ));
    }
    Ok((common, warnings))
}

/// A remark for each key of the section that no program of that section reads and no value refers to.
fn unknown_keys(file: &File, program: Program) -> Vec<String> {
    let section = program.section();
    let unknown = file.entries(section).iter().filter(|entry| program.key(&entry.key).is_none());
    let unused = unknown.filter(|entry| !file.is_referenced(&entry.key));
    let remark = |entry: &ini::Entry| {
        let place = format!("{}:{}: section [{section}]", file.path().display(), entry.line);
        let advice = match keys::nearest(program, &entry.key) {
            Some(name) => format!("; did you mean \"{name}\"?"),
            None => String::new(),
        };
        format!("{place}: unknown key \"{}\" is ignored{advice}", entry.key)
    };
    unused.map(remark).collect()
}

#[cfg(test)]
mod tests;
