//! From the words of the command line to a command, by the tables of both programs.

use std::collections::VecDeque;
use std::ffi::OsString;

use super::failure::{Failure, meant, unknown_command};
use super::options::Options;
use super::program::Program;
use super::spec::{Args, Command, Spec, Suffix};
use super::{londiste_commands, pgqadm_commands};
use crate::pgqadm;
use crate::switchover::Action;
use crate::up::Doing;

/// All commands of a program, in the order of its help.
pub(super) fn of(program: Program) -> impl Iterator<Item = &'static Spec> {
    match program {
        Program::Pgqadm => pgqadm_commands::SPECS.iter(),
        Program::Londiste => londiste_commands::SPECS.iter(),
    }
}

/// A command with its entry in the table.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) spec: &'static Spec,
    pub(super) command: Command,
    /// The spec's, or [`Suffix::None`] where this form of the command changes nothing.
    pub(super) pidfile: Suffix,
    /// Words that the command does not read.
    pub(super) ignored: Vec<String>,
}

/// Finds the command and reads its arguments and options.
pub(super) fn parse(program: Program, words: &VecDeque<OsString>, options: &Options) -> Result<Parsed, Failure> {
    let mut words: VecDeque<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let spec = if program == Program::Londiste && (options.rewind || options.reset) {
        words.clear();
        // As in SkyTools, rewind wins where both are given.
        if options.rewind { &londiste_commands::REWIND } else { &londiste_commands::RESET }
    } else {
        find(program, &mut words)?
    };
    if let Some(option) = options.given.iter().find(|option| !spec.takes(option)) {
        return Err(Failure::Usage(cannot_be_used(program, option, spec)));
    }
    let mut args = Args::new(spec, words);
    let command = (spec.build)(&mut args, options)?;
    // SkyTools ignores surplus words. A command that takes words refuses them, since it would do only a part of the
    // request.
    if !spec.args.is_empty() && !args.is_empty() {
        let words = args.rest().join(" ");
        return Err(args.wrong(&format!("{} has no use for \"{words}\"", spec.words)));
    }
    let pidfile = if only_shows(&command) { Suffix::None } else { spec.pidfile };
    Ok(Parsed { spec, command, pidfile, ignored: args.rest() })
}

/// Whether this form of a command changes nothing, although the command can.
fn only_shows(command: &Command) -> bool {
    match command {
        Command::Pgqadm(pgqadm::Command::Config { changes, .. }) => changes.is_empty(),
        Command::Pgqadm(pgqadm::Command::Failed { action, .. }) => action.is_none(),
        Command::Down(doing) => *doing == Doing::Planned,
        Command::Pgqadm(_)
        | Command::Londiste(_)
        | Command::Replay
        | Command::Up(_)
        | Command::Follow(..)
        | Command::Doctor(_) => false,
        Command::Switchover(command) => matches!(command.action, Action::Plan | Action::Status),
    }
}

fn find(program: Program, words: &mut VecDeque<String>) -> Result<&'static Spec, Failure> {
    let Some(first) = words.pop_front() else { return Err(Failure::Plain("need command".to_owned())) };
    let family: Vec<&Spec> = of(program).filter(|spec| spec.first_word() == first).collect();
    match family[..] {
        [] => return Err(unknown_command(&first, of(program).map(Spec::first_word))),
        [only] if only.words == first => return Ok(only),
        _ => {}
    }
    let Some(second) = words.pop_front() else { return Err(Failure::Logged("need subcommand".to_owned())) };
    let full = format!("{first} {second}");
    family.iter().copied().find(|spec| spec.words == full).ok_or_else(|| {
        let seconds = family.iter().filter_map(|spec| spec.words.split_once(' ')).map(|(_, word)| word);
        Failure::Logged(format!("bad subcommand: {second}{}", meant(&second, seconds)))
    })
}

