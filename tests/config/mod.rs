//! Configuration and connection strings against real servers.

mod authentication;
mod certificates;
mod hostile;
mod hosts;
mod libpq;
mod session;
mod tls;

use std::future::Future;

use rlondiste::pg::conninfo::Environment;
use rlondiste::pg::{Conninfo, Db, Sql};
use rlondiste::task::Abort;
use rlondiste::{Report, Result, Role};

/// Opens a session and gives its error as an operator would read it, without the hint.
fn connect(conninfo: &str) -> Result<Db, String> {
    connect_in(&Environment::of_process(), conninfo)
}

fn connect_in(environment: &Environment, conninfo: &str) -> Result<Db, String> {
    let opened = block_on(async {
        let conninfo = Conninfo::parse_in(environment, Role::Provider, conninfo, "job")?;
        Db::connect(Role::Provider, &conninfo, &Abort::new()).await
    });
    opened.map_err(|error| Report(&error).to_string().split("\nHINT: ").next().unwrap_or_default().to_owned())
}

/// Runs on a runtime that lives as long as the test process, because sessions are driven by it.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap()).block_on(future)
}

/// The only value of a query.
fn value(db: &Db, sql: &str) -> String {
    let row = block_on(db.query_one("ask", Sql::from_operator(sql), &[])).unwrap();
    row.get(0)
}

/// The hint of a connection string that must not work; empty when there is none.
#[track_caller]
fn hint(conninfo: &str) -> String {
    match block_on(Db::open(Role::Provider, conninfo, "job", &Abort::new())) {
        Ok(db) => panic!("{conninfo} works: {db:?}"),
        Err(error) => {
            Report(&error).to_string().split_once("\nHINT: ").map(|(_, hint)| hint.to_owned()).unwrap_or_default()
        }
    }
}

/// The error of a connection string that must not work.
#[track_caller]
fn refused(conninfo: &str) -> String {
    match connect(conninfo) {
        Ok(db) => panic!("{conninfo} works: {db:?}"),
        Err(message) => message,
    }
}
