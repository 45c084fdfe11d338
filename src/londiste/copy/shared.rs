//! What the copies of one process share: the stop request, the rate limit, and idle sessions.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::state::changes::StateChanges;
use super::throttle::Throttle;
use crate::pg::Db;
use crate::pgq::consumer::Abilities;
use crate::task::Abort;

/// What all copies of a process share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    /// Ends all copies.
    pub(super) stop: Abort,
    pub(super) changes: StateChanges,
    pub(super) throttle: Throttle,
    pub(super) goal: Goal,
    pub(super) idle: IdleSessions,
}

/// Sessions of copies that have ended without an error, for the next copies: the logins take most of the time of a
/// small table's copy. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct IdleSessions(Arc<Mutex<Vec<Sessions>>>);

impl IdleSessions {
    pub(super) fn take(&self) -> Option<Sessions> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sessions) = idle.pop() {
            if !sessions.provider.is_closed() && !sessions.subscriber.is_closed() {
                return Some(sessions);
            }
        }
        None
    }

    pub(super) fn keep(&self, sessions: Sessions) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sessions);
    }

    /// Closes all idle sessions.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The state at which a copy ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::londiste) enum Goal {
    /// `ok`; replay runs in this process.
    Ok,
    /// `wanna-sync`: the next step is replay's.
    WannaSync,
}

/// The sessions of one copy.
pub(super) struct Sessions {
    pub(super) provider: Db,
    pub(super) subscriber: Db,
    pub(super) abilities: Abilities,
}
