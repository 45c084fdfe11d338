//! The log: one line format for standard error and the log file.
//!
//! `2026-11-22 06:57:52,294 16105 INFO text`: local time, milliseconds after a comma, process id, level, text. A text of
//! several lines (DETAIL, HINT) stays one event: its other lines follow as they are. No value begins a line, see
//! [`crate::text`]. Lines are written without a buffer, so that none is lost however the process ends.

use std::fmt::{self, Display};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::bars;
use super::dated_log::{DatedLog, Period};
use super::log_file::{Limits, LogFile};
use crate::config::{Common, LogFormat, LogRotation};
use crate::error::{Error, Result};
use crate::text::{Lines, shown};

/// The level of an event, as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Details for finding a fault; with `-v`.
    Debug,
    /// What was done.
    Info,
    /// Something that may need attention.
    Warning,
    /// Something could not be done.
    Error,
    /// A loop crashed, or a process cannot do its work.
    Critical,
}

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Critical => "CRITICAL",
        })
    }
}

/// How much is logged, on standard error and in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// `-q`: warnings and errors.
    Quiet,
    /// Also what was done.
    #[default]
    Normal,
    /// `-v`: everything.
    Verbose,
}

/// Logs at level CRITICAL.
pub(crate) fn critical(text: impl Display) {
    tracing::error!(critical = true, "{text}");
}

/// One line in the log's text format, for messages before the log is open.
pub(crate) fn line(level: Level, text: impl Display) -> String {
    let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f");
    format!("{time} {} {level} {}\n", std::process::id(), shown(text))
}

/// The open log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Sinks>>);

impl Log {
    /// Logs to standard error and, if the ini file names one, to the log file, from now until the process ends. Call
    /// once. Fails with [`Error::Io`] (the log file cannot be opened) or [`Error::System`].
    pub(crate) fn open(common: &Common, verbosity: Verbosity) -> Result<Log> {
        let log = Log(Arc::new(Mutex::new(Sinks::open(common)?)));
        let layer = LogLayer { log: log.clone(), most: most(verbosity) };
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .map_err(|error| Error::System { action: "start the log", source: io::Error::other(error) })?;
        if verbosity != Verbosity::Quiet {
            bars::allow();
        }
        Ok(log)
    }

    /// Logs to standard error only. Call once, and not [`Log::open`] too.
    pub(crate) fn on_stderr(verbosity: Verbosity) -> Result<Log> {
        Log::open(&Common { logfile: None, ..Common::default() }, verbosity)
    }

    /// Opens the log file anew, with the settings of a reloaded ini file. After an error the old file stays in use.
    pub(crate) fn reopen(&self, common: &Common) -> Result<()> {
        let new = Sinks::open(common)?;
        let mut sinks = self.sinks();
        let gap = sinks.gap.take().filter(|_| new.path == sinks.path);
        *sinks = Sinks { gap, ..new };
        Ok(())
    }

    fn sinks(&self) -> MutexGuard<'_, Sinks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn most(verbosity: Verbosity) -> LevelFilter {
    match verbosity {
        Verbosity::Quiet => LevelFilter::WARN,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
    }
}

/// The log file, beside standard error, and the format of lines.
struct Sinks {
    job_name: String,
    format: LogFormat,
    file: Option<Sink>,
    /// The path of the log file, for messages.
    path: PathBuf,
    /// What the file lacks since it took a message last.
    gap: Option<Gap>,
}

/// Messages that could not be written to the log file, as on a full disk.
struct Gap {
    messages: u64,
    /// Why the first one could not.
    error: io::Error,
}

enum Sink {
    BySize(LogFile),
    ByTime(DatedLog),
}

impl Sink {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Sink::BySize(file) => file.write(lines),
            Sink::ByTime(log) => log.write(lines),
        }
    }
}

impl Sinks {
    fn open(common: &Common) -> Result<Sinks> {
        let limits = Limits { size: common.log_size, count: common.log_count };
        let file = match (&common.logfile, common.log_rotation) {
            (None, _) => None,
            (Some(path), LogRotation::Size) => Some(Sink::BySize(LogFile::open(path, limits)?)),
            (Some(path), LogRotation::Daily) => Some(Sink::ByTime(DatedLog::open(path, Period::Day, limits.count)?)),
            (Some(path), LogRotation::Hourly) => Some(Sink::ByTime(DatedLog::open(path, Period::Hour, limits.count)?)),
        };
        let path = common.logfile.clone().unwrap_or_default();
        Ok(Sinks { job_name: common.job_name.clone(), format: common.log_format, file, path, gap: None })
    }

    fn write(&mut self, level: Level, record: &Record) {
        let lines = self.lines(level, &record.text);
        tell(&lines);
        let lines = match &self.gap {
            None => lines,
            Some(Gap { messages, error }) => {
                let text = format!("{messages} messages are missing here, which could not be written: {error}");
                self.lines(Level::Warning, &text) + &lines
            }
        };
        let Some(file) = &mut self.file else { return };
        match (file.write(lines.as_bytes()), &mut self.gap) {
            (Ok(()), _) => self.gap = None,
            (Err(_), Some(gap)) => gap.messages += 1,
            (Err(error), None) => {
                let path = self.path.display();
                let text = format!(
                    "could not write to log file \"{path}\": {error}; it lacks all messages until it takes one again"
                );
                tell(&self.lines(Level::Error, &shown(text)));
                self.gap = Some(Gap { messages: 1, error });
            }
        }
    }

    fn lines(&self, level: Level, text: &str) -> String {
        match self.format {
            LogFormat::Text => line(level, Lines(text)),
            LogFormat::Json => json_line(&self.job_name, level, text),
        }
    }
}

