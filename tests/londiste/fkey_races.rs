//! Foreign keys that come and go while copies begin and end.

use std::thread;

use super::gates::{self, GATES, SUBSCRIBER_GATES, Side, close, wait_until_held};
use crate::support::{Replication, assert_same_rows, wait_until};

const KEY: u32 = 4714;
const OPEN: &str = "delete from gate.closed; select pg_advisory_unlock(4714)";

const KEYS: &str = "from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace";

/// Two pairs of tables, each with a foreign key, all in sync without a copy; the foreign keys of the subscriber are
/// pending. Nothing runs.
fn with_pending_keys() -> Replication {
    let mut r = Replication::new().with_schema(
        "create table b (id int primary key);
         create table a (id int primary key, b_id int constraint a_b references b);
         create table d (id int primary key);
         create table c (id int primary key, d_id int constraint c_d references d);
         insert into b values (1); insert into a values (1, 1);
         insert into d values (1); insert into c values (1, 1)",
    );
    r.londiste.configure("lock_timeout", "3600");
    r.install();
    r.subscriber.sql(GATES);
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.londiste.run("provider add --all");
    r.londiste.run("subscriber add a b c d --expect-sync");
    r.subscriber.sql(
        "select londiste.subscriber_drop_table_fkey('public.a', 'a_b'),
                londiste.subscriber_drop_table_fkey('public.c', 'c_d')",
    );
    r
}

fn wait_until_keys_are_back(r: &Replication) {
    wait_until("the foreign keys are back", || {
        let keys = r.subscriber.rows(&format!("select conname, convalidated {KEYS} order by 1"));
        let pending = r.subscriber.column("select fkey_name from londiste.subscriber_pending_fkeys");
        if keys == [["a_b", "t"], ["c_d", "t"]] && pending.is_empty() {
            Ok(())
        } else {
            Err(format!("{keys:?}, pending {pending:?}"))
        }
    });
}

fn assert_no_complaints(r: &Replication) {
    let log = r.londiste.log();
    assert!(!log.contains(" ERROR ") && !log.contains("CRITICAL"), "{log}");
}

/// Waits until a session stands in the queue of a lock.
fn wait_until_waiting(r: &Replication, who: &str, lock: &str) {
    let sql = format!(
        "select count(*) from pg_locks join pg_stat_activity using (pid)
          where datname = current_database() and not granted and {lock}"
    );
    wait_until(&format!("{who} waits for a lock"), || match r.subscriber.value(&sql).as_str() {
        "0" => Err("it does not"),
        _ => Ok(()),
    });
}

