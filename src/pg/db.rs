//! One session of one role, and its transactions.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::Mutex;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CopyInSink, CopyOutStream, Notification, Row, SimpleQueryMessage};

use super::connect;
use super::conninfo::{ClientSettings, Conninfo};
use super::kept::KeptStatements;
use super::pinned::{self, Pins, Scope};
use super::session::Session;
use super::sql::{Sql, sql};
use crate::error::{Error, Result, Role};
use crate::task::Abort;

/// A parameter with the type that it is sent as. Made by [`text`], [`int8`], [`int4`], [`boolean`], [`text_array`].
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A `text` parameter, from `&String`, `&&str` or `&Option<String>`.
pub(crate) fn text<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::TEXT)
}

/// A `bigint` parameter.
pub(crate) fn int8<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::INT8)
}

/// An `integer` parameter.
pub(crate) fn int4<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::INT4)
}

/// A `boolean` parameter.
pub(crate) fn boolean<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::BOOL)
}

/// A `text[]` parameter.
pub(crate) fn text_array<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::TEXT_ARRAY)
}

/// The beginning of a transaction behind a pooler, where `default_transaction_*` of role and database hold.
const BEGIN: &str = "begin isolation level read committed read write";

/// Removes what a COPY leaves that is given up while it begins. The client library prepares its statement under a name
/// (`s12`) and closes it when the server has answered both; a caller that does not wait for the answer leaves the statement
/// in the server connection, where the same name of the pool's next client would be in its way. Sent in one message with the
/// end of the transaction: after it, the session may have another server connection.
const FORGET_COPY: &str = "do $$
    declare
        v_name text;
    begin
        for v_name in
            select p.name from pg_catalog.pg_prepared_statements p
             where p.name operator(pg_catalog.~) '^s[0-9]+$' and p.statement operator(pg_catalog.~~) 'copy %' and not p.from_sql
        loop
            execute pg_catalog.format('deallocate %I', v_name);
        end loop;
    end $$";

/// One session. Its methods fail with [`Error::Query`] unless they say otherwise. Outside of a [`Tx`] each call is a
/// transaction of its own, so its locks and its snapshot end with the call.
pub struct Db {
    role: Role,
    session: Session,
    connected_at: Instant,
    /// Whether a [`Tx`] of the session is open.
    in_transaction: AtomicBool,
    /// Held by a call behind a pooler that sends a transaction of its own around its statement, so that two calls of
    /// different tasks do not mix theirs, and while a [`Tx`] begins.
    own_transaction: Mutex<()>,
    /// Whether a COPY behind a pooler was given up while its statement was being prepared: see [`FORGET_COPY`].
    copy_given_up: AtomicBool,
    kept: KeptStatements,
}

