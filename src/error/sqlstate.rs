//! What SQLSTATEs mean here: whether a fault passes by itself, whether a table's structure is at fault, what to do.

use tokio_postgres::error::{DbError, SqlState};

/// Whether the same statement may succeed later without anybody doing anything.
pub(super) fn is_transient(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08")
        || matches!(code, "40001" | "40P01" | "53300" | "55P03" | "57P01" | "57P02" | "57P03" | "25006" | "57P05")
}

/// Whether a change that the provider has taken is refused because the subscriber's table is another one: class 42
/// without missing rights and what is wrong with a statement itself, values that do not fit a type, a missing value.
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

/// Hints for SQLSTATEs that nearly always mean one thing here.
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
        // The function of the server that refuses it, since messages are translated.
        SqlState::INSUFFICIENT_PRIVILEGE if error.routine() == Some("check_enable_rls") => {
            Some(SEE_ALL_ROWS.to_owned())
        }
        // Our functions say which right is missing.
        SqlState::INSUFFICIENT_PRIVILEGE if error.hint().is_none() => {
            Some("Grant the missing right to the user of the connection string, or connect as the owner.".to_owned())
        }
        SqlState::TOO_MANY_CONNECTIONS => Some("Raise max_connections, or close idle sessions.".to_owned()),
        _ => None,
    }
}

/// The schema that a message of kind `schema "x" does not exist` (3F000), `relation "x.y" does not exist` (42P01) or
/// `function x.y() does not exist` (42883) names.
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