#[test]
fn key_that_is_made_after_replay_has_dropped_the_others_does_not_stop_the_copy() {
    let r = Replication::new().with_schema(GATES).with_table("t", "id int primary key, data text");
    r.provider.sql("insert into t values (1, 'new')");
    r.subscriber.sql("insert into t values (1, 'old'); create table child (t_id int); insert into child values (1)");
    r.install();
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.subscriber.sql(&gates::of_table("t"));
    r.start();
    let gate = close(&r, Side::Subscriber, "truncate", KEY);
    r.add("t");
    wait_until_held(&gate, KEY);
    r.londiste.kill();
    gate.sql(OPEN);
    assert_eq!(r.subscriber.value("select merge_state from londiste.subscriber_table"), "in-copy");
    r.subscriber.sql("alter table child add constraint child_t foreign key (t_id) references t");
    r.londiste.start();
    r.wait_until_ok();
    wait_until("the foreign key is back", || {
        let sql = "select string_agg(convalidated::text, '') from pg_constraint where conname = 'child_t'";
        let pending = r.subscriber.value("select count(*) from londiste.subscriber_pending_fkeys");
        match (r.subscriber.value(sql), pending) {
            (valid, left) if valid == "true" && left == "0" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    r.assert_in_sync();
    assert_no_complaints(&r);
}

#[test]
fn key_is_not_restored_when_a_copy_of_its_table_has_begun_meanwhile() {
    let r = with_pending_keys();
    // A writer keeps the first key from being added, while the second one is next.
    let writer = r.subscriber.session();
    writer.sql("begin; insert into a values (2, 1)");
    let gate = close(&r, Side::Subscriber, "state wanna-sync%", KEY);
    r.start();
    wait_until_waiting(&r, "the first key", "relation = 'a'::regclass and mode = 'ShareRowExclusiveLock'");
    r.londiste.run("subscriber resync c");
    wait_until_held(&gate, KEY);
    writer.sql("rollback");
    r.londiste.wait_for_log("INFO foreign key c_d (public.c --> public.d) waits for a copy that has begun");
    assert_eq!(r.subscriber.rows(&format!("select conname, convalidated {KEYS}")), [["a_b", "t"]]);
    gate.sql(OPEN);
    wait_until_keys_are_back(&r);
    r.assert_in_sync();
    assert_no_complaints(&r);
}

/// Somebody drops the key again, as a copy does, when its restoration has come to this end of the validation.
fn key_dropped_at(event: &str) {
    let r = with_pending_keys();
    r.subscriber.sql(&format!(
        "drop event trigger gate; create event trigger gate on {event} execute procedure gate.statement()"
    ));
    let gate = close(&r, Side::Subscriber, "ddl alter table%a% validate constraint%a_b%", KEY);
    r.start();
    wait_until_held(&gate, KEY);
    thread::scope(|scope| {
        let dropped = scope.spawn(|| {
            let copy = r.subscriber.session();
            copy.sql("begin; select londiste.subscriber_drop_table_fkey('public.a', 'a_b')");
            copy
        });
        if event == "ddl_command_end" {
            wait_until_waiting(&r, "the drop", "relation = 'a'::regclass and mode = 'AccessExclusiveLock'");
        } else {
            wait_until("the key is dropped", || if dropped.is_finished() { Ok(()) } else { Err("it is not") });
        }
        gate.sql(OPEN);
        let copy = dropped.join().unwrap();
        wait_until_waiting(&r, "the restoration", "relation = 'a'::regclass");
        copy.sql("commit");
    });
    // The second key comes after the first: what was to be done for the first is done.
    wait_until("the second key is back", || {
        let left = r.subscriber.column("select fkey_name from londiste.subscriber_pending_fkeys");
        if left == ["a_b"] { Ok(()) } else { Err(format!("{left:?}")) }
    });
    // A new start looks at once, not after a minute.
    r.londiste.stop();
    r.londiste.start();
    wait_until_keys_are_back(&r);
    assert_no_complaints(&r);
}

#[test]
fn key_that_is_dropped_before_it_is_validated_stays_pending() {
    key_dropped_at("ddl_command_start");
}

#[test]
fn key_that_is_dropped_after_it_was_validated_stays_pending() {
    key_dropped_at("ddl_command_end");
}

#[test]
fn command_and_replay_restore_a_key_once() {
    let r = with_pending_keys();
    let writer = r.subscriber.session();
    writer.sql("begin; insert into a values (2, 1)");
    r.start();
    wait_until_waiting(&r, "replay", "relation = 'a'::regclass and mode = 'ShareRowExclusiveLock'");
    thread::scope(|scope| {
        let remove = scope.spawn(|| r.londiste.run("subscriber remove a"));
        wait_until("both are at it", || match r.londiste.log().matches("Creating fkey: a_b").count() {
            2 => Ok(()),
            n => Err(n),
        });
        writer.sql("rollback");
        remove.join().unwrap();
    });
    wait_until_keys_are_back(&r);
    assert_no_complaints(&r);
}

/// Replay has seen that no foreign key leads to `parent`, and deletes parents before their children refer to others. The batch has so many
/// changes that they are applied as sets of rows, in an order of their own.
#[test]
fn foreign_key_that_is_made_before_the_first_change_of_a_batch_deletes_no_rows() {
    let tables =
        "create table parent (id int primary key); create table child (id int primary key, parent_id int not null)";
    let key = "alter table child add foreign key (parent_id) references parent on delete cascade";
    let r = Replication::new();
    r.provider.sql(&format!(
        "{tables}; {key}; insert into parent select generate_series(1, 400);
         insert into child select n, n from generate_series(1, 200) n"
    ));
    r.subscriber.sql(tables);
    let r = r.up();
    // Replay has met both tables.
    r.provider.sql("insert into parent values (500); insert into child values (500, 500)");
    r.replay_until_in_sync();

    let other = r.subscriber.session();
    other.sql("begin; lock table parent in access exclusive mode");
    r.provider.sql(
        "begin; update child set parent_id = id + 200 where id <= 200; delete from parent where id <= 200; commit",
    );
    wait_until_waiting(&r, "replay", "relation = 'parent'::regclass");
    other.sql(&format!("{key}; commit"));
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["parent", "child"]);
    r.londiste.wait_for_log(
        "INFO The subscriber's structure was altered while a batch was applied: the batch is applied again\n",
    );
    assert!(!r.londiste.log().contains("were not found"), "{}", r.londiste.log());
    assert_no_complaints(&r);
}

/// Replay has seen that no foreign key leads to `parent`, and does not let it wait for the parents that come after their children.
#[test]
fn foreign_key_that_is_made_before_the_first_change_of_a_batch_refuses_no_rows() {
    let tables =
        "create table parent (id int primary key); create table child (id int primary key, parent_id int not null)";
    let key = "alter table child add foreign key (parent_id) references parent deferrable";
    let r = Replication::new();
    r.provider.sql(&format!("{tables}; {key}"));
    r.subscriber.sql(tables);
    let r = r.up();
    let child_first = |id: u32| {
        r.provider.sql(&format!(
            "begin; set constraints all deferred; insert into child values ({id}, {id}); insert into parent values ({id}); commit"
        ));
    };
    // Replay has met both tables.
    child_first(1);
    r.replay_until_in_sync();

    let other = r.subscriber.session();
    other.sql("begin; lock table child in access exclusive mode");
    child_first(2);
    wait_until_waiting(&r, "replay", "relation = 'child'::regclass");
    other.sql(&format!("{key}; commit"));
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["parent", "child"]);
    assert_no_complaints(&r);
}

/// Events of one TRUNCATE of two tables, with another transaction's event between them: the parent cannot be emptied before the
/// child, and its event comes first.
#[test]
fn tables_of_one_truncate_are_emptied_together_whatever_comes_between_their_events() {
    const GATE: &str = "pg_advisory_xact_lock(77)";
    let r = Replication::new().with_schema(
        "create table parent (id int primary key);
         create table child (id int primary key, parent_id int references parent);
         create table other (id int primary key)",
    );
    r.provider.sql(&format!(
        "insert into parent values (1); insert into child values (1, 1);
         create function wait() returns trigger language plpgsql as $$ begin perform {GATE}; return null; end $$;
         create trigger zz after truncate on parent for each statement execute procedure wait()"
    ));
    let r = r.up();
    r.replay_until_in_sync();
    r.londiste.stop();
    let gate = r.provider.session();
    gate.sql(&format!("begin; select {GATE}"));
    std::thread::scope(|scope| {
        scope.spawn(|| r.provider.sql("truncate parent, child"));
        wait_until("the parent's event is written", || {
            let waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
            if r.provider.value(waits) == "0" { Err("not yet") } else { Ok(()) }
        });
        r.provider.sql("insert into other values (1)");
        gate.sql("commit");
    });
    let events = "select string_agg(ev_type || ' ' || ev_extra1, ', ' order by ev_id) from pgq.event_template where ev_extra1 <> ''";
    let events = r.provider.value(events);
    assert!(events.ends_with("R public.parent, I public.other, R public.child"), "{events}");
    r.provider.sql("insert into parent values (2); insert into child values (2, 2)");
    r.londiste.start();
    r.assert_in_sync();
    assert!(!r.londiste.log().contains("CRITICAL"), "{}", r.londiste.log());
}
