//! The client side of PgQ: ticks, batches, events, and the installation of schema `pgq`.

pub(crate) mod consumer;
pub(crate) mod consumer_lag;
pub mod event;
pub(crate) mod failed_queue;
pub mod fragment;
pub(crate) mod install;
pub mod json;
pub(crate) mod later_events;
mod literal;
pub(crate) mod printable;
mod reserved;
pub(crate) mod rights;
pub mod schema;
pub(crate) mod small_batch;
pub mod snapshot;
pub mod unreadable;
pub mod urlenc;
pub mod value_buffer;

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// `tick_id`: a position in a queue.
    TickId
);
id!(
    /// `sub_batch`: the number of one consumer's batch.
    BatchId
);
id!(
    /// `ev_id`.
    EventId
);

/// A batch: the events between two ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// The tick where it starts (exclusive).
    pub prev_tick: TickId,
    /// The tick where it ends (inclusive).
    pub cur_tick: TickId,
}
