//! A statement that nobody waits for any more leaves the session usable and the pool clean.

use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use pretty_assertions::assert_eq;
use rlondiste::Role;
use rlondiste::pg::Db;
use rlondiste::task::Abort;

use super::{assert_nothing_kept, block_on};
use crate::support::{Cluster, Database, LoginOptions, PoolMode, Pooler, wait_until, wait_within};

/// A session of the program behind a pooler.
fn open(pooler: &Pooler, database: &Database) -> Db {
    block_on(Db::open(Role::Provider, &pooler.conninfo(database), "job", &Abort::new())).unwrap()
}

/// Sends what a future sends first, and gives the future up. Where the answer is there already, what comes of it is dropped.
fn send_and_give_up<T>(future: impl Future<Output = T>) {
    drop(future.now_or_never());
}

/// Polls a future so many times, and gives it up when it would be polled once more.
async fn poll_and_give_up<T>(future: impl Future<Output = T>, polls: usize) {
    let mut future = std::pin::pin!(future);
    let mut count = 0;
    std::future::poll_fn(|cx| {
        count += 1;
        if count > polls || future.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn single_connection() -> Option<(Database, Pooler)> {
    let database = Pooler::is_installed().then(|| Cluster::provider().database())?;
    let pooler = Pooler::start(&[&database], PoolMode::Transaction, 1, LoginOptions::Refused);
    Some((database, pooler))
}

/// No session of the database waits in a transaction.
#[track_caller]
fn assert_none_open(database: &Database) {
    let open = "select count(*) from pg_stat_activity where state like 'idle in%' and datname = current_database()";
    wait_within(Duration::from_mins(1), "no transaction is open", || match database.value(open) {
        count if count == "0" => Ok(()),
        count => Err(count),
    });
}

async fn isolation(db: &Db) -> String {
    db.query_one("ask", "select current_setting('transaction_isolation')", &[]).await.unwrap().get(0)
}

/// pgbouncer 1.18 ends when a client that asks for a cancel does not wait until it is done.
#[test]
fn cancel_requests_do_no_harm_to_the_pooler() {
    let Some((database, pooler)) = single_connection() else { return };
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'";
    for end in ["drop", "abort"].repeat(10) {
        let abort = Abort::new();
        let db = block_on(Db::open(Role::Provider, &pooler.conninfo(&database), "job", &abort)).unwrap();
        block_on(async {
            let statement = db.query("sleep", "select pg_sleep(600)", &[]);
            assert!(tokio::time::timeout(Duration::from_millis(30), statement).await.is_err());
        });
        match end {
            "drop" => drop(db),
            _ => abort.cancel(),
        }
        wait_until("the statement is cancelled", || match database.value(running) {
            count if count == "0" => Ok(()),
            count => Err(format!("{count}: {}", pooler.log())),
        });
    }
    assert!(!pooler.log().contains("FATAL"), "{}", pooler.log());
    assert_nothing_kept(&pooler, &database);
}

#[test]
fn copy_that_is_given_up_while_it_begins_leaves_no_statement_in_the_pool() {
    let Some((database, pooler)) = single_connection() else { return };
    database.sql("create table t (id int)");
    let db = open(&pooler, &database);
    for copy in ["out", "in"] {
        block_on(async {
            let tx = db.begin("begin", "begin").await.unwrap();
            if copy == "out" {
                send_and_give_up(tx.copy_out("copy", "copy public.t to stdout"));
            } else {
                send_and_give_up(tx.copy_in("copy", "copy public.t from stdin"));
            }
            drop(tx);
            db.query("go on", "select 1", &[]).await.unwrap();
        });
        assert_nothing_kept(&pooler, &database);
    }
}

#[test]
fn transaction_that_is_given_up_while_it_begins_is_not_open() {
    let Some((database, pooler)) = single_connection() else { return };
    let db = open(&pooler, &database);
    block_on(async {
        send_and_give_up(db.begin("begin", "begin isolation level repeatable read; select 1"));
        let tx = db.begin("begin again", "begin").await.unwrap();
        assert_eq!(isolation(&tx).await, "read committed");
        drop(tx);
        send_and_give_up(db.begin("begin", "begin isolation level repeatable read"));
    });
    assert_none_open(&database);
    assert_nothing_kept(&pooler, &database);
}

#[test]
fn statement_that_is_given_up_does_not_stop_the_next_one() {
    let Some((database, pooler)) = single_connection() else { return };
    database.sql("create table t (id int)");
    let db = open(&pooler, &database);
    block_on(async {
        for polls in 0..6 {
            for statement in ["select 1 / 0", "insert into public.t values (1)"] {
                poll_and_give_up(db.query("ask", statement, &[]), polls).await;
                assert_eq!(isolation(&db).await, "read committed", "{statement} after {polls} polls");
            }
        }
    });
    assert_none_open(&database);
    assert_nothing_kept(&pooler, &database);
}
