//! Ends of the commands that change the sets of tables, and the registration. Each command is given two tables, so that it can end
//! between them.

use super::{assert_left, killed_at, places_of};
use crate::support::{Replication, wait_until};

/// What is done before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Nothing: the row before left what is wanted, or this end is the repetition of the row before.
    Nothing,
    /// Both sides run until the tables are `ok` and equal, and stop.
    InSync,
    /// The tables are subscribed again, and wait for their copies.
    Waiting,
    /// An old position is stored.
    OldPosition,
}
use Before::{InSync, Nothing, OldPosition, Waiting};

/// What is done before, the end, what is left, and what the same command leaves when it is repeated (nothing: the next row repeats
/// it). Left are: the provider's set, the captured tables, the subscribed ones, the tables with the user's trigger, the foreign key,
/// the consumer.
const ROWS: &[(Before, &str, &str, &str)] = &[
    (Nothing, "provider add a b provider::captured", "- | - | - | a b | key | -", ""),
    (Nothing, "provider add a b provider::added", "a | a | - | a b | key | -", "a b | a b | - | a b | key | -"),
    (Nothing, "subscriber add a b subscriber::subscribed", "a b | a b | - | a b | key | -", ""),
    (Nothing, "subscriber add a b subscriber::triggers_dropped", "a b | a b | - | a b | key | -", ""),
    (
        Nothing,
        "subscriber add a b subscriber::added",
        "a b | a b | a:- | b | key | -",
        "a b | a b | a:- b:- | - | key | -",
    ),
    (InSync, "subscriber resync a b subscriber::reset", "a b | a b | a:- b:ok | - | key | at its position", RESET),
    (InSync, "subscriber unregister registration::tables_reset", NO_POSITION, ""),
    (Nothing, "subscriber unregister registration::unregistered", UNREGISTERED, ""),
    (InSync, "subscriber unregister registration::restored", REGISTERED, UNREGISTERED),
    (
        OldPosition,
        "subscriber register registration::registered",
        "a b | a b | a:- b:- | a b | key | position only",
        "",
    ),
    (Nothing, "subscriber register registration::position_deleted", UNREGISTERED, REGISTERED),
    (InSync, "subscriber remove a b subscriber::triggers_restored", SYNCED, ""),
    (Nothing, "subscriber remove a b subscriber::removed", "a b | a b | b:ok | a | key | at its position", REMOVED),
    (Waiting, "subscriber remove a b subscriber::unsubscribed", HALF_REMOVED, REMOVED),
    (Waiting, "subscriber remove a b subscriber::triggers_restored", HALF_REMOVED, REMOVED),
    (Waiting, "subscriber remove a b subscriber::removed", "a b | a b | b:- | a | key | at its position", REMOVED),
    (InSync, "provider remove a b provider::released", SYNCED, ""),
    (Nothing, "provider remove a b provider::removed", "b | b | a:ok b:ok | - | key | at its position", ""),
    (Nothing, "provider remove a b provider::notified", RELEASED, RELEASED),
];

const SYNCED: &str = "a b | a b | a:ok b:ok | - | key | at its position";
const RESET: &str = "a b | a b | a:- b:- | - | key | at its position";
const REMOVED: &str = "a b | a b | - | a b | key | at its position";
const HALF_REMOVED: &str = "a b | a b | b:- | - | key | at its position";
const RELEASED: &str = "- | - | a:ok b:ok | - | key | at its position";
const NO_POSITION: &str = "a b | a b | a:- b:- | - | key | without position";
const UNREGISTERED: &str = "a b | a b | a:- b:- | a b | key | -";
const REGISTERED: &str = "a b | a b | a:- b:- | a b | key | without position";

pub(super) fn places() -> Vec<&'static str> {
    places_of(ROWS.iter().map(|(_, end, _, _)| end))
}

