//! Batches: what lies between two ticks, whatever transactions were open at them.

use super::{consume, tick, with_queue};
use crate::support::Session;

#[test]
fn batch_is_given_again_until_it_is_finished() {
    let (_database, session) = with_queue();
    assert_eq!(session.value("select pgq.next_batch('q', 'c')"), "NULL");
    session.sql("select pgq.insert_event('q', 'type', 'data', 'one', 'two', 'three', 'four')");
    tick(&session);
    let batch = session.value("select pgq.next_batch('q', 'c')");
    assert_eq!(session.value("select pgq.next_batch('q', 'c')"), batch);
    let rows = session.rows(&format!(
        "select ev_id, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
         from pgq.get_batch_events({batch})"
    ));
    assert_eq!(rows, [["1", "NULL", "type", "data", "one", "two", "three", "four"]]);
    let info = session.rows(&format!(
        "select queue_name, consumer_name, prev_tick_id, tick_id, batch_end - batch_start > '0'::interval,
                seq_start, seq_end from pgq.get_batch_info({batch})"
    ));
    assert_eq!(info, [["q", "c", "1", "2", "t", "0", "4"]]);
    assert_eq!(session.value(&format!("select pgq.finish_batch({batch})")), "1");
    assert_eq!(session.value("select pgq.next_batch('q', 'c')"), "NULL");
}

#[test]
fn finishing_twice_is_a_warning() {
    let (_database, session) = with_queue();
    tick(&session);
    let batch = session.value("select pgq.next_batch('q', 'c')");
    session.sql(&format!("select pgq.finish_batch({batch})"));
    session.take_notices();
    assert_eq!(session.value(&format!("select pgq.finish_batch({batch})")), "0");
    assert_eq!(session.take_notices(), [format!("WARNING: finish_batch: batch {batch} not found")]);
    let error = session.error(&format!("select * from pgq.get_batch_events({batch})"));
    assert_eq!((error.code.as_str(), error.message.as_str()), ("42704", "batch not found"));
    assert_eq!(session.value(&format!("select queue_name from pgq.get_batch_info({batch})")), "NULL");
}

#[test]
fn event_of_a_long_transaction_comes_once_in_the_first_batch_after_its_commit() {
    let (database, session) = with_queue();
    let long = database.session();
    long.sql("begin; select pgq.insert_event('q', 'type', 'long 1')");
    for data in ["a", "b"] {
        session.sql(&format!("select pgq.insert_event('q', 'type', '{data}')"));
        tick(&session);
        assert_eq!(consume(&session).unwrap(), [data]);
    }
    long.sql("select pgq.insert_event('q', 'type', 'long 2'); commit");
    session.sql("select pgq.insert_event('q', 'type', 'c')");
    tick(&session);
    assert_eq!(consume(&session).unwrap(), ["long 1", "long 2", "c"]);
    assert_eq!(consume(&session), None);
}

#[test]
fn rolled_back_event_never_comes() {
    let (database, session) = with_queue();
    let other = database.session();
    other.sql("begin; select pgq.insert_event('q', 'type', 'never')");
    tick(&session);
    other.sql("savepoint s; select pgq.insert_event('q', 'type', 'nor this'); rollback to s; rollback");
    session.sql(
        "begin; select pgq.insert_event('q', 'type', 'kept'); savepoint s;
        select pgq.insert_event('q', 'type', 'lost'); rollback to s; commit",
    );
    tick(&session);
    assert_eq!(consume(&session).unwrap(), Vec::<String>::new());
    assert_eq!(consume(&session).unwrap(), ["kept"]);
}

/// The query of a batch names the transactions that it wants; one that is open for long stretches no range.
#[test]
fn long_transaction_does_not_make_batches_read_what_came_since_its_begin() {
    let (database, session) = with_queue();
    let long = database.session();
    long.sql("begin; select pgq.insert_event('q', 'type', 'long')");
    for _ in 0..20 {
        session.sql("do $$ begin for i in 1..10 loop perform pgq.insert_event('q', 'type', 'data'); end loop; end $$");
        tick(&session);
    }
    for _ in 0..19 {
        consume(&session);
    }
    let batch = session.value("select pgq.next_batch('q', 'c')");
    let sql = session.value(&format!("select pgq.batch_event_sql({batch})"));
    session.sql("set enable_seqscan = off");
    let plan = session.column(&format!("explain (analyze, costs off, timing off, summary off) {sql}")).join("\n");
    let removed = plan.lines().filter(|line| line.contains("Rows Removed")).collect::<Vec<_>>();
    assert!(plan.contains("rows=10") && removed.is_empty(), "{sql}\n{plan}");
}

