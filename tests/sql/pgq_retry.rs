//! Events that a consumer puts aside: to come again, or to be looked at by a person.

use super::{consume, tick, with_queue};
use crate::support::{Database, Session};

/// Five events in the active batch 1 of consumer `c`; consumer `other` is registered too.
fn in_batch() -> (Database, Session) {
    let (database, session) = with_queue();
    session.sql("select pgq.register_consumer('q', 'other')");
    session.sql(
        "select pgq.insert_event('q', 'type' || i, 'data' || i, 'x', null, null, null) from generate_series(1, 5) i",
    );
    tick(&session);
    assert_eq!(session.value("select pgq.next_batch('q', 'c')"), "1");
    (database, session)
}

#[test]
fn retried_event_comes_again_to_its_consumer_alone() {
    let (_database, session) = in_batch();
    assert_eq!(session.value("select pgq.event_retry(1, 2, 0)"), "1");
    assert_eq!(session.value("select pgq.event_retry(1, 2, 0)"), "0");
    assert_eq!(session.value("select pgq.event_retry(1, 3, now() + interval '1 hour')"), "1");
    assert_eq!(session.error("select pgq.event_retry(1, 99, 0)").message, "event not found");
    session.sql("select pgq.finish_batch(1)");
    assert_eq!(session.value("select pgq.maint_retry_events()"), "1");
    assert_eq!(session.value("select pgq.maint_retry_events()"), "0");
    tick(&session);

    let batch = session.value("select pgq.next_batch('q', 'c')");
    let events = format!("select ev_id, ev_retry, ev_type, ev_data, ev_extra1 from pgq.get_batch_events({batch})");
    assert_eq!(session.rows(&events), [["2", "1", "type2", "data2", "x"]]);
    session.sql(&format!("select pgq.event_retry({batch}, 2, 0), pgq.finish_batch({batch})"));
    session.sql("select pgq.maint_retry_events()");
    tick(&session);
    let batch = session.value("select pgq.next_batch('q', 'c')");
    assert_eq!(session.value(&format!("select ev_retry from pgq.get_batch_events({batch})")), "2");

    for expected in [5, 0, 0] {
        let batch = session.value("select pgq.next_batch('q', 'other')");
        let count = session.value(&format!("select count(*) from pgq.get_batch_events({batch})"));
        assert_eq!(count, expected.to_string());
        session.sql(&format!("select pgq.finish_batch({batch})"));
    }
}

#[test]
fn whole_batch_is_retried() {
    let (_database, session) = in_batch();
    session.sql("select pgq.event_retry(1, 4, 0)");
    assert_eq!(session.value("select pgq.batch_retry(1, 0)"), "4");
    session.sql("select pgq.finish_batch(1)");
    assert_eq!(session.value("select pgq.maint_retry_events()"), "5");
    tick(&session);
    assert_eq!(consume(&session).unwrap(), ["data1", "data2", "data3", "data4", "data5"]);
    assert_eq!(session.error("select pgq.batch_retry(99, 0)").message, "batch_retry: batch 99 not found");
}

#[test]
fn event_can_be_handed_in_for_retry() {
    let (_database, session) = in_batch();
    let call = |consumer: &str, id: &str| {
        format!(
            "select pgq.event_retry_raw('q', '{consumer}', now(), {id}, now(), 3, 'raw', 'd', null, null, null, null)"
        )
    };
    assert_eq!(session.value(&call("other", "77")), "77");
    assert_eq!(session.value(&call("other", "null")), "9");
    assert_eq!(session.error(&call("nope", "77")).message, "consumer not registered");
    session.sql("select pgq.maint_retry_events()");
    tick(&session);
    session.sql("select pgq.finish_batch(pgq.next_batch('q', 'other'))");
    let batch = session.value("select pgq.next_batch('q', 'other')");
    assert_eq!(session.column(&format!("select ev_id from pgq.get_batch_events({batch})")), ["9", "77"]);
}

#[test]
fn failed_events_are_kept_retried_and_deleted() {
    let (_database, session) = in_batch();
    assert_eq!(session.value("select pgq.event_failed(1, 2, 'bad')"), "1");
    assert_eq!(session.value("select pgq.event_failed(1, 2, 'worse')"), "0");
    session.sql("select pgq.event_failed(1, 4, 'bad too'); select pgq.finish_batch(1)");
    assert_eq!(session.value("select pgq.failed_event_count('q', 'c')"), "2");
    assert_eq!(session.value("select pgq.failed_event_count('q', 'other')"), "0");
    let list = "select ev_failed_reason, ev_id, ev_data from pgq.failed_event_list";
    assert_eq!(session.rows(&format!("{list}('q', 'c')")), [["bad", "2", "data2"], ["bad too", "4", "data4"]]);
    assert_eq!(session.rows(&format!("{list}('q', 'c', 1, 1)")), [["bad too", "4", "data4"]]);
    assert_eq!(session.value("select pgq.failed_event_delete('q', 'c', 4)"), "1");
    assert_eq!(session.value("select pgq.failed_event_retry('q', 'c', 2)"), "2");
    assert_eq!(session.value("select pgq.failed_event_count('q', 'c')"), "0");
    tick(&session);
    assert_eq!(consume(&session).unwrap(), ["data2"]);
}

#[test]
fn unregistering_forgets_what_was_put_aside() {
    let (_database, session) = in_batch();
    session.sql("select pgq.event_failed(1, 2, 'bad'), pgq.event_retry(1, 3, 0)");
    assert_eq!(session.value("select pgq.unregister_consumer('q', 'c')"), "1");
    assert_eq!(session.value("select count(*) from pgq.retry_queue"), "0");
    assert_eq!(session.value("select count(*) from pgq.failed_queue"), "0");
    assert_eq!(session.value("select count(*) from pgq.consumer where co_name = 'c'"), "1");
}

#[test]
fn events_of_a_closed_queue_wait() {
    let (_database, session) = in_batch();
    session.sql("select pgq.event_retry(1, 2, 0), pgq.set_queue_config('q', 'disable_insert', 'true')");
    assert_eq!(session.value("select pgq.maint_retry_events()"), "0");
    session.sql("select pgq.set_queue_config('q', 'queue_disable_insert', 'false')");
    assert_eq!(session.value("select pgq.maint_retry_events()"), "1");
}
