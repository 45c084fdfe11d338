//! The triggers go by while something else changes the capture of their table: whoever stores the triggers as they are then must
//! not take them for those that were always there.

use std::thread::{self, JoinHandle};

use super::{maintain, provider, table_lists};
use crate::support::{QUEUE, Replication, Session, wait_until};

const TABLE: &str = "create table t (id int primary key, v text); create table other (id int primary key)";

/// What an operator does for a fast load.
const LOAD: &str = "begin; alter table t disable trigger all; insert into t select count(*), 'no event' from t; alter table t enable trigger all; commit";

/// Starts what maintenance does for the table, without the limit of `provider_maintain` for the wait, and waits until it waits for a lock;
/// returns what it says in the end.
fn start_maintenance(r: &Replication) -> JoinHandle<Vec<String>> {
    let maintenance = r.provider.session();
    let pid = maintenance.backend_pid();
    let maintained = thread::spawn(move || {
        maintenance.sql(&format!("select londiste.capture_generate('{QUEUE}', 'public.t')"));
        maintenance.take_notices()
    });
    wait_until("maintenance waits for a lock", || {
        let sql = format!("select coalesce(wait_event_type, '-') from pg_stat_activity where pid = {pid}");
        let now = r.provider.value(&sql);
        if now == "Lock" { Ok(()) } else { Err(now) }
    });
    maintained
}

/// A session's statements say that table `t` has to be copied again, and the subscribers are told so.
#[track_caller]
fn assert_reported(r: &Replication, said: &[String], before: usize, context: &str) {
    let warning = format!("WARNING: table public.t of queue \"{QUEUE}\" has to be copied again: ");
    let told = said.iter().filter(|notice| notice.starts_with(&warning)).count();
    assert_eq!(told, 1, "{context}: {said:?}");
    let lists = table_lists(&r.provider).split_off(before);
    assert_eq!(lists, ["public.other"], "{context}");
    assert_eq!(maintain(&r.provider, QUEUE), ("0".to_owned(), vec![]), "{context}");
}

/// 1. Maintenance looks and finds the triggers untouched; the table was altered, so it will generate the functions anew.
/// 2. It waits: for the lock of `holder`.
/// 3. The triggers are disabled for a load, and enabled again.
/// 4. It goes on, and stores the triggers as they are.
#[track_caller]
fn load_while_maintenance_waits(r: &Replication, holder: &Session, context: &str) {
    let before = table_lists(&r.provider).len();
    let maintained = start_maintenance(r);
    r.provider.sql(LOAD);
    holder.sql("commit");
    let mut said = maintained.join().unwrap();
    // The next round may be the one that finds out.
    said.extend(maintain(&r.provider, QUEUE).1);
    assert_reported(r, &said, before, context);
}

#[test]
fn load_while_functions_are_made_anew_is_found_out() {
    for capture in ["statement", "row"] {
        let r = provider(capture, TABLE, "other t");
        let holder = r.provider.session();
        for (change, what) in [
            ("alter table t add column more int", "functions only"),
            // The events of deletes have to come early.
            (
                "create function f() returns trigger language plpgsql as 'begin return null; end';
                 create trigger a after delete on t for each row execute procedure f()",
                "another trigger",
            ),
        ] {
            r.provider.sql(change);
            holder.sql("begin; select * from londiste.provider_table for update");
            load_while_maintenance_waits(&r, &holder, &format!("{capture}, {what}"));
        }
    }
}

/// As above, but the load itself is what maintenance waits for.
#[test]
fn load_that_maintenance_waits_for_is_found_out() {
    let r = provider("statement", TABLE, "other t");
    r.provider.sql(
        "create function f() returns trigger language plpgsql as 'begin return null; end';
         create trigger a after delete on t for each row execute procedure f()",
    );
    let before = table_lists(&r.provider).len();
    let operator = r.provider.session();
    operator.sql(LOAD.trim_end_matches("; commit"));
    let maintained = start_maintenance(&r);
    operator.sql("commit");
    let mut said = maintained.join().unwrap();
    said.extend(maintain(&r.provider, QUEUE).1);
    assert_reported(&r, &said, before, "the load has the lock");
}

/// Nobody has looked since the load when the table's capture is changed by order.
#[test]
fn load_before_the_capture_is_changed_by_order_is_found_out() {
    let r = provider("statement", TABLE, "other t");
    for (order, what) in [
        ("select londiste.provider_refresh_trigger($Q, 'public.t')", "refresh"),
        ("select londiste.provider_refresh_trigger($Q, 'public.t', 'kv')", "another format"),
    ] {
        let before = table_lists(&r.provider).len();
        r.provider.sql(LOAD);
        let session = r.provider.session();
        session.sql(&order.replace("$Q", &format!("'{QUEUE}'")));
        let mut said = session.take_notices();
        said.extend(maintain(&r.provider, QUEUE).1);
        assert_reported(&r, &said, before, what);
    }
}

/// The table becomes one of the middle of a chain: its triggers are to fire always.
#[test]
fn load_before_the_triggers_fire_always_is_found_out() {
    let r = provider("statement", TABLE, "other t");
    let before = table_lists(&r.provider).len();
    r.provider.sql(LOAD);
    let session = r.provider.session();
    session.sql(
        "insert into londiste.subscriber_table (queue_name, table_name) values ('upstream', 'public.t');
         select londiste.capture_enable_subscribed('public.t')",
    );
    let mut said = session.take_notices();
    said.extend(maintain(&r.provider, QUEUE).1);
    assert_reported(&r, &said, before, "subscriber add");
}
