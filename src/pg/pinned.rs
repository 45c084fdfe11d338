//! The settings on which the text of values, the meaning of statements and the limits of their time depend.
//!
//! A role or a database may have other values for them (`alter role ... set`, `alter database ... set`). Sessions of
//! rlondiste have the values listed here:
//!
//! * On a direct connection they are sent with the login, as defaults of the session. Settings that some servers lack, and
//!   those that are replaced at one value only, are set after the login.
//! * A connection pooler refuses or ignores options of the login. Behind it, nothing may be set for the session, since its
//!   server connection serves another client after the next commit. The next transaction may come by a server connection
//!   that has other values, because it is older than a change of the defaults, or because another client of the pool has
//!   left its own there. So every transaction sets all of them with `set local`, and a statement outside of a transaction
//!   gets a transaction of its own.
//!
//! `search_path` is pinned too ([`PATH`]), except while code of users may run: see
//! [`Db::with_users_path`](super::Db::with_users_path).
//!
//! A setting of rlondiste ([`MARK`]) goes with the login and tells the two cases apart: behind a pooler it does not arrive.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::failure::Cause;
use super::name::quote_literal;

/// A pinned setting.
struct Setting {
    name: &'static str,
    value: &'static str,
    when: When,
}

/// When a setting is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Sent with the login: every supported server knows the setting.
    Login,
    /// Set after the login where the server has the setting.
    Known,
    /// As `Known`, on a direct connection only: the connection between a pooler and the server is not ours.
    Direct,
    /// Set after the login where another setting, or the setting itself, has this value.
    Where(&'static str, &'static str),
}

const fn pin(name: &'static str, value: &'static str, when: When) -> Setting {
    Setting { name, value, when }
}

/// What is pinned. `pg_dump`, `postgres_fdw` and the workers of logical replication pin settings for the text of values, too; the
/// limits are those that end a statement, a transaction or a session which takes its time.
///
/// Not pinned, of the settings that a role or a database may have (`pg_settings` of PostgreSQL 10 to 18):
///
/// * `TimeZone`: the text of a `timestamptz` has its offset from UTC. Code of users (defaults, triggers, checks) finds the zone of
///   the role, as it does in all other sessions. What is compared as text gets the zone UTC in `comparison/rows/mend.rs`, what is
///   captured in `capture_pins`. The same holds for
///   `default_text_search_config`, `lc_time` and `lc_numeric`.
/// * `row_security`: with `off`, code of users would fail where a policy is meant to filter. The copy and comparisons switch it off
///   in their transactions; replay refuses a table whose rows a policy may hide.
/// * `session_replication_role`: `replica` and `local` at the role are the only way to spare triggers, or to write without
///   replication, for a role that may not set it. It means the same for replay as for any other session of the role.
/// * `role`: it says with whose rights the session works.
/// * `backslash_quote`, `escape_string_warning`, `operator_precedence_warning`: no literal of ours has `\'`, or a backslash without
///   `E`, and the last only warns.
/// * `lc_messages`: errors are told apart by their SQLSTATE.
/// * `plpgsql.variable_conflict`, `plpgsql.extra_errors`, `plpgsql.check_asserts`: the functions of our schemas have no name that is
///   ambiguous (by default an error), pass all checks and have no assertion.
/// * `default_tablespace`, `temp_tablespaces`, `default_toast_compression`, `createrole_self_grant`: where and how new objects are
///   made is the administrator's choice. An index that is made again goes where it was (`catalog/dependents.rs`).
/// * `restrict_nonsystem_relation_kind`, `event_triggers`, `lo_compat_privileges`, `allow_system_table_mods`, `temp_file_limit`,
///   `max_stack_depth`, `password_encryption`: they refuse loudly, or touch nothing that we use.
/// * `zero_damaged_pages`, `ignore_checksum_failure`, `ignore_system_indexes`: a superuser sets them to save what is left of a
///   damaged table.
/// * Settings of the planner, of parallel plans, of memory, of vacuum, of the log and of statistics: no result depends on
///   them. No order is relied on that a statement does not ask for.
/// * Settings that load code (`session_preload_libraries`, `local_preload_libraries`, `dynamic_library_path`).
const SETTINGS: &[Setting] = &[
    // Limits.
    pin("statement_timeout", "0", When::Login),
    pin("lock_timeout", "0", When::Login),
    pin("idle_in_transaction_session_timeout", "0", When::Login),
    pin("idle_session_timeout", "0", When::Known),
    pin("transaction_timeout", "0", When::Known),
    pin("exit_on_error", "off", When::Login),
    // Transactions. What the server calls committed must survive a crash: replay tells the provider that a batch is done
    // after the subscriber's commit, and a tick must not outlive, on the subscriber, the changes that it covers.
    pin("default_transaction_isolation", "read committed", When::Login),
    pin("default_transaction_read_only", "off", When::Login),
    pin("default_transaction_deferrable", "off", When::Login),
    pin("synchronous_commit", "local", When::Where("synchronous_commit", "off")),
    // The text of values. A database with encoding SQL_ASCII holds any bytes, and sends those that are not UTF-8 to no client that asks for
    // UTF-8.
    pin(CLIENT_ENCODING, SQL_ASCII, When::Where("server_encoding", SQL_ASCII)),
    pin("DateStyle", "ISO, MDY", When::Login),
    pin("IntervalStyle", "postgres", When::Login),
    pin("extra_float_digits", "3", When::Login),
    pin("bytea_output", "hex", When::Login),
    pin("xmlbinary", "base64", When::Login),
    pin("xmloption", "content", When::Login),
    pin("array_nulls", "on", When::Login),
    pin("lc_monetary", "C", When::Login),
    pin("quote_all_identifiers", "off", When::Login),
    // The meaning of statements. An index of type gin gives some of the rows only when its limit is set.
    pin("standard_conforming_strings", "on", When::Login),
    pin("transform_null_equals", "off", When::Login),
    pin("check_function_bodies", "on", When::Login),
    pin("gin_fuzzy_search_limit", "0", When::Login),
    // What tables are made as: PgQ's must be ordinary ones.
    pin("default_with_oids", "off", When::Known),
    pin("default_table_access_method", "heap", When::Known),
    // A compiled expression saves less than its compilation costs: statements of a batch are short, and run once. The planner's
    // settings, or statistics that are not there yet, may let any statement look expensive.
    pin("jit", "off", When::Known),
    // How the server notices that this program is gone without an end of the connection. A session that stays behind would keep its
    // locks, for hours by the defaults of operating systems, and replay's next session would wait for them.
    pin("tcp_keepalives_idle", "10", When::Direct),
    pin("tcp_keepalives_interval", "5", When::Direct),
    pin("tcp_keepalives_count", "4", When::Direct),
    pin("tcp_user_timeout", "30000", When::Direct),
    pin("client_connection_check_interval", "10000", When::Direct),
    // Warnings of our functions are for the log.
    pin("client_min_messages", "notice", When::Login),
];

