//! What an operator can do about errors of a server whose cause is nearly always the same.

use tokio_postgres::error::{DbError, SqlState};

use super::reaction;
use super::role::Role;

/// What to do where row security hides rows from the user of a connection string.
pub(crate) const SEE_ALL_ROWS: &str = "Let the user of the connection string see all rows: give it BYPASSRLS (\"alter role \
     ... bypassrls\"), or connect as the table's owner; a table with \"force row level security\" hides rows from its owner too.";

/// The hint for an error whose cause is nearly always the same; `None` for any other.
pub(super) fn query_hint(role: Role, error: &DbError) -> Option<String> {
    let code = error.code();
    if let Some(schema) = missing_schema(code, error.message()) {
        let command = match (schema, role) {
            ("pgq", _) => "rlondiste TICKER-INI install\" or \"rlondiste INI provider install",
            (_, Role::Provider) => "rlondiste INI provider install",
            (_, Role::Subscriber) => "rlondiste INI subscriber install",
        };
        return Some(format!("Run \"{command}\" first."));
    }
    if reaction::is_partition_missing(error) {
        let quoted = |name: Option<&str>| format!("\"{}\"", name.unwrap_or_default().replace('"', "\"\""));
        return Some(format!(
            "Create a partition that takes the row: create table ... partition of {}.{} for values ...",
            quoted(error.schema()),
            quoted(error.table())
        ));
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
        _ => reaction::advice(error).map(str::to_owned),
    }
}

/// What is being done while a schema is installed. Its statements run with a search_path of pg_catalog alone.
pub(crate) const INSTALL: &str = "install SQL";

/// The hint for an error of an installation that the function of a user's event trigger has raised.
pub(super) fn install_hint(error: &DbError) -> Option<String> {
    let function = error.where_().and_then(users_function).filter(|_| error.code().code().starts_with("42"))?;
    Some(format!(
        "Function {function} is a user's, and looks names up in the search_path of the session, which is pg_catalog alone \
         during an installation. Give it a path of its own: \"alter function {function} set search_path = ...\" with the \
         schemas that it needs."
    ))
}

/// The function of a user, with the types of its arguments, in which an error was raised: the first one that the context names, which
/// is translated, as in `PL/pgSQL function app.note() line 1 at SQL statement`.
fn users_function(context: &str) -> Option<&str> {
    let first = context.lines().next()?;
    let end = first.find('(')?;
    let mut is_quoted = false;
    let begins = |c: char| {
        is_quoted ^= c == '"';
        !is_quoted && c.is_whitespace()
    };
    let start = first[..end].rfind(begins).map_or(0, |at| first[at..].chars().next().map_or(at, |c| at + c.len_utf8()));
    let rest = &first[end..];
    let function = &first[start..=end + rest.find(')')?];
    let is_in = |schema: &str| function.strip_prefix(schema).is_some_and(|rest| rest.starts_with('.'));
    let is_own = is_in("pgq") || is_in("londiste");
    (end > start && !is_own).then_some(function)
}

/// Which of our schemas is missing: what does not exist is the schema (3F000), or a relation (42P01) or function (42883) of it.
/// Messages are translated, names in them are not: `Relation »pgq.queue« existiert nicht`.
fn missing_schema(code: &SqlState, message: &str) -> Option<&'static str> {
    let behind = match *code {
        SqlState::INVALID_SCHEMA_NAME => "",
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_FUNCTION => ".",
        _ => return None,
    };
    // Behind the parenthesis are the types of a function's arguments.
    let named = message.split('(').next().unwrap_or_default();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    ["pgq", "londiste"].into_iter().find(|schema| {
        named.match_indices(schema).any(|(at, _)| {
            let rest = &named[at + schema.len()..];
            let ends = if behind.is_empty() { !rest.starts_with(is_part) } else { rest.starts_with(behind) };
            ends && !named[..at].ends_with(is_part)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_of_a_user_is_known_in_every_language() {
        for (context, expected) in [
            (
                "PL/pgSQL function app.note() line 1 at SQL statement\nSQL statement \"create table t ()\"",
                Some("app.note()"),
            ),
            ("PL/pgSQL-Funktion app.\"Note it\"(text, integer) Zeile 1", Some("app.\"Note it\"(text, integer)")),
            ("SQL function \"note\" statement 1", None),
            ("PL/pgSQL function londiste.nothing(text) line 20 at EXECUTE\nPL/pgSQL function app.note() line 1", None),
            ("", None),
        ] {
            assert_eq!(users_function(context), expected, "{context}");
        }
    }

    #[test]
    fn a_missing_schema_of_ours_is_known_in_every_language() {
        let (schema, table, function) =
            (SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION);
        for (code, message, expected) in [
            (&schema, "schema \"pgq\" does not exist", Some("pgq")),
            (&schema, "Schema »londiste« existiert nicht", Some("londiste")),
            (&table, "relation \"pgq.queue\" does not exist", Some("pgq")),
            (&table, "Relation »pgq.queue« existiert nicht", Some("pgq")),
            (&table, "la relation « londiste.completed » n'existe pas", Some("londiste")),
            (&function, "function pgq.next_batch(text, text) does not exist", Some("pgq")),
            (&function, "Funktion londiste.version() existiert nicht", Some("londiste")),
            (&table, "relation \"public.pgq\" does not exist", None),
            (&table, "relation \"my_pgq.queue\" does not exist", None),
            (&function, "function f(pgq.event_template) does not exist", None),
            (&schema, "schema \"pgq_ext\" does not exist", None),
            (&SqlState::UNDEFINED_COLUMN, "column pgq.x does not exist", None),
        ] {
            assert_eq!(missing_schema(code, message), expected, "{message}");
        }
    }
}
