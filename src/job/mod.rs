//! What every job needs: the loop, signals, daemon, pidfile, log.

pub(crate) mod bars;
pub(crate) mod control;
mod core_dump;
pub(crate) mod daemon;
mod dated_log;
mod health;
mod last_error;
pub(crate) mod log;
pub(crate) mod log_file;
pub(crate) mod output;
pub(crate) mod pidfile;
pub(crate) mod retry;
mod safe_file;
pub(crate) mod service;
pub(crate) mod stats;
pub(crate) mod work_loop;

pub(crate) use bars::{Bar, Bars};
pub(crate) use control::{Control, Wake};
pub(crate) use core_dump::forbid_core_files;
pub(crate) use health::Health;
pub(crate) use last_error::{LastError, last_error, last_errors};
pub(crate) use log::critical;
pub(crate) use output::{Output, document};
pub(crate) use stats::Stats;
pub(crate) use work_loop::{Work, Worked, run_loop};
