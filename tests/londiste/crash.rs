//! Killed at each point of the protocol, replay goes on where it was: nothing is lost, nothing applied twice.
//!
//! A lock of the test holds the process at the point in question.

use crate::support::{Database, QUEUE, Replication, Session, wait_until};

/// A session that holds what a statement has locked until it is dropped.
struct Held(Session);

impl Held {
    #[track_caller]
    fn by(database: &Database, sql: &str) -> Held {
        let session = database.session();
        session.sql(&format!("begin; {sql}"));
        Held(session)
    }

    /// Waits until somebody else waits for the lock.
    #[track_caller]
    fn wait_until_blocking(&self, database: &Database, what: &str) {
        let pid = self.0.backend_pid();
        wait_until(&format!("replay waits at {what}"), || {
            let sql = format!("select count(*) from pg_stat_activity where {pid} = any(pg_blocking_pids(pid))");
            if database.value(&sql) == "0" { Err("it does not wait".to_owned()) } else { Ok(()) }
        });
    }

    /// Ends the session that waits: its server would go on with the statement after its client's death.
    fn end_waiting(&self, database: &Database) {
        let pid = self.0.backend_pid();
        let waiting = format!("select pid from pg_stat_activity where {pid} = any(pg_blocking_pids(pid))");
        database.sql(&format!("select pg_terminate_backend(pid) from ({waiting}) w"));
        wait_until("the waiting session is gone", || {
            let left = database.column(&waiting);
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    fn release(self) {
        self.0.sql("commit");
    }
}

/// Not idempotent: applied twice, `a` counts too far, and the log has too many rows.
fn counting() -> Replication {
    let r = Replication::new()
        .with_schema("create table t (id int primary key, a int); create table log (id serial primary key, what text)");
    r.subscriber.sql(
        "create table seen (what text);
         create function see() returns trigger language plpgsql as
             'begin insert into seen values (tg_op || new.id || coalesce(new.a, 0)); return null; end';
         create trigger see after insert or update on t for each row execute procedure see()",
    );
    let r = r.up();
    r.londiste.run("subscriber restore-triggers t");
    r.provider.sql("insert into t values (1, 0)");
    r.assert_in_sync();
    r
}

fn change(r: &Replication) {
    r.provider
        .sql("begin; update t set a = a + 1; insert into log (what) values ('x'); insert into t values (2, 0); commit");
}

/// The daemon was killed: it starts again and everything is there once.
#[track_caller]
fn assert_applied_once(r: &Replication) {
    r.londiste.start();
    r.assert_in_sync();
    assert_eq!(r.subscriber.column("select what from seen order by what"), ["INSERT10", "INSERT20", "UPDATE11"]);
    assert_eq!(r.subscriber.column("select row(t.*)::text from t order by id"), ["(1,1)", "(2,0)"]);
}

fn last_tick(r: &Replication) -> String {
    r.subscriber.value("select last_tick_id from londiste.completed where consumer_id = 'db1-londiste'")
}

#[test]
fn killed_between_next_batch_and_the_events() {
    let r = counting();
    // The first batch of a process is open when its events are asked for.
    r.londiste.stop();
    let held = Held::by(&r.provider, "lock table pgq.event_1 in access exclusive mode");
    r.provider.sql("select pgq.force_tick('db1-londiste-queue')");
    r.londiste.start();
    // The ticker may wait for the lock, too.
    let open = "select count(*) from pgq.subscription where sub_batch is not null";
    wait_until("a batch is open", || match r.provider.value(open).as_str() {
        "1" => Ok(()),
        _ => Err("none is"),
    });
    held.wait_until_blocking(&r.provider, "the events");
    r.londiste.kill9();
    held.release();
    change(&r);
    assert_applied_once(&r);
}

/// Later ones are opened and read by one call. From time to time a batch in between takes the long way all the same.
#[test]
fn killed_while_a_small_batch_is_opened_and_read() {
    let r = counting();
    wait_until("no snapshot is left", || {
        let left = r.subscriber.column("select table_name from londiste.subscriber_table where snapshot is not null");
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
    for _ in 0..2 {
        r.provider.sql("insert into log (what) values ('x')");
        r.replay_until_in_sync();
    }
    let held = Held::by(&r.provider, "lock table pgq.event_1 in access exclusive mode");
    r.provider.sql("select pgq.force_tick('db1-londiste-queue')");
    let waiting = "select query like '%next_batch_events%' from pg_stat_activity
                    where wait_event_type = 'Lock' and application_name = 'db1-londiste' and datname = current_database()";
    let mut by_one_call = String::new();
    wait_until("replay reads a batch", || {
        by_one_call = r.provider.column(waiting).join(" ");
        if by_one_call.is_empty() { Err("it does not") } else { Ok(()) }
    });
    let open = "select case count(*) when 0 then 't' else 'f' end from pgq.subscription where sub_batch is not null";
    assert_eq!(r.provider.value(open), by_one_call, "what the call has opened is not committed");
    r.londiste.kill9();
    held.release();
    change(&r);
    assert_applied_once(&r);
}

#[test]
fn killed_while_events_are_applied() {
    let r = counting();
    let held = Held::by(&r.subscriber, "lock table log in access exclusive mode");
    change(&r);
    held.wait_until_blocking(&r.subscriber, "a table");
    r.londiste.kill9();
    held.release();
    assert_applied_once(&r);
}

#[test]
fn killed_between_the_events_and_the_commit() {
    let r = counting();
    let held = Held::by(&r.subscriber, "select from londiste.completed where consumer_id = 'db1-londiste' for update");
    // Until then, ticks without events come and go.
    let before = last_tick(&r);
    change(&r);
    held.wait_until_blocking(&r.subscriber, "the tick");
    r.londiste.kill9();
    held.release();
    assert_eq!(last_tick(&r), before);
    assert_eq!(r.subscriber.value("select count(*) from seen"), "1");
    assert_applied_once(&r);
}

#[test]
fn killed_between_the_commit_and_finish_batch() {
    let r = counting();
    let tick = Held::by(&r.subscriber, "select from londiste.completed where consumer_id = 'db1-londiste' for update");
    let before = last_tick(&r);
    change(&r);
    tick.wait_until_blocking(&r.subscriber, "the tick");
    let finish = Held::by(&r.provider, "select from pgq.subscription for update");
    tick.release();
    finish.wait_until_blocking(&r.provider, "finish_batch");
    r.londiste.kill9();
    finish.end_waiting(&r.provider);
    finish.release();
    assert_ne!(last_tick(&r), before);
    assert_eq!(r.provider.value("select count(*) from pgq.subscription where sub_batch is not null"), "1");
    assert_applied_once(&r);
}

#[test]
fn killed_while_the_server_commits() {
    let r = counting();
    r.ticker.stop();
    wait_until("every tick is replayed", || {
        let left = r.provider.value("select max(tick_id) - (select sub_last_tick from pgq.subscription) from pgq.tick");
        if left == "0" { Ok(()) } else { Err(left) }
    });
    r.londiste.stop();
    // Nothing that would collide: only the tick tells that it is there already.
    r.provider.sql("update t set a = a + 1");
    r.provider.sql(&format!("select pgq.force_tick('{QUEUE}'); select pgq.ticker('{QUEUE}')"));
    // What a process left behind: it has applied the batch, and its commit has not ended.
    let batch = r.provider.value(&format!("select pgq.next_batch('{QUEUE}', 'db1-londiste')"));
    let end = r.provider.value(&format!("select tick_id from pgq.get_batch_info({batch})"));
    let commit = Held::by(
        &r.subscriber,
        &format!(
            "update t set a = a + 1;
             update londiste.completed set last_tick_id = {end} where consumer_id = 'db1-londiste'"
        ),
    );
    r.londiste.start();
    commit.wait_until_blocking(&r.subscriber, "the row");
    commit.release();
    r.ticker.start();
    r.assert_in_sync();
    assert_eq!(r.subscriber.column("select what from seen order by what"), ["INSERT10", "UPDATE11"]);
}

#[test]
fn killed_after_finish_batch() {
    let r = counting();
    change(&r);
    r.replay_until_in_sync();
    r.londiste.kill9();
    assert_applied_once(&r);
}

/// A batch that parks `t`, with events of `log` around, killed where `hold` holds it.
fn killed_while_parking(hold: impl FnOnce(&Replication) -> (Held, &Database)) {
    let r = counting();
    r.subscriber.sql("alter table t rename column a to b");
    let (held, database) = hold(&r);
    change(&r);
    held.wait_until_blocking(database, "the parking");
    r.londiste.kill9();
    assert_eq!(
        r.subscriber.value("select merge_state from londiste.subscriber_table where table_name = 'public.t'"),
        "ok"
    );
    held.release();
    r.londiste.start();
    r.londiste.wait_for_log("Table public.t is parked");
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from log"), "1");
    r.subscriber.sql("alter table t rename column b to a");
    r.wait_until_ok();
    r.assert_in_sync();
    assert_eq!(r.subscriber.column("select what from seen order by what"), ["INSERT10", "INSERT20", "UPDATE11"]);
    wait_until("one consumer is left", || match r.provider.value("select count(*) from pgq.subscription").as_str() {
        "1" => Ok(()),
        count => Err(count.to_owned()),
    });
}

#[test]
fn killed_before_the_parked_tables_consumer_is_registered() {
    killed_while_parking(|r| {
        // The name is known from the table's copy, and would be registered again without a new row.
        wait_until("the consumer of the copy is gone", || {
            let sql = "delete from pgq.consumer where co_name like '%\\_copy' returning co_id";
            r.provider.try_rows(sql).map(|_| ()).map_err(|e| e.to_string())
        });
        (Held::by(&r.provider, "lock table pgq.consumer in share row exclusive mode"), &r.provider)
    });
}

#[test]
fn killed_before_the_parked_tables_state_is_stored() {
    killed_while_parking(|r| {
        let sql = "select from londiste.subscriber_table where table_name = 'public.t' for update";
        (Held::by(&r.subscriber, sql), &r.subscriber)
    });
}
