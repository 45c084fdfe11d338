//! Pages for `man`.

use clap::Arg;

use super::super::command;
use super::super::londiste_commands::{RESET, REWIND};
use super::super::options;
use super::super::printed::Page;
use super::super::program::Program;
use super::super::spec::Spec;
use super::details::details;
use super::roff::Roff;
use crate::config::keys::{Default, KEYS};

/// The page, as `man` reads it.
pub(in crate::cli) fn page(page: Page) -> String {
    match page {
        Page::Rlondiste => program("rlondiste", &[Program::Pgqadm, Program::Londiste]),
        Page::Londiste => program("londiste", &[Program::Londiste]),
        Page::Pgqadm => program("pgqadm", &[Program::Pgqadm]),
        Page::Ini => ini(),
    }
}

fn program(name: &str, programs: &[Program]) -> String {
    let about = match programs {
        [Program::Londiste] => "replicate PostgreSQL tables",
        [Program::Pgqadm] => "tick and administer PgQ queues of a PostgreSQL database",
        _ => "replicate PostgreSQL tables from a provider to subscribers through PgQ queues",
    };
    let mut roff = Roff::new(name, 1, about);
    roff.section("NAME");
    roff.text(&format!("{name} - {about}"));
    roff.section("SYNOPSIS");
    let mut usages = vec![format!("{name} [options] INI CMD [args]")];
    if programs.len() > 1 {
        usages.push(format!("{name} [options] ticker INI [CMD [args]]"));
        usages.push(format!("{name} [options] londiste INI CMD [args]"));
    }
    usages.push(format!("{name} help CMD"));
    roff.verbatim(usages.iter().map(String::as_str));
    roff.section("DESCRIPTION");
    for text in DESCRIPTION {
        roff.paragraph(text);
    }
    for program in programs {
        let (title, about) = match program {
            Program::Pgqadm => ("TICKER AND QUEUES", "For an INI with section [pgqadm], or [pgqd]."),
            Program::Londiste => ("REPLICATION", "For an INI with section [londiste]."),
        };
        roff.section(title);
        roff.text(about);
        for spec in command::of(*program) {
            describe(&mut roff, name, spec);
        }
        if *program == Program::Londiste {
            for spec in [&REWIND, &RESET] {
                describe(&mut roff, name, spec);
            }
        }
    }
    roff.section("OPTIONS");
    roff.text("Options may stand anywhere. Those that belong to some commands say which.");
    let is_shown = |option: &str| {
        let specs = programs.iter().flat_map(|program| command::of(*program));
        specs
            .chain([&REWIND, &RESET].into_iter().filter(|_| programs.contains(&Program::Londiste)))
            .any(|spec| spec.takes(option))
    };
    for arg in options::command(is_shown).get_arguments().filter(|arg| !arg.is_hide_set()) {
        roff.term(&written(arg), [help(arg).as_str()]);
    }
    roff.section("EXIT STATUS");
    for (status, meaning) in STATUS {
        roff.term(status, [meaning]);
    }
    roff.section("FILES");
    roff.text("The files that the INI names: pidfile (commands have its name with a suffix, such as .setup), logfile, and the files of repair. The Debian package reads /etc/rlondiste.");
    roff.section("ENVIRONMENT");
    roff.text("The variables of libpq (PGHOST, PGPASSFILE, PGSERVICEFILE, ...) count where a connection string says nothing. TERM=dumb: no progress bars. No output has colours, with NO_COLOR or without. NOTIFY_SOCKET, WATCHDOG_USEC: set by systemd.");
    roff.section("EXAMPLES");
    if programs.contains(&Program::Londiste) {
        roff.text("Replicate a database, and watch it:");
        roff.verbatim(EXAMPLE.iter().copied());
    } else {
        roff.text("A queue, and its ticker in the background:");
        roff.verbatim([
            "pgqadm --ini pgqadm > ticker.ini",
            "pgqadm ticker.ini install",
            "pgqadm ticker.ini create myqueue",
            "pgqadm ticker.ini ticker -d",
        ]);
    }
    roff.section("SEE ALSO");
    roff.text("rlondiste(1), londiste(1), pgqadm(1), rlondiste.ini(5)");
    roff.finish()
}

fn describe(roff: &mut Roff, name: &str, spec: &Spec) {
    roff.subsection(&spec.usage());
    roff.text(&sentence(spec.about));
    if let Some(details) = details(spec.words) {
        for text in details.text {
            roff.paragraph(text);
        }
        let examples: Vec<String> = details.examples.iter().map(|line| format!("{name} {line}")).collect();
        roff.verbatim(examples.iter().map(String::as_str));
    }
    if !spec.options.is_empty() {
        let options: Vec<String> = spec.options.iter().map(|option| format!("--{option}")).collect();
        roff.paragraph(&format!("Options: {}.", options.join(", ")));
    }
}

