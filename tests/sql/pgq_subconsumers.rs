//! Cooperative consumers: several rows of `pgq.subscription` share one `sub_id`, as the module `pgq_coop` of PgQ 3 makes them.
//! The statements here do to the tables what that module's functions do.

use super::{tick, with_queue, with_queue_in};
use crate::support::{Cluster, Session};

/// Registers a consumer as a subconsumer of `c`.
fn join(session: &Session, name: &str) {
    session.sql(&format!("select pgq.register_consumer('q', '{name}')"));
    session.sql(&format!(
        "update pgq.subscription s
         set sub_id = (select m.sub_id from pgq.subscription m join pgq.consumer c on c.co_id = m.sub_consumer
                       where c.co_name = 'c'),
             sub_last_tick = null, sub_next_tick = null
         from pgq.consumer c
         where c.co_id = s.sub_consumer and c.co_name = '{name}'"
    ));
}

/// Takes the next batch of `c` and hands it to a subconsumer.
fn take(session: &Session, name: &str) -> Option<String> {
    let row = session
        .rows("select batch_id, prev_tick_id, cur_tick_id from pgq.next_batch_custom('q', 'c', null, null, null)")
        .remove(0);
    let [batch, prev, cur] = row.as_slice() else { panic!("{row:?}") };
    if batch == "NULL" {
        return None;
    }
    session.sql(&format!(
        "update pgq.subscription s
         set sub_batch = null, sub_last_tick = sub_next_tick, sub_next_tick = null, sub_active = now()
         from pgq.consumer c where c.co_id = s.sub_consumer and c.co_name = 'c';
         update pgq.subscription s
         set sub_batch = {batch}, sub_last_tick = {prev}, sub_next_tick = {cur}, sub_active = now()
         from pgq.consumer c where c.co_id = s.sub_consumer and c.co_name = '{name}'"
    ));
    Some(batch.clone())
}

fn finish(session: &Session, batch: &str) {
    session.sql(&format!(
        "update pgq.subscription set sub_batch = null, sub_last_tick = null, sub_next_tick = null, sub_active = now()
         where sub_batch = {batch}"
    ));
}

fn events(session: &Session, batch: &str) -> Vec<String> {
    session.column(&format!("select ev_data from pgq.get_batch_events({batch})"))
}

fn consumers(session: &Session) -> Vec<String> {
    session.column("select consumer_name from pgq.get_consumer_info('q')")
}

#[test]
fn subconsumers_share_the_batches_of_their_consumer() {
    let (_database, session) = with_queue();
    for name in ["c.1", "c.2"] {
        join(&session, name);
    }
    for data in ["one", "two", "three"] {
        session.sql(&format!("select pgq.insert_event('q', 'type', '{data}')"));
        tick(&session);
    }
    let (first, second) = (take(&session, "c.1").unwrap(), take(&session, "c.2").unwrap());
    assert_eq!((events(&session, &first), events(&session, &second)), (vec!["one".into()], vec!["two".into()]));
    // Each puts an event aside; both events come again to whoever of them is next.
    assert_eq!(
        session.value(&format!("select pgq.event_retry({first}, ev_id, 0) from pgq.get_batch_events({first})")),
        "1"
    );
    assert_eq!(session.value(&format!("select pgq.batch_retry({second}, 0)")), "1");
    finish(&session, &first);
    let third = take(&session, "c.1").unwrap();
    assert_eq!(events(&session, &third), ["three"]);
    assert_eq!(
        session.value(&format!("select pgq.event_failed({third}, ev_id, 'bad') from pgq.get_batch_events({third})")),
        "1"
    );
    assert_eq!(session.value("select pgq.failed_event_count('q', 'c')"), "1");
    finish(&session, &third);
    finish(&session, &second);
    assert_eq!(session.value("select pgq.maint_retry_events()"), "2");
    assert_eq!(session.value("select count(*) from pgq.retry_queue"), "0");
    tick(&session);
    let again = take(&session, "c.2").unwrap();
    assert_eq!(events(&session, &again), ["one", "two"]);
    finish(&session, &again);
    assert_eq!(take(&session, "c.1"), None);
}

#[test]
fn unregistering_a_consumer_takes_its_subconsumers_along() {
    let (_database, session) = with_queue();
    for name in ["c.1", "c.2"] {
        join(&session, name);
    }
    session.sql("select pgq.register_consumer('q', 'other'), pgq.insert_event('q', 'type', 'one')");
    tick(&session);
    let batch = take(&session, "c.1").unwrap();
    session.sql(&format!("select pgq.event_retry({batch}, ev_id, 0) from pgq.get_batch_events({batch})"));
    assert_eq!(session.value("select pgq.unregister_consumer('q', 'c.2')"), "1");
    assert_eq!(consumers(&session), ["c", "c.1", "other"]);
    assert_eq!(session.value("select count(*) from pgq.retry_queue"), "1");
    assert_eq!(session.value("select pgq.unregister_consumer('q', 'c.1')"), "1", "with a batch");
    join(&session, "c.1");
    assert_eq!(session.value("select pgq.unregister_consumer('q', 'c')"), "2");
    assert_eq!(consumers(&session), ["other"]);
    assert_eq!(session.value("select count(*) from pgq.retry_queue"), "0");

    // A queue can be dropped with all of them.
    session.sql("select pgq.register_consumer('q', 'c')");
    for name in ["c.1", "c.2"] {
        join(&session, name);
    }
    assert_eq!(session.error("select pgq.drop_queue('q')").code, "55006");
    assert_eq!(session.value("select pgq.drop_queue('q', true)"), "1");
    assert_eq!(session.value("select count(*) from pgq.subscription"), "0");
}

#[test]
fn idle_subconsumers_do_not_hold_up_rotation() {
    let cluster = Cluster::builder().name("subconsumers").start();
    let (_database, session) = with_queue_in(&cluster);
    session.sql("update pgq.queue set queue_rotation_period = '0'");
    join(&session, "c.1");
    for round in 0..4 {
        session.sql(&format!("select pgq.insert_event('q', 'type', '{round}')"));
        tick(&session);
        let mut rotated = session.value("select pgq.maint_rotate_tables_step1('q')");
        while let Some(batch) = take(&session, "c.1") {
            finish(&session, &batch);
            rotated = session.value("select pgq.maint_rotate_tables_step1('q')");
        }
        if round > 0 {
            assert_eq!(rotated, "1", "{round}: {:?}", session.rows("select * from pgq.rotation_blockers('q')"));
        }
        session.sql("select pgq.maint_rotate_tables_step2()");
    }
    // One with a batch does, and is named.
    session.sql("select pgq.insert_event('q', 'type', 'last')");
    tick(&session);
    let batch = take(&session, "c.1").unwrap();
    tick(&session);
    session.sql("select pgq.maint_rotate_tables_step1('q')");
    session.sql("select pgq.maint_rotate_tables_step2()");
    tick(&session);
    while let Ok(batch) = session.value("select pgq.next_batch('q', 'c')").parse::<i64>() {
        session.sql(&format!("select pgq.finish_batch({batch})"));
    }
    assert_eq!(session.value("select pgq.maint_rotate_tables_step1('q')"), "0");
    assert_eq!(session.rows("select blocker, consumer_name from pgq.rotation_blockers('q')"), [["consumer", "c.1"]]);
    assert_eq!(events(&session, &batch), ["last"]);
}