/// Writes to standard error. Failures are ignored: there is no other place to report them.
fn tell(lines: &str) {
    let _ = bars::above(|| io::stderr().lock().write_all(lines.as_bytes()));
}

fn json_line(job_name: &str, level: Level, text: &str) -> String {
    let mut object = serde_json::Map::new();
    let time = jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
    object.insert("time".to_owned(), time.into());
    object.insert("pid".to_owned(), std::process::id().into());
    object.insert("level".to_owned(), level.to_string().into());
    object.insert("job".to_owned(), job_name.into());
    object.insert("message".to_owned(), text.into());
    format!("{}\n", serde_json::Value::Object(object))
}

/// Turns events of this crate into lines.
struct LogLayer {
    log: Log,
    most: LevelFilter,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most && is_ours(metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut record = Record::default();
        event.record(&mut record);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR if record.critical => Level::Critical,
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        self.log.sinks().write(level, &record);
    }
}

fn is_ours(target: &str) -> bool {
    let rest = target.strip_prefix(env!("CARGO_PKG_NAME"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The text of an event: its message, then its other fields as `name=value`, all of it [`shown`].
#[derive(Default)]
struct Record {
    text: String,
    critical: bool,
}

impl Visit for Record {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "critical" {
            self.critical = value;
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.text.insert_str(0, &shown(value));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.text.insert_str(0, &shown(format_args!("{value:?}"))),
            name => self.text.push_str(&shown(format_args!(" {name}={value:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use tracing::subscriber::with_default;

    use super::*;

    /// The log file's text after `events`, with time and pid masked.
    fn logged(common: &Common, verbosity: Verbosity, events: impl FnOnce()) -> anyhow::Result<String> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        let common = Common { logfile: Some(path.clone()), job_name: "job1".to_owned(), ..common.clone() };
        let log = Log(Arc::new(Mutex::new(Sinks::open(&common)?)));
        let layer = LogLayer { log, most: most(verbosity) };
        with_default(tracing_subscriber::registry().with(layer), events);
        Ok(std::fs::read_to_string(path)?)
    }

    fn unstamped(text: &str) -> Vec<String> {
        let pid = format!(" {} ", std::process::id());
        text.lines().map(|l| l.split_once(&pid).map_or(l.to_owned(), |(_, rest)| rest.to_owned())).collect()
    }

    fn one_of_each() {
        tracing::debug!("a");
        tracing::info!("b {}", 1);
        tracing::warn!("c");
        tracing::error!("d");
        critical(Lines("e\nHINT: f"));
        tracing::error!(target: "tokio_postgres", "other crates are not shown");
        tracing::error!(target: "rlondiste_other", "other crates are not shown");
    }

    #[test]
    fn levels_have_their_names_and_verbosity_its_bound() -> anyhow::Result<()> {
        let all = ["DEBUG a", "INFO b 1", "WARNING c", "ERROR d", "CRITICAL e", "HINT: f"];
        for (verbosity, skipped) in [(Verbosity::Verbose, 0), (Verbosity::Normal, 1), (Verbosity::Quiet, 2)] {
            let text = logged(&Common::default(), verbosity, one_of_each)?;
            assert_eq!(unstamped(&text), all[skipped..], "{verbosity:?}");
        }
        Ok(())
    }

    #[test]
    fn line_has_time_with_comma_and_pid() -> anyhow::Result<()> {
        let text = line(Level::Info, "text");
        let (time, rest) = text.split_at(23);
        jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S,%f", time)?;
        assert_eq!(rest, format!(" {} INFO text\n", std::process::id()));
        Ok(())
    }

    #[test]
    fn fields_follow_the_message() -> anyhow::Result<()> {
        let text = logged(&Common::default(), Verbosity::Normal, || tracing::info!(table = "t", rows = 3, "copied"))?;
        assert_eq!(unstamped(&text), ["INFO copied table=\"t\" rows=3"]);
        Ok(())
    }

    #[test]
    fn json_is_one_object_a_line() -> anyhow::Result<()> {
        let common = Common { log_format: LogFormat::Json, ..Common::default() };
        let text = logged(&common, Verbosity::Normal, || critical(Lines("e\nHINT: f")))?;
        let mut object: serde_json::Value = serde_json::from_str(&text)?;
        let time = object["time"].take();
        time.as_str().unwrap_or_default().parse::<jiff::Timestamp>()?;
        let pid = std::process::id();
        let expected = serde_json::json!({
            "time": null, "pid": pid, "level": "CRITICAL", "job": "job1", "message": "e\nHINT: f",
        });
        assert_eq!(object, expected);
        assert_eq!(text.lines().count(), 1);
        Ok(())
    }

    #[test]
    fn file_by_day_has_the_day_in_its_name_and_a_link() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        std::fs::write(&path, "old\n")?;
        let common =
            Common { logfile: Some(path.clone()), log_rotation: LogRotation::Daily, log_count: 3, ..Common::default() };
        let mut sinks = Sinks::open(&common)?;
        sinks.write(Level::Info, &Record { text: "new".to_owned(), critical: false });
        assert_eq!(unstamped(&std::fs::read_to_string(&path)?), ["INFO new"]);
        assert_eq!(std::fs::read_to_string(dir.path().join("x.log.1"))?, "old\n");
        let target = std::fs::read_link(&path)?.display().to_string();
        let day = target.rsplit_once("x.log.").map(|(_, day)| day.to_owned()).unwrap_or_default();
        day.parse::<jiff::civil::Date>()?;
        Ok(())
    }
}
