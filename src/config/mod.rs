//! Configuration files as typed structs, which are built once and passed down. Knows nothing of databases; connection
//! strings are text here.
//!
//! [`File`] is a file split into sections; [`Pgqadm`], [`Londiste`] and [`Pgqd`] hold the values of one section. All
//! keys with their defaults stand in [`keys::KEYS`]. Reading fails with the errors of [`File::read`] and, for a value
//! or a missing section, with [`Error::Config`](crate::error::Error::Config).

mod choice;
mod file;
mod ini;
pub mod keys;
mod listen;
mod value;
mod way_back;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::choice::{Apply, ApplyRole, MissingRow};
pub(crate) use self::choice::{Capture, EventFormat, LogFormat, LogRotation, Method, TickerMode};
pub(crate) use self::file::File;
use self::keys::Program;
pub(crate) use self::listen::Listen;
pub(crate) use self::way_back::{back_path, other_path};
use crate::error::Result;

/// A commented `[pgqadm]` file, for `--ini pgqadm`.
pub(crate) const PGQADM_SAMPLE: &str = include_str!("../../examples/pgqadm.ini");

/// A commented `[londiste]` file, for `--ini londiste`.
pub(crate) const LONDISTE_SAMPLE: &str = include_str!("../../examples/londiste.ini");

/// Keys of every program, about the process itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Common {
    #[serde(default)]
    pub(crate) job_name: String,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) logfile: Option<PathBuf>,
    pub(crate) log_size: u64,
    pub(crate) log_count: u32,
    pub(crate) log_format: LogFormat,
    pub(crate) log_rotation: LogRotation,
    pub(crate) use_skylog: bool,
    pub(crate) loop_delay: Duration,
    pub(crate) connection_lifetime: Option<Duration>,
    pub(crate) connection_check: Option<Duration>,
    pub(crate) http_listen: Option<Listen>,
    pub(crate) on_event: Option<String>,
}

impl Common {
    /// What the sessions of the job have of these keys: the name, and the time after which a silent server is given up.
    pub(crate) fn client(&self) -> (&str, Option<Duration>) {
        (&self.job_name, self.connection_check)
    }
}

/// The `[pgqadm]` section.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Pgqadm {
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// Remarks about the file that are no errors.
    #[serde(skip)]
    pub(crate) warnings: Vec<String>,
    #[serde(skip)]
    pub(crate) common: Common,
    #[serde(skip_serializing)]
    pub(crate) db: String,
    pub(crate) maint_delay: Duration,
    pub(crate) maint_delay_min: Option<Duration>,
    pub(crate) ticker_log_delay: Duration,
    pub(crate) queue_refresh_period: Duration,
    /// Bytes of a queue's event tables above which maintenance warns; 0 for never.
    pub(crate) queue_size_warn: u64,
}

/// The `[londiste]` section.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Londiste {
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// Remarks about the file that are no errors.
    #[serde(skip)]
    pub(crate) warnings: Vec<String>,
    #[serde(skip)]
    pub(crate) common: Common,
    #[serde(skip_serializing)]
    pub(crate) provider_db: String,
    #[serde(skip_serializing)]
    pub(crate) subscriber_db: String,
    pub(crate) pgq_queue_name: String,
    #[serde(default)]
    pub(crate) pgq_consumer_id: String,
    pub(crate) lock_timeout: Option<Duration>,
    pub(crate) lag_warn: Option<Duration>,
    pub(crate) capture: Capture,
    pub(crate) event_format: EventFormat,
    pub(crate) apply: Apply,
    pub(crate) apply_role: ApplyRole,
    pub(crate) apply_memory: u64,
    pub(crate) on_missing_row: MissingRow,
    pub(crate) batch_min_events: u64,
    pub(crate) batch_max_events: u64,
    pub(crate) parallel_copies: u32,
    pub(crate) copy_progress_delay: Duration,
    pub(crate) copy_maintenance_work_mem: Option<String>,
    /// Bytes a second, 0 for no limit.
    pub(crate) copy_rate_limit: u64,
    /// The SQL condition of each `schema.table`.
    #[serde(default)]
    pub(crate) copy_condition: BTreeMap<String, String>,
    pub(crate) pgq_lazy_fetch: u64,
    pub(crate) compare_sql: String,
    pub(crate) verify_interval: Option<Duration>,
    /// Bytes a second, 0 for no limit.
    pub(crate) verify_rate: u64,
    pub(crate) fake: bool,
    pub(crate) method: Method,
    pub(crate) mirror_queue: Option<String>,
    /// `None` means off for `replay`, and auto for `up`.
    pub(crate) ticker: Option<TickerMode>,
    /// Between two rounds of the maintenance that goes with the ticks.
    pub(crate) maint_delay: Duration,
}

/// The `[pgqd]` section: one ticker for all databases of a server.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Pgqd {
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// Remarks about the file that are no errors.
    #[serde(skip)]
    pub(crate) warnings: Vec<String>,
    #[serde(skip)]
    pub(crate) common: Common,
    #[serde(default, skip_serializing)]
    pub(crate) base_connstr: String,
    pub(crate) initial_database: String,
    /// Names separated by commas or blanks; see [`Pgqd::databases`].
    #[serde(default)]
    pub(crate) database_list: String,
    pub(crate) check_period: Duration,
    pub(crate) ticker_period: Duration,
    pub(crate) maint_period: Duration,
    pub(crate) retry_period: Duration,
    pub(crate) syslog: bool,
}

impl Pgqadm {
    /// Reads the `[pgqadm]` section.
    pub(crate) fn load(file: &File) -> Result<Pgqadm> {
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
    pub(crate) fn reload(&self) -> Result<Pgqadm> {
        Pgqadm::load(&File::read(&self.path)?)
    }
}

impl Londiste {
    /// Reads the `[londiste]` section.
    pub(crate) fn load(file: &File) -> Result<Londiste> {
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
    pub(crate) fn reload(&self) -> Result<Londiste> {
        Londiste::load(&File::read(&self.path)?)
    }
}

impl Pgqd {
    /// Reads the `[pgqd]` section.
    pub(crate) fn load(file: &File) -> Result<Pgqd> {
        let (common, warnings) = load_common(file, Program::Pgqd)?;
        let mut config: Pgqd = value::read(file, Program::Pgqd)?;
        file.path().clone_into(&mut config.path);
        config.common = common;
        config.warnings = warnings;
        Ok(config)
    }

    /// Reads the same file again; a key that is gone goes back to its default.
    pub(crate) fn reload(&self) -> Result<Pgqd> {
        Pgqd::load(&File::read(&self.path)?)
    }

    /// The databases to serve; none means all that have schema `pgq`.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &str> {
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

/// The pidfile of a program's job. Reads no other key, so that a running job can be stopped whatever is wrong with the
/// file.
pub(crate) fn pidfile(file: &File, program: Program) -> Result<Option<PathBuf>> {
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

/// The keys of every program, and the warnings about the section.
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
    Ok((common, warnings))
}

/// A warning for each key of the section that the program does not read and no value refers to.
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
