//! The two sessions of replay.

use crate::pg::Db;
use crate::pgq::TickId;
use crate::pgq::consumer::Abilities;

/// The sessions and what is known about them.
pub(super) struct Sessions {
    pub(super) provider: Db,
    pub(super) subscriber: Db,
    pub(super) abilities: Abilities,
    /// Up to where batches are finished.
    pub(super) position: TickId,
}
