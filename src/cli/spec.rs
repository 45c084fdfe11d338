//! One entry of the table of commands, and the words that the entry reads from the command line.

use std::collections::VecDeque;

use super::failure::Failure;
use super::options::Options;
use crate::{doctor, londiste, pgqadm, switchover, up};

/// A command with its arguments and options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Pgqadm(pgqadm::Command),
    Londiste(londiste::Command),
    /// Apply changes until stopped, perhaps with a ticker.
    Replay,
    Up(up::Up),
    Down(up::Doing),
    /// `subscriber follow`: the provider's connection string, and the limit for replay.
    Follow(String, std::time::Duration),
    /// `switchover`, `switchback`
    Switchover(switchover::Command),
    /// Of both programs.
    Doctor(doctor::View),
}

/// An entry of the table of commands.
#[derive(Debug)]
pub(super) struct Spec {
    /// One word or two: `provider add`.
    pub(super) words: &'static str,
    /// The arguments, as shown in the help.
    pub(super) args: &'static str,
    /// The description in the help.
    pub(super) about: &'static str,
    /// The options that the command takes beside those of all commands.
    pub(super) options: &'static [&'static str],
    pub(super) pidfile: Suffix,
    pub(super) kind: Kind,
    /// Makes the command from the words that follow its own, and the options.
    pub(super) build: fn(&mut Args, &Options) -> Result<Command, Failure>,
}

/// The pidfile that keeps two commands of a kind from running at the same time: the ini file's with a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    /// No pidfile: any number of these commands may run.
    None,
    /// The suffix of the pidfile's name; may be empty.
    Text(&'static str),
}

/// How a command runs and reports errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Runs until it is stopped, also in the background. Errors are logged.
    Job,
    /// Runs once. An error is logged as "Job ... crashed".
    Step,
    /// Runs once. An error is printed on standard error only.
    Setup,
}

/// Options that every command takes, or that need no command.
pub(super) const EVERYWHERE: [&str; 10] =
    ["completions", "help", "ini", "kill", "man", "quiet", "reload", "stop", "verbose", "version"];

/// `doctor`, which both programs have.
pub(super) const DOCTOR: Spec = Spec {
    words: "doctor",
    args: "",
    about: "examine databases, queues and this machine; change nothing",
    options: &["json", "nagios"],
    pidfile: Suffix::None,
    kind: Kind::Setup,
    build: |args, options| match (options.nagios, options.json) {
        (true, true) => Err(args.wrong("--nagios and --json cannot be used together")),
        (true, false) => Ok(Command::Doctor(doctor::View::Nagios)),
        (false, _) => Ok(Command::Doctor(doctor::View::Text { verbose: options.verbose })),
    },
};

/// `health`, which both programs have.
pub(super) const HEALTH: Spec = Spec {
    words: "health",
    args: "",
    about: "tell on one line whether the daemon works; exit 0, 2 or 3",
    options: &[],
    pidfile: Suffix::None,
    kind: Kind::Setup,
    build: |_, _| Ok(Command::Doctor(doctor::View::Health)),
};

impl Spec {
    pub(super) fn first_word(&self) -> &'static str {
        self.words.split(' ').next().unwrap_or_default()
    }

    /// Whether the command takes an option.
    pub(super) fn takes(&self, option: &str) -> bool {
        self.uses(option) || option == "all" && self.lists()
    }

    /// Whether the option changes what the command does.
    pub(super) fn uses(&self, option: &str) -> bool {
        EVERYWHERE.contains(&option) || self.options.contains(&option) || option == "daemon" && self.kind == Kind::Job
    }

    /// Whether the command lists what `provider` or `subscriber` has: always everything, so that `--all` says nothing new.
    /// Scripts of SkyTools, where every command takes every option, write it.
    fn lists(&self) -> bool {
        self.pidfile == Suffix::None && self.words.contains(' ')
    }

    /// How the command is written, without its options.
    pub(super) fn usage(&self) -> String {
        format!("{} {}", self.words, self.args).trim_end().to_owned()
    }
}

/// The words that follow a command's own.
pub(super) struct Args {
    spec: &'static Spec,
    words: VecDeque<String>,
}

impl Args {
    pub(super) fn new(spec: &'static Spec, words: VecDeque<String>) -> Args {
        Args { spec, words }
    }

    /// The first word of the command.
    pub(super) fn first_word(&self) -> &'static str {
        self.spec.first_word()
    }

    /// The next word. A missing one is a usage error; `what` names it.
    pub(super) fn one(&mut self, what: &str) -> Result<String, Failure> {
        self.words
            .pop_front()
            .ok_or_else(|| Failure::Usage(format!("{} needs {what}: {}", self.spec.words, self.spec.usage())))
    }

    /// The next word; `None` when no word is left.
    pub(super) fn maybe(&mut self) -> Option<String> {
        self.words.pop_front()
    }

    /// All words that are left.
    pub(super) fn rest(&mut self) -> Vec<String> {
        self.words.drain(..).collect()
    }

    /// Whether no word is left.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// A usage error that shows how the command is written.
    pub(super) fn wrong(&self, what: &str) -> Failure {
        Failure::Usage(format!("{what}: {}", self.spec.usage()))
    }
}
