//! A row that a test has locked. The server serves the sessions that wait for a row lock in the order in which they
//! came, so the test decides in which order two of them write: both have read what they rely on before they wait.

use crate::support::{Database, Session, wait_until};

/// The lock of one row of `londiste.subscriber_table`, held until [`RowLock::release`].
pub(super) struct RowLock<'a> {
    database: &'a Database,
    session: Session,
}

impl<'a> RowLock<'a> {
    /// Locks the row of a table of schema `public`.
    pub(super) fn of_table(database: &'a Database, table: &str) -> RowLock<'a> {
        let session = database.session();
        session.sql(&format!(
            "begin; select from londiste.subscriber_table where table_name = 'public.{table}' for update"
        ));
        RowLock { database, session }
    }

    /// Waits until so many sessions of the database wait for a lock; the last of them is named in messages.
    #[track_caller]
    pub(super) fn wait_for_waiting(&self, count: usize, last: &str) {
        let sql = "select pid, application_name, query from pg_stat_activity
                    where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0";
        wait_until(&format!("{last} waits for the row"), || {
            let waiting = self.database.rows(sql);
            if waiting.len() >= count { Ok(()) } else { Err(format!("{waiting:?}")) }
        });
    }

    /// Lets the waiting sessions go on, in their order.
    pub(super) fn release(self) {
        self.session.sql("commit");
    }
}