/// As a sentence: a capital at its beginning, a full stop at its end.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// An option as it is written.
fn written(arg: &Arg) -> String {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let takes_value = arg.get_action().takes_values();
    let values: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(clap::builder::Str::as_str).collect();
    match (takes_value, arg.is_require_equals_set()) {
        (false, _) => names.join(", "),
        (true, true) => format!("{}[={}]", names.join(", "), values.join(" ")),
        (true, false) => format!("{} {}", names.join(", "), values.join(" ")),
    }
}

fn help(arg: &Arg) -> String {
    sentence(&arg.get_help().map(ToString::to_string).unwrap_or_default())
}

const DESCRIPTION: [&str; 3] = [
    "Triggers on the provider write the changes of tables into a queue, a ticker cuts the queue into batches, and replay applies them to the subscriber, each batch once. No superuser, no C and no WAL slots are needed, and both servers may be any of PostgreSQL 10 to 18.",
    "INI is a file in the format of SkyTools 2.1, see rlondiste.ini(5); --ini prints a sample. Which commands there are depends on its section. The program called as londiste or pgqadm stands in for londiste.py or pgqadm.py of SkyTools 2.1.",
    "Names of tables and sequences may be written with a schema, which is public where it is missing, and as globs where commands take several.",
];

const STATUS: [(&str, &str); 5] = [
    ("0", "Done."),
    ("1", "Failed; the reason is on standard error and in the log. doctor: warnings."),
    ("2", "The command line or the INI is wrong. doctor, health: not good."),
    ("3", "doctor, health, compare, repair: something could not be found out or verified."),
    ("128 + N", "Ended by signal N."),
];

const EXAMPLE: [&str; 9] = [
    "rlondiste up --provider 'host=old dbname=shop' --subscriber 'host=new dbname=shop' --schema -d",
    "",
    "rlondiste --ini londiste > replica.ini   # or step by step: edit it, with ticker = auto or a ticker beside it",
    "rlondiste replica.ini provider install",
    "rlondiste replica.ini provider add --all",
    "rlondiste replica.ini subscriber install",
    "rlondiste replica.ini subscriber add --all   # the tables must be there",
    "rlondiste replica.ini replay -d",
    "rlondiste replica.ini subscriber status --watch",
];

fn ini() -> String {
    let about = "configuration of rlondiste";
    let mut roff = Roff::new("rlondiste.ini", 5, about);
    roff.section("NAME");
    roff.text(&format!("rlondiste.ini - {about}"));
    roff.section("DESCRIPTION");
    for text in INI {
        roff.paragraph(text);
    }
    roff.section("KEYS");
    for key in KEYS {
        let sections: Vec<String> = key.programs.iter().map(|program| format!("[{}]", program.section())).collect();
        let default = match key.default {
            Default::Is(text) => format!("default {text}"),
            Default::None(meaning) => format!("default: {meaning}"),
            Default::Required(example) => format!("must be set, such as {example}"),
        };
        let kind = key.kind.describe().replace('`', "");
        let facts = format!("In {}; {kind}; {default}.", sections.join(" "));
        roff.term(key.name, [key.meaning.replace('`', "").as_str(), &facts]);
    }
    roff.section("EXAMPLES");
    roff.text("Replication:");
    roff.verbatim(crate::config::LONDISTE_SAMPLE.lines());
    roff.text("The ticker:");
    roff.verbatim(crate::config::PGQADM_SAMPLE.lines());
    roff.section("SEE ALSO");
    roff.text("rlondiste(1), londiste(1), pgqadm(1)");
    roff.finish()
}

const INI: [&str; 4] = [
    "A file has one section for each program that reads it: [londiste] for replication, [pgqadm] for the ticker of one database, [pgqd] for the ticker of all databases of a server. Keys of section [DEFAULT] count in all of them.",
    "A line is KEY = VALUE; an indented line goes on with the value before; # and ; at the beginning of a line begin a comment. %(name)s stands for the value of another key, %% for a percent sign. ~ in a path stands for the home directory.",
    "A file whose name ends in .toml is read as TOML, with the same sections and keys.",
    "A running process reads its file again at rlondiste INI CMD -r, or at SIGHUP.",
];

#[cfg(test)]
mod tests {
    use super::super::roff::escape;
    use super::*;
    use crate::cli::manual::details::DETAILS;

    #[test]
    fn each_command_option_and_key_has_its_place() {
        let all = page(Page::Rlondiste);
        for program in [Program::Pgqadm, Program::Londiste] {
            for spec in command::of(program) {
                assert!(all.contains(&escape(&spec.about[1..])), "{}", spec.words);
                assert!(spec.options.iter().all(|option| all.contains(&escape(&format!("--{option}")))));
            }
        }
        let keys = page(Page::Ini);
        assert!(KEYS.iter().all(|key| keys.contains(&format!("\\fB{}\\fR", key.name))));
    }

    #[test]
    fn details_are_of_commands_that_there_are() {
        for details in &DETAILS {
            let mut specs = command::of(Program::Pgqadm).chain(command::of(Program::Londiste)).chain([&REWIND, &RESET]);
            assert!(specs.any(|spec| spec.words == details.words), "{}", details.words);
        }
    }
}
