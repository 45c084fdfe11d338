//! Replay: applies the queue's batches to the subscriber, and takes tables over from their copies.

mod attach;
mod capture_watch;
mod demand;
mod filters;
mod hand_over;
mod lost_changes;
mod main_loop;
mod mirror;
mod park;
mod quick;
mod sequences;
mod sessions;
mod table_sets;
mod tally;
mod tidy;

pub(super) use main_loop::run;
pub(super) use tally::Tally;
