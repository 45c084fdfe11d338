//! The SQL in the databases, called as its clients call it.

mod definers;
mod literals;
mod pgq_access;
mod pgq_batches;
mod pgq_catalog;
mod pgq_install;
mod pgq_model;
mod pgq_pooler;
mod pgq_queues;
mod pgq_rebase;
mod pgq_retry;
mod pgq_rights;
mod pgq_rotation;
mod pgq_subconsumers;
mod pgq_ticks;
mod pgq_trigger_arguments;
mod pgq_triggers;
mod pgq_upgrade;

use rlondiste::pgq::schema;

use crate::support::{Cluster, Database, Session, SqlError};

/// The owner of schema `pgq` in these tests: owns its database, and is no superuser.
const OWNER: &str = "queue_owner";

/// Creates roles where they are missing. Roles belong to the shared cluster: another test may do it at the same time.
fn create_roles(roles: &[&str]) {
    create_roles_in(Cluster::provider(), roles);
}

fn create_roles_in(cluster: &Cluster, roles: &[&str]) {
    for role in roles {
        cluster.sql(&format!(
            "do $$ begin create role {role}; exception when duplicate_object or unique_violation then null; end $$"
        ));
    }
}

/// An empty database of [`OWNER`], in a cluster that has the roles of PgQ 3.
fn empty_database() -> Database {
    empty_database_in(Cluster::provider())
}

fn empty_database_in(cluster: &Cluster) -> Database {
    create_roles_in(cluster, &[OWNER, "pgq_reader", "pgq_writer", "pgq_admin"]);
    let database = cluster.database();
    database
        .sql(&format!("alter database {} owner to {OWNER}; grant create on schema public to {OWNER}", database.name()));
    database
}

/// A session with the rights of a role.
fn session_as(database: &Database, role: &str) -> Session {
    let session = database.session();
    session.sql(&format!("set role {role}"));
    session
}

/// Installs schema `pgq` as the program does it: all files in one transaction.
fn try_install(session: &Session) -> Result<(), SqlError> {
    session.try_rows("begin; set local client_min_messages = warning; set local check_function_bodies = off")?;
    for (name, sql) in schema::FILES {
        if let Err(error) = session.try_rows(sql) {
            session.sql("rollback");
            return Err(SqlError { message: format!("{name}: {}", error.message), ..error });
        }
    }
    session.try_rows("commit").map(|_| ())
}

/// A database with schema `pgq`, installed by [`OWNER`], and a session of that role.
fn installed() -> (Database, Session) {
    installed_in(Cluster::provider())
}

fn installed_in(cluster: &Cluster) -> (Database, Session) {
    let database = empty_database_in(cluster);
    let session = session_as(&database, OWNER);
    try_install(&session).unwrap_or_else(|error| panic!("{error}"));
    (database, session)
}

/// As [`installed`], with queue `q`, which ticks at every call after an event, and its consumer `c`.
fn with_queue() -> (Database, Session) {
    with_queue_in(Cluster::provider())
}

/// In a cluster of the test's own, where no other test's transaction holds up a rotation.
fn with_queue_in(cluster: &Cluster) -> (Database, Session) {
    let (database, session) = installed_in(cluster);
    session.sql(
        "select pgq.create_queue('q'); select pgq.set_queue_config('q', 'ticker_max_count', '1');
         select pgq.register_consumer('q', 'c')",
    );
    (database, session)
}

/// Makes a tick now.
fn tick(session: &Session) -> i64 {
    session.sql("select pgq.force_tick('q')");
    session.value("select pgq.ticker('q')").parse().unwrap()
}

/// Takes the next batch of consumer `c`, finishes it, and returns the ev_data of its events.
fn consume(session: &Session) -> Option<Vec<String>> {
    let batch = session.value("select pgq.next_batch('q', 'c')");
    if batch == "NULL" {
        return None;
    }
    let events = session.column(&format!("select ev_data from pgq.get_batch_events({batch})"));
    session.sql(&format!("select pgq.finish_batch({batch})"));
    Some(events)
}
