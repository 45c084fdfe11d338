//! What an operator, another program or a fault does to a pair of databases that are replicated.

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::faults;
use super::promotion;
use super::world::{CONSUMER, Side, World, try_again};
use super::writers::{SIMPLE, TABLES};
use crate::support::statements::Dice;
use crate::support::{Job, QUEUE, Shutdown};

/// The names stand in what the test prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `provider remove` and `provider add` when the subscriber's table is in a state.
    RemovedAndAdded(&'static str),
    DroppedAndCreated,
    SwappedByRename,
    RecreatedFromItself,
    DisabledForLoad,
    TriggersDisabled,
    TriggerDropped,
    SecondQueue,
    UnregisteredBySql,
    RegisteredAnewBySql,
    UnregisteredAndRegistered,
    OtherConsumer,
    Resync,
    SubscriberRemovedAndAdded,
    ReplayKilled,
    TickerKilled,
    BackendsKilled(Side),
    Crash(Side),
    BackUp(Side),
    GoesBack(Side),
    ReplicaRole,
    FedByLogicalReplication,
    Reload,
    Paused,
    StoppedAndStarted,
    SubscriberUnlogged,
    Cut(Side),
    Stalled(Side),
    Slowed(Side),
    Refused(Side),
    BackendStopped(Side),
    Restarted(Side),
    Locked(Side),
    IdleTransaction(Side),
    ColumnAddedAndDropped,
    /// Only where the seed has drawn a standby, as the next.
    PromoteStandby,
    PromoteStandbyWithLostWal,
}

use Operation::{
    BackUp, BackendStopped, BackendsKilled, ColumnAddedAndDropped, Crash, Cut, DisabledForLoad, DroppedAndCreated,
    FedByLogicalReplication, GoesBack, IdleTransaction, Locked, OtherConsumer, Paused, PromoteStandby,
    PromoteStandbyWithLostWal, RecreatedFromItself, Refused, RegisteredAnewBySql, Reload, RemovedAndAdded,
    ReplayKilled, ReplicaRole, Restarted, Resync, SecondQueue, Slowed, Stalled, StoppedAndStarted,
    SubscriberRemovedAndAdded, SubscriberUnlogged, SwappedByRename, TickerKilled, TriggerDropped, TriggersDisabled,
    UnregisteredAndRegistered, UnregisteredBySql,
};

/// Every operation.
pub const ALL: [Operation; 54] = [
    RemovedAndAdded("ok"),
    RemovedAndAdded("-"),
    RemovedAndAdded("in-copy"),
    RemovedAndAdded("catching-up"),
    RemovedAndAdded("wanna-sync"),
    RemovedAndAdded("do-sync"),
    DroppedAndCreated,
    SwappedByRename,
    RecreatedFromItself,
    DisabledForLoad,
    TriggersDisabled,
    TriggerDropped,
    SecondQueue,
    UnregisteredBySql,
    RegisteredAnewBySql,
    UnregisteredAndRegistered,
    OtherConsumer,
    Resync,
    SubscriberRemovedAndAdded,
    ReplayKilled,
    TickerKilled,
    BackendsKilled(Side::Provider),
    BackendsKilled(Side::Subscriber),
    Crash(Side::Provider),
    Crash(Side::Subscriber),
    BackUp(Side::Provider),
    BackUp(Side::Subscriber),
    GoesBack(Side::Provider),
    GoesBack(Side::Subscriber),
    ReplicaRole,
    FedByLogicalReplication,
    Reload,
    Paused,
    StoppedAndStarted,
    SubscriberUnlogged,
    Cut(Side::Provider),
    Cut(Side::Subscriber),
    Stalled(Side::Provider),
    Stalled(Side::Subscriber),
    Slowed(Side::Provider),
    Slowed(Side::Subscriber),
    Refused(Side::Provider),
    Refused(Side::Subscriber),
    BackendStopped(Side::Provider),
    BackendStopped(Side::Subscriber),
    Restarted(Side::Provider),
    Restarted(Side::Subscriber),
    Locked(Side::Provider),
    Locked(Side::Subscriber),
    IdleTransaction(Side::Provider),
    IdleTransaction(Side::Subscriber),
    ColumnAddedAndDropped,
    PromoteStandby,
    PromoteStandbyWithLostWal,
];

fn one_of<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[usize::try_from(dice.below(u64::try_from(of.len()).unwrap())).unwrap()]
}

pub fn sleep(dice: &mut Dice, most: u64) {
    thread::sleep(Duration::from_millis(dice.below(most)));
}

