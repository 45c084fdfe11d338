//! The ticker's maintenance brings capture up to date.

use super::{events, provider};
use crate::support::QUEUE;

/// How many of a table's capture functions know a column.
fn knowing(r: &crate::support::Replication, column: &str) -> String {
    r.provider
        .value(&format!("select count(*) from pg_proc where proname ~ '^capture_[0-9]+_' and prosrc like '%{column}%'"))
}

#[test]
fn functions_are_made_anew_after_ddl() {
    let r = provider("statement", "create table t (id int primary key, v text)", "t");
    let maintain = format!("select londiste.provider_maintain('{QUEUE}')");
    assert_eq!(r.provider.value(&maintain), "0");
    r.provider.sql("alter table t add column more int; insert into t values (1, 'a', 2)");
    assert_eq!(knowing(&r, "more"), "0");
    // A table in use is left for the next round, and nobody waits for it.
    let writer = r.provider.session();
    writer.sql("begin; insert into t values (2, 'b', 3)");
    r.provider.sql(&format!("set statement_timeout = '20s'; {maintain}"));
    writer.sql("commit");
    r.provider.sql(&maintain);
    assert_ne!(knowing(&r, "more"), "0");
    r.provider.sql("insert into t values (3, 'c', 4)");
    let expected = [
        "t I (id,v,more) values ('1','a','2')",
        "t I (id,v,more) values ('2','b','3')",
        "t I (id,v,more) values ('3','c','4')",
    ];
    assert_eq!(events(&r.provider), expected);
    assert_eq!(r.provider.value(&maintain), "0");
}

#[test]
fn new_partitions_get_triggers() {
    let schema = "create table t (id int primary key) partition by range (id);
                  create table low partition of t for values from (0) to (100)";
    let r = provider("statement", schema, "t");
    if r.provider.major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    r.provider.sql("create table high partition of t for values from (100) to (200)");
    let triggers = "select count(*) from pg_trigger where tgrelid = 'high'::regclass and not tgisinternal";
    assert_eq!(r.provider.value(triggers), "0");
    assert_eq!(r.provider.value(&format!("select londiste.provider_maintain('{QUEUE}')")), "1");
    assert_ne!(r.provider.value(triggers), "0");
    r.provider
        .sql("insert into high values (100); insert into t values (1), (101); update high set id = 102 where id = 101");
    r.provider.sql("delete from high where id = 100; drop table low");
    assert_eq!(r.provider.value(&format!("select londiste.provider_maintain('{QUEUE}')")), "1");
    let expected = [
        "t I (id) values ('100')",
        "t I (id) values ('1')",
        "t I (id) values ('101')",
        "t U id='102' where id='101'",
        "t D id='100'",
    ];
    assert_eq!(events(&r.provider), expected);
}
