//! Whether both sides are equal, or the difference was reported.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::pgbench::SEQUENCE;
use super::world::{Side, World};
use super::writers::TABLES;
use crate::support::{QUEUE, Session, SqlError, compare};

/// How long replay, copies and maintenance may need until a round's tables are equal, and what is told to do is done.
const PATIENCE: Duration = Duration::from_secs(150);

/// After how long a daemon is told to look again: it waits up to 20 s after faults of a server.
const NUDGE: Duration = Duration::from_secs(4);

/// How long a report in the log may come after one of `check`: maintenance and replay look once a second.
const REPORT_LIMIT: Duration = Duration::from_secs(30);

/// How long replay may need to get over a report by itself. The same text is logged once a minute only: after this time replay is
/// started anew, and says at once why it stops.
const BY_ITSELF: Duration = Duration::from_secs(4);

/// Within what time a replay that was started anew says again why it has stopped.
const AGAIN_LIMIT: Duration = Duration::from_secs(15);

/// What a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Everything `ok`, and equal.
    Equal,
    /// The tables were `ok`, `check` said that changes may be missing.
    Reported,
    /// Replay stopped and said that `--rewind` helps.
    Rewound,
    /// Replay stopped and said that `resync --all` helps.
    Resynced,
    /// A table was parked and copied again.
    Parked,
}

/// How the subscriber stands.
enum Standing {
    /// Every table is `ok`, and everything that is committed on the provider is applied.
    Settled,
    /// Something is under way, or in the way.
    Busy(String),
}

