//! When a tick is due, who may make it, and who is woken by it.

use std::thread;

use super::{consume, create_roles, session_as, tick, with_queue};
use crate::support::wait_until;

#[test]
fn nothing_new_needs_no_tick() {
    let (_database, session) = with_queue();
    session.sql("select pgq.set_queue_config('q', 'ticker_max_count', '500')");
    assert_eq!(session.value("select pgq.ticker('q')"), "2", "a queue with one tick gets its second one at once");
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL");
    assert_eq!(session.value("select pgq.ticker()"), "0");
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL", "not before max_lag has passed");
    session.sql("select pgq.set_queue_config('q', 'ticker_max_lag', '1 millisecond'), pg_sleep(0.01)");
    assert_eq!(session.value("select pgq.ticker('q')"), "3");
    session.sql("select pgq.set_queue_config('q', 'ticker_max_lag', '1 minute')");
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL", "it has no events now");
}

#[test]
fn rest_of_a_burst_does_not_wait() {
    let (_database, session) = with_queue();
    session.sql("select pgq.set_queue_config('q', 'ticker_max_count', '10')");
    let insert = |count: u32| {
        session.sql(&format!("select pgq.insert_event('q', 'type', 'data') from generate_series(1, {count})"));
    };
    insert(9);
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL");
    insert(1);
    assert_eq!(session.value("select pgq.ticker('q')"), "2");
    insert(1);
    assert_eq!(session.value("select pgq.ticker('q')"), "3", "the burst's rest");
    insert(9);
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL", "what comes later");
}

/// For a consumer that waits, the settings of the queue do not matter; that it is paused does.
#[test]
fn new_events_get_a_tick_at_once_where_it_is_asked_for() {
    let (database, session) = with_queue();
    session.sql(
        "select pgq.set_queue_config('q', 'ticker_max_count', '500'), pgq.set_queue_config('q', 'ticker_max_lag', '1 hour')",
    );
    assert_eq!(session.value("select pgq.tick_new_events('q')"), "NULL", "there is nothing new");
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    assert_eq!(session.value("select pgq.tick_new_events('q')"), "2");
    assert_eq!(session.value("select pgq.tick_new_events('q')"), "NULL", "that event has its tick");
    assert_eq!(session.value("select pgq.tick_new_events('nope')"), "NULL");

    session.sql("select pgq.insert_event('q', 'type', 'data')");
    let other = database.session();
    other.sql("begin; select pgq.tick_new_events('q')");
    assert_eq!(session.value("select pgq.tick_new_events('q')"), "NULL", "another ticker makes it");
    other.sql("rollback");
    for setting in ["ticker_paused", "external_ticker"] {
        session.sql(&format!("select pgq.set_queue_config('q', '{setting}', 'true')"));
        assert_eq!(session.value("select pgq.tick_new_events('q')"), "NULL", "{setting}");
        session.sql(&format!("select pgq.set_queue_config('q', '{setting}', 'false')"));
    }
    let error = session.error("begin isolation level repeatable read; select pgq.tick_new_events('q')");
    assert_eq!(error.message, "ticks can be made in read committed transactions only");
    session.sql("rollback; update pgq.tick set tick_snapshot = '999999999999:999999999999:'");
    let error = session.error("select pgq.tick_new_events('q')");
    assert_eq!(error.message, "queue q: the last tick is ahead of this server's transaction counter");
}

#[test]
fn pauses_without_events_grow_up_to_the_idle_period() {
    let (_database, session) = with_queue();
    session.sql(
        "select pgq.set_queue_config('q', 'ticker_idle_period', '1 minute');
         delete from pgq.tick; update pgq.queue set queue_ticker_max_count = 1000",
    );
    // Ages of the last two ticks, and whether the next is due. The transaction counter must have moved.
    for (last, previous, due) in
        [(4, 5, true), (1, 2, false), (2, 3, true), (4, 7, false), (7, 10, true), (40, 90, false), (61, 99, true)]
    {
        session.sql(&format!(
            "delete from pgq.tick;
             insert into pgq.tick select queue_id, -2, now() - {previous} * interval '1 second', txid_current_snapshot(), 0
                 from pgq.queue;
             insert into pgq.tick select queue_id, -1, now() - {last} * interval '1 second', txid_current_snapshot(), 0
                 from pgq.queue"
        ));
        let made = session.value("select pgq.ticker('q')");
        assert_eq!(made != "NULL", due, "last tick {last} s ago, the one before {previous} s ago: {made}");
    }
}

