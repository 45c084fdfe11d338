//! What every job needs: the loop, signals, daemon, pidfile, log.

pub mod bars;
pub mod control;
pub mod daemon;
mod last_error;
pub mod log;
pub mod log_file;
pub mod output;
pub mod pidfile;
pub mod retry;
pub mod stats;
pub mod work_loop;

pub use bars::{Bar, Bars};
pub use control::{Control, Wake};
pub use last_error::{LastError, last_error};
pub use log::critical;
pub use output::Output;
pub use stats::Stats;
pub use work_loop::{Work, Worked, run_loop};
