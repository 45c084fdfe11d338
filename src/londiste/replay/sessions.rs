//! The two sessions of replay.

use crate::pg::Db;
use crate::pgq::consumer::Abilities;
use crate::pgq::{Batch, TickId};

/// The sessions, what the provider's PgQ can do, and replay's position.
pub(super) struct Sessions {
    pub(super) provider: Db,
    pub(super) subscriber: Db,
    pub(super) abilities: Abilities,
    /// The tick up to which replay's batches are applied.
    pub(super) position: TickId,
    /// A batch that is committed on the subscriber and still to be finished on the provider.
    pub(super) unfinished: Option<Batch>,
}