#[test]
fn query_of_a_batch_works_in_a_cursor_and_in_copy_and_is_in_order() {
    let (database, session) = with_queue();
    session.sql("select pgq.insert_event('q', 'type', i::text) from generate_series(1, 5) i");
    tick(&session);
    let batch = session.value("select pgq.next_batch('q', 'c')");
    let sql = session.value(&format!("select pgq.batch_event_sql({batch})"));
    database.sql(&format!("copy ({sql}) to '/dev/null'"));
    let through_cursor = session
        .column(&format!("begin; declare walker no scroll cursor for {sql}; fetch 3 from walker; fetch 3 from walker"));
    assert_eq!(through_cursor, ["1", "2", "3", "4", "5"]);
    session.sql("commit");
    let first = session.rows(&format!("begin; select ev_data from pgq.get_batch_cursor({batch}, 'walk', 2)"));
    assert_eq!(first, [["1"], ["2"]]);
    assert_eq!(session.column("fetch all from walk"), ["3", "4", "5"]);
    session.sql("rollback");
}

#[test]
fn batch_of_a_wanted_size_spans_ticks() {
    let (_database, session) = with_queue();
    for i in 0..6 {
        session.sql(&format!("select pgq.insert_event('q', 'type', '{i}')"));
        tick(&session);
    }
    let custom = |args: &str| {
        let sql = format!("select batch_id, prev_tick_id, cur_tick_id from pgq.next_batch_custom('q', 'c', {args})");
        let row = session.rows(&sql).remove(0);
        session.sql("update pgq.subscription set sub_batch = null, sub_next_tick = null");
        row[1..].to_vec()
    };
    assert_eq!(custom("null, null, null"), ["1", "2"]);
    // Each round moves the sequence by one event and by the three ids of the forced tick.
    assert_eq!(custom("null, 9, null"), ["1", "4"]);
    assert_eq!(custom("null, 1000, null"), ["NULL", "NULL"]);
    assert_eq!(custom("'1 hour', null, null"), ["NULL", "NULL"]);
    assert_eq!(custom("null, 1000, '0.000001 seconds'"), ["1", "2"]);
    assert_eq!(custom("'0.000001 seconds', 9, null"), ["1", "4"]);
    assert_eq!(consume(&session).unwrap(), ["0"]);
}

/// What `pgq.next_batch_events` returns, with at most 2 events and 20 bytes: the events' data, then prev tick, tick and whether
/// these are all events; empty when there is no batch.
fn next_with_events(session: &Session, finished: &str) -> Vec<String> {
    session.column(&format!(
        "select coalesce(b.ev_data, concat_ws(' ', b.prev_tick_id, b.cur_tick_id, b.has_all_events))
         from pgq.next_batch_events('q', 'c', {finished}, null, null, 2, 20, true) b"
    ))
}

