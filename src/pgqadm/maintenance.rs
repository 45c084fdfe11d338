//! Maintenance: rotation, retry and vacuum of all queues of a database, on a connection of its own, so that a slow
//! vacuum never delays a tick.
//!
//! PgQ 3 and rlondiste's own schema list the operations (`pgq.maint_operations()`, with the functions of other modules
//! and of `queue_extra_maint`); for PgQ 2.1 the list is made here. Each operation is a transaction of its own. One that
//! fails is logged, and the next ones go on. No operation waits longer than [`LOCK_TIMEOUT`] for a lock; vacuum skips
//! locked tables from PostgreSQL 12 on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;
use tracing::{debug, error, info, warn};

use super::database_settings::DatabaseSettings;
use super::fault::{is_local, is_lock_timeout};
use super::reminders::Reminders;
use super::{captured_tables, rotation, warnings};
use crate::error::{Report, Result};
use crate::failpoint::failpoint;
use crate::job::{Control, Stats, Work, Worked};
use crate::pg::{Db, FqName, Sql, sql};

/// Longest wait for a lock. An operation that would wait longer is done in the next round.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '2s'";

const ROTATE: &str = "pgq.maint_rotate_tables_step1";
const ROTATED: &str = "pgq.maint_rotate_tables_step2";
const RETRY: &str = "pgq.maint_retry_events";
const VACUUM: &str = "vacuum";

/// How often the capture of tables that were just added is adapted: their writers should not wait for the next round.
const ADAPT_DELAY: Duration = Duration::from_secs(10);

/// The maintenance of one database.
pub(super) struct Maintenance<'a> {
    settings: DatabaseSettings,
    control: &'a Control,
    session: Option<Db>,
    /// When the last whole round began.
    done_at: Option<Instant>,
    /// When retry events were last moved, on their own or in a round.
    retried_at: Option<Instant>,
    /// The number of captured tables when schema `londiste` was last there.
    captured: usize,
    reminders: Reminders,
}

/// One operation: a function with its arguments, or [`VACUUM`] with a table.
struct Operation {
    function: String,
    arguments: Vec<String>,
}

