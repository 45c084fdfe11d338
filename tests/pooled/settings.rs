//! Every transaction has the pinned settings, whatever the server connection of the pool has that it comes by.

use pretty_assertions::assert_eq;
use rlondiste::Role;
use rlondiste::pg::Db;
use rlondiste::task::Abort;

use super::{block_on, kept};
use crate::support::{Cluster, Database, LoginOptions, PoolMode, Pooler};

/// Settings that decide what a value looks like or when a statement ends, as one text.
const SETTINGS: &str = "select concat_ws(' ', current_setting('bytea_output'), current_setting('datestyle'),
    current_setting('intervalstyle'), current_setting('standard_conforming_strings'), current_setting('statement_timeout'),
    current_setting('search_path'), current_setting('transaction_isolation'), current_setting('transaction_read_only'))";

const PINNED: &str = "hex ISO, MDY postgres on 0 pg_catalog, pg_temp read committed off";

/// A session of the program behind a pooler.
fn open(pooler: &Pooler, database: &Database) -> Db {
    block_on(Db::open(Role::Provider, &pooler.conninfo(database), "job", &Abort::new())).unwrap()
}

/// Settings of one statement by itself, and in a transaction.
fn seen(db: &Db) -> [String; 2] {
    block_on(async {
        let alone = db.query_one("ask", SETTINGS, &[]).await.unwrap().get(0);
        let tx = db.begin("begin", "begin").await.unwrap();
        let within = tx.query_one("ask", SETTINGS, &[]).await.unwrap().get(0);
        [alone, within]
    })
}

#[test]
fn what_another_client_has_set_for_its_session_does_not_reach_ours() {
    if !Pooler::is_installed() {
        return;
    }
    let database = Cluster::provider().database();
    let pooler = Pooler::start(&[&database], PoolMode::Transaction, 1, LoginOptions::Ignored);
    let db = open(&pooler, &database);
    assert_eq!(seen(&db), [PINNED; 2]);
    pooler.session(&database).sql(
        "set bytea_output = escape; set intervalstyle = iso_8601; set statement_timeout = '7 s'; set search_path = nowhere;
         set default_transaction_isolation = serializable; set default_transaction_read_only = on",
    );
    assert_eq!(seen(&db), [PINNED; 2]);
    // The other client finds its own again.
    let mut kept = kept(&pooler, &database);
    kept.sort();
    assert_eq!(
        kept,
        [
            "setting IntervalStyle = iso_8601",
            "setting bytea_output = escape",
            "setting default_transaction_isolation = serializable",
            "setting default_transaction_read_only = on",
            "setting search_path = nowhere",
            "setting statement_timeout = 7000",
        ]
    );
}

#[test]
fn defaults_that_change_later_do_not_reach_our_sessions() {
    if !Pooler::is_installed() {
        return;
    }
    let database = Cluster::provider().database();
    let pooler = Pooler::start(&[&database], PoolMode::Transaction, 2, LoginOptions::Refused);
    let db = open(&pooler, &database);
    for setting in [
        "bytea_output = escape",
        "datestyle = 'German, DMY'",
        "statement_timeout = '7 s'",
        "standard_conforming_strings = off",
        "default_transaction_isolation = 'repeatable read'",
    ] {
        database.sql(&format!("alter database {} set {setting}", database.name()));
    }
    database.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()",
    );
    // The pooler notices that its server connections are gone, and opens others.
    drop(pooler.all_sessions(&database));
    assert_eq!(seen(&db), [PINNED; 2]);
    let now = pooler.all_sessions(&database).iter().map(|s| s.value("show bytea_output")).collect::<Vec<_>>();
    assert_eq!(now, ["escape"; 2]);
}

#[test]
fn options_of_the_connection_string_that_do_not_arrive_are_an_error() {
    if !Pooler::is_installed() {
        return;
    }
    let database = Cluster::provider().database();
    let error = |options: LoginOptions| {
        let pooler = Pooler::start(&[&database], PoolMode::Transaction, 1, options);
        let conninfo = format!("{} options='-c work_mem=64MB'", pooler.conninfo(&database));
        let error = block_on(Db::open(Role::Provider, &conninfo, "job", &Abort::new())).unwrap_err();
        let text = rlondiste::Report(&error).to_string();
        let text = text.split_once("): ").unwrap_or_else(|| panic!("{text}")).1;
        text.lines().next().unwrap().to_owned()
    };
    let advice = "give these settings to the role (\"alter role ... set\") and take the options away";
    assert_eq!(
        error(LoginOptions::Refused),
        format!(
            "unsupported startup parameter: options (08P01); a connection pooler may not take the options of the connection \
             string (-c work_mem=64MB): {advice}"
        )
    );
    assert_eq!(
        error(LoginOptions::Ignored),
        format!("a connection pooler has left out the options of the connection string (-c work_mem=64MB): {advice}")
    );
}
