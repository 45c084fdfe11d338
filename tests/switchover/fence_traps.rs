//! Transactions that were there before the fence, and what else could slip by.

use std::thread;

use super::{CLOSED, arm, assert_refused, close, closing, database, database_in, open, state};
use crate::support::{Cluster, Session, Shutdown, wait_until};

const TABLES: &str =
    "create table t (id int primary key, v text); insert into t values (1, 'a'); create table free (id int)";

/// Closes the fence whatever is armed.
fn closing_without_tables() -> String {
    closing("1", CLOSED).replace("fence_close(null", "fence_close('no queue'")
}

#[test]
fn a_snapshot_from_before_does_not_open_the_fence() {
    let r = database(TABLES);
    for level in ["read committed", "repeatable read", "serializable"] {
        for first in
            ["select * from free", "select txid_current()", "select count(*) from t", "insert into free values (1)"]
        {
            let old = r.provider.session();
            old.sql(&format!("begin isolation level {level}; {first}"));
            // Of table t alone: the session holds a lock on the other one.
            r.provider.sql("select londiste.fence_arm('t'::regclass)");
            r.provider.sql(&closing_without_tables());
            assert_refused(&old, "insert into t values (2, 'b')");
            drop(old);
            open(&r.provider);
            r.provider.sql("select londiste.fence_disarm('t'::regclass)");
        }
    }
    assert_eq!(r.provider.value("select count(*) from t"), "1");
}

#[test]
fn a_transaction_that_has_written_ends_before_the_fence_is_closed() {
    let r = database(TABLES);
    arm(&r.provider);
    let (one, two) = (r.provider.session(), r.provider.session());
    one.sql("begin; insert into t values (2, 'b')");
    let error = close(&r.provider).unwrap_err();
    assert_eq!(error.code, "55P03", "{error}");
    assert_eq!(state(&r.provider), "1");
    let holders = r.provider.rows("select pid, gid, description from londiste.fence_holders()");
    assert_eq!(holders.len(), 1);
    assert_eq!((holders[0][0].as_str(), holders[0][1].as_str()), (one.backend_pid().to_string().as_str(), "NULL"));
    assert!(holders[0][2].contains("idle in transaction"), "{holders:?}");
    // It writes on, and others come.
    one.sql("update t set v = 'c'; insert into free values (1)");
    two.sql("insert into free values (2)");
    one.sql("commit");
    close(&r.provider).unwrap();
    assert_refused(&two, "insert into free values (3)");
}

#[test]
fn a_savepoint_that_is_rolled_back_gives_the_gate_back() {
    let r = database(TABLES);
    arm(&r.provider);
    let writer = r.provider.session();
    writer.sql("begin; savepoint s; insert into t values (2, 'b'); rollback to s");
    close(&r.provider).unwrap();
    assert_refused(&writer, "insert into t values (2, 'b')");
    writer.sql("rollback to s; select * from t");
    for sql in ["update t set v = 'x'", "insert into free values (1)"] {
        assert_refused(&writer, sql);
        writer.sql("rollback to s");
    }
    writer.sql("commit");
    // A function that catches the error goes on without the row.
    writer.sql("do $$ begin insert into t values (3, 'c'); exception when read_only_sql_transaction then null; end $$");
    assert_eq!(r.provider.value("select count(*) from t"), "1");
}

#[test]
fn a_prepared_transaction_holds_the_gate_until_it_is_committed() {
    let cluster = Cluster::builder().name("prepared").conf("max_prepared_transactions = 5").start();
    let r = database_in(&cluster, TABLES);
    arm(&r.provider);
    r.provider.sql("begin; insert into t values (2, 'b'); prepare transaction 'half'");
    assert_eq!(close(&r.provider).unwrap_err().code, "55P03");
    let holders = r.provider.rows("select pid, gid, description from londiste.fence_holders()");
    assert_eq!(holders, [["NULL", "half", "a prepared transaction"]]);
    r.provider.sql("commit prepared 'half'");
    close(&r.provider).unwrap();
    assert_refused(&r.provider.session(), "begin; insert into t values (3, 'c'); prepare transaction 'half'");
    assert_eq!(r.provider.value("select count(*) from t"), "2");
}

