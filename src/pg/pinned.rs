//! The settings that decide what the text of a value is, what a statement means, and who may end it.
//!
//! A role or a database may have any of them at another value (`alter role ... set`, `alter database ... set`). A session
//! of rlondiste has them at the values here:
//!
//! * On a direct connection they are sent with the login, and are the session's defaults. Nothing is set later, except
//!   settings that only newer servers know.
//! * A connection pooler refuses or ignores them. There, nothing may be set for the session, since its server connection
//!   is somebody else's after the next commit. The next transaction may come by a server connection that has other values,
//!   because it is older than a change of the defaults, or because another client of the pool has left its own there. So
//!   every transaction sets all of them with `set local`, and a statement outside of a transaction gets a transaction of its
//!   own.
//!
//! The search path is pinned too ([`PATH`]), but for the time in which code of users may run: see
//! [`Db::with_users_path`](super::Db::with_users_path).
//!
//! A setting of our own ([`MARK`]) goes with the login and tells the two apart: behind a pooler it does not arrive.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::failure::Cause;
use super::name::quote_literal;

/// Name, value, and the server's major version from which on it exists.
type Setting = (&'static str, &'static str, u32);

/// What is pinned. Like `pg_dump` and the workers of logical replication for the text of values; the limits are those that
/// end a statement, a transaction or a session which takes its time.
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

/// The major version from which on all supported servers know a setting: only these can go with the login.
const OLDEST: u32 = 10;

/// Where names in our statements are looked up: nobody but a superuser can put a namesake there. It is pinned apart from the
/// other settings, since code of users that our statements call needs the path of role and database.
pub(super) const PATH: &str = "set local search_path = pg_catalog, pg_temp";

/// How a session has its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pins {
    pub(super) scope: Scope,
    /// The search path that role and database give, or the options of the connection string.
    pub(super) users_path: String,
}

/// How long a pinned setting holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// As defaults of the session.
    Session,
    /// By these statements at the beginning of each transaction.
    Transaction(String),
}

impl Default for Pins {
    /// Nothing is pinned yet.
    fn default() -> Pins {
        Pins { scope: Scope::Session, users_path: String::new() }
    }
}

/// What goes with the login, behind the options of the connection string.
pub(super) fn login_options() -> String {
    let mut options = format!("-c {MARK}=direct");
    for (name, value, _) in SETTINGS.iter().filter(|(_, _, since)| *since <= OLDEST) {
        options.push_str(&format!(" -c {name}={}", value.replace(' ', "\\ ")));
    }
    options
}

/// Finds out how the session has to be treated, and sets what could not go with the login.
pub(super) async fn settle(client: &Client) -> Result<Pins, Cause> {
    let values: Vec<String> = SETTINGS
        .iter()
        .map(|(name, value, _)| format!("({}, {})", quote_literal(name), quote_literal(value)))
        .collect();
    // The path that the session began with: another client of a pool may have set its own.
    let sql = format!(
        "select pg_catalog.current_setting('{MARK}', true), null, s.reset_val
           from pg_catalog.pg_settings s where s.name operator(pg_catalog.=) 'search_path'
         union all
         select case when s.setting operator(pg_catalog.<>) w.value then 'differs' end, s.name, w.value
           from (values {}) w(name, value)
                join pg_catalog.pg_settings s on s.name operator(pg_catalog.=) w.name",
        values.join(", ")
    );
    let (mut direct, mut users_path) = (false, String::new());
    let mut settings = Vec::new();
    for message in client.simple_query(&sql).await.map_err(Cause::of)? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        match (row.get(1), row.get(2)) {
            (Some(name), Some(value)) => settings.push((row.get(0).is_some(), name.to_owned(), quote_literal(value))),
            (_, path) => {
                direct = row.get(0) == Some("direct");
                path.unwrap_or_default().clone_into(&mut users_path);
            }
        }
    }
    if !direct {
        let mut statements: Vec<_> =
            settings.iter().map(|(_, name, value)| format!("set local {name} = {value}")).collect();
        statements.push(PATH.to_owned());
        return Ok(Pins { scope: Scope::Transaction(statements.join("; ")), users_path });
    }
    let differing = settings.iter().filter(|(differs, _, _)| *differs);
    let statements = differing.map(|(_, name, value)| format!("set {name} = {value}"));
    for statement in statements.chain([PATH.replacen("set local", "set", 1)]) {
        client.simple_query(&statement).await.map_err(Cause::of)?;
    }
    Ok(Pins { scope: Scope::Session, users_path })
}

/// Whether a server has refused a login because of [`login_options`]: a pooler does not take them.
pub(super) fn are_refused(cause: &Cause) -> bool {
    matches!(cause, Cause::Server(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION))
}
