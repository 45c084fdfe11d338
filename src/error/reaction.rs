//! What replay does after an error: the one table that decides whether the same is tried again, whether a table is parked, and
//! whether the operator is told how to leave the event out.
//!
//! `subscriber skip-event` loses a change. So it is advised only where the subscriber's rows, checks or triggers refuse the event
//! itself, or where the event cannot be read. Where the server, its settings, a missing right or the structure of a table is the
//! cause, the event is good, and can be applied after the mend.

use tokio_postgres::error::{DbError, SqlState};

/// What replay does after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The cause passes without action of the operator: the same is tried again soon.
    TryAgain,
    /// A transaction needs more memory or locks than the server has: fewer ticks are applied in one transaction. A batch of one tick
    /// stops replay.
    SmallerBatch,
    /// The structure of the event's table is the cause: the table is parked, and the other tables go on.
    Park,
    /// Something else than the event is the cause: replay stops until the operator has mended it.
    Stop,
    /// The subscriber refuses the event for its content: replay stops, and the operator may have the event left out.
    StopOrSkip,
}

use Reaction::{Park, SmallerBatch, Stop, StopOrSkip, TryAgain};

/// What to do about a full lock table.
const MORE_LOCKS: &str = "Raise max_locks_per_transaction on this server, and restart it.";

/// Classes and codes of SQLSTATEs. A code of five characters stands for itself, one of two characters for the codes of its class that
/// have no line. What no line has comes from a function of a user: PostgreSQL has no other class.
const TABLE: &[(&str, Reaction, Option<&str>)] = &[
    // Warnings and conditions that end no statement.
    ("00", Stop, None),
    ("01", Stop, None),
    ("02", Stop, None),
    ("03", Stop, None),
    // The connection.
    ("08", TryAgain, None),
    ("09", Stop, None),
    // The table, or what stands under its name, cannot be changed in this way.
    ("0A", Park, None),
    ("0B", Stop, None),
    ("0F", Stop, None),
    ("0L", Stop, None),
    ("0P", Stop, None),
    ("0Z", Stop, None),
    ("10", StopOrSkip, None),
    // Values, on which a check or a trigger of the subscriber stumbles.
    ("20", StopOrSkip, None),
    ("21", StopOrSkip, None),
    ("22", StopOrSkip, None),
    // A column has another type.
    ("22001", Park, None),
    ("22003", Park, None),
    ("22007", Park, None),
    ("22008", Park, None),
    ("22P02", Park, None),
    ("22P03", Park, None),
    // Rows that are in the way, or are missing.
    ("23", StopOrSkip, None),
    ("23502", Park, None),
    ("24", Stop, None),
    ("25", Stop, None),
    (
        "25006",
        TryAgain,
        // Our sessions set default_transaction_read_only to off, so it is not that setting.
        Some(
            "The server is a standby, which takes no changes. Name the primary in the connection string; or name all servers \
             there, with target_session_attrs=read-write, which finds the primary also after a failover.",
        ),
    ),
    ("25P03", TryAgain, None),
    ("25P04", TryAgain, None),
    ("26", Stop, None),
    ("27", StopOrSkip, None),
    ("28", Stop, None),
    ("2B", Stop, None),
    ("2D", Stop, None),
    ("2F", Stop, None),
    ("34", Stop, None),
    ("38", StopOrSkip, None),
    ("39", Stop, None),
    ("3B", Stop, None),
    ("3D", Stop, None),
    // A function or a default of the table names a schema that is not there.
    ("3F", Park, None),
    ("40", TryAgain, None),
    // Tables, columns, types, functions and operators that are missing or other ones, or on which a right is missing.
    ("42", Park, None),
    ("42601", Stop, None),
    ("44", StopOrSkip, None),
    ("53", SmallerBatch, None),
    ("53100", Stop, Some("Free disk space on this server.")),
    ("53300", TryAgain, Some("Raise max_connections, or close idle sessions.")),
    ("54", SmallerBatch, None),
    ("55", Stop, None),
    // The table publishes updates and has no replica identity, or is a view.
    ("55000", Park, None),
    ("55P03", TryAgain, None),
    ("57", TryAgain, None),
    ("57P04", Stop, None),
    ("58", Stop, None),
    ("72", Stop, None),
    ("F0", Stop, None),
    ("HV", Stop, None),
    ("P0", StopOrSkip, None),
    ("XX", Stop, None),
];

