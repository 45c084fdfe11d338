//! What SQLSTATEs mean to replication: whether a fault passes by itself, whether a table's structure is its cause, what
//! to do.

use tokio_postgres::error::{DbError, SqlState};

/// Whether the same statement may succeed later without action of the operator.
pub(super) fn is_transient(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08")
        || matches!(code, "40001" | "40P01" | "53300" | "55P03" | "57P01" | "57P02" | "57P03" | "25006" | "57P05")
}

/// Whether a change of the provider is refused because the subscriber's table has another structure: class 42 except
/// missing rights (42501) and syntax errors (42601), values that do not fit a type, and NULL in a column that is not
/// null (23502).
pub(super) fn is_structure(code: &SqlState) -> bool {
    match code.code() {
        "42501" | "42601" => false,
        "22001" | "22003" | "22007" | "22008" | "22P02" | "22P03" | "23502" => true,
        code => code.starts_with("42"),
    }
}

/// What to do where row security hides rows from the user of a connection string.
pub(crate) const SEE_ALL_ROWS: &str = "Let the user of the connection string see all rows: give it BYPASSRLS (\"alter role \
     ... bypassrls\"), or connect as the table's owner; a table with \"force row level security\" hides rows from its owner too.";

/// The hint for an error whose cause is nearly always the same; `None` for any other.
pub(super) fn query_hint(error: &DbError) -> Option<String> {
    let code = error.code();
    let schema = missing_schema(error.message());
    if let Some(schema @ ("pgq" | "londiste")) = schema {
        let command = if schema == "pgq" {
            "rlondiste TICKER-INI install\" or \"rlondiste INI provider install"
        } else {
            "rlondiste INI provider install\" and \"rlondiste INI subscriber install"
        };
        return Some(format!("Run \"{command}\" first."));
    }
    match *code {
        // Told by the name of the server's C function, since messages are translated.
        SqlState::INSUFFICIENT_PRIVILEGE if error.routine() == Some("check_enable_rls") => {
            Some(SEE_ALL_ROWS.to_owned())
        }
        // The functions of schemas pgq and londiste give a hint themselves, which names the right.
        SqlState::INSUFFICIENT_PRIVILEGE if error.hint().is_none() => {
            Some("Grant the missing right to the user of the connection string, or connect as the owner.".to_owned())
        }
        SqlState::TOO_MANY_CONNECTIONS => Some("Raise max_connections, or close idle sessions.".to_owned()),
        _ => None,
    }
}

/// The schema in a message such as `schema "x" does not exist` (3F000), `relation "x.y" does not exist` (42P01) or
/// `function x.y() does not exist` (42883). Finds nothing in translated messages.
fn missing_schema(message: &str) -> Option<&str> {
    let name = message
        .strip_prefix("schema \"")
        .or_else(|| message.strip_prefix("relation \""))
        .or_else(|| message.strip_prefix("function "))?;
    if !message.contains("does not exist") {
        return None;
    }
    name.split(['"', '.', '(']).next()
}
