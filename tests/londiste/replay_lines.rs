//! What replay says about the batches it applies, and about those it cannot apply.

use pretty_assertions::assert_eq;

use super::log_lines::logged_after;
use crate::support::{QUEUE, Replication, wait_until};

fn in_sync() -> Replication {
    let r = Replication::new().with_table("t", "id int primary key, v text").up();
    wait_until("the snapshot is forgotten", || {
        let left = r.subscriber.value("select count(*) from londiste.subscriber_table where snapshot is not null");
        if left == "0" { Ok(()) } else { Err(left) }
    });
    r.replay_until_in_sync();
    r
}

/// Where the subscriber is, as messages have it.
fn subscriber(r: &Replication) -> String {
    let status = r.londiste.run("subscriber status").stdout;
    status.lines().find_map(|l| l.strip_prefix("Subscriber:  ")).unwrap().to_owned()
}

/// What replay logs of one provider transaction with events, up to the line of its batch.
fn lines_of(r: &Replication, sql: &str) -> Vec<String> {
    let start = r.londiste.log().len();
    r.provider.sql(sql);
    wait_until("the batch has its line", || {
        let lines = logged_after(&r.londiste, start);
        if lines.iter().any(|line| line.starts_with("INFO {count: ")) { Ok(lines) } else { Err(format!("{lines:?}")) }
    })
}

#[test]
fn only_the_first_start_on_a_queue_is_worth_a_line() {
    let r = Replication::new().with_table("t", "id int primary key");
    r.install();
    r.ticker.start();
    r.londiste.log_contains("INFO {count: 0, ignored: 0, duration: ", || r.londiste.start());
    assert_eq!(logged_after(&r.londiste, 0).last().unwrap(), "INFO Resetting queue tracking on dst side");
    r.londiste.stop();
    let start = r.londiste.log().len();
    r.londiste.start();
    r.londiste.wait_for_log_after(start, "INFO {count: 0, ignored: 0, duration: ");
    r.londiste.stop();
    assert_eq!(logged_after(&r.londiste, start), Vec::<String>::new());
}

#[test]
fn verbose_replay_tells_the_state_of_each_table_at_each_batch() {
    let r = in_sync();
    r.londiste.stop();
    let start = r.londiste.log().len();
    r.londiste.program(["replay", "-d", "-v"]).stdout("").run();
    r.provider.sql("insert into t values (1)");
    r.londiste.wait_for_log_after(start, "INFO {count: 1, ");
    r.londiste.stop();
    let mut lines = logged_after(&r.londiste, start);
    // Batches without an event differ in nothing but their number.
    lines.dedup();
    let expected =
        ["DEBUG Attaching", "DEBUG loaded_state: public.t: ok / None", "INFO {count: 1, ignored: 0, duration: N}"];
    assert_eq!(lines[..3], expected);
    assert!(lines[3..].iter().all(|line| line == expected[1]), "{lines:?}");
}

#[test]
fn events_are_counted_with_those_that_are_not_for_this_subscriber() {
    let r = in_sync();
    r.provider.sql("create table other (id int primary key)");
    r.londiste.run("provider add other");
    let lines = lines_of(&r, "begin; insert into t values (1), (2); insert into other values (1); commit");
    assert_eq!(lines, ["INFO {count: 3, ignored: 1, duration: N}"]);
}

#[test]
fn an_event_of_an_unknown_type_is_put_aside() {
    let r = in_sync();
    let sql = format!("begin; insert into t values (1, 'a'); select pgq.insert_event('{QUEUE}', 'X', 'data'); commit");
    let lines = lines_of(&r, &sql);
    let failed = r.provider.rows("select ev_id, ev_type, ev_data, ev_failed_reason from pgq.failed_queue");
    assert_eq!(failed.len(), 1);
    let id = failed[0][0].clone();
    assert_eq!(failed[0][1..], ["X", "data", "Unknown operation"]);
    let warning = format!("WARNING Unknown op X (event {id})");
    assert_eq!(lines, [warning.as_str(), "INFO {count: 2, ignored: 0, duration: N, failed-events: 1}"]);
    r.assert_in_sync();
}

#[test]
fn a_table_that_the_provider_removes_leaves_the_set_and_keeps_its_rows() {
    let r = Replication::new()
        .with_schema("create table a (id int primary key); create table \"Mixed\" (id int primary key); create table z (id int primary key)")
        .up();
    r.provider.sql("insert into a values (1); insert into \"Mixed\" values (1)");
    r.replay_until_in_sync();
    let start = r.londiste.log().len();
    r.londiste.run("provider remove Mixed");
    r.londiste.wait_for_log_after(start, "INFO Removing table public.Mixed from set\n");
    r.replay_until_in_sync();
    let lines = logged_after(&r.londiste, start);
    for line in [
        "INFO Removing public.Mixed",
        "INFO got new table event: public.a,public.z",
        "INFO Removing table public.Mixed from set",
        "INFO {count: 1, ignored: 0, duration: N}",
    ] {
        assert!(lines.iter().any(|l| l == line), "{line}\n{lines:#?}");
    }
    let stdout = "Table                                           State\n\
                  public.a                                           ok\n\
                  public.z                                           ok\n";
    r.londiste.program(["subscriber", "tables"]).stdout(stdout).run();
    assert_eq!(r.subscriber.value("select count(*) from \"Mixed\""), "1");
    let start = r.londiste.log().len();
    r.londiste.run("provider remove --all");
    r.londiste.wait_for_log_after(start, "INFO got new table event: \n");
    r.londiste.wait_for_log_after(start, "INFO Removing table public.z from set\n");
    assert!(!r.londiste.log().contains("CRITICAL"));
}