impl Db {
    /// Reads the connection string and opens a session, as [`Db::connect`]. Fails with [`Error::Conninfo`] too.
    pub async fn open<'a>(
        role: Role,
        conninfo: &str,
        client: impl Into<ClientSettings<'a>>,
        abort: &Abort,
    ) -> Result<Db> {
        Db::connect(role, &Conninfo::parse(role, conninfo, client)?, abort).await
    }

    /// Opens a session. When `abort` fires, the running statement is cancelled on the server; `abort` owns the task that
    /// moves the session's messages until the connection is closed. Fails with [`Error::Connect`], [`Error::Conninfo`] (a
    /// TLS file cannot be used) or [`Error::Aborted`].
    pub async fn connect(role: Role, conninfo: &Conninfo, abort: &Abort) -> Result<Db> {
        let session = connect::open(role, conninfo, abort).await?;
        Ok(Db {
            role,
            session,
            connected_at: Instant::now(),
            in_transaction: AtomicBool::new(false),
            own_transaction: Mutex::new(()),
            copy_given_up: AtomicBool::new(false),
            kept: KeptStatements::default(),
        })
    }

    /// The database of the session.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The server and database of the session, for messages: `host=db1 dbname=shop`.
    pub fn target(&self) -> &str {
        &self.session.target
    }

    /// How long the session has been open.
    pub(crate) fn age(&self) -> Duration {
        self.connected_at.elapsed()
    }

    /// Whether the session has ended, by the server or a broken connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.session.client.is_closed()
    }

    /// How the settings of the session are set.
    pub(super) fn pins(&mut self) -> &mut Pins {
        &mut self.session.pins
    }

    /// Whether a transaction pooler, such as pgbouncer, is between this session and the server. The next transaction
    /// may then get another server connection: no setting, lock, cursor or `listen` outlives a transaction.
    pub fn is_pooled(&self) -> bool {
        self.session.pins.scope != Scope::Session
    }

    /// Whether the database has encoding SQL_ASCII: its texts are bytes, which need not be UTF-8.
    pub(crate) fn is_sql_ascii(&self) -> bool {
        self.session.pins.sql_ascii
    }

    /// Runs a statement with the pinned settings. Behind a pooler, a statement outside of a [`Tx`] gets a transaction
    /// around it that sets them. When the future is dropped, that transaction is rolled back.
    async fn pinned<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let Scope::Transaction(pins) = &self.session.pins.scope else { return statement.await };
        if self.in_transaction.load(Ordering::Relaxed) {
            return statement.await;
        }
        let _alone = self.own_transaction.lock().await;
        if self.in_transaction.load(Ordering::Relaxed) {
            // It has begun meanwhile.
            return statement.await;
        }
        let mut open = OpenTransaction { db: self, is_open: true };
        let client = &self.session.client;
        client.batch_execute(&format!("{BEGIN}; {pins}")).await?;
        let done = statement.await?;
        client.batch_execute("commit").await?;
        open.is_open = false;
        Ok(done)
    }

    /// Runs one statement and returns its rows.
    pub async fn query(&self, action: &'static str, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let sql = sql.into();
        self.pinned(self.session.client.query_typed(sql.as_str(), params)).await.map_err(|e| self.failed(action, e))
    }

    /// Runs one statement and returns its rows, as [`Db::query`], for statements that a session runs again and again: the server
    /// parses and plans them once. Behind a pooler, where a server connection serves other clients too, they are not kept.
    pub(crate) async fn query_kept(
        &self,
        action: &'static str,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>> {
        let sql = sql.into();
        let client = &self.session.client;
        if self.is_pooled() {
            return self.query(action, sql, params).await;
        }
        let types = || params.iter().map(|(_, ty)| ty.clone()).collect();
        let Some(kept) = self.kept.find(client, &sql, types).await.map_err(|e| self.failed(action, e))? else {
            return self.query(action, sql, params).await;
        };
        let values: Vec<_> = params.iter().map(|(value, _)| *value).collect();
        client.query(&kept, &values).await.map_err(|e| {
            // The result of the statement may have other columns than when it was prepared.
            self.kept.forget(&sql);
            self.failed(action, e)
        })
    }

    /// Runs one statement and returns its first row; no row is an [`Error::Data`].
    pub async fn query_one(&self, action: &'static str, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<Row> {
        self.query_opt(action, sql, params).await?.ok_or_else(|| self.unexpected(action, "the server returned no row"))
    }

    /// Runs one statement and returns its first row; `None` when it gives no row.
    pub async fn query_opt(
        &self,
        action: &'static str,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<Option<Row>> {
        Ok(self.query(action, sql, params).await?.into_iter().next())
    }

    /// Runs one statement and returns the number of rows that the server reports for it.
    pub async fn execute(&self, action: &'static str, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<u64> {
        let sql = sql.into();
        self.pinned(self.session.client.execute_typed(sql.as_str(), params)).await.map_err(|e| self.failed(action, e))
    }

    /// Runs statements without parameters, separated by semicolons, in one round trip and, outside of a [`Tx`], as one
    /// transaction. Stops at the first that fails.
    pub async fn batch(&self, action: &'static str, sql: impl Into<Sql>) -> Result<()> {
        let sql = sql.into();
        self.pinned(self.session.client.batch_execute(sql.as_str())).await.map_err(|e| self.failed(action, e))
    }

    /// Runs a statement that cannot run in a transaction (`vacuum`), or that changes the session (`listen`). Behind a
    /// pooler it runs without the pinned settings.
    pub async fn batch_alone(&self, action: &'static str, sql: impl Into<Sql>) -> Result<()> {
        self.session.client.batch_execute(sql.into().as_str()).await.map_err(|e| self.failed(action, e))
    }

    /// Runs statements without parameters, as [`Db::batch`], and returns their rows and results, with values as text.
    pub async fn simple_query(&self, action: &'static str, sql: impl Into<Sql>) -> Result<Vec<SimpleQueryMessage>> {
        let sql = sql.into();
        self.pinned(self.session.client.simple_query(sql.as_str())).await.map_err(|e| self.failed(action, e))
    }

    /// Waits for the beginning of a COPY, and remembers when nobody waits for it any more.
    async fn prepared<T>(&self, copy: impl Future<Output = T>) -> T {
        let mut given_up = GivenUp(self.is_pooled().then_some(&self.copy_given_up));
        let begun = copy.await;
        given_up.0 = None;
        begun
    }

    /// Starts a `COPY ... TO STDOUT`, whose snapshot is held until its last row is read. Give errors of the stream to
    /// [`Db::failed`]. Behind a pooler, call it inside of a [`Tx`]: it does not set the pinned settings.
    pub async fn copy_out(&self, action: &'static str, sql: impl Into<Sql>) -> Result<CopyOutStream> {
        let sql = sql.into();
        self.prepared(Box::pin(self.session.client.copy_out(sql.as_str()))).await.map_err(|e| self.failed(action, e))
    }

    /// Stops the session's driver, which then neither reads nor sends, until [`Db::resume`]: bounds what is read ahead.
    pub(crate) fn hold(&self) {
        self.session.valve.shut();
    }

    /// Ends [`Db::hold`].
    pub(crate) fn resume(&self) {
        self.session.valve.open();
    }

    /// Starts a `COPY ... FROM STDIN`. Give errors of the sink to [`Db::failed`]. Behind a pooler, call it inside of a
    /// [`Tx`]: it does not set the pinned settings.
    pub async fn copy_in(&self, action: &'static str, sql: impl Into<Sql>) -> Result<CopyInSink<Bytes>> {
        let sql = sql.into();
        self.prepared(Box::pin(self.session.client.copy_in(sql.as_str()))).await.map_err(|e| self.failed(action, e))
    }

    /// The bare client, for calls that the methods here do not offer. Give its errors to [`Db::failed`]. Behind a
    /// pooler, use it inside of a [`Tx`]: it does not set the pinned settings.
    pub(crate) fn client(&self) -> &tokio_postgres::Client {
        &self.session.client
    }

    /// Starts a transaction. `begin` is the whole statement, such as `begin isolation level repeatable read`; further
    /// statements may follow it after a semicolon. Dropping the [`Tx`] without [`Tx::commit`] rolls the transaction back.
    /// One session has one transaction at a time; the caller sees to that.
    pub async fn begin(&self, action: &'static str, begin: impl Into<Sql>) -> Result<Tx<'_>> {
        let begin = begin.into();
        let (tx, _) = self.begin_with(action, begin.as_str()).await?;
        Ok(tx)
    }

    /// [`Db::begin`], with the answers of the server to the statements. Unless another task has a transaction open, the message is
    /// sent when the future is first polled: what is polled after it comes behind it.
    pub(crate) async fn begin_with(
        &self,
        action: &'static str,
        statements: &str,
    ) -> Result<(Tx<'_>, Vec<SimpleQueryMessage>)> {
        let statements = match &self.session.pins.scope {
            Scope::Session => statements.to_owned(),
            Scope::Transaction(pins) => {
                let (begin, rest) = statements.split_once(';').unwrap_or((statements, ""));
                let begin = if begin.trim() == "begin" { BEGIN } else { begin };
                [begin, pins, rest].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("; ")
            }
        };
        // A statement that has a transaction of its own ends first. The runtime may let `lock` wait for a turn though it is free.
        let _alone = match self.own_transaction.try_lock() {
            Ok(free) => free,
            Err(_) => self.own_transaction.lock().await,
        };
        // When the future is dropped, or fails half-way, the transaction is rolled back.
        self.in_transaction.store(true, Ordering::Relaxed);
        let tx = Tx { open: OpenTransaction { db: self, is_open: true } };
        let answers = self.session.client.simple_query(&statements).await.map_err(|e| self.failed(action, e))?;
        Ok((tx, answers))
    }

    /// Does work within the open transaction with the `search_path` of role and database, for statements that may call
    /// code of users (triggers, defaults, functions in constraints and indexes, event triggers), which may rely on that
    /// path. After an error the path stays so until the transaction ends.
    pub(crate) async fn with_users_path<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        const ACTION: &str = "set the search path";
        self.batch(ACTION, self.users_path()).await?;
        let done = work.await?;
        self.batch(ACTION, pinned::PATH).await?;
        Ok(done)
    }

    /// The text of a message with `statements` that run as in [`Db::with_users_path`]; those of `first` run before.
    pub(crate) fn in_users_path(&self, first: &str, statements: &str) -> String {
        format!("{first}{}; {statements}{}", self.users_path().as_str(), pinned::PATH)
    }

    /// The statement that sets the `search_path` of role and database until the transaction ends.
    fn users_path(&self) -> Sql {
        let path = Sql::literal(&self.session.pins.users_path);
        sql!("select pg_catalog.set_config('search_path', {path}, true)", path = path)
    }

    /// The next notification, or `None` when the session has ended. Cancel-safe.
    pub async fn notification(&mut self) -> Option<Notification> {
        self.session.notifications.recv().await
    }

    /// A notification that has arrived, if there is one.
    pub(crate) fn next_notification(&mut self) -> Option<Notification> {
        self.session.notifications.try_recv().ok()
    }

    /// Forgets the notifications that have arrived.
    pub(crate) fn drain_notifications(&mut self) {
        while self.session.notifications.try_recv().is_ok() {}
    }

    /// An error of this session's client as [`Error::Query`] with role, target and action.
    pub(crate) fn failed(&self, action: &'static str, source: tokio_postgres::Error) -> Error {
        Error::Query { role: self.role, target: self.session.target.clone(), action, context: String::new(), source }
    }

    /// An [`Error::Data`] of this session.
    pub(crate) fn unexpected(&self, action: &'static str, message: impl Into<String>) -> Error {
        Error::Data { role: self.role, target: self.session.target.clone(), action, message: message.into() }
    }

    /// Asks the server to cancel the running statement, if any, by a connection of its own. Whether one was cancelled
    /// is seen only by its error. Failures are logged for debugging.
    pub(crate) async fn cancel(&self) {
        self.session.cancel.cancel().await;
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({} {})", self.role, self.session.target)
    }
}

