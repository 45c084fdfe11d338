//! Limits of the time that statements of a session take.

use std::time::Duration;

use super::db::Db;
use super::sql::sql;
use crate::error::Result;

impl Db {
    /// Makes the session one that only looks: it cannot change anything, and each statement may run for `limit` and wait for a
    /// lock for a quarter of it. Does nothing behind a pooler, where a setting would stay for other clients.
    pub(crate) async fn only_look(&self, limit: Duration) -> Result<()> {
        if self.is_pooled() {
            return Ok(());
        }
        let settings = sql!(
            "set default_transaction_read_only = on; set statement_timeout = {limit}; set lock_timeout = {wait}",
            limit = limit.as_millis(),
            wait = limit.as_millis() / 4
        );
        self.batch_alone("limit the session", settings).await
    }

    /// Limits how long each statement of the open transaction waits for each lock; `None` waits for ever. A statement that
    /// would wait longer fails with SQLSTATE 55P03. Holds until the transaction ends.
    pub(crate) async fn limit_lock_wait(&self, timeout: Option<Duration>) -> Result<()> {
        let millis = timeout.map_or(0, |t| t.as_millis().max(1));
        self.batch("limit the wait for locks", sql!("set local lock_timeout = {millis}", millis = millis)).await
    }
}
