//! What becomes of a statement when nobody waits for it any more.

use std::time::Duration;

use pretty_assertions::assert_eq;
use rlondiste::pg::Db;
use rlondiste::task::Abort;
use rlondiste::{Error, Role};

use super::{block_on, connect};
use crate::support::{Cluster, Database, wait_until};

/// How many sessions with this application name run a statement.
fn running(database: &Database, name: &str) -> String {
    let sql = "select count(*)::text from pg_stat_activity where state = 'active' and application_name = ";
    database.value(&format!("{sql} '{name}'"))
}

#[track_caller]
fn wait_for_running(database: &Database, name: &str, expected: &str) {
    wait_until("the number of running statements is right", || match running(database, name) {
        count if count == expected => Ok(()),
        count => Err(count),
    });
}

#[test]
fn abort_cancels_the_running_statement() {
    let database = Cluster::provider().database();
    let conninfo = format!("{} application_name=abort", database.conninfo());
    let outcome = block_on(async {
        let abort = Abort::new();
        let db = Db::open(Role::Provider, &conninfo, "job", &abort).await.unwrap();
        let later = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            abort.cancel();
        };
        let (outcome, ()) = tokio::join!(db.query("sleep", "select pg_sleep(600)", &[]), later);
        outcome.unwrap_err()
    });
    assert_eq!(outcome.code().map(tokio_postgres::error::SqlState::code), Some("57014"));
}

#[test]
fn abort_ends_an_attempt_to_connect() {
    let cluster = Cluster::builder().name("stalled").tcp().start();
    let proxy = crate::support::Proxy::to_cluster(&cluster);
    proxy.set_traffic(crate::support::Traffic::Stall);
    let outcome = block_on(async {
        let abort = Abort::new();
        let later = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            abort.cancel();
        };
        let conninfo = proxy.conninfo("postgres");
        let (outcome, ()) = tokio::join!(Db::open(Role::Provider, &conninfo, "job", &abort), later);
        outcome.map(drop)
    });
    assert!(matches!(outcome, Err(Error::Aborted)), "{outcome:?}");
}

#[test]
fn statement_of_a_dropped_session_is_cancelled() {
    let database = Cluster::provider().database();
    let db = connect(&format!("{} application_name=dropped", database.conninfo())).unwrap();
    block_on(async {
        let statement = db.query("sleep", "select pg_sleep(600)", &[]);
        assert!(tokio::time::timeout(Duration::from_millis(100), statement).await.is_err());
    });
    wait_for_running(&database, "dropped", "1");
    drop(db);
    wait_for_running(&database, "dropped", "0");
}

#[test]
fn notifications_arrive() {
    let database = Cluster::provider().database();
    let mut db = connect(database.conninfo()).unwrap();
    block_on(db.batch("listen", "listen queue")).unwrap();
    database.sql("select pg_notify('queue', 'q1')");
    let notification = block_on(db.notification()).unwrap();
    assert_eq!((notification.channel(), notification.payload()), ("queue", "q1"));
}

/// Any role may send notifications. Those that nobody reads are no burden.
#[test]
fn notifications_that_nobody_reads_take_no_memory() {
    const NOTIFICATIONS: usize = 20_000;
    let database = Cluster::provider().database();
    let mut db = connect(database.conninfo()).unwrap();
    block_on(db.batch("listen", "listen queue")).unwrap();
    let flood = format!("select pg_notify('queue', g || repeat('x', 7000)) from generate_series(1, {NOTIFICATIONS}) g");
    database.sql(&flood);
    // All of them stand before this answer.
    block_on(db.batch("ask", "select 1")).unwrap();
    let mut kept = 0;
    while block_on(async { tokio::time::timeout(Duration::from_secs(1), db.notification()).await }).is_ok() {
        kept += 1;
    }
    assert!((1..100).contains(&kept), "{kept} of {NOTIFICATIONS} were kept");
    // One that comes later is heard.
    database.sql("select pg_notify('queue', 'later')");
    assert_eq!(block_on(db.notification()).unwrap().payload(), "later");
}

/// What the server knows of its connection to a session of ours.
const CONNECTION: &str =
    "select concat_ws(' ', current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
    current_setting('tcp_keepalives_count'), current_setting('tcp_user_timeout', true),
    current_setting('client_connection_check_interval', true))";

#[test]
fn server_notices_that_this_program_is_gone() {
    let cluster = Cluster::builder().name("tcp").tcp().start();
    let db = connect(&cluster.conninfo("postgres")).unwrap();
    let seen: String = block_on(db.query_one("ask", CONNECTION, &[])).unwrap().get(0);
    let expected = match cluster.database().major() {
        ..12 => "10 5 4",
        12..14 => "10 5 4 30000",
        _ => "10 5 4 30000 10s",
    };
    assert_eq!(seen, expected);
}
