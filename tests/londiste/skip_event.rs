//! `subscriber skip-event`: an event that cannot be applied is left out by an operator's order, and by nothing else.

use super::log_lines::log;
use crate::support::{Replication, wait_until};

/// A queue whose next event violates the subscriber's check, with an event before and one behind it.
fn blocked() -> (Replication, String) {
    let r = Replication::new().with_table("t", "id int primary key, a int");
    r.subscriber.sql("alter table t add check (a > 0)");
    let r = r.up();
    r.provider.sql("begin; insert into t values (1, 1), (2, -2), (3, 3); update t set a = 4 where id = 3; commit");
    let event = r.provider.value("select ev_id from pgq.event_1 where ev_data like '%-2%'");
    r.londiste.wait_for_log(&format!("cannot apply event {event} (I) to table \"public.t\", key id=2"));
    (r, event)
}

#[test]
fn event_that_blocks_replay_is_left_out_by_order() {
    let (r, event) = blocked();
    // Nothing is left out by itself, and the error says how to do it.
    assert_eq!(r.subscriber.value("select count(*) from t"), "0");
    let text = r.londiste.log();
    let error = "new row for relation \"t\" violates check constraint \"t_a_check\" (23514)\n";
    assert!(text.contains(error), "{text}");
    let hint = format!("HINT: \"rlondiste INI subscriber skip-event {event}\" leaves this event out.\n");
    assert!(text.contains(&hint), "{text}");
    r.londiste.stop();
    let said = log(&[&format!("INFO Event {event} (I) of table public.t will be skipped")]);
    r.londiste.program(["subscriber", "skip-event", &event]).stdout("").stderr(said).run();
    let said = log(&[&format!("WARNING Event {event} is to be skipped already")]);
    r.londiste.program(["subscriber", "skip-event", &event]).stdout("").stderr(said).run();
    let status = r.londiste.run("subscriber status").stdout;
    assert!(status.contains(&format!("\nTo skip:     event {event}\n")), "{status}");
    r.londiste.start();
    r.replay_until_in_sync();
    let status = r.londiste.run("subscriber status").stdout;
    assert!(!status.contains("To skip:"), "{status}");
    assert_eq!(r.subscriber.column("select row(t.*)::text from t order by id"), ["(1,1)", "(3,4)"]);
    let skipped =
        "select consumer, ev_id, ev_type, ev_data, ev_extra1, done_tick is not null from londiste.skipped_events";
    assert_eq!(
        r.subscriber.rows(skipped),
        [["db1-londiste", &event, "I", "(id,a) values ('2','-2')", "public.t", "t"]]
    );
    let line = format!("WARNING event {event} is skipped, as was ordered; londiste.skipped_events has it\n");
    assert_eq!(r.londiste.log().matches(&line).count(), 1);
    let output = r.londiste.program(["subscriber", "skip-event", &event]).stdout("").status(1).run();
    let refused = format!("event {event} of queue \"db1-londiste-queue\" is applied already by consumer db1-londiste");
    assert!(output.stderr.contains(&refused), "{}", output.stderr);
    // Its neighbours in later batches are applied.
    r.provider.sql("delete from t where id = 2; insert into t values (2, 2)");
    r.assert_in_sync();
}

#[test]
fn order_that_makes_no_sense_is_refused() {
    let r = Replication::new().with_table("t", "id int primary key").with_table("other", "id int primary key");
    r.install();
    r.start();
    r.londiste.run("provider add t other");
    r.londiste.run("subscriber add t");
    r.wait_until_ok();
    r.provider.sql("insert into t values (1)");
    r.replay_until_in_sync();
    let refused = |id: &str, text: &str| {
        let output = r.londiste.program(["subscriber", "skip-event", id]).stdout("").status(1).run();
        assert!(output.stderr.contains(text), "{}", output.stderr);
    };
    refused("987654", "no event 987654 in queue \"db1-londiste-queue\" on provider (");
    let applied = r.provider.value("select max(ev_id) from pgq.event_1");
    refused(
        &applied,
        &format!("event {applied} of queue \"db1-londiste-queue\" is applied already by consumer db1-londiste"),
    );
    r.londiste.stop();
    r.provider.sql("insert into other values (1)");
    let other = r.provider.value("select max(ev_id) from pgq.event_1");
    refused(&other, "table public.other is not subscribed");
    for words in [&["subscriber", "skip-event"][..], &["subscriber", "skip-event", "x"]] {
        r.londiste.program(words).stdout("").status(2).run();
    }
    assert_eq!(r.subscriber.value("select count(*) from londiste.skipped_events"), "0");
}