const CLIENT_ENCODING: &str = "client_encoding";

/// The encoding of a database whose texts are any bytes.
const SQL_ASCII: &str = "SQL_ASCII";

/// A setting that means nothing to the server.
const MARK: &str = "rlondiste.session";

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
    /// The database has encoding SQL_ASCII, and texts come and go as bytes.
    pub(super) sql_ascii: bool,
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
        Pins { scope: Scope::Session, users_path: String::new(), sql_ascii: false }
    }
}

/// The options that go with the login, behind those of the connection string.
pub(super) fn login_options() -> String {
    let mut options = format!("-c {MARK}=direct");
    for Setting { name, value, .. } in SETTINGS.iter().filter(|setting| setting.when == When::Login) {
        options.push_str(&format!(" -c {name}={}", value.replace(' ', "\\ ")));
    }
    options
}

/// Finds out whether a pooler is in between, and sets, on a direct connection, the settings that did not go with the login.
pub(super) async fn settle(client: &Client) -> Result<Pins, Cause> {
    let values: Vec<String> = SETTINGS
        .iter()
        .map(|Setting { name, value, when }| {
            let (other, has) = match when {
                When::Login | When::Known | When::Direct => ("null".to_owned(), "null".to_owned()),
                When::Where(other, has) => (quote_literal(other), quote_literal(has)),
            };
            format!("({}, {}, {other}, {has})", quote_literal(name), quote_literal(value))
        })
        .collect();
    // The path that the session began with: another client of a pool may have set its own.
    let sql = format!(
        "select pg_catalog.current_setting('{MARK}', true), null, s.reset_val
           from pg_catalog.pg_settings s where s.name operator(pg_catalog.=) 'search_path'
         union all
         select case when s.setting operator(pg_catalog.<>) w.value then 'differs' end, s.name, w.value
           from (values {}) w(name, value, other, has)
                join pg_catalog.pg_settings s on s.name operator(pg_catalog.=) w.name
          where w.other is null or pg_catalog.current_setting(w.other) operator(pg_catalog.=) w.has",
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
    let sql_ascii = settings.iter().any(|(_, name, _)| name == CLIENT_ENCODING);
    if !direct {
        let anywhere = |name: &str| SETTINGS.iter().any(|setting| setting.name == name && setting.when != When::Direct);
        let pinned = settings.iter().filter(|(_, name, _)| anywhere(name));
        let mut statements: Vec<_> = pinned.map(|(_, name, value)| format!("set local {name} = {value}")).collect();
        statements.push(PATH.to_owned());
        return Ok(Pins { scope: Scope::Transaction(statements.join("; ")), users_path, sql_ascii });
    }
    let differing = settings.iter().filter(|(differs, _, _)| *differs);
    let mut statements: Vec<_> = differing.map(|(_, name, value)| format!("set {name} = {value}")).collect();
    statements.push(PATH.replacen("set local", "set", 1));
    client.batch_execute(&statements.join("; ")).await.map_err(Cause::of)?;
    Ok(Pins { scope: Scope::Session, users_path, sql_ascii })
}

/// Whether a login was refused because of [`login_options`]: pgbouncer refuses unknown options with SQLSTATE 08P01.
pub(super) fn are_refused(cause: &Cause) -> bool {
    matches!(cause, Cause::Server(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION))
}
