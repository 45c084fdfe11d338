//! rlondiste replicates tables of a PostgreSQL provider database to subscriber databases, by triggers that put row
//! changes into a PgQ queue.

pub mod config;
pub mod error;
pub mod job;
pub mod londiste;
pub mod pg;
pub mod pgq;
pub mod pgqadm;

pub use error::{Error, Report, Result, Role};
