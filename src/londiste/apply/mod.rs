//! Applies the events of a batch to the subscriber, inside the transaction of the batch.
//!
//! ```text
//! events ──> Reader ──chunks──> Writer ──> subscriber
//!              └── net change per row        └── sets, or row by row
//! ```
//!
//! Both ends run at the same time: while the server works on a chunk, the next one is read. There are at most three
//! chunks, so memory is bounded whatever the size of a batch. Nothing here commits: whatever happens on the way, the
//! caller's transaction holds all of the batch or nothing.

mod applied;
mod applier;
mod catalog;
mod chunk;
mod counts;
mod event_type;
mod feed;
mod fold;
mod key;
#[doc(hidden)]
pub mod measure;
#[cfg(test)]
mod model;
mod order;
mod param;
mod plan;
mod read;
mod row;
mod set;
mod settings;
mod shape;
mod table;
mod write;

pub use applied::{Applied, LeftOut};
pub use applier::Applier;
pub(crate) use event_type::is_unknown_type;
pub use settings::{Filter, Settings};
