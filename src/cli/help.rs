//! The texts of `--help` and `--version`.

use std::ffi::OsString;

use super::caller::Caller;
use super::command;
use super::failure::{Failure, unknown_command};
use super::londiste_commands::{RESET, REWIND};
use super::manual;
use super::options;
use super::program::Program;
use super::spec::Spec;

/// Characters of the column with the commands.
const COLUMN: usize = 45;

/// The help of both programs, or of the one whose name was called.
pub(super) fn help(caller: &Caller) -> String {
    let programs = caller.program.map_or(vec![Program::Pgqadm, Program::Londiste], |program| vec![program]);
    let mut text = caller.usage();
    for program in &programs {
        text.push_str(match program {
            Program::Pgqadm => "\nticker and queues, for an INI with section [pgqadm]:\n",
            Program::Londiste => "\nreplication, for an INI with section [londiste]:\n",
        });
        let mut previous = None;
        for spec in command::of(*program) {
            // A blank line between the families of commands.
            let family = spec.words.contains(' ').then(|| spec.first_word());
            if previous.replace(family).is_some_and(|previous| previous != family) {
                text.push('\n');
            }
            text.push_str(&command_line(spec));
        }
    }
    let is_shown = |option: &str| {
        let specs = programs.iter().flat_map(|program| command::of(*program));
        let extra = [&REWIND, &RESET].into_iter().filter(|_| programs.contains(&Program::Londiste));
        specs.chain(extra).any(|spec| spec.takes(option))
    };
    let mut options = options::command(is_shown).help_template("{all-args}");
    format!("{text}\n{}\n", options.render_help().to_string().trim_end())
}

/// The help for a command line with `--help`: that of the command in it, which may stand behind a program and an ini file, else the short
/// help of all. By the name of one of the originals always the latter, as there.
pub(super) fn asked(caller: &Caller, words: &[OsString]) -> String {
    if caller.program.is_some() {
        return help(caller);
    }
    let found = (0..words.len().min(3)).find_map(|first| {
        let rest = words.get(first..)?;
        (1..=rest.len()).rev().find_map(|number| of_words(caller, rest.get(..number)?).ok())
    });
    found.unwrap_or_else(|| help(caller))
}

/// The help of one command, in full, or of all that begin with the given words; the short help of all without words.
pub(super) fn of_words(caller: &Caller, words: &[OsString]) -> Result<String, Failure> {
    if words.is_empty() {
        return Ok(help(caller));
    }
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words = words.join(" ");
    let programs = caller.program.map_or(vec![Program::Pgqadm, Program::Londiste], |program| vec![program]);
    let all = || programs.iter().flat_map(|program| command::of(*program)).chain([&REWIND, &RESET]);
    let is_of_words =
        |spec: &&Spec| spec.words == words || spec.words.strip_prefix(&words).is_some_and(|rest| rest.starts_with(' '));
    let mut specs: Vec<&Spec> = all().filter(is_of_words).collect();
    specs.dedup_by_key(|spec| spec.words);
    if specs.is_empty() {
        return Err(unknown_command(&words, all().flat_map(|spec| [spec.words, spec.first_word()])));
    }
    Ok(specs.iter().map(|spec| manual::long_help(&caller.name, spec)).collect::<Vec<_>>().join("\n"))
}

fn command_line(spec: &Spec) -> String {
    let words = format!("{} {}", spec.words, spec.args);
    format!("  {words:COLUMN$}{}\n", spec.about)
}

/// The version, and that of SkyTools which it is compatible with.
pub(super) fn version() -> String {
    format!("rlondiste {} (Skytools 2.1 compatible)\n", env!("CARGO_PKG_VERSION"))
}
