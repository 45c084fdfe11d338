//! TRUNCATE of partitions: the subscriber loses the rows that the provider loses, no more and no fewer.

use crate::apply::{Replay, SETTINGS};
use crate::support::{Cluster, QUEUE, Replication, assert_same_rows, wait_until};

const SCHEMA: &str = "
    create table parts (id int, region text, primary key (id, region)) partition by list (region);
    create table parts_a partition of parts for values in ('a');
    create table parts_b partition of parts for values in ('b');
    create table others (id int, region text, primary key (id, region)) partition by list (region);
    create table others_a partition of others for values in ('a');
    create table plain (id int primary key);
";
const TABLES: [&str; 2] = ["parts", "others"];

fn provider(capture: &str, format: &str) -> Replication {
    let r = Replication::new().with_schema(SCHEMA);
    r.install();
    for table in TABLES {
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.{table}', '{capture}', '{format}', null)"
        ));
    }
    r.provider.sql("insert into parts values (1, 'a'), (2, 'b'); insert into others values (1, 'a')");
    r
}

#[track_caller]
fn assert_replayed(r: &Replication) {
    Replay::new(&r.provider, &r.subscriber, SETTINGS, "public.parts public.others")
        .apply("select * from pgq.event_1 order by ev_id")
        .unwrap();
    assert_same_rows(&r.provider, &r.subscriber, &TABLES);
}

/// Rows that came after the snapshot of a transaction would be truncated unseen: it has to be repeated.
#[test]
fn rows_newer_than_the_snapshot_are_not_truncated_unseen() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    for (isolation, capture, format) in [
        ("repeatable read", "statement", "urlenc"),
        ("serializable", "row", "sql"),
        ("repeatable read", "statement", "json"),
    ] {
        let r = provider(capture, format);
        let (old, new) = (r.provider.session(), r.provider.session());
        old.sql(&format!("begin isolation level {isolation}; select 1 from plain"));
        new.sql("insert into parts values (3, 'a')");
        let error = old.error("truncate parts_a");
        assert_eq!(error.code, "40001", "{error}");
        assert!(error.to_string().contains("partition public.parts_a may hold rows"), "{error}");
        old.sql("rollback");

        // The snapshot knows of the other transaction, which commits later.
        new.sql("begin; insert into parts values (4, 'a')");
        old.sql(&format!("begin isolation level {isolation}; select 1 from plain"));
        new.sql("commit");
        assert_eq!(old.error("truncate parts_a").code, "40001");
        old.sql("rollback");
        assert_eq!(r.provider.value("select count(*) from parts_a"), "3");

        // Who is repeated while nothing commits anywhere in the cluster gets through, in spite of who gave up, who still writes
        // elsewhere, and its own subtransactions.
        let open = r.provider.session();
        open.sql("begin; insert into plain values (1)");
        wait_until("the transaction was repeated when nothing else committed", || {
            old.sql(&format!(
                "begin isolation level {isolation}; select 1 from plain; insert into parts values (5, 'a')"
            ));
            new.sql("begin; insert into parts values (6, 'a'); rollback");
            old.sql("savepoint one; insert into parts values (7, 'a'); rollback to one; savepoint two; delete from parts where id = 1");
            let result = old.try_rows("truncate parts_a; insert into parts values (8, 'a')");
            old.sql(if result.is_ok() { "commit" } else { "rollback" });
            result
        });
        open.sql("commit");
        assert_eq!(r.provider.column("select id from parts order by 1"), ["2", "8"]);
        assert_replayed(&r);
    }
}

/// Read committed sees all that is there once it has the lock.
#[test]
fn read_committed_truncates_rows_that_came_while_it_waited() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let r = provider("statement", "sql");
    let (old, new) = (r.provider.session(), r.provider.session());
    new.sql("begin; insert into parts values (3, 'a')");
    let pid = old.backend_pid();
    std::thread::scope(|scope| {
        scope.spawn(|| old.sql("begin; select 1 from plain; truncate parts_a; commit"));
        wait_until("truncate waits for the lock", || {
            let waits = r.provider.value(&format!("select count(*) from pg_locks where pid = {pid} and not granted"));
            if waits == "1" { Ok(()) } else { Err(format!("{waits} locks")) }
        });
        new.sql("commit");
    });
    assert_eq!(r.provider.column("select id from parts"), ["2"]);
    assert_replayed(&r);
}

