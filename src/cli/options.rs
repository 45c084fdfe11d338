//! The options, as typed. They may stand anywhere; the rest of the command line is words.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};

use super::failure::Failure;
use super::printed::{Page, Sample, Shell};
use crate::config::Capture;
use crate::switchover::Verify;

/// The long options of SkyTools. Their prefixes win over those of new options, so that a script that says `--k` for
/// `--kill` goes on working.
const ORIGINAL: [&str; 14] = [
    "all",
    "daemon",
    "expect-sync",
    "force",
    "help",
    "kill",
    "quiet",
    "reload",
    "reset",
    "rewind",
    "skip-truncate",
    "stop",
    "verbose",
    "version",
];

/// All options of both programs; which command takes which is decided later.
#[derive(Debug, Default, Parser)]
#[command(
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    next_help_heading = "Options"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Options {
    /// show this help and exit
    #[arg(short, long)]
    pub(super) help: bool,
    /// log only warnings and errors
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// log everything
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// go to the background (ticker, replay, copy)
    #[arg(short, long)]
    pub(super) daemon: bool,
    /// print the version and exit
    #[arg(short = 'V', long)]
    pub(super) version: bool,
    /// print a sample ini file, of the ticker or of replication, and exit
    #[arg(long, value_name = "pgqadm|londiste", hide_possible_values = true)]
    pub(super) ini: Option<Sample>,
    /// print a page of the manual, as man reads it, and exit
    #[arg(long, value_name = "PAGE", num_args = 0..=1, default_missing_value = "rlondiste")]
    pub(super) man: Option<Page>,
    /// print the completions of a shell, and exit
    #[arg(long, value_name = "bash|zsh|fish", hide_possible_values = true)]
    pub(super) completions: Option<Shell>,

    /// read the ini file again, reopen the log (send SIGHUP)
    #[arg(short, long, overrides_with_all = ["stop", "kill"], help_heading = "Control of a running process")]
    pub(super) reload: bool,
    /// finish the work at hand and end (send SIGINT)
    #[arg(short, long, overrides_with_all = ["reload", "kill"], help_heading = "Control of a running process")]
    pub(super) stop: bool,
    /// cancel the work at hand and end (send SIGTERM)
    #[arg(short, long, overrides_with_all = ["reload", "stop"], help_heading = "Control of a running process")]
    pub(super) kill: bool,

    /// all tables or sequences there are
    #[arg(long, help_heading = "Options of commands")]
    pub(super) all: bool,
    /// subscriber add: in spite of differences; compare, repair: in spite of lag; drop: with its consumers
    #[arg(long, help_heading = "Options of commands")]
    pub(super) force: bool,
    /// subscriber add: both sides are equal already, do not copy
    #[arg(long, help_heading = "Options of commands")]
    pub(super) expect_sync: bool,
    /// subscriber add: copy on top of what is there
    #[arg(long, help_heading = "Options of commands")]
    pub(super) skip_truncate: bool,
    /// move the consumer on the provider to where the subscriber stands; wins over the command
    #[arg(long, help_heading = "Options of commands")]
    pub(super) rewind: bool,
    /// forget where the subscriber stands; wins over the command
    #[arg(long, help_heading = "Options of commands")]
    pub(super) reset: bool,
    /// provider add, refresh: auto, statement or row triggers, whatever the ini file says
    #[arg(long, value_name = "auto|statement|row", value_parser = capture, help_heading = "Options of commands")]
    pub(super) capture: Option<Capture>,
    /// provider add: the columns that tell rows apart, where there is no primary key
    #[arg(long, value_name = "COL,...", help_heading = "Options of commands")]
    pub(super) key: Option<String>,
    /// provider add: TRUNCATE makes no event, for subscribers that are the original's
    #[arg(long, help_heading = "Options of commands")]
    pub(super) no_truncate: bool,
    /// compare: compare every row, list the ranges of keys that differ
    #[arg(long, help_heading = "Options of commands")]
    pub(super) checksum: bool,
    /// compare, repair: every row without a lock, while writers and replay go on
    #[arg(long, conflicts_with = "checksum", help_heading = "Options of commands")]
    pub(super) online: bool,
    /// compare, repair --online: how many ranges of keys are hashed at a time
    #[arg(long, value_name = "N", requires = "online", help_heading = "Options of commands")]
    pub(super) jobs: Option<u32>,
    /// compare --checksum, --online: values are equal when their text is
    #[arg(long, help_heading = "Options of commands")]
    pub(super) exact: bool,
    /// repair: execute the statements on the subscriber
    #[arg(long, help_heading = "Options of commands")]
    pub(super) apply: bool,
    /// repair: change nothing and write no file, print the statements
    #[arg(long, conflicts_with_all = ["apply", "output_dir"], help_heading = "Options of commands")]
    pub(super) dry_run: bool,
    /// repair: where the files of statements go, in place of the current directory
    #[arg(long, value_name = "DIR", help_heading = "Options of commands")]
    pub(super) output_dir: Option<PathBuf>,
    /// wait-sync: give up after so many seconds; switchover: writers are kept out no longer (30)
    #[arg(long, value_name = "SECONDS", help_heading = "Options of commands")]
    pub(super) timeout: Option<u32>,
    /// switchover, switchback: do and undo what keeps nobody out, tell how long the real one would take
    #[arg(long, conflicts_with = "plan", help_heading = "Options of commands")]
    pub(super) rehearse: bool,
    /// switchover: how many seconds the new side may be behind at the beginning (10)
    #[arg(long, value_name = "SECONDS", help_heading = "Options of commands")]
    pub(super) max_lag: Option<u32>,
    /// switchover: what is compared while nobody can write: nothing, numbers of rows, every row
    #[arg(long, value_name = "none|quick|full", value_parser = verify, help_heading = "Options of commands")]
    pub(super) verify: Option<Verify>,
    /// switchover: so many values of each sequence are left out on the new side (0)
    #[arg(long, value_name = "N", help_heading = "Options of commands")]
    pub(super) seq_gap: Option<u32>,
    /// switchover: which tables are closed: those of the queue, or all (default)
    #[arg(long, value_name = "set|all", value_parser = ["set", "all"], help_heading = "Options of commands")]
    pub(super) fence: Option<String>,
    /// switchover: a command to run before writers are kept out
    #[arg(long, value_name = "CMD", help_heading = "Options of commands")]
    pub(super) before_fence: Option<String>,
    /// switchover: a command to run when the new side is open
    #[arg(long, value_name = "CMD", help_heading = "Options of commands")]
    pub(super) on_open: Option<String>,
    /// switchover: a command to run when the switchover was undone
    #[arg(long, value_name = "CMD", help_heading = "Options of commands")]
    pub(super) on_undo: Option<String>,
    /// status: with the events of each table since its copy
    #[arg(long, help_heading = "Options of commands")]
    pub(super) tables: bool,
    /// status: show it again every so many seconds, 2 when no number is given
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2",
          value_parser = clap::value_parser!(u32).range(1..), help_heading = "Options of commands")]
    pub(super) watch: Option<u32>,
    /// events: pending for this consumer
    #[arg(long, value_name = "CONS", help_heading = "Options of commands")]
    pub(super) consumer: Option<String>,
    /// events: at most so many
    #[arg(long, value_name = "N", help_heading = "Options of commands")]
    pub(super) limit: Option<u32>,
    /// failed: put this event back into the queue
    #[arg(long, value_name = "EVENT", help_heading = "Options of commands")]
    pub(super) retry: Option<i64>,
    /// failed: forget this event
    #[arg(long, value_name = "EVENT", help_heading = "Options of commands")]
    pub(super) delete: Option<i64>,
    /// up, down, switchover, switchback: tell what would be done or is in the way, and change nothing
    #[arg(long, help_heading = "Options of commands")]
    pub(super) plan: bool,
    /// up: bring the schema of the provider's database to the subscriber's, which is empty
    #[arg(long, help_heading = "Options of commands")]
    pub(super) schema: bool,
    /// up --schema: everything belongs to the subscriber's user, without grants
    #[arg(long, requires = "schema", help_heading = "Options of commands")]
    pub(super) no_owner: bool,
    /// up: without these tables and sequences; may be given several times
    #[arg(long, value_name = "GLOB", action = clap::ArgAction::Append, help_heading = "Options of commands")]
    pub(super) exclude: Vec<String>,
    /// up without INI: the database that is replicated; subscriber follow: the new provider
    #[arg(long, value_name = "DSN", help_heading = "Options of commands")]
    pub(super) provider: Option<String>,
    /// up without INI: the database that it is replicated to
    #[arg(long, value_name = "DSN", requires = "provider", help_heading = "Options of commands")]
    pub(super) subscriber: Option<String>,
    /// up without INI: the name of the queue, the job and their files
    #[arg(long, value_name = "NAME", requires = "provider", help_heading = "Options of commands")]
    pub(super) queue: Option<String>,
    /// subscriber tables: and how far their copies are
    #[arg(long, help_heading = "Options of commands")]
    pub(super) progress: bool,
    /// print the facts as one JSON document
    #[arg(long, help_heading = "Options of commands")]
    pub(super) json: bool,
    /// doctor: print one line and exit as a plugin of Nagios
    #[arg(long, help_heading = "Options of commands")]
    pub(super) nagios: bool,

    /// Ini file, command, and what belongs to it.
    #[arg(hide = true)]
    pub(super) words: Vec<OsString>,

    /// Names of the options that were given.
    #[arg(skip)]
    pub(super) given: BTreeSet<String>,
}

