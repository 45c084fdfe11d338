//! Replication of tables.

mod catalog;
mod chain;
mod compare;
mod crash;
mod faults;
mod fkeys_and_triggers;
mod initial_copy;
mod log_lines;
mod majors;
mod mirror;
mod parking;
mod polling;
mod provider;
mod repair;
mod replay;
mod skip_event;
mod subscriber;
mod subscriber_seqs;
mod subscribers;
mod take_over;
mod tutorial;
mod wait_and_status;
