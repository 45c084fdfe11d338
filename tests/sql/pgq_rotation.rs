//! Rotation: empties the oldest event table when nobody needs it, waits for nobody, and loses nothing.

use super::{consume, tick, with_queue, with_queue_in};
use crate::support::{Cluster, Database, Session, wait_until};

/// A queue whose rotation is always due, in a cluster of its own.
struct Rotating {
    session: Session,
    database: Database,
    _cluster: Cluster,
}

fn rotating() -> Rotating {
    let cluster = Cluster::builder().name("rotation").start();
    let (database, session) = with_queue_in(&cluster);
    session.sql("select pgq.set_queue_config('q', 'rotation_period', '0'); set lock_timeout = '2s'");
    // The first tick belongs to the transaction that made the queue; a consumer there is not past it.
    tick(&session);
    consume(&session);
    Rotating { session, database, _cluster: cluster }
}

fn rotate(session: &Session) -> String {
    let done = session.value("select pgq.maint_rotate_tables_step1('q')");
    session.sql("select pgq.maint_rotate_tables_step2()");
    done
}

fn blockers(session: &Session) -> Vec<Vec<String>> {
    session.rows("select blocker, coalesce(pid::text, ''), coalesce(consumer_name, '') from pgq.rotation_blockers('q')")
}

#[test]
fn event_tables_take_turns_and_old_ticks_go() {
    let Rotating { session, database: _database, _cluster } = rotating();
    let mut tables = Vec::new();
    for round in 0..7 {
        session.sql(&format!("select pgq.insert_event('q', 'type', '{round}')"));
        tick(&session);
        assert_eq!(consume(&session).unwrap(), [round.to_string()]);
        tables.push(session.value("select pgq.current_event_table('q')"));
        assert_eq!(rotate(&session), "1");
    }
    assert_eq!(tables[..4], ["pgq.event_1_0", "pgq.event_1_1", "pgq.event_1_2", "pgq.event_1_0"]);
    assert_eq!(session.value("select count(*) from pgq.event_1"), "2");
    assert!(session.value("select count(*) from pgq.tick").parse::<i32>().unwrap() <= 3);
    assert_eq!(session.value("select max(tick_id) from pgq.tick"), "9");
}

#[test]
fn not_before_the_period_is_over_and_not_between_the_steps() {
    let Rotating { session, database: _database, _cluster } = rotating();
    assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "1");
    assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "0", "step 2 is missing");
    session.sql("begin; select pgq.maint_rotate_tables_step2(); commit");
    session.sql("select pgq.set_queue_config('q', 'rotation_period', '1 hour')");
    assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "0");
    assert_eq!(session.value("select pgq.maint_rotate_tables_step1('nope')"), "0");
    session.sql("select pgq.set_queue_config('q', 'rotation_period', '0')");
    tick(&session);
    consume(&session);
    // Both steps in one transaction are one step.
    session.sql("begin; select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step2(); commit");
    assert_eq!(session.value("select queue_switch_step2 from pgq.queue"), "NULL");
}

#[test]
fn consumer_that_is_behind_keeps_its_events() {
    let Rotating { session, database: _database, _cluster } = rotating();
    session.sql("select pgq.insert_event('q', 'type', 'unread')");
    assert_eq!(rotate(&session), "1");
    assert_eq!(rotate(&session), "0");
    assert_eq!(blockers(&session), [["consumer", "", "c"]]);
    tick(&session);
    assert_eq!(consume(&session).unwrap(), ["unread"]);
    assert_eq!(rotate(&session), "1");
    assert!(blockers(&session).is_empty() || rotate(&session) == "0");
}

#[test]
fn open_transaction_puts_it_off_and_is_named() {
    let Rotating { session, database, _cluster } = rotating();
    assert_eq!(rotate(&session), "1");
    tick(&session);
    consume(&session);
    let long = database.session();
    long.sql("begin; select pgq.insert_event('q', 'type', 'late')");
    // The transaction began before this rotation became visible.
    tick(&session);
    consume(&session);
    rotate(&session);
    tick(&session);
    consume(&session);
    session.take_notices();
    assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "0");
    assert_eq!(session.take_notices().len(), 1);
    assert_eq!(blockers(&session)[0], ["transaction".to_owned(), long.backend_pid().to_string(), String::new()]);
    long.sql("commit");
    tick(&session);
    assert_eq!(consume(&session).unwrap(), ["late"]);
    tick(&session);
    consume(&session);
    assert_eq!(rotate(&session), "1");
}

#[test]
fn lock_on_the_oldest_table_puts_it_off_and_is_named() {
    let Rotating { session, database, _cluster } = rotating();
    rotate(&session);
    tick(&session);
    consume(&session);
    let reader = database.session();
    reader.sql("begin; select * from pgq.event_1");
    assert_eq!(rotate(&session), "0");
    assert_eq!(blockers(&session), [["lock".to_owned(), reader.backend_pid().to_string(), String::new()]]);
    reader.sql("commit");
    assert_eq!(rotate(&session), "1");
}