/// Rows that are written at once.
fn load(table: &str, dice: &mut Dice) -> String {
    let from = dice.below(400);
    format!(
        "insert into {table} (id, v) select n, 'load {from}' from generate_series({from}, {from} + 60) n on conflict do nothing;
         update {table} set v = 'loaded' where id % 9 = {};  delete from {table} where id % 11 = {}",
        dice.below(9),
        dice.below(11)
    )
}

/// Runs statements on the provider; what could not be done is told, and is no failure: a deadlock, say.
pub fn on_provider(world: &World, sql: &str) -> String {
    match world.provider_sql(sql) {
        Ok(()) => String::new(),
        Err(error) => format!(" failed: {error}"),
    }
}

/// A table with key `id`, and how it is made.
#[derive(Clone, Copy)]
struct Simple {
    name: &'static str,
    persistence: &'static str,
}

impl Simple {
    fn draw(dice: &mut Dice) -> Simple {
        let name = one_of(dice, &SIMPLE);
        Simple { name, persistence: if name == "fleeting" { "unlogged" } else { "" } }
    }
}

impl Operation {
    /// Does it, and returns what it was done to. The clients go on writing.
    pub fn run(self, world: &mut World, dice: &mut Dice) -> String {
        let any = one_of(dice, &TABLES);
        let simple = Simple::draw(dice);
        match self {
            RemovedAndAdded(state) => removed_and_added(world, any, state, dice),
            DroppedAndCreated => dropped_and_created(world, simple, dice),
            SwappedByRename => swapped_by_rename(world, simple, dice),
            RecreatedFromItself => recreated_from_itself(world, simple),
            DisabledForLoad => disabled_for_load(world, simple, dice),
            TriggersDisabled => {
                any.to_owned() + &on_provider(world, &format!("alter table {any} disable trigger user"))
            }
            TriggerDropped => trigger_dropped(world, any, dice),
            SecondQueue => second_queue(world, any, dice),
            UnregisteredBySql => unregistered(world),
            RegisteredAnewBySql => {
                let about = unregistered(world);
                sleep(dice, 500);
                about + &on_provider(world, &format!("select pgq.register_consumer('{QUEUE}', '{CONSUMER}')"))
            }
            UnregisteredAndRegistered => {
                commands(world, dice, ["subscriber unregister", "subscriber register"]);
                String::new()
            }
            OtherConsumer => other_consumer(world, dice),
            Resync => {
                world.command(&format!("subscriber resync {any} {}", simple.name));
                format!("{any} {}", simple.name)
            }
            SubscriberRemovedAndAdded => {
                let words = [&format!("subscriber remove {any}"), &format!("subscriber add {any}")];
                commands(world, dice, words.map(String::as_str));
                any.to_owned()
            }
            ReplayKilled => kill9(&world.r.londiste, dice),
            TickerKilled => kill9(&world.r.ticker, dice),
            BackendsKilled(side) => backends_killed(world, side),
            Crash(side) => crash(world, side, dice),
            BackUp(side) => back_up(world, side, dice),
            GoesBack(side) => goes_back(world, side, dice),
            ReplicaRole => replica_role(world, simple.name, dice),
            FedByLogicalReplication => fed_by_logical_replication(world, simple.name, dice),
            Reload => reload(world),
            Paused => paused(world, dice),
            StoppedAndStarted => stopped_and_started(world, dice),
            SubscriberUnlogged => {
                let what = one_of(dice, &["logged", "unlogged"]);
                let sql = format!("set lock_timeout = '3s'; alter table {} set {what}", simple.name);
                format!("{} {what}, done: {}", simple.name, world.r.subscriber.try_rows(&sql).is_ok())
            }
            Cut(side) => faults::cut(world, side),
            Stalled(side) => faults::stalled(world, side, dice),
            Slowed(side) => faults::slowed(world, side, dice),
            Refused(side) => faults::refused(world, side, dice),
            BackendStopped(side) => faults::backend_stopped(world, side, dice),
            Restarted(side) => faults::restarted(world, side),
            Locked(side) => faults::locked(world, side, any, dice),
            IdleTransaction(side) => faults::idle_transaction(world, side, dice),
            ColumnAddedAndDropped => faults::column_added_and_dropped(world, simple.name, dice),
            PromoteStandby => promotion::with_all_wal(world, dice),
            PromoteStandbyWithLostWal => promotion::with_lost_wal(world, dice),
        }
    }

    /// Whether it is a promotion. What a promotion comes to is known where its round has nothing else.
    pub fn is_promotion(self) -> bool {
        matches!(self, PromoteStandby | PromoteStandbyWithLostWal)
    }
}

/// Two commands with some time between them.
fn commands(world: &World, dice: &mut Dice, [first, second]: [&str; 2]) {
    world.command(first);
    sleep(dice, 400);
    world.command(second);
}

