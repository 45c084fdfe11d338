//! An installation of the original that rlondiste has not changed yet: everything that only reads works there, and so does
//! what an operator needs before the first start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::original::{Original, Process, tick};
use crate::support::{Database, Output, QUEUE, Replication, assert_same_rows, wait_until};

const PGQ: &str = include_str!("../sql/pgq_2.sql");
const PGQ_FUNCTIONS: &str = include_str!("../sql/pgq_2_functions.sql");
const LONDISTE: &str = include_str!("../sql/londiste_2.sql");
const LONDISTE_FUNCTIONS: &str = include_str!("../sql/londiste_2_functions.sql");

/// All that stands in the two schemas.
const OBJECTS: &str = "
    select c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
      from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace in (select oid from pg_namespace where nspname in ('pgq', 'londiste')) and a.attnum > 0
    union all
    select p.oid::regprocedure || ' ' || md5(p.prosrc) from pg_proc p
     where p.pronamespace in (select oid from pg_namespace where nspname in ('pgq', 'londiste'))
    order by 1";

/// Three tables in sync, one that is not begun, a sequence, a pending foreign key and a pending trigger. The original has
/// stopped, with everything applied.
fn installation() -> Replication {
    let r = Replication::new()
        .with_schema(
            "create table parents (id int primary key, data text);
             create table children (id int primary key, parent int constraint child_parent references parents);
             create table plain (id int primary key, data text); create table fresh (id int primary key);
             create sequence numbers",
        )
        .with_schema(LONDISTE)
        .with_schema(LONDISTE_FUNCTIONS);
    r.provider.sql(PGQ);
    r.provider.sql(PGQ_FUNCTIONS);
    r.provider.sql(&format!(
        "delete from pgq.consumer;
         update pgq.queue set queue_name = '{QUEUE}', queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms';
         insert into londiste.provider_seq (queue_name, seq_name) values ('{QUEUE}', 'public.numbers')"
    ));
    for (table, letters) in [("parents", "kv"), ("children", "kv"), ("plain", "kv"), ("fresh", "k")] {
        r.provider.sql(&format!(
            "create trigger \"{QUEUE}_logger\" after insert or update or delete on {table}
                 for each row execute procedure pgq.logtriga('{QUEUE}', '{letters}', 'public.{table}');
             insert into londiste.provider_table (queue_name, table_name, trigger_name)
                 values ('{QUEUE}', 'public.{table}', '{QUEUE}_logger')"
        ));
        r.subscriber.sql(&format!(
            "insert into londiste.subscriber_table (queue_name, table_name, merge_state)
                 values ('{QUEUE}', 'public.{table}', {})",
            if table == "fresh" { "null" } else { "'ok'" }
        ));
    }
    r.subscriber.sql(&format!(
        "insert into londiste.subscriber_seq (queue_name, seq_name) values ('{QUEUE}', 'public.numbers');
         create function count_up() returns trigger as $$ begin return new; end $$ language plpgsql;
         insert into londiste.subscriber_pending_triggers values ('public.parents', 'count_up',
             'CREATE TRIGGER count_up BEFORE INSERT ON public.parents FOR EACH ROW EXECUTE PROCEDURE count_up()');
         insert into londiste.subscriber_pending_fkeys values ('public.fresh', 'public.parents', 'fresh_parent',
             'alter table only public.fresh add constraint fresh_parent FOREIGN KEY (id) REFERENCES parents(id)')"
    ));
    tick(&r.provider);
    let mut original = Original::new(&r);
    original.attaches(Process::Main);
    // The table that is not begun stays so.
    r.subscriber.sql("update londiste.subscriber_table set queue_name = 'aside' where table_name = 'public.fresh'");
    r.provider.sql(
        "insert into parents select i, 'first' from generate_series(1, 10) i;
         insert into children select i, i from generate_series(1, 10) i; insert into plain values (1, 'x');
         update parents set data = 'second' where id < 4; delete from children where id = 5",
    );
    let last = tick(&r.provider);
    original.works_until_ok_at(last);
    r.subscriber
        .sql(&format!("update londiste.subscriber_table set queue_name = '{QUEUE}' where queue_name = 'aside'"));
    assert_same_rows(&r.provider, &r.subscriber, &["parents", "children", "plain"]);
    drop(original);
    r
}

fn objects(database: &Database) -> Vec<String> {
    database.column(OBJECTS)
}

/// Runs `work` while the original's ticker and main process are at work; all tables of the subscriber are in sync.
fn while_the_original_runs<T>(r: &Replication, work: impl FnOnce() -> T) -> T {
    r.subscriber.sql("delete from londiste.subscriber_table where merge_state is null");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let original = scope.spawn(|| {
            let mut original = Original::new(r);
            while !stop.load(Ordering::Relaxed) {
                tick(&r.provider);
                original.main_works();
                thread::sleep(Duration::from_millis(20));
            }
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        original.join().unwrap();
        result
    })
}

