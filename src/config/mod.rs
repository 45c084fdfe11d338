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
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::error::{Error, Report};

    const LONDISTE: &str = "[londiste]\nprovider_db = dbname=a\nsubscriber_db = dbname=b\npgq_queue_name = q\n";

    fn ini(text: &str) -> Result<File> {
        File::parse(Path::new("x.ini"), text.as_bytes(), "box")
    }

    fn londiste(lines: &str) -> Result<Londiste> {
        Londiste::load(&ini(&format!("{LONDISTE}{lines}\n"))?)
    }

    fn text_of(error: &Error) -> String {
        Report(error).to_string()
    }

    #[test]
    fn defaults_are_those_of_the_original() {
        let config = londiste("").expect("valid");
        assert_eq!(config.common.job_name, "londiste");
        assert_eq!(config.pgq_consumer_id, "londiste");
        assert_eq!(config.common.pidfile, None);
        assert_eq!(config.common.log_size, 10_485_760);
        assert_eq!(config.common.log_count, 3);
        assert_eq!(config.common.loop_delay, Duration::from_secs(1));
        assert_eq!(config.common.connection_lifetime, Some(Duration::from_mins(20)));
        assert_eq!(config.lock_timeout, Some(Duration::from_secs(10)));
        assert_eq!(config.compare_sql, "select count(1) from only _TABLE_");
        assert_eq!(config.apply_memory, 64 << 20);
        assert_eq!(config.parallel_copies, 2);
        assert_eq!((config.capture, config.apply), (Capture::Statement, Apply::Set));
        assert_eq!(config.warnings, Vec::<String>::new());
    }

    #[test]
    fn every_key_of_the_table_has_a_field_and_the_reverse() {
        let common: Vec<_> = fields(&Common::default());
        for (program, own, hidden) in [
            (Program::Pgqadm, fields(&pgqadm("").expect("valid")), vec!["db"]),
            (Program::Londiste, fields(&londiste("").expect("valid")), vec!["provider_db", "subscriber_db"]),
            (Program::Pgqd, fields(&pgqd("").expect("valid")), vec!["base_connstr"]),
        ] {
            let mut fields = [common.clone(), own, hidden.into_iter().map(str::to_owned).collect()].concat();
            let mut keys: Vec<_> = program.keys().map(|key| key.name.to_owned()).collect();
            fields.sort();
            keys.sort();
            assert_eq!(fields, keys, "{program:?}");
        }
    }

    fn fields(config: &impl Serialize) -> Vec<String> {
        let value = serde_json::to_value(config).expect("plain data");
        value.as_object().expect("a struct").keys().cloned().collect()
    }

    fn pgqadm(lines: &str) -> Result<Pgqadm> {
        Pgqadm::load(&ini(&format!("[pgqadm]\ndb = dbname=a\n{lines}\n"))?)
    }

    fn pgqd(lines: &str) -> Result<Pgqd> {
        Pgqd::load(&ini(&format!("[pgqd]\n{lines}\n"))?)
    }

    #[test]
    fn values_become_typed() {
        let config = londiste(
            "job_name = j\nlogfile = /var/log/%(job_name)s.log\nloop_delay = 0.5\nconnection_lifetime = 0\n\
             lock_timeout = 0\napply_memory = 1GB\ncapture = row\nfake = 1\nparallel_copies = 4\n\
             copy_condition =\n  public.t: id > 5\n  public.u: x = 'a:b'\nmirror_queue =",
        );
        let config = config.expect("valid");
        assert_eq!(config.common.logfile, Some(PathBuf::from("/var/log/j.log")));
        assert_eq!(config.common.loop_delay, Duration::from_millis(500));
        assert_eq!(config.common.connection_lifetime, None);
        assert_eq!(config.lock_timeout, None);
        assert_eq!(config.apply_memory, 1 << 30);
        assert_eq!(config.capture, Capture::Row);
        assert!(config.fake);
        assert_eq!(config.pgq_consumer_id, "j");
        assert_eq!(config.copy_condition["public.u"], "x = 'a:b'");
        assert_eq!(config.mirror_queue, None);
    }

    #[test]
    fn built_in_names_and_defaults_are_found_in_order() {
        let file =
            ini("[DEFAULT]\njob_name = d\nx = 1\n[s]\na = %(job_name)s %(service_name)s %(host_name)s %(x)s\nx = 2\n");
        let value = file.expect("valid").value("s", "a").expect("valid").expect("set");
        assert_eq!((value.text.as_str(), value.line), ("d s box 2", 5));
    }

    #[test]
    fn the_old_spelling_of_maint_delay_counts_minutes() {
        for (lines, expected) in [
            ("", 300),
            ("maint_delay_min = 2", 120),
            ("maint_delay_min = -1", 300),
            ("maint_delay_min = 2\nmaint_delay = 7", 7),
        ] {
            assert_eq!(pgqadm(lines).expect("valid").maint_delay, Duration::from_secs(expected), "{lines:?}");
        }
    }

    #[test]
    fn wrong_values_name_their_place_and_what_is_allowed() {
        for (line, expected) in [
            ("loop_delay = abc", "\"abc\" is not a number of seconds; write for example 30 or 0.5"),
            ("loop_delay = -1", "\"-1\" is not a number of seconds; write for example 30 or 0.5"),
            ("loop_delay = nan", "\"nan\" is not a number of seconds; write for example 30 or 0.5"),
            ("loop_delay =", "\"\" is not a number of seconds; write for example 30 or 0.5"),
            ("log_count = 1.5", "\"1.5\" is not a whole number, 0 or greater"),
            ("parallel_copies = 5000000000", "\"5000000000\" is not a number in the allowed range"),
            ("log_size = big", "\"big\" is not a number of bytes; write for example 65536, 512kB, 64MB or 1GB"),
            ("capture = both", "\"both\" is not allowed here; write \"statement\" or \"row\""),
            ("method = file_write", "\"file_write\" is not allowed here; write \"direct\""),
            ("fake = maybe", "\"maybe\" is not 0 or 1"),
            ("job_name = %(nope)s", "it refers to %(nope)s, but no key \"nope\" is set in this section"),
        ] {
            let error = londiste(line).expect_err(line);
            let key = line.split(' ').next().expect("a key");
            assert_eq!(text_of(&error), format!("x.ini:5: section [londiste], key \"{key}\": {expected}"));
        }
    }

    #[test]
    fn missing_things_name_what_to_write() {
        let missing = Londiste::load(&ini("[londiste]\nprovider_db = a\nsubscriber_db = b\n").expect("valid"));
        assert_eq!(
            text_of(&missing.expect_err("no queue name")),
            "x.ini: section [londiste], key \"pgq_queue_name\": not set; add a line such as \"pgq_queue_name = shop-queue\""
        );
        let missing = Londiste::load(&ini("[Londiste]\n").expect("valid"));
        assert_eq!(
            text_of(&missing.expect_err("no section")),
            "x.ini: Wrong config file, no section 'londiste': it has [Londiste]; put the keys below a line [londiste]"
        );
        let missing = File::read(Path::new("/nonexistent/nofile.ini")).expect_err("no file");
        assert!(text_of(&missing).starts_with("Config file not found: /nonexistent/nofile.ini\nHINT: "));
    }

    #[test]
    fn unknown_keys_are_remarks_unless_a_value_refers_to_them() {
        let config = londiste("log_file = x\ncolour = red\nbase = /tmp\npidfile = %(base)s/p").expect("valid");
        assert_eq!(
            config.warnings,
            [
                "x.ini:5: section [londiste]: unknown key \"log_file\" is ignored; did you mean \"logfile\"?",
                "x.ini:6: section [londiste]: unknown key \"colour\" is ignored",
            ]
        );
        assert!(londiste("use_skylog = 1").expect("valid").warnings[0].contains("use_skylog is not supported"));
        assert!(londiste("http_listen = *:80").expect("valid").warnings[0].contains("nothing is served over HTTP"));
        assert!(londiste("http_listen =").expect("valid").warnings.is_empty());
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused_and_a_comment_is_not() {
        let read = |bytes: &[u8]| File::parse(Path::new("x.ini"), &[LONDISTE.as_bytes(), bytes].concat(), "box");
        assert!(Londiste::load(&read(b"# gr\xfc\xdfe\n").expect("valid")).is_ok());
        let error = Londiste::load(&read(b"job_name = gr\xfcn\n").expect("valid")).expect_err("not UTF-8");
        assert!(text_of(&error).contains("not valid UTF-8"), "{error}");
    }

    #[test]
    fn toml_has_the_same_sections_and_keys() {
        let text = "[DEFAULT]\nbase = '/var'\n[londiste]\nprovider_db = 'dbname=a'\nsubscriber_db = \"dbname=b\"\n\
                    pgq_queue_name = 'q'\nlogfile = '%(base)s/%(job_name)s-100%.log'\nloop_delay = 0.25\nlog_size = 0x10\n\
                    fake = true\n[londiste.copy_condition]\n'public.t' = 'id > 5'\n";
        let file = File::parse(Path::new("x.toml"), text.as_bytes(), "box").expect("valid");
        let config = Londiste::load(&file).expect("valid");
        assert_eq!(config.common.logfile, Some(PathBuf::from("/var/londiste-100%.log")));
        assert_eq!(config.common.loop_delay, Duration::from_millis(250));
        assert_eq!(config.common.log_size, 16);
        assert!(config.fake);
        assert_eq!(config.copy_condition["public.t"], "id > 5");
        for (text, expected) in [
            ("x = 1\n", "x.toml:1: key \"x\" stands outside of a section such as [londiste]"),
            (
                "[s]\nd = 2020-01-01\n",
                "x.toml:2: key \"d\" cannot be a date or time; use a string, a number or a boolean",
            ),
        ] {
            let error = File::parse(Path::new("x.toml"), text.as_bytes(), "box").expect_err(text);
            assert_eq!(text_of(&error), expected);
        }
        let error = File::parse(Path::new("x.toml"), b"[s]\na = \n", "box").expect_err("no value");
        assert!(text_of(&error).starts_with("x.toml:2: not valid TOML: "), "{error}");
    }

    /// The sample with its commented keys taken as set.
    fn uncommented(sample: &str) -> String {
        let is_key =
            |line: &str| line.split_once(" =").is_some_and(|(key, _)| keys::KEYS.iter().any(|k| k.name == key));
        let lines = sample.lines().map(|line| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn samples_load_and_show_every_key_with_its_default() {
        let sample = Pgqadm::load(&ini(PGQADM_SAMPLE).expect("valid")).expect("valid");
        assert_eq!((sample.warnings.len(), sample.common.job_name.as_str()), (0, "ticker"));
        let sample = Londiste::load(&ini(LONDISTE_SAMPLE).expect("valid")).expect("valid");
        assert_eq!((sample.warnings.len(), sample.pgq_consumer_id.as_str()), (0, "shop_to_reports"));
        for (program, sample) in [(Program::Pgqadm, PGQADM_SAMPLE), (Program::Londiste, LONDISTE_SAMPLE)] {
            let file = ini(&uncommented(sample)).expect("valid");
            for key in program.keys() {
                let value = file.value(program.section(), key.name).expect("valid").map(|value| value.text);
                match (key.default, value) {
                    (keys::Default::Is(default), Some(value)) => assert_eq!(value, default, "{}", key.name),
                    (_, value) => assert!(value.is_some(), "{program:?} lacks {}", key.name),
                }
            }
        }
    }

    #[test]
    fn databases_of_pgqd_are_split() {
        let config = pgqd("database_list = a, b\n  c").expect("valid");
        assert_eq!(config.databases().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