/// Sets the flag when it is dropped before it was cleared.
struct GivenUp<'a>(Option<&'a AtomicBool>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(flag) = self.0 {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

/// Sends ROLLBACK when it is dropped while the transaction is, or may be, open.
struct OpenTransaction<'a> {
    db: &'a Db,
    is_open: bool,
}

impl Drop for OpenTransaction<'_> {
    fn drop(&mut self) {
        let db = self.db;
        if self.is_open {
            // One poll hands the message to the session's driver, which sends it behind all earlier messages; the answer is
            // not waited for. The rollback thus follows also a statement whose future was dropped while it runs, and the
            // session can be used for the next statement.
            let _ = if db.copy_given_up.swap(false, Ordering::Relaxed) {
                db.session.client.batch_execute(&format!("rollback; {FORGET_COPY}")).now_or_never()
            } else {
                db.session.client.batch_execute("rollback").now_or_never()
            };
        }
        db.in_transaction.store(false, Ordering::Relaxed);
    }
}

/// An open transaction of a [`Db`]; dereferences to the [`Db`]. Locks are held until it is committed, rolled back or
/// dropped, which rolls it back.
pub struct Tx<'a> {
    open: OpenTransaction<'a>,
}

impl Tx<'_> {
    /// Commits; after an error the transaction is rolled back, unless the connection broke before the server's answer.
    /// Deferred constraint triggers, which are code of users, run with the `search_path` of role and database.
    pub async fn commit(mut self, action: &'static str) -> Result<()> {
        self.batch(action, sql!("{path}; commit", path = self.users_path())).await?;
        self.open.is_open = false;
        Ok(())
    }

    /// Rolls back.
    pub(crate) async fn rollback(mut self, action: &'static str) -> Result<()> {
        self.batch(action, "rollback").await?;
        self.open.is_open = false;
        Ok(())
    }
}

impl std::ops::Deref for Tx<'_> {
    type Target = Db;

    fn deref(&self) -> &Db {
        self.open.db
    }
}
