//! The command line and the process: options, daemon, pidfile, signals, log.

mod daemon;
mod log;
mod setup_errors;
mod stop;
