//! One connection of a test to a database. Every value is text, as the server writes it; SQL null is `NULL`.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt, pin_mut};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

/// What a session keeps after its transaction, so that the next client of a pooled connection meets it.
pub const KEPT: &str = "
    select 'lock ' || l.locktype || ' ' || l.mode from pg_locks l
        where l.pid = pg_backend_pid() and (l.locktype = 'advisory' or l.relation >= 16384)
    union all select 'listens ' || c from pg_listening_channels() c
    union all select 'statement ' || name from pg_prepared_statements
    union all select 'cursor ' || name from pg_cursors where name <> ''
    union all select 'setting ' || name || ' = ' || setting from pg_settings
        where source = 'session' and name not in ('client_encoding', 'role', 'session_authorization')
    union all select 'temporary schema' where pg_my_temp_schema() <> 0
    union all select 'setting ' || s from unnest(array['pgq.tx_events_1', 'pgq.install_public', 'rlondiste.session']) s
        where coalesce(current_setting(s, true), '') <> ''";

/// What the server, or the connection to it, says about a failed statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlError {
    /// The SQLSTATE, empty when the connection failed.
    pub code: String,
    /// The primary message.
    pub message: String,
    /// The HINT, empty without one.
    pub hint: String,
    /// The CONTEXT: the functions and statements in which the error was raised; empty without one.
    pub context: String,
}

/// What a client sees of statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub rows: Vec<Vec<String>>,
    /// How many rows each statement returned or changed.
    pub counts: Vec<u64>,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " HINT: {}", self.hint) }
    }
}

impl From<tokio_postgres::Error> for SqlError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return SqlError {
                code: db.code().code().to_owned(),
                message: db.message().to_owned(),
                hint: db.hint().unwrap_or_default().to_owned(),
                context: db.where_().unwrap_or_default().to_owned(),
            };
        }
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        SqlError { message: format!("{error}: {cause}"), ..SqlError::default() }
    }
}

/// An open connection; closed on drop, which ends its transaction.
pub struct Session {
    runtime: Runtime,
    client: Client,
    notices: Arc<Mutex<Vec<String>>>,
    notifications: Arc<Mutex<Vec<String>>>,
}

impl Session {
    /// Connects with a connection string.
    pub fn connect(conninfo: &str) -> Result<Self, SqlError> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (client, mut connection) = runtime.block_on(tokio_postgres::connect(conninfo, NoTls))?;
        let notices = Arc::new(Mutex::new(Vec::new()));
        let notifications = Arc::new(Mutex::new(Vec::new()));
        let (notice_list, notification_list) = (Arc::clone(&notices), Arc::clone(&notifications));
        // Polled only while a statement runs: enough to receive what the server sent before its answer.
        runtime.spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    AsyncMessage::Notice(notice) => {
                        notice_list.lock().unwrap().push(format!("{}: {}", notice.severity(), notice.message()));
                    }
                    AsyncMessage::Notification(n) => {
                        notification_list.lock().unwrap().push(format!("{}:{}", n.channel(), n.payload()));
                    }
                    _ => {}
                }
            }
        });
        Ok(Session { runtime, client, notices, notifications })
    }

    /// Runs statements and returns what a client sees of them: their rows, without an order, and each one's number of rows.
    pub fn outcome(&self, sql: &str) -> Result<Outcome, SqlError> {
        let mut outcome = Outcome::default();
        for message in self.runtime.block_on(self.client.simple_query(sql))? {
            match message {
                SimpleQueryMessage::Row(row) => {
                    outcome.rows.push((0..row.len()).map(|i| row.get(i).unwrap_or("NULL").to_owned()).collect());
                }
                SimpleQueryMessage::CommandComplete(count) => outcome.counts.push(count),
                _ => {}
            }
        }
        outcome.rows.sort();
        Ok(outcome)
    }

    /// Runs statements and returns the rows of all of them.
    pub fn try_rows(&self, sql: &str) -> Result<Vec<Vec<String>>, SqlError> {
        let messages = self.runtime.block_on(self.client.simple_query(sql))?;
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|i| row.get(i).unwrap_or("NULL").to_owned()).collect());
            }
        }
        Ok(rows)
    }

    /// Sends lines to a `copy ... from stdin`. Returns how many rows the server took.
    pub fn try_copy_in(&self, statement: &str, lines: String) -> Result<u64, SqlError> {
        let copied = self.runtime.block_on(async {
            let sink = self.client.copy_in(statement).await?;
            pin_mut!(sink);
            sink.send(Bytes::from(lines)).await?;
            sink.finish().await
        });
        Ok(copied?)
    }

    /// Runs statements and returns their rows; panics when one fails.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
    }

    /// Runs statements; panics when one fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        self.rows(sql);
    }

    /// The only value that the statements return; panics when there is more or less than one.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        match rows.as_slice() {
            [row] if row.len() == 1 => row[0].clone(),
            _ => panic!("expected one value, got {rows:?}\nfrom: {sql}"),
        }
    }

    /// The first column of all rows.
    #[track_caller]
    pub fn column(&self, sql: &str) -> Vec<String> {
        self.rows(sql).into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// The error of statements that must fail.
    #[track_caller]
    pub fn error(&self, sql: &str) -> SqlError {
        match self.try_rows(sql) {
            Ok(rows) => panic!("expected an error, got {rows:?}\nfrom: {sql}"),
            Err(error) => error,
        }
    }

    /// The process id of the server's backend.
    #[track_caller]
    pub fn backend_pid(&self) -> i32 {
        self.value("select pg_backend_pid()").parse().unwrap()
    }

    /// The notices since the last call, as `WARNING: text`.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lock().unwrap())
    }

    /// The notifications since the last call, as `channel:payload`. They arrive with the answer of a statement.
    pub fn take_notifications(&self) -> Vec<String> {
        std::mem::take(&mut self.notifications.lock().unwrap())
    }
}
