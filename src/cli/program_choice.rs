//! Chooses one of the two programs where the name of the executable does not: by the first word, else by the sections of
//! the ini file, else by the command.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::command;
use super::failure::{Failure, unknown_command};
use super::options::Options;
use super::process::section;
use super::program::Program;
use super::spec::Spec;
use crate::config::{File, keys};
use crate::error::Error;

/// The program that the first word names; removes that word. Where only the ini file follows the name of the ticker
/// program, adds the command `ticker`.
pub(super) fn by_first_word(words: &mut VecDeque<OsString>) -> Option<Program> {
    let program = match words.front().and_then(|word| word.to_str()) {
        Some("ticker" | "pgqadm") => Program::Pgqadm,
        Some("londiste") => Program::Londiste,
        _ => return None,
    };
    words.pop_front();
    if program == Program::Pgqadm && words.len() == 1 {
        words.push_back("ticker".into());
    }
    Some(program)
}

/// Whether the program is pgqd, the ticker that has no commands: its section is the only one that the program could read.
pub(super) fn is_pgqd(program: Option<Program>, file: &File) -> bool {
    let of_ticker = section(Program::Pgqadm, file) == keys::Program::Pgqd;
    match program {
        Some(Program::Pgqadm) => of_ticker,
        Some(Program::Londiste) => false,
        None => of_ticker && !file.has_section("londiste"),
    }
}

/// The program whose section the ini file has; where it has sections of both, the one that has the command.
pub(super) fn by_file(file: &File, command: Option<&OsStr>, options: &Options) -> Result<Program, Failure> {
    match (file.has_section("pgqadm") || file.has_section("pgqd"), file.has_section("londiste")) {
        (true, false) => Ok(Program::Pgqadm),
        (false, true) => Ok(Program::Londiste),
        (false, false) => Err(Failure::Error(no_section(file.path()))),
        (true, true) => by_command(file, command, options),
    }
}

fn by_command(file: &File, command: Option<&OsStr>, options: &Options) -> Result<Program, Failure> {
    if options.rewind || options.reset {
        return Ok(Program::Londiste);
    }
    let command = command.map(OsStr::to_string_lossy).unwrap_or_default();
    let has = |program| command::of(program).any(|spec: &Spec| spec.first_word() == command);
    match (has(Program::Pgqadm), has(Program::Londiste)) {
        (true, false) => Ok(Program::Pgqadm),
        (false, true) => Ok(Program::Londiste),
        (false, false) if !command.is_empty() => Err(unknown_command(
            &command,
            [Program::Pgqadm, Program::Londiste].into_iter().flat_map(command::of).map(Spec::first_word),
        )),
        _ => Err(Failure::Usage(format!(
            "{file} has sections [{ticker}] and [londiste]; say which one is meant: \"rlondiste ticker {file} ...\" or \
             \"rlondiste londiste {file} ...\"",
            file = file.path().display(),
            ticker = section(Program::Pgqadm, file).section()
        ))),
    }
}

fn no_section(path: &Path) -> Error {
    Error::Config {
        path: path.to_owned(),
        line: None,
        section: String::new(),
        key: String::new(),
        message: "Wrong config file, no section 'pgqadm' or 'londiste'; put the keys of the ticker below a line \
                  [pgqadm], those of replication below a line [londiste]"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn file(text: &str) -> anyhow::Result<File> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.ini");
        std::fs::write(&path, text)?;
        Ok(File::read(&path)?)
    }

    #[test]
    fn first_word_decides_and_is_taken_away() {
        for (line, program, rest) in [
            ("ticker x.ini", Some(Program::Pgqadm), "x.ini ticker"),
            ("ticker x.ini install", Some(Program::Pgqadm), "x.ini install"),
            ("pgqadm x.ini", Some(Program::Pgqadm), "x.ini ticker"),
            ("londiste x.ini", Some(Program::Londiste), "x.ini"),
            ("x.ini ticker", None, "x.ini ticker"),
        ] {
            let mut words = line.split(' ').map(OsString::from).collect();
            assert_eq!(by_first_word(&mut words), program, "{line}");
            assert_eq!(words, rest.split(' ').map(OsString::from).collect::<VecDeque<_>>(), "{line}");
        }
    }

    #[test]
    fn section_decides_and_with_both_the_command() -> anyhow::Result<()> {
        let none = Options::default();
        let both = file("[pgqadm]\ndb=\n[londiste]\n")?;
        for (file, command, program) in [
            (&file("[pgqadm]\ndb=\n")?, "replay", Some(Program::Pgqadm)),
            (&file("[londiste]\nx=1\n")?, "ticker", Some(Program::Londiste)),
            (&file("[other]\nx=1\n")?, "ticker", None),
            (&both, "ticker", Some(Program::Pgqadm)),
            (&both, "replay", Some(Program::Londiste)),
            (&both, "provider", Some(Program::Londiste)),
            (&both, "foo", None),
            (&both, "", None),
        ] {
            let found = by_file(file, Some(OsStr::new(command)).filter(|c| !c.is_empty()), &none);
            assert_eq!(found.ok(), program, "{command}");
        }
        Ok(())
    }
}
