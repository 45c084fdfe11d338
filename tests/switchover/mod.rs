//! A switchover: the fence that keeps writers out, and the commands.

mod arming;
mod commands;
mod fence;
mod fence_rights;
mod fence_traps;
mod follow;
mod pass;
mod place;
mod rehearsal;
mod rounds;
mod sequences;

pub use follow::Third;
pub use place::{Place, assert_open, is_open};

use crate::support::{Cluster, Database, Replication, Session, SqlError};

/// The state of a fence without an end.
const CLOSED: &str = "9223372036854775807";

/// A database with schemas pgq and londiste, and with these tables.
fn database_in(cluster: &Cluster, schema: &str) -> Replication {
    let r = Replication::between(cluster, Cluster::subscriber());
    r.provider.sql(schema);
    r.ticker.run("install");
    r.londiste.run("provider install");
    r
}

fn database(schema: &str) -> Replication {
    database_in(Cluster::provider(), schema)
}

/// Arms all tables of the database, one in a transaction.
fn arm(database: &Database) {
    for oid in database.column("select relation from londiste.fence_relations(null) where problem is null") {
        database.sql(&format!("select londiste.fence_arm({oid})"));
    }
}

/// The message by which the fence is closed until a time, given as an expression, or for good.
fn closing(from: &str, to: &str) -> String {
    format!(
        "set transaction isolation level read committed, read write; set local lock_timeout = '300ms';
         set local synchronous_commit = on;
         select londiste.fence_close(null, {from}, {to}, 'shop has moved to host=new', 'Connect there.')"
    )
}

fn close(database: &Database) -> Result<(), SqlError> {
    database.try_rows(&closing("1", CLOSED)).map(drop)
}

/// An expression for a time from now.
fn after(seconds: i32) -> String {
    format!("londiste.fence_clock() + {seconds} * 1000000::int8")
}

fn open(database: &Database) {
    assert_eq!(database.value(&format!("select londiste.fence_open({})", state(database))), "t");
}

fn state(database: &Database) -> String {
    database.value("select last_value from londiste.fence_state")
}

#[track_caller]
fn assert_refused(session: &Session, sql: &str) {
    let error = session.error(sql);
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("25006", "shop has moved to host=new"),
        "{sql}: {error}"
    );
}
