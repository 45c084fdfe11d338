//! Events that no trigger wrote, through a whole replay: the error names the event, nothing of its batch is applied, and the command
//! of the HINT lets replay go on.

use super::log_lines::logged_after;
use crate::support::{QUEUE, Replication, wait_until};

const SCHEMA: &str = "create table t (id int primary key, v text); create table other (id int primary key)";

/// Events that stop replay: type, data and table as SQL, the letter that the message shows, and what it says.
const STOPPING: &[([&str; 3], &str, &str)] = &[
    (
        ["'I'", "$$(id,v) values ('2','x'); drop table other$$", "'public.t'"],
        "I",
        "its data are not understood at byte 26",
    ),
    (["'D'", "null", "'public.t'"], "D", "its data are not understood at byte 1: expected a column's name"),
    (
        ["'I'", "$$(id,v) values ('2','x')$$", "null"],
        "I",
        "the event does not say to which table it belongs (ev_extra1 is empty)",
    ),
    (["'R'", "null", "null"], "R", "the event does not say to which table it belongs (ev_extra1 is empty)"),
    (["'U:id'", "'id=1&v=%zz'", "'public.t'"], "U", "its data are not understood at byte 8"),
    (
        ["$${\"op\":\"INSERT\",\"table\":[\"public\",\"t\"]}$$", "'{\"id\":'", "'public.t'"],
        "I",
        "its data are not understood at byte 7",
    ),
    (
        ["$${\"op\":\"DELETE\",\"table\":[\"public\",\"t\"],\"pkey\":[\"id\"]}$$", "'[1]'", "null"],
        "D",
        "its data are not understood at byte 1",
    ),
];

/// Events that concern no subscribed table.
const IGNORED: &[[&str; 3]] = &[
    ["'I'", "$$(id,v) values ('2','x')$$", "'public.nosuch'"],
    ["'I'", "'junk'", "'public.t; drop table other'"],
    ["'D'", "$$id='1'$$", "''"],
    ["'D'", "$$id='1'$$", "'\"public\".\"t\"'"],
    ["'D'", "$$id='1'$$", "'T'"],
    ["'D'", "$$consumer_id='db1-londiste'$$", "'londiste.completed'"],
    ["'D'", "$$relname='t'$$", "'pg_catalog.pg_class'"],
    ["'D'", "$$id='1'$$", "E'public.t\\n'"],
    ["'R'", "null", "'public.nosuch'"],
    ["'T'", "null", "'public.t'"],
    ["'EXECUTE'", "'drop table other'", "'script.sql'"],
    ["$${\"op\":\"INSERT\",\"table\":[\"public\",\"nosuch\"]}$$", "'junk'", "null"],
];

fn insert([kind, data, table]: [&str; 3]) -> String {
    format!("select pgq.insert_event('{QUEUE}', {kind}, {data}, {table}, null, null, null)")
}

/// What the subscriber has of the two tables.
fn rows(r: &Replication) -> Vec<String> {
    r.subscriber.column("select 't' || t::text from t union all select 'other' || o::text from other o order by 1")
}

#[test]
fn an_event_that_is_not_understood_stops_replay_until_it_is_left_out() {
    let r = Replication::new().with_schema(SCHEMA).up();
    for (id, (event, letter, says)) in (10..).zip(STOPPING) {
        let before = rows(&r);
        let start = r.londiste.log().len();
        let session = r.provider.session();
        session.sql(&format!("begin; insert into other values ({id})"));
        let bad = session.value(&insert(*event));
        session.sql(&format!("insert into t values ({id}, 'after'); commit"));
        let error = format!("cannot apply event {bad} ({letter}) ");
        r.londiste.wait_for_log_after(start, &error);
        let said = r.londiste.log().split_off(start);
        let line = said.lines().find(|line| line.contains(&error)).unwrap();
        assert!(line.contains(says), "{line}");
        assert_eq!(rows(&r), before, "{line}");
        // The HINT's own words.
        let hint = said.split("\"rlondiste INI ").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        assert_eq!(hint, format!("subscriber skip-event {bad}"), "{said}");
        r.londiste.run(hint);
        r.londiste.kill();
        r.londiste.start();
        r.assert_in_sync();
        let skipped =
            format!("select ev_id from londiste.skipped_events where done_tick is not null and ev_id = {bad}");
        assert_eq!(r.subscriber.value(&skipped), bad);
    }
    assert_eq!(r.subscriber.value("select count(*) from t"), STOPPING.len().to_string());
}