fn capture(text: &str) -> Result<Capture, String> {
    match text {
        "auto" => Ok(Capture::Auto),
        "statement" => Ok(Capture::Statement),
        "row" => Ok(Capture::Row),
        _ => Err("it is auto, statement or row".to_owned()),
    }
}

fn verify(text: &str) -> Result<Verify, String> {
    match text {
        "none" => Ok(Verify::None),
        "quick" => Ok(Verify::Quick),
        "full" => Ok(Verify::Full),
        _ => Err("it is none, quick or full".to_owned()),
    }
}

/// Reads the command line; the first argument is the name of the program.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Options, Failure> {
    let command = Options::command();
    let names: BTreeSet<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let args = complete(args, &names)?;
    let matches = command.clone().try_get_matches_from(args).map_err(|error| Failure::Usage(text_of(&error)))?;
    let mut options = Options::from_arg_matches(&matches).map_err(|error| Failure::Usage(text_of(&error)))?;
    let is_given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    options.given =
        command.get_arguments().filter(is_given).filter_map(clap::Arg::get_long).map(str::to_owned).collect();
    Ok(options)
}

/// Completes long options that were given by a prefix, up to `--`.
fn complete(args: impl IntoIterator<Item = OsString>, names: &BTreeSet<&str>) -> Result<Vec<OsString>, Failure> {
    let mut options_end = false;
    let complete = |arg: OsString| {
        options_end |= arg == "--";
        match arg.to_str().and_then(|text| text.strip_prefix("--")) {
            Some(text) if !options_end => complete_one(text, names),
            _ => Ok(arg),
        }
    };
    args.into_iter().map(complete).collect()
}

