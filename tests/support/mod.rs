//! The words that tests are written in: throwaway servers, databases, the program as a process, its jobs, a wire
//! that can be cut, and waiting without sleeping.
//!
//! * Tests that only need databases take them from the shared pair of clusters ([`Cluster::provider`],
//!   [`Cluster::subscriber`]); tests that stop, kill or configure a server start their own ([`Cluster::builder`]).
//! * Everything of a test process lies in one run directory ([`run_dir`]). It goes away at the end; when a test fails
//!   it stays, and the test prints the end of the logs and how to open the servers again.
//! * [`wait_until`] is the only way to wait: it polls, and tells the last status when it gives up.
#![allow(dead_code, unused_imports, reason = "words are made for all tests, not only for today's")]

mod binaries;
mod cluster;
mod compare;
mod database;
mod dump;
pub mod effort;
mod evidence;
pub mod hostile;
mod job;
pub mod kinds;
mod load;
mod pooler;
mod port;
mod program;
mod proxy;
mod replication;
pub mod run_dir;
mod scratch;
mod session;
pub mod shop;
mod sleeper;
mod standby;
pub mod statements;
mod template;
mod terminal;
pub mod types;
mod wait;

pub use binaries::{Binaries, client_reads, server_and_client_fit};
pub use cluster::{Cluster, Shutdown, StartError};
pub use compare::{assert_same_rows, compare, compare_tables};
pub use database::Database;
pub use dump::{client, client_at, dump_and_restore, use_up_transactions};
pub use job::{Job, is_alive};
pub use load::Load;
pub use pooler::{LoginOptions, PoolMode, Pooler};
pub use port::PortLock;
pub use program::{Output, Program, mask_log_lines, program_path};
pub use proxy::{Proxy, Traffic, Way};
pub use replication::{QUEUE, Replication, replay_until_in_sync, wait_until_ok, wait_until_ticked};
pub use scratch::Scratch;
pub use session::{KEPT, Outcome, Session, SqlError};
pub use sleeper::Sleeper;
pub use terminal::Terminal;
pub use wait::{wait_until, wait_within};
