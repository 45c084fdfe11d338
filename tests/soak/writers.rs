//! Clients that write to their tables on the provider, whatever becomes of their sessions, of the tables and of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::statements::Dice;
use crate::support::{Session, SqlError, wait_until};

const CLIENTS: u64 = 2;

/// Leaves some of the machine to what is tested.
const PAUSE: Duration = Duration::from_millis(15);

/// How many different ids the clients give to rows.
const IDS: u64 = 600;

/// Tables with key `id` and a column `v`.
pub const SIMPLE: [&str; 3] = ["plain", "emptied", "fleeting"];

/// All tables: those that these clients write to, and those of [`super::pgbench`].
pub const TABLES: [&str; 11] = {
    let [a, b, c, d] = super::pgbench::TABLES;
    ["plain", "emptied", "fleeting", "pairs", "parent", "child", "parts", a, b, c, d]
};

/// The statements that create the tables of these clients, on both sides: with foreign keys, with a key of two columns, unlogged,
/// partitioned. `major` is the older version of the two.
pub fn schema(major: u32) -> String {
    // A partitioned table of PostgreSQL 10 has no primary key.
    let parts = if major < 11 { "create table parts (id int primary key, v text)" } else { PARTITIONED };
    format!("{SCHEMA}; {parts}")
}

const SCHEMA: &str = "
    create table plain (id int primary key, v text);
    create table emptied (id int primary key, v text);
    create unlogged table fleeting (id int primary key, v text);
    create table pairs (a int, b int, v text, primary key (a, b));
    create table parent (id int primary key, v text);
    create table child (id int primary key, parent_id int not null references parent on delete cascade, v text)";

const PARTITIONED: &str = "
    create table parts (id int primary key, v text) partition by range (id);
    create table parts_low partition of parts for values from (0) to (300);
    create table parts_high partition of parts for values from (300) to (100000)";

/// Fills the tables.
pub const ROWS: &str = "
    insert into plain select n, 'first' from generate_series(1, 400) n;
    insert into emptied select * from plain; insert into fleeting select * from plain;
    insert into parts select * from plain; insert into parent select * from plain where id <= 100;
    insert into pairs select id % 20, id / 20, v from plain; insert into child select id, id % 100 + 1, v from plain";

#[derive(Default)]
struct Signals {
    stop: AtomicBool,
    pause: AtomicBool,
    /// How many clients have no session because of the pause.
    paused: AtomicU64,
    committed: AtomicU64,
}

/// The clients at work. Dropped, they stop.
pub struct Writers {
    signals: Arc<Signals>,
    clients: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts the clients; `provider` is a connection string.
    pub fn start(provider: &str, seed: u64) -> Writers {
        let signals = Arc::new(Signals::default());
        let clients = (0..CLIENTS)
            .map(|client| {
                let (signals, provider) = (Arc::clone(&signals), provider.to_owned());
                thread::spawn(move || work(&provider, &signals, Dice::new(seed.wrapping_mul(31).wrapping_add(client))))
            })
            .collect();
        Writers { signals, clients }
    }

    /// Returns when no client writes any more.
    pub fn pause(&self) {
        self.signals.pause.store(true, Ordering::Relaxed);
        wait_until("the clients pause", || {
            let paused = self.signals.paused.load(Ordering::Relaxed);
            if paused == CLIENTS { Ok(()) } else { Err(format!("{paused} of {CLIENTS}")) }
        });
    }

    pub fn go_on(&self) {
        self.signals.pause.store(false, Ordering::Relaxed);
    }

    /// How many transactions were committed so far.
    pub fn committed(&self) -> u64 {
        self.signals.committed.load(Ordering::Relaxed)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.signals.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

fn work(provider: &str, signals: &Signals, mut dice: Dice) {
    let mut session: Option<Session> = None;
    while !signals.stop.load(Ordering::Relaxed) {
        if signals.pause.load(Ordering::Relaxed) {
            session = None;
            signals.paused.fetch_add(1, Ordering::Relaxed);
            while signals.pause.load(Ordering::Relaxed) && !signals.stop.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
            }
            signals.paused.fetch_sub(1, Ordering::Relaxed);
        }
        thread::sleep(PAUSE);
        let open = match session.take() {
            Some(open) => open,
            None => match connect(provider) {
                Ok(open) => open,
                Err(_) => continue,
            },
        };
        if open.try_rows(&transaction(&mut dice)).is_ok() {
            signals.committed.fetch_add(1, Ordering::Relaxed);
        }
        // The server is gone when this fails.
        if open.try_rows("rollback").is_ok() {
            session = Some(open);
        }
    }
}

fn connect(provider: &str) -> Result<Session, SqlError> {
    let session = Session::connect(provider)?;
    session.try_rows("set lock_timeout = '5s'; set client_min_messages = error")?;
    Ok(session)
}

/// One to five statements. Some transactions fail: duplicate keys, deadlocks, tables that are away for a moment.
fn transaction(dice: &mut Dice) -> String {
    let mut sql = "begin; ".to_owned();
    for _ in 0..=dice.below(5) {
        sql += &statement(dice);
        sql += "; ";
    }
    sql + if dice.below(12) == 0 { "rollback" } else { "commit" }
}

fn statement(dice: &mut Dice) -> String {
    let with_id = ["plain", "emptied", "fleeting", "parent", "parts"];
    let table = with_id[usize::try_from(dice.below(5)).unwrap()];
    let (id, other, count) = (dice.below(IDS), dice.below(IDS), dice.below(8));
    match dice.below(20) {
        0..5 => format!(
            "insert into {table} select n, 'new {other}' from generate_series({id}, {id} + {count}) n on conflict do nothing"
        ),
        5 => format!("insert into {table} values ({id}, 'upsert') on conflict (id) do update set v = 'again {other}'"),
        6..9 => format!("update {table} set v = left(v, 12) || ' {other}' where id between {id} and {id} + {count}"),
        9 => format!(
            "update {table} set id = {other} where id = {id} and not exists (select from {table} where id = {other})"
        ),
        10..12 => format!("delete from {table} where id between {id} and {id} + {count}"),
        12 if count == 0 => "truncate emptied".to_owned(),
        12 if count == 1 && other % 4 == 0 => "truncate plain, fleeting".to_owned(),
        12 if count == 2 && other % 4 == 0 => "truncate parts".to_owned(),
        12..15 => format!(
            "insert into child select {id}, p.id, 'child' from parent p where p.id >= {other} order by p.id limit 1
             on conflict (id) do update set v = 'moved {other}', parent_id = excluded.parent_id"
        ),
        15 => format!("delete from child where id between {id} and {id} + {count}"),
        16 => format!("insert into pairs values ({id} % 20, {other}, 'pair') on conflict do nothing"),
        17 => format!(
            "update pairs set b = b + 1000, v = 'moved' where a = {id} % 20 and b < 1000 and b % 7 = {count} % 7"
        ),
        18 => format!("update pairs set a = (a + 1) % 20 where b = {other} and a = {id} % 20"),
        _ => format!("delete from pairs where a = {id} % 20 and b > 500"),
    }
}