/// Its table is parked, since mostly the column has another type than on the provider.
#[test]
fn a_value_that_no_column_of_its_type_takes_is_left_out_as_the_hint_says() {
    let r = Replication::new()
        .with_schema(SCHEMA)
        .with_schema("create type mood as enum ('glad'); create table m (id int primary key, v mood)");
    let r = r.up();
    r.subscriber.sql("delete from pg_enum");
    let bad = r.provider.value(&insert(["'I'", "$$(id,v) values ('two','x')$$", "'public.t'"]));
    r.provider.sql("insert into t values (3, 'after'); insert into other values (3); insert into m values (1, 'glad')");
    let hint = format!(
        "HINT: Find out what wrote this event: the column has the provider's type, and the subscriber's server takes no such value. \"rlondiste INI subscriber skip-event {bad}\" leaves this event out.\n"
    );
    r.londiste.wait_for_log(&hint);
    r.londiste.wait_for_log(
        "HINT: Make type public.mood the same on both sides: the labels of an enum, the checks of a domain.\n",
    );
    r.replay_until_in_sync();
    assert_eq!(rows(&r), ["other(3)"]);
    r.londiste.run(&format!("subscriber skip-event {bad}"));
    r.subscriber.sql("alter type mood add value 'glad'");
    r.wait_until_ok();
    r.assert_in_sync();
    assert_eq!(rows(&r), ["other(3)", "t(3,after)"]);
}

#[test]
fn events_of_other_tables_do_nothing_whatever_they_hold() {
    let r = Replication::new().with_schema(SCHEMA).up();
    r.provider.sql("insert into t values (1, 'one'); insert into other values (1)");
    r.assert_in_sync();
    let start = r.londiste.log().len();
    let events: Vec<String> = IGNORED.iter().map(|event| insert(*event)).collect();
    r.provider.sql(&format!(
        "begin; insert into t values (2, 'two'); {}; insert into other values (2); commit",
        events.join("; ")
    ));
    r.assert_in_sync();
    let said = logged_after(&r.londiste, start);
    let count = format!("{{count: {}, ignored: {}, duration: N}}", IGNORED.len() + 2, IGNORED.len());
    assert!(said.iter().any(|line| line.contains(&count)), "{said:#?}");
    assert!(!said.iter().any(|line| line.starts_with("ERROR") || line.starts_with("CRITICAL")), "{said:#?}");
}

/// The type of an event in JSON names the table too. A table that is parked has its events from a consumer of its own.
#[test]
fn events_that_name_their_table_in_the_type_only_reach_a_parked_table() {
    let r = Replication::new().with_schema(SCHEMA).up();
    r.provider.sql("alter table t add column n int; insert into t values (1, 'one', 1)");
    let subscriber = r.subscriber.session();
    wait_until("t is parked", || {
        match subscriber.value("select count(*) from londiste.table_position where parked_reason is not null").as_str()
        {
            "1" => Ok(()),
            _ => Err(r.londiste.log()),
        }
    });
    let json = |data| insert(["$${\"op\":\"INSERT\",\"table\":[\"public\",\"t\"],\"pkey\":[\"id\"]}$$", data, "null"]);
    r.provider.sql(&json("'{\"id\":2,\"v\":\"two\",\"n\":2}'"));
    let broken = r.provider.value(&json("'{\"id\":3'"));
    r.provider.sql("insert into t values (4, 'four', 4)");
    r.replay_until_in_sync();
    r.londiste.run(&format!("subscriber skip-event {broken}"));
    subscriber.sql("alter table t add column n int");
    r.wait_until_ok();
    r.replay_until_in_sync();
    assert_eq!(subscriber.column("select t::text from t order by id"), ["(1,one,1)", "(2,two,2)", "(4,four,4)"]);
}
