//! The texts of `--help` and `--version`.

use super::caller::Caller;
use super::command;
use super::londiste_commands::{RESET, REWIND};
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

fn command_line(spec: &Spec) -> String {
    let words = format!("{} {}", spec.words, spec.args);
    format!("  {words:COLUMN$}{}\n", spec.about)
}

/// The version, and that of SkyTools which it is compatible with.
pub(super) fn version() -> String {
    format!("rlondiste {} (Skytools 2.1 compatible)\n", env!("CARGO_PKG_VERSION"))
}