impl<'a> Maintenance<'a> {
    pub(super) fn new(settings: DatabaseSettings, control: &'a Control) -> Maintenance<'a> {
        Maintenance {
            settings,
            control,
            session: None,
            done_at: None,
            retried_at: None,
            captured: 0,
            reminders: Reminders::default(),
        }
    }

    /// Does all operations once, then warns and logs the duration. Returns early, without an error, when a stop is
    /// requested.
    async fn round(&mut self, db: &Db) -> Result<()> {
        let started = Instant::now();
        let due = rotation::due(db).await?;
        let mut turns = rotation::turns(db).await?;
        let operations = operations(db).await?;
        let captured = operations.iter().filter(|o| o.function == captured_tables::MAINTAIN).count();
        for operation in operations {
            if self.control.stopping() {
                return Ok(());
            }
            match self.run(db, &operation, &mut turns).await {
                Ok(()) => (),
                Err(error) if !is_local(&error) || self.control.abort().is_cancelled() => return Err(error),
                Err(error) if is_lock_timeout(&error) => debug!("{}", Report(&error)),
                Err(error) => {
                    if self.reminders.due(&error.to_string(), Instant::now()) {
                        error!("{}{}", self.settings.label, Report(&error));
                    }
                }
            }
        }
        self.warn(db, &due, captured).await?;
        let mut stats = Stats::default();
        stats.set_duration("maint_duration", started.elapsed());
        info!("{}{stats}", self.settings.label);
        Ok(())
    }

    async fn run(&self, db: &Db, operation: &Operation, turns: &mut HashMap<String, String>) -> Result<()> {
        match (operation.function.as_str(), operation.arguments.as_slice()) {
            (VACUUM, [table]) => self.vacuum(db, table).await,
            (VACUUM, _) => Ok(()),
            (RETRY, _) => self.retry(db).await,
            (ROTATE, [queue]) => {
                failpoint!("rotation::due");
                call(db, "rotate the event tables", operation).await?;
                failpoint!("rotation::step1");
                let now = rotation::turns(db).await?;
                // The function's answer differs between versions of PgQ.
                if now.get(queue) != turns.get(queue) {
                    info!("{}Rotating {queue}", self.settings.label);
                }
                *turns = now;
                Ok(())
            }
            (ROTATED, []) => {
                call(db, "rotate the event tables", operation).await?;
                failpoint!("rotation::step2");
                Ok(())
            }
            (captured_tables::MAINTAIN, [queue, table]) => {
                if call(db, "refresh the capture of a table", operation).await?.as_deref() == Some("1") {
                    info!("{}Refreshed the capture of {table} in queue {queue}", self.settings.label);
                }
                Ok(())
            }
            _ => call(db, "do the maintenance", operation).await.map(|_| ()),
        }
    }

    /// Adapts the capture of tables that were just added, once there are enough changes to tell how.
    async fn adapt_young(&self, db: &Db) -> Result<()> {
        for queue in captured_tables::young_queues(db).await? {
            let adapt = Operation { function: captured_tables::ADAPT.to_owned(), arguments: vec![queue.clone()] };
            let adapted = call(db, "adapt the capture", &adapt).await?;
            if adapted.is_none_or(|count| count == "0") {
                continue;
            }
            for (of, table) in captured_tables::to_maintain(db).await? {
                if of == queue {
                    let arguments = vec![of, table];
                    let maintain = Operation { function: captured_tables::MAINTAIN.to_owned(), arguments };
                    self.run(db, &maintain, &mut HashMap::new()).await?;
                }
            }
        }
        Ok(())
    }

    /// Moves the retry events that are due back into their queues: in portions, each a transaction, until none is left.
    async fn retry(&self, db: &Db) -> Result<()> {
        let operation = Operation { function: RETRY.to_owned(), arguments: Vec::new() };
        let mut count: u64 = 0;
        while !self.control.stopping() {
            match call(db, "retry events", &operation).await?.and_then(|moved| moved.parse::<u64>().ok()) {
                Some(moved) if moved > 0 => count += moved,
                _ => break,
            }
        }
        if count > 0 {
            info!("{}Got {count} events for retry", self.settings.label);
        }
        Ok(())
    }

    /// Vacuums a table; from PostgreSQL 12 on not while another session has it locked. A stop request cancels the vacuum.
    async fn vacuum(&self, db: &Db, table: &str) -> Result<()> {
        const ACTION: &str = "vacuum";
        let version: i32 =
            db.query_one(ACTION, "select pg_catalog.current_setting('server_version_num')::int4", &[]).await?.get(0);
        let options = if version >= 120_000 { " (skip_locked)" } else { "" };
        // A statement by itself: vacuum does not run in a transaction block.
        let sql = sql!("vacuum{options} {table}", options = options, table = sql_name(table));
        let vacuum = db.batch_alone(ACTION, sql);
        tokio::pin!(vacuum);
        let done = tokio::select! {
            done = &mut vacuum => done,
            () = self.control.stopped() => {
                db.cancel().await;
                let _ = vacuum.await;
                Ok(())
            }
        };
        done.map_err(|e| e.about(format!("table {table}")))
    }

    /// Warns of blocked rotations, slow consumers, big queues, and of captured tables whose queue or schema is gone.
    async fn warn(&mut self, db: &Db, due: &[String], captured: usize) -> Result<()> {
        let mut found = rotation::blocked(db, due).await?;
        found.extend(warnings::slow_consumers(db).await?);
        if self.settings.size_warn > 0 {
            found.extend(warnings::big_queues(db, self.settings.size_warn).await?);
        }
        found.extend(warnings::lost_queues(db).await?);
        if captured_tables::is_installed(db).await? {
            self.captured = captured;
        } else if self.captured > 0 {
            found.push(warnings::lost_capture(self.captured));
        }
        for warning in found {
            if self.reminders.due(&warning.about, Instant::now()) {
                warn!("{}{}", self.settings.label, warning.text);
            }
        }
        Ok(())
    }
}

/// Calls the function of an operation in a transaction of its own. Returns the first column of its result, as text.
async fn call(db: &Db, action: &'static str, operation: &Operation) -> Result<Option<String>> {
    let arguments = Sql::join(operation.arguments.iter().map(|argument| Sql::literal(argument)), ", ");
    let sql = sql!(
        "{limit}; select {function}({arguments})",
        limit = LOCK_TIMEOUT,
        function = sql_name(&operation.function),
        arguments = &arguments
    );
    let messages =
        db.simple_query(action, sql).await.map_err(|e| e.about(format!("{}({arguments})", operation.function)))?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// The operations of a round, in their order.
async fn operations(db: &Db) -> Result<Vec<Operation>> {
    const ACTION: &str = "list the maintenance operations";
    const KNOWN: &str = "select pg_catalog.to_regprocedure('pgq.maint_operations()') is not null,
        pg_catalog.to_regprocedure('pgq._busy_tables()') is not null";
    const LISTED: &str = "select o.func_name, o.func_arg from pgq.maint_operations() o";
    const QUEUES: &str = "select 'pgq.maint_rotate_tables_step1', q.queue_name from pgq.queue q order by q.queue_name";
    const TABLES: &str = "select 'vacuum', t from pgq.maint_tables_to_vacuum() t";
    const BUSY_TABLES: &str = "select 'vacuum', t from pgq._busy_tables() t";

    let read = async |sql: &'static str| -> Result<Vec<Operation>> {
        let rows = db.query(ACTION, sql, &[]).await?;
        let arguments = |row: &tokio_postgres::Row| (1..row.len()).filter_map(|nr| row.get(nr)).collect();
        Ok(rows.iter().map(|row| Operation { function: row.get(0), arguments: arguments(row) }).collect())
    };
    let simple = |function: &str| Operation { function: function.to_owned(), arguments: Vec::new() };
    let row = db.query_one(ACTION, KNOWN, &[]).await?;
    let (lists_itself, knows_busy): (bool, bool) = (row.get(0), row.get(1));
    let mut list = if lists_itself {
        read(LISTED).await?
    } else {
        let mut list = read(QUEUES).await?;
        list.push(simple(ROTATED));
        list
    };
    // The list of PgQ 3 leaves it out, because pgqd moves retry events at a period of its own.
    if !list.iter().any(|operation| operation.function == RETRY) {
        list.push(simple(RETRY));
    }
    for queue in captured_tables::to_adapt(db).await? {
        list.push(Operation { function: captured_tables::ADAPT.to_owned(), arguments: vec![queue] });
    }
    for (queue, table) in captured_tables::to_maintain(db).await? {
        list.push(Operation { function: captured_tables::MAINTAIN.to_owned(), arguments: vec![queue, table] });
    }
    // PgQ 3 and rlondiste's own schema list vacuum only where autovacuum is off. Autovacuum comes too late for tables that
    // change this often, so they are always vacuumed here.
    list.retain(|operation| operation.function != VACUUM);
    list.extend(read(if knows_busy { BUSY_TABLES } else { TABLES }).await?);
    Ok(list)
}

/// A name that the server lists as `schema.name`, quoted. A name that has quotes already stays as it is.
fn sql_name(name: &str) -> Sql {
    if name.contains('"') { Sql::from_server(name.to_owned()) } else { Sql::from(&FqName::parse(name)) }
}

impl Work for Maintenance<'_> {
    async fn work(&mut self) -> Result<Worked> {
        let db = match self.session.take_if(|db| self.settings.may_keep(db)) {
            Some(db) => db,
            None => self.settings.open(self.control).await?,
        };
        let now = Instant::now();
        let is_due = |at: Option<Instant>, delay: Duration| at.is_none_or(|at| now.duration_since(at) >= delay);
        if is_due(self.done_at, self.settings.maint_delay) {
            self.round(&db).await?;
            self.done_at = Some(now);
            self.retried_at = Some(now);
        } else {
            if self.settings.retry_delay.is_some_and(|delay| is_due(self.retried_at, delay)) {
                self.retry(&db).await?;
                self.retried_at = Some(now);
            }
            match self.adapt_young(&db).await {
                Err(error) if !is_local(&error) || self.control.abort().is_cancelled() => return Err(error),
                Err(error) => debug!("{}", Report(&error)),
                Ok(()) => (),
            }
        }
        self.session = Some(db);
        Ok(Worked::Idle)
    }

    fn disconnect(&mut self) {
        self.session = None;
    }

    fn reload(&mut self) -> Result<()> {
        self.settings = self.settings.reload()?;
        Ok(())
    }

    fn loop_delay(&self) -> Duration {
        self.settings.retry_delay.unwrap_or(ADAPT_DELAY).min(ADAPT_DELAY).min(self.settings.maint_delay)
    }

    fn name(&self) -> &str {
        &self.settings.job_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_once() {
        assert_eq!(sql_name("pgq.tick").as_str(), "\"pgq\".\"tick\"");
        assert_eq!(sql_name("\"Odd\".\"t\"").as_str(), "\"Odd\".\"t\"");
    }
}