/// Runs a command and returns what is wrong with its end.
fn complaint(r: &Replication, command: &str, expected: &str) -> Option<String> {
    let Output { stdout, stderr, status } = r.londiste.program(command.split(' ')).output();
    let wrong = status != 0 || !stdout.contains(expected);
    wrong.then(|| format!("--- {command}: status {status}, stdout without \"{expected}\":\n{stdout}{stderr}"))
}

#[test]
fn commands_that_read_need_no_schema_of_ours() {
    let r = installation();
    let before = (objects(&r.provider), objects(&r.subscriber));
    let complaints: Vec<String> = [
        ("provider tables", "public.parents\n"),
        ("provider seqs", "public.numbers\n"),
        ("subscriber tables", "public.fresh "),
        ("subscriber tables --json", "\"public.fresh\""),
        ("subscriber tables --progress", "public.parents"),
        ("subscriber tables --progress --json", "\"public.parents\""),
        ("subscriber seqs", "public.numbers\n"),
        ("subscriber missing", ""),
        ("subscriber check", ""),
        ("subscriber fkeys", "child_parent"),
        ("subscriber fkeys pending", "fresh_parent"),
        ("subscriber fkeys --json", "fresh_parent"),
        ("subscriber triggers", "count_up"),
        ("subscriber triggers pending", "count_up"),
        ("subscriber status", "Tables:      3 of 4 ok"),
        ("subscriber status --json", "\"public.parents\""),
        ("subscriber wait-sync parents children plain", ""),
    ]
    .into_iter()
    .filter_map(|(command, expected)| complaint(&r, command, expected))
    .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    r.ticker.program(["status"]).run();
    assert_eq!((objects(&r.provider), objects(&r.subscriber)), before);
}

#[test]
fn tables_are_compared_without_a_schema_of_ours() {
    let r = installation();
    let before = (objects(&r.provider), objects(&r.subscriber));
    let complaints: Vec<String> = while_the_original_runs(&r, || {
        ["compare", "compare --checksum", "repair", "repair --apply"]
            .into_iter()
            .filter_map(|command| complaint(&r, command, ""))
            .collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!((objects(&r.provider), objects(&r.subscriber)), before);
}

fn position(r: &Replication) -> Vec<Vec<String>> {
    r.provider.rows("select sub_last_tick, sub_batch from pgq.subscription order by sub_id")
}

fn applied(r: &Replication) -> String {
    r.subscriber.value("select last_tick_id from londiste.completed where consumer_id = 'db1-londiste'")
}

/// The provider is ahead of the subscriber, as after the restore of a backup of the subscriber, and has a batch open.
fn lost_position() -> Replication {
    let r = installation();
    r.provider.sql("insert into plain values (2, 'y')");
    tick(&r.provider);
    r.provider.sql("update pgq.subscription set sub_last_tick = (select max(tick_id) from pgq.tick)");
    r.provider.sql("insert into plain values (3, 'z')");
    tick(&r.provider);
    r.provider.sql(&format!("select pgq.next_batch('{QUEUE}', 'db1-londiste')"));
    r
}

#[test]
fn rewind_does_with_what_the_original_has() {
    let r = lost_position();
    let before = objects(&r.provider);
    r.londiste.run("--rewind");
    assert_eq!(position(&r), [[applied(&r), "NULL".to_owned()]]);
    assert_eq!(objects(&r.provider), before);
    r.start();
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["parents", "children", "plain", "fresh"]);
}

#[test]
fn rewind_to_a_tick_that_the_original_has_rotated_away_changes_nothing() {
    let r = lost_position();
    r.provider.sql(&format!("delete from pgq.tick where tick_id = {}", applied(&r)));
    let before = position(&r);
    r.londiste.program(["--rewind"]).status(1).run();
    assert_eq!(position(&r), before);
}

/// What the original does: all states are forgotten, and the position on the subscriber is not.
#[test]
fn consumer_that_the_original_registered_anew_is_found_out() {
    let r = installation();
    r.subscriber.sql("update londiste.subscriber_table set merge_state = null, snapshot = null");
    r.provider.sql(&format!("select pgq.unregister_consumer('{QUEUE}', 'db1-londiste')"));
    r.provider.sql("insert into plain values (2, 'while nobody listens'); delete from children where id = 1");
    tick(&r.provider);
    tick(&r.provider);
    r.provider.sql(&format!("select pgq.register_consumer('{QUEUE}', 'db1-londiste')"));
    r.provider.sql("insert into plain values (3, 'after it')");
    r.start();
    wait_until("every table is ok", || {
        let log = r.londiste.log();
        let complaint = log.lines().find(|line| line.contains(" CRITICAL "));
        assert_eq!(complaint, None, "rlondiste has failed");
        let left = r
            .subscriber
            .value("select count(*) from londiste.subscriber_table where merge_state is distinct from 'ok'");
        if left == "0" { Ok(()) } else { Err(left) }
    });
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["parents", "children", "plain", "fresh"]);
}