/// Waits until both sides are equal, doing what reports say. Returns what happened on the way; panics when rows differ
/// without a report, and when they stay different.
#[track_caller]
pub fn settle(world: &World, since: (usize, usize)) -> Vec<Found> {
    let started = Instant::now();
    let mut found = Vec::new();
    let mut told = since;
    let mut nudged = Instant::now();
    let mut last = String::new();
    world.start_daemons();
    loop {
        world.add_missing();
        match standing(world) {
            Ok(Standing::Settled) => {
                if let Some(kind) = judge(world, since) {
                    if !found.contains(&kind) {
                        found.push(kind);
                    }
                    if kind == Found::Equal {
                        tell_reports(world, since);
                        return found;
                    }
                }
            }
            Ok(Standing::Busy(status)) => last = status,
            Err(error) => last = error.to_string(),
        }
        if let Some(kind) = react(world, &mut told) {
            found.push(kind);
        }
        if nudged.elapsed() > NUDGE {
            nudged = Instant::now();
            world.start_daemons();
            world.r.londiste.reload();
            world.r.ticker.reload();
        }
        assert!(
            started.elapsed() < PATIENCE,
            "not settled after {} s: {last}\n{}\nreports:\n{}",
            PATIENCE.as_secs(),
            world.command("subscriber status").stdout,
            world.logs().reports(since).join("\n")
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Prints the reports of a round, without their dates and where the servers are.
fn tell_reports(world: &World, since: (usize, usize)) {
    let without_place = |report: &str| match report.split_once(" (host=") {
        Some((before, rest)) => before.to_owned() + rest.split_once(')').map_or("", |(_, after)| after),
        None => report.to_owned(),
    };
    let reports = world.logs().reports(since);
    let texts: BTreeSet<String> = reports
        .iter()
        .map(|report| report.splitn(4, ' ').skip(3).collect::<String>())
        .map(|text| without_place(&text).replace('\n', " | "))
        .collect();
    for text in texts {
        println!("  reported: {}", text.chars().take(600).collect::<String>());
    }
}

fn standing(world: &World) -> Result<Standing, SqlError> {
    let states = world.states()?;
    if states.len() < TABLES.len() || states.iter().any(|(_, state)| state != "ok") {
        return Ok(Standing::Busy(format!("{states:?}")));
    }
    let session = Session::connect(world.r.provider.conninfo())?;
    let now = session.try_rows("select txid_current()")?.concat().concat();
    let session_rows = |sql: &str| session.try_rows(sql);
    let seen = format!(
        "select count(*) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
         where q.queue_name = '{QUEUE}' and txid_visible_in_snapshot({now}, t.tick_snapshot)"
    );
    let deadline = Instant::now() + Duration::from_secs(3);
    while session_rows(&seen)?.concat() == ["0"] {
        if Instant::now() > deadline {
            return Ok(Standing::Busy("no tick".to_owned()));
        }
        session_rows(&format!("select pgq.force_tick('{QUEUE}')"))?;
        thread::sleep(Duration::from_millis(50));
    }
    let applied = format!(
        "select s.sub_last_tick from pgq.subscription s join pgq.consumer c on c.co_id = s.sub_consumer
              join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
         where c.co_name = '{}' and txid_visible_in_snapshot({now}, t.tick_snapshot)",
        super::world::CONSUMER
    );
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let rows = session_rows(&applied)?;
        if !rows.is_empty() {
            return Ok(Standing::Settled);
        }
        if Instant::now() > deadline {
            return Ok(Standing::Busy("replay has not applied the last tick".to_owned()));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Compares rows with what is said about them; `None` when something moved meanwhile.
#[track_caller]
fn judge(world: &World, since: (usize, usize)) -> Option<Found> {
    let copies = |log: &str| log.matches("Starting full copy").count();
    let before = world.logs();
    let check = world.command("subscriber check");
    let rows = compare(&world.r.provider, &world.r.subscriber, &TABLES).and_then(|_| compare_sequence(world));
    // A copy that began meanwhile empties its table.
    let after = standing(world);
    let moved = copies(&before.replay) != copies(&world.logs().replay);
    if moved || !matches!(after, Ok(Standing::Settled)) {
        return None;
    }
    match (check.status, rows) {
        (0, Ok(())) => Some(Found::Equal),
        (0, Err(difference)) => panic!(
            "a silent difference: every table is ok, check exits 0, and\n{difference}\nreports before:\n{}\ncheck:\n{}{}",
            before.reports(since).join("\n"),
            check.stdout,
            check.stderr
        ),
        (_, rows) => {
            let started = Instant::now();
            while world.logs().reports(since).is_empty() {
                assert!(
                    started.elapsed() < REPORT_LIMIT,
                    "check exits 1, and the log has no report\n{}{}\nrows: {rows:?}",
                    check.stdout,
                    check.stderr
                );
                thread::sleep(Duration::from_millis(50));
            }
            Some(Found::Reported)
        }
    }
}

/// The last batch was read when no client wrote any more: it has brought where the sequence stands.
fn compare_sequence(world: &World) -> Result<(), String> {
    let sql = format!("select last_value, is_called from {SEQUENCE}");
    let position = |side| world.database(side).try_rows(&sql).map_err(|error| error.to_string());
    let (provider, subscriber) = (position(Side::Provider)?, position(Side::Subscriber)?);
    if provider == subscriber {
        return Ok(());
    }
    Err(format!("{SEQUENCE}: the provider stands at {provider:?}, the subscriber at {subscriber:?}"))
}

/// The last report of replay that says what to do.
fn advice(world: &World, since: usize) -> Option<String> {
    let logs = world.logs();
    let mut reports = logs.reports((logs.ticker.len(), since));
    // An operation has let replay run under another name for a while.
    reports.retain(|r| r.contains(" CRITICAL ") && !r.contains("another-reader"));
    reports.pop().filter(|r| r.contains("rewind") || r.contains("resync") || r.contains("is parked"))
}

/// Does what the last report of replay says, once for each, when replay says it again after another try.
fn react(world: &World, told: &mut (usize, usize)) -> Option<Found> {
    advice(world, told.1)?;
    let before = world.logs().lengths();
    world.r.londiste.reload();
    let started = Instant::now();
    let mut is_new = false;
    let critical = loop {
        if let Some(again) = advice(world, before.1) {
            break again;
        }
        if started.elapsed() > BY_ITSELF && !std::mem::replace(&mut is_new, true) {
            if world.r.londiste.is_running() {
                world.r.londiste.stop();
            }
            world.r.londiste.start();
        }
        if started.elapsed() > AGAIN_LIMIT || matches!(standing(world), Ok(Standing::Settled)) {
            *told = before;
            return None;
        }
    };
    let about = format!("  {}", critical.replace('\n', "\n  "));
    let found = if critical.contains("is parked") {
        let words: Vec<&str> = critical.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "Table")?;
        println!("{about}\n  => resync");
        world.command(&format!("subscriber resync {}", words[at + 1]));
        Found::Parked
    } else {
        assert_known(world, &critical);
        if critical.contains("--rewind") {
            if world.r.londiste.is_running() {
                world.r.londiste.stop();
            }
            let done = world.command("--rewind");
            println!("{about}\n  => --rewind: {} {}", done.status, done.stderr);
            if done.status != 0 && done.stderr.contains("resync --all") {
                println!("  => resync --all");
                world.command("subscriber resync --all");
            }
            world.r.londiste.start();
            Found::Rewound
        } else {
            println!("{about}\n  => resync --all");
            world.command("subscriber resync --all");
            world.r.londiste.reload();
            Found::Resynced
        }
    };
    *told = world.logs().lengths();
    Some(found)
}

/// Replay has stopped with tables that are `ok`: `check` and `status` say it too, when rows differ.
#[track_caller]
fn assert_known(world: &World, report: &str) {
    let Ok(states) = world.states() else { return };
    let ok: Vec<&str> = states.iter().filter(|(_, state)| state == "ok").map(|(table, _)| table.as_str()).collect();
    let Err(difference) = compare(&world.r.provider, &world.r.subscriber, ok.as_slice()) else { return };
    let check = world.command("subscriber check");
    let status = world.command("subscriber status").stdout;
    if world.states().ok() != Some(states.clone()) {
        return;
    }
    assert!(
        check.status == 1 && (status.contains("Problem:") || status.contains("is not registered")),
        "replay has stopped, rows differ, and check exits {}\n{report}\n{difference}\n{}\n{status}",
        check.status,
        check.stderr
    );
}
