//! The command line of both programs, and the only place that prints.
//!
//! Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 failed, 2 the command line
//! cannot be used, 128 + n cut short by signal n.

mod command;
mod help;
mod londiste_commands;
mod options;
mod pgqadm_commands;
mod process;
mod program;
mod signals;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use self::options::Options;
use self::process::{Config, Ending};
use self::program::Program;
use crate::config::File;
use crate::error::{Error, Report};
use crate::job::Output;
use crate::job::log::{Level, line};

/// Runs the program; the first argument is the name that it was called by.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
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
    if result.is_err() && !options.json && is_poll(&options.words) {
        print(UNKNOWN_TABLES)?;
    }
    result
}

/// What `subscriber tables` prints when it cannot tell the states. Shell loops count the lines whose second word is not
/// `ok` and take none for "all in sync", so that no output at all would be a false "done".
const UNKNOWN_TABLES: &str = "\
Table                                           State
-                                             unknown
";

fn is_poll(words: &[OsString]) -> bool {
    words.windows(2).any(|pair| pair[0] == "subscriber" && pair[1] == "tables")
}

fn run_words(options: &Options, caller: &Caller) -> Result<u8, Failure> {
    if options.help {
        return print(&help::help(&caller.name, caller.program));
    }
    if options.version {
        return print(&help::version());
    }
    if let Some(sample) = options.ini {
        return print(sample.text());
    }
    let mut words: VecDeque<OsString> = options.words.iter().cloned().collect();
    let program = caller.program.or_else(|| Program::of_first_word(&mut words));
    let Some(path) = words.pop_front() else { return Err(Failure::Plain("need config file".to_owned())) };
    let signal = signals::requested(options);
    if signal.is_none() && words.is_empty() && !options.rewind && !options.reset {
        return Err(Failure::Plain("need command".to_owned()));
    }
    let file = File::read(Path::new(&path))?;
    let program = match program {
        Some(program) => program,
        None => Program::of_file(&file, words.front().map(OsString::as_os_str), options)?,
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

/// Prints what a command has found.
fn show(output: &Output, options: &Options) -> Result<(), Failure> {
    match output.json().filter(|_| options.json) {
        Some(json) => print(&format!("{json:#}\n")),
        None => print(&output.to_string()),
    }
    .map(drop)
}

/// Prints what a command has found in place of what it found before: a terminal is cleared first.
fn show_again(output: &Output, options: &Options) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        print("\x1b[H\x1b[2J")?;
    }
    show(output, options)
}

/// Who we are for the user.
#[derive(Debug)]
struct Caller {
    /// The last part of the path that the program was called by, which messages begin with.
    name: String,
    /// The program that this name stands for.
    program: Option<Program>,
}

impl Caller {
    fn new(arg0: &OsStr) -> Caller {
        let name = Path::new(arg0).file_name().unwrap_or(OsStr::new(env!("CARGO_PKG_NAME")));
        let name = name.to_string_lossy().into_owned();
        Caller { program: Program::of_name(&name), name }
    }
}

/// Why a command was not run or not finished, by the way it is told.
#[derive(Debug)]
enum Failure {
    /// A bare line, as the original prints it.
    Plain(String),
    /// A line in the format of the log, as the original prints it.
    Logged(String),
    /// The command line cannot be used: told with how to use it.
    Usage(String),
    /// Anything else.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Plain(_) | Failure::Logged(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Error(error) => error.exit_code(),
        }
    }

    /// The text for standard error, with its newline.
    fn text(&self, caller: &Caller) -> String {
        let name = &caller.name;
        match self {
            Failure::Plain(text) => format!("{text}\n"),
            Failure::Logged(text) => line(Level::Error, text),
            Failure::Usage(text) => format!("{}\n{name}: error: {text}\n", help::usage(name, caller.program)),
            Failure::Error(error @ Error::PidfileBusy { .. }) => format!("{}\n", Report(error)),
            Failure::Error(error) => format!("{name}: {}\n", Report(error)),
        }
    }
}

fn unknown_command(word: &str) -> Failure {
    Failure::Plain(format!("Unknown command '{word}', use --help for help"))
}

/// Prints data. A reader that has gone away, as in `... | head -1`, has read enough.
fn print(text: &str) -> Result<u8, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::System { action: "write to standard output", source }.into())
        }
        _ => Ok(0),
    }
}

/// Prints anything else. Nothing is left to complain to when this fails.
fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
