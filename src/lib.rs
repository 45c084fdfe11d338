//! rlondiste replicates tables of a PostgreSQL *provider* database to *subscriber* databases, by triggers that put row
//! changes into a PgQ queue. One binary takes the place of SkyTools 2.1's `pgqadm.py` and `londiste.py`.
//!
//! # How a row gets there
//!
//! ```text
//!  provider                                                        subscriber
//!  table ──trigger──▶ queue (event tables)                         table
//!                       │  ticker: every few seconds a tick          ▲
//!                       ▼                                            │ one transaction a batch
//!                     batch = events between two ticks ──replay──────┘ + the tick, in londiste.completed
//! ```
//!
//! * A trigger writes each change as an event into the queue, in the writer's transaction (`sql/londiste`).
//! * The ticker ([`pgqadm`]) cuts the queue by ticks. A tick holds a transaction snapshot, so the events between two
//!   ticks are exactly those of the transactions that committed between them.
//! * Replay ([`londiste`]) applies one batch in one transaction of the subscriber, together with the tick that it ends
//!   at, and finishes the batch on the provider afterwards. Whenever it is killed, the batch is applied once.
//! * A new table is copied first; a consumer of the copy's own catches up, and hands the table to replay at a tick.
//!
//! # Where things are
//!
//! A module uses only modules of the lines above its own.
//!
//! | module | what it owns |
//! |---|---|
//! | [`error`], [`task`] | the error type: what, where, why, what to do; which faults pass by themselves; who owns tasks |
//! | [`failpoint`] | the places where tests end the process; nothing in a release |
//! | [`config`], [`pg`] | ini files into typed values; sessions, names, catalog, installation of SQL |
//! | [`job`], [`pgq`] | loop, signals, daemon, pidfile, log; ticks, batches, events as a client sees them |
//! | [`http`] | metrics, health and state of a running program, for who asks by HTTP |
//! | [`pgqadm`], [`londiste`] | the two programs' commands |
//! | `switchover` | writers go over from one side to the other, and back |
//! | [`doctor`] | named checks over databases, queues, ini file and machine, by what the two programs know |
//! | [`up`] | what takes both programs: replay with a ticker of its own |
//! | [`cli`] | command line, choice of the program, standard output |
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | provider, subscriber | the database that is replicated, a database that it is replicated to |
//! | queue, event | PgQ's log of changes in the provider; one row of it |
//! | tick, batch | a position in a queue; the events between two of them |
//! | consumer | a name under which the batches of a queue are read, one after the other |
//! | rotation | the queue's tables are filled in turn; one whose events no consumer needs any more is truncated |
//! | copy, catching up, wanna-sync, do-sync | the steps by which a table comes to be in sync |
//! | job | a configured process: an ini file with its job name |

pub mod cli;
pub mod config;
pub mod doctor;
pub mod error;
mod failpoint;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod http;
mod job;
pub mod londiste;
pub mod pg;
pub mod pgq;
mod pgqadm;
mod switchover;
pub mod task;
mod text;
mod up;

pub use error::{Error, Report, Result, Role};