/// The line of the table for a code.
fn line(code: &str) -> (Reaction, Option<&'static str>) {
    let of = |wanted: &str| TABLE.iter().find(|(code, ..)| *code == wanted);
    let found = of(code).or_else(|| of(code.get(..2)?));
    found.map_or((StopOrSkip, None), |(_, reaction, advice)| (*reaction, *advice))
}

impl Reaction {
    /// What the table says about a code.
    pub(super) fn to_code(code: &SqlState) -> Reaction {
        line(code.code()).0
    }

    /// What to do after an error of a server. Some codes stand for several causes; then the name of the server's C function tells them
    /// apart, or the objects that the error names, since messages are translated.
    pub(super) fn to(error: &DbError) -> Reaction {
        if is_partition_missing(error) {
            return Park;
        }
        match *error.code() {
            // A row is too long for an index of the table.
            SqlState::PROGRAM_LIMIT_EXCEEDED if error.table().is_some() => Park,
            ref code => Reaction::to_code(code),
        }
    }
}

/// Whether a partitioned table has no partition for a row.
pub(super) fn is_partition_missing(error: &DbError) -> bool {
    *error.code() == SqlState::CHECK_VIOLATION && error.routine() == Some("ExecFindPartition")
}

/// What to do about the cause, where the table says so.
pub(super) fn advice(error: &DbError) -> Option<&'static str> {
    // The server's own hint is translated; the setting's name in it is not.
    if error.hint().is_some_and(|hint| hint.contains("max_locks_per_transaction")) {
        return Some(MORE_LOCKS);
    }
    line(error.code().code()).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes of PostgreSQL 10 to 18.
    const CLASSES: &str = "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 \
                           55 57 58 72 F0 HV P0 XX";

    fn to(code: &str) -> Reaction {
        Reaction::to_code(&SqlState::from_code(code))
    }

    #[test]
    fn every_class_has_one_line_and_every_line_a_class() {
        let listed: Vec<&str> = TABLE.iter().map(|(code, ..)| *code).collect();
        for class in CLASSES.split(' ') {
            assert_eq!(listed.iter().filter(|code| **code == class).count(), 1, "{class}");
        }
        for code in &listed {
            assert!(CLASSES.split(' ').any(|class| code.starts_with(class)), "{code}");
            assert_eq!(listed.iter().filter(|other| *other == code).count(), 1, "{code}");
        }
    }

    #[test]
    fn leaving_an_event_out_is_advised_for_its_content_alone() {
        for class in CLASSES.split(' ') {
            let is_content = matches!(class, "10" | "20" | "21" | "22" | "23" | "27" | "38" | "44" | "P0");
            for code in [format!("{class}000"), format!("{class}999"), format!("{class}P01"), format!("{class}P99")] {
                assert_eq!(to(&code) == StopOrSkip, is_content, "{code}");
            }
        }
        for code in "25006 25P02 53100 53200 53300 54000 54001 57014 57P01 40001 40P01 55P03 55006 55000 08006 58030 XX000 XX001 42501 42601 0A000"
            .split(' ')
        {
            assert_ne!(to(code), StopOrSkip, "{code}");
        }
        for code in "23505 23503 23514 23P01 23000 22012 22021 P0001 P0002 44000 U0001 MYERR".split(' ') {
            assert_eq!(to(code), StopOrSkip, "{code}");
        }
    }

    #[test]
    fn codes_of_each_reaction() {
        for (expected, codes) in [
            (TryAgain, "08000 08006 40001 40P01 53300 55P03 57P01 57P02 57P03 57P05 57014 25006 25P03"),
            (SmallerBatch, "53000 53200 53400 54000 54001"),
            (Park, "42501 42P01 42703 42804 42883 428C9 22001 22003 22007 22008 22P02 22P03 23502 0A000 55000 3F000"),
            (Stop, "42601 53100 55006 57P04 58030 XX000 25P02"),
        ] {
            for code in codes.split(' ') {
                assert_eq!(to(code), expected, "{code}");
            }
        }
    }
}