fn ready() -> Replication {
    let r = Replication::new()
        .with_schema("create table a (id int primary key, v int); create table b (id int primary key, v int)");
    r.provider.sql("insert into a select i, i from generate_series(1, 10) i; insert into b select * from a");
    r.subscriber.sql(
        "create table child (a_id int constraint child_key references a);
         insert into a values (1); insert into child values (1);
         create function note() returns trigger language plpgsql as 'begin return new; end';
         create trigger note before insert on a for each row execute procedure note();
         create trigger note before insert on b for each row execute procedure note()",
    );
    r.install();
    r
}

fn left(r: &Replication) -> String {
    let theirs = r.provider.value(
        "select concat_ws(' | ',
             coalesce((select string_agg(substr(table_name, 8), ' ' order by table_name) from londiste.provider_table), '-'),
             coalesce((select string_agg(distinct tgrelid::regclass::text, ' ') from pg_trigger
                         where not tgisinternal and tgrelid in ('a'::regclass, 'b'::regclass)), '-'))",
    );
    let ours = r.subscriber.value(
        "select concat_ws(' | ',
             coalesce((select string_agg(substr(table_name, 8) || ':' || coalesce(merge_state, '-'), ' ' order by table_name)
                         from londiste.subscriber_table), '-'),
             coalesce((select string_agg(tgrelid::regclass::text, ' ' order by tgrelid::regclass::text)
                         from pg_trigger where tgname = 'note'), '-'),
             case when exists (select from pg_constraint where conname = 'child_key') then 'key' else 'no key' end
                 || case when exists (select from londiste.subscriber_pending_fkeys) then ', pending' else '' end)",
    );
    let registered = r.provider.value("select count(*) from pgq.subscription") != "0";
    let position = r.subscriber.value("select count(*) from londiste.completed") != "0";
    let consumer = match (registered, position) {
        (true, true) => "at its position",
        (true, false) => "without position",
        (false, true) => "position only",
        (false, false) => "-",
    };
    format!("{theirs} | {ours} | {consumer}")
}

fn reach(r: &Replication, before: Before) {
    match before {
        Nothing => {}
        Waiting => drop(r.londiste.run("subscriber add a b")),
        InSync => synchronize(r),
        OldPosition => r.subscriber.sql("insert into londiste.completed values ('db1-londiste', 1)"),
    }
}

/// Both sides work until the tables are in sync, however they were left.
fn synchronize(r: &Replication) {
    r.start();
    r.add("a b");
    r.provider.sql("update a set v = v + 1; update b set v = v + 1");
    // The list of tables that "provider remove" has sent comes before the states are looked at.
    r.replay_until_in_sync();
    r.wait_until_ok();
    let session = r.subscriber.session();
    wait_until("the copies are over", || {
        let left = session.column(
            "select consumer_id from londiste.table_position
             union all select fkey_name from londiste.subscriber_pending_fkeys
             union all select snapshot from londiste.subscriber_table where snapshot is not null",
        );
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    r.assert_in_sync();
    r.londiste.stop();
    r.ticker.stop();
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn command_that_was_ended_can_be_repeated() {
    let r = ready();
    for (before, end, expected, repeated) in ROWS {
        reach(&r, *before);
        killed_at(&r.londiste, &[&r.provider, &r.subscriber], end);
        assert_left(end, expected, &left(&r));
        if !repeated.is_empty() {
            let command = &end[..end.rfind(' ').unwrap()];
            r.londiste.run(command);
            assert_left(&format!("{end}, and \"{command}\" again"), repeated, &left(&r));
        }
    }
    // Tables that replay has taken out of the set get their triggers back by the same command.
    r.start();
    r.replay_until_in_sync();
    r.londiste.stop();
    r.ticker.stop();
    assert_left("the provider's list", "- | - | - | - | key | at its position", &left(&r));
    r.londiste.run("subscriber remove a b");
    assert_left("\"subscriber remove a b\"", "- | - | - | a b | key | at its position", &left(&r));
    synchronize(&r);
}
