//! PostgreSQL: sessions, names, catalog, COPY, installation of SQL.
//!
//! [`Db`] is one session of one [`Role`]. Every statement goes through a method that takes the *action*, a verb phrase
//! which completes "could not ...", so that each failure says what was being done, where, and why.
//!
//! Statements with parameters are sent in one round trip as unnamed, typed statements: nothing is left in the session,
//! so that a transaction pooler in between does no harm.

pub(crate) mod autovacuum;
mod carried;
pub mod catalog;
mod connect;
pub mod conninfo;
mod db;
mod failure;
pub mod install;
mod kept;
mod limits;
mod login_guard;
pub mod name;
mod pinned;
mod raw_text;
mod session;
mod socket;
mod sql;
mod tls;

pub use crate::error::Role;
pub use conninfo::{ClientSettings, Conninfo};
pub(crate) use conninfo::{database, variables};
pub use db::{Db, Param, Tx};
pub(crate) use db::{boolean, int4, int8, text, text_array};
pub use name::FqName;
pub(crate) use raw_text::RawText;
pub use sql::Sql;
pub(crate) use sql::sql;