#[test]
fn one_call_finishes_a_batch_and_opens_the_next_with_its_events() {
    let (database, session) = with_queue();
    let open = || session.value("select coalesce(sub_batch::text, 'none') from pgq.subscription");
    for events in [&["a", "b"][..], &["c"], &["d", "e", "f"], &["much longer than that"], &[]] {
        for data in events {
            session.sql(&format!("select pgq.insert_event('q', 't', '{data}')"));
        }
        tick(&session);
    }
    let first = next_with_events(&session, "null");
    assert_eq!(first, ["a", "b", "1 2 t"]);
    assert_eq!(next_with_events(&session, "null"), first, "it comes again until it is finished");
    assert_eq!(next_with_events(&session, &open()), ["c", "2 3 t"]);
    // The call is one transaction.
    let error =
        session.error(&format!("select * from pgq.next_batch_events('q', 'no', {}, null, null, 2, 20, true)", open()));
    assert_eq!(error.code, "42704");
    assert_eq!(next_with_events(&session, "null"), ["c", "2 3 t"]);
    assert_eq!(next_with_events(&session, &open()), ["d", "e", "3 4 f"], "three events are more than two");
    assert_eq!(next_with_events(&session, &open()), ["4 5 f"], "the event is too long");
    assert_eq!(next_with_events(&session, &open()), ["5 6 t"], "a batch may have no event");

    // A transaction that was open at the tick before brings events that the sequence does not tell of.
    let long = database.session();
    long.sql("begin; select pgq.insert_event('q', 't', d) from unnest('{g,h,i}'::text[]) d");
    tick(&session);
    long.sql("commit");
    tick(&session);
    assert_eq!(next_with_events(&session, &open()), ["6 7 t"]);
    assert_eq!(next_with_events(&session, &open()), ["g", "h", "7 8 f"]);

    session.sql(
        "select count(nextval(queue_event_seq::regclass)) from pgq.queue, generate_series(1, 10003);
         select pgq.insert_event('q', 't', 'j')",
    );
    tick(&session);
    assert_eq!(next_with_events(&session, &open()), ["8 9 f"], "there may be too many to look at");
}

#[test]
fn ticker_is_told_of_a_consumer_that_waits() {
    let (database, session) = with_queue();
    let other = database.session();
    other.sql("listen rlondiste_wait");
    tick(&session);
    assert_eq!(next_with_events(&session, "null"), ["1 2 t"]);
    other.sql("select 1");
    assert!(other.take_notifications().is_empty(), "there is a batch");
    assert!(next_with_events(&session, "(select sub_batch from pgq.subscription)").is_empty());
    other.sql("select 1");
    assert_eq!(other.take_notifications(), ["rlondiste_wait:q"]);
}

#[test]
fn waiting_ticks_are_joined_from_a_number_of_events_on() {
    let (_database, session) = with_queue();
    for _ in 0..4 {
        session.sql("select pgq.insert_event('q', 't', 'd')");
        tick(&session);
    }
    let next = |least: u32, finished: &str| {
        session.value(&format!(
            "select concat_ws(' ', b.prev_tick_id, b.cur_tick_id)
             from pgq.next_batch_events('q', 'c', {finished}, {least}, 2, 9, 99, false) b where b.batch_id is not null"
        ))
    };
    let open = "(select sub_batch from pgq.subscription)";
    let waiting = session.value(
        "select max(t.tick_event_seq) - min(t.tick_event_seq) from pgq.tick t, pgq.subscription s where t.tick_id >= s.sub_last_tick",
    );
    let waiting: u32 = waiting.parse().unwrap();
    assert_eq!(next(waiting + 1, "null"), "1 2");
    let joined = next(1, open);
    let end: u32 = joined.strip_prefix("2 ").expect("the next batch").parse().unwrap();
    assert!(end >= 3, "{joined}");
    assert_eq!(next(1, open), if end == 3 { "3 4" } else { "4 5" });
}

#[test]
fn consumers_are_independent_and_start_at_the_last_tick() {
    let (_database, session) = with_queue();
    session.sql("select pgq.insert_event('q', 'type', 'first')");
    tick(&session);
    assert_eq!(session.value("select pgq.register_consumer('q', 'late')"), "1");
    assert_eq!(session.value("select pgq.register_consumer('q', 'late')"), "0");
    session.sql("select pgq.insert_event('q', 'type', 'second')");
    tick(&session);
    assert_eq!(consume(&session).unwrap(), ["first"]);
    assert_eq!(consume(&session).unwrap(), ["second"]);
    let batch = session.value("select pgq.next_batch('q', 'late')");
    assert_eq!(session.column(&format!("select ev_data from pgq.get_batch_events({batch})")), ["second"]);
}