#[test]
fn a_table_removed_and_added_again_is_copied_again() {
    let r = in_sync();
    r.londiste.stop();
    r.londiste.run("provider remove t");
    r.provider.sql("insert into t values (1, 'not captured')");
    r.londiste.run("provider add t");
    r.provider.sql("insert into t values (2, 'captured')");
    r.londiste.start();
    r.londiste.wait_for_log("WARNING Table public.t was removed from the queue and added again: copying it again\n");
    // Until the batch with this line is committed the table still is ok.
    r.replay_until_in_sync();
    r.wait_until_ok();
    r.assert_in_sync();
}

#[test]
fn a_batch_that_is_applied_already_is_only_finished() {
    let r = in_sync();
    r.provider.sql("insert into t values (1, 'a')");
    r.replay_until_in_sync();
    r.ticker.stop();
    wait_until("replay stands at the last tick", || {
        let sql = "select (select max(tick_id) from pgq.tick) - sub_last_tick from pgq.subscription";
        let behind = r.provider.value(sql);
        if behind == "0" { Ok(()) } else { Err(behind) }
    });
    r.londiste.stop();
    // As after a crash between the commit on the subscriber and the finish on the provider.
    r.provider.sql(
        "update pgq.subscription set sub_last_tick = (select max(tick_id) from pgq.tick
                                                       where tick_id < (select max(tick_id) from pgq.tick))",
    );
    let start = r.londiste.log().len();
    r.londiste.start();
    r.londiste.wait_for_log_after(start, "INFO {count: 0, duration: ");
    r.ticker.start();
    r.assert_in_sync();
}

#[test]
fn a_row_that_is_refused_is_named_and_its_batch_comes_again() {
    let r = in_sync();
    r.subscriber.sql("insert into t values (1, 'in the way')");
    let start = r.londiste.log().len();
    r.provider.sql("insert into t values (1, 'a')");
    let place = subscriber(&r);
    let id = r.provider.value("select max(ev_id) from pgq.event_1");
    let text = format!(
        "CRITICAL Job db1-londiste crashed: cannot apply event {id} (I) to table \"public.t\", key id=1 on subscriber ({place}): \
         duplicate key value violates unique constraint \"t_pkey\" (23505)\nDETAIL: Key (id)=(1) already exists.\n"
    );
    r.londiste.wait_for_log_after(start, &text);
    assert_ne!(r.provider.value("select sub_batch from pgq.subscription"), "NULL");
    r.subscriber.sql("delete from t");
    // A reload wakes the pause.
    r.londiste.reload();
    r.assert_in_sync();
}

#[test]
fn a_row_that_is_not_there_is_no_error() {
    let r = in_sync();
    r.provider.sql("insert into t values (1, 'a'), (2, 'b')");
    r.assert_in_sync();
    r.subscriber.sql("delete from t");
    let lines = lines_of(&r, "begin; update t set v = 'c' where id = 1; delete from t where id = 2; commit");
    let warning = "WARNING rows to update or delete were not found: public.t (2)";
    assert_eq!(lines, [warning, "INFO {count: 2, ignored: 0, duration: N, missing-rows: 2}"]);
}

#[test]
fn a_bad_state_is_named_and_an_old_word_for_ok_is_taken() {
    let r = in_sync();
    let subscriber = subscriber(&r);
    r.subscriber.sql("update londiste.subscriber_table set merge_state = 'weird'");
    r.londiste.wait_for_log(&format!(
        "CRITICAL Job db1-londiste crashed: cannot list the subscribed tables on subscriber ({subscriber}): \
         table public.t: Bad table state: weird\n"
    ));
    r.subscriber.sql("update londiste.subscriber_table set merge_state = '?'");
    r.londiste.reload();
    r.provider.sql("insert into t values (1, 'a')");
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select merge_state from londiste.subscriber_table"), "ok");
}

#[test]
fn a_sequence_that_is_dropped_does_not_stop_the_others() {
    let r = Replication::new().with_schema("create sequence gone; create sequence here; create sequence fresh").up();
    r.londiste.run("provider add-seq --all");
    r.londiste.run("subscriber add-seq --all");
    r.provider.sql("select setval('gone', 5), setval('here', 5)");
    r.assert_sequences_in_sync();
    // A sequence that was never used gives its first value on the subscriber too.
    assert_eq!(r.subscriber.value("select nextval('fresh')"), "1");
    r.provider.sql("drop sequence gone");
    let text = |side: &str, name: &str| {
        format!(
            "WARNING Seq public.{name} does not exist on {side} side, its value is not replicated; remove it with \
             \"subscriber remove-seq public.{name}\" if it is not needed\n"
        )
    };
    r.londiste.wait_for_log(&text("provider", "gone"));
    r.provider.sql("select setval('here', 77)");
    r.replay_until_in_sync();
    wait_until("the value is there", || match r.subscriber.value("select last_value from here") {
        value if value == "77" => Ok(()),
        value => Err(value),
    });
    r.subscriber.sql("drop sequence fresh");
    r.londiste.wait_for_log(&text("subscriber", "fresh"));
    r.londiste.program(["provider", "seqs"]).stdout("public.fresh\npublic.gone\npublic.here\n").run();
    r.londiste.program(["provider", "remove-seq", "gone"]).stdout("").stderr("").run();
    r.londiste.run("subscriber remove-seq gone fresh");
    r.londiste.program(["subscriber", "seqs"]).stdout("public.here\n").run();
    assert!(!r.londiste.log().contains("CRITICAL"));
}
