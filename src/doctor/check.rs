//! The table of all checks: names and what each looks at. The findings and the reference in `docs/doctor.md` are made
//! from it.

use std::fmt::Write as _;

/// A check. Its name is a word of the output that scripts may rely on.
#[derive(Debug)]
pub(crate) struct Check {
    /// Lower-case words joined by dashes.
    pub(super) name: &'static str,
    /// Whether it is made for an ini file with section `[londiste]` only.
    is_of_replication: bool,
    about: &'static str,
}

impl Check {
    pub(super) const fn of_all(name: &'static str, about: &'static str) -> Check {
        Check { name, is_of_replication: false, about }
    }

    const fn of_replication(name: &'static str, about: &'static str) -> Check {
        Check { name, is_of_replication: true, about }
    }
}

macro_rules! checks {
    ($($id:ident = $of:ident($name:literal, $about:literal);)*) => {
        $(pub(super) static $id: Check = Check::$of($name, $about);)*

        /// All checks, in the order of a run.
        static CHECKS: &[&Check] = &[$(&$id),*];
    };
}

checks! {
    INI = of_all("ini", "the ini file has no key that is not read");
    PROCESS = of_all("process", "the daemon of the ini file runs: here by its pidfile, or elsewhere by its sessions");
    PIDFILE = of_all("pidfile", "the pidfile can be written, and holds a process id");
    LOG_FILE = of_all("log-file", "the log file can be written");
    DISK_SPACE = of_all("disk-space", "the disk of the log file has room for all that log_size and log_count allow, that of the pidfile is not full");
    LAST_ERROR = of_all("last-error", "the last error in the log, as a fact");
    PASSWORD_FILE = of_all("password-file", "the password file is used: it is a plain file that nobody else may read");
    CONNECTION = of_all("connection", "each database can be reached");
    SAME_DATABASE = of_replication("same-database", "provider and subscriber are two databases");
    SERVER_VERSION = of_all("server-version", "the server is PostgreSQL 10 or newer");
    READ_ONLY = of_all("read-only", "the server is no standby");
    POOLER = of_all("pooler", "whether a transaction pooler is between, as a fact");
    CLOCK = of_all("clock", "the server's clock agrees with that of this machine");
    CONNECTION_SLOTS = of_all("connection-slots", "the server has connections left");
    AUTOVACUUM = of_all("autovacuum", "autovacuum and its statistics are on");
    WRAPAROUND = of_all("wraparound", "no database is near the end of its transaction ids");
    ROLE_SETTINGS = of_all("role-settings", "role and database have no setting that ends statements, forbids changes or keeps changes from being captured");
    ENCODING = of_replication("encoding", "the subscriber's encoding has every character of the provider");
    TIME_ZONE = of_replication("time-zone", "the time zones of both databases, as a fact");
    COLLATION = of_replication("collation", "the collations of both databases, as a fact");
    COLLATION_VERSION = of_all("collation-version", "indexes were made with the collation library that is installed");
    LONG_TRANSACTION = of_all("long-transaction", "no transaction is open longer than a rotation of the queue takes");
    PREPARED_TRANSACTION = of_all("prepared-transaction", "no prepared transaction is left over");
    WRAPAROUND_VACUUM = of_all("wraparound-vacuum", "no vacuum against wraparound holds a table");
    BLOCKED_SESSION = of_all("blocked-session", "no session of the job waits for a lock");
    PGQ_SCHEMA = of_all("pgq-schema", "schema pgq is there and up to date");
    LONDISTE_SCHEMA = of_replication("londiste-schema", "schema londiste is there and up to date on both sides");
    QUEUE = of_all("queue", "the queue exists, and accepts events and ticks");
    PUBLIC_RIGHTS = of_all("public-rights", "not every role may write to queues or consume from them");
    TICK_AGE = of_all("tick-age", "the ticker makes ticks");
    TICK_TIME = of_all("tick-time", "no tick lies in the future");
    TWO_TICKERS = of_all("two-tickers", "one ticker serves the database");
    FOREIGN_TICKER = of_all("foreign-ticker", "whether the ticker is another program such as pgqd, as a fact");
    TRANSACTION_COUNTER = of_all("transaction-counter", "the queue's ticks are of this server's transaction counter");
    ROTATION = of_all("rotation", "the event tables are rotated in time; who blocks it");
    QUEUE_SIZE = of_all("queue-size", "the event tables are not big, and how fast they grow");
    QUEUE_BLOAT = of_all("queue-bloat", "the tables of schema pgq are vacuumed");
    LOST_QUEUE = of_all("lost-queue", "no trigger writes into a queue that does not exist");
    CONSUMER_LAG = of_all("consumer-lag", "consumers that come are not more than 5 minutes behind");
    CONSUMER_DEAD = of_all("consumer-dead", "no consumer is behind and stays away");
    FAILED_EVENTS = of_all("failed-events", "no consumer has given up an event");
    QUEUE_RIGHTS = of_all("queue-rights", "the user may tick, or consume");
    TABLE_RIGHTS = of_replication("table-rights", "the provider's user may read the tables");
    SUBSCRIBER_RIGHTS = of_replication("subscriber-rights", "the subscriber's user may change the tables");
    TABLE_OWNER = of_replication("table-owner", "the subscriber's user has the rights of the tables' owners, which a copy needs");
    SCHEMA_RIGHTS = of_replication("schema-rights", "the subscriber's user may change the tables of schema londiste");
    REPLICATION_ROLE = of_replication("replication-role", "the subscriber's user may set session_replication_role, where apply_role = replica");
    ROW_SECURITY = of_replication("row-security", "no policy hides rows from the users of the connection strings");
    POSITION = of_replication("position", "the consumer is registered, and provider and subscriber agree on its position");
    TABLE_STATE = of_replication("table-state", "all tables are in sync");
    PARKED = of_replication("parked", "no table waits for an operator");
    NOT_SUBSCRIBED = of_replication("not-subscribed", "all tables and sequences of the set are subscribed");
    OTHER_QUEUE = of_replication("other-queue", "no other queue writes to a table");
    PENDING_FOREIGN_KEYS = of_replication("pending-foreign-keys", "every foreign key that was dropped for a copy could be restored");
    PENDING_TRIGGERS = of_replication("pending-triggers", "no triggers are left dropped on a table that is not subscribed any more");
    FIRING_TRIGGERS = of_replication("firing-triggers", "no trigger of a user fires on the subscriber when changes are applied");
    SEQUENCE_VALUES = of_replication("sequence-values", "the values of the subscribed sequences arrive");
    CAPTURE = of_replication("capture", "all changes of the tables are captured: triggers are there, enabled, and those that were made");
    SKIPPED_EVENTS = of_replication("skipped-events", "no event was left out by an operator of a table that was not repaired or copied since");
    DIFFERING_ROWS = of_replication("differing-rows", "rolling verification (`verify_interval`) has found no row that differs");
    CAPTURE_ORDER = of_replication("capture-order", "capture triggers fire in the right order with triggers of users");
    CAPTURE_FUNCTIONS = of_replication("capture-functions", "capture functions are up to date with their tables");
    WRITTEN_OUTSIDE = of_replication("written-outside", "no table that is in the set of no queue is written to");
    CAPTURE_COST = of_replication("capture-cost", "what capture costs the writers, by the statistics of the tables, as a fact");
    TABLE_MISSING = of_replication("table-missing", "each table exists on both sides");
    TABLE_KEY = of_replication("table-key", "each table has a key, the same on both sides");
    COLUMNS = of_replication("columns", "the subscriber has the provider's columns");
    COLUMN_TYPES = of_replication("column-types", "columns have the same types on both sides");
    GENERATED_COLUMNS = of_replication("generated-columns", "columns are generated on both sides or on none");
    NOT_NULL = of_replication("not-null", "the subscriber refuses no null that the provider has");
    KEY_INDEX = of_replication("key-index", "the subscriber has an index that finds a row by its key");
    UNIQUE_INDEXES = of_replication("unique-indexes", "what is unique on the subscriber is unique on the provider");
    MISSING_INDEXES = of_replication("missing-indexes", "the provider's indexes that the subscriber does not have, as a fact");
    OUTSIDE_FOREIGN_KEYS = of_replication("outside-foreign-keys", "no foreign key leads from a subscribed table to one that is not");
    UNLOGGED = of_replication("unlogged", "no table is unlogged, which a crash empties");
    KEY_COLLATION = of_replication("key-collation", "no key has a nondeterministic collation, by which different values are equal");
    EXTENSIONS = of_replication("extensions", "the extensions whose types the tables use are on both sides");
    SIMILAR_NAMES = of_replication("similar-names", "no table in the set differs only by case from one that is not");
    SEQUENCE_BEHIND = of_replication("sequence-behind", "sequences are not behind the greatest values of their columns");
    SWITCHOVER_TABLES = of_replication("switchover-tables", "the tables that a switchover would lose, as a fact");
    SWITCHOVER_SEQUENCES = of_replication("switchover-sequences", "the sequences whose values a switchover would lose, as a fact");
    SWITCHOVER_OBJECTS = of_replication("switchover-objects", "what else is not replicated (large objects, materialized views, dropped triggers), as a fact");
    SWITCHOVER_SETTINGS = of_replication("switchover-settings", "settings of the provider's database that the subscriber's does not have, as a fact");
}

/// The table as Markdown, for `docs/doctor.md`.
pub fn reference() -> String {
    let mut text = String::from("| check | of | ok means |\n|---|---|---|\n");
    for check in CHECKS {
        let of = if check.is_of_replication { "`[londiste]`" } else { "all" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{}` | {of} | {} |", check.name, check.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_dashes_and_used_once() {
        for check in CHECKS {
            assert!(check.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", check.name);
            assert_eq!(CHECKS.iter().filter(|other| other.name == check.name).count(), 1, "{}", check.name);
            assert!(!check.about.is_empty() && !check.about.contains('|'), "{}", check.name);
        }
    }
}