fn removed_and_added(world: &World, table: &str, state: &str, dice: &mut Dice) -> String {
    if state != "ok" {
        world.command(&format!("subscriber resync {table}"));
    }
    let caught = world.catch_state(table, state);
    let words = [&format!("provider remove {table}"), &format!("provider add {table}")];
    commands(world, dice, words.map(String::as_str));
    format!("{table}, in this state: {caught}")
}

/// In one transaction, or with the table away for a while.
fn dropped_and_created(world: &World, Simple { name, persistence }: Simple, dice: &mut Dice) -> String {
    let steps = [
        format!("create table shape (like {name} including all); drop table {name};"),
        format!("create {persistence} table {name} (like shape including all); drop table shape;"),
    ];
    if dice.below(2) == 0 {
        return format!("at once, {name}") + &on_provider(world, &format!("begin; {}; commit", steps.concat()));
    }
    let mut about = name.to_owned();
    for step in steps {
        about += &on_provider(world, &format!("begin; {step}; commit"));
        sleep(dice, 1500);
    }
    about + &on_provider(world, &load(name, dice))
}

/// The old table may be written to afterwards: it is nobody's.
fn swapped_by_rename(world: &World, Simple { name, persistence }: Simple, dice: &mut Dice) -> String {
    let sql = format!(
        "begin; drop table if exists aside; alter table {name} rename to aside;
         create {persistence} table {name} (like aside including all);
         insert into {name} (id, v) select id, 'swapped' from aside where id % 2 = 0; commit"
    );
    let about = name.to_owned() + &on_provider(world, &sql);
    if dice.below(3) > 0 {
        return about;
    }
    about + &on_provider(world, &load("aside", dice))
}

fn recreated_from_itself(world: &World, Simple { name, persistence }: Simple) -> String {
    let sql = format!(
        "begin; lock table {name}; create {persistence} table fresh (like {name} including all);
         insert into fresh select * from {name} where id % 3 > 0; drop table {name};
         alter table fresh rename to {name}; commit"
    );
    name.to_owned() + &on_provider(world, &sql)
}

fn disabled_for_load(world: &World, Simple { name, .. }: Simple, dice: &mut Dice) -> String {
    let (which, load) = (one_of(dice, &["all", "user"]), load(name, dice));
    let sql = format!(
        "begin; alter table {name} disable trigger {which}; {load}; alter table {name} enable trigger {which}; commit"
    );
    name.to_owned() + &on_provider(world, &sql)
}

fn trigger_dropped(world: &World, table: &str, dice: &mut Dice) -> String {
    let triggers = format!(
        "select tgname from pg_trigger where tgrelid = '{table}'::regclass and not tgisinternal order by tgname"
    );
    let names = world.r.provider.try_rows(&triggers).unwrap_or_default().concat();
    if names.is_empty() {
        return format!("{table} has none");
    }
    let name = &names[usize::try_from(dice.below(u64::try_from(names.len()).unwrap())).unwrap()];
    format!("{name} on {table}") + &on_provider(world, &format!("drop trigger \"{name}\" on {table}"))
}

fn unregistered(world: &World) -> String {
    on_provider(world, &format!("select pgq.unregister_consumer('{QUEUE}', '{CONSUMER}')"))
}

fn backends_killed(world: &World, side: Side) -> String {
    let database = match side {
        Side::Provider => &world.r.provider,
        Side::Subscriber => &world.r.subscriber,
    };
    let _ = database.try_rows("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()");
    String::new()
}

fn crash(world: &World, side: Side, dice: &mut Dice) -> String {
    let cluster = world.cluster(side);
    if dice.below(2) == 0 {
        cluster.kill9();
    } else {
        cluster.stop(Shutdown::Immediate);
    }
    world.start(side);
    String::new()
}

fn back_up(world: &World, side: Side, dice: &mut Dice) -> String {
    let how = if dice.below(2) == 0 { Shutdown::Fast } else { Shutdown::Immediate };
    world.back_up(side, how);
    format!("{how:?}")
}

/// To its last backup, or to one that is made for it. Some ticks have come since then.
fn goes_back(world: &World, side: Side, dice: &mut Dice) -> String {
    if !world.has_backup(side) {
        world.back_up(side, Shutdown::Fast);
    }
    thread::sleep(Duration::from_millis(500));
    sleep(dice, 2000);
    world.put_back(side);
    String::new()
}

fn reload(world: &World) -> String {
    for job in [&world.r.ticker, &world.r.londiste] {
        if job.is_running() {
            job.reload();
        }
    }
    String::new()
}

