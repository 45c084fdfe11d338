//! The one integration binary: every module below is a promise to the operator, tested against real servers.
//!
//! Run it with `tests/run.sh`, or `cargo test` where the PostgreSQL server programs are installed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking and shows its evidence by printing"
)]

mod apply;
mod architecture;
mod capture;
mod cli;
mod compat;
mod config;
mod crash_table;
mod doctor;
mod harness;
mod hostile_names;
mod http;
mod least_privilege;
mod licences;
mod londiste;
mod packaging;
mod pgqadm;
mod pooled;
mod quickstart;
mod readme;
mod schemas;
mod secrets;
mod soak;
mod sql;
mod support;
mod switchover;
mod up;