#[test]
fn event_of_a_parked_table_is_left_out_too() {
    let r = Replication::new().with_table("t", "id int primary key, a text");
    r.subscriber.sql("alter table t alter column a type int using a::int");
    r.install();
    r.start();
    r.londiste.run("provider add --all");
    r.londiste.run("subscriber add --all --force");
    r.wait_until_ok();
    r.provider.sql("insert into t values (1, '1'), (2, 'two'), (3, '3')");
    let subscriber = r.subscriber.session();
    wait_until("t is parked", || {
        match subscriber.value("select count(*) from londiste.table_position where parked_reason is not null").as_str()
        {
            "1" => Ok(()),
            _ => Err(r.londiste.log()),
        }
    });
    let event = r.provider.value("select ev_id from pgq.event_1 where ev_data like '%two%'");
    r.londiste.run(&format!("subscriber skip-event {event}"));
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!(subscriber.column("select row(t.*)::text from t order by id"), ["(1,1)", "(3,3)"]);
    assert_eq!(subscriber.value("select count(*) from londiste.table_position"), "0");
}

/// A table that lacks an event is not said to have the provider's rows.
#[test]
fn left_out_event_is_told_until_the_table_has_the_rows() {
    let (r, event) = blocked();
    r.londiste.run(&format!("subscriber skip-event {event}"));
    r.replay_until_in_sync();
    let told = format!("event {event} was left out by \"subscriber skip-event\"");
    let tells = |is_told: bool| {
        let check = r.londiste.program(["subscriber", "check"]).output();
        let fact = format!("Table public.t is ok, but changes may be missing: {told}");
        assert_eq!((check.status, check.stderr.contains(&fact)), (i32::from(is_told), is_told), "{}", check.stderr);
        let status = r.londiste.run("subscriber status").stdout;
        assert_eq!(status.contains(&format!("Changes may be missing: {told}")), is_told, "{status}");
        let doctor = r.londiste.program(["doctor", "-v"]).output().stdout;
        let finding = doctor.lines().find(|line| line.contains("skipped-events")).unwrap_or_default();
        assert_eq!((finding.contains("error"), finding.contains(&told)), (is_told, is_told), "{doctor}");
        let plan = r.londiste.program(["switchover", "--plan"]).output().stdout;
        assert_eq!(plan.contains(&told), is_told, "{plan}");
    };
    tells(true);
    // The row that was left out is refused again.
    let refused = r.londiste.program(["repair", "--online", "--apply", "t"]).output();
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    tells(true);
    r.subscriber.sql("alter table t drop constraint t_a_check");
    r.londiste.run("repair --dry-run t");
    tells(true);
    r.londiste.run("repair --online --apply t");
    r.assert_in_sync();
    tells(false);
}

#[test]
fn copy_brings_what_was_left_out() {
    let (r, event) = blocked();
    r.londiste.run(&format!("subscriber skip-event {event}"));
    r.replay_until_in_sync();
    r.subscriber.sql("alter table t drop constraint t_a_check");
    r.londiste.run("subscriber resync t");
    r.wait_until_ok();
    r.assert_in_sync();
    let check = r.londiste.program(["subscriber", "check"]).output();
    assert_eq!(check.status, 0, "{}", check.stderr);
    assert_eq!(r.subscriber.value("select count(*) from londiste.skipped_events"), "0");
}