fn paused(world: &World, dice: &mut Dice) -> String {
    let job = if dice.below(3) == 0 { &world.r.ticker } else { &world.r.londiste };
    if let Some(pid) = job.pid().filter(|_| job.is_running()) {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        sleep(dice, 1500);
        kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    }
    job.name().to_owned()
}

fn stopped_and_started(world: &World, dice: &mut Dice) -> String {
    if world.r.londiste.is_running() {
        world.r.londiste.stop();
    }
    sleep(dice, 600);
    world.r.londiste.start();
    String::new()
}

fn kill9(job: &Job, dice: &mut Dice) -> String {
    if job.is_running() {
        job.kill9();
    }
    sleep(dice, 300);
    job.start();
    String::new()
}

/// Another queue of nearly the same name captures the table too, and leaves again.
fn second_queue(world: &World, table: &str, dice: &mut Dice) -> String {
    let queue = one_of(dice, &["DB1-londiste-queue", "db1_londiste_queue", "db1-londiste.queue"]);
    let databases = [world.r.provider.conninfo(), world.r.subscriber.conninfo()];
    let second = Job::londiste(world.r.scratch().path(), "second", databases, queue);
    for words in ["provider install", &format!("provider add {table}")] {
        second.program(words.split_whitespace()).output();
    }
    sleep(dice, 1200);
    second.program(["provider", "remove", table]).output();
    format!("{queue}, {table}")
}

/// Replay runs under another name for a while.
fn other_consumer(world: &mut World, dice: &mut Dice) -> String {
    let register = dice.below(2) == 0;
    let londiste = &mut world.r.londiste;
    if londiste.is_running() {
        londiste.stop();
    }
    londiste.configure("pgq_consumer_id", "another-reader");
    if register {
        londiste.program(["subscriber", "register"]).output();
    }
    londiste.start();
    sleep(dice, 1500);
    londiste.stop();
    londiste.configure("pgq_consumer_id", CONSUMER);
    londiste.start();
    format!("registered: {register}")
}

/// The provider's table is the target of another replication, whose rows come with another role.
fn replica_role(world: &World, table: &str, dice: &mut Dice) -> String {
    let load = |dice: &mut Dice| {
        let sql = format!("begin; set local session_replication_role = replica; {}; commit", load(table, dice));
        on_provider(world, &sql)
    };
    let mut about = table.to_owned();
    let set = |what: &str| {
        on_provider(world, &format!("select londiste.subscriber_{what}_table('upstream', 'public.{table}')"))
    };
    about += &set("add");
    about += &load(dice);
    wait_for_maintenance(world, table, Level::Any);
    about += &load(dice);
    about + &set("remove")
}

/// What kind of trigger captures a table that another replication writes to.
#[derive(Clone, Copy)]
enum Level {
    /// Any kind.
    Any = 0,
    /// Row triggers: logical replication fires no statement triggers.
    Row = 1,
}

/// Until the table has triggers of this kind that fire always. Maintenance comes every few seconds.
fn wait_for_maintenance(world: &World, table: &str, level: Level) {
    let level = level as u32;
    let enabled = format!(
        "select count(*) from pg_trigger where tgrelid = '{table}'::regclass and tgenabled = 'A' and tgtype & {level} = {level}"
    );
    for _ in 0..90 {
        if world.r.provider.try_rows(&enabled).is_ok_and(|rows| rows.concat() != ["0"]) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The provider's table is the target of a subscription for a while. Its publisher is a database beside the subscriber's.
fn fed_by_logical_replication(world: &mut World, table: &str, dice: &mut Dice) -> String {
    let Ok(upstream) = world.new_upstream() else { return "no publisher".to_owned() };
    let make = format!("create table {table} (id int primary key, v text); create publication p for table {table}");
    // Ids that no client gives to a row.
    let rows = |from: u64| {
        format!("insert into {table} select n, 'from upstream' from generate_series({from}, {from} + 20) n")
    };
    let from = 10_000 + dice.below(80_000);
    let subscription = format!(
        "create subscription upstream connection '{}' publication p with (copy_data = false)",
        upstream.conninfo()
    );
    let steps = [upstream.try_rows(&make), world.r.provider.try_rows(&subscription), upstream.try_rows(&rows(from))];
    sleep(dice, 1000);
    wait_for_maintenance(world, table, Level::Row);
    let again = upstream.try_rows(&rows(from + 30)).is_ok();
    let arrived = format!("select count(*) from {table} where id = {from} + 50");
    for _ in 0..50 {
        if world.r.provider.try_rows(&arrived).is_ok_and(|rows| rows.concat() == ["1"]) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    let dropped = try_again(|| world.r.provider.try_rows("drop subscription if exists upstream").map(drop));
    format!("{table}, done: {:?} {again} {:?}", steps.map(|step| step.is_ok()), dropped.is_ok())
}
