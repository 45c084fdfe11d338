//! Changes that never became events, and later events of the table that do not fit what the subscriber has: the table is copied
//! again, and the other tables do not wait until an operator comes.

use pretty_assertions::assert_eq;

use crate::support::{QUEUE, Replication, assert_same_rows, wait_until};

const TABLES: [&str; 4] = ["t", "other", "parent", "child"];

/// In sync, and maintenance of the provider does not run by itself any more. `foreign_key` are words behind the foreign key of `child`.
fn up(foreign_key: &str, configure: impl FnOnce(&mut Replication)) -> Replication {
    let mut r = Replication::new().with_schema(&format!(
        "create table t (id int primary key, v text); create table other (id int primary key);
         create table parent (id int primary key);
         create table child (id int primary key, parent_id int references parent {foreign_key})"
    ));
    r.provider.sql("insert into t select n, 'row' from generate_series(1, 20) n");
    r.ticker.configure("maint_delay", "3600");
    configure(&mut r);
    let r = r.up();
    r.replay_until_in_sync();
    wait_until("the foreign key is back", || {
        let keys = r
            .subscriber
            .value("select count(*) from pg_constraint where conrelid = 'child'::regclass and contype = 'f'");
        if keys == "1" { Ok(()) } else { Err(keys) }
    });
    r
}

/// Deletes a row unseen, and inserts it again.
const GAP: &str =
    "begin; alter table t disable trigger all; delete from t where id = 1; alter table t enable trigger all; commit;
    insert into t values (1, 'again'); insert into other values (1)";

fn maintain(r: &Replication) {
    r.provider.sql(&format!("select londiste.provider_maintain('{QUEUE}')"));
}

/// How many times the table's copy was begun.
fn copies(r: &Replication, table: &str) -> usize {
    r.londiste.log().matches(&format!("Starting full copy of public.{table}\n")).count()
}

#[track_caller]
fn assert_equal(r: &Replication) {
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &TABLES);
    let log = r.londiste.log();
    assert!(!log.contains("CRITICAL") && !log.contains("skip-event"), "{log}");
}

#[test]
fn event_behind_a_gap_that_nobody_has_seen_yet() {
    let r = up("", |_| {});
    r.provider.sql(GAP);
    r.londiste.wait_for_log(
        "WARNING Table public.t is copied again now (its capture triggers were dropped, disabled or changed), since an event \
         behind changes that were not captured cannot be applied: cannot apply event ",
    );
    assert_equal(&r);
    // The gap is seen later, and the table is copied once more.
    maintain(&r);
    r.londiste.wait_for_log("WARNING Table public.t was removed from the queue and added again: copying it again\n");
    assert_equal(&r);
    r.londiste.program(["subscriber", "check"]).run();
    assert_eq!(TABLES.map(|table| copies(&r, table)), [3, 1, 1, 1]);
}

#[test]
fn event_behind_a_gap_that_maintenance_has_seen() {
    let r = up("", |_| {});
    r.londiste.stop();
    r.provider.sql(GAP);
    maintain(&r);
    r.londiste.start();
    r.londiste.wait_for_log(
        "WARNING Table public.t is copied again now (a later event of the queue says that it has to be copied again, or is removed), ",
    );
    assert_equal(&r);
}

#[test]
fn row_that_was_not_captured_is_missing_where_missing_rows_stop_replay() {
    let r = up("", |r| r.londiste.configure("on_missing_row", "stop"));
    r.provider.sql(
        "begin; alter table t disable trigger all; insert into t values (50, 'unseen'); alter table t enable trigger all; commit;
         update t set v = 'seen' where id = 50; insert into other values (1)",
    );
    r.londiste.wait_for_log("WARNING Table public.t is copied again now (its capture triggers ");
    assert_equal(&r);
}

/// Inserts a parent unseen, and a child of it.
const UNSEEN_PARENT: &str =
    "begin; alter table parent disable trigger user; insert into parent values (1); alter table parent enable trigger user; commit;
    insert into child values (1, 1); insert into other values (1)";

