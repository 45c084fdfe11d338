//! A database of one test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Cluster, Session, SqlError, run_dir};

/// A database with a name of its own, dropped with the value. Each call of `sql`, `rows`, `value` is a session of its
/// own; [`Database::session`] is one that lasts.
#[derive(Debug)]
pub struct Database {
    name: String,
    conninfo: String,
    socket_conninfo: String,
    maintenance_conninfo: String,
    major: u32,
}

impl Database {
    #[track_caller]
    pub(super) fn create(cluster: &Cluster, options: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Self::existing(cluster, &name);
        // A third of the time of the default, which writes every block to the WAL.
        let strategy = if database.major >= 15 { "strategy file_copy" } else { "" };
        Session::connect(&database.maintenance_conninfo)
            .unwrap_or_else(|error| panic!("could not create database {name}: {error}"))
            .sql(&format!("create database {name} template template0 {strategy} {options}"));
        database
    }

    /// A database that something else creates (`pg_dump -C`, say); it is dropped with the value all the same.
    pub fn existing(cluster: &Cluster, name: &str) -> Self {
        Database {
            name: name.to_owned(),
            conninfo: cluster.conninfo(name),
            socket_conninfo: cluster.socket_conninfo(name),
            maintenance_conninfo: cluster.socket_conninfo("postgres"),
            major: cluster.binaries().major(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The connection string, as an ini file would have it.
    pub fn conninfo(&self) -> &str {
        &self.conninfo
    }

    /// Where it is, as messages say it.
    pub fn place(&self) -> String {
        let words: Vec<&str> = self.conninfo.split(' ').collect();
        let [host, port, user, dbname] = words.as_slice() else { panic!("{words:?}") };
        format!("{host} {port} {dbname} {user}")
    }

    /// The connection string of another user.
    pub fn conninfo_as(&self, user: &str) -> String {
        self.conninfo.replace("user=postgres", &format!("user={user}"))
    }

    /// The major version of its server.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// A session of its own, for transactions that stay open.
    #[track_caller]
    pub fn session(&self) -> Session {
        self.try_session().unwrap_or_else(|error| panic!("could not connect to {}: {error}", self.socket_conninfo))
    }

    pub fn try_session(&self) -> Result<Session, SqlError> {
        Session::connect(&self.socket_conninfo)
    }

    /// Runs statements; panics when one fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        self.session().sql(sql);
    }

    /// Runs statements and returns their rows; panics when one fails.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.session().rows(sql)
    }

    /// As [`Database::rows`], without a panic.
    pub fn try_rows(&self, sql: &str) -> Result<Vec<Vec<String>>, SqlError> {
        self.try_session()?.try_rows(sql)
    }

    /// The only value that the statements return.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        self.session().value(sql)
    }

    /// The first column of all rows.
    #[track_caller]
    pub fn column(&self, sql: &str) -> Vec<String> {
        self.session().column(sql)
    }

    /// The error of statements that must fail.
    #[track_caller]
    pub fn error(&self, sql: &str) -> SqlError {
        self.session().error(sql)
    }

    /// Has the server's log tell the statements of all sessions that begin from now on.
    pub fn log_statements(&self) {
        self.sql(&format!("alter database \"{}\" set log_statement = 'all'", self.name));
    }

    fn drop_database(&self) -> Result<(), SqlError> {
        let session = Session::connect(&self.maintenance_conninfo)?;
        session.try_rows(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'",
            self.name
        ))?;
        let force = if self.major >= 13 { " with (force)" } else { "" };
        session.try_rows(&format!("drop database if exists \"{}\"{force}", self.name))?;
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if thread::panicking() {
            run_dir::keep();
            eprintln!("kept: database {}", self.socket_conninfo);
        } else {
            // The server may be stopped by now; then its directory goes as a whole.
            let _ = self.drop_database();
        }
    }
}
