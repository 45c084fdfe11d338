//! Autovacuums that are in the way of a lock on a table.
//!
//! The server cancels an autovacuum for a session that has waited for its lock for `deadlock_timeout`. Tries that are shorter never
//! get the lock. One that prevents the wraparound of transaction ids is not cancelled, and the statements that tell which one it is are
//! hidden from users without `pg_read_all_stats`: so each of them is asked by one long try, and no other.

use std::time::Duration;

/// How long a try waits that an autovacuum gives way to: longer than the default of `deadlock_timeout`.
pub(crate) const LONG_TRY: Duration = Duration::from_millis(1500);

/// Whether row `a` of `pg_stat_activity`, of a process that holds a lock on a table, is an autovacuum: a session of no user.
pub(crate) const IS_AUTOVACUUM: &str = "(a.pid is not null and a.usesysid is null)";