/// The event that cannot be applied is one of another table.
#[test]
fn reference_to_a_row_that_was_not_captured() {
    for foreign_key in ["", "deferrable initially deferred"] {
        let r = up(foreign_key, |_| {});
        r.provider.sql(UNSEEN_PARENT);
        r.londiste.wait_for_log("WARNING Table public.parent is copied again now (its capture triggers ");
        assert_equal(&r);
        assert_eq!(TABLES.map(|table| copies(&r, table)), [1, 1, 2, 1], "{foreign_key}");
    }
}

/// The lost changes of a table explain no event of another table. What nothing explains stops replay.
#[test]
fn event_that_cannot_be_applied_for_another_reason_stops_replay() {
    let r = up("", |_| {});
    r.subscriber.sql("insert into t values (100, 'in the way')");
    r.provider.sql(
        "alter table other disable trigger user; alter table parent rename to renamed;
         insert into t values (100, 'x'); alter table t rename to called_otherwise",
    );
    r.londiste.wait_for_log("CRITICAL Job db1-londiste crashed: cannot apply event ");
    r.londiste.wait_for_log(" leaves this event out.\n");
    assert_eq!(r.subscriber.column("select distinct merge_state from londiste.subscriber_table"), ["ok"]);
    assert!(!r.londiste.log().contains("copied again now"), "{}", r.londiste.log());
    assert_eq!(TABLES.map(|table| copies(&r, table)), [1, 1, 1, 1]);
}

/// The referenced table was removed from the queue, and the foreign key is still there.
#[test]
fn reference_to_a_table_that_is_not_replicated_has_a_hint() {
    let r = up("", |_| {});
    r.londiste.run("provider remove parent");
    wait_until("parent is removed", || {
        let tables = r.subscriber.value("select count(*) from londiste.subscriber_table");
        if tables == "3" { Ok(()) } else { Err(tables) }
    });
    r.provider.sql("insert into parent values (1); insert into child values (1, 1)");
    r.londiste.wait_for_log(&format!(
        "HINT: Table public.parent at the other end of the foreign key is not replicated from queue {QUEUE}. Add the table \
         (\"rlondiste INI provider add public.parent\", \"rlondiste INI subscriber add public.parent\"), or drop the foreign key on \
         the subscriber.\n"
    ));
    assert!(!r.londiste.log().contains("skip-event"), "{}", r.londiste.log());
    r.add("parent");
    r.londiste.reload();
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &TABLES);
}

/// With a mirror queue, which gets no rows of a copy, an operator decides.
#[test]
fn mirror_queue_stops_replay_and_the_hint_says_what_helps() {
    let r = up("", |r| r.londiste.configure("mirror_queue", "mirror-queue"));
    r.provider.sql(GAP);
    r.londiste.wait_for_log(
        "HINT: Changes of table public.t before this event were not captured (its capture triggers were dropped, disabled or \
         changed). Run \"rlondiste INI subscriber resync public.t\"; what reads mirror_queue mirror-queue does not get the rows \
         of the copy.\n",
    );
    assert!(!r.londiste.log().contains("skip-event"), "{}", r.londiste.log());
    r.londiste.run("subscriber resync t");
    r.londiste.reload();
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &TABLES);
}

/// A parked table catches up by itself: it waits for the event by which it is copied again.
#[test]
fn parked_table_whose_changes_were_lost_waits_for_its_copy() {
    let r = up("", |_| {});
    r.subscriber.sql("alter table t drop column v");
    r.provider.sql("insert into t values (30, 'x')");
    r.londiste.wait_for_log("CRITICAL Table public.t is parked");
    r.provider.sql(GAP);
    let before = r.londiste.log().len();
    r.subscriber.sql("alter table t add column v text");
    r.londiste.reload();
    r.londiste.wait_for_log_after(
        before,
        "HINT: Changes of table public.t before this event were not captured (its capture triggers were dropped, disabled or \
         changed). Maintenance on the provider has the table copied again.\n",
    );
    assert!(!r.londiste.log()[before..].contains("skip-event"), "{}", r.londiste.log());
    maintain(&r);
    r.londiste.wait_for_log("WARNING Table public.t was removed from the queue and added again: copying it again\n");
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &TABLES);
}