/// The clock of the server was set back by an hour, or somebody inserted a tick of the future.
#[test]
fn tick_of_the_future_does_not_stop_the_ticks() {
    for tick in ["ticker('q')", "ticker()"] {
        let (_database, session) = with_queue();
        session.sql(
            "select pgq.set_queue_config('q', 'ticker_max_count', '500');
             update pgq.tick set tick_time = now() + interval '1 hour'; select pgq.insert_event('q', 'type', 'data')",
        );
        session.take_notices();
        assert_ne!(session.value(&format!("select pgq.{tick}")), "NULL");
        let notices = session.take_notices();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(
            notices[0].starts_with("WARNING: queue q: the last tick lies 00:59:5")
                && notices[0].ends_with(" in the future, so the clock was set back; ticks go on"),
            "{notices:?}"
        );
        assert_eq!(consume(&session).unwrap(), ["data"]);
        // Once: the next ticks are of now.
        session.sql("select pgq.insert_event('q', 'type', 'second'), pgq.force_tick('q')");
        session.sql(&format!("select pgq.{tick}"));
        assert!(session.take_notices().is_empty());
        assert_eq!(consume(&session).unwrap(), ["second"]);
    }
}

/// What consumers wait for is measured between two ticks: from one of the future, no time would ever pass.
#[test]
fn consumers_and_rotation_pass_a_tick_of_the_future() {
    let (_database, session) = with_queue();
    session.sql(
        "update pgq.tick set tick_time = now() + interval '1 hour';
         update pgq.queue set queue_switch_time = now() + interval '1 hour'; select pgq.insert_event('q', 'type', 'one')",
    );
    session.sql("select pgq.ticker('q'); update pgq.tick set tick_time = now() + interval '1 hour' where tick_id = 2");
    session.sql("select pgq.insert_event('q', 'type', 'two'); select pgq.ticker('q')");
    let next = |arguments: &str| {
        session.value(&format!("select cur_tick_id from pgq.next_batch_custom('q', 'c', {arguments})"))
    };
    assert_eq!(next("'1 minute', null, null"), "2");
    session.sql("select pgq.finish_batch(1)");
    assert_eq!(next("null, null, '10 minutes'"), "3");
    assert_eq!(session.value("select ev_per_sec from pgq.get_queue_info('q')"), "NULL");
    assert_eq!(session.column("select func_name from pgq.maint_operations()")[0], "pgq.maint_rotate_tables_step1");
}

/// Ticks with ids that the sequence has not reached yet: the next ticks come after them all the same.
#[test]
fn ticks_come_after_the_newest_one_whatever_its_id() {
    let (_database, session) = with_queue();
    session.sql(
        "insert into pgq.tick (tick_queue, tick_id, tick_event_seq) select queue_id, 100, 0 from pgq.queue;
         select pgq.insert_event('q', 'type', 'data')",
    );
    assert_eq!(session.value("select pgq.ticker('q')"), "101");
    assert_eq!(consume(&session).unwrap(), [""; 0]);
    assert_eq!(consume(&session).unwrap(), ["data"]);
    session.sql("select pgq.insert_event('q', 'type', 'second')");
    assert_eq!(session.value("select pgq.ticker('q')"), "102");
}

#[test]
fn event_whose_transaction_was_open_at_the_tick_calls_for_the_next_one() {
    let (database, session) = with_queue();
    session.sql("select pgq.set_queue_config('q', 'ticker_max_lag', '0.1')");
    let other = database.session();
    other.sql("begin; select pgq.insert_event('q', 'type', 'late')");
    // The pause before this tick was long: the rule for idle queues alone would wait as long again.
    session.sql("update pgq.tick set tick_time = tick_time - interval '1 hour'");
    tick(&session);
    session.sql("select pg_sleep(0.15)");
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL");
    other.sql("commit");
    assert_ne!(session.value("select pgq.ticker('q')"), "NULL");
    consume(&session);
    assert_eq!(consume(&session).unwrap(), ["late"]);
}

#[test]
fn forced_tick_comes_with_the_next_call_and_moves_the_sequence() {
    let (_database, session) = with_queue();
    session.sql("select pgq.set_queue_config('q', 'ticker_max_count', '500')");
    let before: i64 = session.value("select last_value from pgq.event_1_id_seq").parse().unwrap();
    assert_eq!(session.value("select pgq.force_tick('q')"), "1");
    let after: i64 = session.value("select last_value from pgq.event_1_id_seq").parse().unwrap();
    assert_eq!(after - before, 1000);
    assert_eq!(session.value("select pgq.ticker('q')"), "2");
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL");
    assert_eq!(session.value("select pgq.force_tick('nope')"), "NULL");
}

#[test]
fn paused_and_externally_ticked_queues_are_left_alone() {
    let (_database, session) = with_queue();
    session.sql("select pgq.set_queue_config('q', 'ticker_paused', 'true'), pgq.force_tick('q')");
    assert_eq!(session.error("select pgq.ticker('q')").message, "Ticker has been paused for this queue");
    assert_eq!(session.value("select pgq.ticker()"), "0");
    session.sql(
        "select pgq.set_queue_config('q', 'ticker_paused', 'false'),
        pgq.set_queue_config('q', 'external_ticker', 'true')",
    );
    assert_eq!(session.error("select pgq.ticker('q')").message, "This queue has external tick source.");
    assert_eq!(session.value("select pgq.ticker()"), "0");
    assert_eq!(session.value("select pgq.ticker('q', 50, '2020-01-01', 5000)"), "50");
    assert_eq!(session.value("select pgq.ticker('q', 51)"), "51");
    assert_eq!(
        session.rows("select tick_id, tick_event_seq from pgq.tick where tick_id > 1 order by 1"),
        [["50", "5000"], ["51", "5000"]]
    );
    assert_eq!(session.value("select last_value from pgq.event_1_id_seq"), "5000");
}