/// A table that is truncated as a whole says so itself, for its own partitions only.
#[test]
fn partitions_of_another_table_in_the_same_statement_are_deleted() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    for statement in ["truncate others, parts_a", "truncate parts_a, others", "truncate others, parts_a, others_a"] {
        let r = provider("statement", "sql");
        r.provider.sql(statement);
        assert_eq!(r.provider.column("select id from parts"), ["2"]);
        assert_eq!(r.provider.value("select count(*) from others"), "0");
        assert_replayed(&r);
    }
}

/// Only TRUNCATE of the table itself spares its partitions the deletes: nothing that a writer can set, write or call.
#[test]
fn no_writer_can_truncate_a_partition_unseen() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let r = provider("statement", "sql");
    let role = format!("truncater_{}", r.provider.name());
    Cluster::provider().sql(&format!("create role {role}"));
    r.provider.sql(&format!("grant select, insert, truncate, trigger on parts, parts_a, parts_b to {role}"));
    let writer = r.provider.session();
    writer.sql(&format!("set role {role}"));
    let root = writer.value("select 'parts'::regclass::oid");

    writer.sql(&format!("set londiste.truncating = '{root}'; truncate parts_a"));
    assert_eq!(r.provider.value("select count(*) from pgq.event_1 where ev_type = 'D'"), "1");
    let mark = format!("insert into londiste.capture_truncation values ({root}, txid_current())");
    assert_eq!(writer.error(&mark).code, "42501");

    // After the table's own TRUNCATE, in the same transaction; and after one that failed.
    writer.sql("begin; truncate parts; insert into parts values (3, 'a'), (4, 'b'); truncate parts_a; commit");
    assert_eq!(r.provider.column("select id from parts"), ["4"]);
    r.provider.sql(
        "create function fail() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
         create trigger \"zz\" after truncate on parts for each statement execute procedure fail()",
    );
    writer.sql("begin; insert into parts values (5, 'a'); savepoint one");
    assert_eq!(writer.error("truncate parts").code, "P0001");
    writer.sql("rollback to one; truncate parts_a; commit");
    assert_eq!(r.provider.column("select id from parts"), ["4"]);
    assert_replayed(&r);
    assert_eq!(r.provider.value("select count(*) from londiste.capture_truncation"), "0");
}

/// For subscribers of the original, which do not know the event. It stays so when the triggers are made anew.
#[test]
fn truncate_of_a_table_that_was_added_without_it_makes_no_event() {
    if Cluster::provider().binaries().major() < 11 {
        return; // The schema has a primary key on a partitioned table.
    }
    let r = provider("statement", "sql");
    r.londiste.run("provider add plain --no-truncate");
    let events = "select ev_type from pgq.event_1 where ev_extra1 = 'public.plain' order by ev_id";
    r.provider.sql("insert into plain values (1); truncate plain; insert into plain values (2)");
    assert_eq!(r.provider.column(events), ["I", "I"]);
    r.provider.sql("alter table plain add column more text");
    r.londiste.run("provider refresh plain");
    r.provider.sql("truncate plain; insert into plain values (3, 'x')");
    assert_eq!(r.provider.column(events), ["I", "I", "I"]);
    let problems =
        format!("select problem from londiste.provider_get_problems('{QUEUE}') where table_name = 'public.plain'");
    assert!(r.provider.column(&problems).is_empty());
    r.provider.sql("truncate parts");
    assert_eq!(
        r.provider.column("select distinct ev_type from pgq.event_1 where ev_extra1 = 'public.parts'"),
        ["I", "R"]
    );
}
