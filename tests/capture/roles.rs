//! Who writes with `session_replication_role = local` writes without replication, as with PgQ's C triggers.

use super::{events, provider};
use crate::support::{Cluster, QUEUE, Replication};

const WRITE: &str = "insert into t values (1, 'a'), (2, 'b'); update t set v = 'c' where id = 1; update t set v = 'd';
    delete from t where id = 1; truncate t";

#[track_caller]
fn assert_silent_as(r: &Replication, role: &str, context: &str) {
    let before = events(&r.provider).len();
    r.provider.sql(&format!("set session_replication_role = {role}; {WRITE}"));
    assert_eq!(events(&r.provider).len(), before, "{context}, {role}");
    assert_eq!(r.provider.value("select count(*) from londiste.capture_truncation"), "0", "{context}, {role}");
}

#[test]
fn what_is_written_in_role_local_is_not_captured() {
    let tables = [
        "create table t (id int primary key, v text)",
        // Captured early.
        "create table t (id int primary key, v text);
         create function f() returns trigger language plpgsql as 'begin return null; end';
         create trigger f after insert or update or delete on t for each row execute procedure f()",
        "create table t (id int primary key, v text) partition by range (id);
         create table low partition of t for values from (0) to (100)",
    ];
    for (nr, table) in tables.iter().enumerate() {
        if table.contains("partition") && Cluster::provider().binaries().major() < 11 {
            continue; // No primary keys on partitioned tables.
        }
        for (way, capture) in ["statement", "row"].into_iter().enumerate() {
            let format = ["sql", "urlenc", "json"][(nr + way) % 3];
            let context = format!("{capture}, {format}, {table}");
            let r = Replication::new();
            r.provider.sql(table);
            r.install();
            r.provider.sql(&format!(
                "select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', '{format}', null)"
            ));
            for role in ["local", "replica"] {
                assert_silent_as(&r, role, &context);
            }
            if table.contains("partition") {
                r.provider.sql("insert into t values (1, 'a')");
                let before = events(&r.provider).len();
                r.provider.sql("set session_replication_role = local; truncate low");
                assert_eq!(events(&r.provider).len(), before, "{context}");
            }
            // In a chain the triggers fire always: for a replica they capture, in role local they do not.
            r.provider.sql(&format!(
                "insert into londiste.subscriber_table (queue_name, table_name) values ('above', 'public.t');
                 select londiste.provider_refresh_table('{QUEUE}', 'public.t')"
            ));
            assert_silent_as(&r, "local", &context);
            let before = events(&r.provider).len();
            r.provider.sql(&format!("set session_replication_role = replica; {WRITE}"));
            assert!(events(&r.provider).len() >= before + 6, "{context}: {:?}", events(&r.provider));
            // The generic way.
            r.provider.sql("alter table t add column more int");
            assert_silent_as(&r, "local", &context);
        }
    }
}

/// All triggers of a partitioned table fire always, those of its partitions too, old and new.
#[test]
fn partitions_of_a_subscribed_table_capture_what_a_replica_writes() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    for subscribed in ["t", "low"] {
        let schema = "create table t (id int primary key, v text) partition by range (id);
             create table low partition of t for values from (0) to (100)";
        let r = provider("statement", schema, "t");
        r.provider.sql(&format!(
            "insert into londiste.subscriber_table (queue_name, table_name) values ('above', 'public.{subscribed}');
             select londiste.provider_maintain('{QUEUE}');
             create table high partition of t for values from (100) to (200);
             set session_replication_role = replica;
             insert into t values (1, 'a'), (101, 'b'); insert into low values (2, 'c')"
        ));
        let expected = ["t I (id,v) values ('1','a')", "t I (id,v) values ('101','b')", "t I (id,v) values ('2','c')"];
        assert_eq!(events(&r.provider), expected, "{subscribed}");
    }
}
