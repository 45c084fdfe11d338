//! Runs a command, in the order that forking and signals require: background, pidfile, log, runtime, command.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::caller::Caller;
use super::command::Parsed;
use super::failure::Failure;
use super::options::Options;
use super::print::{show_again, tell};
use super::program::Program;
use super::spec::{Command, Kind, Suffix};
use crate::config::{self, Common, File, keys};
use crate::error::{Error, Report, Result};
use crate::http::Listener;
use crate::job::control::{Interrupt, Signals};
use crate::job::daemon::{Launch, Side, Voice, daemonize};
use crate::job::log::{Level, Log, Verbosity, line};
use crate::job::pidfile::{Pidfile, with_suffix};
use crate::job::{Control, Output, critical, service};
use crate::up::{Doing, Up};
use crate::{doctor, londiste, pgqadm, switchover, up};

/// How long the command, and then its sessions, may take to end after an abort.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) output: Output,
    pub(super) code: u8,
}

impl Ending {
    fn with_code(code: u8) -> Ending {
        Ending { output: Output::none(), code }
    }
}

/// The section of the ini file that the chosen program reads.
pub(super) enum Config {
    Pgqadm(config::Pgqadm),
    Pgqd(config::Pgqd),
    Londiste(config::Londiste),
}

impl Config {
    pub(super) fn load(program: Program, file: &File) -> Result<Config> {
        match section(program, file) {
            keys::Program::Pgqd => config::Pgqd::load(file).map(Config::Pgqd),
            keys::Program::Pgqadm => config::Pgqadm::load(file).map(Config::Pgqadm),
            keys::Program::Londiste => config::Londiste::load(file).map(Config::Londiste),
        }
    }

    pub(super) fn common(&self) -> &Common {
        match self {
            Config::Pgqadm(config) => &config.common,
            Config::Pgqd(config) => &config.common,
            Config::Londiste(config) => &config.common,
        }
    }

    fn warnings(&self) -> &[String] {
        match self {
            Config::Pgqadm(config) => &config.warnings,
            Config::Pgqd(config) => &config.warnings,
            Config::Londiste(config) => &config.warnings,
        }
    }
}

/// Which of the file's sections a program reads: for the ticker `[pgqd]` where there is no `[pgqadm]`.
pub(super) fn section(program: Program, file: &File) -> keys::Program {
    match program {
        Program::Pgqadm if file.has_section("pgqd") && !file.has_section("pgqadm") => keys::Program::Pgqd,
        Program::Pgqadm => keys::Program::Pgqadm,
        Program::Londiste => keys::Program::Londiste,
    }
}

/// Runs a command, in the background with `-d`. Returns in both processes of a fork: in the parent when the child has
/// started or failed, in the child when the command has ended.
pub(super) fn run(config: &Config, parsed: Parsed, options: &Options, caller: &Caller) -> Result<Ending, Failure> {
    if !options.daemon {
        return Process::start(config, &parsed, options)?.finish(config, parsed, options, caller, &Launch::default());
    }
    if config.common().pidfile.is_none() {
        return Err(Failure::Logged("Daemon needs pidfile".to_owned()));
    }
    let voice = if matches!(parsed.command, Command::Up(_)) { Voice::Aloud } else { Voice::Silent };
    if voice == Voice::Silent {
        // The child has no terminal, so the warnings are printed before the fork; the child logs them too.
        config.warnings().iter().for_each(|warning| tell(&line(Level::Warning, warning)));
    }
    match daemonize(voice)? {
        Side::Parent(verdict) => {
            tell(&verdict.text);
            Ok(Ending::with_code(verdict.code))
        }
        Side::Child(start) => {
            let launch = Launch::of(start);
            let ended = Process::start(config, &parsed, options).map_err(Failure::Error).and_then(|process| {
                if voice == Voice::Silent {
                    launch.succeeded(0);
                }
                process.finish(config, parsed, options, caller, &launch)
            });
            // A command that has reported its start itself, or had nothing to report after it, has done so.
            match &ended {
                Ok(ending) => launch.failed(ending.code, String::new()),
                Err(failure) => launch.failed(failure.code(), failure.text(caller)),
            }
            ended
        }
    }
}

/// The resources of a process while its command runs. The pidfile is last, so it is removed after all others are dropped.
struct Process {
    runtime: Runtime,
    control: Control,
    _signals: Signals,
    log: Log,
    /// The socket of `http_listen`, for a command that serves it.
    listener: Option<Listener>,
    _pidfile: Option<Pidfile>,
}

