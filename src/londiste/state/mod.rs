//! What is stored about replication: the tables of schema `londiste`, on both sides.
//!
//! All statements about these tables, and about the functions over them, are in this folder, one file for each noun.
//! The functions take a session or an open transaction; a change becomes visible with the commit. Which change is right
//! is decided by the caller, within [`table_state`]'s table of steps.

pub(crate) mod changes;
pub(crate) mod completed;
pub(crate) mod conditions;
pub(crate) mod copy_consumer;
pub(crate) mod emptied;
pub(crate) mod fence;
pub(crate) mod foreign_keys;
pub(crate) mod ledger;
pub(crate) mod lost_changes;
pub(crate) mod made;
pub(crate) mod overlaps;
pub(crate) mod parking;
pub(crate) mod pass;
pub(crate) mod provider_queue;
pub(crate) mod queue_consumer;
pub(crate) mod sequence_gap;
pub(crate) mod sequences;
pub(crate) mod skips;
pub(crate) mod sources;
pub(crate) mod strange_snapshot;
pub(crate) mod switchover;
pub(crate) mod table_state;
pub(crate) mod tables;
pub(crate) mod triggers;
pub(crate) mod turned;
pub(crate) mod verification;