#[test]
fn prepared_statements_and_cursors_from_before_are_refused() {
    let r = database(TABLES);
    let writer = r.provider.session();
    writer.sql("prepare p as insert into t values ($1, 'p'); execute p(2); execute p(3); execute p(4); execute p(5); execute p(6);
                create function w() returns void language plpgsql as 'begin insert into t values (99, null); end'");
    let cursor = r.provider.session();
    arm(&r.provider);
    cursor.sql("begin; declare c cursor for select * from t order by id for update; fetch c");
    close(&r.provider).unwrap();
    assert_refused(&writer, "execute p(7)");
    assert_refused(&writer, "select w()");
    assert_refused(&cursor, "update t set v = 'c' where current of c");
    assert_eq!(r.provider.value("select count(*) from t"), "6");
}

#[test]
fn cascades_and_deferred_triggers_meet_the_fence() {
    let r = database(
        "create table parent (id int primary key);
         create table child (id int references parent on delete cascade);
         insert into parent values (1); insert into child values (1);
         create table audit (id int);
         create table audited (id int primary key);
         create function late() returns trigger language plpgsql as 'begin insert into audit values (new.id); return null; end';
         create constraint trigger late after insert on audited deferrable initially deferred for each row execute procedure late()",
    );
    let queue = r.provider.session();
    let before = r.provider.session();
    before.sql("begin; insert into audited values (1)");
    // Parent and audited stay without the trigger, as tables out of the set.
    for table in ["child", "audit"] {
        queue.sql(&format!("select londiste.fence_arm('{table}'::regclass)"));
    }
    queue.sql(&closing_without_tables());
    assert_refused(&r.provider.session(), "delete from parent");
    assert_refused(&before, "commit");
    assert_eq!(r.provider.value("select (select count(*) from child) || ' ' || (select count(*) from audited)"), "1 0");
}

#[test]
fn a_partition_that_is_made_later_is_found_at_the_gate() {
    let r = database(
        "create table root (id int not null) partition by range (id);
         create table leaf partition of root for values from (0) to (50)",
    );
    arm(&r.provider);
    let ddl = r.provider.session();
    ddl.sql("begin; create table late partition of root for values from (50) to (100); insert into late values (60)");
    let error = close(&r.provider).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("55006", "the definition of public.root is being changed: it may get a partition that is not armed")
    );
    ddl.sql("commit");
    let error = close(&r.provider).unwrap_err();
    assert_eq!(error.code, "42704", "{error}");
    assert!(error.message.contains("public.late"), "{error}");
    assert_eq!(state(&r.provider), "1");
    arm(&r.provider);
    close(&r.provider).unwrap();
    // Made after the first closing, as of a fence that is to be made final.
    open(&r.provider);
    let until = r.provider.value("select londiste.fence_clock() + 600000000");
    r.provider.sql(&closing("1", &until));
    r.provider.sql("create table later partition of root for values from (100) to (200)");
    assert_eq!(r.provider.error(&closing(&until, CLOSED)).code, "42704");
    assert_eq!(state(&r.provider), until);
}

/// A table that nobody else can see yet is not armed. Who closes a database with all its tables does not pass by one.
#[test]
fn a_table_that_is_being_made_is_found_at_the_gate() {
    let r = database(TABLES);
    arm(&r.provider);
    for made in [
        "create table late (id int); insert into late values (1)",
        "create schema s; create table s.late (id int); insert into s.late values (1)",
        "create table late as select 1 as id",
    ] {
        let ddl = r.provider.session();
        ddl.sql(&format!("begin; {made}"));
        let error = close(&r.provider).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message),
            (
                "55006",
                format!("a table is being made, to which the fence does not reach: by process {}", ddl.backend_pid())
            ),
            "{made}"
        );
        assert_eq!(state(&r.provider), "1");
        // The table is none of the queue's.
        r.provider.sql(&closing_without_tables());
        open(&r.provider);
        ddl.sql("rollback");
    }
    // As it is made, so it is found when it is there.
    r.provider.sql("create table late (id int)");
    assert_eq!(close(&r.provider).unwrap_err().code, "42704");
    arm(&r.provider);
    // Temporary tables and new storage of old tables are nothing that others could write to.
    let harmless = r.provider.session();
    harmless.sql("create temporary table before (id int)");
    harmless.sql(
        "begin; create temporary table own (id serial primary key, v text); insert into own (v) values ('x');
         create temporary table other as select * from own; create index on free (id); alter table late alter id type int8",
    );
    close(&r.provider).unwrap();
}

