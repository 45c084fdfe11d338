//! Settings at values that no session of ours may depend on.

use super::{Cluster, Database};

/// Settings that change texts or the meaning of statements. A session of anybody may have all of them. Those that a server does not
/// know, and locales that the machine lacks, are left out.
pub const TEXTS: &[(&str, &str)] = &[
    ("DateStyle", "'SQL, DMY'"),
    ("DateStyle", "German"),
    ("DateStyle", "'Postgres, MDY'"),
    ("TimeZone", "'Asia/Kathmandu'"),
    ("IntervalStyle", "sql_standard"),
    ("IntervalStyle", "iso_8601"),
    ("extra_float_digits", "-15"),
    ("extra_float_digits", "0"),
    ("bytea_output", "escape"),
    ("lc_monetary", "'de_DE.utf8'"),
    ("lc_monetary", "'en_US.utf8'"),
    ("lc_numeric", "'de_DE.utf8'"),
    ("xmlbinary", "hex"),
    ("xmloption", "document"),
    ("array_nulls", "off"),
    ("quote_all_identifiers", "on"),
    ("search_path", "odd, pg_catalog"),
    ("search_path", "''"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "on"),
    ("transform_null_equals", "on"),
    ("default_text_search_config", "'pg_catalog.english'"),
    ("plpgsql.variable_conflict", "use_variable"),
    ("plpgsql.extra_errors", "'all'"),
    ("check_function_bodies", "off"),
    ("row_security", "off"),
    ("default_transaction_isolation", "'repeatable read'"),
    ("default_transaction_deferrable", "on"),
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit_above_cost", "0"),
    ("debug_parallel_query", "on"),
    ("force_parallel_mode", "on"),
    ("client_min_messages", "error"),
];

/// Settings that change the plan of statements, how objects are made, how commits and faults are treated, and locales.
const OTHERS: &[(&str, &str)] = &[
    ("lc_time", "'de_DE.utf8'"),
    ("lc_messages", "'de_DE.utf8'"),
    ("client_encoding", "LATIN1"),
    ("backslash_quote", "off"),
    ("escape_string_warning", "on"),
    ("operator_precedence_warning", "on"),
    ("plpgsql.check_asserts", "off"),
    ("default_toast_compression", "lz4"),
    ("default_with_oids", "on"),
    ("synchronize_seqscans", "off"),
    ("gin_fuzzy_search_limit", "1"),
    ("constraint_exclusion", "on"),
    ("cursor_tuple_fraction", "0"),
    ("enable_partitionwise_join", "on"),
    ("enable_partition_pruning", "off"),
    ("work_mem", "'64kB'"),
    ("synchronous_commit", "off"),
    ("lo_compat_privileges", "on"),
    ("event_triggers", "off"),
    ("allow_system_table_mods", "on"),
    ("zero_damaged_pages", "on"),
    ("ignore_checksum_failure", "on"),
];

/// All settings that a session of anybody may have.
pub fn hostile() -> Vec<(&'static str, &'static str)> {
    [TEXTS, OTHERS].concat()
}

/// Those of [`hostile`] without what makes every statement take its time: compiled plans, workers of its own, bad plans.
pub fn quick() -> Vec<(&'static str, &'static str)> {
    let mut settings = hostile();
    let slow = ["jit_above_cost", "debug_parallel_query", "force_parallel_mode", "enable_hashjoin", "enable_mergejoin"];
    settings.retain(|(name, _)| !slow.contains(name));
    settings
}

/// Settings that end a statement, a transaction or a session which takes its time or writes. A session of ours has to live with
/// them; one of a test could not. The two that not all servers know are set right after the login: they leave time for that.
pub const DEADLY: &[(&str, &str)] = &[
    ("statement_timeout", "1"),
    ("lock_timeout", "1"),
    ("idle_in_transaction_session_timeout", "1"),
    ("idle_session_timeout", "5000"),
    ("transaction_timeout", "5000"),
    ("exit_on_error", "on"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "serializable"),
];

/// Sets settings for a place, `database d` or `role r`; what the server does not know is left out. Returns how many were taken.
#[track_caller]
pub fn alter(database: &Database, place: &str, settings: &[(&str, &str)]) -> usize {
    // The session was opened before: none of the settings holds in it.
    let session = database.session();
    settings
        .iter()
        .filter(|(name, value)| session.try_rows(&format!("alter {place} set {name} = {value}")).is_ok())
        .count()
}

/// A new superuser of the cluster that has all settings of [`quick`] and [`DEADLY`] in this database. Returns its connection string.
#[track_caller]
pub fn superuser(cluster: &Cluster, database: &Database) -> String {
    let role = format!("hostile_{}", database.name());
    cluster.sql(&format!("create role {role} login superuser"));
    let place = format!("role {role} in database {}", database.name());
    let taken = alter(database, &place, &quick()) + alter(database, &place, DEADLY);
    assert!(taken > 40, "only {taken} settings were taken");
    database.conninfo_as(&role)
}

/// Gives these settings to the database, and to a new superuser of the cluster too. Sessions of `postgres` in the database stay as
/// they are. Returns the connection string of the superuser.
#[track_caller]
pub fn everywhere(cluster: &Cluster, database: &Database, settings: &[(&str, &str)]) -> String {
    let role = format!("hostile_{}", database.name());
    cluster.sql(&format!("create role {role} login superuser"));
    let session = database.session();
    for (name, _) in settings {
        // What the server does not know is not set either.
        let _ =
            session.try_rows(&format!("alter role postgres in database {} set {name} from current", database.name()));
    }
    drop(session);
    let places = [format!("database {}", database.name()), format!("role {role}")];
    for place in places {
        assert!(alter(database, &place, settings) * 2 >= settings.len(), "few of {settings:?} were taken");
    }
    database.conninfo_as(&role)
}
