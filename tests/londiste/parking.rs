//! A table whose structure is at fault is parked: the others go on, and it catches up after the mend.

use super::row_security::create_user;
use crate::support::{Cluster, Replication, Session, assert_same_rows, wait_until};

const SCHEMA: &str = "create table t (id int primary key, a text); create table other (id int primary key, b text)";

/// Waits until a table has this state and is parked, or is not.
#[track_caller]
fn wait_for(session: &Session, table: &str, state: &str, parked: bool) {
    wait_until(&format!("{table} is {state}, parked: {parked}"), || {
        let rows = session.rows(&format!(
            "select merge_state, parked_reason is not null, parked_reason
             from londiste.subscriber_table left join londiste.table_position using (queue_name, table_name)
             where table_name = 'public.{table}'"
        ));
        let expected = if parked { "t" } else { "f" };
        if rows[0][0] == state && rows[0][1] == expected { Ok(()) } else { Err(format!("{rows:?}")) }
    });
}

/// Consumers on the provider.
fn consumers(r: &Replication) -> Vec<String> {
    r.provider.column("select c.co_name from pgq.consumer c join pgq.subscription on sub_consumer = co_id order by 1")
}

fn status(r: &Replication, table: &str) -> serde_json::Value {
    let json = r.londiste.program(["subscriber", "status", "--json"]).stderr("").run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["tables"].as_array().unwrap().iter().find(|t| t["table"] == table).unwrap().clone()
}

