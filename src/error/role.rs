//! The two databases.

use std::fmt;

/// Which of the two databases a statement ran on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The database with the queue and the captured tables; also the only database of `pgqadm`.
    Provider,
    /// The database that the changes are applied to.
    Subscriber,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Provider => "provider",
            Role::Subscriber => "subscriber",
        })
    }
}
