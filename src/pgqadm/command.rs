//! The commands of the ticker program.

use super::rights::Right;

/// What `drop` does with a queue that has consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumers {
    /// Refuse to drop the queue.
    Refuse,
    /// `--force`: unregister the consumers and drop the queue.
    Unregister,
}

/// A command of the ticker program, as the command line gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make ticks and do the maintenance until stopped.
    Ticker,
    /// Overview of queues and consumers.
    Status,
    /// Install schema `pgq`.
    Install,
    /// Create a queue.
    Create {
        /// Its name.
        queue: String,
    },
    /// Drop a queue.
    Drop {
        /// Its name.
        queue: String,
        /// What happens to its consumers.
        consumers: Consumers,
    },
    /// Register a consumer at the newest tick.
    Register {
        /// Queue name.
        queue: String,
        /// Consumer name.
        consumer: String,
    },
    /// Unregister a consumer.
    Unregister {
        /// Queue name.
        queue: String,
        /// Consumer name.
        consumer: String,
    },
    /// Give a role a right in the database.
    Grant {
        /// Name of the role, or `public`.
        role: String,
        /// The right.
        right: Right,
    },
    /// Take a right back from a role.
    Revoke {
        /// Name of the role, or `public`.
        role: String,
        /// The right.
        right: Right,
    },
    /// Show or change the settings of queues.
    Config {
        /// Queue name; all queues when absent.
        queue: Option<String>,
        /// `VAR=VAL` as typed.
        changes: Vec<String>,
    },
    /// Reset ticks and event tables after a restore into a cluster with a smaller transaction counter.
    Rebase {
        /// Queue name.
        queue: String,
    },
    /// Show pending events without consuming them.
    Events {
        /// Queue name.
        queue: String,
        /// Pending for this consumer; everything that is still stored when absent.
        consumer: Option<String>,
        /// Show at most so many.
        limit: Option<u32>,
    },
    /// Show, retry or delete failed events of a consumer.
    Failed {
        /// Queue name.
        queue: String,
        /// Consumer name.
        consumer: String,
        /// What to do with which event; list them when absent.
        action: Option<FailedAction>,
    },
}

/// What to do with a failed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedAction {
    /// Put it back into the queue.
    Retry(i64),
    /// Forget it.
    Delete(i64),
}
