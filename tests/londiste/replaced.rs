//! The provider's table is replaced, renamed or written past its triggers, under load: in the end both sides have the same rows.

use std::thread;
use std::time::Duration;

use crate::support::{Cluster, Load, QUEUE, Replication, assert_same_rows, client, server_and_client_fit};

const SCHEMA: &str =
    "create table t (id bigserial primary key, v text); create table other (id bigserial primary key, v text);
    create table swap (id bigserial primary key, v text)";

/// Clients that write to tables whichever stand under these names at the moment. A table that is gone for a while stops nobody.
fn write(client: usize, n: usize) -> String {
    format!(
        "do $$ begin
             insert into t (v) values ('{client} {n}');
             update t set v = v || '!' where id % 7 = {} and length(v) < 20;
             delete from t where id % 11 = {} and v like '%!';
         exception when undefined_table or undefined_column or serialization_failure or deadlock_detected then null;
         end $$;
         insert into other (v) values ('{client} {n}')",
        n % 7,
        n % 11
    )
}

fn up() -> (Replication, Load) {
    let r = Replication::new().with_schema(SCHEMA);
    r.provider.sql(
        "insert into t (v) select 'row ' || n from generate_series(1, 200) n; insert into swap (v) select v from t",
    );
    let load = Load::start(&r.provider, 2, write);
    (r.up(), load)
}

/// What the table's replacement ends in: copied again, and equal.
#[track_caller]
fn assert_equal_after(change: &str) {
    let (r, load) = up();
    thread::sleep(Duration::from_millis(300));
    r.provider.sql(change);
    r.ticker.wait_for_log(&format!("WARNING table public.t of queue \"{QUEUE}\" has to be copied again: "));
    r.londiste.wait_for_log("WARNING Table public.t was removed from the queue and added again: copying it again\n");
    r.wait_until_ok();
    load.stop();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
    assert_ne!(r.provider.value("select count(*) from t"), "0");
}

#[test]
fn table_that_is_dropped_and_created_again() {
    assert_equal_after(
        "begin; drop table t; create table t (id bigserial primary key, v text); insert into t (v) values ('first'); commit",
    );
}

#[test]
fn table_that_is_swapped_by_renames() {
    assert_equal_after(
        "begin; alter table t rename to t_old; create table t (like t_old including all);
         insert into t select id, 'new ' || v from t_old; commit",
    );
}

#[test]
fn table_that_is_recreated_from_itself() {
    assert_equal_after(
        "begin; lock table t; create table fresh as select * from t where id % 2 = 0; alter table fresh add primary key (id);
         alter table fresh alter id set default nextval('t_id_seq'); alter sequence t_id_seq owned by none; drop table t;
         alter table fresh rename to t; commit",
    );
}

#[test]
fn triggers_that_are_disabled_for_a_load() {
    assert_equal_after(
        "begin; alter table t disable trigger all; insert into t (v) select 'load ' || n from generate_series(1, 500) n;
         alter table t enable trigger all; commit",
    );
}

/// Two tables of the set change their names.
#[test]
fn tables_that_change_names() {
    let (r, load) = up();
    r.provider
        .sql("begin; alter table t rename to x; alter table swap rename to t; alter table x rename to swap; commit");
    for table in ["t", "swap"] {
        r.londiste.wait_for_log(&format!(
            "WARNING Table public.{table} was removed from the queue and added again: copying it again\n"
        ));
    }
    r.wait_until_ok();
    load.stop();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other", "swap"]);
}

/// The subscriber's table gets the changes of the renamed one.
#[test]
fn renamed_table_goes_on_under_its_old_name() {
    let (r, load) = up();
    load.stop();
    r.provider.sql("alter table t rename to elsewhere; insert into elsewhere (v) values ('after')");
    r.ticker.wait_for_log("the table is called public.elsewhere now; its changes go on under the old name");
    r.provider.sql("delete from elsewhere where id < 50; alter table elsewhere rename to t");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
}

/// `pg_restore --clean`: dropped, created, filled and only then given its old triggers.
#[test]
fn table_that_a_dump_brings_back() {
    let cluster = Cluster::provider();
    if !server_and_client_fit(cluster.binaries()) {
        eprintln!("left out: pg_dump is older than the server");
        return;
    }
    let (r, load) = up();
    load.stop();
    r.replay_until_in_sync();
    let file = r.scratch().path().join("t.sql");
    let file = file.to_str().unwrap();
    client(cluster, "pg_dump", &r.provider, &["-t", "t", "--clean", "-f", file]);
    r.provider.sql("delete from t where id < 100; insert into t (v) values ('lost by the restore')");
    client(cluster, "psql", &r.provider, &["-qX", "-v", "ON_ERROR_STOP=1", "-f", file]);
    r.londiste.wait_for_log("WARNING Table public.t was removed from the queue and added again: copying it again\n");
    r.wait_until_ok();
    r.provider.sql("insert into t (v) values ('after')");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["t", "other"]);
}

/// Until the next maintenance has mended it, the state is still `ok`: `check` and `status` know better.
#[test]
fn changes_that_may_be_missing_are_seen_before_maintenance_comes() {
    let r = Replication::new().with_schema(SCHEMA).up();
    r.ticker.stop();
    r.londiste.program(["subscriber", "check"]).run();
    r.provider.sql("alter table t disable trigger all; insert into t (v) values ('unseen')");
    let check = r.londiste.program(["subscriber", "check"]).status(1).run();
    let problem = "ERROR Table public.t is ok, but changes may be missing: ";
    assert!(check.stderr.contains(problem), "{}", check.stderr);
    assert_eq!(check.stderr.matches("is ok, but").count(), 1, "{}", check.stderr);
    let status = r.londiste.run("subscriber status").stdout;
    assert!(status.contains("    Changes may be missing: "), "{status}");
    r.ticker.start();
    r.ticker.wait_for_log("has to be copied again: ");
    r.wait_until_ok();
    r.replay_until_in_sync();
    r.londiste.program(["subscriber", "check"]).run();
    r.assert_in_sync();
}
