//! The copy of one table: from `in-copy` to `ok`.
//!
//! 1. The copy's consumer is registered on the provider, at the newest tick.
//! 2. After the registration, and not before, the snapshot of the COPY is taken. So every change that the snapshot does
//!    not show comes to the consumer as an event. Events that it does show are left out, by their transaction ids.
//! 3. Rows, state `catching-up`, snapshot and the consumer's tick are committed in one transaction of the subscriber.
//! 4. The consumer applies the table's events batch by batch, until replay has not passed the end of the next batch.
//!    This batch stays open and unapplied: state `wanna-sync`, with the batch's end tick.
//! 5. Replay writes at which tick it takes over (`do-sync`). When the copy's open batch ends at this tick, the copy
//!    writes `ok`, and replay applies the batch.
//!
//! | the process ends | what the next start finds and does |
//! |---|---|
//! | before 3 is committed | `in-copy`, old rows and indexes: registers anew and copies |
//! | after 3 | `catching-up` and the tick: goes on with 4 |
//! | in 5, before `ok` is committed | `do-sync`, both batches still open: goes on with 5 |
//! | after `ok` is committed | a consumer without a copy: replay unregisters the consumer |

mod catch_up;
mod columns;
mod consumers;
mod copies;
mod load;
mod mend;
mod progress;
mod rebuild;
mod shared;
mod table_copy;
mod throttle;
mod transfer;
mod utf8;
mod void;

pub(super) use copies::Copies;
pub(super) use mend::find as find_mend;
pub(super) use progress::{Progress, read as read_progress};
pub(super) use shared::Goal;
pub(super) use throttle::Throttle;
pub(super) use void::copy_void_again;
