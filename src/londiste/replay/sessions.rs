//! The two sessions of replay.

use crate::pg::Db;
use crate::pgq::TickId;
use crate::pgq::consumer::Abilities;

/// The sessions, what the provider's PgQ can do, and replay's position.
pub(super) struct Sessions {
    pub(super) provider: Db,
    pub(super) subscriber: Db,
    pub(super) abilities: Abilities,
    /// The tick up to which replay's batches are finished.
    pub(super) position: TickId,
}
