//! Clients that write to all tables of a schema, by what the catalog says of them.
//!
//! A statement that the schema refuses (a key, a check, a policy), or that another client is in the way of, is counted. Each other
//! error is a finding: it was no client's fault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::catalog::Catalog;
use super::statement::{self, Kind, Statement};
use crate::support::statements::Dice;
use crate::support::{Database, Session, SqlError};

const CLIENTS: u64 = 2;

/// Leaves some of the machine to what is tested.
const PAUSE: Duration = Duration::from_millis(8);

/// What clients have done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many statements of each kind went through.
    pub done: BTreeMap<Kind, u64>,
    /// How many statements were refused, by SQLSTATE.
    pub refused: BTreeMap<String, u64>,
    /// Errors that no schema gives reason for.
    pub findings: Vec<String>,
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        for (kind, count) in other.done {
            *self.done.entry(kind).or_default() += count;
        }
        for (code, count) in other.refused {
            *self.refused.entry(code).or_default() += count;
        }
        self.findings.extend(other.findings);
    }
}

/// The clients at work. Dropped, they stop.
pub struct Writers {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Outcome>>,
}

impl Writers {
    /// Starts the clients.
    pub fn start(database: &Database, catalog: &Arc<Catalog>, seed: u64) -> Writers {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS)
            .map(|number| {
                let dice = Dice::new(seed.wrapping_mul(31).wrapping_add(number));
                let mut client = Client::new(database, Arc::clone(catalog), dice);
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) && client.outcome.findings.is_empty() {
                        client.transaction();
                        thread::sleep(PAUSE);
                    }
                    client.outcome
                })
            })
            .collect();
        Writers { stop, clients }
    }

    /// Stops the clients and returns what they have done.
    #[track_caller]
    pub fn stop(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut outcome = Outcome::default();
        for client in self.clients.drain(..) {
            outcome.add(client.join().expect("a client has failed"));
        }
        outcome
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

/// Puts some rows into each table. Parents may come after their children: several rounds.
#[track_caller]
pub fn fill(database: &Database, catalog: &Arc<Catalog>, seed: u64) {
    let mut client = Client::new(database, Arc::clone(catalog), Dice::new(seed));
    // Of many tables, each gets few rows.
    let statements = (600 / catalog.tables.len()).clamp(1, 5);
    for _ in 0..2 {
        for table in 0..catalog.tables.len() {
            for _ in 0..statements {
                if let Some(statement) = statement::insert(catalog, table, 3, &mut client.dice) {
                    client.run(&statement, Role::Owner);
                }
            }
        }
    }
    assert!(client.outcome.findings.is_empty(), "{}", client.outcome.findings.join("\n"));
}

/// As whom a client writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Owner,
    /// Somebody with rights on tables, whom row security concerns.
    Other,
}

struct Client {
    session: Session,
    catalog: Arc<Catalog>,
    dice: Dice,
    outcome: Outcome,
}

impl Client {
    #[track_caller]
    fn new(database: &Database, catalog: Arc<Catalog>, dice: Dice) -> Client {
        Client { session: database.session(), catalog, dice, outcome: Outcome::default() }
    }

    /// One statement alone, or some in a transaction.
    fn transaction(&mut self) {
        if self.dice.below(2) == 0 {
            self.statement(Role::Owner);
            return;
        }
        let levels = ["read committed", "read committed", "repeatable read", "serializable"];
        let level = levels[usize::try_from(self.dice.below(4)).unwrap()];
        self.control(&format!("begin isolation level {level}"));
        if self.dice.below(4) == 0 {
            self.control("set constraints all deferred");
        }
        let mut role = Role::Owner;
        if self.dice.below(6) == 0 && !self.catalog.roles.is_empty() {
            self.control(&format!("set local role {}", self.catalog.roles[0]));
            role = Role::Other;
        }
        for number in 0..=self.dice.below(5) {
            let savepoint = self.dice.below(3) > 0;
            if savepoint {
                self.control(&format!("savepoint s{number}"));
            }
            let done = self.statement(role);
            let undo = self.dice.below(8) == 0;
            if savepoint && (!done || undo) {
                self.control(&format!("rollback to s{number}"));
            } else if !done {
                self.control("rollback");
                return;
            } else if savepoint && self.dice.below(2) == 0 {
                self.control(&format!("release s{number}"));
            }
        }
        if self.dice.below(10) == 0 {
            self.control("rollback");
        } else if let Err(error) = self.session.try_rows("commit") {
            // Deferred constraints, and conflicts of serializable transactions.
            self.note(&error, "commit", Role::Owner);
        }
    }

    /// A statement about transactions, which has no reason to fail.
    fn control(&mut self, sql: &str) {
        if let Err(error) = self.session.try_rows(sql) {
            self.outcome.findings.push(format!("{error}\n  in: {sql}"));
        }
    }

    /// Runs the next statement; whether it went through.
    fn statement(&mut self, role: Role) -> bool {
        let (catalog, dice) = (&self.catalog, &mut self.dice);
        let Some(statement) = statement::next(catalog, dice) else { return true };
        // COPY does not do with row security, and the owner alone may TRUNCATE.
        if role == Role::Other && [Kind::Copy, Kind::Truncate].contains(&statement.kind()) {
            return true;
        }
        self.run(&statement, role)
    }

    fn run(&mut self, statement: &Statement, role: Role) -> bool {
        match statement.run(&self.session) {
            Ok(()) => {
                *self.outcome.done.entry(statement.kind()).or_default() += 1;
                true
            }
            Err(error) => {
                self.note(&error, statement.text(), role);
                false
            }
        }
    }

    fn note(&mut self, error: &SqlError, text: &str, role: Role) {
        if is_refusal(error, role) {
            *self.outcome.refused.entry(error.code.clone()).or_default() += 1;
        } else {
            self.outcome.findings.push(format!("{error}\n  CONTEXT: {}\n  in: {text}", error.context));
        }
    }
}

/// Whether the schema refuses a statement, or another client was in its way.
fn is_refusal(error: &SqlError, role: Role) -> bool {
    let ours = ["pgq", "londiste"].iter().any(|word| error.context.contains(word) || error.message.contains(word));
    match error.code.as_str() {
        // Where an event is written a transaction may notice that it conflicts with another one.
        "40001" => true,
        // Two rows of one statement are the same row for ON CONFLICT or MERGE.
        "40P01" | "21000" | "44000" => !ours,
        "42501" => role == Role::Other && !ours,
        code => code.starts_with("23") && !ours,
    }
}