fn complete_one(text: &str, names: &BTreeSet<&str>) -> Result<OsString, Failure> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let fits = |candidate: &&str| candidate.starts_with(name);
    let original: Vec<&str> = ORIGINAL.into_iter().filter(fits).collect();
    let any: Vec<&str> = names.iter().copied().filter(fits).collect();
    let full = match (names.contains(name), &original[..], &any[..]) {
        (true, ..) | (_, _, []) => name,
        (_, [only], _) | (_, [], [only]) => only,
        (_, original, any) => {
            // As SkyTools says it, where it is ambiguous there.
            let several = if original.len() > 1 { original } else { any };
            let several: Vec<String> = several.iter().map(|name| format!("--{name}")).collect();
            return Err(Failure::Usage(format!("ambiguous option: --{name} ({}?)", several.join(", "))));
        }
    };
    let value = value.map(|value| format!("={value}")).unwrap_or_default();
    Ok(format!("--{full}{value}").into())
}

/// The text of clap's error, in the words of Python's optparse, as in SkyTools, where optparse has such an error.
fn text_of(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // clap shows an option with the name of its value: `--limit <N>`.
    let option = context(ContextKind::InvalidArg).split(' ').next().unwrap_or_default();
    let value = context(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => format!("no such option: {option}"),
        ErrorKind::TooManyValues => format!("{option} option does not take a value"),
        ErrorKind::InvalidValue if value.is_empty() => format!("{option} option requires an argument"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("option {option}: invalid value: '{value}'{why}")
        }
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    }
}

