//! One table that cannot go on does not hold up the others, in whatever state it stands.

use std::time::Duration;

use super::gates::{GATES, SUBSCRIBER_GATES, Side, close, wait_until_held};
use crate::support::{QUEUE, Replication, wait_within};

const KEY: u32 = 4722;
const OPEN: &str = "delete from gate.closed; select pg_advisory_unlock(4722)";

/// What "does not hold up" means. A table that fails is tried again with growing pauses of up to a minute.
const SOON: Duration = Duration::from_secs(20);

/// Table `t` stands at `wanna-sync`, and is about to get events of ticks that replay has passed. Until the gate opens its
/// copy cannot store this state.
fn behind(spoil: impl FnOnce(&Replication), then: impl FnOnce(&Replication)) {
    let r = Replication::new()
        .with_schema(GATES)
        .with_schema("create table t (id int primary key, a int); create table other (id int primary key)");
    r.provider.sql("insert into t values (1, 1)");
    r.install();
    r.subscriber.sql(SUBSCRIBER_GATES);
    r.start();
    let gate = close(&r, Side::Subscriber, "state wanna-sync%", KEY);
    r.add("other");
    gate.sql("delete from gate.closed; select pg_advisory_unlock(4722)");
    r.wait_until_ok();
    let gate = close(&r, Side::Subscriber, "state wanna-sync%", KEY);
    r.add("t");
    wait_until_held(&gate, KEY);
    spoil(&r);
    for id in 2..5 {
        r.provider.sql(&format!("insert into t values ({id}, {id})"));
        r.replay_until_in_sync();
    }
    gate.sql(OPEN);
    then(&r);
}

/// The other table's rows arrive, one after the other, while the copy of `t` fails.
fn others_go_on(r: &Replication, failure: &str) {
    for id in 1..4 {
        r.provider.sql(&format!("insert into other values ({id})"));
        wait_within(SOON, &format!("row {id} of the other table is there"), || {
            let states = r.subscriber.rows("select table_name, merge_state from londiste.subscriber_table");
            match r.subscriber.value("select coalesce(max(id), 0) from other") {
                max if max == id.to_string() => Ok(()),
                max => Err(format!("row {max}, states {states:?}")),
            }
        });
        r.londiste.wait_for_log(failure);
    }
}

#[test]
fn others_go_on_while_a_trigger_refuses_the_events_of_a_table_that_is_handed_over() {
    let refuse = "create function refuse() returns trigger language plpgsql as
                      $$ begin raise exception 'not today'; end $$;
                  create trigger refuse before insert on t for each row execute procedure refuse()";
    behind(
        |r| r.subscriber.sql(refuse),
        |r| {
            others_go_on(r, "not today");
            r.subscriber.sql("drop trigger refuse on t");
            r.wait_until_ok();
            r.assert_in_sync();
        },
    );
}

#[test]
fn others_go_on_while_a_constraint_refuses_the_events_of_a_table_that_is_handed_over() {
    behind(
        |r| r.subscriber.sql("alter table t add constraint small check (a < 2)"),
        |r| {
            others_go_on(r, "small");
            r.subscriber.sql("alter table t drop constraint small");
            r.wait_until_ok();
            r.assert_in_sync();
        },
    );
}

#[test]
fn others_go_on_while_a_table_whose_consumer_is_gone_is_copied_again() {
    behind(
        |r| {
            r.provider.sql(&format!("select pgq.unregister_consumer('{QUEUE}', 'db1-londiste_copy')"));
            r.subscriber.sql("insert into t values (-1, -1)");
        },
        |r| {
            others_go_on(r, "");
            r.wait_until_ok();
            r.assert_in_sync();
        },
    );
}
