//! What is stored about replication: the tables of schema `londiste`, on both sides.
//!
//! Every statement about these tables and the functions over them stands here, one file a noun, and nowhere else. The
//! functions take the session or the open transaction; a change becomes visible with that transaction. None of them
//! decides when a change is right: that is the business of the caller, within [`table_state`]'s table of steps.

pub(crate) mod changes;
pub(crate) mod completed;
pub(crate) mod conditions;
pub(crate) mod copy_consumer;
pub(crate) mod emptied;
pub(crate) mod foreign_keys;
pub(crate) mod parking;
pub(crate) mod provider_queue;
pub(crate) mod queue_consumer;
pub(crate) mod sequences;
pub(crate) mod skips;
pub(crate) mod table_state;
pub(crate) mod tables;
pub(crate) mod triggers;