/// Rotation, ticks and consumers hold their locks here; a writer goes on as if they were not there, and the reverse.
#[test]
fn writers_and_maintenance_do_not_wait_for_each_other() {
    let Rotating { session, database, _cluster } = rotating();
    session.sql("select pgq.insert_event('q', 'type', 'first')");
    tick(&session);
    let writer = database.session();
    writer.sql("set lock_timeout = '2s'; begin; select pgq.insert_event('q', 'type', 'open')");
    let (rotator, consumer, config) = (database.session(), database.session(), database.session());
    consumer.sql("begin; select pgq.next_batch('q', 'c'); select * from pgq.get_batch_events(2)");
    rotator.sql("set lock_timeout = '2s'; begin");
    assert_eq!(rotator.value("select pgq.maint_rotate_tables_step1('q')"), "1");
    session.sql("begin; select pgq.force_tick('q'); select pgq.ticker('q')");
    writer.sql("select pgq.insert_event('q', 'type', 'more'); commit; select pgq.insert_event('q', 'type', 'again')");
    for open in [&rotator, &consumer, &session] {
        open.sql("commit");
    }
    config.sql("begin; update pgq.queue set queue_rotation_period = '0'");
    writer.sql("select pgq.insert_event('q', 'type', 'during a change of settings')");
    assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "0");
    session.sql("select pgq.maint_rotate_tables_step2()");
    config.sql("commit");
    assert_eq!(session.value("select count(*) from pgq.event_1"), "5");
}

/// A transaction with an old snapshot sees the queue as it was before a rotation and writes into the table of then,
/// with a transaction id that is newer than the rotation.
#[test]
fn straggler_with_an_old_snapshot_is_read_and_not_truncated() {
    let Rotating { session, database, _cluster } = rotating();
    let straggler = database.session();
    straggler.sql("begin isolation level repeatable read; select count(*) from pgq.queue");
    assert_eq!(rotate(&session), "1");
    tick(&session);
    consume(&session);
    straggler.sql("select pgq.insert_event('q', 'type', 'straggler')");
    assert_eq!(straggler.value("select pgq.current_event_table('q')"), "pgq.event_1_0");
    assert_eq!(rotate(&session), "1", "into table 2");
    assert_eq!(session.value("select pgq.current_event_table('q')"), "pgq.event_1_2");
    tick(&session);
    consume(&session);
    assert_eq!(rotate(&session), "0", "the straggler has written to table 0");
    straggler.sql("commit");
    tick(&session);
    assert_eq!(rotate(&session), "0", "nobody has read it");
    assert_eq!(consume(&session).unwrap(), ["straggler"]);
    tick(&session);
    consume(&session);
    assert_eq!(rotate(&session), "1");
}

/// What a round of maintenance has to do, as `function:argument`.
fn operations(session: &Session) -> Vec<String> {
    let rows = session.rows("select func_name, func_arg from pgq.maint_operations()");
    rows.iter().map(|row| row.join(":")).collect()
}

#[test]
fn maintenance_round_is_listed() {
    let Rotating { session, database: _database, _cluster } = rotating();
    session.sql("select pgq.set_queue_config('q', 'rotation_period', '1 hour')");
    assert!(operations(&session).is_empty());
    session.sql("update pgq.queue set queue_rotation_period = '0', queue_extra_maint = '{public.mine,pgq.version}'");
    assert_eq!(
        operations(&session),
        ["pgq.maint_rotate_tables_step1:q", "pgq.maint_rotate_tables_step2:NULL", "public.mine:q", "pgq.version:q"]
    );
    session.sql("select pgq.maint_rotate_tables_step1('q'); update pgq.queue set queue_extra_maint = null");
    assert_eq!(operations(&session), ["pgq.maint_rotate_tables_step2:NULL"]);
    // Autovacuum is on here.
    assert!(session.column("select * from pgq.maint_tables_to_vacuum()").is_empty());
}

#[test]
fn without_autovacuum_each_round_begins_its_vacuums_with_another_table() {
    let cluster = Cluster::builder().name("unvacuumed").conf("autovacuum = off").start();
    let (_database, session) = with_queue_in(&cluster);
    let tables = session.column("select * from pgq.maint_tables_to_vacuum()");
    assert_eq!(tables, ["pgq.subscription", "pgq.consumer", "pgq.queue", "pgq.tick", "pgq.retry_queue"]);
    let mut first = Vec::new();
    for _ in 0..6 {
        let listed = operations(&session);
        assert_eq!(listed.iter().filter(|operation| operation.starts_with("vacuum:pgq.")).count(), 5, "{listed:?}");
        let next = listed.into_iter().find(|operation| operation.starts_with("vacuum:")).unwrap();
        session.sql(&next.replace(':', " "));
        // Servers before 15 hear of it with a delay.
        wait_until("another table comes first", || {
            let listed = operations(&session);
            if listed.contains(&next) && !listed[0].eq(&next) { Ok(()) } else { Err(listed.join(", ")) }
        });
        first.push(next);
    }
    assert_eq!(first[0], "vacuum:pgq.subscription");
    assert_eq!(first[5], first[0]);
    first.dedup();
    assert_eq!(first.len(), 6, "{first:?}");
}

#[test]
fn dropping_a_queue_leaves_nothing() {
    let (_database, session) = with_queue();
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    tick(&session);
    session.sql("select pgq.next_batch('q', 'c'); select pgq.event_retry(1, 1, 0), pgq.event_failed(1, 1, 'bad')");
    assert_eq!(session.value("select pgq.drop_queue('q', true)"), "1");
    assert_eq!(session.value("select count(*) from pg_class where relname like 'event_1%'"), "0");
    for table in ["queue", "tick", "subscription", "retry_queue", "failed_queue"] {
        assert_eq!(session.value(&format!("select count(*) from pgq.{table}")), "0", "{table}");
    }
    assert_eq!(session.value("select pgq.create_queue('q')"), "1");
    assert_eq!(session.value("select pgq.create_queue('q')"), "0");
    assert_eq!(session.value("select pgq.drop_queue('q')"), "1");
}
