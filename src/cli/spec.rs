//! What the table of commands says about one command, and the words that its line of the table reads.

use std::collections::VecDeque;

use super::failure::Failure;
use super::options::Options;
use crate::{londiste, pgqadm};

/// A command with all that the command line says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Pgqadm(pgqadm::Command),
    Londiste(londiste::Command),
}

/// A command as the table knows it.
#[derive(Debug)]
pub(super) struct Spec {
    /// One word or two: `provider add`.
    pub(super) words: &'static str,
    /// What follows, for people.
    pub(super) args: &'static str,
    /// What it does, for people.
    pub(super) about: &'static str,
    /// The options it takes beside those of all commands.
    pub(super) options: &'static [&'static str],
    pub(super) pidfile: Suffix,
    pub(super) kind: Kind,
    /// Makes the command of what follows its words.
    pub(super) build: fn(&mut Args, &Options) -> Result<Command, Failure>,
}

/// Which pidfile keeps two of a kind from running at once: the ini file's with something at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    /// The command only reads: it takes none, and as many as like may run.
    None,
    Text(&'static str),
}

/// How a command runs and tells of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Until it is stopped, also in the background. Errors are logged.
    Job,
    /// Once. An error is logged as that of a job.
    Step,
    /// Once. An error is told on standard error only.
    Setup,
}

/// Options that every command takes, or that need no command.
pub(super) const EVERYWHERE: [&str; 8] = ["help", "ini", "kill", "quiet", "reload", "stop", "verbose", "version"];

impl Spec {
    pub(super) fn first_word(&self) -> &'static str {
        self.words.split(' ').next().unwrap_or_default()
    }

    /// Whether it takes an option.
    pub(super) fn takes(&self, option: &str) -> bool {
        EVERYWHERE.contains(&option) || self.options.contains(&option) || option == "daemon" && self.kind == Kind::Job
    }

    fn usage(&self) -> String {
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

    /// The next word, which must be there.
    pub(super) fn one(&mut self, what: &str) -> Result<String, Failure> {
        self.words
            .pop_front()
            .ok_or_else(|| Failure::Usage(format!("{} needs {what}: {}", self.spec.words, self.spec.usage())))
    }

    /// The next word, if there is one.
    pub(super) fn maybe(&mut self) -> Option<String> {
        self.words.pop_front()
    }

    /// All that are left.
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
