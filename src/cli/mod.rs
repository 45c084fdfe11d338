//! The command line of both programs, and the only place that prints.
//!
//! Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 failed, 2 the command line
//! cannot be used, 128 + n cut short by signal n. `doctor` has a status of its own for what it finds.

mod caller;
mod command;
mod failure;
mod help;
mod londiste_commands;
mod manual;
mod options;
mod pgqadm_commands;
mod print;
mod printed;
mod process;
mod program;
mod program_choice;
mod signals;
mod spec;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use self::caller::Caller;
use self::failure::Failure;
use self::options::Options;
use self::print::{print, show, tell};
use self::process::{Config, Ending};
use crate::config::File;
use crate::doctor;
use crate::failpoint;
use crate::job;
use crate::up::IniFile;

/// Runs the program and returns its exit status. The first argument is the name that the program was called by.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    failpoint::read_environment();
    let args: Vec<OsString> = args.into_iter().collect();
    let caller = Caller::new(args.first().map_or(OsStr::new(""), OsString::as_os_str));
    let result = run(args, &caller);
    ExitCode::from(result.unwrap_or_else(|failure| {
        tell(&failure.text(&caller));
        failure.code()
    }))
}

fn run(args: Vec<OsString>, caller: &Caller) -> Result<u8, Failure> {
    let options = options::parse(args)?;
    let result = run_words(&options, caller);
    match result {
        Err(failure) if options.nagios && !options.json => {
            print(&doctor::nagios_failure(&failure.text(caller)))?;
            Ok(UNKNOWN)
        }
        Err(failure) if options.words.len() > 1 && options.words.last().is_some_and(|word| word == "health") => {
            print(&doctor::health_failure(&failure.text(caller)))?;
            Ok(UNKNOWN)
        }
        Err(failure) => {
            if !options.json && is_poll(&options.words) {
                print(UNKNOWN_TABLES)?;
            }
            Err(failure)
        }
        Ok(code) => Ok(code),
    }
}

/// The exit status of a Nagios plugin that could not find out.
const UNKNOWN: u8 = 3;

/// Printed by `subscriber tables` when the states are not known. Scripts of SkyTools count the lines whose second word
/// is not `ok`, and take none for "all tables are in sync": without output they would stop waiting.
const UNKNOWN_TABLES: &str = "\
Table                                           State
-                                             unknown
";

fn is_poll(words: &[OsString]) -> bool {
    words.windows(2).any(|pair| pair[0] == "subscriber" && pair[1] == "tables")
}

/// The ini file that `up` makes of two connection strings; it is written, unless with `--plan`. Its path becomes the first word.
fn ini_of_up(options: &Options, words: &mut VecDeque<OsString>) -> Result<Option<IniFile>, Failure> {
    let (Some(provider), Some(subscriber)) = (&options.provider, &options.subscriber) else { return Ok(None) };
    if words.front().is_none_or(|word| word != "up") {
        let usage = "up --provider DSN --subscriber DSN [--queue NAME]";
        return Err(Failure::Usage(format!("--provider and --subscriber stand in place of INI: {usage}")));
    }
    let made = IniFile::of(provider, subscriber, options.queue.as_deref())?;
    if !options.plan {
        made.write()?;
    }
    words.push_front(made.path().into());
    Ok(Some(made))
}

fn run_words(options: &Options, caller: &Caller) -> Result<u8, Failure> {
    if options.help {
        return print(&help::asked(caller, &options.words));
    }
    if options.version {
        return print(&help::version());
    }
    if let Some(sample) = options.ini {
        return print(sample.text());
    }
    if let Some(page) = options.man {
        return print(&manual::page(page));
    }
    if let Some(shell) = options.completions {
        return print(&manual::script(shell));
    }
    if options.words.first().is_some_and(|word| word == "help") {
        return print(&help::of_words(caller, &options.words[1..])?);
    }
    job::forbid_core_files();
    let mut words: VecDeque<OsString> = options.words.iter().cloned().collect();
    let program = caller.program.or_else(|| program_choice::by_first_word(&mut words));
    let made = ini_of_up(options, &mut words)?;
    let Some(path) = words.pop_front() else { return Err(Failure::Plain("need config file".to_owned())) };
    let signal = signals::requested(options);
    let file = made.map_or_else(|| File::read(Path::new(&path)), |made| made.content());
    if signal.is_none() && words.is_empty() && !options.rewind && !options.reset {
        if !file.as_ref().is_ok_and(|file| program_choice::is_pgqd(program, file)) {
            return Err(Failure::Plain("need command".to_owned()));
        }
        words.push_back("ticker".into());
    }
    let file = file?;
    let program = match program {
        Some(program) => program,
        None => program_choice::by_file(&file, words.front().map(OsString::as_os_str), options)?,
    };
    if let Some(signal) = signal {
        signals::send(program, &file, signal, options)?;
        return Ok(0);
    }
    let parsed = command::parse(program, &words, options)?;
    let config = Config::load(program, &file)?;
    let Ending { output, code } = process::run(&config, parsed, options, caller)?;
    show(&output, options)?;
    Ok(code)
}