fn cannot_be_used(program: Program, option: &str, spec: &Spec) -> String {
    let users: Vec<&str> = of(program).filter(|other| other.uses(option)).map(|other| other.words).collect();
    let advice = if users.is_empty() { String::new() } else { format!("; it is for {}", users.join(", ")) };
    format!("option --{option} cannot be used with \"{}\"{advice}", spec.words)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::cli::options;
    use crate::cli::spec::EVERYWHERE;
    use crate::londiste::{Command as L, CopyMode, Problems, Provider, Selection, Shown, Subscriber, Truncate};
    use crate::pgqadm::{Command as P, Consumers, FailedAction};

    fn parse_line(program: Program, line: &str) -> Result<Parsed, String> {
        let args = format!("prog {line}");
        let options = options::parse(args.split_whitespace().map(OsString::from)).map_err(|e| format!("{e:?}"))?;
        let words = options.words.iter().cloned().collect();
        parse(program, &words, &options).map_err(|failure| match failure {
            Failure::Usage(text) | Failure::Plain(text) | Failure::Logged(text) => text,
            Failure::Error(error) => error.to_string(),
        })
    }

    fn pgqadm(line: &str) -> Result<P, String> {
        match parse_line(Program::Pgqadm, line)?.command {
            Command::Pgqadm(command) => Ok(command),
            _ => Err("not a command of pgqadm".to_owned()),
        }
    }

    fn londiste(line: &str) -> Result<L, String> {
        match parse_line(Program::Londiste, line)?.command {
            Command::Londiste(command) => Ok(command),
            _ => Err("not a command of londiste".to_owned()),
        }
    }

    fn names(names: &[&str]) -> Selection {
        Selection { names: names.iter().map(|&name| name.to_owned()).collect(), all: false }
    }

    #[test]
    fn words_of_pgqadm_become_commands() {
        let (queue, consumer) = ("q".to_owned(), "c".to_owned());
        for (line, command) in [
            ("ticker", P::Ticker),
            ("create q", P::Create { queue: queue.clone() }),
            ("drop q --force", P::Drop { queue: queue.clone(), consumers: Consumers::Unregister }),
            ("register q c", P::Register { queue: queue.clone(), consumer: consumer.clone() }),
            ("config", P::Config { queue: None, changes: vec![] }),
            ("config q a=1 b=2", P::Config { queue: Some(queue.clone()), changes: vec!["a=1".into(), "b=2".into()] }),
            ("events q --limit=3", P::Events { queue: queue.clone(), consumer: None, limit: Some(3) }),
            ("failed q c --retry 7", P::Failed { queue, consumer, action: Some(FailedAction::Retry(7)) }),
        ] {
            assert_eq!(pgqadm(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn words_of_londiste_become_commands() {
        let all = Selection { names: vec![], all: true };
        let columns = Some(vec!["a".to_owned(), "b".to_owned()]);
        for (line, command) in [
            (
                "provider add --all",
                L::Provider(Provider::Add { tables: all.clone(), capture: None, key: None, truncate: Truncate::Event }),
            ),
            (
                "provider add t --key=a,b --no-truncate",
                L::Provider(Provider::Add {
                    tables: names(&["t"]),
                    capture: None,
                    key: columns,
                    truncate: Truncate::Nothing,
                }),
            ),
            (
                "subscriber add t u --expect-sync",
                L::Subscriber(Subscriber::Add {
                    tables: names(&["t", "u"]),
                    problems: Problems::LeaveOut,
                    mode: CopyMode::ExpectSync,
                }),
            ),
            (
                "subscriber add --all --expect-sync --skip-truncate --force",
                L::Subscriber(Subscriber::Add {
                    tables: all,
                    problems: Problems::Ignore,
                    mode: CopyMode::Contradiction,
                }),
            ),
            ("subscriber fkeys", L::Subscriber(Subscriber::Fkeys(vec![Shown::Pending, Shown::Active]))),
            ("subscriber triggers active", L::Subscriber(Subscriber::Triggers(vec![Shown::Active]))),
            (
                "subscriber wait-sync --timeout 9",
                L::Subscriber(Subscriber::WaitSync { tables: vec![], timeout: Some(9) }),
            ),
            ("provider tables --rewind", L::Rewind),
            ("--reset", L::Reset),
            ("replay --reset --rewind", L::Rewind),
        ] {
            assert_eq!(londiste(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_told() {
        for (program, line, text) in [
            (Program::Pgqadm, "", "need command"),
            (Program::Pgqadm, "foo", "Unknown command 'foo', use --help for help"),
            (Program::Londiste, "ticker", "Unknown command 'ticker', use --help for help"),
            (Program::Londiste, "provider", "need subcommand"),
            (Program::Londiste, "provider foo", "bad subcommand: foo"),
            (Program::Londiste, "subscriber foo", "bad subcommand: foo"),
            (Program::Pgqadm, "create", "create needs a queue name: create QNAME"),
            (Program::Pgqadm, "register q", "register needs a consumer name: register QNAME CONS"),
            (Program::Pgqadm, "create q1 q2", "create has no use for \"q2\": create QNAME"),
            (
                Program::Londiste,
                "subscriber fkeys old",
                "\"old\" is neither pending nor active: subscriber fkeys [pending|active]",
            ),
            (
                Program::Londiste,
                "compare --all",
                "option --all cannot be used with \"compare\"; it is for provider add, provider remove, provider refresh, \
                 provider add-seq, provider remove-seq, subscriber add, subscriber remove, subscriber add-seq, \
                 subscriber remove-seq, subscriber resync",
            ),
            (
                Program::Londiste,
                "provider install -d",
                "option --daemon cannot be used with \"provider install\"; it is for up, replay, copy",
            ),
            (Program::Pgqadm, "status --rewind", "option --rewind cannot be used with \"status\""),
        ] {
            let found = parse_line(program, line).map(|parsed| format!("{:?}", parsed.command));
            assert_eq!(found, Err(text.to_owned()), "{line}");
        }
    }

    #[test]
    fn words_too_many_are_ignored_where_the_command_takes_none() -> Result<(), String> {
        assert_eq!(parse_line(Program::Londiste, "replay bogus")?.ignored, ["bogus"]);
        assert_eq!(parse_line(Program::Londiste, "provider tables extra args")?.ignored, ["extra", "args"]);
        Ok(())
    }

    #[test]
    fn every_option_of_the_table_exists_and_has_a_command() {
        let given: Vec<&str> = of(Program::Pgqadm)
            .chain(of(Program::Londiste))
            .chain([&londiste_commands::REWIND, &londiste_commands::RESET])
            .flat_map(|spec| spec.options.iter().copied())
            .collect();
        let known = options::command(|_| true);
        let known: Vec<&str> = known.get_arguments().filter_map(clap::Arg::get_long).collect();
        for option in &given {
            assert!(known.contains(option), "{option} is not an option");
        }
        for option in known {
            let used = given.contains(&option) || EVERYWHERE.contains(&option) || option == "daemon";
            assert!(used, "no command takes {option}");
        }
    }
}
