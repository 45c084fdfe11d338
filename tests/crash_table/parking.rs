//! Ends while a table is parked by replay or by its copy, and on its way back.

use super::{End, assert_left, killed_at, places_of};
use crate::support::{QUEUE, Replication, Session, assert_same_rows, wait_until, wait_until_ticked};

/// When the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// While replay parks the table.
    ByReplay,
    /// While the table catches up after a copy, and the copy parks it.
    ByCopy,
    /// After the table was mended.
    Mended,
}
use When::{ByCopy, ByReplay, Mended};

/// Each end, and what it leaves: state, reason, foreign key, the table's row in `londiste.table_position`, registered consumers beside
/// replay's, the other table. A list is one parking: each process takes up what the one before has left.
const PARKINGS: &[(When, &[End])] = &[
    (
        ByReplay,
        &[
            ("replay parking::rolled_back", "ok | no reason | key | 0 named | 0 registered | old log"),
            ("replay parking::fkeys_dropped", "ok | no reason | no key, pending | 0 named | 0 registered | old log"),
            // From here on replay restores the key at its start, until the table is parked.
            ("replay parking::named", "ok | no reason | * | 1 named | 0 registered | old log"),
            ("replay parking::registered", "ok | no reason | * | 1 named | 1 registered | old log"),
            ("replay parking::stored", "ok | no reason | * | 1 named | 1 registered | old log"),
            ("replay parking::fkeys_dropped", "ok | no reason | * | 0 named | 0 registered | old log"),
            (KEY_COMES_BACK, "catching-up | parked | no key, pending | 1 named | 1 registered | old log"),
        ],
    ),
    (
        Mended,
        &[("replay parking::cleared", "catching-up | parked | no key, pending | 1 named | 1 registered | new log")],
    ),
    (
        ByCopy,
        &[
            // The copy may have come as far as the hand-over before it meets the fault.
            ("replay parking::stored_by_copy", "* | no reason | no key, pending | 1 named | 1 registered | *"),
            ("replay parking::parked_by_copy", "catching-up | parked | no key, pending | 1 named | 1 registered | *"),
        ],
    ),
];

/// Between the drop of the keys and the new state there is time for the other task to restore the key of a table that is still `ok`.
const KEY_COMES_BACK: &str = "replay parking::parked return;parking::fkeys_dropped=sleep(4000)";

/// A session that keeps everybody from adding the key, for two seconds: until the keys are dropped and the pause has begun.
fn hold_key_back(r: &Replication) -> Session {
    let session = r.subscriber.session();
    session.sql("set idle_in_transaction_session_timeout = '2s'");
    session.sql("begin; lock table child in share mode");
    session
}

pub(super) fn places() -> Vec<&'static str> {
    places_of(PARKINGS.iter().flat_map(|(_, ends)| *ends).map(|(end, _)| end))
}

/// Not idempotent: applied twice, an insert fails, and the trigger counts too far.
fn ready() -> Replication {
    let r = Replication::new()
        .with_schema("create table t (id int primary key, a int); create table log (id serial primary key, what text)");
    r.provider.sql("insert into t values (1000, 0)");
    r.subscriber.sql(
        "create table child (t_id int constraint child_key references t);
         create table seen (what text);
         create function see() returns trigger language plpgsql as
             'begin insert into seen values (tg_op || new.id); return null; end';
         create trigger see after insert or update on t for each row execute procedure see()",
    );
    let r = r.up();
    r.subscriber.sql("insert into child values (1000)");
    r.londiste.run("subscriber restore-triggers t");
    wait_until_nothing_is_left(&r);
    r.replay_until_in_sync();
    r.londiste.stop();
    r
}

const CONSUMERS: &str =
    "select count(*) from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name <> 'db1-londiste'";

