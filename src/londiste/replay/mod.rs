//! Replay: applies the queue's batches to the subscriber, and hands tables over between their copies and itself.

mod attach;
mod hand_over;
mod main_loop;
mod mirror;
mod park;
mod sequences;
mod sessions;
mod table_sets;
mod tidy;

pub(super) use main_loop::run;
