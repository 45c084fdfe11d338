//! The settings on which the text of values, the meaning of statements and the limits of their time depend.
//!
//! A role or a database may have other values for them (`alter role ... set`, `alter database ... set`). Sessions of
//! rlondiste have the values listed here:
//!
//! * On a direct connection they are sent with the login, as defaults of the session. Settings that only newer servers have
//!   are set after the login.
//! * A transaction pooler refuses or ignores options of the login. Behind it, nothing may be set for the session, since its
//!   server connection serves another client after the next commit: every transaction sets the settings that differ with
//!   `set local`, and a statement outside of a transaction gets a transaction of its own.
//!
//! `search_path` is pinned too ([`PATH`]), except while code of users may run: see
//! [`Db::with_users_path`](super::Db::with_users_path).
//!
//! A setting of rlondiste ([`MARK`]) goes with the login and tells the two cases apart: behind a pooler it does not arrive.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::failure::Cause;
use super::name::quote_literal;

/// Name, value, and the first major version of the server that has the setting.
type Setting = (&'static str, &'static str, u32);

/// The pinned settings. The values for the text of values are those of `pg_dump` and of the workers of logical replication;
/// the limits are switched off, since a batch or an index may take any time.
const SETTINGS: &[Setting] = &[
    // Limits.
    ("statement_timeout", "0", 10),
    ("lock_timeout", "0", 10),
    ("idle_in_transaction_session_timeout", "0", 10),
    ("idle_session_timeout", "0", 14),
    ("transaction_timeout", "0", 17),
    ("exit_on_error", "off", 10),
    // Transactions.
    ("default_transaction_isolation", "read committed", 10),
    ("default_transaction_read_only", "off", 10),
    ("default_transaction_deferrable", "off", 10),
    // The text of values.
    ("DateStyle", "ISO, MDY", 10),
    ("IntervalStyle", "postgres", 10),
    ("extra_float_digits", "3", 10),
    ("bytea_output", "hex", 10),
    ("xmlbinary", "base64", 10),
    ("xmloption", "content", 10),
    ("array_nulls", "on", 10),
    ("lc_monetary", "C", 10),
    ("quote_all_identifiers", "off", 10),
    // The meaning of statements.
    ("standard_conforming_strings", "on", 10),
    ("transform_null_equals", "off", 10),
    ("check_function_bodies", "on", 10),
];

/// A setting that means nothing to the server.
const MARK: &str = "rlondiste.session";

/// The oldest supported major version. Only settings that it has go with the login: a server refuses a login with others.
const OLDEST: u32 = 10;

/// The `search_path` of statements of rlondiste: only a superuser can create objects there that hide those of
/// PostgreSQL. Set apart from the other settings, since code of users that these statements call needs the path of role
/// and database.
pub(super) const PATH: &str = "set local search_path = pg_catalog, pg_temp";

/// How the pinned settings of a session are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pins {
    pub(super) scope: Scope,
    /// The `search_path` of the options of the connection string, else of role and database.
    pub(super) users_path: String,
}

/// For how long a pinned setting is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// As defaults of the session.
    Session,
    /// For one transaction, by these statements at its beginning.
    Transaction(String),
}

impl Default for Pins {
    /// Nothing is pinned yet.
    fn default() -> Pins {
        Pins { scope: Scope::Session, users_path: String::new() }
    }
}

/// The options that go with the login, behind those of the connection string.
pub(super) fn login_options() -> String {
    let mut options = format!("-c {MARK}=direct");
    for (name, value, _) in SETTINGS.iter().filter(|(_, _, since)| *since <= OLDEST) {
        options.push_str(&format!(" -c {name}={}", value.replace(' ', "\\ ")));
    }
    options
}

/// Finds out whether a pooler is in between, and sets, on a direct connection, the settings that did not go with the login.
pub(super) async fn settle(client: &Client) -> Result<Pins, Cause> {
    let values: Vec<String> = SETTINGS
        .iter()
        .map(|(name, value, _)| format!("({}, {})", quote_literal(name), quote_literal(value)))
        .collect();
    let sql = format!(
        "select pg_catalog.current_setting('{MARK}', true), null, pg_catalog.current_setting('search_path')
         union all
         select null, s.name, w.value
           from (values {}) w(name, value)
                join pg_catalog.pg_settings s on s.name operator(pg_catalog.=) w.name
          where s.setting operator(pg_catalog.<>) w.value",
        values.join(", ")
    );
    let (mut direct, mut users_path) = (false, String::new());
    let mut other = Vec::new();
    for message in client.simple_query(&sql).await.map_err(Cause::of)? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        match (row.get(1), row.get(2)) {
            (Some(name), Some(value)) => other.push(format!("set local {name} = {}", quote_literal(value))),
            (_, path) => {
                direct = row.get(0) == Some("direct");
                path.unwrap_or_default().clone_into(&mut users_path);
            }
        }
    }
    other.push(PATH.to_owned());
    if !direct {
        return Ok(Pins { scope: Scope::Transaction(other.join("; ")), users_path });
    }
    for statement in other {
        client.simple_query(&statement.replacen("set local", "set", 1)).await.map_err(Cause::of)?;
    }
    Ok(Pins { scope: Scope::Session, users_path })
}

/// Whether a login was refused because of [`login_options`]: pgbouncer refuses unknown options with SQLSTATE 08P01.
pub(super) fn are_refused(cause: &Cause) -> bool {
    matches!(cause, Cause::Server(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION))
}
