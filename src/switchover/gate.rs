//! Closes the fence of a side, in tries that each wait a moment for the writers at the gate.

use std::time::{Duration, Instant};

use rand::RngExt;
use tokio_postgres::error::SqlState;

use super::arm;
use super::sides::pause;
use crate::error::{Error, Report, Result};
use crate::job::Control;
use crate::londiste::fence::{self, Closing, State};
use crate::pg::Db;
use crate::text::Lines;

/// How long a try waits for the writers that have passed the gate. Those who come meanwhile wait behind it. Shorter than the default of
/// `deadlock_timeout`, so that a try that is part of a deadlock ends itself, and no writer.
const TRY: Duration = Duration::from_millis(500);

/// The longest pause between two tries, in which writers go on.
const PAUSE: Duration = Duration::from_secs(1);

/// When the side was closed.
pub(super) struct Closed {
    /// The beginning of the try that was the last one.
    pub(super) since: Instant,
    /// How long the writers were waited for at the gate.
    pub(super) waited: Duration,
    pub(super) tries: u32,
    /// The state that the fence has now.
    pub(super) state: State,
}

/// Closes the fence, until the deadline. `closing` is called for each try. A table that is not armed any more, or not yet, is armed.
/// After an error an open fence is open again, unless the session is broken; a fence that was to be made final may be.
pub(super) async fn close<'a>(
    db: &Db,
    deadline: Instant,
    control: &Control,
    mut closing: impl AsyncFnMut() -> Result<Closing<'a>>,
) -> Result<Closed> {
    let mut tries = 0;
    loop {
        tries += 1;
        let wanted = closing().await?;
        let since = Instant::now();
        let error = match fence::close(db, &wanted, TRY).await {
            Ok(waited) => return Ok(Closed { since, waited, tries, state: wanted.to }),
            Err(error) => error,
        };
        if db.is_closed() {
            return Err(error);
        }
        // What a sequence was set to outlives the rollback.
        if wanted.from == State::OPEN {
            fence::open(db, wanted.to).await?;
        }
        match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::OBJECT_IN_USE | &SqlState::T_R_DEADLOCK_DETECTED) => {}
            Some(&SqlState::UNDEFINED_OBJECT) if wanted.from == State::OPEN => {
                // Nobody has planned with such a table: it may be one that is not replicated.
                tracing::warn!("{}. They are armed now", Lines(Report(&error).to_string()));
                arm::arm(db, wanted.queue, control).await?;
            }
            _ => return Err(error),
        }
        if Instant::now() + TRY > deadline {
            return Err(held_up(db, error).await);
        }
        pause(control, PAUSE.mul_f64(rand::rng().random_range(0.3..1.0))).await?;
    }
}

/// The error with the names of those who are in the way. One that was not raised at the gate names them itself.
async fn held_up(db: &Db, error: Error) -> Error {
    if error.code() == Some(&SqlState::OBJECT_IN_USE) {
        return error;
    }
    match fence::holders(db).await {
        Ok(holders) if !holders.is_empty() => Error::blocked(
            format!("writers of {} did not come to an end in time: {}", db.target(), holders.join(", ")),
            "Nobody was kept out for longer than half a second at a time. End these transactions, or repeat the command when they are over.",
        ),
        _ => error,
    }
}
