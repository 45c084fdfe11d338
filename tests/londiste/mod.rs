//! Replication of tables.

mod faults;
mod initial_copy;
mod polling;
mod replay;
mod subscribers;
mod tutorial;