#[test]
fn moving_a_consumer_closes_its_batch() {
    let (_database, session) = with_queue();
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    let last = tick(&session);
    let batch = session.value("select pgq.next_batch('q', 'c')");
    let error = session.error("select pgq.register_consumer('q', 'c', 1)");
    assert_eq!(error.message, "reposition while active not allowed");
    assert_eq!(session.value(&format!("select pgq.register_consumer_at('q', 'c', {last})")), "0");
    assert_eq!(session.value(&format!("select pgq.finish_batch({batch})")), "0");
    assert_eq!(consume(&session), None);
    assert_eq!(session.value("select pgq.register_consumer('q', 'c', 1)"), "0");
    assert_eq!(consume(&session).unwrap(), ["data"]);
    assert_eq!(session.value("select pgq.register_consumer_at('q', 'new', 1)"), "1");
    let error = session.error("select pgq.register_consumer_at('q', 'c', 99)");
    assert_eq!(error.message, "cannot reposition, tick not found: 99");
}

#[test]
fn errors_say_what_is_wrong() {
    let (_database, session) = with_queue();
    for (sql, message) in [
        ("register_consumer('nope', 'c')", "Event queue not created yet"),
        ("unregister_consumer('q', 'nope')", "consumer not registered on queue"),
        ("next_batch('q', 'nope')", "Not subscriber to queue: q/nope"),
        ("next_batch('nope', 'c')", "Not subscriber to queue: nope/c"),
        ("insert_event('nope', 'type', 'data')", "No such queue"),
        ("drop_queue('nope')", "No such event queue"),
        ("drop_queue('q')", "cannot drop queue, consumers still attached"),
        ("ticker('nope')", "no such queue"),
        ("ticker('q', 5, now(), 5)", "queue not found or ticks not allowed"),
        ("event_retry(99, 1, 1)", "batch not found"),
        ("event_failed(99, 1, 'reason')", "batch not found"),
        ("failed_event_delete('q', 'c', 1)", "event not found"),
        ("failed_event_retry('q', 'c', 1)", "event not found"),
        ("set_queue_config('q', 'nope', '1')", "cannot change parameter \"nope\""),
        ("set_queue_config('nope', 'ticker_max_lag', '1')", "No such event queue"),
        ("create_queue(null)", "Invalid NULL value"),
    ] {
        let error = session.error(&format!("select pgq.{sql}"));
        assert_eq!(error.message, message, "{sql}");
        assert_ne!(error.code, "P0001", "{sql} has no code of its own");
    }
    session.sql("delete from pgq.subscription; delete from pgq.tick");
    let error = session.error("select pgq.register_consumer('q', 'c')");
    assert_eq!(error.message, "No ticks for this queue.  Please run ticker on database.");
}

#[test]
fn limits_of_a_queue_hold_for_every_writer() {
    let (_database, session) = with_queue();
    session.sql("select pgq.set_queue_config('q', 'per_tx_limit', '2')");
    session.sql(
        "begin; select pgq.insert_event('q', 'type', '1'); savepoint s; select pgq.insert_event('q', 'type', '2');
        rollback to s; select pgq.insert_event('q', 'type', '3'); commit",
    );
    let error = session.error("select pgq.insert_event('q', 'type', i::text) from generate_series(1, 3) i");
    assert_eq!(error.message, "Queue 'q' allows max 2 events from one TX");
    session.sql("select pgq.set_queue_config('q', 'disable_insert', 'true')");
    assert_eq!(session.error("select pgq.insert_event('q', 'type', '4')").message, "Insert into queue disallowed");
}

/// Positions change with every batch, and while somebody holds an old snapshot, the old row versions cannot be removed: no
/// index has them but the one that PgQ 3 has on sub_batch.
#[test]
fn position_of_a_consumer_is_in_no_index_but_that_of_its_batch() {
    let (_database, session) = with_queue();
    for _ in 0..3 {
        tick(&session);
        consume(&session);
    }
    let indexed = session.column(
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where i.indrelid = 'pgq.subscription'::regclass
           and a.attname in ('sub_last_tick', 'sub_active', 'sub_batch', 'sub_next_tick')",
    );
    assert_eq!(indexed, ["sub_batch"]);
    assert_eq!(
        session.value(
            "select reloptions::text like '%fillfactor=20%' from pg_class where oid = 'pgq.subscription'::regclass"
        ),
        "t"
    );
}