/// clap's command for the help, with the options for which `is_shown` is true.
pub(super) fn command(is_shown: impl Fn(&str) -> bool) -> clap::Command {
    Options::command().mut_args(|arg| {
        let shown = arg.get_long().is_some_and(&is_shown);
        arg.hide(!shown)
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn parse_line(line: &str) -> Result<Options, String> {
        parse(line.split(' ').map(OsString::from)).map_err(|failure| match failure {
            Failure::Usage(text) => text,
            other => format!("{other:?}"),
        })
    }

    fn words(line: &str) -> Vec<String> {
        parse_line(line).map_or_else(|e| vec![e], |o| o.words.iter().map(|w| w.display().to_string()).collect())
    }

    #[test]
    fn options_stand_anywhere() -> Result<(), String> {
        for line in ["p -d x.ini replay", "p x.ini -d replay", "p x.ini replay -d", "p x.ini replay --daemon"] {
            assert!(parse_line(line)?.daemon, "{line}");
            assert_eq!(words(line), ["x.ini", "replay"], "{line}");
        }
        Ok(())
    }

    #[test]
    fn short_options_combine_and_repeat() -> Result<(), String> {
        let options = parse_line("p -dv x.ini -vq")?;
        assert!(options.daemon && options.verbose && options.quiet);
        assert_eq!(options.given, ["daemon", "quiet", "verbose"].map(str::to_owned).into());
        Ok(())
    }

    #[test]
    fn two_dashes_end_the_options() {
        assert_eq!(words("p -- x.ini provider tables"), ["x.ini", "provider", "tables"]);
        assert_eq!(words("p x.ini -- provider tables --all"), ["x.ini", "provider", "tables", "--all"]);
    }

    #[test]
    fn prefixes_of_the_original_options_keep_their_meaning() -> Result<(), String> {
        assert!(parse_line("p --verbos x.ini")?.verbose);
        assert!(parse_line("p --ski x.ini")?.skip_truncate);
        assert!(parse_line("p --k x.ini")?.kill);
        assert!(parse_line("p --d x.ini")?.daemon);
        assert_eq!(parse_line("p --tim=5 x.ini")?.timeout, Some(5));
        Ok(())
    }

    #[test]
    fn last_signal_wins() -> Result<(), String> {
        let options = parse_line("p -s -k -r x.ini")?;
        assert_eq!((options.stop, options.kill, options.reload), (false, false, true));
        let options = parse_line("p -rks x.ini")?;
        assert_eq!((options.stop, options.kill, options.reload), (true, false, false));
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_is_told_in_the_original_words() {
        for (line, text) in [
            ("p --bogus", "no such option: --bogus"),
            ("p -x", "no such option: -x"),
            ("p --s", "ambiguous option: --s (--skip-truncate, --stop?)"),
            ("p --all=1", "--all option does not take a value"),
            ("p --limit", "--limit option requires an argument"),
            ("p --limit x", "option --limit: invalid value: 'x': invalid digit found in string"),
            ("p --capture x", "option --capture: invalid value: 'x': it is auto, statement or row"),
            ("p --ini x", "option --ini: invalid value: 'x'"),
        ] {
            assert_eq!(parse_line(line).map(|_| ()), Err(text.to_owned()), "{line}");
        }
    }
}
