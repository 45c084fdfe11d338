//! Applies the events of a batch to the subscriber, inside the transaction of the batch.
//!
//! ```text
//! events ──> reading task ──chunks──> writing task ──> subscriber
//!                 └── net change per row     └── sets of rows, or event by event
//! ```
//!
//! Both tasks run at the same time: while the server works on a chunk, the next one is read. There are at most three
//! chunks, so memory is bounded whatever the size of a batch. Nothing here commits: whatever happens, the caller's
//! transaction holds all of the batch or nothing.
//!
//! The words of this module:
//!
//! | word | what it is |
//! |---|---|
//! | target table | a table on the subscriber, as its catalog describes it ([`target_table`]) |
//! | table cache | the target tables that the applier has met, kept from batch to batch ([`table_cache`]) |
//! | shape | which columns the values of an event belong to, worked out once for many events ([`shape`]) |
//! | layout | how the data of an event are taken apart into the values of a shape ([`table_cache`]) |
//! | chunk | a piece of a batch that is applied at once: its events with their values ([`chunk`]) |
//! | key | the columns by which rows of a table are told apart, and their values as bytes ([`key`]) |
//! | net change | what the events of a chunk do to one row, taken together ([`net_changes`]) |
//! | row set | rows that one statement changes ([`plan`]) |
//! | step | the row sets of one verb on one table ([`plan`]) |
//! | plan | the steps of a chunk in their order, and the tables whose events go one by one ([`plan`]) |
//! | reading task | reads events into chunks ([`feed`], [`read`]) |
//! | writing task | applies chunks: [`set`] carries out steps, [`row`] applies events one by one ([`write`]) |

mod applied;
mod applier;
mod chunk;
mod copy_rows;
mod counts;
mod destination;
mod event_type;
mod fault;
mod feed;
mod identity;
mod key;
#[doc(hidden)]
pub mod measure;
#[cfg(test)]
mod model;
mod net_changes;
mod open_batch;
mod order;
mod param;
mod plan;
mod read;
mod row;
mod set;
mod settings;
mod shape;
mod small;
mod statement;
mod table_cache;
mod target_table;
mod truncate;
mod write;

pub(crate) use applied::TableCounts;
pub use applied::{Applied, Changes, LeftOut};
pub use applier::Applier;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use copy_rows::write_value as write_copy_value;
pub(crate) use event_type::is_unknown_type;
pub(crate) use open_batch::OpenBatch;
pub use settings::{Filter, Settings};