fn wait_until_nothing_is_left(r: &Replication) {
    let (provider, subscriber) = (r.provider.session(), r.subscriber.session());
    wait_until("nothing is left of the parking", || {
        let left = subscriber.column(
            "select consumer_id from londiste.table_position
             union all select consumer_id from londiste.completed where consumer_id <> 'db1-londiste'
             union all select fkey_name from londiste.subscriber_pending_fkeys
             union all select snapshot from londiste.subscriber_table where snapshot is not null",
        );
        let consumers = provider.value(CONSUMERS);
        if left.is_empty() && consumers == "0" { Ok(()) } else { Err(format!("{left:?} {consumers}")) }
    });
}

fn left(r: &Replication, round: usize) -> String {
    let on_subscriber = r.subscriber.value(&format!(
        "select concat_ws(' | ', (select coalesce(merge_state, '-') from londiste.subscriber_table where table_name = 'public.t'),
             case when exists (select from londiste.table_position where parked_reason is not null)
                  then 'parked' else 'no reason' end,
             case when exists (select from pg_constraint where conname = 'child_key') then 'key' else 'no key' end
                 || case when exists (select from londiste.subscriber_pending_fkeys) then ', pending' else '' end,
             (select count(*) || ' named' from londiste.table_position), '%s registered',
             case when exists (select from log where what = 'round {round}') then 'new log' else 'old log' end)"
    ));
    on_subscriber.replace("%s", &r.provider.value(CONSUMERS))
}

fn wait_until_parked(r: &Replication) {
    let session = r.subscriber.session();
    wait_until("the table is parked", || {
        let parked = "select count(*) from londiste.table_position where parked_reason is not null";
        if session.value(parked) == "1" { Ok(()) } else { Err("it is not") }
    });
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn table_is_parked_and_comes_back_whenever_a_process_ends() {
    let r = ready();
    let databases = [&r.provider, &r.subscriber];
    for (round, (when, ends)) in PARKINGS.iter().enumerate() {
        r.subscriber.sql("truncate seen");
        if *when == ByCopy {
            r.londiste.run("subscriber resync t");
            killed_at(&r.londiste, &databases, "replay copy::committed");
        }
        r.subscriber.sql("alter table t rename column a to b");
        r.provider.sql(&format!(
            "begin; update t set a = a + 1; insert into log (what) values ('round {round}');
             insert into t values ({round}, 0); commit"
        ));
        // The copy comes to the batch that it cannot apply before it is done.
        wait_until_ticked(&r.provider.session(), QUEUE);
        if *when == Mended {
            r.londiste.start();
            wait_until_parked(&r);
            // Replay has applied the batch, and is done with it.
            r.replay_until_in_sync();
            r.londiste.stop();
            r.subscriber.sql("alter table t rename column b to a");
        }
        for (end, expected) in *ends {
            let held = (*end == KEY_COMES_BACK).then(|| hold_key_back(&r));
            killed_at(&r.londiste, &databases, end);
            drop(held);
            assert_left(end, expected, &left(&r, round));
        }

        r.londiste.start();
        if *when != Mended {
            wait_until_parked(&r);
            r.replay_until_in_sync();
            assert_same_rows(&r.provider, &r.subscriber, &["log"]);
            r.subscriber.sql("alter table t rename column b to a");
        }
        r.wait_until_ok();
        wait_until_nothing_is_left(&r);
        r.replay_until_in_sync();
        assert_same_rows(&r.provider, &r.subscriber, &["t", "log"]);
        r.londiste.stop();
        if *when == ByCopy {
            // The copy has put the trigger aside.
            r.londiste.run("subscriber restore-triggers t");
        } else {
            let once = [&format!("INSERT{round}"), "UPDATE1000"].map(ToString::to_string);
            let updated = (0..round).map(|id| format!("UPDATE{id}"));
            let mut seen: Vec<String> = once.into_iter().chain(updated).collect();
            seen.sort();
            assert_eq!(r.subscriber.column("select what collate \"C\" from seen order by 1"), seen, "{ends:?}");
        }
    }
}
