//! Ends between the steps of a batch of replay. The subscriber's trigger counts what is applied.

use super::{End, assert_left, killed_at, places_of};
use crate::support::{QUEUE, Replication, wait_until};

/// Each end, and what it leaves: rows on the subscriber, its position, the batch on the provider. A list is one batch: each process
/// takes up what the one before has left.
const BATCHES: &[&[End]] = &[
    &[
        ("replay batch::opened", "old rows | old tick | open"),
        ("replay batch::begun", "old rows | old tick | open"),
        ("replay batch::applied", "old rows | old tick | open"),
        ("replay batch::extras_written", "old rows | old tick | open"),
        ("replay batch::tick_stored", "old rows | old tick | open"),
        ("replay batch::committed", "new rows | new tick | open"),
        ("replay batch::found_done", "new rows | new tick | open"),
        ("replay batch::found_done", "new rows | new tick | open"),
    ],
    &[("replay batch::finished", "new rows | new tick | finished")],
    &[("replay batch::committed", "new rows | new tick | open")],
];

/// Ends on the short way of a small batch, the second batch of its process: the first one takes the long way.
const SMALL_BATCHES: &[End] = &[
    ("replay quick::opened", "old rows | old tick | open"),
    ("replay quick::written", "old rows | old tick | open"),
    ("replay quick::committed", "new rows | new tick | open"),
    ("replay quick::finished", "new rows | new tick | finished"),
];

pub(super) fn places() -> Vec<&'static str> {
    places_of(BATCHES.iter().flat_map(|ends| *ends).chain(SMALL_BATCHES).map(|(end, _)| end))
}

/// Not idempotent: applied twice, an insert fails, and the trigger counts too far. Nothing ticks by itself, so that the batch with
/// the changes is the only one.
fn ready() -> Replication {
    let r = Replication::new()
        .with_schema("create table t (id int primary key, a int); create table log (id serial primary key, what text)");
    r.subscriber.sql(
        "create table seen (what text);
         create function see() returns trigger language plpgsql as
             'begin insert into seen values (tg_op || new.id || '':'' || coalesce(new.a, 0)); return null; end';
         create trigger see after insert or update on t for each row execute procedure see()",
    );
    let r = r.up();
    r.londiste.run("subscriber restore-triggers t");
    // The copies' snapshots are gone, and so is the reason to look for ticks.
    let session = r.subscriber.session();
    wait_until("the snapshots are dropped", || {
        match session.value("select count(*) from londiste.subscriber_table where snapshot is not null").as_str() {
            "0" => Ok(()),
            n => Err(n.to_owned()),
        }
    });
    r.ticker.stop();
    wait_until_finished(&r);
    r.londiste.stop();
    r
}

fn wait_until_finished(r: &Replication) {
    let session = r.provider.session();
    wait_until("every tick is replayed", || {
        let sql = "select max(tick_id) - (select sub_last_tick from pgq.subscription) from pgq.tick";
        match session.value(sql).as_str() {
            "0" => Ok(()),
            left => Err(left.to_owned()),
        }
    });
}

fn last_tick(r: &Replication) -> String {
    r.subscriber.value("select last_tick_id from londiste.completed where consumer_id = 'db1-londiste'")
}

/// What the end of a process has left of the batch that writes `what` to the log.
fn found(r: &Replication, what: &str, before: &str) -> String {
    let open = r.provider.value("select count(*) from pgq.subscription where sub_batch is not null");
    let rows = r.subscriber.value(&format!("select count(*) from log where what = '{what}'"));
    format!(
        "{} | {} | {}",
        if rows == "0" { "old rows" } else { "new rows" },
        if last_tick(r) == before { "old tick" } else { "new tick" },
        if open == "0" { "finished" } else { "open" },
    )
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn batch_is_applied_once_whenever_replay_ends() {
    let r = ready();
    let mut seen = Vec::new();
    for (round, ends) in BATCHES.iter().enumerate() {
        r.provider.sql(&format!(
            "begin; update t set a = a + 1; insert into log (what) values ('round {round}');
             select pgq.insert_event('{QUEUE}', 'unknown', '', 'public.t', null, null, null);
             insert into t values ({round}, 0); commit"
        ));
        r.provider.sql(&format!("select pgq.force_tick('{QUEUE}'); select pgq.ticker('{QUEUE}')"));
        let before = last_tick(&r);
        for (end, left) in *ends {
            killed_at(&r.londiste, &[&r.provider, &r.subscriber], end);
            assert_left(end, left, &found(&r, &format!("round {round}"), &before));
        }

        r.londiste.start();
        wait_until_finished(&r);
        r.londiste.stop();
        // Put aside on the provider in a transaction of its own, before the commit on the subscriber.
        let put_aside = r.provider.value("select count(*) from pgq.failed_queue");
        assert_eq!(put_aside, (round + 1).to_string(), "{ends:?}");
        crate::support::assert_same_rows(&r.provider, &r.subscriber, &["t", "log"]);
        seen.extend((0..round).map(|id| format!("UPDATE{id}:{}", round - id)));
        seen.push(format!("INSERT{round}:0"));
        seen.sort();
        assert_eq!(r.subscriber.column("select what collate \"C\" from seen order by 1"), seen, "{ends:?}");
    }
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn small_batch_is_applied_once_whenever_replay_ends() {
    let mut r = ready();
    // A forced tick takes numbers of the event sequence, by which ticks are joined into one batch.
    r.londiste.configure("batch_min_events", "1000000");
    let tick = || {
        r.provider.sql(&format!("select pgq.force_tick('{QUEUE}')"));
        r.provider.value(&format!("select pgq.ticker('{QUEUE}')"))
    };
    let mut seen = Vec::new();
    for (round, (end, left)) in SMALL_BATCHES.iter().enumerate() {
        r.provider.sql(&format!(
            "begin; insert into t values ({round}, 0); insert into log (what) values ('first {round}'); commit"
        ));
        let before = tick();
        r.provider.sql(&format!(
            "begin; insert into log (what) values ('second {round}'); update t set a = 1 where id = {round}; commit"
        ));
        tick();
        killed_at(&r.londiste, &[&r.provider, &r.subscriber], end);
        assert_left(end, left, &found(&r, &format!("second {round}"), &before));

        r.londiste.start();
        wait_until_finished(&r);
        r.londiste.stop();
        crate::support::assert_same_rows(&r.provider, &r.subscriber, &["t", "log"]);
        seen.extend([format!("INSERT{round}:0"), format!("UPDATE{round}:1")]);
    }
    seen.sort();
    assert_eq!(r.subscriber.column("select what collate \"C\" from seen order by 1"), seen);
}
