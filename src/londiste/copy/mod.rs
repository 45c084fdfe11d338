//! The copy of one table: from `in-copy` to `ok`.
//!
//! 1. A consumer of the copy's own is registered on the provider, at the newest tick.
//! 2. After that, and not before, the snapshot of the COPY is taken. So whatever the snapshot does not show comes to the
//!    consumer as an event; what it does show is told by the event's transaction id and left out.
//! 3. COPY, state `catching-up`, snapshot and the consumer's tick are committed in one transaction of the subscriber.
//! 4. The consumer applies the table's events batch by batch, until replay has not passed the end of the next batch. This
//!    batch stays open and unapplied: `wanna-sync` and its end tick.
//! 5. Replay says at which batch to take over (`do-sync`); when the copy's open batch is this one, the table is `ok`, and
//!    the batch is replay's.
//!
//! | the process ends | what the next start finds and does |
//! |---|---|
//! | before 3 is committed | `in-copy`, old rows and indexes; registers anew and copies |
//! | after 3 | `catching-up` and the tick: goes on with 4 |
//! | in 5, before `ok` is committed | `do-sync`, both batches still open: goes on with 5 |
//! | after `ok` is committed | a consumer without a copy: unregistered by replay |

mod catch_up;
mod columns;
mod consumers;
mod copies;
mod emptied;
mod load;
mod mend;
mod progress;
mod rebuild;
mod shared;
mod table_copy;
mod throttle;
mod transfer;

pub(super) use copies::Copies;
pub(super) use emptied::copy_emptied_again;
pub(super) use mend::find as find_mend;
pub(super) use progress::{Progress, read as read_progress};
pub(super) use shared::Goal;