#[test]
fn two_tickers_do_not_wait_for_each_other() {
    let (database, session) = with_queue();
    let other = database.session();
    session.sql("select pgq.force_tick('q')");
    other.sql("begin; select pgq.ticker('q')");
    session.sql("set lock_timeout = '1s'");
    assert_eq!(session.value("select pgq.ticker('q')"), "NULL");
    assert_eq!(session.value("select pgq.ticker()"), "0");
    other.sql("commit");
    session.sql("select pgq.force_tick('q')");
    assert_eq!(session.value("select pgq.ticker('q')"), "3");
}

/// A looks whether a tick is due; transactions end, and B makes a tick; A reads that tick, whose snapshot is newer than the moment
/// at which A began to look. It is not a tick of another cluster.
#[test]
fn tick_that_another_ticker_makes_meanwhile_is_not_ahead_of_the_server() {
    let (database, session) = with_queue();
    tick(&session);
    let other = database.session();
    other.sql("begin; lock table pgq.tick in access exclusive mode");
    let pid = session.backend_pid();
    thread::scope(|scope| {
        let looks = scope.spawn(|| session.try_rows("select pgq._tick_due(1, 1)"));
        wait_until("the look waits", || {
            let sql = format!("select coalesce(wait_event_type, '-') from pg_stat_activity where pid = {pid}");
            let now = database.value(&sql);
            if now == "Lock" { Ok(()) } else { Err(now) }
        });
        for _ in 0..3 {
            database.value("select txid_current()");
        }
        other.sql("select pgq.force_tick('q'); select pgq.ticker('q'); commit");
        assert!(looks.join().unwrap().is_ok_and(|rows| rows.len() == 1));
    });
}

/// No lock that a role without any right can take keeps the ticks from coming.
#[test]
fn roles_without_rights_cannot_keep_ticks_from_coming() {
    create_roles(&["pgq_test_nobody"]);
    let (database, session) = with_queue();
    let nobody = session_as(&database, "pgq_test_nobody");
    // The keys that each database's first queues had once.
    nobody.sql("select pg_advisory_lock(1885827444, id), pg_advisory_lock(id) from generate_series(1, 10) id");
    nobody.sql("begin; lock table pgq.queue, pgq.tick, pgq.consumer, pgq.subscription in access share mode");
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    assert_eq!(session.value("select pgq.ticker('q')"), "2");
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    assert_eq!(session.value("select pgq.ticker()"), "1");
    for lock in [
        "select * from pgq.queue for update",
        "select * from pgq.tick for key share",
        "lock table pgq.tick in row exclusive mode",
        "lock table pgq.event_1 in access share mode",
    ] {
        nobody.sql("rollback; begin");
        assert_eq!(nobody.error(lock).code, "42501", "{lock}");
    }
}

#[test]
fn tick_from_an_old_snapshot_is_refused() {
    let (_database, session) = with_queue();
    let error = session.error("begin isolation level repeatable read; select pgq.ticker('q')");
    assert_eq!(error.message, "ticks can be made in read committed transactions only");
    session.sql("rollback");
}

#[test]
fn listeners_are_woken() {
    let (database, session) = with_queue();
    let listener = database.session();
    listener.sql("listen rlondiste_tick; listen rlondiste_force_tick");
    tick(&session);
    session.sql("select pgq.insert_event('q', 'type', 'data'); select pgq.ticker()");
    listener.sql("select 1");
    assert_eq!(listener.take_notifications(), ["rlondiste_force_tick:q", "rlondiste_tick:q", "rlondiste_tick:q"]);
}

#[test]
fn state_of_queues_and_consumers_is_shown() {
    let (_database, session) = with_queue();
    session.sql("select pgq.create_queue('a'), pgq.insert_event('q', 'type', 'data')");
    tick(&session);
    session.sql("select pgq.insert_event('q', 'type', 'data')");
    assert_eq!(
        session.rows(
            "select queue_name, queue_ntables, queue_cur_table, queue_ticker_max_count, ticker_lag < '1 minute',
                    ev_new, last_tick_id, ev_per_sec > 0 from pgq.get_queue_info()"
        ),
        [["a", "3", "0", "500", "t", "0", "1", "NULL"], ["q", "3", "0", "1", "t", "1", "2", "t"],]
    );
    assert!(session.rows("select * from pgq.get_queue_info('nope')").is_empty());
    assert_eq!(
        session.rows(
            "select queue_name, consumer_name, last_tick, current_batch, next_tick, pending_events
            from pgq.get_consumer_info()"
        ),
        [["q", "c", "1", "NULL", "NULL", "5"]]
    );
    assert_eq!(session.value("select count(*) from pgq.get_consumer_info('q', 'c')"), "1");
    assert_eq!(session.value("select count(*) from pgq.get_consumer_info('a')"), "0");
}
