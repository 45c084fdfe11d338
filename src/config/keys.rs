//! The table of all configuration keys: the programs that read a key, its type, its default and its meaning.
//!
//! The typed structs take their defaults and the text of their errors from the table, and the reference in `docs` is
//! rendered from it, so each key exists in all three places.

use std::fmt::Write as _;

/// The section, and with it the program, that a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Ticker and queue administration of one database.
    Pgqadm,
    /// Replication.
    Londiste,
    /// One ticker for all databases of a server, in PgQ 3's words.
    Pgqd,
}

impl Program {
    /// The section name in the file.
    pub(crate) fn section(self) -> &'static str {
        match self {
            Program::Pgqadm => "pgqadm",
            Program::Londiste => "londiste",
            Program::Pgqd => "pgqd",
        }
    }

    /// The keys that this program reads.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.programs.contains(&self))
    }

    /// The table's row for a key of this program; `None` when the program has no such key.
    pub(crate) fn key(self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A path; `~` and `~user` are expanded.
    File,
    /// A libpq connection string or URI.
    Connection,
    /// Seconds, fractions allowed; also as `500ms`, `30s`, `5min`, `1h`, `1d`.
    Seconds,
    /// Minutes, fractions allowed.
    Minutes,
    /// A whole number.
    Number,
    /// A number of bytes, also as `64MB`, `512kB`, `1GB`.
    Bytes,
    /// `1` or `0`; also yes/no, true/false, on/off.
    Flag,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// The name of the type in the reference.
    pub(crate) fn describe(self) -> String {
        match self {
            Kind::Text => "text".to_owned(),
            Kind::File => "file".to_owned(),
            Kind::Connection => "connection string".to_owned(),
            Kind::Seconds => "seconds (`5min`)".to_owned(),
            Kind::Minutes => "minutes".to_owned(),
            Kind::Number => "number".to_owned(),
            Kind::Bytes => "bytes (`64MB`)".to_owned(),
            Kind::Flag => "0 or 1".to_owned(),
            Kind::Choice(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        }
    }
}

/// The value of a key that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// This text, as if it stood in the file.
    Is(&'static str),
    /// No value; the text says in the reference what this means.
    None(&'static str),
    /// The key must be set; the text is an example of what to write.
    Required(&'static str),
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Key {
    /// As written in the file, in lower case.
    pub(crate) name: &'static str,
    /// The programs that read it.
    pub(crate) programs: &'static [Program],
    /// The type of its value.
    pub(crate) kind: Kind,
    /// Its value when it is not set.
    pub(crate) default: Default,
    /// Its meaning, for the reference.
    pub(crate) meaning: &'static str,
}

use self::Default::{Is, None, Required};
use self::Kind::{Bytes, Choice, Connection, File, Flag, Minutes, Number, Seconds, Text};

const ALL: &[Program] = &[Program::Pgqadm, Program::Londiste, Program::Pgqd];
const PGQADM: &[Program] = &[Program::Pgqadm];
const LONDISTE: &[Program] = &[Program::Londiste];
const PGQD: &[Program] = &[Program::Pgqd];

const fn key(
    name: &'static str,
    programs: &'static [Program],
    kind: Kind,
    default: Default,
    meaning: &'static str,
) -> Key {
    Key { name, programs, kind, default, meaning }
}

/// Every key, in the order of the reference: common ones first, then per program.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    // Group: the process
    key("job_name", ALL, Text, None("the section name"),
        "Name of the job: in the log, as application_name of its sessions and as default of `pgq_consumer_id`."),
    key("pidfile", ALL, File, None("none"),
        "File that holds the process id and keeps a second copy from starting; needed for -d, -s, -k and -r."),
    key("logfile", ALL, File, None("none: standard error only"),
        "File that log lines are appended to, beside standard error."),
    key("log_size", ALL, Bytes, Is("10485760"),
        "Size at which the log file is renamed to `.1` and a new one begun (`log_rotation = size`)."),
    key("log_count", ALL, Number, Is("3"),
        "How many older log files are kept. 0: with `log_rotation = size` the log file is never renamed, else all are kept."),
    key("log_format", ALL, Choice(&["text", "json"]), Is("text"),
        "`text` is the classic line, `json` one JSON object a line."),
    key("log_rotation", ALL, Choice(&["size", "daily", "hourly"]), Is("size"),
        "When a new log file is begun; days and hours are those of UTC."),
    key("use_skylog", ALL, Flag, Is("0"),
        "Accepted with a warning: skylog.ini is not read; use `logfile` and `log_format`."),
    key("loop_delay", ALL, Seconds, Is("1.0"),
        "Pause between two rounds of work that found nothing to do; in the ticker it ends earlier when a tick is due."),
    key("connection_lifetime", ALL, Seconds, Is("1200"),
        "Age at which a session is closed and opened anew; 0 means never."),
    key("connection_check", ALL, Seconds, Is("30"),
        "Time after which a server that owes an answer, sends nothing and does not answer on a new connection either is given up; also the default of TCP keepalive and of `tcp_user_timeout`. 0 means never."),
    key("http_listen", ALL, Text, None("off"),
        "Address and port at which ticker and replay serve their metrics and state over HTTP, such as `127.0.0.1:9187`; a port alone means loopback. See `docs/metrics.md`."),
    key("on_event", ALL, Text, None("none"),
        "Command that ticker and replay run when something begins that an operator should know of, and when it is over. See Events in `docs/metrics.md`."),
    // Group: ticker
    key("db", PGQADM, Connection, Required("dbname=shop host=127.0.0.1"),
        "Database with the queues."),
    key("maint_delay", PGQADM, Seconds, Is("300"),
        "Time between two rounds of maintenance (rotation, retry, vacuum)."),
    key("maint_delay_min", PGQADM, Minutes, None("not used"),
        "Older spelling of `maint_delay`, in minutes; `maint_delay` wins when both are set."),
    key("ticker_log_delay", PGQADM, Seconds, Is("300"),
        "Time between two log lines with the number of ticks."),
    key("queue_refresh_period", PGQADM, Seconds, Is("30"),
        "Time after which the ticker looks again at a queue that was restored into a cluster with a smaller transaction counter (see `rebase`). New queues and changed settings of queues are seen at its next round, whatever the value."),
    key("queue_size_warn", PGQADM, Bytes, Is("0"),
        "Size of a queue's event tables above which maintenance warns; 0 means never."),
    // Group: replication
    key("provider_db", LONDISTE, Connection, Required("dbname=shop host=provider.example.com"),
        "Database whose changes are captured."),
    key("subscriber_db", LONDISTE, Connection, Required("dbname=shop host=127.0.0.1"),
        "Database that the changes are applied to."),
    key("pgq_queue_name", LONDISTE, Text, Required("shop-queue"),
        "Queue on the provider that carries the changes."),
    key("pgq_consumer_id", LONDISTE, Text, None("`job_name`"),
        "Name under which this job reads the queue; copies add `_copy` to it."),
    key("lag_warn", LONDISTE, Seconds, Is("0"),
        "Lag of the subscriber above which `on_event` is told; 0 means never."),
    key("lock_timeout", LONDISTE, Seconds, Is("10"),
        "Longest wait for a table lock when tables are added or compared, or a foreign key is restored; 0 means no limit."),
    key("capture", LONDISTE, Choice(&["auto", "statement", "row"]), Is("auto"),
        "Triggers that `provider add` makes: one call a statement, one call a row, or for updates whichever costs less."),
    key("event_format", LONDISTE, Choice(&["sql", "urlenc", "json"]), Is("sql"),
        "Format of captured events; `urlenc` and `json` serve queues that other consumers read too."),
    key("apply", LONDISTE, Choice(&["set", "row"]), Is("set"),
        "`set` applies the net change of many events as few statements, `row` each event by itself."),
    key("apply_role", LONDISTE, Choice(&["origin", "replica"]), Is("origin"),
        "`replica` sets session_replication_role while applying, which keeps triggers and foreign keys from firing; `origin` leaves it alone."),
    key("apply_memory", LONDISTE, Bytes, Is("64MB"),
        "Bound of the memory for events that are read but not applied yet."),
    key("on_missing_row", LONDISTE, Choice(&["ignore", "stop"]), Is("ignore"),
        "What an update or delete does that finds no row on the subscriber: it is counted, or replay stops and names the event."),
    key("batch_min_events", LONDISTE, Number, Is("1"),
        "Ticks are joined into one batch when at least this many events wait; below, each tick is a batch."),
    key("batch_max_events", LONDISTE, Number, Is("500000"),
        "A joined batch is not made bigger than this many events."),
    key("parallel_copies", LONDISTE, Number, Is("2"),
        "How many tables are copied at once; set 1 while the original londiste shares the queue."),
    key("copy_progress_delay", LONDISTE, Seconds, Is("10"),
        "Time between two progress lines of a copy, of a long index build and of `wait-sync`; 0 means none."),
    key("copy_maintenance_work_mem", LONDISTE, Text, None("the server's setting"),
        "maintenance_work_mem for rebuilding indexes after a copy, such as `1GB`."),
    key("copy_rate_limit", LONDISTE, Bytes, Is("0"),
        "Bytes a second that all copies together read at most; 0 means no limit."),
    key("copy_condition", LONDISTE, Text, None("all rows"),
        "Lines of `schema.table: CONDITION`: a copy takes only the rows for which the SQL condition holds; replay does not filter."),
    key("pgq_lazy_fetch", LONDISTE, Number, Is("0"),
        "Accepted and not needed: events are always streamed."),
    key("compare_sql", LONDISTE, Text, Is("select count(1) from only _TABLE_"),
        "Query of `compare`, run on both sides; `_TABLE_` stands for the quoted table name."),
    key("verify_interval", LONDISTE, Seconds, Is("0"),
        "Time within which replay looks at all rows of both sides again, to find those that differ; 0 means never. See Verification in `docs/operations.md`."),
    key("verify_rate", LONDISTE, Bytes, Is("10MB"),
        "Bytes of rows a second that this looking reads at most, on each side; 0 means no limit."),
    key("fake", LONDISTE, Flag, Is("0"),
        "1: commands that change something roll back what they did, `repair --apply` too."),
    key("method", LONDISTE, Choice(&["direct"]), Is("direct"),
        "Only `direct`: read the queue, write to the subscriber."),
    key("mirror_queue", LONDISTE, Text, None("off"),
        "Queue on the subscriber that applied events are written on to, with the same tick ids; `subscriber install` creates it."),
    key("ticker", LONDISTE, Choice(&["auto", "off", "on"]), None("`off`; `auto` for `up`"),
        "Whether this process makes the ticks of the provider's database too, with their maintenance: `auto` while no other ticker is there. See A ticker inside of replay in `docs/operations.md`."),
    key("maint_delay", LONDISTE, Seconds, Is("600"),
        "Time between two rounds of maintenance, where this process makes the ticks."),
    // Group: ticker for all databases of a server
    key("base_connstr", PGQD, Connection, None("empty: local server"),
        "Connection string without dbname for all databases of the server."),
    key("initial_database", PGQD, Text, Is("template1"),
        "Database in which the list of databases is read."),
    key("database_list", PGQD, Text, None("all that have a pgq schema"),
        "Names, separated by commas or blanks, of the databases to serve."),
    key("check_period", PGQD, Seconds, Is("60"),
        "Time between two looks for new databases."),
    key("ticker_period", PGQD, Seconds, Is("1"),
        "Time between two rounds of ticks."),
    key("maint_period", PGQD, Seconds, Is("120"),
        "Time between two rounds of maintenance."),
    key("retry_period", PGQD, Seconds, Is("30"),
        "Time between two rounds that move retry events back into their queue."),
    key("syslog", PGQD, Flag, Is("0"),
        "Accepted and not used: systemd takes standard error, `logfile` a file."),
];

/// The table as Markdown, for `docs/configuration.md`.
pub fn reference() -> String {
    let mut text = String::from("| key | section | type | default | meaning |\n|---|---|---|---|---|\n");
    for key in KEYS {
        let sections = if key.programs == ALL {
            "all".to_owned()
        } else {
            key.programs.iter().map(|p| format!("`[{}]`", p.section())).collect::<Vec<_>>().join(" ")
        };
        let default = match key.default {
            Is(text) => format!("`{text}`"),
            None(meaning) => meaning.to_owned(),
            Required(_) => "required".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "| `{}` | {sections} | {} | {default} | {} |", key.name, key.kind.describe(), key.meaning);
    }
    text
}

/// The key of `program` that is nearest to a mistyped name.
pub(super) fn nearest(program: Program, name: &str) -> Option<&'static str> {
    crate::text::nearest(name, program.keys().map(|key| key.name))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn no_program_has_a_key_twice() {
        for program in [Program::Pgqadm, Program::Londiste, Program::Pgqd] {
            let mut names: Vec<_> = program.keys().map(|key| key.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{program:?}");
        }
    }

    #[test]
    fn a_mistyped_key_finds_its_neighbour() {
        for (typed, expected) in [
            ("pgq_queue", Option::None),
            ("pgq_queue_nam", Some("pgq_queue_name")),
            ("logfiles", Some("logfile")),
            ("subscriber_bd", Some("subscriber_db")),
            ("colour", Option::None),
        ] {
            assert_eq!(nearest(Program::Londiste, typed), expected, "{typed}");
        }
    }

    #[test]
    fn the_reference_has_a_line_for_every_key() {
        let text = reference();
        assert_eq!(text.lines().count(), KEYS.len() + 2);
        assert!(text.contains("| `apply` | `[londiste]` | `set`, `row` | `set` |"), "{text}");
    }
}
