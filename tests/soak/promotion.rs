//! A standby of the provider is promoted, and the old primary is gone. The connection strings of daemons, commands and clients
//! name both servers.
//!
//! The standby is made at the beginning of the operation and promoted at its end: no other operation meets it as a standby. A seed
//! that draws a standby has a proxy before each of the two servers, and no pooler before the provider.

use std::collections::BTreeSet;
use std::thread;

use super::operation::{Operation, sleep};
use super::oracle::Found;
use super::world::{CONSUMER, Side, World};
use crate::support::statements::Dice;
use crate::support::{QUEUE, Shutdown, wait_until};

/// A table outside of the set, in which a client of this module counts.
pub const TABLE: &str = "create table acknowledged (n int)";

/// How many of its commits the client has an answer to before the primary dies.
const ENOUGH: usize = 50;

/// Commits wait until the standby has their WAL: whatever a client has an answer to, and whatever replay has read, is there after
/// the promotion.
pub fn with_all_wal(world: &mut World, dice: &mut Dice) -> String {
    make_standby(world);
    world.cluster(Side::Provider).wait_for_standby_at_commit();
    let session = world.r.provider.session();
    let (sender, receiver) = std::sync::mpsc::channel();
    let client = thread::spawn(move || {
        let mut n = 0;
        while session.try_rows(&format!("insert into acknowledged values ({n})")).is_ok() {
            // The other end is there until this has ended.
            sender.send(n).unwrap();
            n += 1;
        }
    });
    let mut acknowledged: BTreeSet<i32> = receiver.iter().take(ENOUGH).collect();
    sleep(dice, 1500);
    let how = stop_hard(world, dice);
    client.join().unwrap();
    acknowledged.extend(receiver.try_iter());
    world.promote_standby();
    let there: BTreeSet<i32> =
        world.r.provider.column("select n from acknowledged").iter().map(|n| n.parse().unwrap()).collect();
    let lost = acknowledged.difference(&there).count();
    assert!(acknowledged.len() >= ENOUGH && lost == 0, "{} commits were acknowledged, {lost} lost", acknowledged.len());
    world.r.provider.sql("truncate acknowledged");
    format!("{how}, {} acknowledged commits", acknowledged.len())
}

/// The standby has stopped before, and replay has applied ticks that it lacks: replay stops and says what helps, `check` exits 1.
pub fn with_lost_wal(world: &mut World, dice: &mut Dice) -> String {
    let since = world.logs().replay.len();
    make_standby(world);
    sleep(dice, 1000);
    world.standby().cluster.stop(Shutdown::Fast);
    let last_tick = format!(
        "select max(tick_id) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue where q.queue_name = '{QUEUE}'"
    );
    let kept: i64 = world.r.provider.value(&last_tick).parse().unwrap();
    let applied = format!(
        "select coalesce(max(sub_last_tick), 0) from pgq.subscription join pgq.consumer on co_id = sub_consumer
         where co_name = '{CONSUMER}'"
    );
    // Two, so that the batch between them is lost too.
    let applied = wait_until("replay has applied what the standby lacks", || {
        let applied: i64 = world.r.provider.value(&applied).parse().unwrap();
        if applied > kept + 1 { Ok(applied) } else { Err(format!("tick {applied}, the standby has {kept}")) }
    });
    let how = stop_hard(world, dice);
    world.standby().cluster.start();
    world.promote_standby();
    world.r.londiste.reload();
    wait_until("replay says that the provider went back", || {
        let log = world.logs().replay;
        let told = log[since..].split(" CRITICAL ").skip(1).any(|report| report.contains("subscriber resync --all"));
        if told { Ok(()) } else { Err(log.lines().last().unwrap_or_default().to_owned()) }
    });
    assert_eq!(world.command("subscriber check").status, 1);
    format!("{how}, ticks {kept} to {applied} are lost")
}

fn make_standby(world: &World) {
    let primary = world.cluster(Side::Provider);
    world.standby().cluster.start_as_standby_of(primary);
    wait_until("the standby streams", || {
        let state = primary.rows("select state from pg_stat_replication").concat();
        if state == ["streaming"] { Ok(()) } else { Err(format!("{state:?}")) }
    });
}

fn stop_hard(world: &World, dice: &mut Dice) -> &'static str {
    let primary = world.cluster(Side::Provider);
    if dice.below(2) == 0 {
        primary.kill9();
        "killed"
    } else {
        primary.stop(Shutdown::Immediate);
        "stopped"
    }
}

/// What the round of a promotion has to come to: it began with equal tables, and had no other operation.
#[track_caller]
pub fn assert_outcome(round: &[Operation], found: &[Found]) {
    let started_over = found.contains(&Found::Resynced) || found.contains(&Found::Rewound);
    match round {
        [Operation::PromoteStandby] => assert!(!started_over, "replay did not go on by itself: {found:?}"),
        [Operation::PromoteStandbyWithLostWal] => {
            assert!(started_over, "replay has not said that the provider went back: {found:?}");
        }
        _ => {}
    }
}
