//! The harness keeps its own promises.

mod cluster;
mod compare;
mod database;
mod program;
mod proxy;
mod wait;