#[test]
fn missing_column_parks_its_table_until_the_mend() {
    let r = Replication::new().with_schema(SCHEMA).up();
    r.provider.sql("insert into t values (1, 'one'); insert into other values (1, 'one')");
    r.assert_in_sync();
    r.provider.sql("alter table t add column \"New One\" numeric(10,2)");
    // In the middle of a batch: the events around it are of the other table.
    r.provider.sql(
        "begin; insert into other values (2, 'two'); insert into t values (2, 'two', 2.5);
         update t set a = 'changed' where id = 1; update other set b = 'changed'; commit",
    );
    let subscriber = r.subscriber.session();
    wait_for(&subscriber, "t", "catching-up", true);
    r.provider.sql("insert into other values (3, 'three')");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["other"]);
    assert_eq!(subscriber.column("select row(t.*)::text from t"), ["(1,one)"]);
    let event = r.provider.value("select ev_id from pgq.event_1 where ev_data like '%New One%' and ev_type = 'I'");
    let reason = format!("event {event} (I): column \"New One\" does not exist");
    let mend = r#"Run on the subscriber: alter table "public"."t" add column "New One" numeric(10,2)"#;
    let shown = status(&r, "public.t");
    assert_eq!(
        (&shown["state"], &shown["parked"], &shown["mend"]),
        (&"catching-up".into(), &reason.into(), &mend.into())
    );
    let text = r.londiste.program(["subscriber", "status"]).stderr("").run().stdout;
    let lines = format!(
        "public.t                                  catching-up   parked: event {event} (I): column \"New One\" does not exist\n    \
         HINT: {mend}\n"
    );
    assert!(text.contains(&lines), "{text}");
    // It waits for a person: one line of the log, however often it is tried, also after a restart.
    let parked = format!(
        "CRITICAL Table public.t is parked, the other tables go on: cannot apply event {event} (I) to table \"public.t\""
    );
    assert_eq!(r.londiste.log().matches(&parked).count(), 1, "{}", r.londiste.log());
    r.londiste.kill9();
    r.londiste.start();
    r.provider.sql("insert into t values (3, 'three', 3); insert into other values (4, 'four')");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["other"]);
    wait_for(&subscriber, "t", "catching-up", true);
    subscriber.sql("alter table t add column \"New One\" numeric(10,2)");
    wait_for(&subscriber, "t", "ok", false);
    r.assert_in_sync();
    let log = r.londiste.log();
    assert!(log.contains("INFO Table public.t is not parked any more\n"), "{log}");
    assert_eq!(log.matches("Starting full copy of public.t").count(), 1, "{log}");
    wait_until("the parked table's consumer is gone", || {
        let names = consumers(&r);
        if names == ["db1-londiste"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
    assert_eq!(r.subscriber.value("select count(*) from londiste.table_position"), "0");
}

#[test]
fn two_tables_park_in_one_batch_and_come_back_alone() {
    let schema = "create table t (id int primary key, a text); create table u (id int primary key, n bigint);
         create table other (id int primary key, t_id int references t, u_id int references u)";
    let r = Replication::new().with_schema(schema);
    r.subscriber.sql("alter table u alter column n type int");
    r.install();
    r.start();
    r.add("--all");
    r.wait_until_ok();
    r.provider.sql("insert into t values (1, 'x'); insert into u values (1, 1); insert into other values (1, 1, 1)");
    r.assert_in_sync();
    let fkeys = "select conname from pg_constraint where contype = 'f' and conrelid = 'other'::regclass order by 1";
    let subscriber = r.subscriber.session();
    wait_until("the foreign keys are there", || {
        let names = subscriber.column(fkeys);
        if names.len() == 2 { Ok(()) } else { Err(format!("{names:?}")) }
    });
    subscriber.sql("alter table t rename column a to b");
    r.provider.sql(
        "begin; insert into t values (2, 'y'); insert into u values (2, 3000000000); insert into other values (2, 2, 2);
         delete from other where id = 1; delete from t where id = 1; commit",
    );
    wait_for(&subscriber, "t", "catching-up", true);
    wait_for(&subscriber, "u", "catching-up", true);
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["other"]);
    let shown = status(&r, "public.u");
    assert_eq!(shown["mend"], r#"Run on the subscriber: alter table "public"."u" alter column "n" type bigint"#);
    let reason = shown["parked"].as_str().unwrap();
    assert!(
        reason.ends_with("(I), key id=2, column \"n\": value \"3000000000\" is out of range for type integer (22003)"),
        "{reason}"
    );
    subscriber.sql("alter table u alter column n type bigint");
    wait_for(&subscriber, "u", "ok", false);
    wait_for(&subscriber, "t", "catching-up", true);
    // Copying it again is another way out.
    subscriber.sql("alter table t rename column b to a; delete from t");
    r.londiste.program(["subscriber", "resync", "t"]).run();
    wait_for(&subscriber, "t", "ok", false);
    r.assert_in_sync();
    wait_until("the foreign keys are back", || {
        let names = subscriber.column(fkeys);
        if names.len() == 2 { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

#[test]
fn parked_table_that_is_removed_leaves_no_consumer() {
    let r = Replication::new().with_schema(SCHEMA).up();
    r.subscriber.sql("alter table t drop column a");
    r.provider.sql("insert into t values (1, 'one'); insert into other values (1, 'one')");
    let subscriber = r.subscriber.session();
    wait_for(&subscriber, "t", "catching-up", true);
    assert_eq!(consumers(&r), ["db1-londiste", "db1-londiste_copy"]);
    r.londiste.program(["subscriber", "remove", "t"]).run();
    wait_until("the consumer is gone", || {
        let names = consumers(&r);
        if names == ["db1-londiste"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["other"]);
}

#[test]
fn column_that_refuses_null_parks_with_the_statement_that_helps() {
    let r = Replication::new().with_schema(SCHEMA);
    r.subscriber.sql("alter table t add column extra int not null default 0");
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.londiste.run("subscriber add --all --force");
    r.wait_until_ok();
    r.subscriber.sql("alter table t alter column extra drop default");
    r.provider.sql("insert into t values (1, 'one'); insert into other values (1, 'one')");
    let subscriber = r.subscriber.session();
    wait_for(&subscriber, "t", "catching-up", true);
    let shown = status(&r, "public.t");
    let reason = shown["parked"].as_str().unwrap();
    let expected = "(I), key id=1, column \"extra\": null value in column \"extra\" of relation \"t\" violates not-null constraint (23502)";
    assert!(reason.ends_with(expected), "{reason}");
    let mend = r#"Run on the subscriber: alter table "public"."t" alter column "extra" drop not null"#;
    assert_eq!(shown["mend"], mend);
    subscriber.sql("alter table t alter column extra drop not null");
    wait_for(&subscriber, "t", "ok", false);
    r.replay_until_in_sync();
    assert_eq!(subscriber.column("select row(t.*)::text from t"), ["(1,one,)"]);
}

#[test]
fn table_without_a_partition_for_a_row_parks_with_the_statements_that_help() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let schema = "create table t (id int, day date, primary key (id, day)) partition by range (day);
         create table t_2025 partition of t for values from ('2025-01-01') to ('2026-01-01');
         create table other (id int primary key, b text)";
    let r = Replication::new().with_schema(schema);
    r.install();
    r.start();
    r.add("t other");
    r.wait_until_ok();
    r.provider.sql(
        "create table \"t 2026\" partition of t for values from ('2026-01-01') to ('2027-01-01') partition by list (id);
         create table t_2026_1 partition of \"t 2026\" for values in (1, 2);
         begin; insert into t values (1, '2025-05-05'), (2, '2026-05-05'); insert into other values (1, 'one'); commit",
    );
    let subscriber = r.subscriber.session();
    wait_for(&subscriber, "t", "catching-up", true);
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["other"]);
    let shown = status(&r, "public.t");
    let mend = "Run on the subscriber: create table public.\"t 2026\" partition of public.t FOR VALUES FROM ('2026-01-01') TO \
                ('2027-01-01') partition by LIST (id); create table public.t_2026_1 partition of public.\"t 2026\" FOR VALUES IN \
                (1, 2)";
    assert_eq!(shown["mend"], mend);
    let log = r.londiste.log();
    assert!(log.contains(&format!("HINT: {mend}\n")) && !log.contains("skip-event"), "{log}");
    subscriber.sql(mend.strip_prefix("Run on the subscriber: ").unwrap());
    wait_for(&subscriber, "t", "ok", false);
    r.assert_in_sync();
}

/// The provider's table has no partitions: the operator chooses the bounds.
#[test]
fn partition_that_the_provider_does_not_have_is_advised_in_general() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let r = Replication::new();
    r.provider.sql("create table t (id int primary key, a text)");
    r.subscriber.sql(
        "create table t (id int primary key, a text) partition by range (id);
         create table t_1 partition of t for values from (0) to (100)",
    );
    let r = r.with_table("other", "id int primary key").up();
    r.provider.sql("insert into t values (100, 'one'); insert into other values (1)");
    let subscriber = r.subscriber.session();
    wait_for(&subscriber, "t", "catching-up", true);
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["other"]);
    let hint =
        "HINT: Create a partition that takes the row: create table ... partition of \"public\".\"t\" for values ...\n";
    let log = r.londiste.log();
    assert!(log.contains(hint) && !log.contains("skip-event"), "{log}");
    subscriber.sql("create table t_2 partition of \"public\".\"t\" for values from (100) to (200)");
    wait_for(&subscriber, "t", "ok", false);
    r.assert_in_sync();
}

#[test]
fn table_without_a_right_is_parked_unless_its_foreign_keys_keep_it() {
    let mut r = Replication::new()
        .with_schema(&format!("{SCHEMA}; create table child (id int primary key, other int references other)"))
        .up();
    r.londiste.stop();
    let user = create_user(Cluster::subscriber(), &r.subscriber);
    r.subscriber.sql(&format!("revoke insert on t, child from {user}"));
    r.londiste.configure("subscriber_db", &r.subscriber.conninfo_as(&user));
    r.londiste.start();
    r.provider.sql("begin; insert into t values (1, 'x'); insert into other values (1, 'x'); commit");
    r.londiste.wait_for_log("CRITICAL Table public.t is parked, the other tables go on: cannot apply event");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["other"]);
    let hint = "Grant the missing right to the user of the connection string, or connect as the owner.";
    assert_eq!(status(&r, "public.t")["mend"], hint);
    // To leave the child behind, its foreign key would have to go, which only the owner can do.
    r.provider.sql("insert into child values (1, 1)");
    r.londiste.wait_for_log(&format!("): permission denied for table child (42501)\nHINT: {hint}"));
    r.subscriber.sql(&format!("grant insert on t, child to {user}"));
    r.wait_until_ok();
    r.assert_in_sync();
}

/// Waits until a table is parked with this advice, and follows it.
#[track_caller]
fn follow_advice(r: &Replication, statement: &str) {
    let expected = format!("Run on the subscriber: {statement}");
    wait_until("the table is parked with its advice", || {
        let shown = &status(r, "public.t")["mend"];
        if *shown == expected.as_str() { Ok(()) } else { Err(shown.to_string()) }
    });
    r.subscriber.sql(statement);
}

#[test]
fn renamed_columns_are_recognized_on_either_side() {
    let rename = |old: &str, new: &str| format!(r#"alter table "public"."t" rename column "{old}" to "{new}""#);
    let schema = "create table t (gone int, id int primary key, a text, b text, n int); alter table t drop column gone";
    let r = Replication::new().with_schema(schema).up();
    let back = || {
        r.wait_until_ok();
        r.assert_in_sync();
    };
    r.provider.sql("insert into t values (1, 'a', 'b', 1)");
    r.assert_in_sync();
    // The key, first on the subscriber; then on the provider too.
    r.subscriber.sql("alter table t rename column id to key");
    r.provider.sql("update t set n = 2; insert into t values (2, 'c', 'd', 2)");
    follow_advice(&r, &rename("key", "id"));
    back();
    r.provider.sql("alter table t rename column id to key; update t set n = 3");
    follow_advice(&r, &rename("id", "key"));
    back();
    // Two columns of one type: the number tells them apart.
    r.provider.sql(
        "alter table t rename column b to d; alter table t rename column a to c; update t set c = c || '!', d = '?'",
    );
    follow_advice(&r, &rename("a", "c"));
    follow_advice(&r, &rename("b", "d"));
    back();
    let log = r.londiste.log();
    assert_eq!(log.matches("Starting full copy of public.t").count(), 1, "{log}");
}

/// Rows that were there before a column have its default on the provider, of which no event tells.
#[test]
fn missing_column_with_a_default_is_mended_with_its_values() {
    let r = Replication::new().with_table("t", "id int primary key, v text");
    r.provider.sql("insert into t values (1, 'one'), (2, 'two')");
    let r = r.up();
    r.provider.sql("alter table t add city text not null default 'it''s'; insert into t values (3, 'three', 'x')");
    wait_for(&r.subscriber.session(), "t", "catching-up", true);
    let mend = status(&r, "public.t")["mend"].as_str().unwrap().to_owned();
    let (statement, then) = mend.split_once(". ").unwrap();
    let statement = statement.strip_prefix("Run on the subscriber: ").unwrap();
    assert_eq!(statement, r#"alter table "public"."t" add column "city" text default 'it''s'::text"#);
    assert_eq!(
        then,
        "Rows that were there before may differ: then run \"rlondiste INI repair --online --apply public.t\""
    );
    r.subscriber.sql(statement);
    wait_for(&r.subscriber.session(), "t", "ok", false);
    r.assert_in_sync();
    // Of a default that was taken away only the rows tell.
    r.provider.sql("alter table t add late int default 7; alter table t alter late drop default; insert into t values (4, 'four', 'x', 4)");
    wait_for(&r.subscriber.session(), "t", "catching-up", true);
    let mend = status(&r, "public.t")["mend"].as_str().unwrap().to_owned();
    if r.provider.major() >= 11 {
        assert!(mend.contains(r#"add column "late" integer. Rows that were there before may differ: "#), "{mend}");
    }
    r.subscriber.sql("alter table t add late int");
    wait_for(&r.subscriber.session(), "t", "ok", false);
    r.londiste.run("repair --online --apply public.t");
    r.assert_in_sync();
}
