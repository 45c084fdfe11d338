//! The command line and the process: options, daemon, pidfile, signals, log.

mod daemon;
mod files;
mod forged_lines;
mod ini_lines;
mod log;
mod options;
mod pidfile;
mod program;
mod service;
mod setup_errors;
mod silent_server;
mod stop;