#[test]
fn a_prepared_table_is_found_at_the_gate() {
    let cluster = Cluster::builder().name("prepared").conf("max_prepared_transactions = 5").start();
    let r = database_in(&cluster, TABLES);
    arm(&r.provider);
    r.provider.sql("begin; create table late (id int); insert into late values (1); prepare transaction 'made'");
    let error = close(&r.provider).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("55006", "a table is being made, to which the fence does not reach: by a prepared transaction")
    );
    r.provider.sql("rollback prepared 'made'");
    close(&r.provider).unwrap();
}

/// The application's own limits end its wait at the gate, with their own errors.
#[test]
fn limits_of_the_application_hold_at_the_gate() {
    let r = database(TABLES);
    arm(&r.provider);
    let fencer = r.provider.session();
    fencer.sql("begin; select londiste.fence_close(null, 1, 9223372036854775807, 'x', 'y')");
    let writer = r.provider.session();
    for (setting, code) in [("lock_timeout", "55P03"), ("statement_timeout", "57014")] {
        // A message of its own: older servers read the limit at the beginning of a message.
        writer.sql(&format!("begin; set local {setting} = '20ms'"));
        let error = writer.error("insert into t values (2, 'b')");
        assert_eq!(error.code, code, "{error}");
        writer.sql("rollback");
    }
    // Without a limit the writer waits for the decision.
    let waiting = thread::spawn(move || writer.error("insert into t values (2, 'b')").code);
    wait_until("the writer waits at the gate", || {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and not granted
                    and database = (select oid from pg_database where datname = current_database())";
        if r.provider.value(sql) == "1" { Ok(()) } else { Err("nobody waits".to_owned()) }
    });
    fencer.sql("commit");
    assert_eq!(waiting.join().unwrap(), "25006");
}

/// The new state outlives the rollback of the transaction that has set it: the caller opens it again.
#[test]
fn a_try_that_is_rolled_back_has_closed_the_fence() {
    let r = database(TABLES);
    arm(&r.provider);
    r.provider.sql("begin; select londiste.fence_close(null, 1, 9223372036854775807, 'x', 'y'); rollback");
    assert_eq!(state(&r.provider), CLOSED);
    open(&r.provider);
    r.provider.sql("insert into t values (2, 'b')");
}

#[test]
fn a_closed_fence_outlives_a_crash() {
    let cluster =
        Cluster::builder().name("crash").conf("synchronous_commit = off").conf("wal_writer_delay = 10s").start();
    let r = database_in(&cluster, TABLES);
    arm(&r.provider);
    cluster.sql("checkpoint");
    close(&r.provider).unwrap();
    cluster.stop(Shutdown::Immediate);
    cluster.start();
    assert_refused(&r.provider.session(), "insert into t values (2, 'b')");
    assert_eq!(state(&r.provider), CLOSED);
}

#[test]
fn a_fencer_that_ends_at_the_gate_leaves_it_open() {
    let r = database(TABLES);
    arm(&r.provider);
    let writer = r.provider.session();
    writer.sql("begin; insert into t values (2, 'b')");
    let fencer: Session = r.provider.session();
    let pid = fencer.backend_pid();
    let message = closing("1", CLOSED).replace("300ms", "60s");
    let cut = thread::spawn(move || fencer.try_rows(&message).unwrap_err());
    wait_until("the fencer waits at the gate", || {
        let sql = format!("select count(*) from pg_locks where pid = {pid} and locktype = 'advisory' and not granted");
        if r.provider.value(&sql) == "1" { Ok(()) } else { Err("it does not wait".to_owned()) }
    });
    r.provider.sql(&format!("select pg_terminate_backend({pid})"));
    cut.join().unwrap();
    writer.sql("commit");
    r.provider.sql("insert into t values (3, 'c')");
    assert_eq!(r.provider.value("select count(*) from londiste.fence_holders()"), "0");
    assert_eq!(state(&r.provider), "1");
}
