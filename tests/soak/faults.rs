//! Faults of the network, and of servers that take their time.

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::operation::{on_provider, sleep};
use super::wire::Wire;
use super::world::{Side, World, try_again};
use crate::support::statements::Dice;
use crate::support::{Shutdown, Traffic};

/// Connections are cut; new ones work. A pooler starts anew.
pub fn cut(world: &World, side: Side) -> String {
    match world.wire(side) {
        Wire::Proxy(proxy) => proxy.cut(),
        Wire::Pooler(pooler) => pooler.restart(),
    }
    String::new()
}

/// Nothing moves for a while, which may be longer than the daemons wait for an answer.
pub fn stalled(world: &World, side: Side, dice: &mut Dice) -> String {
    let Wire::Proxy(proxy) = world.wire(side) else { return "not behind a pooler".to_owned() };
    let millis = 500 + dice.below(8000);
    proxy.set_traffic(Traffic::Stall);
    thread::sleep(Duration::from_millis(millis));
    proxy.set_traffic(Traffic::Forward);
    format!("{millis} ms")
}

/// Each piece takes its time.
pub fn slowed(world: &World, side: Side, dice: &mut Dice) -> String {
    let Wire::Proxy(proxy) = world.wire(side) else { return "not behind a pooler".to_owned() };
    let millis = 20 + dice.below(200);
    proxy.set_traffic(Traffic::Delay(Duration::from_millis(millis)));
    sleep(dice, 4000);
    proxy.set_traffic(Traffic::Forward);
    format!("{millis} ms a piece")
}

/// Connections are cut in the middle of an answer, and none is taken for a while.
pub fn refused(world: &World, side: Side, dice: &mut Dice) -> String {
    match world.wire(side) {
        Wire::Proxy(proxy) => {
            proxy.set_traffic(Traffic::CutAfter(dice.below(3000)));
            sleep(dice, 2000);
            proxy.set_traffic(Traffic::Refuse);
            sleep(dice, 2000);
            proxy.set_traffic(Traffic::Forward);
        }
        Wire::Pooler(pooler) => {
            pooler.kill();
            sleep(dice, 2000);
            pooler.start_again();
        }
    }
    String::new()
}

/// The process that serves one of the daemons' sessions stands still.
pub fn backend_stopped(world: &World, side: Side, dice: &mut Dice) -> String {
    let sql = "select pid from pg_stat_activity where application_name in ('db1-londiste', 'db1-ticker') order by pid";
    let pids = world.database(side).try_rows(sql).unwrap_or_default().concat();
    if pids.is_empty() {
        return "none".to_owned();
    }
    let pid = &pids[usize::try_from(dice.below(pids.len() as u64)).unwrap()];
    let pid = Pid::from_raw(pid.parse().unwrap());
    // It may have ended meanwhile.
    if kill(pid, Signal::SIGSTOP).is_ok() {
        sleep(dice, 5000);
        let _ = kill(pid, Signal::SIGCONT);
    }
    String::new()
}

/// An administrator restarts the server.
pub fn restarted(world: &World, side: Side) -> String {
    world.cluster(side).stop(Shutdown::Fast);
    world.start(side);
    String::new()
}

/// Somebody has the table for himself.
pub fn locked(world: &World, side: Side, table: &str, dice: &mut Dice) -> String {
    let Ok(session) = world.database(side).try_session() else { return "no session".to_owned() };
    let done = session.try_rows(&format!("set lock_timeout = '3s'; begin; lock table {table}")).is_ok();
    sleep(dice, 3000);
    let _ = session.try_rows("rollback");
    format!("{table}, done: {done}")
}

/// A transaction that has written something, holds back every horizon and ends late.
pub fn idle_transaction(world: &World, side: Side, dice: &mut Dice) -> String {
    let Ok(session) = world.database(side).try_session() else { return "no session".to_owned() };
    let begun = "begin isolation level repeatable read; select txid_current(); select count(*) from parent";
    let done = session.try_rows(begun).is_ok();
    sleep(dice, 6000);
    let write = "insert into parent values (99000, 'late') on conflict (id) do update set v = parent.v || '.'";
    let written = side == Side::Provider && session.try_rows(write).is_ok();
    let ended = session.try_rows("commit").is_ok();
    format!("begun: {done}, written: {written}, ended: {ended}")
}

/// On the subscriber first, where replay is to find the column; the other way round when it goes.
pub fn column_added_and_dropped(world: &World, table: &str, dice: &mut Dice) -> String {
    let on_subscriber = |sql: &str| {
        let sql = format!("set lock_timeout = '3s'; {sql}");
        match try_again(|| world.r.subscriber.try_rows(&sql).map(drop)) {
            Ok(()) => String::new(),
            Err(error) => format!(" failed: {error}"),
        }
    };
    let add = format!("alter table {table} add column if not exists more text");
    let drop = format!("alter table {table} drop column if exists more");
    let mut about = table.to_owned();
    about += &on_subscriber(&add);
    about += &on_provider(world, &add);
    sleep(dice, 800);
    about += &on_provider(world, &format!("update {table} set more = 'more ' || id where id % 5 = 0"));
    sleep(dice, 800);
    about += &on_provider(world, &drop);
    sleep(dice, 800);
    about + &on_subscriber(&drop)
}