impl Process {
    fn start(config: &Config, parsed: &Parsed, options: &Options) -> Result<Process> {
        let pidfile = pidfile_path(config, parsed).map(|path| Pidfile::claim(&path)).transpose()?;
        let log = match parsed.command {
            // What is wrong with the log file or the ini file is a finding. -v shows more findings, not more of the log.
            Command::Doctor(_) => Log::on_stderr(Verbosity::Quiet)?,
            // A plan leaves no file behind either.
            Command::Up(Up { doing: Doing::Planned, .. }) | Command::Down(Doing::Planned) => {
                Log::on_stderr(verbosity(options))?
            }
            Command::Pgqadm(_)
            | Command::Londiste(_)
            | Command::Replay
            | Command::Up(_)
            | Command::Down(_)
            | Command::Follow(..)
            | Command::Switchover(_) => Log::open(config.common(), verbosity(options))?,
        };
        if pidfile.as_ref().is_some_and(Pidfile::was_stale) {
            tracing::warn!("Ignoring stale pidfile");
        }
        if !matches!(parsed.command, Command::Doctor(_)) {
            config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        // Bound before the daemon counts as started, so that whoever starts it sees why it cannot be.
        let listens = matches!(parsed.command, Command::Pgqadm(pgqadm::Command::Ticker) | Command::Replay);
        let listener = config.common().http_listen.filter(|_| listens).map(Listener::bind).transpose()?;
        // A daemon's standard error is /dev/null, so a panic has to be logged.
        std::panic::set_hook(Box::new(|panic| critical(format_args!("internal error: {panic}"))));
        let failed = |source| Error::System { action: "start the runtime", source };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("rlondiste")
            .enable_all()
            .build()
            .map_err(failed)?;
        let (control, signals) = {
            let _context = runtime.enter();
            Control::install(if parsed.spec.kind == Kind::Job { Interrupt::Finishes } else { Interrupt::Aborts })?
        };
        Ok(Process { runtime, control, _signals: signals, log, listener, _pidfile: pidfile })
    }

    fn finish(
        mut self,
        config: &Config,
        parsed: Parsed,
        options: &Options,
        caller: &Caller,
        launch: &Launch,
    ) -> Result<Ending, Failure> {
        let Parsed { spec, command, ignored, .. } = parsed;
        if !ignored.is_empty() {
            tracing::warn!("{} has no use for \"{}\"", spec.words, ignored.join(" "));
        }
        let mut listener = self.listener.take();
        let mut run = || {
            let served = listener.take();
            self.runtime.block_on(supervise(config, command.clone(), &self.control, &self.log, served, launch))
        };
        let mut result = run();
        while let (Ok(output), Some(seconds)) = (&result, options.watch) {
            show_again(output, options)?;
            self.runtime.block_on(self.control.sleep(Duration::from_secs(seconds.into())));
            result = if self.control.stopping() { Err(Error::Aborted) } else { run() };
        }
        service::stopping();
        self.runtime.shutdown_timeout(LAST_WORDS);
        match result {
            Ok(output) => Ok(Ending { code: output.code(), output }),
            Err(Error::Aborted) => {
                if spec.kind != Kind::Job {
                    tell(&Failure::Error(Error::Aborted).text(caller));
                }
                // The exit status that a shell shows for a process that a signal ended.
                Ok(Ending::with_code(self.control.abort_signal().map_or(1, |signal| 128 + signal)))
            }
            Err(error) if spec.kind == Kind::Setup => Err(Failure::Error(error)),
            Err(error) => {
                critical(format_args!("Job {} crashed: {}", config.common().job_name, Report(&error)));
                Ok(Ending::with_code(error.exit_code()))
            }
        }
    }
}

fn pidfile_path(config: &Config, parsed: &Parsed) -> Option<PathBuf> {
    match (&config.common().pidfile, parsed.pidfile) {
        (Some(path), Suffix::Text(suffix)) => Some(with_suffix(path, suffix)),
        _ => None,
    }
}

pub(super) fn verbosity(options: &Options) -> Verbosity {
    match (options.verbose, options.quiet) {
        (true, _) => Verbosity::Verbose,
        (false, true) => Verbosity::Quiet,
        (false, false) => Verbosity::Normal,
    }
}

/// Runs the command until it ends, or until [`LAST_WORDS`] have passed since an abort. Then waits as long again for the
/// tasks.
async fn supervise(
    config: &Config,
    command: Command,
    control: &Control,
    log: &Log,
    listener: Option<Listener>,
    launch: &Launch,
) -> Result<Output> {
    let result = tokio::select! {
        result = dispatch(config, command, control, listener, launch) => result,
        () = overdue(control) => Err(Error::Aborted),
        never = reopen_log(reader(config), control, log) => match never {},
    };
    // The drivers of sessions are tasks, which may still have to cancel a statement or to close the connection.
    let _ = tokio::time::timeout(LAST_WORDS, control.abort().tasks_ended()).await;
    result
}

async fn dispatch(
    config: &Config,
    command: Command,
    control: &Control,
    listener: Option<Listener>,
    launch: &Launch,
) -> Result<Output> {
    match (config, command) {
        (Config::Pgqadm(config), Command::Doctor(view)) => {
            Box::pin(doctor::run(view, doctor::Patient::Pgqadm(config), control)).await
        }
        (Config::Pgqd(config), Command::Doctor(view)) => {
            Box::pin(doctor::run(view, doctor::Patient::Pgqd(config), control)).await
        }
        (Config::Londiste(config), Command::Doctor(view)) => {
            Box::pin(doctor::run(view, doctor::Patient::Londiste(config), control)).await
        }
        (Config::Pgqadm(config), Command::Pgqadm(command)) => {
            Box::pin(pgqadm::run(command, config, control, listener)).await
        }
        (Config::Pgqd(config), Command::Pgqadm(pgqadm::Command::Ticker)) => {
            Box::pin(pgqadm::run_server(config, control, listener)).await
        }
        (Config::Pgqd(_), Command::Pgqadm(_)) => Err(Error::Usage(
            "an ini file with section [pgqd] is for the ticker of all databases; this command needs section [pgqadm]"
                .to_owned(),
        )),
        (Config::Londiste(config), Command::Londiste(command)) => {
            Box::pin(londiste::run(command, config, control)).await
        }
        (Config::Londiste(config), Command::Replay) => Box::pin(up::replay(config, control, listener)).await,
        (Config::Londiste(config), Command::Up(request)) => Box::pin(up::up(&request, config, control, launch)).await,
        (Config::Londiste(config), Command::Down(doing)) => Box::pin(up::down(doing, config, control)).await,
        (Config::Londiste(config), Command::Follow(provider, timeout)) => {
            Box::pin(switchover::follow(&provider, timeout, config, control)).await
        }
        (Config::Londiste(config), Command::Switchover(command)) => {
            Box::pin(switchover::run(&command, config, control)).await
        }
        (
            Config::Pgqadm(_) | Config::Pgqd(_),
            Command::Londiste(_)
            | Command::Replay
            | Command::Up(_)
            | Command::Down(_)
            | Command::Follow(..)
            | Command::Switchover(_),
        )
        | (Config::Londiste(_), Command::Pgqadm(_)) => {
            Err(Error::Usage("the command is of the other program than the ini file".to_owned()))
        }
    }
}

async fn overdue(control: &Control) {
    control.abort().cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// A function that reads the ini file again and returns its common keys, or the present ones where it cannot be read.
fn reader(config: &Config) -> impl Fn() -> Common + Send + Sync + use<> {
    let (program, path) = match config {
        Config::Pgqadm(config) => (Program::Pgqadm, config.path.clone()),
        Config::Pgqd(config) => (Program::Pgqadm, config.path.clone()),
        Config::Londiste(config) => (Program::Londiste, config.path.clone()),
    };
    let current = config.common().clone();
    move || {
        let config = File::read(&path).and_then(|file| Config::load(program, &file));
        // The job itself logs what is wrong with the ini file; the log is reopened in any case.
        config.map_or_else(|_| current.clone(), |config| config.common().clone())
    }
}

/// Opens the log file anew at each reload, as logrotate needs it.
async fn reopen_log(read: impl Fn() -> Common + Send + Sync, control: &Control, log: &Log) -> Infallible {
    let mut seen = 0;
    loop {
        seen = control.reloaded(seen).await;
        if let Err(error) = log.reopen(&read()) {
            tracing::error!("the log stays in the old file: {}", Report(&error));
        }
    }
}
