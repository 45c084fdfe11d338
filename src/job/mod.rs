//! What every job needs: the loop, signals, daemon, pidfile, log.

pub mod control;
pub mod output;
pub mod stats;

pub use control::{Control, Wake};
pub use output::Output;
pub use stats::Stats;
